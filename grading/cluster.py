"""Marking on a Dask cluster. Needs the extra `dask`.

The hand-in itself is sent, so the machines need no common file system, only this project and
bubblewrap. If a worker of Dask is lost, its hand-ins go to another one; a result is kept once.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar

from grading.archives import HandIn
from grading.sandbox.limits import MarkerError

AHEAD = 4  # how many hand-ins wait for each thread of the cluster, so that few are in memory


class Readable(Protocol):
    """What stands for a hand-in until it is sent."""

    @property
    def key(self) -> str:
        """What no other one has."""

    def read(self) -> HandIn:
        """Return the hand-in itself."""


Ticket = TypeVar("Ticket", bound=Readable)


def results_of_cluster(
    tickets: Sequence[Ticket],
    mark: Callable[[HandIn], Any],
    by_hand: Callable[[HandIn, BaseException], Any],
    scheduler: str,
) -> Iterator[tuple[Ticket, Any]]:
    """Yield each ticket with what `mark` gives, as it comes from the workers of `scheduler`.

    Where that failed it comes with what `by_hand` makes of the error.
    """
    waiting = iter(tickets)
    distributed = _distributed()
    with distributed.Client(scheduler, timeout="30s", set_as_default=False) as client:
        n_ahead = AHEAD * max(1, sum(client.nthreads().values()))
        sent = {}

        def send(ticket: Ticket) -> Any:
            future = client.submit(mark, ticket.read(), key=f"mark-{ticket.key}", pure=False)
            sent[future.key] = ticket
            return future

        first = [send(ticket) for ticket in islice(waiting, n_ahead)]
        running = distributed.as_completed(first, loop=client.loop)
        for future in running:
            ticket = sent.pop(future.key)
            failure = future.exception()  # as when workers of Dask were lost on it again and again
            yield ticket, by_hand(ticket.read(), failure) if failure else future.result()
            for ticket in islice(waiting, 1):
                running.add(send(ticket))


def _distributed() -> Any:
    """Return the package. Raises MarkerError if it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise MarkerError("Dask is missing: pip install '.[dask]'") from error
    return distributed
