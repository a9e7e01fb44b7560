"""The check of the convolution in NumPy."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from checks.check import Part, check
from checks.comparison import Array
from checks.faults import Fault
from checks.functions import Draw, Judge
from checks.verdicts import Exercise

CONVOLVE = Exercise("convolve")


def _maps(x: Array, w: Array, b: Array, stride: int, padding: int) -> Array:
    """Return what PyTorch makes of one picture, in 64 bits."""
    picture, weights, biases = (torch.tensor(np.array(values, float)) for values in (x, w, b))
    maps: Array = functional.conv2d(picture, weights, biases, stride, padding).numpy()
    return maps


def _last_weight(w: Array) -> Array:
    """Return the filters with all weights but the last at zero."""
    kept = np.zeros_like(w)
    kept[:, -1, -1, -1] = w[:, -1, -1, -1]
    return kept


LAID_ON = "Lay the filter on the window as it is: entry [m, n] meets the window's pixel [m, n]."
ADD_UP = "A value of a map is the sum of all the products, and its bias."
EVERY_CHANNEL = "A filter has weights for every channel; all the products go into one sum."
ONE_BIAS = "Add biases[o] once to each value of map o, after the sum."
FRAME = "Lay `padding` zeros around the picture, on all four sides, and nowhere else."
STEPS = "The window of map value [i, j] begins at row i * stride and column j * stride."
Two = tuple[int, int]  # how many times `padding` is laid above and below, or left and right
PADDED: tuple[Two, ...] = ((1, 1), (0, 0), (1, 0), (0, 1), (2, 0), (0, 2))


def _frame(rows: Two, columns: Two) -> Fault:
    """Return the fault of a frame of other widths."""
    words, sides = ("no zeros", "`padding`", "2 * `padding`"), ("above", "below", "left", "right")
    told = [f"{words[n]} {side}" for n, side in zip((*rows, *columns), sides, strict=True)]

    def wrong(x: Array, w: Array, b: Array, s: int, p: int) -> Array:
        widths = (0, 0), tuple(p * n for n in rows), tuple(p * n for n in columns)
        return _maps(np.pad(x, widths), w, b, s, 0)

    return Fault("frame", f"the frame has {', '.join(told)}.", FRAME, wrong)


def _around(padding: int) -> tuple[Two, ...]:
    return (0, 0), (padding, padding), (padding, padding)


FRAMES = tuple(
    _frame(rows, columns)
    for rows, columns in product(PADDED, repeat=2)
    if rows == columns or {rows, columns} & {*PADDED[:2]}
)[1:]  # the first one is right
NO_ZEROS = tuple(
    Fault("frame", "the frame holds pixels of the picture in place of zeros.", FRAME,
          lambda x, w, b, s, p, mode=mode: _maps(np.pad(x, _around(p), mode), w, b, s, 0))
    for mode in ("edge", "reflect", "symmetric", "wrap")
)  # fmt: skip
STRIDES = tuple(
    Fault("stride one way", f"the window moves by the stride only {words}.", STEPS,
          lambda x, w, b, s, p, step=step: _maps(x, w, b, 1, p)[:, :: step(s)[0], :: step(s)[1]])
    for words, step in (("down", lambda s: (s, 1)), ("to the right", lambda s: (1, s)))
)  # fmt: skip
STARTS = tuple(
    Fault("first window", "the first window begins further down and to the right than it should, "
          f"by {words}.", STEPS,
          lambda x, w, b, s, p, start=start: _maps(x, w, b, 1, p)[:, start(s) :: s, start(s) :: s])
    for words, start in (("less than a stride", lambda s: s - 1), ("one pixel", lambda s: 1))
)  # fmt: skip
FLIPS = tuple(
    Fault("flipped", f"the filter is turned {words}.", LAID_ON,
          lambda x, w, b, s, p, turn=turn: _maps(x, turn(w), b, s, p))
    for words, turn in (
        ("upside down and left to right", lambda w: w[..., ::-1, ::-1]),
        ("upside down", lambda w: w[..., ::-1, :]),
        ("left to right", lambda w: w[..., ::-1]),
        ("on its side: rows and columns have changed places", lambda w: np.swapaxes(w, -1, -2)),
        ("by a quarter", lambda w: np.rot90(w, 1, (-2, -1))),
        ("by a quarter", lambda w: np.rot90(w, -1, (-2, -1))),
    )
)  # fmt: skip
# First what shows only with a stride, padding, or several channels: of two mistakes that give the
# same there, the one that would have been seen before has been ruled out.
FAULTS = (
    Fault("stride ignored", "the window moves by one pixel, whatever the stride.", STEPS,
          lambda x, w, b, s, p: _maps(x, w, b, 1, p)),
    Fault("stride in the size only", "the maps have the right size, but the window moves by one "
          "pixel.", STEPS, lambda x, w, b, s, p: _cut(_maps(x, w, b, 1, p), _maps(x, w, b, s, p))),
    *FRAMES, *NO_ZEROS, *STRIDES, *STARTS,
    Fault("stride in the window", "the window leaves out pixels: the stride is taken within it, "
          "and not from one window to the next.", STEPS,
          lambda x, w, b, s, p: _cut(_dilated(x, w, b, s, p), _maps(x, w, b, s, p))),
    Fault("channels last", "in each window the channels of a pixel come one after the other, and "
          "in the filter its pixels do: the two are flattened in another order.",
          "Bring the axes of both into one order before they are flattened.",
          lambda x, w, b, s, p: _maps(x, _channels_last(w), b, s, p)),
    Fault("padding doubled", "twice as many zeros are laid around the picture.", FRAME,
          lambda x, w, b, s, p: _maps(x, w, b, s, 2 * p)),
    Fault("cut to whole numbers", "what stands behind the point is cut off, as in an array "
          "of the type of a picture of whole numbers.", "Make the maps with np.zeros, as floats.",
          lambda x, w, b, s, p: np.trunc(_maps(x, w, b, s, p))),
    Fault("one channel", "only the first channel counts.", EVERY_CHANNEL,
          lambda x, w, b, s, p: _maps(x[:1], w[:, :1], b, s, p)),
    Fault("same weights for all channels", "every channel meets the weights of the first.",
          EVERY_CHANNEL, lambda x, w, b, s, p: _maps(x.sum(0, keepdims=True), w[:, :1], b, s, p)),
    Fault("one filter", "all maps are made with the first filter.",
          "Map o is made with weights[o] and biases[o].",
          lambda x, w, b, s, p: _maps(x, np.broadcast_to(w[:1], w.shape), b, s, p)),
    Fault("one bias", "all maps get the first bias.", "Map o is made with weights[o], biases[o].",
          lambda x, w, b, s, p: _maps(x, w, np.full_like(b, b[0]), s, p)),
    *FLIPS,
    Fault("not multiplied", "the pixels of the window are summed, without the weights.",
          "Multiply each pixel by its weight before you sum.",
          lambda x, w, b, s, p: _maps(x, np.ones_like(w), b, s, p)),
    Fault("bias missing", "the biases are not added.", ONE_BIAS,
          lambda x, w, b, s, p: _maps(x, w, 0 * b, s, p)),
    Fault("bias in the sum", "the bias is added to every product.", ONE_BIAS,
          lambda x, w, b, s, p: _maps(x, w, b * w[0].size, s, p)),
    Fault("bias for each channel", "the bias is added once for each channel.", ONE_BIAS,
          lambda x, w, b, s, p: _maps(x, w, b * len(x), s, p)),
    Fault("not added up", "each product overwrites the one before.", ADD_UP,
          lambda x, w, b, s, p: _maps(x, _last_weight(w), 0 * b, s, p)),
    Fault("not added up", "no product is added: the maps hold the biases only.", ADD_UP,
          lambda x, w, b, s, p: _maps(x, 0 * w, b, s, p)),
    Fault("not filled in", "the maps stay zero.", "See that each value is put into its place.",
          lambda x, w, b, s, p: _maps(x, 0 * w, 0 * b, s, p)),
)  # fmt: skip


def _dilated(x: Array, w: Array, b: Array, s: int, p: int) -> Array:
    """Return the maps of windows of every `s`-th pixel, with zeros beyond the picture."""
    more = s * w.shape[-1]
    spread = np.zeros((*w.shape[:2], more, more))
    spread[:, :, ::s, ::s] = w
    return _maps(np.pad(x, ((0, 0), (p, p + more), (p, p + more))), spread, b, 1, 0)


def _channels_last(w: Array) -> Array:
    """Return the filters whose numbers meet those of windows with the channels as last axis."""
    n_out, n_in, *sides = w.shape
    return np.moveaxis(w.reshape(n_out, *sides, n_in), -1, 1)


def _cut(maps: Array, like: Array) -> Array:
    return maps[:, : like.shape[1], : like.shape[2]]


def _drawn(n_in: int, n_out: int, stride: int = 1, padding: int = 0, k: int = 3) -> Draw:
    """Draw a picture that is no square, filters and biases."""

    def draw(rng: np.random.Generator) -> tuple[Array, Array, Array, int, int]:
        height, width = rng.permutation(np.arange(5, 10))[:2]
        picture = rng.normal(0, 1, (n_in, height, width))
        weights, biases = rng.normal(0, 1, (n_out, n_in, k, k)), rng.normal(0, 2, n_out)
        if k == 1 or stride * n_in == 1:  # pixels are often whole numbers
            picture = np.rint(9 * picture).astype(int)
        if k == 1:
            weights = np.rint(9 * weights).astype(int)
        return picture, weights, biases, stride, padding

    return draw


OTHER_STEPS = "another stride and padding"


def _any_steps(rng: np.random.Generator) -> tuple[Any, ...]:
    """Draw a stride, a padding and a size of the windows, and what goes with them."""
    stride, padding, k = (int(rng.integers(*ends)) for ends in ((1, 6), (0, 4), (1, 5)))
    return _drawn(2, 2, stride, padding, k)(rng)


PARTS = {
    "one channel": _drawn(1, 1),
    "three channels": _drawn(3, 1),
    "four filters": _drawn(3, 4, k=2),
    "stride 2": _drawn(2, 3, stride=2),
    "padding 1": _drawn(2, 3, padding=1),
    "stride and padding": _drawn(3, 2, stride=3, padding=2, k=4),
    "windows of one pixel": _drawn(2, 3, stride=2, padding=1, k=1),
    **{f"{OTHER_STEPS} ({n})": _any_steps for n in range(12)},
}
JUDGE_CONVOLVE = Judge(
    CONVOLVE, "convolve(picture, weights, biases, stride, padding)", _maps, FAULTS,
    unsaid=("windows of one pixel", *(name for name in PARTS if name.startswith(OTHER_STEPS))),
    free=(0, 1, 2), beyond={
        "three channels": "one channel is right, and three channels are not.",
        "four filters": "one filter is right, and four filters are not.",
        "stride 2": "a stride of 1 is right, and one of 2 is not.",
        "padding 1": "without padding all is right, and with a padding of 1 it is not.",
        "stride and padding": "stride and padding are right, each by itself, and not together.",
    },
)  # fmt: skip
KEPT_FRAME = Fault(
    "kept between calls",
    "this is right by itself, and wrong after a picture that was as large as this one with its "
    "frame: something is kept from one call to the next.",
    "Make everything anew in each call.",
    lambda found, *inputs: True,  # as by itself it is right
)
JUDGE_LATER = replace(
    JUDGE_CONVOLVE, facts=(KEPT_FRAME,), unsaid=("after a larger picture",), calls_again=False
)


def _after_a_larger(convolve: Callable[..., Array], x: Array, w: Array, *rest: Any) -> Array:
    biases, stride, padding = rest
    convolve(np.pad(x, _around(padding), constant_values=1), w, biases, stride, 0)
    return convolve(x, w, *rest)


@check(CONVOLVE)
def check_convolve(convolve: Callable[..., Array], *, seed: int = 0) -> Iterator[Part]:
    """Compare `convolve` with PyTorch's, with one channel and more, with stride and padding."""
    yield from JUDGE_CONVOLVE.parts(convolve, PARTS, seed)
    later = partial(_after_a_larger, convolve)
    parts = {"after a larger picture": PARTS["padding 1"]}
    yield from JUDGE_LATER.parts(later, parts, seed)
