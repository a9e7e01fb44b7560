"""Timing several contestants in turn, each in a process of its own.

A noisy machine slows down whoever happens to run. So the contestants take turns, round after round,
and two of them are compared by the ratio within a round; quoted is the median over the rounds.

A process for each contestant keeps their threads and libraries apart. They wait while one runs.
"""

import multiprocessing
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import psutil

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Settings of a machine that its users elsewhere don't have: a BLAS without its fastest kernels,
# and Python without its cache of compiled modules, which then takes several times as long to start.
UNWANTED = (*THREAD_VARIABLES, "OPENBLAS_CORETYPE", "PYTHONDONTWRITEBYTECODE")

Timed = Callable[[], object]
Timings = dict[str, list[float]]  # the seconds of each contestant, one number a round


@dataclass(frozen=True, eq=False)
class Contestant:
    """Something to be timed: `prepare` is called and returns what is timed.

    That happens in the contestant's own process, so `prepare` imports the libraries that only it
    needs. `environment` is added to that of its process, in which no variable limits the threads;
    `one_core` confines it to a single core.
    """

    name: str
    prepare: Callable[[], Timed]
    environment: Mapping[str, str] = field(default_factory=dict)
    one_core: bool = False


def take_turns(
    settings: Mapping[str, Sequence[Contestant]],
    rounds: int,
    surroundings: Mapping[str, Callable[[], AbstractContextManager[None]]] = {},
) -> dict[str, Any]:
    """Time the contestants of all `settings`, each once a round, in the setting's `surroundings`.

    Returns the "timings" in seconds by setting and name and, by name, the "peak_mb" of memory and
    the reasons why somebody is "missing": a library that is not installed, or any other error.
    """
    timings: dict[str, Timings] = {setting: {} for setting in settings}
    with ExitStack() as stack:
        ready, missing = _started(dict.fromkeys(chain.from_iterable(settings.values())), stack)
        for setting, group in [*settings.items()] * rounds:
            with surroundings.get(setting, nullcontext)():
                for contestant in filter(ready.get, group):
                    seconds = ready[contestant].submit(_timed_run).result()
                    print(f"{seconds:9.3f} s  {contestant.name}, {setting}", flush=True)
                    timings[setting].setdefault(contestant.name, []).append(seconds)
        peaks = {c.name: process.submit(_peak_memory).result() for c, process in ready.items()}
    return {"timings": timings, "peak_mb": peaks, "missing": missing}


def _started(
    contestants: Iterable[Contestant], stack: ExitStack
) -> tuple[dict[Contestant, ProcessPoolExecutor], dict[str, str]]:
    """Return a process for each contestant, who has run once in it; and the names of the others."""
    ready, missing, spawn = {}, {}, multiprocessing.get_context("spawn")
    for contestant in contestants:
        print(f"preparing {contestant.name}", flush=True)
        process = stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn))
        try:
            with environment(contestant.environment):
                process.submit(_prepare, contestant).result()
            ready[contestant] = process
        except ImportError as error:
            missing[contestant.name] = f"not installed ({error.name or error})"
        except Exception as error:
            missing[contestant.name] = str(error).partition("\n")[0] or repr(error)
    return ready, missing


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Return the median over the rounds of the ratio of two contestants' seconds, both (rounds,).

    Raises ValueError unless both took part in the same number of rounds, at least one.
    """
    return median(a / b for a, b in zip(numerator, denominator, strict=True))


@contextmanager
def environment(extra: Mapping[str, str]) -> Iterator[None]:
    """Inside the block, start processes as a user would, and with the `extra` variables."""
    with patch.dict(os.environ, extra):
        for name in set(UNWANTED) - extra.keys():
            os.environ.pop(name, None)
        yield


def keep_to_cores(n: int) -> None:
    """Confine this process and those it starts to `n` of its cores; only Linux can do that."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])


_timed: Timed


def _prepare(contestant: Contestant) -> None:
    global _timed
    multiprocessing.set_start_method(None, force=True)  # for DataLoaders: as in any other program
    if contestant.one_core:
        keep_to_cores(1)
    _timed = contestant.prepare()
    _timed()


def _timed_run() -> float:
    start = time.perf_counter()
    _timed()
    return time.perf_counter() - start


def _peak_memory() -> float:
    """Return the most memory, in MB, that this process has held; outside Linux, what it holds."""
    status = Path("/proc/self/status")
    # getrusage would count what the parent held before this process was started.
    if status.exists() and (peak := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(peak[1]) * 1024 / 1e6
    return psutil.Process().memory_info().rss / 1e6
