"""Timing several contestants in turn, each in a process of its own.

A noisy machine slows down whoever happens to run. So the contestants take turns, round after round,
and two of them are compared by the ratio within a round; quoted is the median over the rounds.

A process for each contestant keeps their threads and libraries apart. They wait while one runs.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pkgutil import resolve_name
from statistics import median
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Settings of a machine that its users elsewhere don't have: a BLAS without its fastest kernels,
# and Python without its cache of compiled modules, which then takes several times as long to start.
UNWANTED = (*THREAD_VARIABLES, "OPENBLAS_CORETYPE", "PYTHONDONTWRITEBYTECODE")
N_CORES = 2  # what everything is measured on, also where there are more

Timed = Callable[[], object]
Timings = dict[str, list[float]]  # the seconds of each contestant, one number a round


class UnavailableError(RuntimeError):
    """A contestant cannot take part here; the message says why."""


@dataclass(frozen=True)
class Contestant:
    """Something to be timed: `prepare`, as "module:function", is called and gives what is timed.

    It is named, not given, so that only the contestant's own process imports the library that it
    needs. `environment` is added to that of its process, in which no variable limits the threads;
    `one_core` confines it to a single core.
    """

    name: str
    prepare: str
    arguments: tuple[Any, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    one_core: bool = False


class Runner:
    """A process in which a contestant is prepared and has run once, ready to be timed.

    Raises UnavailableError if it cannot take part.
    """

    def __init__(self, contestant: Contestant) -> None:
        self.name = contestant.name
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        try:
            with environment(contestant.environment):
                self._pool.submit(_prepare, contestant).result()
        except BaseException as error:
            self.close()
            if isinstance(error, ImportError):
                raise UnavailableError(f"not installed ({error.name or error})") from error
            raise

    def seconds(self) -> float:
        """Run it once more and return how long it took."""
        return self._pool.submit(_timed_run).result()

    def peak_memory(self) -> float:
        """Return the most memory, in MB, that the process has held so far."""
        return self._pool.submit(peak_memory).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


@contextmanager
def workers(contestants: Iterable[Contestant]) -> Iterator[tuple[list[Runner], dict[str, str]]]:
    """Give a worker for each contestant, and the reasons why others are missing, by their names."""
    ready, missing = [], {}
    with ExitStack() as stack:
        for contestant in contestants:
            say(f"preparing {contestant.name}")
            try:
                ready.append(Runner(contestant))
            except UnavailableError as reason:
                missing[contestant.name] = str(reason)
            else:
                stack.callback(ready[-1].close)
        yield ready, missing


def add_round(timings: Timings, ready: Iterable[Runner]) -> None:
    """Let every worker run once more, in turn, and add its seconds to `timings`."""
    for worker in ready:
        timings.setdefault(worker.name, []).append(worker.seconds())
        say(f"  {timings[worker.name][-1]:9.3f} s  {worker.name}")


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Return the median over the rounds of the ratio of two contestants' seconds, both (rounds,).

    Raises ValueError unless both took part in the same number of rounds, at least one.
    """
    if len(numerator) != len(denominator) or not numerator:
        raise ValueError(
            f"got {len(numerator)} and {len(denominator)} rounds; wanted as many of both, not 0."
        )
    return median(a / b for a, b in zip(numerator, denominator, strict=True))


def by_part(seconds: Mapping[str, float], parts: Mapping[str, str]) -> dict[str, float]:
    """Add up the `seconds` of functions, by name, to those of the `parts` that they belong to."""
    total = dict.fromkeys(parts.values(), 0.0)
    for name, part in parts.items():
        total[part] += seconds[name]
    return total


@contextmanager
def environment(extra: Mapping[str, str]) -> Iterator[None]:
    """Inside the block, start processes as a user would, and with the `extra` variables."""
    before = dict(os.environ)
    for name in UNWANTED:
        os.environ.pop(name, None)
    os.environ.update(extra)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def available_cores() -> int:
    """Return how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_to_cores(n: int) -> None:
    """Confine this process and those it starts to `n` of its cores; only Linux can do that."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])


def peak_memory() -> float:
    """Return the most memory, in MB, that this process has held so far."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    if sys.platform == "linux":
        # getrusage would count what the parent held before the child was started.
        with open("/proc/self/status") as status:  # noqa: PTH123
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def say(text: str) -> None:
    """Tell whoever waits what is going on."""
    print(text, file=sys.stderr, flush=True)


_timed: Timed


def _prepare(contestant: Contestant) -> None:
    global _timed
    multiprocessing.set_start_method(None, force=True)  # for DataLoaders: as in any other program
    if contestant.one_core:
        keep_to_cores(1)
    _timed = resolve_name(contestant.prepare)(*contestant.arguments)
    _timed()


def _timed_run() -> float:
    start = time.perf_counter()
    _timed()
    return time.perf_counter() - start
