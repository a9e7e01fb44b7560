"""Reading hand-ins: what is in a folder or archive, without ever unpacking it to disk.

Only files that are wanted are read, by name, and into memory: Python modules of `helpers/` and the
notebooks. So paths that lead elsewhere, links, and bombs have nothing to break. Archives within are
looked into, and the same bounds hold for all of them together.
"""

import codecs
import hashlib
import os
import re
import stat
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

from grading.tarballs import gunzipped, is_gzipped, is_tar, members

WANTED = ("mlp.py", "training.py", "cnn.py")
ARCHIVE_BYTES = 100 << 20
FILE_BYTES = 20 << 20
ALL_BYTES = 60 << 20
MAX_ENTRIES = 5000
MAX_FILES = 200
MAX_PROBLEMS = 20
NAME_BYTES = 255  # more than that no file system takes
DIRECTORY_BYTES = 4 << 20
MAX_DEPTH = 3  # archives within archives
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
COPY = re.compile(r" ?\(\d+\)(?=\.py$)")  # what browsers add to the name of a second download
# By the mark that files begin with; that of UTF-32 begins with that of UTF-16.
ENCODINGS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
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
        _take(hand_in, folder_entries(path))
    except Unreadable as error:
        hand_in.problems.append(str(error))
    return hand_in


def read_entries(name: str, entries: Iterator["Entry"]) -> HandIn:
    """Return the hand-in made of files, wherever they lie; what is wrong with it is told.

    Raises OSError if they cannot be read now.
    """
    hand_in = HandIn(name)
    try:
        _take(hand_in, entries)
    except Unreadable as error:
        hand_in.problems.append(str(error))
    return opened(hand_in, name)


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
class Entry:
    """A file in a hand-in."""

    name: str
    is_regular: bool
    open: Callable[[], IO[bytes]]


def folder_entries(path: Path) -> Iterator[Entry]:
    """Yield the files of a folder; links are not followed, hidden folders passed over."""
    n_seen = 0
    for parent, folders, files in os.walk(path, onerror=_raise):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(files):
            n_seen += 1
            if n_seen > MAX_ENTRIES:
                raise Unreadable(f"There are more than {MAX_ENTRIES} files in it.")
            full = Path(parent, name)
            yield file_entry(full, str(full.relative_to(path)))


def file_entry(path: Path, name: str) -> Entry:
    """Return a file of the disk, called `name` in the hand-in."""
    return Entry(name, stat.S_ISREG(path.lstat().st_mode), partial(_open, path))


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
        _take(hand_in, _listed(content))
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(_damaged(error)) from error


def _damaged(error: Exception) -> str:
    told = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"The archive is damaged or encrypted ({told})."


def _listed(content: bytes) -> Iterator[Entry]:
    """Yield the files of a zip or tar archive."""
    if is_gzipped(content):
        content = gunzipped(content, ARCHIVE_BYTES)
        if len(content) > ARCHIVE_BYTES:
            raise Unreadable(f"The file has more than {ARCHIVE_BYTES >> 20} MB.")
    if is_tar(content):
        yield from (Entry(*member) for member in members(content))
    else:
        require_small_list(content)
        yield from zip_entries(zipfile.ZipFile(BytesIO(content)))


def _expanded(hand_in: HandIn, entries: Iterator[Entry], left: list[int]) -> Iterator[Entry]:
    """Yield all files, those in archives among them too; `left` is how many bytes may be read."""
    for entry in entries:
        yield entry
        is_archive = entry.name.lower().endswith(ARCHIVES) and not _is_passed_over(entry.name)
        if is_archive and entry.is_regular:
            try:
                yield from _inside(hand_in, entry, left)
            except OSError:
                raise
            except Exception as error:
                told = str(error) if isinstance(error, Unreadable) else _damaged(error)
                hand_in.problems.append(f"{entry.name[:100]}: {told}")


def _inside(hand_in: HandIn, entry: Entry, left: list[int]) -> Iterator[Entry]:
    with entry.open() as file:
        content = file.read(left[0] + 1)
    left[0] -= len(content)
    depth = len([part for part in _parts(entry.name) if part.lower().endswith(ARCHIVES)])
    if left[0] < 0 or depth > MAX_DEPTH:
        raise Unreadable("there is too much in it, or there are too many archives in each other.")
    inner = (replace(each, name=f"{entry.name}/{each.name}") for each in _listed(content))
    yield from _expanded(hand_in, inner, left)


def zip_entries(
    archive: zipfile.ZipFile, infos: Iterable[zipfile.ZipInfo] | None = None
) -> Iterator[Entry]:
    """Yield the files of a zip archive, or some of them."""
    for info in archive.infolist() if infos is None else infos:
        if not info.filename.endswith("/"):
            kind = stat.S_IFMT(info.external_attr >> 16)
            # Others than deflate are unpacked without a bound on what comes out.
            is_usual = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            is_regular = kind in (0, stat.S_IFREG) and is_usual
            yield Entry(info.filename, is_regular, partial(archive.open, info))


