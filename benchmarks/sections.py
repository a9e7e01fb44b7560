"""A contest: all contestants as they come and on one core, in the same rounds."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from benchmarks.measure import Contestant, Runner, Timings, add_round, available_cores, say, workers

OURS = "ours"
OURS_THREADED = "ours, a thread on each core"
AS_IT_COMES, ONE_CORE = "as it comes", "one core"


def contest(
    entries: Mapping[str, str], n_images: int, repeats: int, environment: Mapping[str, str] = {}
) -> dict[str, Any]:
    """Time each of the `entries`, tasks by their names, in both settings.

    Returns the "timings" by setting and name, and by name why somebody is "missing".
    """
    timings: dict[str, Timings] = {AS_IT_COMES: {}, ONE_CORE: {}}
    with ExitStack() as stack:
        ready: dict[str, list[Runner]] = {}
        missing: dict[str, str] = {}
        for setting, contestants in settings(entries, n_images, environment).items():
            ready[setting], absent = stack.enter_context(workers(contestants))
            missing |= absent
        for k in range(repeats):
            say(f"round {k + 1} of {repeats}")
            for setting, group in ready.items():
                add_round(timings[setting], group)
    return {"images": n_images, "timings": timings, "missing": missing}


def settings(
    entries: Mapping[str, str], n_images: int, environment: Mapping[str, str]
) -> dict[str, list[Contestant]]:
    """Return the contestants of each setting.

    As they come, the peers take all cores; ours takes one, and more only where it is told to.
    """
    free = [Contestant(name, task, (n_images,), environment) for name, task in entries.items()]
    all_threads = {**environment, "OMP_NUM_THREADS": str(available_cores())}
    free.append(Contestant(OURS_THREADED, entries[OURS], (n_images,), all_threads))
    one_thread = {**environment, "OMP_NUM_THREADS": "1"}
    confined = [
        Contestant(name, task, (n_images,), one_thread, one_core=True)
        for name, task in entries.items()
    ]
    return {AS_IT_COMES: free, ONE_CORE: confined}
