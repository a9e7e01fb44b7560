"""Two networks on the same images: who errs where, and what shifted or shuffled pixels do to them.

NumPy alone: a network takes part through its predictions, whatever library it is written in.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.training import accuracy

# What can become of an image that two networks read; every image has exactly one outcome.
OUTCOMES = ("both right", "only MLP wrong", "only CNN wrong", "both wrong")
SIDE, PIXELS = 28, 28 * 28


def duel(
    mlp_predictions: ArrayLike, cnn_predictions: ArrayLike, labels: ArrayLike
) -> dict[str, NDArray[np.intp]]:
    """Sort the images by who read them wrongly: map each of `OUTCOMES` to its indices, ascending.

    All three arrays are (N,). Raises ValueError if they differ in shape or are empty.
    """
    mlp, cnn, labels = (np.asarray(values) for values in (mlp_predictions, cnn_predictions, labels))
    if not (mlp.shape == cnn.shape == labels.shape and labels.ndim == 1 and labels.size):
        raise ValueError(
            f"mlp_predictions have shape {mlp.shape}, cnn_predictions {cnn.shape} and labels "
            f"{labels.shape}; wanted the same (N,) for all, with at least one image."
        )
    outcome = (mlp != labels) + 2 * (cnn != labels)
    return {name: np.flatnonzero(outcome == k) for k, name in enumerate(OUTCOMES)}


def shift_images(images: ArrayLike, right: int, down: int) -> NDArray[Any]:
    """Shift images (N, 784) by whole pixels; negative numbers mean left and up.

    Zeros move in, and what moves out is lost: nothing wraps around. Raises ValueError for another
    shape or fractions of a pixel.
    """
    images, right, down = _checked_images(images), _whole("right", right), _whole("down", down)
    pictures = images.reshape(-1, SIDE, SIDE)
    shifted = np.zeros_like(pictures)
    source = pictures[:, _overlap(-down), _overlap(-right)]
    shifted[:, _overlap(down), _overlap(right)] = source
    return shifted.reshape(images.shape)


def shift_accuracies(
    predict: Callable[[NDArray[Any]], ArrayLike],
    images: ArrayLike,
    labels: ArrayLike,
    shifts: Iterable[int] = range(7),
) -> list[float]:
    """Return the accuracy in percent for each of `shifts`, in pixels: the mean of four directions.

    `predict` takes images (N, 784) and returns their digits (N,), to be compared with `labels`.
    Raises ValueError for another shape, or shifts that are not whole numbers from 0.
    """
    images, labels = _checked_images(images), np.asarray(labels)
    if labels.shape != images.shape[:1]:
        raise ValueError(f"labels have shape {labels.shape}; wanted ({len(images)},).")
    steps = [_whole("shifts", shift) for shift in shifts]
    if min(steps, default=0) < 0:
        raise ValueError(f"shifts: got {steps}, wanted none below 0; all directions are taken.")

    def shifted_accuracy(step: int) -> float:
        # A set, so that the four directions of a shift by 0 are taken only once.
        directions = {(step, 0), (-step, 0), (0, step), (0, -step)}
        results = [accuracy(predict(shift_images(images, *way)), labels) for way in directions]
        return float(np.mean(results))

    return [shifted_accuracy(step) for step in steps]


def permute_pixels(images: ArrayLike, seed: int = 0) -> NDArray[Any]:
    """Reorder the pixels of images (N, 784), in the same way for every image and every call.

    No pixel is lost, but neighbours are torn apart. Another `seed` gives another order.
    Raises ValueError for another shape.
    """
    return _checked_images(images)[:, np.random.default_rng(seed).permutation(PIXELS)]


def _checked_images(images: ArrayLike) -> NDArray[Any]:
    images = np.asarray(images)
    if images.ndim != 2 or images.shape[1] != PIXELS or len(images) == 0:
        raise ValueError(f"images have shape {images.shape}; wanted (N, {PIXELS}), N > 0.")
    return images


def _overlap(step: int) -> slice:
    """Return what stays in the picture, along one axis, of pixels that move by `step`."""
    step = min(max(step, -SIDE), SIDE)
    return slice(max(step, 0), SIDE + min(step, 0))


def _whole(name: str, value: int) -> int:
    if not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name}: got {value!r}, wanted a whole number of pixels.")
    return int(value)
