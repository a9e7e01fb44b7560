"""Fetching a data set: from the mirror in MNIST_MIRROR if there is one, else from the public ones.

Public networks fail in many ways: no route, a name server that never answers, packets that vanish,
a byte a second, a login page instead of the file. All of them are found out in time, which is why
every download runs in a thread of its own and is watched: no library's time-out sees a slow drip.
"""

import hashlib
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, url2pathname, urlopen

from machine.files import read_file

SMALLEST_FILE = "t10k-labels-idx1-ubyte.gz"
PROBE_SECONDS = 5.0  # all mirrors together have this long to show that they are there
STALL_SECONDS = 8.0  # how often a download has to show that it goes on
SLOWEST = 2_000  # bytes per second; less has ended
LARGEST = 100_000_000  # bytes, packed or unpacked; the largest of the known files has 47 million
WANTED = """\
Wanted: the four original .gz files of {name}, whole and unaltered.
The likely cause is a download cut short, or an MNIST_MIRROR that holds something else.
Next step: check MNIST_MIRROR if you set it, then run this again (DIGITS_DATA=MNIST with \
MNIST_MIRROR=stand-in works without any download)."""

Checks = Mapping[str, Callable[[bytes], None]]


class DataError(RuntimeError):
    """The data can't be had as it should be; the message says what to do next."""


class OutOfReachError(Exception):
    """No mirror answered; the message says why."""


def fetch(
    name: str, public_mirrors: Sequence[str], checks: Checks, cache: Path
) -> dict[str, bytes]:
    """Return the files that `checks` names, unpacked, from the first mirror that has all of them.

    A mirror holds each as `<name>.gz`; the folder `cache` is tried before the one in MNIST_MIRROR,
    and that before the `public_mirrors` of the data set called `name`. Each check gets a file's
    content and raises DataError if it is not as it should be.

    Raises:
        OutOfReachError: no mirror answered.
        DataError: those that answered hold other files than wanted.
    """
    with suppress(DataError):
        return _fetch_from(cache, checks)
    failures, silent = [], []
    for mirror, silence in _mirrors(name, public_mirrors):
        try:
            if not silence:
                return _fetch_from(mirror, checks)
            silent.append(f"{mirror} {silence}")
        except DataError as error:
            failures.append(f"  {mirror}: {error}")
    # MNIST_MIRROR may hold bytes that are no text; then they are shown escaped.
    found = ("\n".join(failures) or "; ".join(silent)).encode(errors="backslashreplace").decode()
    if not failures:
        raise OutOfReachError(f"No {name} mirror was in reach ({found}).")
    raise DataError(f"No mirror delivered {name}. Found:\n{found}\n{WANTED.format(name=name)}")


def _mirrors(name: str, public: Sequence[str]) -> Iterator[tuple[Path | str, str]]:
    """Each mirror, in order of preference, with the reason why it can't be asked or ""."""
    own = os.environ.get("MNIST_MIRROR", "")
    if own and (folder := _as_folder(own)):
        yield folder, ""
        own = ""
    mirrors = [own.rstrip("/") + "/", *public] if own else [*public]
    probes = [_Download(mirror + SMALLEST_FILE, size=2) for mirror in mirrors]
    deadline = time.monotonic() + PROBE_SECONDS
    for mirror, probe in zip(mirrors, probes, strict=True):
        probe.join(max(0, deadline - time.monotonic()))
        yield mirror, _silence(name, probe, trusted=bool(own) and mirror == mirrors[0])


def _as_folder(mirror: str) -> Path | None:
    """The folder that a mirror is, or None if it is on the net."""
    if mirror.startswith("file:"):
        with suppress(ValueError, OSError):  # then the download says what is wrong with it
            return Path(url2pathname(urlsplit(mirror).path))
    return None if "://" in mirror else Path(os.path.expanduser(mirror))  # noqa: PTH111  # never fails


class _Download(threading.Thread):
    """Reads the first `size` bytes of a URL, or more, into `content`; or keeps the `error`."""

    def __init__(self, url: str, size: int = LARGEST) -> None:
        super().__init__(daemon=True)  # as a name server that never answers can't be timed out
        self.url, self.size, self.content = url, size, bytearray()
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            request = Request(self.url, headers={"User-Agent": "pytorch/vision"})
            with urlopen(request, timeout=STALL_SECONDS) as answer:
                while len(self.content) < self.size and (part := answer.read1(1 << 16)):
                    self.content += part
        except Exception as error:  # which ones an odd address leads to, no list says
            self.error = error


def _silence(name: str, probe: _Download, trusted: bool) -> str:
    """Why a mirror can't be asked, or "". Of one that is trusted, any answer will do."""
    if probe.is_alive():
        return f"gave no answer within {PROBE_SECONDS:g} s"
    if probe.error and not (trusted and isinstance(probe.error, HTTPError)):
        return f"failed: {_reason(probe.error)}"
    # Others must send a gzip file: a wireless network's login page answers for any address.
    is_right = trusted or probe.content[:2] == b"\x1f\x8b"
    return "" if is_right else f"sent something other than {name}"


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"it answered {error.code} {error.reason}"
    error = getattr(error, "reason", error)
    return str(getattr(error, "strerror", None) or error)


def _fetch_from(mirror: Path | str, checks: Checks) -> dict[str, bytes]:
    """Read, unpack and check every file of one mirror: a folder, or the beginning of addresses."""
    if isinstance(mirror, Path) and not os.path.isdir(mirror):  # noqa: PTH112  # never fails
        hint = "an address on the net begins with http:// or https://"
        raise DataError(f"there is no such folder ({hint})")
    contents = {}
    for name, check in checks.items():
        packed = _read(mirror, f"{name}.gz")
        md5 = hashlib.md5(packed, usedforsecurity=False).hexdigest()
        try:
            contents[name] = zlib.decompressobj(wbits=31).decompress(packed, LARGEST)  # 31: gzip
            check(contents[name])
        except (DataError, zlib.error) as error:
            came = f"{len(packed):,} bytes and MD5 {md5}"
            raise DataError(f"{name}.gz has {came}: {error}") from error
    return contents


def _read(mirror: Path | str, archive: str) -> bytes:
    try:
        return read_file(mirror / archive) if isinstance(mirror, Path) else _watch(mirror + archive)
    except Exception as error:
        is_missing = isinstance(error, FileNotFoundError | HTTPError)
        trouble = "is missing" if is_missing else "can't be read"
        raise DataError(f"{archive} {trouble}: {_reason(error)}") from error


def _watch(url: str) -> bytes:
    """Download a URL for as long as it comes fast enough."""
    download, before = _Download(url), 0
    download.join(STALL_SECONDS)
    while download.is_alive():
        gained, before = len(download.content) - before, len(download.content)
        if gained < SLOWEST * STALL_SECONDS:
            download.size = 0  # which ends it with the next byte
            raise TimeoutError(f"too slow: {gained:,} bytes in {STALL_SECONDS:g} s")
        download.join(STALL_SECONDS)
    if download.error:
        raise download.error
    return bytes(download.content)
