"""The exercises, as exercises.toml lists them: whatever needs to know them all reads this list."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("exercises.toml")
MODULES = ("mlp", "training", "cnn")
KEYS = {"name", "section", "module", "takes", "writes", "needs", "check", "points"}


@dataclass(frozen=True)
class Task:
    """An exercise, as exercises.toml explains it."""

    name: str
    section: str
    module: str
    takes: tuple[str, ...]
    writes: tuple[str, ...]
    needs: tuple[str, ...]
    check_module: str
    points: dict[str, float]

    @property
    def maximum(self) -> float:
        """The points for a right solution."""
        return sum(self.points.values())

    @property
    def check(self) -> Any:
        """The `Check` of the notebook; its module, and with it perhaps PyTorch, is loaded now."""
        return getattr(import_module(f"checks.{self.check_module}"), f"check_{self.name}")

    def functions(self) -> list[Any]:
        """Return what the check is called with, from helpers/."""
        module = import_module(f"helpers.{self.module}")
        return [getattr(module, name) for name in self.takes]


@cache
def load_tasks(path: Path = FILE) -> tuple[Task, ...]:
    """Return all exercises of a TOML file, in order.

    Raises ValueError that says what is wrong with it: a key, module or part that cannot be.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return tuple(_task(entry) for entry in content["exercise"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no list of exercises: {error!r}") from error


def _task(entry: dict[str, Any]) -> Task:
    name = entry["name"]
    if unknown := sorted(set(entry) - KEYS):
        raise ValueError(f"{name}: there is no key {', '.join(unknown)}; wanted {sorted(KEYS)}.")
    if entry["module"] not in MODULES:
        raise ValueError(
            f"{name}: module is {entry['module']!r}; wanted one of {', '.join(MODULES)}."
        )
    for part, value in entry["points"].items():
        if part != "check" and not part.startswith("check: "):
            raise ValueError(f'{name}: {part!r} is no part; wanted "check" or "check: …".')
        if not (isinstance(value, (int, float)) and value >= 0):
            raise ValueError(f"{name}: {part!r} is worth {value!r}; wanted a number.")
    takes = tuple(entry["takes"])
    writes, needs = tuple(entry.get("writes", takes)), tuple(entry.get("needs", ()))
    return Task(
        name, entry["section"], entry["module"], takes, writes, needs, entry["check"],
        entry["points"],
    )  # fmt: skip


def needs_of(task: Task, tasks: Sequence[Task]) -> list[Task]:
    """Return what an exercise builds on, and what that builds on, of `tasks` and in their order."""
    named = {each.name: each for each in tasks}
    found: set[str] = set()
    waiting = list(task.needs)
    while waiting:
        name = waiting.pop()
        if name in named and name not in found:
            found.add(name)
            waiting += named[name].needs
    return [each for each in tasks if each.name in found]


def section_of(name: str) -> str:
    """Return where the notebook explains an exercise."""
    return next(task.section for task in load_tasks() if task.name == name)
