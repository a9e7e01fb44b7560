"""What a download holds: the files and folders at its top, whether it is a folder or an archive."""

import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from grading.archives import (
    ARCHIVES,
    WANTED,
    Entry,
    Unreadable,
    file_entry,
    folder_entries,
    is_hidden,
    require_small_list,
    zip_entries,
)
from grading.collect.systems import recognized

MANY = 20  # by how much more files than a hand-in the archive of a class may hold
METADATA = "submission_metadata.yml"
NO_HAND_IN = re.compile(r".*\.csv|Thumbs\.db|desktop\.ini", re.IGNORECASE)
TAIL = 1 << 17  # of an archive: more than its end can take


@dataclass(frozen=True)
class Child:
    """A file or folder at the top of a download, and the files in it."""

    name: str
    entries: Callable[[], Iterator[Entry]]
    path: Path | None = None  # if it lies on the disk
    is_folder: bool = False
    is_repository: bool = False


def read_download(path: Path, is_class: bool = False) -> list[Child]:
    """Return what people handed in; a folder or archive around all of it is passed over.

    Whether an archive holds a class or a single hand-in is found out unless it `is_class`.

    Raises FileNotFoundError if there is no such file, ValueError if nothing is in it.
    """
    children = _of_folder(path) if path.is_dir() else _of_archive(path)
    if not children and path.is_dir():
        raise ValueError(f"{path} holds no hand-ins: wanted archives, or folders with helpers/.")
    one = _on_disk(path)
    if not children or _is_hand_in(children):
        return [one]
    names = [child.name for child in children]
    if len(children) == 1 and children[0].path and not recognized(names):
        inner = read_download(children[0].path, is_class)
        return inner if len(inner) > 1 or recognized([inner[0].name]) else children
    is_class = is_class or path.is_dir() or bool(recognized(names)) or _look_like_hand_ins(children)
    return children if is_class else [one]


def _is_hand_in(children: Iterable[Child]) -> bool:
    return any(
        child.name == "helpers" if child.is_folder else child.name in WANTED for child in children
    )


def _look_like_hand_ins(children: Sequence[Child]) -> bool:
    """Whether there are several that may each be somebody's."""
    return sum(map(_may_be_hand_in, children)) > 1


def _may_be_hand_in(child: Child) -> bool:
    if child.is_repository or child.name.lower().endswith(ARCHIVES):
        return True
    files = (entry.name.replace("\\", "/").rpartition("/")[2] for entry in child.entries())
    return child.is_folder and any(
        name in WANTED or name.lower().endswith(ARCHIVES) for name in files
    )


def _is_wanted(name: str) -> bool:
    return not is_hidden(name) and not NO_HAND_IN.fullmatch(name)


def _on_disk(path: Path) -> Child:
    is_folder = path.is_dir() and not path.is_symlink()
    entries = partial(folder_entries, path) if is_folder else partial(_alone, path)
    return Child(path.name, entries, path, is_folder, (path / ".git").exists())


def _alone(path: Path) -> Iterator[Entry]:
    yield file_entry(path, path.name)


def _of_folder(path: Path) -> list[Child]:
    return [_on_disk(inner) for inner in sorted(path.iterdir()) if _is_wanted(inner.name)]


def _of_archive(path: Path) -> list[Child]:
    """Return what is at the top of a zip archive; nothing if it is none, or no sound one."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return []
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            require_small_list(file.read(), MANY)
        archive = zipfile.ZipFile(path)  # it is read later
    except (Unreadable, zipfile.BadZipFile, ValueError, NotImplementedError):
        return []
    return _grouped(path, archive)


def _grouped(path: Path, archive: zipfile.ZipFile) -> list[Child]:
    """Return the files of an archive by the first part of their names, below all common folders."""
    files = [(info, _parts(info.filename)) for info in archive.infolist() if not info.is_dir()]
    files = [(info, parts) for info, parts in files if parts and _is_wanted(parts[0])]
    depth = 0
    while _are_wrapped([parts[depth:] for _, parts in files]):
        depth += 1
    groups: dict[str, list[tuple[zipfile.ZipInfo, list[str]]]] = {}
    for info, parts in files:
        if _is_wanted(parts[depth]):
            groups.setdefault(parts[depth], []).append((info, parts))
    return [
        Child(
            name,
            partial(_in_archive, path, archive, [info for info, _ in group], depth),
            is_folder=len(group[0][1]) > depth + 1,
            is_repository=any(".git" in parts for _, parts in group),
        )
        for name, group in sorted(groups.items())
    ]


def _parts(name: str) -> list[str]:
    return [*filter(None, name.replace("\\", "/").split("/"))]


def _are_wrapped(files: Sequence[Sequence[str]]) -> bool:
    """Whether all files lie in one folder that is nobody's hand-in."""
    first = {parts[0] for parts in files}
    is_folder = all(len(parts) > 1 for parts in files)
    return len(first) == 1 and is_folder and first != {"helpers"} and not recognized([*first])


def _in_archive(
    path: Path, archive: zipfile.ZipFile, infos: Iterable[zipfile.ZipInfo], depth: int
) -> Iterator[Entry]:
    # This process may be a copy of the one that read the list: their place in the file is shared.
    archive.fp = path.open("rb")
    for entry in zip_entries(archive, infos):
        *folders, file = _parts(entry.name)[depth:]
        yield replace(entry, name="/".join([*folders[1:], file]))
