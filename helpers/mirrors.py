"""Fetching MNIST: from the mirror in MNIST_MIRROR if there is one, else from the public ones.

Public networks fail in many ways: no route, a name server that never answers, packets that vanish,
a byte a second, a login page instead of the file. All of them are found out in time, which is why
every download runs in a thread of its own and is watched: no library's time-out sees a slow drip.
"""

import gzip
import hashlib
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, url2pathname, urlopen

from helpers.files import read_file

# torchvision's own two; Google's copy stands between them, as the last one is mostly closed.
PUBLIC_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
SMALLEST_FILE = "t10k-labels-idx1-ubyte.gz"
PROBE_SECONDS = 5.0  # all mirrors together have this long to show that they are there
STALL_SECONDS = 8.0  # how often a download has to show that it goes on
SLOWEST = 2_000  # bytes per second; less has ended
LARGEST = 100_000_000  # bytes, packed or unpacked; the largest file of MNIST has 47 million

Checks = Mapping[str, Callable[[bytes], None]]


class DataError(RuntimeError):
    """The data can't be had as it should be; the message says what to do next."""


class OutOfReachError(Exception):
    """No mirror answered; the message says why."""


class _MirrorError(Exception):
    """One mirror answered, but not with MNIST, whole and unaltered."""


def fetch(checks: Checks, cache: Path) -> dict[str, bytes]:
    """Return the files that `checks` names, unpacked, from the first mirror that has all of them.

    A mirror holds each as `<name>.gz`; the folder `cache` is tried before all mirrors. Each check
    gets a file's content and raises DataError if it is not as it should be.

    Raises:
        OutOfReachError: no mirror answered.
        DataError: those that answered hold other files than wanted.
    """
    with suppress(_MirrorError):
        return _fetch_from(cache, checks)
    failures, silent = [], []
    for mirror, silence in _mirrors():
        if silence:
            silent.append(f"{mirror} {silence}")
            continue
        try:
            return _fetch_from(mirror, checks)
        except _MirrorError as error:
            failures.append(f"  {mirror}: {error}")
    if not failures:
        raise OutOfReachError(f"No MNIST mirror was in reach ({'; '.join(silent)}).")
    raise DataError(
        "No mirror delivered MNIST. Found:\n" + "\n".join(failures) + "\n"
        "Wanted: the four original .gz files of MNIST, whole and unaltered.\n"
        "The likely cause is a download cut short, or an MNIST_MIRROR that holds something else.\n"
        "Next step: check MNIST_MIRROR if you set it, then run this again "
        "(MNIST_MIRROR=stand-in works without MNIST)."
    )


def _mirrors() -> Iterator[tuple[str, str]]:
    """Each mirror, in order of preference, with the reason why it can't be asked or ""."""
    own = os.environ.get("MNIST_MIRROR", "")
    if own and _as_folder(own):
        yield own, ""
        own = ""
    mirrors = [own.rstrip("/") + "/"] if own else []
    mirrors += PUBLIC_MIRRORS
    probes = [_Download(mirror + SMALLEST_FILE, size=2) for mirror in mirrors]
    deadline = time.monotonic() + PROBE_SECONDS
    for mirror, probe in zip(mirrors, probes, strict=True):
        probe.join(max(0, deadline - time.monotonic()))
        yield mirror, _silence(probe, trusted=bool(own) and mirror == mirrors[0])


def _as_folder(mirror: str) -> Path | None:
    """The folder that a mirror is, or None if it is on the net."""
    if mirror.startswith("file:"):
        return Path(url2pathname(urlsplit(mirror).path))
    # Not Path.expanduser, which fails for a user that does not exist.
    return None if "://" in mirror else Path(os.path.expanduser(mirror))  # noqa: PTH111


class _Download(threading.Thread):
    """Reads `size` bytes of a URL or more, if it has so many, into `content`; or keeps the `error`.

    It is a daemon thread, because a name server that never answers can't be timed out.
    """

    def __init__(self, url: str, size: int = LARGEST) -> None:
        super().__init__(daemon=True)
        self.url, self.size = url, size
        self.content = bytearray()
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


def _silence(probe: _Download, trusted: bool) -> str:
    """Why a mirror can't be asked, or "".

    A public mirror must send a gzip file: the login page of a wireless network answers for any
    address.
    """
    if probe.is_alive():
        return f"gave no answer within {PROBE_SECONDS:g} s"
    if isinstance(probe.error, HTTPError):
        return "" if trusted else f"answered {probe.error.code} {probe.error.reason}"
    if probe.error:
        return f"failed: {_reason(probe.error)}"
    is_gzip = probe.content[:2] == b"\x1f\x8b"
    return "" if is_gzip or trusted else "sent something other than MNIST"


def _reason(error: Exception) -> str:
    error = getattr(error, "reason", error)
    return str(getattr(error, "strerror", None) or error)


def _fetch_from(mirror: str | Path, checks: Checks) -> dict[str, bytes]:
    """Read, unpack and check every file of one mirror."""
    folder = mirror if isinstance(mirror, Path) else _as_folder(mirror)
    contents = {}
    if folder and not os.path.isdir(folder):  # noqa: PTH112  # no path is too odd for it
        raise _MirrorError(
            "there is no such folder (an address on the net begins with http:// or https://)"
        )
    for name, check in checks.items():
        archive = f"{name}.gz"
        packed = _read(folder / archive) if folder else _download(f"{mirror}{archive}", archive)
        try:
            with gzip.open(BytesIO(packed)) as file:
                contents[name] = file.read(LARGEST)
            check(contents[name])
        except (DataError, OSError, EOFError, zlib.error) as error:
            md5 = hashlib.md5(packed, usedforsecurity=False).hexdigest()
            raise _MirrorError(
                f"{archive} has {len(packed):,} bytes and MD5 {md5}: {error}"
            ) from error
    return contents


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except FileNotFoundError:
        raise _MirrorError(f"{path.name} is missing") from None
    except OSError as error:
        raise _MirrorError(f"{path.name} can't be read: {error.strerror}") from error


def _download(url: str, name: str) -> bytes:
    """Return what a URL holds, as long as it comes fast enough."""
    download, before = _Download(url), 0
    while True:
        download.join(STALL_SECONDS)
        if not download.is_alive():
            break
        gained, before = len(download.content) - before, len(download.content)
        if gained < SLOWEST * STALL_SECONDS:
            download.size = 0  # which ends it with the next byte
            raise _MirrorError(f"{name} is too slow: {gained:,} bytes in {STALL_SECONDS:g} s")
    if isinstance(download.error, HTTPError):
        raise _MirrorError(f"{name} is missing: the answer was {download.error.code}")
    if download.error:
        raise _MirrorError(f"{name} can't be read: {_reason(download.error)}")
    return bytes(download.content)
