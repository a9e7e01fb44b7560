"""Figures of notebook 2: what a convolutional network is, what it sees, how it fares in a duel.

As in `plotting.figures`, functions take arrays and return a Matplotlib `Figure` whose label is its
alt text, computed from the data.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from helpers.evaluation import OUTCOMES
from helpers.mnist import DIGITS, Classes
from plotting.figures import (
    BLUE,
    GREY,
    PALE,
    VERMILLION,
    checked,
    draw_digits,
    mosaic,
    new_figure,
    tidy,
)
from plotting.network_diagram import PALE_BLUE, PALE_VERMILLION, times

# Pictures (n, 28, 28), true labels (n,), and what the MLP and the CNN said (n,).
Examples = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]

PICTURE_SIDE, FILTER_SIDE = 5, 3  # of the convolution that is worked out by hand
OUTCOME_COLOURS = dict(zip(OUTCOMES, ("white", PALE_VERMILLION, PALE_BLUE, PALE), strict=True))
# Whichever of the first two is compared with the CNN has the same style.
NETWORKS: dict[str, dict[str, Any]] = {
    "MLP": {"color": VERMILLION, "linestyle": "--", "marker": "s"},
    "fully connected": {"color": VERMILLION, "linestyle": "--", "marker": "s"},
    "CNN": {"color": BLUE, "linestyle": "-", "marker": "o"},
}
NAMES = ("MLP", "CNN")  # of the networks of the two notebooks
POINTS: dict[str, Any] = {"textcoords": "offset points"}
LONGEST_CAPTION = 20  # characters under an example of the duel, in two lines
GUESSING = 10.0  # % right by chance, of ten classes


def convolution_by_hand(
    picture: ArrayLike, weights: ArrayLike, feature_map: ArrayLike, place: tuple[int, int]
) -> Figure:
    """A `picture` (5, 5), a filter of `weights` (3, 3) and their `feature_map` (3, 3), as numbers.

    The window of the map's value at `place`, a row and a column, is marked, and its sum written
    out. Raises ValueError for another shape, or a place outside of the map.
    """
    parts = {
        "picture": checked("picture", picture, PICTURE_SIDE, PICTURE_SIDE),
        "filter": checked("weights", weights, FILTER_SIDE, FILTER_SIDE),
        "feature map": checked("feature_map", feature_map, FILTER_SIDE, FILTER_SIDE),
    }
    row, column = checked("place", place, 2, within=(0, FILTER_SIDE - 1)).astype(int)
    window = parts["picture"][row:, column:][:FILTER_SIDE, :FILTER_SIDE]
    marks = {"picture": (row, column, FILTER_SIDE), "filter": (0, 0, FILTER_SIDE)}
    marks["feature map"] = (row, column, 1)
    title = "A convolution by hand"
    figure = new_figure(9.5, 3.6, title)
    axes = figure.subplots(1, 3, width_ratios=[PICTURE_SIDE, FILTER_SIDE, FILTER_SIDE])
    for ax, (name, values) in zip(axes, parts.items(), strict=True):
        _draw_numbers(ax, values, name, marks[name])
    pairs = zip(window.flat, parts["filter"].flat, strict=True)
    terms = [f"{_plain(x)}·{_plain(w, brackets=True)}" for x, w in pairs]
    total = f"{' + '.join(terms)} = {_plain(parts['feature map'][row, column])}"
    figure.supxlabel(total, fontsize=11, color=VERMILLION)
    told = [f"{name} {_rows(values)}" for name, values in parts.items()]
    figure.set_label(
        f"{title}, row by row: {', '.join(told)}. At row {row}, column {column}: {total}."
    )
    return figure


def _draw_numbers(ax: Axes, values: NDArray[Any], name: str, mark: tuple[int, int, int]) -> None:
    """Draw numbers in squares; those from a row and a column on, so many, are marked."""
    row, column, side = mark
    n = len(values)
    ax.add_patch(Rectangle((column, row), side, side, fc=PALE_VERMILLION, ec="none"))
    for k in range(n + 1):
        ax.plot([0, n], [k, k], [k, k], [0, n], color=GREY, linewidth=0.8)
    ax.add_patch(Rectangle((column, row), side, side, fc="none", ec=VERMILLION, lw=2.5, zorder=3))
    for (i, j), value in np.ndenumerate(values):
        ax.text(j + 0.5, i + 0.5, _plain(value), ha="center", va="center", fontsize=13)
    ax.text(n / 2, -0.2, f"{name}: {times(values.shape)}", ha="center", va="bottom", fontsize=11)
    middle, reach = n / 2, PICTURE_SIDE / 2 + 0.6  # the squares are of one size everywhere
    ax.set(xlim=(-0.1, n + 0.1), ylim=(middle + reach, middle - reach), aspect="equal")
    ax.set_axis_off()


def _plain(value: float, brackets: bool = False) -> str:
    """Return a number as it is written by hand: "−2", or "(−2)" after a sign if so wanted."""
    text = f"{value:g}".replace("-", "−")
    return f"({text})" if brackets and value < 0 else text


def _rows(values: NDArray[Any]) -> str:
    return "; ".join(" ".join(map(_plain, row)) for row in values)


def filter_grid(conv1_weights: ArrayLike, title: str) -> Figure:
    """The filters `conv1_weights` (6, 1, 5, 5) as grey images, numbered from 0, on one scale.

    White weights are positive: ink there raises the map's value; black ones are negative.
    Raises ValueError for another shape or values that are not finite.
    """
    filters = checked("conv1_weights", conv1_weights, 6, 1, 5, 5)[:, 0]
    figure = new_figure(9, 2.7, title)
    unit = "weight: ink on white excites the map, ink on black inhibits it"
    limit = float(np.abs(filters).max()) or 1.0  # symmetric, so that mid-grey is a weight of 0
    _draw_maps(figure.subplots(), filters, 6, (-limit, limit), "gray", unit)
    strongest = np.abs(filters).max(axis=(1, 2)).argmax()
    figure.set_label(
        f"{title}: 6 filters of 5 by 5 weights in grey, on one scale from {-limit:.2f} (black) to "
        f"{limit:.2f} (white). Filter {strongest} has the strongest weight."
    )
    return figure


def feature_map_grid(
    picture: ArrayLike,
    conv1_maps: ArrayLike,
    conv2_maps: ArrayLike,
    noun: str = "digit",
) -> Figure:
    """One `picture` (28, 28) of a `noun` beside its maps (6, 24, 24) and (16, 8, 8), after ReLU.

    The maps of a layer are numbered from 0 and share one scale.
    Raises ValueError for another shape, or values that are negative or not finite.
    """
    picture = checked("picture", picture, 28, 28)
    layers = {
        "conv1": checked("conv1_maps", conv1_maps, 6, 24, 24, within=(0, np.inf)),
        "conv2": checked("conv2_maps", conv2_maps, 16, 8, 8, within=(0, np.inf)),
    }
    title = f"One {noun}, and what the convolutions make of it"
    figure = new_figure(10.5, 4.7, title)
    figure.set_layout_engine("constrained", wspace=0.05)
    first, *others = figure.subplots(1, 3, width_ratios=[1, 1.44, 0.93])
    first.set_anchor("S")  # on one line with the maps, which stand on their colour bars
    draw_digits([first], picture[np.newaxis], [""])
    first.set_title(f"input: {times(picture.shape)}", fontsize=10, pad=16)
    for ax, columns, (name, maps) in zip(others, (3, 4), layers.items(), strict=True):
        top = float(maps.max()) or 1.0
        _draw_maps(ax, maps, columns, (0, top), "magma", "activation after ReLU")
        ax.set_title(f"{name}: {len(maps)} maps, {times(maps.shape[1:])}", fontsize=10, pad=16)
    told = [_describe_maps(name, maps) for name, maps in layers.items()]
    figure.set_label(f"{title}, from black (0) to bright (largest). {' '.join(told)}")
    return figure


def duel_gallery(
    counts: Mapping[str, int], examples: Mapping[str, Examples], classes: Classes = DIGITS
) -> Figure:
    """A 2x2 table of who read how many images wrongly, beside examples of the mistakes.

    `counts` has the keys OUTCOMES of `helpers.evaluation`, `examples` all of them but "both right";
    each maps to pictures (n, 28, 28), labels, the MLP's and the CNN's digits (n,); n may be 0.
    Raises ValueError for other keys and shapes, negative counts, and labels that are not digits.
    """
    _check_names("counts", counts, OUTCOMES)
    _check_names("examples", examples, OUTCOMES[1:])
    numbers = checked("counts", [counts[name] for name in OUTCOMES], 4, within=(0, np.inf))
    rows = {name: _checked_examples(name, examples[name], classes) for name in OUTCOMES[1:]}
    columns = max(3, *(len(pictures) for pictures, _ in rows.values()))
    title = f"{numbers.sum():,} images, read by the MLP and by the CNN"
    figure = new_figure(3.2 + 1.05 * columns, 6.1 if classes.are_long else 5.5, title)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[3.2, 1.05 * columns])[0]
    _draw_table(left.subplots(), numbers)
    parts = right.subfigures(3, 1, squeeze=False, hspace=0.05)[:, 0]
    for part, (name, (pictures, captions)) in zip(parts, rows.items(), strict=True):
        part.set_facecolor(OUTCOME_COLOURS[name])
        part.suptitle(f"{name}: {counts[name]:,}", x=0.02, ha="left", fontsize=11, weight="bold")
        _draw_examples(part, columns, pictures, captions)
    table = ", ".join(f"{name} {counts[name]:,}" for name in OUTCOMES)
    shown = [f"{name}: {'; '.join(told) or 'none'}." for name, (_, told) in rows.items()]
    figure.set_label(f"{title}: {table}. Examples, {' '.join(shown)}")
    return figure


def shift_curves(
    shifts: Sequence[int],
    accuracies: Mapping[str, Sequence[float]],
    noun: str = "digit",
    spread: Mapping[str, tuple[int, float, float]] | None = None,
) -> Figure:
    """Accuracy in percent of two networks, each (len(shifts),), against the shift in pixels.

    They are called "CNN" and either "MLP" or "fully connected". What is shifted is called `noun`.
    `spread` gives, for each network, a shift and the lowest and highest accuracy that trainings
    with other seeds have there; it is drawn as a bar. Raises ValueError for other names, unequal
    lengths, or values outside 0 to 100.
    """
    pixels = checked("shifts", shifts, "shifts")
    curves = _checked_accuracies(accuracies, len(pixels))
    title = f"What a shift of the {noun}s costs"
    figure = new_figure(7.2, 4.4, title)
    ax = figure.subplots()
    ax.axhline(GUESSING, color=GREY, linewidth=1)
    ax.annotate(f"guessing: {GUESSING:g} %", (pixels[0], GUESSING), (0, -4), va="top", **POINTS)
    _draw_shift_curves(ax, pixels, curves)
    for name, (shift, low, high) in (spread or {}).items():
        middle, half = (low + high) / 2, (high - low) / 2
        ax.errorbar(shift, middle, half, color=NETWORKS[name]["color"], capsize=6, fmt="none")
    ax.set(xlabel=f"shift of the {noun}s (pixels)", ylabel="accuracy (%)", ylim=(0, 101))
    ax.set_xticks(pixels)
    tidy(ax, "y")
    told = [f"{name}: {_listed(values, '.1f')}." for name, values in curves.items()]
    told += [
        f"{name}, other seeds, at a shift of {shift}: {low:.1f} to {high:.1f}."
        for name, (shift, low, high) in (spread or {}).items()
    ]
    figure.set_label(
        f"{title}: accuracy in % at shifts of {_listed(pixels, 'g')} pixels. {' '.join(told)}"
    )
    return figure


def _draw_shift_curves(ax: Axes, pixels: NDArray[Any], curves: Mapping[str, NDArray[Any]]) -> None:
    """Draw each network's curve, with its name and last accuracy at its end."""
    higher = max(curves, key=lambda name: curves[name][-1])
    for name, values in curves.items():
        ax.plot(pixels, values, label=name, markersize=6, **NETWORKS[name])
        style = {"color": NETWORKS[name]["color"], "va": "bottom" if name == higher else "top"}
        text, end = f"{name} {values[-1]:.1f} %", (pixels[-1], values[-1])
        ax.annotate(text, end, (10, 0), **POINTS | style)


