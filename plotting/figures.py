"""Figures of the notebooks: functions take arrays and return a Matplotlib `Figure`.

A figure's label is its alt text: every function here computes it from the data and stores it with
`figure.set_label(alt)`; `show` hands it on to the notebook and to the PNG file.

Figures are made with `Figure(...)` and not by pyplot: pyplot would keep them alive, might draw them
twice, and takes longer to import.

Where labels are shown, `classes` says what they stand for; by default they are digits.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from IPython.display import Image, display
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator
from numpy.typing import ArrayLike, NDArray

from helpers.mnist import DIGITS, Classes
from machine.files import atomic_write

# Okabe and Ito's palette: told apart with any colour vision. Line styles, markers and hatches
# differ as well, so that a print in grey says the same.
BLUE, VERMILLION, GREY, PALE = "#0072B2", "#D55E00", "#999999", "#D9D9D9"
LIGHTEST = "#F2F0EE"  # what a scale of colours begins with
# The y axis, in %, of every accuracy figure, so that figures of both notebooks can be compared.
# Narrow, since the gaps that matter are 1 to 8 points; the first epochs may lie below it.
ACCURACY_RANGE = (80.0, 100.5)
DPI = 110


def digits_grid(
    pictures: ArrayLike, labels: ArrayLike, title: str, classes: Classes = DIGITS
) -> Figure:
    """Grey `pictures` (N, 28, 28), ten to a row, each captioned with its label from `labels` (N,).

    Black is the smallest value of all the pictures, white the largest.
    Raises ValueError for another shape, no pictures, labels that are not digits, or values that are
    not finite.
    """
    pictures = checked("pictures", pictures, "N", 28, 28)
    labels = checked("labels", labels, len(pictures), within=(0, 9)).astype(int)
    captions = [classes.names[label] for label in labels]
    columns = min(10, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = new_figure(max(columns, 4.0), 1.25 * rows + 0.5, title)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    draw_digits(axes, pictures, captions)
    for ax in axes[len(pictures) :]:
        ax.remove()
    told = ", ".join(captions)
    figure.set_label(f"{title}: {len(pictures)} pictures in grey, labelled {told}.")
    return figure


def accuracy_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str = "Accuracy during training",
    ylim: tuple[float, float] = ACCURACY_RANGE,
) -> Figure:
    """One panel for each name in `curves`: training and validation accuracy after every epoch.

    `curves` maps a name to a pair (training, validation) of accuracies in percent, both (epochs,).
    All panels share the y axis `ylim`, in %. If a curve ends below it, the axis starts at 0.
    Raises ValueError for no curves, unequal lengths, or values outside 0 to 100.
    """
    if not curves:
        raise ValueError("curves: got no entries, wanted at least one pair of accuracies.")
    pairs = {name: _checked_pair(name, *pair) for name, pair in curves.items()}
    figure = new_figure(4.9 * len(curves), 4.2, title)
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for ax, (name, pair) in zip(panels, pairs.items(), strict=True):
        _draw_accuracies(ax, name, pair)
    # A network that has learnt little must be seen too, not hide below the axis.
    seen = min(pair[:, -1].min() for pair in pairs.values()) >= ylim[0]
    panels[0].set(ylabel="accuracy (%)", ylim=(ylim[0] if seen else 0, ylim[1]))
    panels[0].yaxis.set_major_locator(MultipleLocator(5 if seen else 20))
    for ax, pair in zip(panels, pairs.values(), strict=True):
        if pair.min() < ax.get_ylim()[0]:
            note = f"▼ from {pair[:, 0].min():.0f} % at epoch 1"
            ax.text(0.98, 0.02, note, ha="right", transform=ax.transAxes, fontsize=9)
    ends = [_describe_end(name, pair) for name, pair in pairs.items()]
    figure.set_label(f"{title}, in % for each epoch. " + " ".join(ends))
    return figure


def confusion_heatmap(
    counts: ArrayLike, title: str, vmax: float | None = None, classes: Classes = DIGITS
) -> Figure:
    """Heatmap of `counts` (10, 10), rows the true digit, columns the predicted one.

    The colours belong to the mistakes, from 0 to `vmax` (by default the largest count off the
    diagonal); the diagonal stays white. Give two matrices the same `vmax` to compare them. Beside
    each row stands which share of it is right.
    Raises ValueError for another shape, or values that are not whole numbers from 0.
    """
    counts = checked("counts", counts, 10, 10, within=(0, np.inf))
    if (counts % 1 != 0).any():
        raise ValueError("counts: got fractional values, wanted whole numbers of images.")
    counts = counts.astype(int)
    mistakes = np.where(np.eye(10, dtype=bool), 0, counts)
    summary = _describe_mistakes(counts, mistakes, classes)
    told = summary.replace("; ", ";\n") if classes.are_long else summary
    figure = new_figure(8.0, 6.9, f"{title}\n{told}")
    ax = figure.subplots()
    _draw_counts(ax, counts, mistakes, vmax or max(1, mistakes.max()), classes.names)
    ax.set(xlabel=f"predicted {classes.noun}", ylabel=f"true {classes.noun}")
    ax.tick_params(length=0, rotation=0)
    ax.tick_params(axis="x", rotation=_tilt(classes))
    for row, (right, n) in enumerate(zip(counts.diagonal(), counts.sum(axis=1), strict=True)):
        share = f"{100 * right / n:.1f} % of {n:,}" if n else "none"
        ax.annotate(share, (10.1, row + 0.5), va="center", fontsize=9, annotation_clip=False)
    figure.set_label(f"{title}, a heatmap of true against predicted {classes.noun}s. {summary}.")
    return figure


def _draw_counts(
    ax: Axes, counts: NDArray[Any], mistakes: NDArray[Any], top: float, names: Sequence[str]
) -> None:
    """Draw the mistakes in colours up to `top`, and the diagonal in white."""
    colours = LinearSegmentedColormap.from_list("mistakes", [LIGHTEST, VERMILLION])
    wrong = np.ma.masked_where(np.eye(len(counts), dtype=bool), mistakes)
    cells = ax.pcolormesh(wrong, cmap=colours, vmin=0, vmax=top, edgecolors="white", linewidth=1)
    for (row, column), n in np.ndenumerate(counts):
        # Black is legible on all of the colours.
        colour = "black" if n else GREY
        ax.text(column + 0.5, row + 0.5, str(n), ha="center", va="center", color=colour)
    middles = np.arange(len(counts)) + 0.5
    ax.set(aspect="equal", xticks=middles, yticks=middles, xticklabels=names, yticklabels=names)
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    assert ax.figure
    ax.figure.colorbar(
        cells, ax=ax, label="images", shrink=0.8, ticks=MaxNLocator(integer=True),
        extend="max" if mistakes.max() > top else "neither",
    ).outline.set_visible(False)  # fmt: skip


def mistakes_gallery(
    pictures: ArrayLike,
    probabilities: ArrayLike,
    labels: ArrayLike,
    title: str = "What the network saw, and what it believed, most confident first",
    classes: Classes = DIGITS,
) -> Figure:
    """Each of `pictures` (N, 28, 28) over a bar chart of its row of `probabilities` (N, 10).

    A triangle marks the true digit, from `labels` (N,); the bar of the predicted one is hatched.
    Raises ValueError for another shape, no pictures, values that are not finite, probabilities
    outside 0 to 1 and labels that are not digits.
    """
    pictures = checked("pictures", pictures, "N", 28, 28)
    beliefs = 100 * checked("probabilities", probabilities, len(pictures), 10, within=(0, 1))
    truths = checked("labels", labels, len(pictures), within=(0, 9)).astype(int)
    columns = min(6, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = new_figure(max(1.75 * columns, 4.0), 2.9 * rows + 0.7, title)
    key = f"hatched bar: what the network says; triangle: the true {classes.noun}"
    figure.supxlabel(f"{classes.noun} ({key})", fontsize=10)
    axes = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[1.7, 1] * rows)
    captions = [_describe_belief(*pair, classes) for pair in zip(beliefs, truths, strict=True)]
    above, below = axes[::2].ravel(), axes[1::2].ravel()
    draw_digits(above, pictures, [text.replace(", ", "\n") for text in captions])
    for k in range(len(pictures)):
        _draw_beliefs(below[k], beliefs[k], truths[k], classes)
        below[k].set_ylabel("" if k % columns else "belief (%)", fontsize=9)
        below[k].tick_params(labelleft=k % columns == 0)
    for ax in [*above[len(pictures) :], *below[len(pictures) :]]:
        ax.remove()
    figure.set_label(f"{title}: {len(pictures)} pictures. " + "; ".join(captions) + ".")
    return figure


def show(figure: Figure, name: str, folder: Path | str) -> None:
    """Display `figure` in the notebook and save it as `folder`/`name`.png, both with its alt text.

    A name like "figure_3_templates" puts "Figure 3" before the title. The folder is made if it is
    missing; the same data give the same bytes.
    Raises ValueError for a figure without alt text, OSError if the file cannot be written.
    """
    alt = str(figure.get_label())
    if not alt:
        raise ValueError("figure: has no alt text; give it one with figure.set_label(...).")
    number, title = re.match(r"figure_(\d+[a-z]?)_", name), figure.get_suptitle()
    if number and not title.startswith("Figure "):
        figure.suptitle(f"Figure {number[1]} · {title}", fontsize=13)
    buffer = io.BytesIO()
    metadata = {"Description": alt, "Software": None}  # Software would name Matplotlib's version
    figure.savefig(buffer, format="png", dpi=DPI, metadata=metadata)
    # IPython draws a bare Figure only after pyplot has been set up, hence the Image.
    display(Image(data=buffer.getvalue(), format="png", alt=alt))
    path = Path(folder) / f"{name}.png"
    try:
        with atomic_write(path) as file:
            file.write(buffer.getvalue())
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"Cannot save {path}: {reason}. Choose a folder you may write to.") from error


def new_figure(width: float, height: float, title: str) -> Figure:
    """Make a white figure of this size in inches, with a title over all of it."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=13)
    return figure


