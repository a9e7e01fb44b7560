"""What each student gets: verdicts and points, an instructor's overrides, and the cost of lateness.

A page is a dictionary, as `marks.json` keeps it: reports and exports read nothing else.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from grading.collect import Record
from grading.collect.people import Finder, Person, read_table
from grading.exam import Exam
from grading.late import LateRules

Page = dict[str, Any]
COLUMNS = ["student", "exercise", "points", "reason"]
ALL = "all"  # in place of an exercise: the points of the whole hand-in
DEFAULTS: Page = {
    "key": "", "id": "", "email": "", "login": "", "submitted": "", "source": {}, "late": "",
    "deduction": 0.0, "override": "", "answers": [], "notebooks": [],
}  # fmt: skip


def page_of(result: dict[str, Any], record: Record, rules: LateRules) -> Page:
    """Return what a student gets, from what marking found and what is known of the hand-in."""
    person = Person(**record["person"])
    percent, late = rules.judged(person, record["submitted"], record["late"])
    deduction = percent * result["maximum"] / 100
    known = {name: record[name] for name in ("key", "submitted", "source")}
    problems = list(dict.fromkeys([*record["problems"], *result["problems"]]))
    page = DEFAULTS | result | record["person"] | known
    page |= {"name": person.title, "late": late, "deduction": deduction, "problems": problems}
    return _summed(page)


def person_of(page: Page) -> Person:
    """Return whose page it is."""
    return Person(page["name"], page["id"], page["email"], page["login"])


def _summed(page: Page) -> Page:
    """Return a page with its points: what was earned, less what being late costs."""
    earned = [each["points"] for each in page["exercises"]]
    if page["points"] is None and not earned:
        return page
    return page | {"points": max(0.0, sum(earned) - page["deduction"])}


# An instructor's overrides


def overridden(pages: Sequence[Page], path: Path, exam: Exam) -> list[Page]:
    """Return the pages with the points that a table gives instead, each marked as such.

    Raises ValueError that names the line, and what in it cannot be.
    """
    if not path.exists():
        return list(pages)
    headings, *rows = read_table(path).rows
    if [heading.strip().casefold() for heading in headings] != COLUMNS:
        raise ValueError(f"{path} has the columns {headings}; wanted {COLUMNS}.")
    finder = Finder([page["name"], page["id"], page["email"], page["login"]] for page in pages)
    found = list(pages)
    for line, row in enumerate(rows, start=2):
        try:
            student, exercise, points, reason = (cell.strip() for cell in row)
            number = finder.find(Person(id=student))
            if number is None:
                raise ValueError(f"no single student is called {student!r}")
            found[number] = _with(found[number], exercise, float(points), reason, exam)
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}.") from error
    return found


def _with(page: Page, exercise: str, points: float, reason: str, exam: Exam) -> Page:
    maxima = {task.name: task.maximum for task in exam.tasks}
    known = {**maxima, ALL: exam.maximum}
    if exercise not in known:
        raise ValueError(f"no exercise is called {exercise!r}; wanted one of {sorted(known)}")
    if not 0 <= points <= known[exercise]:
        raise ValueError(f"{exercise} has {points:g} points; wanted 0 to {known[exercise]:g}")
    if not reason:
        raise ValueError("an override wants a reason")
    if exercise == ALL:
        return page | {"points": points, "override": reason}
    exercises = page["exercises"] or [_unmarked(name, most) for name, most in maxima.items()]
    changed = [
        each | {"points": points, "override": reason} if each["name"] == exercise else each
        for each in exercises
    ]
    return _summed(page | {"exercises": changed})


def _unmarked(name: str, maximum: float) -> Page:
    return {
        "name": name, "points": 0.0, "maximum": maximum, "parts": {}, "cause": None,
        "text": f"{name} was marked by hand.", "verdicts": [],
    }  # fmt: skip


# From run to run


def read_marks(folder: Path) -> list[Page]:
    """Return the pages of the run before. Raises ValueError if they cannot be read."""
    path = folder / "marks.json"
    if not path.exists():
        return []
    pages: list[Page] = json.loads(path.read_text(encoding="utf-8"))
    return pages


def changes(before: Sequence[Page], now: Sequence[Page]) -> Iterator[tuple[str, str, str, str]]:
    """Yield student, exercise, and points before and now, wherever these differ."""
    old = {page["key"]: _points(page) for page in before}
    for page in now:
        was, new = old.get(page["key"], {}), _points(page)
        for name in {**was, **new}:
            if was.get(name, "none") != new.get(name, "none"):
                yield page["name"], name, was.get(name, "none"), new.get(name, "none")


def _points(page: Page) -> dict[str, str]:
    found = {each["name"]: f"{each['points']:g}" for each in page["exercises"]}
    return {ALL: "by hand" if page["points"] is None else f"{page['points']:g}"} | found