def permutation_bars(
    accuracies: Mapping[str, tuple[float, float]],
    title: str = "What shuffling the pixels changes",
) -> Figure:
    """Accuracy in percent of two networks on (original, permuted) pixels, as dots on one scale.

    They are called as in `shift_curves`. The scale is zoomed to the values, and the changes are
    those of the rounded accuracies that stand beside them.
    Raises ValueError for other names, or values outside 0 to 100.
    """
    pairs = _checked_accuracies(accuracies, 2)
    figure = new_figure(8, 2.9, title)
    ax = figure.subplots()
    for row, (name, pair) in enumerate(pairs.items()):
        _draw_pair(ax, row, pair, NETWORKS[name] | {"linestyle": "-", "markersize": 9})
    # Python rounds as the numbers beside are printed; NumPy's 97.35 would become 97.4.
    costs = {
        name: f"{round(float(after), 1) - round(float(before), 1):+.1f} points".replace("-", "−")
        for name, (before, after) in pairs.items()
    }
    ax.set_yticks(range(2), [f"{name}\n{cost}" for name, cost in costs.items()])
    ax.set(xlabel="validation accuracy (%)", ylim=(1.6, -0.6))
    ax.margins(x=0.15)
    tidy(ax, "x")
    told = [
        f"{name}: {before:.1f} % on original, {after:.1f} % on permuted pixels, {costs[name]}."
        for name, (before, after) in pairs.items()
    ]
    figure.set_label(f"{title}, in validation accuracy. {' '.join(told)}")
    return figure


