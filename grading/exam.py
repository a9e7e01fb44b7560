"""What is marked, and for how many points: read from exercises.toml."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from grading.sandbox import Limits
from helpers.verdicts import Verdict

STANDARD = Path(__file__).with_name("exercises.toml")
MODULES = ("mlp", "training", "cnn")


@dataclass(frozen=True)
class Task:
    """An exercise of the exam: its check is called with what `module` calls the names `takes`."""

    name: str
    module: str
    takes: tuple[str, ...]
    points: dict[str, float]

    @property
    def maximum(self) -> float:
        """The points for a right solution."""
        return sum(self.points.values())

    def score(self, checked: Iterable[Verdict], hidden: Iterable[Verdict]) -> dict[str, float]:
        """Return the points earned by part, from the verdicts of check and hidden cases."""
        checked, hidden = list(checked), list(hidden)
        return {
            part: points if _earned(part, checked, hidden) else 0.0
            for part, points in self.points.items()
        }


def _earned(part: str, checked: list[Verdict], hidden: list[Verdict]) -> bool:
    if part == "check":
        return bool(checked) and all(verdict.passed for verdict in checked + hidden)
    kind, _, pattern = part.partition(": ")
    verdicts = hidden if kind == "hidden" else checked
    meant = [verdict for verdict in verdicts if fnmatchcase(verdict.part, pattern)]
    return bool(meant) and all(verdict.passed for verdict in meant)


@dataclass(frozen=True)
class Exam:
    """All exercises, and the limits of a hand-in."""

    tasks: tuple[Task, ...]
    limits: Limits
    text: str  # of the file, so that marks under other rules are not taken for these

    @property
    def maximum(self) -> float:
        """The points for a right hand-in."""
        return sum(task.maximum for task in self.tasks)


def read_exam(path: Path = STANDARD) -> Exam:
    """Return the exam of a TOML file. Raises ValueError that says what is wrong with it."""
    text = path.read_text(encoding="utf-8")
    try:
        content = tomllib.loads(text)
        tasks = tuple(_task(entry) for entry in content["exercise"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no list of exercises: {error!r}") from error
    limits = content.get("limits", {})
    unknown = set(limits) - {field.name for field in fields(Limits)}
    if unknown:
        raise ValueError(f"{path}: there is no limit called {', '.join(sorted(unknown))}.")
    return Exam(tasks, Limits(**limits), text)


def _task(entry: dict[str, Any]) -> Task:
    """Return the task of an entry. Raises ValueError for a part or module that cannot be."""
    name, module, points = entry["name"], entry["module"], entry["points"]
    if module not in MODULES:
        raise ValueError(f"{name}: module is {module!r}; wanted one of {', '.join(MODULES)}.")
    for part, value in points.items():
        if part != "check" and not part.startswith(("check: ", "hidden: ")):
            raise ValueError(
                f'{name}: {part!r} is no part; wanted "check", "check: …", "hidden: …".'
            )
        if not (isinstance(value, (int, float)) and value >= 0):
            raise ValueError(f"{name}: {part!r} is worth {value!r}; wanted a number.")
    return Task(name, module, tuple(entry["takes"]), points)
