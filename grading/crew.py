"""Work on what strangers sent, each piece in a process of its own that is thrown away afterwards.

Such a process has limits of its own, on memory and on time by the clock on the wall, and whatever
it dies of is a `Failed`. This process must have no other threads, for it forks.
"""

import ctypes
import gc
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, NoReturn, TypeVar

import psutil

Item = TypeVar("Item")
MAX_BYTES = 1 << 27  # of what a process gives back
DIE_WITH_PARENT = 1  # an option of prctl
GOOD, BAD = b"+", b"-"


@dataclass(frozen=True)
class Bounds:
    """How long a process may take, and how much memory it may add to what it starts with."""

    seconds: float
    memory_mb: int = 1024


@dataclass(frozen=True)
class Failed:
    """In place of what a process should have given: why it has not."""

    reason: str


@dataclass
class _Child(Generic[Item]):
    item: Item
    process: int
    seat: int
    end: float
    content: bytearray = field(default_factory=bytearray)


def in_processes(
    items: Iterable[Item], work: Callable[[Item, int], bytes], bounds: Bounds, n: int = 1
) -> Iterator[tuple[Item, bytes | Failed]]:
    """Yield each item with what `work` gives for it, as it comes from up to `n` processes at once.

    The second argument of `work` is its seat, below `n`: no two at once have the same one.
    """
    waiting, free, running = iter(items), list(range(n)), dict[int, _Child[Item]]()
    try:
        while True:
            for item in islice(waiting, len(free)):
                pipe, child = _start(item, work, free.pop(), bounds)
                running[pipe] = child
            if not running:
                return
            for pipe, outcome in list(_looks(running)):
                child = running.pop(pipe)
                _end(child.process, pipe)
                free.append(child.seat)
                yield child.item, outcome
    finally:
        for pipe, child in running.items():
            _end(child.process, pipe)


def alone(work: Callable[[], bytes], bounds: Bounds) -> bytes | Failed:
    """Return what a single piece of work gives."""
    return next(in_processes([None], lambda *_: work(), bounds))[1]


def _looks(running: dict[int, _Child[Item]]) -> Iterator[tuple[int, bytes | Failed]]:
    """Wait for a while, and yield the pipes of those that are done or have had their time."""
    end = min(child.end for child in running.values())
    ready = select.select([*running], [], [], max(0.0, end - time.monotonic()))[0]
    for pipe in ready:
        child = running[pipe]
        part = os.read(pipe, 1 << 20)
        child.content += part
        if not part:
            yield pipe, _outcome(bytes(child.content))
        elif len(child.content) > MAX_BYTES:
            yield pipe, Failed("what came of it is too large")
    for pipe in {*running} - {*ready}:
        if time.monotonic() > running[pipe].end:
            yield pipe, Failed("it was not done in time")


def _outcome(content: bytes) -> bytes | Failed:
    if content[:1] == GOOD:
        return content[1:]
    reason = content[1:].decode(errors="replace")
    return Failed(reason or "its process was ended, perhaps for want of memory")


def _start(
    item: Item, work: Callable[[Item, int], bytes], seat: int, bounds: Bounds
) -> tuple[int, _Child[Item]]:
    source, target = os.pipe()
    parent, process = os.getpid(), os.fork()
    if process == 0:
        _be_disposable(parent, bounds, target, lambda: work(item, seat))
    os.close(target)
    return source, _Child(item, process, seat, time.monotonic() + bounds.seconds)


def _be_disposable(parent: int, bounds: Bounds, target: int, work: Callable[[], bytes]) -> NoReturn:
    """Do the work in this process, tell what came of it, and end."""
    try:
        gc.freeze()  # no collection touches, and thereby copies, what its parent has
        os.setsid()  # so that Ctrl-C reaches whoever started this, and nobody else
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with(parent)
        memory = int(psutil.Process().memory_info()[5]) + (bounds.memory_mb << 20)
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]  # stays, for workers have more
        resource.setrlimit(resource.RLIMIT_DATA, (memory, hard))
        content = GOOD + work()
    except BaseException as error:
        name = "" if type(error).__name__ == "MarkerError" else f"{type(error).__name__}: "
        content = BAD + f"{name}{error}"[:2000].encode(errors="replace")
    with suppress(BaseException), os.fdopen(target, "wb") as file:
        file.write(content)
    os._exit(0)


def die_with(parent: int) -> None:
    """Have the kernel end this process when the thread of its `parent` that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _end(process: int, pipe: int) -> None:
    """End a process, if it hasn't yet, and its pipe."""
    os.close(pipe)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
