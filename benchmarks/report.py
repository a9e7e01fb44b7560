"""The results in words: tables in Markdown, and the paragraph in the README."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from benchmarks import mlp_epoch, neighbour
from benchmarks.contest import AS_IT_COMES, ONE_CORE, OURS, OURS_THREADED
from benchmarks.cost import slope
from benchmarks.goals import all_goals
from benchmarks.measure import Timings, ratio
from benchmarks.results import Results, Section

TITLES = {
    "mlp": "MLP, one training epoch",
    "cnn": "CNN, one training epoch",
    "gpu": "CNN, one training epoch on a GPU",
    "size": "Cost against size",
    "neighbour": "Under a busy neighbour",
    "waiting": "What people wait for",
}
SIZE_NAMES = {"images": "images", "hidden": "hidden units", "batch": "images in a batch"}
START, END = "<!-- speed: written by `make benchmarks` -->", "<!-- end of speed -->"


def to_markdown(results: Results) -> str:
    """Return the whole report."""
    goals = [(goal.text, goal.figure, goal.verdict) for goal in all_goals(results)]
    parts = [
        "# How fast it is",
        "Written by `make benchmarks`. Contestants take turns in processes of their own; times are "
        "medians over the rounds, ratios are medians of the ratio within a round.",
        "## Goals",
        table(("goal", "measured", ""), goals),
    ]
    bodies = {
        "mlp": contest_part,
        "cnn": contest_part,
        "gpu": contest_part,
        "size": size_part,
        "neighbour": neighbour_part,
        "waiting": waiting_part,
    }
    for name, title in TITLES.items():
        section = results.get(name)
        parts += [f"## {title}", *(bodies[name](section) if section else ["Not measured yet."])]
        parts += [machine_line(section["machine"])] if section else []
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine_line(machine: dict[str, Any]) -> str:
    """Say where a section was measured."""
    facts = [f"{name} {value}" for name, value in machine.items() if name != "cores"]
    return f"*Measured on {machine['cores']} cores; {', '.join(facts)}.*"


def duration(seconds: float) -> str:
    """Return seconds with three significant digits, or whole ones from 100."""
    return f"{seconds:,.0f} s" if seconds >= 100 else f"{seconds:#.3g} s"


def contest_part(section: Section) -> list[str]:
    """Describe a contest: who took how long, in each setting."""
    timings = section["timings"]
    names = list(dict.fromkeys(name for group in timings.values() for name in group))
    if not names:
        return absences(section["missing"])
    header = ["", *(f"{setting}{h}" for setting in timings for h in (": time", ", of ours"))]
    rows = [
        [name, *(cell for group in timings.values() for cell in cells(group, name))]
        for name in names
    ]
    intro = (
        f"{section['images']:,} images, {len(timings[AS_IT_COMES][OURS])} rounds. As they come, "
        "the peers take all cores and ours takes one; on “one core”, all keep to the same one."
    )
    profiled = [profile_sentence(section["profile"])] if "profile" in section else []
    return [intro, table(header, rows), *absences(section["missing"]), *profiled]


def absences(missing: dict[str, str]) -> list[str]:
    """Say who could not take part, and why."""
    reasons = dict.fromkeys(missing.values())
    return [f"{', '.join(n for n in missing if missing[n] == r)}: {r}." for r in reasons]


def cells(timings: Timings, name: str) -> tuple[str, str]:
    """Return a contestant's time, and how many times ours that is."""
    if name not in timings:
        return "–", "–"
    return duration(median(timings[name])), f"{ratio(timings[name], timings[OURS]):.2f}"


def profile_sentence(profile: dict[str, float]) -> str:
    """Say where our time goes, from seconds by part."""
    total = sum(profile.values())
    shares = ", ".join(f"{part} {seconds / total:.0%}" for part, seconds in profile.items())
    return f"Where our time goes, by the profiler: {shares}."


