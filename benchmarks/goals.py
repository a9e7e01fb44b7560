"""What the project sets out to reach, and whether the results reach it."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks import cnn_epoch, gpu_epoch, mlp_epoch, neighbour, waiting
from benchmarks.contest import AS_IT_COMES, ONE_CORE, OURS, OURS_THREADED
from benchmarks.measure import Timings, ratio
from benchmarks.results import Results


@dataclass(frozen=True)
class Goal:
    """A goal in words, the figure that was measured, and whether that meets it (None: unknown)."""

    text: str
    figure: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """The last column of the table."""
        return {True: "met", False: "**not met**", None: "not measured"}[self.met]


def all_goals(results: Results) -> list[Goal]:
    """Return every goal; those of a section without results are not measured."""
    sections = {
        "mlp": mlp_goals,
        "cnn": cnn_goals,
        "gpu": gpu_goals,
        "neighbour": neighbour_goals,
    }
    goals = []
    for name, goals_of in sections.items():
        timings = results.get(name, {}).get("timings", {})
        goals += list(goals_of(timings))
    return goals + list(waiting_goals(results.get("waiting", {}).get("waits", {})))


def at_most(limit: float, text: str, value: float | None, unit: str) -> Goal:
    """Judge a figure that must not exceed `limit`."""
    if value is None:
        return Goal(text, "–", None)
    return Goal(text, f"{value:,.2f} {unit}", value <= limit)


def at_least(limit: float, text: str, value: float | None, unit: str = "times") -> Goal:
    """Judge a figure that must reach `limit`."""
    if value is None:
        return Goal(text, "–", None)
    return Goal(text, f"{value:,.2f} {unit}", value >= limit)


def compare(timings: Timings, slow: str, fast: str) -> float | None:
    """Return how many times as long `slow` took as `fast`; None if one of them is missing."""
    return ratio(timings[slow], timings[fast]) if slow in timings and fast in timings else None


def ahead(timings: Timings, text: str, aside: set[str]) -> Goal:
    """Judge whether nobody but those `aside` was faster than ours."""
    peers = {
        name: ratio(timings[name], timings[OURS]) for name in timings if name not in aside | {OURS}
    }
    if not peers:
        return Goal(text, "–", None)
    closest = min(peers, key=lambda name: peers[name])
    return Goal(text, f"{peers[closest]:.2f} times our time: {closest}", peers[closest] > 1)


def mlp_goals(timings: dict[str, Timings]) -> Iterator[Goal]:
    free, one = timings.get(AS_IT_COMES, {}), timings.get(ONE_CORE, {})
    floor, loop, bare = mlp_epoch.FLOOR, mlp_epoch.LOOP, mlp_epoch.BARE_LOOP
    text = "MLP: at most 1.5 times the floor"
    yield at_most(1.5, f"{text}, on one core each", compare(one, OURS, floor), "times")
    threaded = compare(free, OURS_THREADED, floor)
    yield at_most(1.5, f"{text}, with a thread on each core", threaded, "times")
    yield ahead(one, "MLP: ahead of every peer, on one core each", mlp_epoch.NO_PEERS)
    yield ahead(
        free, "MLP: ahead of every peer, as they come", mlp_epoch.NO_PEERS | {OURS_THREADED}
    )
    yield at_least(30, f"MLP: 30 times as fast as {loop}", compare(one, loop, OURS))
    yield at_least(30, f"MLP: 30 times as fast as {bare}", compare(one, bare, OURS))


def cnn_goals(timings: dict[str, Timings]) -> Iterator[Goal]:
    free, one = timings.get(AS_IT_COMES, {}), timings.get(ONE_CORE, {})
    for name in cnn_epoch.USUAL.values():
        yield at_least(3, f"CNN: 3 times as fast as {name}", compare(free, name, OURS))
    yield ahead(one, "CNN: ahead of every peer, on one core each", set())
    yield ahead(free, "CNN: ahead of every peer, as they come", {OURS_THREADED})


def gpu_goals(timings: dict[str, Timings]) -> Iterator[Goal]:
    seconds = timings.get(AS_IT_COMES, {}).get(OURS)
    whole = gpu_epoch.EPOCHS * median(seconds) if seconds else None
    yield at_most(15, f"CNN on a GPU: {gpu_epoch.EPOCHS} epochs in 15 s", whole, "s")


def neighbour_goals(timings: dict[str, Timings]) -> Iterator[Goal]:
    quiet, busy = timings.get(neighbour.QUIET, {}), timings.get(neighbour.BUSY, {})
    for name in (neighbour.MLP_OURS, neighbour.CNN_OURS):
        loss = ratio(busy[name], quiet[name]) if name in busy else None
        yield at_most(2.5, f"{name}: at most 2.5 times as long with a core taken", loss, "times")


def waiting_goals(waits: dict[str, dict[str, list[float]]]) -> Iterator[Goal]:
    limits = {
        waiting.first_picture(1): 5,
        waiting.first_picture(2): 5,
        waiting.re_execution(1): 45,
        waiting.re_execution(2): 240,
        waiting.BOTH: 300,
    }
    for name, limit in limits.items():
        seconds = waits[name]["seconds"] if name in waits else None
        yield at_most(limit, f"{name}, in {limit} s", median(seconds) if seconds else None, "s")
    for name in (waiting.re_execution(1), waiting.re_execution(2)):
        peak = max(waits[name]["peak_mb"]) / 1000 if name in waits else None
        yield at_most(2, f"{name}, in 2 GB of memory", peak, "GB")
