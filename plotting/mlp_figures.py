"""Figures of notebook 1 alone: the network drawn with its numbers, its trainings, its templates."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from helpers.mlp import MLP, cross_entropy_derivative
from helpers.mnist import DIGITS, Classes
from plotting.figures import BLUE, GREY, VERMILLION, checked, mosaic, new_figure, number_epochs

GREEN, PURPLE = "#009E73", "#CC79A7"
LINES = ((BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (PURPLE, ":"))
# Dark blue, white, orange: in grey, negative weights are darker than positive ones.
SIGNED = LinearSegmentedColormap.from_list("signed", ["#00335C", "white", VERMILLION])
CLIP = 99.5  # percentile of the colours' scale, so that one strong weight doesn't pale the others
MOST_UNITS = 4  # of one layer in the drawing


def learning_curves(
    panels: Mapping[str, Mapping[str, Sequence[float]]], title: str, lowest: Sequence[str] = ()
) -> Figure:
    """One panel for each quantity in `panels`, with a line over the epochs for each of its names.

    A quantity that is called a loss gets a logarithmic axis. A star marks the lowest point of the
    lines that `lowest` names. Raises ValueError for no panels or lines, values that are not finite,
    or more than four lines.
    """
    if not panels or not all(1 <= len(lines) <= len(LINES) for lines in panels.values()):
        raise ValueError(f"panels: got {panels!r:.60}, wanted 1 to {len(LINES)} lines in each.")
    figure = new_figure(4.9 * len(panels), 4.2, title)
    told = []
    for ax, (quantity, lines) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for style, (name, values) in zip(LINES, lines.items(), strict=False):
            run = checked(f"{name} of {quantity}", values, "epochs")
            told.append(_draw_line(ax, name, run, style, name in lowest))
        told[-len(lines)] = f"{quantity}: {told[-len(lines)]}"
        ax.set_ylabel(quantity)
        if "loss" in quantity:
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter(NullFormatter())
        number_epochs(ax)
        ax.legend(fontsize=9, frameon=False)
    figure.set_label(f"{title}, for each epoch. " + "; ".join(told) + ".")
    return figure


def _draw_line(
    ax: Axes, name: str, values: NDArray[Any], style: tuple[str, str], has_star: bool
) -> str:
    """Draw one line, with its last value in the legend, and say how it runs."""
    colour, dashes = style
    epochs = np.arange(1, len(values) + 1)
    ax.plot(epochs, values, color=colour, linestyle=dashes, label=f"{name}: {values[-1]:.4g}")
    told = f"{name} from {values[0]:.4g} to {values[-1]:.4g}"
    if has_star:
        best = int(values.argmin())
        ax.plot(epochs[best], values[best], marker="*", markersize=13, color=colour)
        told += f", lowest at epoch {epochs[best]}"
    return told


def weight_templates(
    W1: ArrayLike,
    start: ArrayLike,
    W2: ArrayLike,
    classes: Classes = DIGITS,
    title: str = "What training has added to each hidden unit's weights",
) -> Figure:
    """`W1` minus its `start`, both (units, 784), as pictures on one scale, ordered by digit.

    A unit stands with the digit that it speaks for most: the output for which it has the largest
    weight in `W2` (classes, units). Colours are clipped at the 99.5th percentile.
    Raises ValueError for another shape or values that are not finite.
    """
    W1 = checked("W1", W1, "units", 784)
    W2 = checked("W2", W2, len(classes.names), len(W1))
    added = (W1 - checked("start", start, *W1.shape)).reshape(-1, 28, 28)
    digit = W2.argmax(axis=0)
    order = np.lexsort((-W2.max(axis=0), digit))
    columns = math.ceil(math.sqrt(len(W1)))
    figure = new_figure(8.2, 8.0, title)
    ax = figure.subplots()
    limit = _draw_signed(ax, mosaic(added[order], columns), added)
    for place, unit in enumerate(order):
        row, column = divmod(place, columns)
        caption = f"{unit}: {classes.names[digit[unit]]}"
        size = 7 if classes.are_long else 9
        ax.text(column * 32 + 1, row * 36 - 1, caption, fontsize=size, va="bottom")
    counts = np.bincount(digit, minlength=len(classes.names))
    told = ", ".join(f"{name} {n}" for name, n in zip(classes.names, counts, strict=True))
    figure.set_label(
        f"{title}: the {len(W1)} rows of W1 minus their start, as 28 by 28 pictures on one scale "
        f"from {-limit:.2f} (dark blue) over 0 (white) to {limit:.2f} (orange), ordered by the "
        f"{classes.noun} that each unit speaks for most. Units for each {classes.noun}: {told}."
    )
    return figure


def filmstrip(frames: Mapping[int, ArrayLike], unit: int, title: str) -> Figure:
    """Row number `unit` of each of `frames`, weights (units, 784) by epoch, minus the first one.

    All pictures have one scale. Raises ValueError for fewer than two frames, another shape or
    values that are not finite.
    """
    if len(frames) < 2:
        raise ValueError(f"frames: got {len(frames)}, wanted at least 2.")
    films = [checked(f"frame {epoch}", W1, "units", 784)[unit] for epoch, W1 in frames.items()]
    pictures = np.stack(films[1:]).reshape(-1, 28, 28) - np.reshape(films[0], (28, 28))
    figure = new_figure(1.7 * len(pictures) + 1, 2.5, title)
    ax = figure.subplots()
    limit = _draw_signed(ax, mosaic(pictures, len(pictures)), pictures)
    epochs = list(frames)[1:]
    for place, epoch in enumerate(epochs):
        ax.text(place * 32 + 1, -1, f"epoch {epoch}", fontsize=10, va="bottom")
    told = ", ".join(map(str, epochs))
    figure.set_label(
        f"{title}: the weights of unit {unit} after the epochs {told}, minus those of epoch "
        f"{next(iter(frames))}, as 28 by 28 pictures on one scale from {-limit:.2f} (dark blue) "
        f"over 0 (white) to {limit:.2f} (orange)."
    )
    return figure


def _draw_signed(ax: Axes, picture: NDArray[Any], values: NDArray[Any]) -> float:
    """Draw a mosaic in signed colours, with its key; return where the scale of `values` ends."""
    limit = float(np.percentile(np.abs(values), CLIP)) or 1.0
    image = ax.imshow(picture, cmap=SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set_axis_off()
    figure = ax.get_figure()
    assert figure is not None
    bar = figure.colorbar(image, ax=ax, shrink=0.7, extend="both")
    bar.set_label("change of the weight")
    return limit


def back_propagation_diagram(network: MLP, y: ArrayLike) -> Figure:
    """Draw a small `network` with the numbers of its last pass, forward and back, for target `y`.

    Black numbers go forward, orange ones come back: below each value stands the slope of the loss
    along it, and at each line a weight with the slope along that. The shapes stand on the arrows.
    Raises ValueError for a network that has seen nothing or a batch, or is too large to be drawn.
    """
    sizes = _sizes_to_draw(network)
    delta2 = cross_entropy_derivative(network.y_hat, np.asarray(y))
    sent = delta2 @ network.W2
    delta1 = sent * network.z1 * (1 - network.z1)
    columns: list[tuple[str, NDArray[Any], NDArray[Any] | None]] = [
        ("x", network.x, None), ("a1", network.a1, delta1), ("z1", network.z1, sent),
        ("a2", network.a2, delta2), ("y_hat", network.y_hat, None),
    ]  # fmt: skip
    title = "The way forward (black) and the way back (orange)"
    figure = new_figure(11.5, 5.6, title)
    ax = figure.subplots()
    ax.set(xlim=(-0.45, 8.6), ylim=(-2.3, 2.45))
    ax.set_axis_off()
    for x, (name, values, slopes) in zip(PLACES, columns, strict=True):
        _draw_units(ax, x, name, values, slopes)
    _draw_weights(ax, 0, network.W1, np.outer(delta1, network.x))
    _draw_weights(ax, 2, network.W2, np.outer(delta2, network.z1))
    loss = network.loss(y)
    ax.text(8.15, 0, f"loss\n{loss:.3f}", ha="center", va="center", fontsize=11)
    _draw_ways(ax, network)
    told = "; ".join(f"{name} {_listed(values)}" for name, values, _ in columns)
    figure.set_label(
        f"{title}. A drawing of a network with {', '.join(map(str, sizes))} units. "
        f"Forward: {told}; loss {loss:.3f}. Back: delta2 {_listed(delta2)}; at z1 {_listed(sent)}; "
        f"delta1 {_listed(delta1)}."
    )
    return figure


def _sizes_to_draw(network: MLP) -> tuple[int, ...]:
    """Return the number of units in each layer of a network that can be drawn."""
    sizes = (*network.W1.shape[::-1], len(network.b2))
    if max(sizes) > MOST_UNITS or np.ndim(getattr(network, "y_hat", 0)) != 1:
        raise ValueError(
            f"network: got {'-'.join(map(str, sizes))}; wanted at most {MOST_UNITS} units in each "
            "layer, after forward(x) of a single x."
        )
    return sizes


PLACES = (0.0, 2.2, 3.5, 5.7, 7.1)  # of the columns
SLOPES = {"a1": "δ1: ", "a2": "δ2: "}


def _heights(n: int) -> NDArray[Any]:
    return np.linspace(0.95, -0.95, n) if n > 1 else np.zeros(1)


def _listed(values: NDArray[Any]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def _draw_units(
    ax: Axes, x: float, name: str, values: NDArray[Any], slopes: NDArray[Any] | None
) -> None:
    """Draw a column: values in circles, the slopes of the loss below them, the name above."""
    shown = {"y_hat": "ŷ"}.get(name, name)
    ax.text(x, 1.55, f"{shown}  ({len(values)},)", ha="center", fontsize=11, weight="bold")
    for k, y in enumerate(_heights(len(values))):
        ax.plot(x, y, "o", markersize=34, markerfacecolor="white", markeredgecolor="black")
        ax.text(x, y, f"{values[k]:.3g}", ha="center", va="center", fontsize=10)
        if slopes is not None:
            slope = f"{SLOPES.get(name, '')}{slopes[k]:.3g}"
            ax.text(x, y - 0.42, slope, ha="center", color=VERMILLION, fontsize=10)


def _draw_weights(ax: Axes, first: int, W: NDArray[Any], slopes: NDArray[Any]) -> None:
    """Draw a line for each weight, with its value and its slope beside it."""
    left, right = PLACES[first], PLACES[first + 1]
    for (i, j), weight in np.ndenumerate(W):
        start, end = _heights(W.shape[1])[j], _heights(W.shape[0])[i]
        ax.plot([left, right], [start, end], color=GREY, linewidth=1, zorder=0)
        t = 0.32 if i == j else 0.2
        x, y = left + t * (right - left), start + t * (end - start)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        ax.text(x, y + 0.1, f"{weight:.3g}", ha="center", fontsize=9, bbox=box)
        ax.text(
            x, y - 0.12, f"{slopes[i, j]:.3g}", ha="center", fontsize=9, color=VERMILLION, bbox=box
        )


def _draw_ways(ax: Axes, network: MLP) -> None:
    """Draw the arrows between the columns, with what happens there, and its shape."""
    shapes = [network.W1.shape, network.b1.shape, network.W2.shape, network.b2.shape]
    ends = [*PLACES, 8.15]
    there = [
        f"W1 {shapes[0]}, b1 {shapes[1]}", "σ", f"W2 {shapes[2]}, b2 {shapes[3]}", "softmax",
        "cross-entropy",
    ]  # fmt: skip
    back = [f"∂W1 = δ1 xᵀ  {shapes[0]}", "· z1 (1 − z1)", f"W2ᵀ δ2,  ∂W2 = δ2 z1ᵀ  {shapes[2]}"]
    for k, text in enumerate(there):
        _arrow(ax, ends[k], ends[k + 1], 1.95, text, "black")
    for k, text in enumerate(back):
        _arrow(ax, ends[k + 1], ends[k], -1.75, text, VERMILLION)
    _arrow(ax, ends[5], ends[3], -1.75, f"δ2 = ŷ − y  {shapes[3]}", VERMILLION)


def _arrow(ax: Axes, start: float, end: float, y: float, text: str, colour: str) -> None:
    ax.annotate("", (end, y), (start, y), arrowprops={"arrowstyle": "->", "color": colour})
    va, shift = ("bottom", 0.08) if y > 0 else ("top", -0.1)
    ax.text((start + end) / 2, y + shift, text, ha="center", va=va, fontsize=9, color=colour)
