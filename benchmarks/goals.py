"""What the project sets out to reach, and whether the results reach it."""

from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks import sections as s
from benchmarks import waiting
from benchmarks.measure import Timings, ratio

Row = tuple[str, str, str]  # a goal in words, the figure that was measured, the verdict


def goal(
    text: str, value: float | None, limit: float, unit: str = "times", at_least: bool = False
) -> Row:
    """Judge a figure that must not exceed `limit` or, if `at_least`, must reach it."""
    if value is None:
        return text, "–", "not measured"
    met = value >= limit if at_least else value <= limit
    return text, f"{value:,.2f} {unit}", "met" if met else "**not met**"


def all_goals(results: dict[str, Any]) -> Iterator[Row]:
    """Yield every goal; those of a section without results are not measured."""

    def timings(section: str, setting: str) -> Timings:
        found: Timings = results.get(section, {}).get("timings", {}).get(setting, {})
        return found

    free, one = (timings("mlp", setting) for setting in (s.DEFAULT, s.ONE_CORE))
    text = "MLP: at most 1.5 times the floor"
    yield goal(f"{text}, on one core each", times(one, s.OURS, s.FLOOR), 1.5)
    yield goal(f"{text}, with a thread on each core", times(free, s.OURS_THREADED, s.FLOOR), 1.5)
    yield from ahead("MLP", free, one)
    for loop in (s.LOOP, s.BARE_LOOP):
        yield goal(f"MLP: 30 times as fast as {loop}", times(one, loop), 30, at_least=True)
    free, one = (timings("cnn", setting) for setting in (s.DEFAULT, s.ONE_CORE))
    for usual in (s.USUAL, s.WITH_WORKERS):
        yield goal(f"CNN: 3 times as fast as {usual}", times(free, usual), 3, at_least=True)
    yield from ahead("CNN", free, one)
    epoch = timings("gpu", s.DEFAULT).get(s.OURS)
    yield goal("CNN on a GPU: 50 epochs in 15 s", 50 * median(epoch) if epoch else None, 15, "s")
    quiet, busy = (timings("neighbour", setting) for setting in (s.QUIET, s.BUSY))
    for name in (s.MLP_OURS, s.CNN_OURS):
        slower = ratio(busy[name], quiet[name]) if name in busy else None
        yield goal(f"{name}: at most 2.5 times as long with one core busy", slower, 2.5)
    yield from waiting_goals(results.get("waiting", {}).get("waits", {}))


def times(timings: Timings, slow: str, fast: str = s.OURS) -> float | None:
    """Return how many times as long `slow` took as `fast`; None if one of them is missing."""
    return ratio(timings[slow], timings[fast]) if slow in timings and fast in timings else None


def ahead(network: str, free: Timings, one: Timings) -> Iterator[Row]:
    """Judge whether no peer was faster than ours, in either setting."""
    for setting, timings in (("on one core each", one), ("with default settings", free)):
        peers = {
            name: ratio(timings[name], timings[s.OURS]) for name in timings.keys() - s.NO_PEERS
        }
        closest = min(peers, key=lambda name: peers[name], default="")
        text, unit = f"{network}: ahead of every peer, {setting}", f"times our time: {closest}"
        yield goal(text, peers.get(closest), 1, unit, at_least=True)


# Three and a half minutes, and four, where the floor takes 0.071 s.
IN_FLOORS = {waiting.MAKE_RUN: 2960, waiting.MAKE_TEST: 3380}


def waiting_goals(waits: dict[str, dict[str, list[float]]]) -> Iterator[Row]:
    names = [*waiting.PICTURES, *waiting.RE_EXECUTED, waiting.BOTH]
    for name, limit in zip(names, (5, 5, 45, 240, 300), strict=True):
        seconds = waits[name]["seconds"] if name in waits else None
        yield goal(f"{name}, in {limit} s", median(seconds) if seconds else None, limit, "s")
    for name, limit in IN_FLOORS.items():
        floors = waiting.in_floors(waits.get(name, {}))
        yield goal(f"{name}, in {limit:,} times the floor", floors, limit)
    for name in waiting.RE_EXECUTED:
        peak = max(waits[name]["peak_mb"]) / 1000 if name in waits else None
        yield goal(f"{name}, in 2 GB of memory", peak, 2, "GB")
