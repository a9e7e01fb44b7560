"""What is marked, and for how many points: read from checks/exercises.toml."""

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
    text: str  # of the file, so that marks under other rules are not taken for these

    @property
    def maximum(self) -> float:
        """The points for a right hand-in."""
        return sum(task.maximum for task in self.tasks)


def read_exam(path: Path = FILE) -> Exam:
    """Return the exam of a TOML file. Raises ValueError that says what is wrong with it."""
    tasks, text = load_tasks(path), path.read_text(encoding="utf-8")
    limits = tomllib.loads(text).get("limits", {})
    unknown = set(limits) - {field.name for field in fields(Limits)}
    if unknown:
        raise ValueError(f"{path}: there is no limit called {', '.join(sorted(unknown))}.")
    return Exam(tasks, Limits(**limits), text)
