"""A training of very many images in very many steps: what is too small for them shows."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from checks.album import DIGITS, HIDDEN, PIXELS, LabelledImages, numbers_of
from checks.asking import StudentError, quiet
from checks.comparison import CLOSE, Array, distance
from checks.faults import Fault, asked_why
from checks.history import entries_of
from checks.source import plain_function
from checks.spies import IMAGES_LEFT_OUT, Spy
from checks.verdicts import Exercise, Verdict

N_IMAGES = 34_507  # of which more are recognized than 16 bits count, one of them for the sign
N_VALIDATION = 50
BATCH_SIZE = 34  # so that there are more than a thousand steps
SHADES = 2**16  # an image's number, divided by this, is its first pixel
PROBABILITY = 0.91  # of the digit that an image is taken for, and 0.01 of each other one
OTHER = (1 - PROBABILITY) / (DIGITS - 1)
RECOGNIZED = np.random.default_rng(0).random(N_IMAGES) < 0.97
TOO_MANY = Fault(
    "many images",
    "few images go right, and very many, in as many steps as a real training has, do not: "
    "something is too small for so many.",
    "Look for arrays of a fixed length, for parts that don't come out even, and for whole numbers "
    "of 8 or 16 bits.",
)


def images_of(n: int) -> LabelledImages:
    """Return images (n, 784), each of which carries its number, and their labels (n,)."""
    images = np.zeros((n, PIXELS), np.float32)
    images[:, 0] = np.arange(n) / SHADES
    return images, np.arange(n) % DIGITS


def is_due(function: Callable[..., Any], seed: int) -> bool:
    """Whether so many images are to be tried with a function.

    Nothing is drawn, so that one seed will do; elsewhere, they are too large an answer.
    """
    return asked_why() and plain_function(function) is not None and seed == 0


def are_recognized(numbers: Array) -> Array:
    """Return which images (B,) are taken for the digits that they are: 97 in 100, at random."""
    recognized: Array = RECOGNIZED[numbers % N_IMAGES]
    return recognized


def probabilities(numbers: Array) -> Array:
    """Return what is thought (B, 10) of images: others are taken for the digit after their own."""
    rows = np.full((len(numbers), DIGITS), OTHER)
    rows[np.arange(len(numbers)), (numbers + ~are_recognized(numbers)) % DIGITS] = PROBABILITY
    return rows


def recorded(n: int) -> dict[str, float]:
    """Return what a training of one epoch on the first `n` images records."""
    return {
        "loss": -float(np.log(np.where(RECOGNIZED[:n], PROBABILITY, OTHER)).mean()),
        "train_accuracy": accuracy_of(n),
        "validation_accuracy": accuracy_of(N_VALIDATION),
    }


def accuracy_of(n: int) -> float:
    """Return the accuracy, in percent, on the first `n` images."""
    return 100 * float(are_recognized(np.arange(n)).mean())


class CountingNetwork(Spy):
    """Stands in for the MLP where there are very many steps: it only counts the images in them."""

    def __init__(self) -> None:
        self.dtype = np.dtype(np.float32)
        self.W1, self.b1 = np.zeros((HIDDEN, PIXELS)), np.zeros(HIDDEN)
        self.W2, self.b2 = np.zeros((DIGITS, HIDDEN)), np.zeros(DIGITS)
        self.times = np.zeros(N_IMAGES, int)  # how often each image took part in a step
        self.n_seen = 0  # images that went forward
        self.reset_grad()

    def forward(self, x: ArrayLike) -> Array:
        """Return probabilities (B, 10), or (10,) of one image."""
        self._numbers = numbers_of(x, SHADES)
        self.n_seen += len(self._numbers)
        self.y_hat = probabilities(self._numbers)[0 if np.ndim(x) == 1 else slice(None)]
        self.a2 = np.log(self.y_hat)
        return self.y_hat

    def loss(self, y: ArrayLike) -> float:
        """Return the cross-entropy of the last forward pass, in nats, summed over images."""
        return -float((np.asarray(y) * self.a2).sum())

    def update_grad(self, y: ArrayLike) -> None:
        """Note that the images of the last forward pass take part in the next step."""
        self._due.append(self._numbers)

    def reset_grad(self) -> None:
        """Set the gradients to zero."""
        self._due: list[Array] = []
        for name in ("W1", "b1", "W2", "b2"):
            setattr(self, f"{name}_grad", np.zeros_like(getattr(self, name)))

    def update_params(self, lr: float) -> None:
        """Count the images whose gradients are there."""
        for numbers in self._due:
            np.add.at(self.times, numbers, 1)

    def __deepcopy__(self, memo: Any) -> "CountingNetwork":
        """Return itself: a copy may be tested in its place, and is counted, too."""
        return self

    def __copy__(self) -> "CountingNetwork":
        """Return itself."""
        return self


def judge_crowd(
    exercise: Exercise, count: Callable[[LabelledImages], Any], n: int = N_IMAGES
) -> Iterator[Verdict]:
    """See that a training of very many images sees each once, and records what it should.

    `count` trains on such images, and returns the history and how often each took part in a step.
    """
    part = f"{n} images"
    try:
        with quiet():
            history, times = count(images_of(n))
    except StudentError as error:
        yield exercise.error(error, TOO_MANY)
        return
    if (times != 1).any():
        found = f"{np.count_nonzero(times)} of them take part in a step."
        yield exercise.wrong(part, found, "all of them, once.", TOO_MANY)
        return
    for name, wanted in recorded(n).items():
        value = exercise.numbers(part, entries_of(history)[name])
        if not distance(value, np.array([wanted])) < CLOSE:
            told = f"{name} {value}.", f"{wanted:.6g}."
            yield exercise.wrong(part, *told, TOO_MANY)
            return


def judge_test(exercise: Exercise, value: Any, n_seen: int) -> Iterator[Verdict]:
    """See that a test of very many images looks at each, and gives their accuracy."""
    part = f"{N_IMAGES} images"
    if n_seen < N_IMAGES:
        yield exercise.wrong(
            part, f"{n_seen} of them were looked at.", "all of them.", IMAGES_LEFT_OUT
        )
    elif not distance(exercise.numbers(part, value), np.asarray(accuracy_of(N_IMAGES))) < CLOSE:
        yield exercise.wrong(part, f"{value:.6g}.", f"{accuracy_of(N_IMAGES):.6g}.", TOO_MANY)
