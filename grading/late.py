"""What being late costs: the table `late` of the configuration."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from grading.collect.people import Person, folded

TABLES = {"exercise", "limits", "late"}
DAY = timedelta(days=1)


@dataclass(frozen=True)
class LateRules:
    """When hand-ins are due, and how much of the maximum each day that has begun costs."""

    due: datetime | None = None
    grace_minutes: float = 0
    per_day: float = 0  # percent of the maximum
    most: float = 100  # percent that can be lost
    free_days: float = 0  # late days that cost nothing
    extensions: Mapping[str, datetime] = field(default_factory=dict)  # by name, id, e-mail or login

    def due_for(self, person: Person) -> datetime | None:
        """Return until when a student may hand in."""
        dates = {folded(student): date for student, date in self.extensions.items()}
        return next((dates[key] for key in person.keys if key in dates), self.due)

    def judged(self, person: Person, submitted: str, is_late: bool) -> tuple[float, str]:
        """Return the percentage that is lost, and a sentence if the hand-in came late.

        `submitted` is a date and time, or "" if nobody told it; `is_late` what the system said.
        """
        due = self.due_for(person)
        if not submitted or due is None:
            when = "when, or when it was due, is not known, so nothing was deducted"
            return 0, f"It was handed in late; {when}." * is_late
        over = moment("submitted", datetime.fromisoformat(submitted)) - due
        if over <= timedelta(minutes=self.grace_minutes):
            return 0, ""
        days = math.ceil(over / DAY)
        lost = min(self.most, self.per_day * max(0, days - self.free_days))
        return lost, f"It was handed in late, on day {days} after it was due: {lost:g} % are lost."


def read_late(path: Path) -> LateRules:
    """Return the rules of a TOML file. Raises ValueError that names what is wrong with it."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        require_known(content, TABLES, "table")
        told: dict[str, Any] = content.get("late", {})
        require_known(told, {each.name for each in fields(LateRules)}, "key of [late]")
        for name, value in told.items():
            _require_sound(name, value)
        return LateRules(**told)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from error


def require_known(found: Mapping[str, Any], known: set[str], what: str) -> None:
    """Raise ValueError that names what is not known."""
    if unknown := sorted(set(found) - known):
        raise ValueError(f"there is no {what} called {', '.join(unknown)}; wanted {sorted(known)}.")


def _require_sound(name: str, value: Any) -> None:
    if name == "extensions":
        for student, date in value.items():
            moment(f"the extension of {student}", date)
    elif name == "due":
        moment(name, value)
    elif type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r}; wanted a number of at least 0.")


def moment(name: str, value: Any) -> datetime:
    """Return a date and time of a known time zone. Raises ValueError if it is none."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        example = "2026-12-01T23:59:00+01:00"
        raise ValueError(f"{name} is {value}; wanted a date, a time and a time zone: {example}.")
    return value
