"""Where does a network make mistakes? Answers computed from its predictions, for both notebooks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.training import History


class Difficulty(NamedTuple):
    """How one digit fares: percent read rightly, and what it is most often taken for."""

    digit: int
    recall: float
    taken_for: int
    times: int

    def __str__(self) -> str:
        return (
            f"digit {self.digit}: {self.recall:.1f} % right, "
            f"most often taken for {self.taken_for} ({self.times} images)"
        )


def hardest_digits(counts: ArrayLike) -> list[Difficulty]:
    """Rank the digits, hardest first, by a confusion matrix (10, 10), rows the true digit.

    Raises ValueError if the matrix is not square or a digit has no images.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.sum(axis=1).all():
        raise ValueError(
            f"counts has shape {counts.shape}; wanted (10, 10) with at least one image in each row."
        )
    recalls = 100 * counts.diagonal() / counts.sum(axis=1)
    mistakes = counts - np.diag(counts.diagonal())
    return [
        Difficulty(int(digit), float(recalls[digit]), int(row.argmax()), int(row.max()))
        for digit in recalls.argsort(kind="stable")
        for row in [mistakes[digit]]
    ]


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
