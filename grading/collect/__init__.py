"""Collecting a class: from the download of a course system to one small archive a student.

Each holds the modules and notebooks of a hand-in, and hand-in.json: whose it is, when it came, and
what was wrong with it. Marking reads nothing else, so a student's archive is all that has to change
to mark that student again.
"""

import hashlib
import json
import os
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

from grading.archives import ARCHIVES, Entry, HandIn, printable, read_entries
from grading.collect.clones import last_commit
from grading.collect.download import METADATA, Child, read_download
from grading.collect.people import Person, Roster
from grading.collect.source import functions_of
from grading.collect.systems import BY_NAME, Label, labels, recognized
from grading.crew import Bounds, Failed, in_processes
from machine.files import atomic_write

NAMES = ("auto", *BY_NAME)
READING = Bounds(seconds=60)
ABOUT = "hand-in.json"
Record = dict[str, Any]


@dataclass(frozen=True)
class Submission:
    """What one student, or group, handed in."""

    people: tuple[Person, ...]
    parts: tuple[tuple[Child, Label], ...]
    late: bool = False
    submitted: str = ""

    def entries(self) -> Iterator[Entry]:
        """Yield all files, later ones first."""
        for child, label in sorted(self.parts, key=lambda part: -part[1].order):
            for entry in child.entries():
                yield replace(entry, name=label.file) if label.file else entry


def collect(path: Path, target: Path, system: str = "auto", n_jobs: int = 1) -> list[Record]:
    """Write an archive into `target` for each student in a download; return what is known of each.

    Raises ValueError if there is nothing, or nothing that comes from that system.
    """
    submissions = find_submissions(path, system)
    records = []
    for submission, outcome in in_processes(submissions, _work, READING, n_jobs):
        for person in submission.people:
            known = {
                "person": asdict(person), "submitted": submission.submitted,
                "late": submission.late, "key": key_of(person),
            }  # fmt: skip
            records.append(_keep(target, known, outcome))
    return records


def _keep(target: Path, known: Record, outcome: bytes | Failed) -> Record:
    """Write what was read of a hand-in, or why it wasn't; return what is known of it."""
    if isinstance(outcome, Failed):
        outcome = packed(HandIn("", problems=[printable(outcome.reason)]))
    with zipfile.ZipFile(BytesIO(outcome)) as archive:
        record: Record = json.loads(archive.read(ABOUT)) | known
        files = {name: archive.read(name) for name in archive.namelist() if name != ABOUT}
    target.mkdir(parents=True, exist_ok=True)
    with atomic_write(target / f"{record['key']}.zip") as file:
        file.write(_zipped(files | {ABOUT: json.dumps(record, indent=1).encode()}))
    return record


def read_collected(folder: Path) -> dict[Path, Record]:
    """Return the archives of a class that was collected, and what is known of each."""
    found = {}
    for path in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            found[path] = json.loads(archive.read(ABOUT))
    return found


def completed(record: Record, roster: Roster) -> Record:
    """Return what is known of a hand-in, with what the list of the course adds."""
    person, when = roster.completed(Person(**record["person"]))
    return record | {"person": asdict(person), "submitted": when or record["submitted"]}


def key_of(person: Person) -> str:
    """Return a name for files that is the same in each run, and nobody else's."""
    safe = re.sub(r"[^\w-]+", "_", person.title).strip("_").encode()[:60].decode(errors="ignore")
    told = "\0".join(asdict(person).values()).encode("utf-8", "replace")
    return f"{safe or '_'}-{hashlib.sha256(told).hexdigest()[:8]}"


# What is read in processes that are thrown away.


def _work(submission: Submission, _: int) -> bytes:
    return packed(read_entries("", submission.entries()))


def packed(hand_in: HandIn) -> bytes:
    """Return a hand-in as an archive, with what is wrong with it and the text of its functions."""
    about = {"problems": hand_in.problems, "source": functions_of(hand_in.modules)}
    files = {f"helpers/{printable(name)}": text for name, text in hand_in.modules.items()}
    files |= {f"notebooks/{printable(name)}": text for name, text in hand_in.notebooks.items()}
    return _zipped(files | {ABOUT: json.dumps(about | {"is_readable": bool(files)}).encode()})


def _zipped(files: dict[str, bytes]) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


# Whose it is.


def find_submissions(path: Path, system: str = "auto") -> list[Submission]:
    """Return what people handed in, found in the download of a course system. Raises ValueError."""
    children = read_download(path, is_class=system != "auto")
    metadata = next((child for child in children if child.name == METADATA), None)
    children = [child for child in children if child is not metadata]
    row = BY_NAME[_system_of(children) if system == "auto" else system]
    told = labels(row, [child.name for child in children])
    if row.name == "folders":
        told |= _of_files(children)
    parts: dict[Person, list[tuple[Child, Label]]] = {}
    for child in children:
        label = told[child.name] or Label(name=child.name)
        person = Person(printable(label.name) if label.name else "", label.id, "", label.login)
        parts.setdefault(person, []).append((child, label))
    if row.name != system:
        print(f"{path} is read as with --from {row.name}.", file=sys.stderr)
    if not any(told.values()):
        known = ", ".join(NAMES)
        raise ValueError(f"{path} holds nothing that {row.name} names so; wanted --from {known}.")
    found = [
        Submission((person,), tuple(mine), any(label.late for _, label in mine), _committed(mine))
        for person, mine in parts.items()
    ]
    return _with_metadata(found, metadata) if metadata and row.name == "gradescope" else found


def _committed(parts: Sequence[tuple[Child, Label]]) -> str:
    """Return when a clone was committed to, "" for anything else."""
    clones = [child.path for child, _ in parts if child.is_repository and child.path]
    return last_commit(clones[0]) if len(clones) == 1 else ""


def _system_of(children: Sequence[Child]) -> str:
    if row := recognized([child.name for child in children]):
        return row.name
    is_github = len(children) > 1 and all(child.is_repository for child in children)
    return "github" if is_github else "folders"


def _of_files(children: Sequence[Child]) -> dict[str, Label | None]:
    """Return the names of archives without their endings, where these don't tell them apart."""
    stems = {child.name: child.name if child.is_folder else _stem(child.name) for child in children}
    shown = Counter(map(printable, stems.values()))
    return {
        name: Label(name=stem if shown[printable(stem)] == 1 else _distinct(name))
        for name, stem in stems.items()
    }


def _distinct(name: str) -> str:
    """Return a name that can be written, and that no other file has."""
    told = printable(name)
    return told if told == name else f"{told} {hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"


def _stem(name: str) -> str:
    ending = max((e for e in ARCHIVES if name.lower().endswith(e)), key=len, default="")
    return name[: -len(ending)] if ending else Path(name).stem


def _with_metadata(found: Sequence[Submission], metadata: Child) -> list[Submission]:
    """Return the submissions with the people and times that Gradescope tells of them."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with next(metadata.entries()).open() as file:
        told = yaml.load(file, loader)  # it is a safe one
    if not isinstance(told, dict):
        raise ValueError(f"{METADATA} holds {type(told).__name__}; wanted a list of submissions.")
    return [_of_gradescope(each, told.get(each.people[0].name) or {}) for each in found]


def _of_gradescope(submission: Submission, told: dict[str, Any]) -> Submission:
    people = tuple(
        Person(*(str(each.get(key) or "") for key in (":name", ":sid", ":email")))
        for each in told.get(":submitters") or ()
    )
    when = told.get(":created_at")
    submitted = when.astimezone().isoformat() if isinstance(when, datetime) else ""
    return replace(submission, people=people or submission.people, submitted=submitted)
