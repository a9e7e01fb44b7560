"""How course systems name what was handed in: one row a system.

Moodle: mod/assign/classes/downloader.php (`Name_12345_assignsubmission_file/…`, before 4.1 with one
more `_`, or the same before the name of each file) and importziplib.php, which reads it again.
Canvas: lib/content_zipper.rb (`doejane_LATE_12345_678_x-1.zip`; `LATE_anon_Ab1c2_678_x.zip` where
names are hidden; `doejane_12345_text.html` for what was typed). A later file has a larger number.
Gradescope: `submission_123/` beside submission_metadata.yml. GitHub: `assignment-login/`, and
Classroom 50 `classroom-assignment-login/`: what all names begin with is none of a login.
"""

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

COPY = re.compile(r"-\d+(?=\.[^.]*$)")  # what Canvas adds to a name that was there before


class System(NamedTuple):
    """A course system: its name, and the names at the top of what it lets people download."""

    name: str
    pattern: re.Pattern[str]
    has_prefix: bool = False


class Label(NamedTuple):
    """What a name at the top of a download tells."""

    name: str = ""
    id: str = ""
    login: str = ""
    late: bool = False
    order: int = 0  # of two files with one name, the larger one is later
    file: str = ""  # if it is a file of the student's: what the student called it


MOODLE = r"(?P<name>.+?)(?:_(?P<id>\d+))?_assignsubmission_[a-z]+(?:_(?P<file>.*))?"
CANVAS = (
    r"(?:(?P<name>(?!LATE_).+?)_)?(?:(?P<late>LATE)_)?(?P<id>\d+|anon_\w{5})_"
    r"(?:(?P<order>\d+)_(?P<file>.+)|(?:text|link)\.html)"
)
SYSTEMS = (
    System("moodle", re.compile(MOODLE)),
    System("canvas", re.compile(CANVAS)),
    System("gradescope", re.compile(r"(?P<name>submission_\d+)")),
    System("github", re.compile(r"(?P<login>.+)"), has_prefix=True),
    System("folders", re.compile(r"(?P<name>.+)", re.DOTALL)),
)
NAMED = SYSTEMS[:3]  # those that are known by the names alone
BY_NAME = {system.name: system for system in SYSTEMS}


def recognized(names: Sequence[str]) -> System | None:
    """Return the system that most of these names come from, if it is known by them."""
    counts = {system: sum(map(bool, map(system.pattern.fullmatch, names))) for system in NAMED}
    best = max(NAMED, key=counts.__getitem__)
    return best if 2 * counts[best] > len(names) else None


def labels(system: System, names: Sequence[str]) -> dict[str, Label | None]:
    """Return what each name tells, None of those that the system does not give."""
    common = os.path.commonprefix(list(names)) if len(names) > 1 else ""  # noqa: RUF071
    prefix = common[: common.rfind("-") + 1] if system.has_prefix else ""
    return {name: _label(system, name.removeprefix(prefix)) for name in names}


def _label(system: System, name: str) -> Label | None:
    match = system.pattern.fullmatch(name)
    if match is None:
        return None
    told = {key: value or "" for key, value in match.groupdict().items()}
    file = COPY.sub("", told.get("file", "")) if system.name == "canvas" else told.get("file", "")
    return Label(
        told.get("name", ""), told.get("id", ""), told.get("login", ""), bool(told.get("late")),
        int(told.get("order") or 0), file,
    )  # fmt: skip
