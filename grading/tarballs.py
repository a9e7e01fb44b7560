"""Tar archives, compressed or not, read in memory."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import IO

Member = tuple[
    str, bool, Callable[[], IO[bytes]]
]  # name, whether it is a regular file, how to open
MAGIC, AT = b"ustar", 257


def is_gzipped(content: bytes) -> bool:
    """Whether these are bytes that gzip made."""
    return content[:2] == b"\x1f\x8b"


def gunzipped(content: bytes, limit: int) -> bytes:
    """Return what was compressed, or of more than `limit` bytes the first `limit` + 1.

    Raises tarfile.ReadError if it is damaged.
    """
    try:
        with gzip.open(BytesIO(content)) as file:
            return file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise tarfile.ReadError(str(error)) from error


def is_tar(content: bytes) -> bool:
    """Whether these are the bytes of a tar archive."""
    return content[AT : AT + len(MAGIC)] == MAGIC


def members(content: bytes) -> Iterator[Member]:
    """Yield the files of a tar archive. Raises tarfile.TarError if it is damaged."""
    archive = tarfile.open(fileobj=BytesIO(content), mode="r:")  # noqa: SIM115  # read later
    for info in archive:
        if not info.isdir():
            yield info.name, info.isreg() and not info.issparse(), partial(_open, archive, info)


def _open(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    assert file is not None  # it is regular
    return file
