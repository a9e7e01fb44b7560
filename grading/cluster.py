"""Marking on a Dask cluster. Needs the extra `dask`.

A job carries the hand-in itself, so the machines need no common file system, only this project and
bubblewrap. If a worker of Dask is lost, its jobs go to another one; a result is kept once.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from grading.sandbox import MarkerError

if TYPE_CHECKING:
    from grading.classroom import Job


def results_of_cluster(jobs: Sequence["Job"], scheduler: str) -> Iterator[tuple["Job", Any]]:
    """Yield each job with its result, as they come from the workers of `scheduler`."""
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise MarkerError("Dask is missing: pip install '.[dask]'") from error
    from grading.classroom import run

    with Client(scheduler, timeout="30s", set_as_default=False) as client:
        left = {job.key: job for job in jobs}
        futures = [
            client.submit(run, job, key=f"{key}-{client.id}", pure=False, retries=3)
            for key, job in left.items()
        ]
        for future in as_completed(futures):
            job = left.pop(future.key.partition("-")[0])
            yield job, future.result()
            future.release()
