"""Marking on a Dask cluster. Needs the extra `dask`.

The hand-in itself is sent, so the machines need no common file system, only this project and
bubblewrap. If a worker of Dask is lost, its hand-ins go to another one; a result is kept once.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from grading.sandbox import MarkerError

if TYPE_CHECKING:
    from grading.classroom import Rules, Ticket

AHEAD = 4  # how many hand-ins wait for each thread of the cluster, so that few are in memory


def results_of_cluster(
    tickets: Sequence["Ticket"], rules: "Rules", scheduler: str
) -> Iterator[tuple["Ticket", Any]]:
    """Yield each ticket with its result, as they come from the workers of `scheduler`."""
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise MarkerError("Dask is missing: pip install '.[dask]'") from error
    from grading.classroom import by_hand, run

    waiting = iter(tickets)
    with Client(scheduler, timeout="30s", set_as_default=False) as client:
        n_ahead = AHEAD * max(1, sum(client.nthreads().values()))
        sent = {}

        def send(ticket: "Ticket") -> Any:
            future = client.submit(run, ticket.read(), rules, key=f"mark-{ticket.key}", pure=False)
            sent[future.key] = ticket
            return future

        running = as_completed([send(t) for t in islice(waiting, n_ahead)], loop=client.loop)
        for future in running:
            ticket = sent.pop(future.key)
            failure = future.exception()  # as when workers of Dask were lost on it again and again
            yield ticket, by_hand(ticket.read(), rules, failure) if failure else future.result()
            for ticket in islice(waiting, 1):
                running.add(send(ticket))