def size_part(section: Section) -> list[str]:
    """Describe the sweeps: a table and the slopes for each."""
    parts = ["![Time and memory against size](cost.png)"]
    for name, points in section["sweeps"].items():
        usual = {SIZE_NAMES[k]: f"{v:,}" for k, v in section["usual"].items() if k != name}
        parts.append(f"With {', '.join(f'{v} {k}' for k, v in usual.items())}:")
        rows = [
            (f"{p['value']:,}", duration(p["seconds"]), f"{p['peak_mb']:.0f} MB") for p in points
        ]
        parts += [table((SIZE_NAMES[name], "time", "peak memory"), rows), slopes(name, points)]
    return parts


def slopes(name: str, points: list[dict[str, float]]) -> str:
    """Say how time and memory grow in the lower and the upper half of a sweep (n points, n > 2)."""
    half = len(points) // 2 + 1
    said = []
    for part in (points[:half], points[-half:]):
        sizes = [point["value"] for point in part]
        time, memory = (power(sizes, [p[key] for p in part]) for key in ("seconds", "peak_mb"))
        said.append(
            f"from {sizes[0]:,} to {sizes[-1]:,} {SIZE_NAMES[name]} time goes with the power "
            f"{time} and memory with the power {memory} of their number"
        )
    return ("; ".join(said) + ".").capitalize()


def power(sizes: list[float], costs: list[float]) -> str:
    """Return the slope with two decimals, and never as -0.00."""
    return f"{slope(sizes, costs):z.2f}"


def neighbour_part(section: Section) -> list[str]:
    """Describe what a busy core costs each contestant."""
    quiet, busy = (section["timings"][name] for name in (neighbour.QUIET, neighbour.BUSY))
    rows = [
        (name, duration(median(quiet[name])), duration(median(busy[name])),
         f"{ratio(busy[name], quiet[name]):.2f}")
        for name in quiet
    ]  # fmt: skip
    header = ("", neighbour.QUIET, neighbour.BUSY, "ratio")
    return [table(header, rows), *absences(section["missing"])]


def waiting_part(section: Section) -> list[str]:
    """Describe each wait."""
    rows = [
        (name, duration(median(wait["seconds"])), f"{max(wait['peak_mb']):,.0f} MB")
        for name, wait in section["waits"].items()
    ]
    return [table(("", "time", "peak memory, all its processes added up"), rows)]


def readme_section(results: Results) -> str:
    """Return the README's paragraph: the ratios of both contests, from the results alone."""
    lines = [START]
    if "mlp" in results:
        lines.append(f"- **MLP**, one epoch on one core: {mlp_sentence(results['mlp'])}")
    if "cnn" in results:
        lines.append(f"- **CNN**, one epoch with default settings: {cnn_sentence(results['cnn'])}")
    return "\n".join([*lines, END])


def mlp_sentence(section: Section) -> str:
    """Compare our MLP on one core with everybody else's."""
    timings = section["timings"][ONE_CORE]
    own = ratio(timings[OURS], timings[mlp_epoch.FLOOR])
    others = compared(timings, {mlp_epoch.FLOOR, mlp_epoch.EVALUATING})
    return f"{own:.1f} times the floor, its two large matrix products alone; {others}."


def cnn_sentence(section: Section) -> str:
    """Compare our CNN, which takes one core, with everybody else's, which take all."""
    timings = section["timings"][AS_IT_COMES]
    return f"{compared(timings, {OURS_THREADED})}."


def compared(timings: Timings, aside: set[str]) -> str:
    """Say how many times our time the others took."""
    others = [name for name in timings if name not in aside | {OURS}]
    said = [f"{name} {ratio(timings[name], timings[OURS]):.1f}" for name in others]
    return "the others, in multiples of our time: " + ", ".join(said)


def update_readme(text: str, results: Results) -> str:
    """Return the README with its paragraph on speed written anew.

    Raises ValueError if its two markers are missing.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"the README lacks the markers {START!r} and {END!r}.")
    return before + readme_section(results) + after
