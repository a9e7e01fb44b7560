"""How many CPU threads the networks use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def few_threads() -> Iterator[None]:
    """Compute on one CPU thread in the block, unless OMP_NUM_THREADS in the environment says more.

    The networks' steps are so small that a second thread on a free core makes training 1.2 to 1.5
    times as fast; if another program keeps that core busy, it makes it 5 to 11 times as slow. One
    thread also adds up in one order, so that results repeat.
    """
    limit = None if os.environ.get("OMP_NUM_THREADS") else 1
    with threadpool_limits(limits=limit):
        yield
