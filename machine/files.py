"""Writing files so that nobody ever finds half of one, and reading only what is a file."""

import hashlib
import json
import re
import stat
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from errno import EINVAL, EISDIR
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where an open file can't be deleted anyway
    fcntl = None  # type: ignore[assignment]

# What stands under a name that is asked for as a file.
KINDS: dict[str, Callable[[int], bool]] = {
    "a folder": stat.S_ISDIR,
    "a named pipe": stat.S_ISFIFO,
    "a socket": stat.S_ISSOCK,
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
}


def read_file(path: Path) -> bytes:
    """Return what the file at `path` holds.

    Raises OSError if it can't be read (FileNotFoundError if there is none), or if it is no file:
    reading a named pipe could wait for ever.
    """
    mode = path.stat().st_mode
    for kind, fits in KINDS.items():
        if fits(mode):
            code = EISDIR if stat.S_ISDIR(mode) else EINVAL
            raise OSError(code, f"this is {kind}, wanted a file", str(path))
    return path.read_bytes()


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Give a temporary file beside `path` to write to, and move it into place when all went well.

    If the block raises, the temporary file is removed and whatever stood at `path` stays. What
    interrupted writings of the same file have left behind is removed as well. Missing parent
    folders are made. Raises IsADirectoryError if a folder stands at `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(EISDIR, "a folder stands where this file should go", str(path))
    _clear_leftovers(path)
    file = _locked_temporary(path)
    temporary = Path(file.name)
    try:
        with file:
            yield file
            file.flush()
            if fcntl:
                temporary.replace(path)  # while it is locked, so that nobody takes it for left over
        if not fcntl:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _locked_temporary(path: Path) -> BinaryIO:
    """Open a new file beside `path`, locked for as long as it is open and its process lives."""
    while True:
        # The name is random because two processes may save the same file at once.
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        file = temporary.open("xb")
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        if temporary.exists():  # nobody cleared it away before it was locked
            return file
        file.close()


def _clear_leftovers(path: Path) -> None:
    """Remove the temporary files of `path` that no living process holds."""
    temporary = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{32}}")
    for leftover in path.parent.iterdir():
        if temporary.fullmatch(leftover.name):
            with suppress(OSError):  # it is locked; or, on Windows, open
                if fcntl:
                    with leftover.open("rb") as file:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        leftover.unlink()
                else:
                    leftover.unlink()


def sealed(archive: bytes) -> bytes:
    """Return a zip archive with the SHA-256 of all its bytes appended, as the archive's comment."""
    seal = b"sha256:" + hashlib.sha256(archive).hexdigest().encode()
    return archive[:-2] + len(seal).to_bytes(2, "little") + seal  # the length of the comment


def require_undamaged(archive: bytes) -> None:
    """Raise ValueError if a zip archive isn't as it was written.

    One that was not `sealed` must agree with the checksums that every zip archive has.
    """
    with zipfile.ZipFile(BytesIO(archive)) as file:
        seal, damaged = file.comment, file.testzip()
    unsealed = archive[: len(archive) - len(seal) - 2] + b"\0\0"
    if damaged or (seal and sealed(unsealed) != archive):
        raise ValueError("the archive is damaged: its checksum is another")


@contextmanager
def write_together(manifest: Path) -> Iterator[Callable[[Path], BinaryIO]]:
    """Give a function that opens files which belong together; all are put into place, or none.

    `manifest` gets the SHA-256 of each, by name. It is put into place first: a mixture of old and
    new files, left by a crash, then contradicts it, and `require_together` refuses it.
    """
    sums: dict[str, str] = {}
    with ExitStack() as stack:
        opened: dict[Path, BinaryIO] = {}

        def open_file(path: Path) -> BinaryIO:
            opened[path] = stack.enter_context(atomic_write(path))
            return opened[path]

        yield open_file
        for path, file in opened.items():
            file.flush()
            sums[path.name] = hashlib.sha256(read_file(Path(file.name))).hexdigest()
        with atomic_write(manifest) as file:
            file.write(json.dumps({"sha256": sums}, indent=1).encode() + b"\n")


def require_together(manifest: Path, contents: Mapping[Path, bytes]) -> None:
    """Raise ValueError unless the files, by path, are those that `manifest` was written with.

    Without a manifest they are taken as they are.
    """
    if not manifest.exists():
        return
    try:
        sums = dict(json.loads(read_file(manifest))["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{manifest} is damaged: save the files that it lists again.") from error
    strangers = [
        path.name
        for path, content in contents.items()
        if sums.get(path.name) != hashlib.sha256(content).hexdigest()
    ]
    if strangers:
        raise ValueError(
            f"{', '.join(strangers)} in {manifest.parent}: not what {manifest.name} was written "
            "with. Saving was interrupted, or a file was replaced; save all of them again."
        )
