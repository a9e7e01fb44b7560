"""How many CPU threads the networks use."""

import os
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from math import inf
from time import perf_counter
from typing import TypeVar

from threadpoolctl import ThreadpoolController, threadpool_limits

TRIAL = 8  # steps that show how fast a number of threads is
Item = TypeVar("Item")

_limited = False  # whether a block of few_threads is running


@contextmanager
def few_threads() -> Iterator[None]:
    """Compute on one CPU thread in the block, unless OMP_NUM_THREADS in the environment says more.

    A step of notebook 1 is too small for a second thread to gain anything; if another program keeps
    the second core busy, it takes 4 times as long. One thread also adds up in one order, so that
    results repeat. A block within a block changes nothing.
    """
    global _limited
    if _limited or os.environ.get("OMP_NUM_THREADS"):
        yield
        return
    _limited = True
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        _limited = False


def on_fastest_threads(epochs: Iterable[Item], optimizer: object) -> Iterator[Item]:
    """Yield `epochs`; the first steps of each show how many CPU threads to take for the rest.

    They are steps like all others, of PyTorch's `optimizer`: nothing is computed in vain. (One of
    another kind takes as many threads as before.) Each number of threads adds up in another order,
    which changes the last digits. If OMP_NUM_THREADS is set, it decides, and the same seed gives
    the same result.
    """
    register = getattr(optimizer, "register_step_post_hook", None)
    if register is None or os.environ.get("OMP_NUM_THREADS"):
        yield from epochs
        return
    race: Iterator[None] = iter(())
    hook = register(lambda *_: next(race, None))
    try:
        for epoch in epochs:
            race = _race()
            next(race, None)
            yield epoch
    finally:
        hook.remove()


def _race() -> Iterator[None]:
    """Try each number of threads, then take the fastest; every `next` tells that a step is done.

    Several threads are raced anew once they have slowed down by a half, as another program does it.
    """
    controller = ThreadpoolController()
    while True:
        fastest, least = 1, inf
        for n in _numbers_of_threads():
            controller.limit(limits=n)
            if (took := (yield from _steps(least))) < least:
                fastest, least = n, took
        controller.limit(limits=fastest)
        if fastest == 1:
            return
        while (yield from _steps(1.5 * least)) < 1.5 * least:
            pass


def _steps(limit: float) -> Generator[None, None, float]:
    """Return the seconds of some steps, or of fewer, once they have taken more than `limit`."""
    yield  # the first one may still be slowed down by what was before
    start, took = perf_counter(), 0.0
    for _ in range(TRIAL):
        yield
        took = perf_counter() - start
        if took > limit:
            break
    return took


def _numbers_of_threads() -> list[int]:
    """Return 1, 2, 4 and so on, up to the number of cores that this process may use."""
    return [2**k for k in range(available_cores().bit_length())]


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
