"""The plots of the results: legible in grey and with any colour vision."""

from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.contest import AS_IT_COMES, ONE_CORE, OURS
from benchmarks.measure import Timings
from benchmarks.report import SIZE_NAMES, TITLES, duration
from benchmarks.results import Results, Section
from helpers.files import atomic_write
from plotting.figures import BLUE, DPI, PALE, VERMILLION, new_figure

STYLES: dict[str, dict[str, Any]] = {
    AS_IT_COMES: {"color": BLUE, "marker": "o"},
    ONE_CORE: {"color": VERMILLION, "marker": "s", "markerfacecolor": "white"},
}


def draw(results: Results, folder: Path) -> None:
    """Draw what there are results for, into PNG files in `folder`."""
    contests: Results = {name: results[name] for name in ("mlp", "cnn") if name in results}
    if contests:
        save(epochs_figure(contests), folder / "epochs.png")
    if "size" in results:
        save(cost_figure(results["size"]), folder / "cost.png")


def save(figure: Figure, path: Path) -> None:
    """Write the figure with its alt text, all or nothing."""
    with atomic_write(path) as file:
        metadata = {"Description": str(figure.get_label()), "Software": None}
        figure.savefig(file, format="png", dpi=DPI, metadata=metadata)


def epochs_figure(contests: dict[str, Section]) -> Figure:
    """One panel a contest: the median seconds of everybody, in both settings."""
    n_rows = [len(section["timings"][AS_IT_COMES]) for section in contests.values()]
    figure = new_figure(9.5, 0.62 * sum(n_rows) + 1.6, "One training epoch")
    panels = figure.subplots(len(contests), 1, squeeze=False, height_ratios=n_rows)[:, 0]
    for ax, (name, section) in zip(panels, contests.items(), strict=True):
        draw_contest(ax, section["timings"])
        ax.set_title(f"{TITLES[name]} on {section['images']:,} images", fontsize=11)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    panels[-1].set_xlabel("time (s), logarithmic")
    figure.set_label(
        "Seconds of one training epoch, a row for each contestant, the fastest at the top. "
        + " ".join(describe(TITLES[name], s["timings"]) for name, s in contests.items())
    )
    return figure


def draw_contest(ax: Axes, timings: dict[str, Timings]) -> None:
    """Draw two markers for each contestant, the fastest at the top."""
    names = sorted(timings[AS_IT_COMES], key=lambda name: median(timings[AS_IT_COMES][name]))
    for offset, (setting, style) in zip((-0.2, 0.2), STYLES.items(), strict=True):
        points = [
            (median(timings[setting][name]), row + offset)
            for row, name in enumerate(names)
            if name in timings[setting]
        ]
        ax.plot(*zip(*points, strict=True), linestyle="", label=setting, **style)
        for point in points:
            ax.annotate(
                duration(point[0]), point, (7, 0), textcoords="offset points", va="center",
                fontsize=8,
            )  # fmt: skip
    ax.set(xscale="log", ylim=(len(names) - 0.4, -0.6))
    ax.set_yticks(range(len(names)), names)
    for tick in ax.get_yticklabels():
        tick.set_fontweight("bold" if tick.get_text().startswith(OURS) else "normal")
    style_axes(ax)
    ax.margins(x=0.12)


def style_axes(ax: Axes) -> None:
    """Give logarithmic axes plain numbers, a light grid and no frame."""
    for axis, scale in ((ax.xaxis, ax.get_xscale()), (ax.yaxis, ax.get_yscale())):
        if scale == "log":
            axis.set_minor_locator(LogLocator(subs=(2, 5)))  # seen even within a decade
            axis.set_major_formatter(lambda value, _: f"{value:,g}")
            axis.set_minor_formatter(lambda value, _: f"{value:,g}")
    ax.grid(color=PALE, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def describe(title: str, timings: dict[str, Timings]) -> str:
    """Say in one sentence what a panel shows."""
    said = [f"{name} {duration(median(s))}" for name, s in timings[AS_IT_COMES].items()]
    return f"{title}, as it comes: {', '.join(said)}."


def cost_figure(section: Section) -> Figure:
    """Time above, memory below, against each size; both axes logarithmic."""
    sweeps = section["sweeps"]
    figure = new_figure(10, 5.6, "What an epoch of the MLP costs")
    axes = figure.subplots(2, len(sweeps), sharex="col", sharey="row", squeeze=False)
    for column, (name, points) in zip(axes.T, sweeps.items(), strict=True):
        draw_sweep(column[0], points, "seconds", BLUE, "o")
        draw_sweep(column[1], points, "peak_mb", VERMILLION, "s")
        column[1].set_xlabel(SIZE_NAMES[name])
    axes[0, 0].set_ylabel("time (s)")
    axes[1, 0].set_ylabel("peak memory (MB)")
    figure.set_label(
        "Time and peak memory of an epoch of the MLP, on logarithmic axes. "
        + " ".join(describe_sweep(name, points) for name, points in sweeps.items())
    )
    return figure


def draw_sweep(ax: Axes, points: list[dict[str, Any]], key: str, colour: str, marker: str) -> None:
    """Draw one cost against one size."""
    sizes, costs = [p["value"] for p in points], [p[key] for p in points]
    ax.plot(sizes, costs, color=colour, marker=marker)
    ax.set(xscale="log", yscale="log")
    style_axes(ax)
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=45, fontsize=8)
    ax.xaxis.set_minor_locator(NullLocator())


def describe_sweep(name: str, points: list[dict[str, Any]]) -> str:
    """Say what the ends of a sweep cost."""
    ends = [
        f"{p['value']:,} {SIZE_NAMES[name]}: {duration(p['seconds'])}, {p['peak_mb']:.0f} MB"
        for p in (points[0], points[-1])
    ]
    return "; ".join(ends) + "."
