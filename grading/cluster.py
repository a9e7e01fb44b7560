"""Marking on a Dask cluster. Needs the extra `dask`.

The hand-in itself is sent, so the machines need no common file system, only this project and
bubblewrap. If a worker of Dask is lost, its hand-ins go to another one; a result is kept once.

A worker of Dask has threads, so it cannot fork: a process beside it does the marking.
"""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import islice
from typing import Any

from grading.archives import HandIn, fetch
from grading.crew import Failed, die_with
from grading.sandbox.limits import MarkerError

AHEAD = 4  # how many hand-ins wait for each thread of the cluster, so that few are in memory
Mark = Callable[[HandIn | bytes, Any, Any], bytes | Failed]  # gives the result as JSON


def results_of_cluster(
    tickets: Sequence[Any], mark: Mark, rules: Any, scheduler: str
) -> Iterator[tuple[Any, Any]]:
    """Yield each ticket with its result, as they come from the workers of `scheduler`.

    There, `mark` is called with what was handed in, the ticket, and the rules. Raises MarkerError
    if a worker cannot mark anything as it was started.
    """
    waiting = iter(tickets)
    distributed = _distributed()
    with distributed.Client(scheduler, timeout="30s", set_as_default=False) as client:
        n_ahead = AHEAD * max(1, sum(client.nthreads().values()))
        sent = {}

        def send(ticket: Any) -> Any:
            try:
                fetched: HandIn | bytes | Failed = fetch(ticket.path)
            except OSError as error:
                fetched = Failed(str(error))
            future = client.submit(
                mark_there, mark, fetched, ticket, rules, key=f"mark-{ticket.key}", pure=False
            )
            sent[future.key] = ticket
            return future

        first = [send(ticket) for ticket in islice(waiting, n_ahead)]
        running = distributed.as_completed(first, loop=client.loop)
        for future in running:
            failure = future.exception()  # as when workers of Dask were lost on it again and again
            if isinstance(failure, MarkerError):
                raise failure  # the cluster itself is not set up as it should be
            ticket = sent.pop(future.key)
            yield ticket, Failed(str(failure)) if failure else future.result()
            for ticket in islice(waiting, 1):
                running.add(send(ticket))


def _distributed() -> Any:
    """Return the package. Raises MarkerError if it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise MarkerError("Dask is missing: pip install --editable '.[dask]'") from error
    return distributed


def mark_there(mark: Mark, fetched: HandIn | bytes | Failed, *rest: Any) -> Any:
    """Return the result of a hand-in, from the process beside this worker of Dask.

    Raises MarkerError if this worker may not have one.
    """
    if isinstance(fetched, Failed):
        return fetched
    beside = _beside()
    try:
        found = beside.submit(mark, fetched, *rest).result()
    except (BrokenProcessPool, MarkerError) as error:
        _beside.cache_clear()
        return Failed(str(error))
    return found if isinstance(found, Failed) else json.loads(found)


@cache
def _beside() -> ProcessPoolExecutor:
    """Return the process that marks, which ends together with this one."""
    if multiprocessing.current_process().daemon:
        raise MarkerError("Start Dask's worker with DASK_DISTRIBUTED__WORKER__DAEMON=False.")
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, spawn, initializer=die_with, initargs=(os.getpid(),))
