"""A worker's watch holds it to its limits, whatever the worker and the marker do meanwhile."""

import math
import os
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import ClassVar

from grading.sandbox.limits import WALL_FACTOR, Budget, Limits, MarkerError
from grading.sandbox.processes import WorkerProcess

POLL = 0.1  # seconds between two looks


class WorkerError(Exception):
    """The worker gave no answer that could be used; its name and text are for the student."""

    frames: ClassVar[list[traceback.FrameSummary]] = []  # it arose in no line of the student's


class TimeLimit(WorkerError):  # noqa: N818  # students read these names
    """No answer in time."""


class MemoryLimit(WorkerError):  # noqa: N818
    """More memory than allowed."""


class Clock:
    """The time that a worker has for a request: all of it, but for waiting for a free core.

    A worker that waits because its own children compute gains nothing by that: what all of them
    compute counts as well.
    """

    def __init__(self, queues: Sequence[int], limit: float) -> None:
        self.queues, self.limit, self.begun = queues, limit, time.monotonic()
        self.waited = self.latest = self._waiting()
        self.cpu: float | None = None

    def counted(self) -> float:
        """Return the seconds that count until now."""
        self.latest = max(self.latest, self._waiting())  # it falls when the worker has ended
        return time.monotonic() - self.begun - (self.latest - self.waited)

    def is_over(self, cpu: float) -> bool:
        """Say whether the time is up, or has been for long by the clock on the wall.

        `cpu` are the seconds that all of the worker's processes have computed since its start.
        """
        self.cpu = cpu if self.cpu is None else self.cpu
        wall = time.monotonic() - self.begun
        return wall > self.limit * WALL_FACTOR or max(self.counted(), cpu - self.cpu) > self.limit

    def _waiting(self) -> float:
        return sum(map(_waited, self.queues))


class Watch:
    """Looks at a worker ten times a second, from a thread, and ends it if it exceeds a limit.

    A worker is charged for its calls or for what its processes compute, whichever is more, so that
    nothing that runs on between two calls is free.
    """

    def __init__(self, process: WorkerProcess, limits: Limits, budget: Budget) -> None:
        self.process, self.limits, self.budget = process, limits, budget
        self.clock: Clock | None = None
        self.free = math.inf  # what was computed at the start costs nothing
        self.counted = self.computed = self.charged = 0.0  # seconds
        self.reason: WorkerError | MarkerError | None = None  # why the worker was ended

    def start(self) -> None:
        """Begin to look, until the process is closed."""
        self.process.queues += _queue("self")
        self.process.watch = threading.Thread(target=self._run, daemon=True)
        self.process.watch.start()

    def begin_to_charge(self) -> None:
        """Let what comes from now on count."""
        for worker in self.process.family()[1:2]:
            self.process.queues += _queue(str(worker.pid))
        self.free = self.process.cpu_seconds()

    @contextmanager
    def timing(self, seconds: float, *, counts: bool = True) -> Iterator[None]:
        """Give the worker so much time for the request in the block, which `counts` or is free."""
        clock = self.clock = Clock(self.process.queues, seconds)
        try:
            yield
        finally:
            self.clock = None
            self.counted += clock.counted() * counts
            self._charge()

    def settle(self) -> float:
        """Charge what was computed until now, and return the seconds since the worker's start."""
        cpu = self.process.cpu_seconds()
        self.computed = max(self.computed, cpu - self.free)
        self._charge()
        return cpu

    def _charge(self) -> None:
        with self.budget.lock:
            cost = max(self.counted, self.computed, self.charged)
            self.budget.used += cost - self.charged
            self.charged = cost

    def _run(self) -> None:
        try:
            while not (self.reason or self.process.closed.wait(POLL)):
                self.reason = self._exceeded()
        except BaseException as error:  # nobody may run on without being looked at
            self.reason = MarkerError(f"A worker could not be watched: {error!r}")
        if self.reason:
            self.process.end()

    def _exceeded(self) -> WorkerError | None:
        """Look at the worker, and return which limit it has exceeded."""
        clock, cpu = self.clock, self.settle()
        if clock and clock.is_over(cpu):
            return TimeLimit(
                f"no answer within {clock.limit:.3g} seconds; see whether a loop never ends"
            )
        if self.free < math.inf and self.budget.left <= 0:
            return TimeLimit("the time for this exercise is used up")
        return self.too_large() if self.process.is_too_large(self.limits) else None

    def too_large(self) -> MemoryLimit:
        """Return the error of a worker with too much memory."""
        return MemoryLimit(f"it took more than {self.limits.memory_mb} MB of memory")


def _queue(pid: str) -> list[int]:
    """Return the file, left open, that tells how long a process waits; none where there is none."""
    with suppress(OSError):
        return [os.open(f"/proc/{pid}/schedstat", os.O_RDONLY)]
    return []


def _waited(queue: int) -> float:
    """Return the seconds that a process has waited for a core, 0 once it has ended."""
    with suppress(OSError, ValueError, IndexError):
        return int(os.pread(queue, 64, 0).split()[1]) / 1e9
    return 0.0
