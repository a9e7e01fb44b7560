"""Fetching MNIST: from the mirror in MNIST_MIRROR if there is one, else from the public ones.

Public networks fail in many ways: no route, a name server that never answers, packets that vanish,
a login page instead of the file. All of them are found out before one deadline.
"""

import hashlib
import io
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from errno import EACCES, EDQUOT, EFBIG, EIO, ENOSPC, EPERM, EROFS
from http.client import HTTPException
from pathlib import Path
from shutil import copyfile
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, url2pathname, urlopen

# torchvision's own two; Google's copy stands between them, as the last one is mostly closed.
PUBLIC_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
SMALLEST_FILE = "t10k-labels-idx1-ubyte.gz"
PROBE_SECONDS = 5.0  # all mirrors together have this long to show that they are there
STALL_SECONDS = 8.0  # a download that stands still this long has ended
DISK_TROUBLE = {ENOSPC, EDQUOT, EFBIG, EROFS, EACCES, EPERM, EIO}


class DataError(RuntimeError):
    """The data can't be had as it should be; the message says what to do next."""


class OutOfReachError(Exception):
    """No mirror answered; the message says why."""


class _MirrorError(Exception):
    """One mirror answered, but not with MNIST, whole and unaltered."""


def fetch(folder: Path) -> None:
    """Download, verify and unpack the four files of MNIST into `folder`/MNIST/raw.

    Raises:
        OutOfReachError: no mirror answered.
        DataError: those that answered hold other files than wanted.
        OSError: `folder` can't be written to.
    """
    failures, silent = [], []
    for mirror, silence in _mirrors():
        if silence:
            silent.append(f"{mirror} {silence}")
            continue
        try:
            return _fetch_from(mirror, folder)
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
    probes = [_Probe(own.rstrip("/") + "/", trusted=True)] if own else []
    probes += [_Probe(mirror) for mirror in PUBLIC_MIRRORS]
    deadline = time.monotonic() + PROBE_SECONDS
    for probe in probes:
        probe.join(max(0, deadline - time.monotonic()))
        yield probe.mirror, probe.silence


def _as_folder(mirror: str) -> Path | None:
    """The folder that a mirror is, or None if it is on the net."""
    if mirror.startswith("file:"):
        return Path(url2pathname(urlsplit(mirror).path))
    return None if "://" in mirror else Path(mirror).expanduser()


class _Probe(threading.Thread):
    """Asks one mirror for its smallest file and keeps in `silence` why none came, or "".

    It is a daemon thread, because a name server that never answers can't be timed out. A public
    mirror must send a gzip file: the login page of a wireless network answers for any address.
    """

    def __init__(self, mirror: str, trusted: bool = False) -> None:
        super().__init__(daemon=True)
        self.mirror, self.trusted = mirror, trusted
        self.silence = f"gave no answer within {PROBE_SECONDS:g} s"
        self.start()

    def run(self) -> None:
        try:
            url = self.mirror + SMALLEST_FILE
            request = Request(url, headers={"User-Agent": "pytorch/vision"})
            with urlopen(request, timeout=PROBE_SECONDS) as answer:
                is_gzip = answer.read(2) == b"\x1f\x8b"
                self.silence = "" if is_gzip or self.trusted else "sent something other than MNIST"
        except HTTPError as error:
            self.silence = "" if self.trusted else f"answered {error.code} {error.reason}"
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            self.silence = f"failed: {getattr(reason, 'strerror', None) or reason}"


def _fetch_from(mirror: str, folder: Path) -> None:
    """Let torchvision do the work, with one mirror."""
    source = _as_folder(mirror)
    if source and not source.is_dir():
        raise _MirrorError("there is no such folder")
    from torchvision import datasets  # takes seconds to import, and is rarely needed

    class MNIST(datasets.MNIST):  # torchvision names the subfolder after the class
        mirrors = (mirror,)

    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    if source:
        _copy_archives(source, raw, MNIST.resources)  # there torchvision finds them
    try:
        with _quiet_and_impatient():
            MNIST(folder, train=False, download=True)
    except (OSError, RuntimeError, HTTPException) as error:
        if isinstance(error, OSError) and error.errno in DISK_TROUBLE:
            raise
        raise _MirrorError(_what_came(raw, MNIST.resources) or str(error)) from error


def _copy_archives(source: Path, raw: Path, resources: list[tuple[str, str]]) -> None:
    for archive, _ in resources:
        if (source / archive).is_file():
            copyfile(source / archive, raw / archive)
    if wrong := _what_came(raw, resources):
        raise _MirrorError(wrong)


def _what_came(raw: Path, resources: list[tuple[str, str]]) -> str:
    """Name the first archive that isn't the one wanted, or return ""."""
    for archive, wanted in resources:
        path = raw / archive
        if not path.is_file():
            return f"{archive} is missing"
        content = path.read_bytes()
        if (md5 := hashlib.md5(content, usedforsecurity=False).hexdigest()) != wanted:
            return f"{archive} has {len(content):,} bytes and MD5 {md5}, wanted MD5 {wanted}"
    return ""


@contextmanager
def _quiet_and_impatient() -> Iterator[None]:
    """No progress bars, since notebook outputs are compared; and an end to downloads that stall."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)