def require_small_list(content: bytes, factor: int = 1) -> None:
    """Raise Unreadable if the archive lists very many files, before the list is read.

    The end of its bytes is enough. `factor` is by how much more than a hand-in it may list.
    """
    start = content.rfind(END, -(22 + (1 << 16)))  # it may have a comment
    if start < 0 or len(content) - start < 22:
        raise Unreadable("This is not a zip file. Hand in a zip file.")
    count, size = struct.unpack_from("<HL", content, start + 10)
    if content[max(0, start - 20) :][:4] == LOCATOR:  # of a larger end that counts instead
        # Python looks right before the locator, whatever offset is written there.
        before = content[max(0, start - 76) :][:56]
        if before[:4] != LARGE_END:
            raise Unreadable("The end of the zip file is damaged.")
        count, size = struct.unpack_from("<QQ", before, 32)
    if count > factor * MAX_ENTRIES or size > factor * DIRECTORY_BYTES:
        raise Unreadable(f"There are more than {factor * MAX_ENTRIES} files in the archive.")


def _chosen(hand_in: HandIn, entries: Iterator[Entry]) -> dict[tuple[str, str], Entry]:
    """Return the modules and notebooks among the entries, those in helpers/ and near the top first.

    Nothing is read yet. What is left out is told.
    """
    chosen: dict[tuple[str, str], Entry] = {}
    others: list[tuple[str, Entry]] = []
    for n, entry in enumerate(entries):
        if n >= MAX_ENTRIES or len(chosen) > MAX_FILES:
            raise Unreadable("There are too many files: only helpers/ and notebooks are wanted.")
        place = _place(entry.name)
        if place is None:
            continue
        is_sound = entry.is_regular and _is_safe(entry.name)
        if place[0] == "other":
            others += [(place[1], entry)] * is_sound
        elif not is_sound:
            reason = "a link, a path out of the hand-in, or a long name"
            hand_in.problems.append(f"{entry.name[:100]} was left out: {reason}.")
        elif place not in chosen or _rank(entry.name) < _rank(chosen[place].name):
            chosen[place] = entry
    return _with_neighbours(chosen, others)


def _with_neighbours(
    chosen: dict[tuple[str, str], Entry], others: list[tuple[str, Entry]]
) -> dict[tuple[str, str], Entry]:
    """Add modules of the student's own that lie where the wanted ones lie, outside helpers/."""
    homes = {_parts(entry.name)[:-1] for (kind, _), entry in chosen.items() if kind == "module"}
    beside = [(name, entry) for name, entry in others if _parts(entry.name)[:-1] in homes]
    for name, entry in beside[:MAX_FILES]:
        chosen.setdefault(("module", name), entry)
    return chosen


def _take(hand_in: HandIn, entries: Iterator[Entry]) -> None:
    """Choose among the entries, and those in archives, and read what was chosen."""
    left = ALL_BYTES
    chosen = _chosen(hand_in, _expanded(hand_in, entries, [ARCHIVE_BYTES]))
    for (kind, name), entry in chosen.items():
        try:
            with entry.open() as file:
                content = file.read(min(FILE_BYTES, left) + 1)
        except OSError:
            raise
        except Exception as error:
            hand_in.problems.append(f"{entry.name[:100]} was left out. {_damaged(error)}")
            continue
        if len(content) > FILE_BYTES:
            large = f"{entry.name[:100]} was left out: it has more than {FILE_BYTES >> 20} MB."
            hand_in.problems.append(large)
            continue
        left -= len(content)
        if left < 0:
            raise Unreadable("It is too large: only helpers/ and the notebooks are wanted.")
        files = hand_in.modules if kind == "module" else hand_in.notebooks
        files[name] = _in_utf8(hand_in, name, content)


def _in_utf8(hand_in: HandIn, name: str, content: bytes) -> bytes:
    """Return a text that some editors of Windows wrote as UTF-16 in the encoding of Python."""
    encoding = next((ENCODINGS[mark] for mark in ENCODINGS if content.startswith(mark)), "")
    if not encoding:
        return content
    hand_in.problems.append(f"{name} is in {encoding.upper()}, and was read as such: use UTF-8.")
    return content.decode(encoding, "replace").encode()


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _rank(name: str) -> tuple[bool, bool, int]:
    parts = _parts(name)
    return (parts[-2:-1] != ("helpers",), bool(COPY.search(name)), len(parts))


def _is_safe(name: str) -> bool:
    path = name.replace("\\", "/")
    leads_out = path.startswith("/") or ".." in _parts(name) or ":" in path
    n_bytes = len(_parts(name)[-1].encode("utf-8", "replace"))
    return not leads_out and "\0" not in path and n_bytes <= NAME_BYTES


def is_hidden(part: str) -> bool:
    """Whether a file or folder is none that people look at."""
    return (part[:1] == "." and part != "..") or part == "__MACOSX"


def _is_passed_over(name: str) -> bool:
    return any(map(is_hidden, _parts(name)))


def _place(name: str) -> tuple[str, str] | None:
    """Return what an entry is, "module", "notebook" or "other", and its name; None if unwanted."""
    parts = _parts(name)
    if not parts or _is_passed_over(name):
        return None
    file = parts[-1]
    if file.endswith(".ipynb"):
        return "notebook", file
    if COPY.sub("", file) in WANTED:
        return "module", COPY.sub("", file)
    if file.endswith(".py"):
        return "module" if parts[-2:-1] == ("helpers",) else "other", file
    return None