def record_dots(
    plain: Mapping[str, float],
    record: Mapping[str, Sequence[float]],
    title: str = "What the recipe gains, with the same networks",
) -> Figure:
    """The test errors of "MLP" and "CNN": hollow for plain training, a filled dot for each record.

    `plain` holds one test accuracy in percent for each network, `record` those of several runs.
    Raises ValueError for other names, no runs, or values outside 0 to 100.
    """
    before = _checked_accuracies({name: [value] for name, value in plain.items()}, 1)
    _check_names("record", record, NAMES)
    figure = new_figure(8, 2.9, title)
    ax = figure.subplots()
    told = []
    for row, name in enumerate(NAMES):
        runs = checked(f"record of {name!r}", record[name], "runs", within=(0, 100))
        errors = {"plain": 100 - before[name], "record": 100 - runs}
        _draw_errors(ax, row, errors, NETWORKS[name] | {"linestyle": "", "markersize": 8})
        means = [f"{word} {values.mean():.2f} %" for word, values in errors.items()]
        told.append(f"{name}: {means[0]}, {means[1]} on average of {len(runs)} runs.")
    ax.set_yticks(range(2), list(NAMES))
    ax.set(xlabel="wrong test images (%)", ylim=(1.6, -0.6))
    ax.set_xlim(left=0, right=1.15 * ax.get_xlim()[1])
    tidy(ax, "x")
    figure.set_label(f"{title}, in % of wrong test images. {' '.join(told)}")
    return figure


