"""What is marked, and for how many points: read from checks/exercises.toml."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path

from checks.exercises import FILE, Task, load_tasks
from checks.verdicts import Verdict
from grading.sandbox import Limits


def score_of(task: Task, checked: Iterable[Verdict], hidden: Iterable[Verdict]) -> dict[str, float]:
    """Return the points earned by part, from the verdicts of check and hidden cases."""
    checked, hidden = list(checked), list(hidden)
    return {
        part: points if _earned(part, checked, hidden) else 0.0
        for part, points in task.points.items()
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


def read_exam(path: Path = FILE) -> Exam:
    """Return the exam of a TOML file. Raises ValueError that says what is wrong with it."""
    tasks, text = load_tasks(path), path.read_text(encoding="utf-8")
    limits = tomllib.loads(text).get("limits", {})
    unknown = set(limits) - {field.name for field in fields(Limits)}
    if unknown:
        raise ValueError(f"{path}: there is no limit called {', '.join(sorted(unknown))}.")
    return Exam(tasks, Limits(**limits), text)
