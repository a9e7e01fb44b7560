"""Marking on a Dask cluster. Needs the extra `dask`.

The hand-in itself is sent, so the machines need no common file system, only this project and
bubblewrap. If a worker of Dask is lost, its hand-ins go to another one; a result is kept once.

A worker of Dask has threads, so it cannot fork: a process beside it does the marking, see bench.py.
"""

import json
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Any

from grading.archives import HandIn, fetch
from grading.crew import Failed
from grading.sandbox.bubblewrap import PROJECT
from grading.sandbox.limits import MarkerError

AHEAD = 4  # how many hand-ins wait for each thread of the cluster, so that few are in memory
LENGTH = struct.Struct("<Q")
_benches = threading.local()


def results_of_cluster(
    tickets: Sequence[Any], rules: Any, scheduler: str
) -> Iterator[tuple[Any, Any]]:
    """Yield each ticket with its result, as they come from the workers of `scheduler`."""
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
                mark_there, ticket, fetched, rules, key=f"mark-{ticket.key}", pure=False
            )
            sent[future.key] = ticket
            return future

        first = [send(ticket) for ticket in islice(waiting, n_ahead)]
        running = distributed.as_completed(first, loop=client.loop)
        for future in running:
            failure = future.exception()  # as when workers of Dask were lost on it again and again
            ticket = sent.pop(future.key)
            yield ticket, Failed(str(failure)) if failure else future.result()
            for ticket in islice(waiting, 1):
                running.add(send(ticket))


def _distributed() -> Any:
    """Return the package. Raises MarkerError if it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise MarkerError("Dask is missing: pip install '.[dask]'") from error
    return distributed


def mark_there(ticket: Any, fetched: HandIn | bytes | Failed, rules: Any) -> Any:
    """Return the result of a hand-in, from the bench of this thread of a worker of Dask."""
    if isinstance(fetched, Failed):
        return fetched
    bench: Any = getattr(_benches, "process", None)
    if bench is None or bench.poll() is not None:
        command = [sys.executable, "-m", "grading.bench"]
        bench = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
        )
        _benches.process = bench
    write_message(bench.stdin, pickle.dumps((ticket, fetched, rules)))
    found = json.loads(read_message(bench.stdout) or b'"its bench has ended"')
    return Failed(found) if isinstance(found, str) else found


def write_message(file: IO[bytes], content: bytes) -> None:
    file.write(LENGTH.pack(len(content)) + content)
    file.flush()


def read_message(file: IO[bytes]) -> bytes:
    """Return the next message, b"" at the end."""
    prefix = file.read(LENGTH.size)
    return file.read(LENGTH.unpack(prefix)[0]) if len(prefix) == LENGTH.size else b""
