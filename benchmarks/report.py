"""The results in words: tables in Markdown, the figure, and the paragraph in the README."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any, BinaryIO

import numpy as np
from matplotlib.ticker import NullLocator

from benchmarks.goals import all_goals
from benchmarks.measure import Timings, ratio
from benchmarks.sections import (
    DEFAULT,
    EVALUATING,
    FLOOR,
    NO_PEERS,
    ONE_CORE,
    OURS,
    OURS_THREADED,
)
from benchmarks.waiting import BOTH, in_floors
from plotting.figures import BLUE, DPI, PALE, new_figure

Section = dict[str, Any]

SIZE_NAMES = {"images": "images", "hidden": "hidden units", "batch": "images in a batch"}
START, END = "<!-- speed: written by `make benchmarks` -->", "<!-- end of speed -->"


def to_markdown(results: dict[str, Section]) -> str:
    """Return the whole report."""
    parts = [
        "# How fast it is",
        "Written by `make benchmarks`. Contestants take turns in processes of their own; times are "
        "medians over the rounds, ratios are medians of the ratio within a round.",
        table(("", "takes", "the fastest other", "the slowest other"), headline(results)),
        "## Goals",
        table(("goal", "measured", ""), all_goals(results)),
    ]
    for name, (title, describe) in PARTS.items():
        section = results.get(name)
        parts += [f"## {title}", *(describe(section) if section else ["Not measured yet."])]
        if section:
            facts = [f"{k} {v}" for k, v in section["machine"].items() if k != "cores"]
            parts.append(f"*Measured on {section['machine']['cores']} cores; {', '.join(facts)}.*")
    return "\n\n".join(parts) + "\n"


def headline(results: dict[str, Section]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the five rows that tell most: what is waited for, and what others take for it."""
    for name, setting in (("mlp", ONE_CORE), ("mlp", DEFAULT), ("cnn", ONE_CORE), ("cnn", DEFAULT)):
        timings = results.get(name, {}).get("timings", {}).get(setting, {})
        others = {
            other: ratio(timings[other], timings[OURS]) for other in timings.keys() - NO_PEERS
        }
        ranking = sorted(others, key=others.__getitem__)
        told = [f"{other}: {others[other]:.2f} times as long" for other in ranking] or ["–"]
        taken = duration(median(timings[OURS])) if OURS in timings else "–"
        yield f"an epoch of the {name.upper()}, {setting}", taken, told[0], told[-1]
    wait = results.get("waiting", {}).get("waits", {}).get(BOTH)
    yield BOTH, duration(median(wait["seconds"])) if wait else "–", "–", "–"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(r)} |" for r in [header, ["---"] * len(header), *rows])


def duration(seconds: float) -> str:
    """Return seconds with three significant digits, or whole ones from 100."""
    return f"{seconds:,.0f} s" if seconds >= 100 else f"{seconds:#.3g} s"


def epochs_part(section: Section) -> list[str]:
    """Say who took how long in each setting, who could not take part, and where our time goes."""
    free = section["timings"][DEFAULT]
    parts = absences(section["missing"])
    if free:
        header = [f"{s}{h}" for s in section["timings"] for h in (": time", ", of ours")]
        rows = [
            [name, *(cell for group in section["timings"].values() for cell in cells(group, name))]
            for name in free
        ]
        intro = (
            f"{section['images']:,} images, {len(free[OURS])} rounds. With default settings the "
            "peers take all cores, and ours as many as it chooses; on “one core” all are tied to "
            "the same one."
        )
        parts = [intro, table(["", *header], rows), *parts]
    if profile := section.get("profile"):
        shares = [
            f"{part} {seconds / sum(profile.values()):.0%}" for part, seconds in profile.items()
        ]
        parts.append(f"Where our time goes, by the profiler: {', '.join(shares)}.")
    return parts


def absences(missing: dict[str, str]) -> list[str]:
    """Say who could not take part, and why."""
    reasons = dict.fromkeys(missing.values())
    return [f"{', '.join(n for n in missing if missing[n] == r)}: {r}." for r in reasons]


def cells(timings: Timings, name: str) -> tuple[str, str]:
    """Return a contestant's time, and how many times ours that is."""
    if name not in timings:
        return "–", "–"
    return duration(median(timings[name])), f"{ratio(timings[name], timings[OURS]):.2f}"


def size_part(section: Section) -> list[str]:
    """Describe the sweeps: a table and the slopes for each."""
    parts = ["![Time and memory against size](cost.png)"]
    for name, points in section["sweeps"].items():
        usual = [f"{v:,} {SIZE_NAMES[k]}" for k, v in section["usual"].items() if k != name]
        rows = [
            (f"{p['value']:,}", duration(p["seconds"]), f"{p['peak_mb']:.0f} MB") for p in points
        ]
        head = (SIZE_NAMES[name], "time", "peak memory")
        parts += [f"With {', '.join(usual)}:", table(head, rows), slopes(name, points)]
    return parts


