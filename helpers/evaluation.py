"""Where does a network make mistakes? Answers computed from its predictions, for both notebooks.

NumPy alone: a network takes part through what it predicts, whatever library it is written in.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.mnist import DIGITS, Classes
from helpers.training import History, accuracy

# What can become of an image that two networks read; every image has exactly one outcome.
OUTCOMES = ("both right", "only MLP wrong", "only CNN wrong", "both wrong")
SIDE, PIXELS = 28, 28 * 28


class Difficulty(NamedTuple):
    """How one class fares: percent read correctly, and what it is most often taken for."""

    digit: int
    recall: float
    taken_for: int
    times: int
    classes: Classes = DIGITS

    def __str__(self) -> str:
        noun, names = self.classes.noun, self.classes.names
        return (
            f"{noun} {names[self.digit]}: {self.recall:.1f} % right, "
            f"most often taken for {names[self.taken_for]} ({self.times} images)"
        )


def confusion_matrix(labels: ArrayLike, predicted: ArrayLike) -> NDArray[np.int64]:
    """Count the images by their label, the row, and what was `predicted`, the column: (10, 10).

    Both are (N,), whole numbers from 0 to 9. Raises ValueError if they differ in shape, IndexError
    for a number above 9 or a fraction.
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if labels.shape != predicted.shape:
        raise ValueError(
            f"labels have shape {labels.shape} and predicted {predicted.shape}; wanted (N,) twice."
        )
    counts = np.zeros((10, 10), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def hardest_digits(counts: ArrayLike, classes: Classes = DIGITS) -> list[Difficulty]:
    """Rank the digits, hardest first, by a confusion matrix (10, 10), rows the true digit.

    `classes` says what they are called. Raises ValueError if the matrix is not square or a digit
    has no images.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.sum(axis=1).all():
        raise ValueError(
            f"counts has shape {counts.shape}; wanted (10, 10) with at least one image in each row."
        )
    recalls = 100 * counts.diagonal() / counts.sum(axis=1)
    mistakes = counts - np.diag(counts.diagonal())
    return [
        Difficulty(int(digit), float(recalls[digit]), int(row.argmax()), int(row.max()), classes)
        for digit in recalls.argsort(kind="stable")
        for row in [mistakes[digit]]
    ]


def about_as_hard(counts: ArrayLike, classes: Classes = DIGITS) -> str:
    """Say how sure it is which class is the hardest, by a confusion matrix (10, 10).

    Names those whose recall lies within two standard errors, of the difference, above the lowest.
    Raises the errors of `hardest_digits`.
    """
    counts = np.asarray(counts)
    ranking = [row.digit for row in hardest_digits(counts, classes)]
    n = counts.sum(axis=1)
    p = counts.diagonal() / n
    variance = p * (1 - p) / n
    first = ranking[0]
    near = p - p[first] <= 2 * np.sqrt(variance + variance[first])
    others = ", ".join(classes.names[digit] for digit in ranking[1:] if near[digit]) or "none"
    return (
        f"{classes.names[first]} is right in {100 * p[first]:.1f} % of {n[first]:,} images, "
        f"± {100 * np.sqrt(variance[first]):.1f} points (one standard error). "
        f"Not clearly easier, within two standard errors of the difference: {others}."
    )


def worst_mistakes(probabilities: ArrayLike, labels: ArrayLike, n: int) -> NDArray[np.integer]:
    """Return the indices of up to `n` images that were misread with the most confidence.

    `probabilities` (N, 10) and true `labels` (N,). Raises ValueError if their lengths differ.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or len(probabilities) != len(labels):
        raise ValueError(
            f"probabilities has shape {probabilities.shape} and labels {labels.shape}; "
            "wanted (N, 10) and (N,)."
        )
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    confidence = probabilities[wrong].max(axis=1)
    return wrong[np.argsort(-confidence, kind="stable")][:n]


def compare_gaps(smaller: History, larger: History) -> str:
    """Say which of two trainings, on a smaller and a larger set, over-fits more, and by how much.

    The measure is the gap: by how many points the training accuracy ends above the validation
    accuracy.
    """
    gaps = {"mini": smaller.gap(), "full": larger.gap()}
    more, less = sorted(gaps, key=gaps.__getitem__, reverse=True)
    return (
        f"{more} over-fits more: it is {gaps[more]:.1f} points better on the images it was trained "
        f"on than on others, {less} only {gaps[less]:.1f} points."
    )


def duel(
    mlp_predictions: ArrayLike, cnn_predictions: ArrayLike, labels: ArrayLike
) -> dict[str, NDArray[np.intp]]:
    """Sort the images by who misread them: map each of `OUTCOMES` to its indices, ascending.

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
    came_from = (np.arange(SIDE) - step for step in (down, right))  # rows, then columns
    is_old = np.outer(*((0 <= place) & (place < SIDE) for place in came_from))
    rolled = np.roll(images.reshape(-1, SIDE, SIDE), (down, right), axis=(1, 2))
    return np.where(is_old, rolled, 0).astype(images.dtype).reshape(images.shape)


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


def _whole(name: str, value: int) -> int:
    if not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name}: got {value!r}, wanted a whole number of pixels.")
    return int(value)