def checked(
    name: str,
    values: ArrayLike,
    *shape: int | str,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> NDArray[Any]:
    """Return `values` as an array if it has this shape (a letter: any length from 1) and range."""
    array = np.asarray(values)
    wanted = f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
    fits = len(array.shape) == len(shape) and all(
        have == want or isinstance(want, str) for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits or array.size == 0:
        raise ValueError(f"{name}: got shape {array.shape}, wanted {wanted}, not empty.")
    if not (np.issubdtype(array.dtype, np.number) and np.isfinite(array).all()):
        raise ValueError(f"{name}: got values that are NaN, infinite or no numbers.")
    if array.min() < within[0] or array.max() > within[1]:
        raise ValueError(
            f"{name}: got values from {array.min():g} to {array.max():g}, "
            f"wanted {within[0]:g} to {within[1]:g}."
        )
    return array


def _checked_pair(name: str, training: ArrayLike, validation: ArrayLike) -> NDArray[Any]:
    """Return both accuracies as one array (2, epochs)."""
    first = checked(f"training of {name!r}", training, "epochs", within=(0, 100))
    second = checked(f"validation of {name!r}", validation, len(first), within=(0, 100))
    return np.stack([first, second])


def draw_digits(
    axes: Sequence[Axes] | NDArray[Any], pictures: NDArray[Any], captions: Sequence[str]
) -> None:
    """Draw `pictures` in grey, on one scale, each under its caption; more axes stay as they are."""
    for ax, picture, caption in zip(axes, pictures, captions, strict=False):
        ax.imshow(picture, cmap="gray", vmin=pictures.min(), vmax=pictures.max())
        ax.set_title(caption, fontsize=10)
        ax.set_axis_off()


def tidy(ax: Axes, axis: Literal["x", "y"]) -> None:
    """Draw a pale grid across one axis, and no frame but its two axes."""
    ax.grid(axis=axis, color=PALE, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)


def number_epochs(ax: Axes) -> None:
    """Let the x axis count epochs, over a pale grid."""
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    tidy(ax, "y")


def _draw_accuracies(ax: Axes, name: str, pair: NDArray[Any]) -> None:
    """Draw training and validation accuracy (2, epochs), each named at its right end."""
    epochs = np.arange(1, pair.shape[1] + 1)
    every = -(-len(epochs) // 20)
    marked = (len(epochs) - 1) % every, every  # at most 20 markers, the last epoch has one
    lines: list[dict[str, Any]] = [
        {"label": "training", "color": BLUE, "linestyle": "-", "marker": "o"},
        {"label": "validation", "color": VERMILLION, "linestyle": "--", "marker": "s"},
    ]
    higher = int(pair[1, -1] > pair[0, -1])
    for k, (values, style) in enumerate(zip(pair, lines, strict=True)):
        ax.plot(epochs, values, markersize=4, markevery=marked, **style)
        ax.annotate(
            f"{style['label']}\n{values[-1]:.2f} %",
            (epochs[-1], values[-1]),
            xytext=(8, 0),
            textcoords="offset points",
            # The names move apart from the lines, so that they never lie over one another.
            va="bottom" if k == higher else "top",
            color=style["color"],
        )
    above = pair[0] >= pair[1]  # where training lies below, there is no gap to be filled
    ax.fill_between(epochs, pair[0], pair[1], above, color=PALE, alpha=0.6, linewidth=0)
    ax.set_title(f"{name}\ngap at the end: {pair[0, -1] - pair[1, -1]:.2f} points", fontsize=11)
    number_epochs(ax)


def _tilt(classes: Classes) -> int:
    """By how many degrees the names have to be turned, so that ten of them fit below an axis."""
    return 90 if classes.are_long else 0


def _draw_beliefs(ax: Axes, beliefs: NDArray[Any], truth: int, classes: Classes) -> None:
    """Draw the ten probabilities, in %, as bars; mark the true digit and the predicted one."""
    bars = ax.bar(range(10), beliefs, color=GREY, edgecolor="none")
    bars[int(beliefs.argmax())].set(facecolor=VERMILLION, hatch="////", edgecolor="white")
    bars[truth].set(facecolor=BLUE)
    # The true digit's bar is often too small to be seen, the triangle over it is not.
    ax.plot([truth], [beliefs[truth] + 10], marker="v", color=BLUE, markersize=6, clip_on=False)
    ax.set(ylim=(0, 100), yticks=(0, 50, 100))
    ax.set_xticks(range(10), classes.names, rotation=_tilt(classes))
    ax.tick_params(labelsize=8, length=0)
    ax.spines[["top", "right"]].set_visible(False)


def mosaic(pictures: NDArray[Any], columns: int, gap: tuple[int, int] = (8, 4)) -> NDArray[Any]:
    """Lay pictures (N, h, w) out in one array, with a `gap` of NaN below and to the right of each.

    One image is drawn many times faster than N, and has one scale by construction.
    """
    below, right = gap
    padded = np.pad(
        pictures.astype(float), ((0, 0), (0, below), (0, right)), constant_values=np.nan
    )
    missing = -len(padded) % columns  # the last row is filled up
    padded = np.pad(padded, ((0, missing), (0, 0), (0, 0)), constant_values=np.nan)
    _, height, width = padded.shape
    grid = padded.reshape(-1, columns, height, width).swapaxes(1, 2)
    return grid.reshape(-1, columns * width)[:-below, :-right]


def _describe_end(name: str, pair: NDArray[Any]) -> str:
    training, validation = pair[:, -1]
    return (
        f"{name}: training {training:.2f} %, validation {validation:.2f} % after epoch "
        f"{pair.shape[1]}, a gap of {training - validation:.2f} points."
    )


def _describe_mistakes(counts: NDArray[Any], mistakes: NDArray[Any], classes: Classes) -> str:
    summary = f"{mistakes.sum():,} of {counts.sum():,} images wrong"
    if not mistakes.any():
        return summary
    true, predicted = (classes.names[label] for label in divmod(int(mistakes.argmax()), 10))
    return f"{summary}; most often {true} read as {predicted} ({mistakes.max()} images)"


def _describe_belief(beliefs: NDArray[Any], truth: int, classes: Classes) -> str:
    predicted = int(beliefs.argmax())
    return (
        f"true {classes.names[truth]}: {_percent(beliefs[truth])}, "
        f"says {classes.names[predicted]}: {_percent(beliefs[predicted])}"
    )


def _percent(value: float) -> str:
    """Round to whole percents, but not to 0 or 100: a softmax is never quite sure."""
    return "<1 %" if value < 1 else ">99 %" if value > 99 else f"{value:.0f} %"
