"""A drawing of a convolutional network as of LeNet-5: stacks of maps to scale, then vectors."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from numpy.typing import ArrayLike

from plotting.figures import PALE, VERMILLION, checked, new_figure

Shape = tuple[int, ...]

PALE_BLUE, PALE_VERMILLION = "#DCEAF4", "#F9DFCC"
# Lengths are in pixels of the feature maps.
GAP, BAR, NEURON = 18.0, 3.0, 0.35  # between layers; width of a vector; height of one neuron
INCHES = 1 / 23


class _Layer(NamedTuple):
    """A layer in the network diagram; y grows downwards, as in pictures, and is 0 in the middle."""

    name: str
    shape: Shape
    left: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height; the maps of a stack lie one pixel apart."""
        if len(self.shape) == 1:
            return BAR, max(BAR, NEURON * self.shape[0])
        depth, height, width = self.shape
        return width + depth - 1.0, height + depth - 1.0

    @property
    def centre(self) -> float:
        return self.left + self.size[0] / 2

    def corner(self, k: int) -> tuple[float, float]:
        """Return the upper left corner of map `k`, or of the vector with k = 0."""
        return self.left + k, k - self.size[1] / 2

    def label(self) -> str:
        return f"{self.name}\n{times(self.shape)}"


def network_diagram(
    shapes: Sequence[tuple[str, Shape]], picture: ArrayLike | None = None, noun: str = "digit"
) -> Figure:
    """Draw the layers of a convolutional network: feature maps to scale, as stacks of squares.

    `shapes` holds the name and the output shape of each layer: maps (channels, side, side) first,
    then vectors (length,), drawn as bars on a scale of their own. What happens between two layers
    is read off their shapes: as many maps, a whole fraction as large, have been pooled, others
    convolved. `picture` (side, side), if given, is shown as the input; a `noun` is what it shows.
    Raises ValueError for fewer than two layers, or shapes that cannot follow one another.
    """
    layers = _lay_out(shapes)
    right = layers[-1].left + layers[-1].size[0]
    top = max(layer.size[1] for layer in layers) / 2
    size = (right + 8) * INCHES, (2 * top + 24) * INCHES + 0.4
    figure = new_figure(*size, title := f"From picture to {noun}")
    ax = figure.add_subplot(xlim=(-4, right + 4), ylim=(top + 13, -top - 11), aspect="equal")
    ax.set_axis_off()
    for layer in layers:
        _draw_layer(ax, layer)
    if picture is not None:
        _draw_picture(ax, layers[0], picture)
    told = layers[0].label()
    for k, (before, after) in enumerate(pairwise(layers)):
        # Up and down in turn, so that what comes from a map is not confused with what goes to it.
        step = _draw_step(ax, before, after, height=0.3 if k % 2 else 0.7)
        _draw_arrow(ax, before.centre, after.centre, top + 3, step)
        told += f", {step} to {after.label()}"
    figure.set_label(f"{title}. A diagram: {told}.".replace("\n", " "))
    return figure


def _draw_picture(ax: Axes, layer: _Layer, picture: ArrayLike) -> None:
    side = layer.shape[-1]
    (x, y), pixels = layer.corner(0), checked("picture", picture, side, side)
    ax.imshow(pixels, cmap="gray", extent=(x, x + side, y + side, y), zorder=1.5)


def _lay_out(shapes: Sequence[tuple[str, Shape]]) -> list[_Layer]:
    """Place the layers from left to right."""
    layers: list[_Layer] = []
    left = 0.0
    for name, shape in shapes:
        shape = tuple(shape)
        known = len(shape) in (1, 3) and min(shape) > 0 and shape[1:2] == shape[2:]
        last = layers[-1].shape if layers else shape
        if not known or len(shape) > len(last) or shape[1:] > last[1:]:
            raise ValueError(
                f"shapes: got {shape} for {name!r}, wanted maps (channels, side, side) that do "
                "not grow, then vectors (length,)."
            )
        layers.append(_Layer(name, shape, left))
        left += layers[-1].size[0] + GAP
    if len(layers) < 2:
        raise ValueError(f"shapes: got {len(layers)} layers, wanted at least 2.")
    return layers


def _draw_layer(ax: Axes, layer: _Layer) -> None:
    width, height = layer.size
    fill, n_maps = PALE_VERMILLION, 1
    if len(layer.shape) == 3:
        n_maps, height, width = layer.shape
        fill = PALE_BLUE
    for k in range(n_maps):
        ax.add_patch(Rectangle(layer.corner(k), width, height, fc=fill, ec="black", lw=0.6))
    ax.text(layer.centre, -layer.size[1] / 2 - 1.5, layer.label(), ha="center", va="bottom")


def _draw_step(ax: Axes, before: _Layer, after: _Layer, height: float) -> str:
    """Show how `after` comes from `before`, and say it in words.

    Between maps: which window makes the pixel at this `height`, from 0 to 1, of the front map. That
    of a convolution goes through all the maps before; a pool looks at one map.
    """
    if len(after.shape) == 1:
        right, half, end = before.left + before.size[0], before.size[1] / 2, after.size[1] / 2
        corners = [(right, -half), (after.left, -end), (after.left, end), (right, half)]
        ax.add_patch(Polygon(corners, fc=PALE, alpha=0.5))
        flat = len(before.shape) == 3
        return f"flatten to {prod(before.shape)},\nfully connected" if flat else "fully\nconnected"
    (n_before, side, _), (n_after, new_side, _) = before.shape, after.shape
    pools = n_before == n_after and side > new_side and side % new_side == 0
    stride, window = (side // new_side,) * 2 if pools else (1, side - new_side + 1)
    row, column = int(height * (new_side - 1)), (new_side - 1) // 2
    (x, y), (u, v) = before.corner(n_before - 1), after.corner(n_after - 1)
    x, y, u, v = x + stride * column, y + stride * row, u + column, v + row
    ax.add_patch(Rectangle((x, y), window, window, fc="none", ec=VERMILLION, lw=1.2, zorder=3))
    ax.add_patch(Rectangle((u, v), 1, 1, fc=VERMILLION, ec=VERMILLION, zorder=3))
    if not pools:
        _draw_block(ax, x, y, window, depth=n_before - 1)
    for ends in ([y, v], [y + window, v + 1]):
        ax.plot([x + window, u], ends, color=VERMILLION, lw=0.8, zorder=3)
    return f"{window}×{window}\n{'max-pool' if pools else 'convolution'}"


def _draw_block(ax: Axes, x: float, y: float, window: float, depth: int) -> None:
    """Draw that a window at (x, y) of the front map goes back through `depth` maps behind it."""
    back_x, back_y = x - depth, y - depth
    outline = [
        (x, y + window), (back_x, back_y + window), (back_x, back_y), (back_x + window, back_y),
        (x + window, y),
    ]  # fmt: skip
    ax.plot(*zip(*outline, strict=True), color=VERMILLION, lw=0.8, zorder=3)
    ax.plot([back_x, x], [back_y, y], color=VERMILLION, lw=0.8, zorder=3)


def _draw_arrow(ax: Axes, start: float, end: float, y: float, text: str) -> None:
    ax.annotate("", (end, y), (start, y), arrowprops={"arrowstyle": "->"})
    ax.text((start + end) / 2, y + 1.5, text, ha="center", va="top")


def times(shape: Shape) -> str:
    """Return a shape in words: "6 × 24 × 24"."""
    return " × ".join(map(str, shape))
