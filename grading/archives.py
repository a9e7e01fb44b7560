"""Reading hand-ins: what is in a folder or zip file, without ever unpacking it to disk.

Only files that are wanted are read, by name, and into memory: Python modules of `helpers/` and the
notebooks. So paths that lead elsewhere, links, and bombs have nothing to break.
"""

import hashlib
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

WANTED = ("mlp.py", "training.py", "cnn.py")
ARCHIVE_BYTES = 100 << 20
FILE_BYTES = 20 << 20
ALL_BYTES = 60 << 20
MAX_ENTRIES = 5000
MAX_FILES = 200
NAME_BYTES = 255  # more than that no file system takes
DIRECTORY_BYTES = 4 << 20
END_BYTES = 22 + (1 << 16)  # the end of an archive, with the longest comment


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


def read_name(path: Path) -> str:
    """Return the name of a hand-in, without the ending of a file."""
    return printable(path.name if path.is_dir() else path.stem)


def read_hand_in(path: Path) -> HandIn:
    """Return what is in a zip file or folder; what is wrong with it is told, never raised."""
    hand_in = HandIn(read_name(path))
    try:
        entries = _folder(path) if path.is_dir() and not path.is_symlink() else _archive(path)
        _sort_in(hand_in, entries)
    except Unreadable as error:
        hand_in.problems.append(str(error))
    except (OSError, EOFError) as error:
        hand_in.problems.append(f"The hand-in cannot be read ({error}).")
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, OverflowError) as error:
        hand_in.problems.append(f"The zip file is damaged or encrypted ({error}).")
    if not hand_in.modules:
        hand_in.problems.append("No helpers/mlp.py, training.py or cnn.py was found in it.")
    hand_in.problems = [printable(problem) for problem in hand_in.problems]
    return hand_in


def printable(name: str) -> str:
    """Return a text that can be written anywhere: odd bytes and control characters replaced."""
    text = name.encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:300] or "?"


@dataclass
class _Entry:
    """A file in a hand-in."""

    name: str
    is_regular: bool
    open: Callable[[], IO[bytes]]

    def read(self) -> bytes:
        """Return the content. Raises Unreadable if it is too large."""
        with self.open() as file:
            content = file.read(FILE_BYTES + 1)
        if len(content) > FILE_BYTES:
            raise Unreadable(f"{self.name} was left out: it has more than {FILE_BYTES >> 20} MB.")
        return content


def _folder(path: Path) -> Iterator[_Entry]:
    """Yield the files of a folder; links are not followed."""
    n_seen = 0
    for parent, folders, files in os.walk(path, followlinks=False):
        folders.sort()
        for name in sorted(files):
            n_seen += 1
            if n_seen > MAX_ENTRIES:
                raise Unreadable(f"There are more than {MAX_ENTRIES} files in it.")
            full = Path(parent, name)
            is_regular = stat.S_ISREG(full.lstat().st_mode)
            yield _Entry(str(full.relative_to(path)), is_regular, partial(_open, full))


def _open(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _archive(path: Path) -> Iterator[_Entry]:
    """Yield the files of a zip archive."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise Unreadable("This is a link or no file at all. Hand in a zip file.")
    if path.stat().st_size > ARCHIVE_BYTES:
        raise Unreadable(f"The file has more than {ARCHIVE_BYTES >> 20} MB.")
    _require_small_directory(path)
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                kind = stat.S_IFMT(info.external_attr >> 16)
                # Others than deflate are unpacked without a bound on what comes out.
                is_usual = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
                is_regular = kind in (0, stat.S_IFREG) and is_usual
                yield _Entry(info.filename, is_regular, partial(archive.open, info))


def _require_small_directory(path: Path) -> None:
    """Raise Unreadable if the archive lists very many files, before the list is read."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END_BYTES))
        tail = file.read()
    start = tail.rfind(b"PK\x05\x06")
    if start < 0 or len(tail) - start < 22:
        raise Unreadable("This is not a zip file. Hand in a zip file.")
    count, size = struct.unpack_from("<HL", tail, start + 10)
    if count > MAX_ENTRIES or size > DIRECTORY_BYTES:
        raise Unreadable(f"There are more than {MAX_ENTRIES} files in the archive.")


def _sort_in(hand_in: HandIn, entries: Iterator[_Entry]) -> None:
    """Take modules and notebooks from the entries, those in helpers/ and near the top first."""
    taken: dict[tuple[str, str], _Entry] = {}
    for entry in entries:
        place = _place(entry.name)
        if place is None:
            continue
        if not entry.is_regular or not _is_safe(entry.name):
            reason = "a link, a path out of the hand-in, or a long name"
            hand_in.problems.append(f"{entry.name[:100]} was left out: {reason}.")
        elif place not in taken or _rank(entry.name) < _rank(taken[place].name):
            taken[place] = entry
            _take(hand_in, *place, entry)


def _take(hand_in: HandIn, kind: str, name: str, entry: _Entry) -> None:
    kept = hand_in.modules if kind == "module" else hand_in.notebooks
    try:
        content = entry.read()
    except Unreadable as error:
        hand_in.problems.append(str(error))
        return
    contents = [content, *hand_in.modules.values(), *hand_in.notebooks.values()]
    if len(contents) > MAX_FILES or sum(map(len, contents)) > ALL_BYTES:
        raise Unreadable("It is too large: only helpers/ and the notebooks are wanted.")
    kept[name] = content


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _rank(name: str) -> tuple[bool, int]:
    parts = _parts(name)
    return (parts[-2:-1] != ("helpers",), len(parts))


def _is_safe(name: str) -> bool:
    path = name.replace("\\", "/")
    leads_out = path.startswith("/") or ".." in _parts(name) or ":" in path
    n_bytes = len(_parts(name)[-1].encode("utf-8", "replace"))
    return not leads_out and "\0" not in path and n_bytes <= NAME_BYTES


def _place(name: str) -> tuple[str, str] | None:
    """Return what an entry is, "module" or "notebook", and its name; None if it isn't wanted."""
    parts = _parts(name)
    if not parts or any((part[0] == "." and part != "..") or part == "__MACOSX" for part in parts):
        return None
    file = parts[-1]
    if file.endswith(".ipynb"):
        return "notebook", file
    if file in WANTED or (file.endswith(".py") and parts[-2:-1] == ("helpers",)):
        return "module", file
    return None