def _draw_errors(
    ax: Axes, row: int, errors: Mapping[str, NDArray[Any]], style: dict[str, Any]
) -> None:
    """Draw "plain" errors hollow, "record" errors filled, and name the mean of each."""
    for (word, values), face in zip(errors.items(), ("white", style["color"]), strict=True):
        ax.plot(values, [row] * len(values), **style | {"markerfacecolor": face})
        text, place = f"{word} {values.mean():.2f} %", (values.mean(), row)
        ax.annotate(text, place, (0, 9), ha="center", va="bottom", **POINTS)


def _draw_pair(ax: Axes, row: int, pair: NDArray[Any], style: dict[str, Any]) -> None:
    """Draw an accuracy on original pixels, filled, and on permuted ones, hollow; name both."""
    ax.plot(pair, [row, row], **style)
    ax.plot(pair[1], row, **style | {"markerfacecolor": "white"})
    # One above, one below: they keep clear of each other even where the values are equal.
    for value, word, up, va in zip(
        pair, ("original", "permuted"), (9, -9), ("bottom", "top"), strict=True
    ):
        ax.annotate(f"{word} {value:.1f} %", (value, row), (0, up), ha="center", va=va, **POINTS)


def _draw_maps(
    ax: Axes, maps: NDArray[Any], columns: int, scale: tuple[float, float], cmap: str, unit: str
) -> None:
    """Draw maps (N, h, w) in a grid, numbered from 0, with one colour bar for their `scale`."""
    _, height, width = maps.shape
    below, right = gap = max(1, height // 4), max(1, width // 8)
    image = ax.imshow(mosaic(maps, columns, gap), cmap=cmap, interpolation="nearest")
    image.set_clim(*scale)
    for k in range(len(maps)):
        row, column = divmod(k, columns)
        place = column * (width + right) - 0.5, row * (height + below) - 0.5
        ax.annotate(str(k), place, (1, 1), fontsize=9, va="bottom", **POINTS)
    ax.set_axis_off()
    ax.figure.colorbar(image, ax=ax, location="bottom", shrink=0.7, aspect=30, label=unit)


def _draw_table(ax: Axes, numbers: NDArray[Any]) -> None:
    """Draw the four `numbers` of images in the order of OUTCOMES: MLP down, CNN across."""
    for k, (name, number) in enumerate(zip(OUTCOMES, numbers, strict=True)):
        column, row = divmod(k, 2)
        ax.add_patch(Rectangle((column, row), 1, 1, fc=OUTCOME_COLOURS[name], ec="black"))
        ax.text(column + 0.5, row + 0.45, f"{number:,}", fontsize=17, ha="center")
        share = f"{name}\n{100 * number / max(1, numbers.sum()):.2f} %"
        ax.text(column + 0.5, row + 0.55, share, fontsize=9, ha="center", va="top")
    ax.set(xlim=(0, 2), ylim=(2, 0), aspect="equal")
    ax.set_xticks([0.5, 1.5], ["CNN right", "CNN wrong"])
    ax.set_yticks([0.5, 1.5], ["MLP right", "MLP wrong"], rotation=90, va="center")
    ax.tick_params(length=0, labeltop=True, labelbottom=False)


def _draw_examples(
    part: SubFigure, columns: int, pictures: NDArray[Any], captions: list[str]
) -> None:
    """Draw captioned pictures (n, 28, 28) side by side, leaving the rest of `columns` empty."""
    axes = part.subplots(1, columns)
    lines = [caption.replace(": ", "\n") for caption in captions]
    lines = [line.replace(", ", "\n") if len(line) > LONGEST_CAPTION else line for line in lines]
    draw_digits(axes, pictures, lines)
    for ax in axes[: len(pictures)]:
        ax.title.set_fontsize(9)
    for ax in axes[len(pictures) :]:
        ax.set_axis_off()


def _check_names(name: str, values: Mapping[str, Any], wanted: Sequence[str]) -> None:
    if set(values) != set(wanted):
        raise ValueError(f"{name}: got {list(values)}, wanted {list(wanted)}.")


def _checked_accuracies(
    accuracies: Mapping[str, Sequence[float]], length: int
) -> dict[str, NDArray[Any]]:
    rival = "fully connected" if "fully connected" in accuracies else "MLP"
    _check_names("accuracies", accuracies, (rival, "CNN"))
    return {
        name: checked(f"accuracies of {name!r}", values, length, within=(0, 100))
        for name, values in accuracies.items()
    }


def _checked_examples(
    name: str, examples: Examples, classes: Classes
) -> tuple[NDArray[Any], list[str]]:
    """Return pictures (n, 28, 28) and a caption for each; n may be 0."""
    pictures, *digits = (np.asarray(values) for values in examples)
    if len(pictures) == 0:
        return pictures, []
    checked(f"pictures of {name!r}", pictures, "n", 28, 28)
    rows = [
        checked(f"{what} digits of {name!r}", values, len(pictures), within=(0, 9))
        for what, values in zip(("true", "MLP", "CNN"), digits, strict=True)
    ]
    names = [[classes.names[int(label)] for label in row] for row in rows]
    triples = zip(*names, strict=True)
    return pictures, [f"true {true}: MLP {mlp}, CNN {cnn}" for true, mlp, cnn in triples]


def _describe_maps(name: str, maps: NDArray[Any]) -> str:
    peaks = maps.max(axis=(1, 2))
    return (
        f"{name}: {len(maps)} maps of {times(maps.shape[1:])}, map {peaks.argmax()} has the "
        f"largest activation, {peaks.max():.2f}; all black: {(peaks == 0).sum()}."
    )


def _listed(values: NDArray[Any], form: str) -> str:
    return ", ".join(format(value, form) for value in values)
