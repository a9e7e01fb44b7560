"""Handwriting of your own, made into what the networks were trained on.

The makers of MNIST scaled every digit to fit a box of 20x20 pixels and put its centre of mass in
the middle of 28x28 (LeCun, Bottou, Bengio, Haffner 1998, III.A). A network reads only what was
treated like that. `playground/page/preprocess.js` is the same for drawings in the browser.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Picture = NDArray[np.float64]

SIDE, BOX = 28, 20  # of the picture, and of the square that the digit has to fit
# Photos are reduced to this many pixels a side; no stroke may be as wide as the window.
PHOTO_SIDE, WINDOW = 280, 61
FAINTEST = 0.15  # ink must differ from paper by this share of the way from black to white


def as_mnist(drawing: ArrayLike) -> NDArray[np.float32]:
    """Return a `drawing` (H, W), 0 for paper to 1 for ink, as MNIST would have it, (28, 28).

    A digit of MNIST comes back as it was (but for one in 2,500); a drawing without ink as zeros.
    Raises ValueError for another shape or values outside 0 to 1.
    """
    pixels = np.asarray(drawing, dtype=float)
    if pixels.ndim != 2 or pixels.size == 0:
        raise ValueError(f"drawing has shape {pixels.shape}; wanted (H, W), a grey picture.")
    if not (pixels.min() >= 0 and pixels.max() <= 1):  # also false for NaN
        raise ValueError(
            f"drawing has values from {pixels.min():g} to {pixels.max():g}; wanted 0 (paper) to 1 "
            "(ink)."
        )
    seen = np.zeros((SIDE, SIDE), np.float32)
    if pixels.any():
        digit = _fit_into_box(_crop_to_ink(pixels))
        top, left = _centred_start(digit), _centred_start(digit.T)
        seen[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return seen


def read_photo(path: str | Path) -> NDArray[np.float32]:
    """Read a photo, scan or drawing of one digit from an image file, as MNIST would have it.

    Returns (28, 28), ready for `network.forward(picture.reshape(784))`. Ink may be dark on light
    paper or light on dark, and the light uneven; nothing but the digit should be in the picture.
    Raises OSError if the file cannot be read, ValueError if it is no picture or shows no ink.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is no picture; wanted a PNG, JPEG or the like.") from error
    white = Image.new("RGBA", upright.size, "white")  # what is transparent is paper
    grey = Image.alpha_composite(white, upright).convert("L")
    grey.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    ink = _lift_ink(np.asarray(grey) / 255)
    if ink is None:
        raise ValueError(f"{path} shows no ink: all of it is about equally bright.")
    return as_mnist(ink)


def _lift_ink(grey: Picture) -> Picture | None:
    """Return how much ink (H, W), from 0 to 1, lies on paper of any brightness; None for none."""
    # Most of a picture is paper, so its few other values pull the mean away from the median.
    dark = grey if grey.mean() <= np.median(grey) else 1 - grey
    # A grey closing, which closes every stroke narrower than the window.
    paper = _over_windows(np.min, _over_windows(np.max, dark))
    ink = paper - dark
    if ink.max() < FAINTEST:
        return None
    # Grain of the paper and shadows are fainter than a third of the strongest ink.
    lifted: Picture = np.clip(3 * ink / ink.max() - 1, 0, 1)
    return lifted


def _over_windows(extreme: Callable[..., Picture], picture: Picture) -> Picture:
    """Return the `extreme` of the window around every pixel, as far as it lies in the picture."""
    for axis in (0, 1):
        padding = [(WINDOW // 2,) * 2 if axis == each else (0, 0) for each in (0, 1)]
        padded = np.pad(picture, padding, mode="edge")
        picture = extreme(sliding_window_view(padded, WINDOW, axis=axis), axis=-1)
    return picture


def _crop_to_ink(pixels: Picture) -> Picture:
    """Return the part of a picture that holds all its ink."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fit_into_box(pixels: Picture) -> Picture:
    """Resize a picture so that its longer side is BOX, each pixel the mean of those it covers."""
    scale = BOX / max(pixels.shape)
    height, width = (max(1, int(length * scale + 0.5)) for length in pixels.shape)
    rows, columns = _averaging(pixels.shape[0], height), _averaging(pixels.shape[1], width)
    return rows @ pixels @ columns.T


def _averaging(n: int, m: int) -> Picture:
    """Return the matrix (m, n) that makes m values of n, each the mean of those that it covers."""
    start, covered = np.arange(n), n / m
    top = np.arange(m)[:, np.newaxis] * covered
    overlap = np.minimum(top + covered, start + 1) - np.maximum(top, start)
    shares: Picture = overlap.clip(min=0) / covered
    return shares


def _centred_start(digit: Picture) -> int:
    """Say at which row of SIDE to put `digit` (h, w) so that its centre of mass is in the middle.

    Rounded like this, 9,996 of the 10,000 test digits of MNIST lie exactly where they are.
    """
    mass = digit.sum(axis=1)
    middle = (mass @ np.arange(len(mass))) / mass.sum()
    # A symmetric digit is a tie, which must not be left to errors of rounding: the millionth.
    start = int(np.floor(SIDE / 2 - middle + 0.5 + 1e-6))
    return min(max(start, 0), SIDE - len(mass))  # no ink is ever cut off
