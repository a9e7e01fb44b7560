"""Reading hand-ins: what is in a folder or zip file, without ever unpacking it to disk.

Only files that are wanted are read, by name, and into memory: Python modules of `helpers/` and the
notebooks. So paths that lead elsewhere, links, and bombs have nothing to break.
"""

import hashlib
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

ARCHIVE_BYTES = 100 << 20
FILE_BYTES = 20 << 20
ALL_BYTES = 60 << 20
MAX_ENTRIES = 5000
MAX_FILES = 200
# Read only by way of the central directory, which itself may be a bomb.
DIRECTORY_BYTES = 4 << 20


@dataclass
class HandIn:
    """What a student handed in: modules and notebooks by file name, and what was wrong."""

    name: str
    modules: dict[str, bytes] = field(default_factory=dict)
    notebooks: dict[str, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """A hash of all that counts."""
        digest = hashlib.sha256()
        for part in (self.modules, self.notebooks):
            for name, content in sorted(part.items()):
                digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "replace") + content)
            digest.update(b"\1")
        digest.update("\0".join(self.problems).encode("utf-8", "replace"))
        return digest.hexdigest()


class Unreadable(Exception):  # noqa: N818  # a message for the student
    """The hand-in, or a file in it, cannot be read; the text says why, to the student."""


def find_hand_ins(folder: Path) -> list[Path]:
    """Return the hand-ins of a folder by name; a folder with helpers/ in it is one itself."""
    if folder.is_file() or (folder / "helpers").is_dir():
        return [folder]
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def read_hand_in(path: Path) -> HandIn:
    """Return what is in a zip file or folder; what is wrong with it is told, never raised."""
    hand_in = HandIn(printable(path.stem if path.is_file() else path.name))
    try:
        entries = _folder(path) if path.is_dir() and not path.is_symlink() else _archive(path)
        _sort_in(hand_in, entries)
    except Unreadable as error:
        hand_in.problems.append(str(error))
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        hand_in.problems.append(f"The file cannot be read ({error}). Hand in a zip file.")
    except (ValueError, RuntimeError, RecursionError, OverflowError) as error:
        hand_in.problems.append(f"The zip file is damaged or encrypted ({error}).")
    return hand_in


def printable(name: str) -> str:
    """Return a name that can be written anywhere: odd bytes and control characters replaced."""
    text = name.encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:200] or "?"


@dataclass
class _Entry:
    name: str
    is_link: bool
    open: "object"

    def read(self) -> bytes:
        """Return the content. Raises Unreadable if it is too large."""
        with self.open() as file:  # type: ignore[operator]
            stream: IO[bytes] = file
            content = stream.read(FILE_BYTES + 1)
        if len(content) > FILE_BYTES:
            raise Unreadable(f"{printable(self.name)} has more than {FILE_BYTES >> 20} MB.")
        return content


def _folder(path: Path) -> Iterator[_Entry]:
    """Yield the files of a folder; links are not followed."""
    n_seen = 0
    for parent, folders, files in os.walk(path, followlinks=False):
        folders.sort()
        for name in sorted(files):
            n_seen += 1
            if n_seen > MAX_ENTRIES:
                raise Unreadable(f"There are more than {MAX_ENTRIES} files.")
            full = Path(parent, name)
            is_link = not stat.S_ISREG(full.lstat().st_mode)
            yield _Entry(str(full.relative_to(path)), is_link, _opener(full))


def _opener(path: Path) -> "object":
    return lambda: os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _archive(path: Path) -> Iterator[_Entry]:
    """Yield the files of a zip archive that may be looked at."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise Unreadable("This is a link or no file at all. Hand in a zip file.")
    if path.stat().st_size > ARCHIVE_BYTES:
        raise Unreadable(f"The file has more than {ARCHIVE_BYTES >> 20} MB.")
    _refuse_large_directory(path)
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                is_link = stat.S_ISLNK(info.external_attr >> 16)
                yield _Entry(info.filename, is_link, _member(archive, info))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> "object":
    return lambda: archive.open(info)


def _refuse_large_directory(path: Path) -> None:
    """Raise Unreadable if the archive lists very many files, before the list is read."""
    with path.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end is None:
        raise Unreadable("This is not a zip file. Hand in a zip file.")
    size, count = end[5], end[3]
    if size > DIRECTORY_BYTES or count > MAX_ENTRIES:
        raise Unreadable(f"There are more than {MAX_ENTRIES} files in the archive.")


def _sort_in(hand_in: HandIn, entries: Iterator[_Entry]) -> None:
    """Take modules and notebooks from the entries, those nearest to the top first."""
    wanted: dict[tuple[str, str], _Entry] = {}
    total = 0
    contents: dict[tuple[str, str], bytes] = {}
    for entry in entries:
        place = _place(entry.name)
        if place is None:
            continue
        if entry.is_link or not _is_safe(entry.name):
            hand_in.problems.append(
                f"{printable(entry.name)} was left out: it is a link, or leads out of the hand-in."
            )
            continue
        if place in wanted and _depth(wanted[place].name) <= _depth(entry.name):
            continue
        try:
            content = entry.read()
        except Unreadable as error:
            hand_in.problems.append(str(error))
            continue
        wanted[place], contents[place] = entry, content
        total += len(content)
        if total > ALL_BYTES or len(contents) > MAX_FILES:
            raise Unreadable("The hand-in is too large: only helpers/ and notebooks are wanted.")
    for (kind, name), content in sorted(contents.items()):
        (hand_in.modules if kind == "module" else hand_in.notebooks)[name] = content


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _depth(name: str) -> int:
    return len(_parts(name))


def _is_safe(name: str) -> bool:
    path = name.replace("\\", "/")
    return not (path.startswith("/") or ".." in _parts(name) or ":" in path or "\0" in path)


def _place(name: str) -> tuple[str, str] | None:
    """Return what an entry is, "module" or "notebook", and its name; None if it isn't wanted."""
    parts = _parts(name)
    if any(part.startswith((".", "__MACOSX")) and part != ".." for part in parts):
        return None
    file = parts[-1] if parts else ""
    if file.endswith(".ipynb"):
        return "notebook", file
    if file.endswith(".py") and (parts[-2:-1] == ("helpers",) or len(parts) == 1):
        return "module", file
    if file.endswith(".py") and "helpers" in parts:
        return "module", "/".join(parts[len(parts) - parts[::-1].index("helpers") :])
    return None