def slopes(name: str, points: list[dict[str, float]]) -> str:
    """Say how time and memory grow in the lower and the upper half of a sweep (n points, n > 2)."""
    half, said = len(points) // 2 + 1, []
    for part in (points[:half], points[-half:]):
        sizes = [point["value"] for point in part]
        time, memory = (slope(sizes, [p[key] for p in part]) for key in ("seconds", "peak_mb"))
        said.append(
            f"from {sizes[0]:,} to {sizes[-1]:,} {SIZE_NAMES[name]} time grows with the power "
            f"{time:z.2f} of their number and memory with the power {memory:z.2f}"
        )
    return ("; ".join(said) + ".").capitalize()


def slope(sizes: list[float], costs: list[float]) -> float:
    """Return the exponent p of the power law cost ~ size^p that fits best, both (n,), n > 1."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def draw_costs(section: Section, file: BinaryIO) -> None:
    """Draw time and memory against each size, as a PNG that carries its alt text."""
    figure = new_figure(10, 5.6, "What an epoch of the MLP costs")
    axes = figure.subplots(2, len(section["sweeps"]), sharex="col", sharey="row")
    said = []
    for column, (name, points) in zip(axes.T, section["sweeps"].items(), strict=True):
        sizes = [p["value"] for p in points]
        for ax, key, style in zip(column, ("seconds", "peak_mb"), ("o-", "s--"), strict=True):
            ax.loglog(sizes, [p[key] for p in points], style, color=BLUE)
            ax.grid(color=PALE, linewidth=0.6)
            ax.yaxis.set(major_formatter="{x:g}", minor_formatter="{x:g}")
            ax.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=45, fontsize=8)
            ax.xaxis.set_minor_locator(NullLocator())
        column[1].set_xlabel(SIZE_NAMES[name])
        said += [
            f"{p['value']:,} {SIZE_NAMES[name]}: {duration(p['seconds'])}, {p['peak_mb']:.0f} MB"
            for p in (points[0], points[-1])
        ]
    axes[0, 0].set_ylabel("time (s)")
    axes[1, 0].set_ylabel("peak memory (MB)")
    alt = f"Time and peak memory of an epoch, on logarithmic axes. {'; '.join(said)}."
    figure.savefig(file, format="png", dpi=DPI, metadata={"Description": alt, "Software": None})


def neighbour_part(section: Section) -> list[str]:
    """Say what a busy core costs each contestant."""
    quiet, busy = section["timings"].values()
    rows = [
        (name, *(duration(median(group[name])) for group in (quiet, busy)),
         f"{ratio(busy[name], quiet[name]):.2f}")
        for name in quiet
    ]  # fmt: skip
    return [table(("", *section["timings"], "ratio"), rows), *absences(section["missing"])]


def waiting_part(section: Section) -> list[str]:
    """Say how long each wait took."""
    rows = [
        (name, duration(median(wait["seconds"])),
         "–" if (floors := in_floors(wait)) is None else f"{floors:,.0f}",
         f"{max(wait['peak_mb']):,.0f} MB")
        for name, wait in section["waits"].items()
    ]  # fmt: skip
    header = ("", "time", "in floors", "peak memory, all its processes added up")
    text = "A floor is that of the MLP's epoch on one core, measured just before each wait."
    return [table(header, rows), text]


PARTS = {
    "mlp": ("MLP, one training epoch", epochs_part),
    "cnn": ("CNN, one training epoch", epochs_part),
    "gpu": ("CNN, one training epoch on a GPU", epochs_part),
    "size": ("Cost against size", size_part),
    "neighbour": ("While another program keeps one core busy", neighbour_part),
    "waiting": ("What people wait for", waiting_part),
}


def update_readme(text: str, results: dict[str, Section]) -> str:
    """Return the README with its paragraph on speed written anew, from the results alone.

    Raises ValueError if its two markers are missing.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"the README lacks the markers {START!r} and {END!r}.")
    lines = [START]
    if "mlp" in results:
        timings = results["mlp"]["timings"][ONE_CORE]
        floor = f"{ratio(timings[OURS], timings[FLOOR]):.1f} times the floor"
        told = f"{floor}, which is its two large matrix products alone. {compared(timings)}"
        lines.append(f"- **MLP**, one epoch on one core: {told}.")
    if "cnn" in results:
        told = compared(results["cnn"]["timings"][DEFAULT])
        lines.append(f"- **CNN**, one epoch with default settings. {told}.")
    return before + "\n".join([*lines, END]) + after


def compared(timings: Timings) -> str:
    """Say how many times our time the others took."""
    others = [name for name in timings if name not in {OURS, OURS_THREADED, EVALUATING, FLOOR}]
    said = [f"{name} {ratio(timings[name], timings[OURS]):.1f}" for name in others]
    return f"As multiples of our time, the others took: {'; '.join(said)}"
