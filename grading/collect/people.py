"""Who handed in: identities, the list of a course, and how the one is found in the other."""

import contextlib
import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Person:
    """What a course system tells of a student; "" where it tells nothing."""

    name: str = ""
    id: str = ""
    email: str = ""
    login: str = ""

    @property
    def keys(self) -> list[str]:
        """What other lists may call them, the surest first."""
        told = [self.id, self.email, self.login, *_turned(self.name)]
        return [key for key in map(folded, told) if key]

    @property
    def title(self) -> str:
        """What to call them."""
        return self.name or self.login or self.email or self.id


class Table(NamedTuple):
    """A CSV file, and the way in which it was written."""

    rows: list[list[str]]
    dialect: type[csv.Dialect]
    has_mark: bool

    def written(self) -> bytes:
        """Return the file with its rows as they are now."""
        text = StringIO(newline="")
        csv.writer(text, self.dialect, lineterminator="\r\n").writerows(self.rows)
        return text.getvalue().encode("utf-8-sig" if self.has_mark else "utf-8")


def read_table(path: Path) -> Table:
    """Return a CSV file as Moodle, Canvas or a spreadsheet writes it. Raises ValueError."""
    content = path.read_bytes()
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: wanted a CSV file in UTF-8 ({error}).") from error
    try:
        dialect = csv.Sniffer().sniff(text.partition("\n")[0], delimiters=",;\t")
    except csv.Error:
        dialect = csv.excel
    dialect.quoting, dialect.doublequote, dialect.quotechar = csv.QUOTE_MINIMAL, True, '"'
    rows = [row for row in csv.reader(StringIO(text, newline=""), dialect) if any(row)]
    if not rows:
        raise ValueError(f"{path}: wanted a CSV file with a line of headings; it is empty.")
    return Table(rows, dialect, content.startswith(b"\xef\xbb\xbf"))


def folded(text: str) -> str:
    """Return what is the same for texts that people take for one: letters, marks and digits."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in text if unicodedata.category(c)[0] in "LMN")


def _turned(name: str) -> list[str]:
    """Return a name as it stands and with its words turned: Jane Doe is Doe, Jane, too."""
    words = re.split(r"[\s,;]+", name.strip())
    return [" ".join(words[n:] + words[:n]) for n in range(len(words))][:6]


class Finder:
    """Finds people in a list, each row of which is some texts."""

    def __init__(self, rows: Iterable[Sequence[str]]) -> None:
        self.where: dict[str, set[int]] = {}
        for number, row in enumerate(rows):
            pairs = [" ".join(pair) for pair in pairwise(row)]
            names = [name for text in (*row, *pairs) for name in _turned(text)]
            for key in filter(None, map(folded, {*row, *names})):
                self.where.setdefault(key, set()).add(number)

    def find(self, person: Person) -> int | None:
        """Return the number of the row that is theirs, None if there is none, or no single one."""
        for key in person.keys:
            found = self.where.get(key, set())
            if len(found) == 1:
                return next(iter(found))
        return None


# What Moodle's grading worksheet calls them, in English, and how it writes a date.
WORKSHEET = {
    "identifier": "participant", "full name": "name", "email address": "email",
    "id number": "number", "last modified (submission)": "submitted",
}  # fmt: skip
DATE = "%A, %d %B %Y, %I:%M %p"


def moment_of(text: str) -> str:
    """Return a date and time as ISO 8601 writes it, "" if there is none. Raises ValueError.

    Moodle writes those of its own time zone; this computer's is taken for it.
    """
    if not text.strip(" -"):
        return ""
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text).isoformat()
    try:
        return datetime.strptime(text, DATE).astimezone().isoformat()
    except ValueError:
        wanted = "2026-12-01T23:59:00+01:00"
        raise ValueError(f"submitted is {text!r}; wanted a date like {wanted}.") from None


class Roster:
    """The list of a course: a CSV file with headings.

    Headings `name`, `id`, `email`, `login` and `submitted` (when it was handed in) add to what is
    known; any others are only looked at to find somebody. Moodle's worksheet is such a list.
    """

    def __init__(self, path: Path) -> None:
        headings, *self.rows = read_table(path).rows
        told = (heading.strip().casefold() for heading in headings)
        self.headings = [WORKSHEET.get(heading, heading) for heading in told]
        participants = (self._told(n).get("participant", "") for n in range(len(self.rows)))
        numbers = [re.findall(r"\d+$", participant) for participant in participants]
        self.finder = Finder([*row, *own] for row, own in zip(self.rows, numbers, strict=True))
        for number in range(len(self.rows)):
            moment_of(self._told(number).get("submitted", ""))  # it must be readable

    def completed(self, person: Person) -> tuple[Person, str]:
        """Return a person with what the list adds, and when they handed in, "" if it isn't told."""
        number = self.finder.find(person)
        if number is None:
            return person, ""
        told = self._told(number)
        more = {each.name: told[each.name] for each in fields(Person) if told.get(each.name)}
        return replace(person, **more), moment_of(told.get("submitted", ""))

    def without(self, people: Iterable[Person]) -> list[str]:
        """Return the names of those in the list who are none of these people."""
        seen = set(map(self.finder.find, people))
        return [self._title(n) for n in range(len(self.rows)) if n not in seen]

    def _told(self, number: int) -> dict[str, str]:
        cells = (cell.strip() for cell in self.rows[number])
        return dict(zip(self.headings, cells, strict=False))

    def _title(self, number: int) -> str:
        return self._told(number).get("name") or " ".join(self.rows[number][:2])
