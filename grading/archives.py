"""Reading hand-ins: what is in a folder or zip file, without ever unpacking it to disk.

Only files that are wanted are read, by name, and into memory: Python modules of `helpers/` and the
notebooks. So paths that lead elsewhere, links, and bombs have nothing to break.
"""

import hashlib
import os
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

WANTED = ("mlp.py", "training.py", "cnn.py")
ARCHIVE_BYTES = 100 << 20
FILE_BYTES = 20 << 20
ALL_BYTES = 60 << 20
MAX_ENTRIES = 5000
MAX_FILES = 200
MAX_PROBLEMS = 20
NAME_BYTES = 255  # more than that no file system takes
DIRECTORY_BYTES = 4 << 20
# Where the end of an archive says how many entries its list has, and how many bytes.
END, LOCATOR, LARGE_END = b"PK\5\6", b"PK\6\7", b"PK\6\6"


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


def fetch(path: Path) -> HandIn | bytes:
    """Return what is in a folder, or the bytes of a zip file, into which nobody has looked yet.

    Raises OSError if it cannot be read now, which says nothing of what is in it.
    """
    hand_in = HandIn(read_name(path))
    try:
        if not path.is_dir() or path.is_symlink():
            return _archive(path)
        _take(hand_in, _chosen(hand_in, _folder(path)))
    except Unreadable as error:
        hand_in.problems.append(str(error))
    return hand_in


def opened(found: HandIn | bytes, name: str) -> HandIn:
    """Return the hand-in called `name` that was fetched; what is wrong with it is told."""
    hand_in = HandIn(name) if isinstance(found, bytes) else replace(found, name=name)
    problems = hand_in.problems
    try:
        if isinstance(found, bytes):
            _take_from_archive(hand_in, found)
    except Unreadable as error:
        problems.append(str(error))
    if not hand_in.modules:
        problems.append("No helpers/mlp.py, training.py or cnn.py was found in it.")
    n_more = len(problems) - MAX_PROBLEMS
    problems[:] = [printable(problem) for problem in problems[:MAX_PROBLEMS]]
    problems += [f"There are {n_more} more problems like these."] if n_more > 0 else []
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


def _folder(path: Path) -> Iterator[_Entry]:
    """Yield the files of a folder; links are not followed."""
    n_seen = 0
    for parent, folders, files in os.walk(path, onerror=_raise):
        folders.sort()
        for name in sorted(files):
            n_seen += 1
            if n_seen > MAX_ENTRIES:
                raise Unreadable(f"There are more than {MAX_ENTRIES} files in it.")
            full = Path(parent, name)
            is_regular = stat.S_ISREG(full.lstat().st_mode)
            yield _Entry(str(full.relative_to(path)), is_regular, partial(_open, full))


def _raise(error: OSError) -> None:
    raise error


def _open(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _archive(path: Path) -> bytes:
    """Return the bytes of an archive. Raises Unreadable, or OSError."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise Unreadable("This is a link or no file at all. Hand in a zip file.")
    with _open(path) as file:
        content = file.read(ARCHIVE_BYTES + 1)
    if len(content) > ARCHIVE_BYTES:
        raise Unreadable(f"The file has more than {ARCHIVE_BYTES >> 20} MB.")
    return content


def _take_from_archive(hand_in: HandIn, content: bytes) -> None:
    """Take what is wanted of an archive; whatever a broken one raises is a problem of its own."""
    try:
        _require_small_list(content)
        with zipfile.ZipFile(BytesIO(content)) as archive:
            _take(hand_in, _chosen(hand_in, _entries(archive)))
    except Unreadable:
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {error}".rstrip(": ")
        raise Unreadable(f"The zip file is damaged or encrypted ({told}).") from error


def _entries(archive: zipfile.ZipFile) -> Iterator[_Entry]:
    """Yield the files of a zip archive."""
    for info in archive.infolist():
        if not info.filename.endswith("/"):
            kind = stat.S_IFMT(info.external_attr >> 16)
            # Others than deflate are unpacked without a bound on what comes out.
            is_usual = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            is_regular = kind in (0, stat.S_IFREG) and is_usual
            yield _Entry(info.filename, is_regular, partial(archive.open, info))


def _require_small_list(content: bytes) -> None:
    """Raise Unreadable if the archive lists very many files, before the list is read."""
    start = content.rfind(END, -(22 + (1 << 16)))  # it may have a comment
    if start < 0 or len(content) - start < 22:
        raise Unreadable("This is not a zip file. Hand in a zip file.")
    lists = [struct.unpack_from("<HL", content, start + 10)]
    if content[max(0, start - 20) :][:4] == LOCATOR:  # of a larger end that counts instead
        # Python looks right before the locator, whatever offset is written there.
        before = content[max(0, start - 76) :][:56]
        if before[:4] != LARGE_END:
            raise Unreadable("The end of the zip file is damaged.")
        lists.append(struct.unpack_from("<QQ", before, 32))
    if any(count > MAX_ENTRIES or size > DIRECTORY_BYTES for count, size in lists):
        raise Unreadable(f"There are more than {MAX_ENTRIES} files in the archive.")


def _chosen(hand_in: HandIn, entries: Iterator[_Entry]) -> dict[tuple[str, str], _Entry]:
    """Return the modules and notebooks among the entries, those in helpers/ and near the top first.

    Nothing is read yet. What is left out is told.
    """
    chosen: dict[tuple[str, str], _Entry] = {}
    for n, entry in enumerate(entries):
        place = _place(entry.name)
        if n >= MAX_ENTRIES or len(chosen) > MAX_FILES:
            raise Unreadable("There are too many files: only helpers/ and notebooks are wanted.")
        if place is None:
            continue
        if not entry.is_regular or not _is_safe(entry.name):
            reason = "a link, a path out of the hand-in, or a long name"
            hand_in.problems.append(f"{entry.name[:100]} was left out: {reason}.")
        elif place not in chosen or _rank(entry.name) < _rank(chosen[place].name):
            chosen[place] = entry
    return chosen


def _take(hand_in: HandIn, chosen: dict[tuple[str, str], _Entry]) -> None:
    """Read what was chosen."""
    left = ALL_BYTES
    for (kind, name), entry in chosen.items():
        with entry.open() as file:
            content = file.read(min(FILE_BYTES, left) + 1)
        if len(content) > FILE_BYTES:
            large = f"{entry.name[:100]} was left out: it has more than {FILE_BYTES >> 20} MB."
            hand_in.problems.append(large)
            continue
        left -= len(content)
        if left < 0:
            raise Unreadable("It is too large: only helpers/ and the notebooks are wanted.")
        (hand_in.modules if kind == "module" else hand_in.notebooks)[name] = content


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
