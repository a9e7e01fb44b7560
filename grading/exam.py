"""What is marked, and for how many points: read from checks/exercises.toml."""

import math
import tomllib
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path

from checks.exercises import FILE, Task, load_tasks
from checks.verdicts import Report
from grading.sandbox.limits import Limits


def score_of(task: Task, report: Report) -> dict[str, float]:
    """Return the points earned by part, from the verdicts on every part of the check."""
    return {part: points if _earned(part, report) else 0.0 for part, points in task.points.items()}


def _earned(part: str, report: Report) -> bool:
    if part == "check":
        return report.passed
    pattern = part.removeprefix("check: ")
    return Report(verdict for verdict in report if fnmatchcase(verdict.part, pattern)).passed


@dataclass(frozen=True)
class Exam:
    """All exercises, and the limits of a hand-in."""

    tasks: tuple[Task, ...]
    limits: Limits
    text: str  # tells it from others, so that marks under other rules are not taken for these

    @property
    def maximum(self) -> float:
        """The points for a right hand-in."""
        return sum(task.maximum for task in self.tasks)


def read_exam(path: Path = FILE) -> Exam:
    """Return the exam of a TOML file. Raises ValueError that says what is wrong with it."""
    try:
        tasks, text = load_tasks(path), path.read_text(encoding="utf-8")
        limits = dict(tomllib.loads(text).get("limits", {}))
        if unknown := set(limits) - {field.name for field in fields(Limits)}:
            raise ValueError(f"there is no limit called {', '.join(sorted(unknown))}")
        for task in tasks:
            _require_known(task)
        if not tasks:
            raise ValueError("there is no exercise in it")
        names = [task.name for task in tasks]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))} is there more than once")
        return Exam(tasks, Limits(**limits), repr((tasks, limits)))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _require_known(task: Task) -> None:
    """Raise ValueError unless this is an exercise of the course, worth something."""
    known = {each.name: each for each in load_tasks()}
    if task.name not in known:
        raise ValueError(f"no exercise is called {task.name!r}; wanted {sorted(known)}.")
    for key in ("module", "takes", "check_module"):
        found, wanted = getattr(task, key), getattr(known[task.name], key)
        if found != wanted:
            name = key.removesuffix("_module")
            raise ValueError(f"{task.name} has {name} = {found!r}; wanted {wanted!r}.")
    if not (task.maximum > 0 and math.isfinite(task.maximum)):
        raise ValueError(f"{task.name} is worth {task.maximum}; wanted a number above 0.")
