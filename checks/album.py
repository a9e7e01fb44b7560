"""Images that carry their numbers, and what a network that recognizes them answers."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from checks.comparison import Array

PIXELS, DIGITS, HIDDEN = 784, 10, 4
FIRST_VALIDATION = 3000  # the number of the first validation image
N_VALIDATION = 31
SCALE = 4096  # an image's number, divided by this, is its first pixel
SHARE_RIGHT = 0.6  # of the images are surely recognized, and some of the others by chance


LabelledImages = tuple[Array, Array]


class Album:
    """Numbered images, their labels, and what every spy takes them for: all drawn from a seed.

    With each step of a training, the spies' opinion of an image changes, and with it accuracy and
    loss; so a number tells when it was taken.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(DIGITS, size=SCALE)
        # Row n holds the probabilities of the label, of the digit after it, and so on.
        self._table = 0.9 * rng.dirichlet(np.full(DIGITS, 0.5), SCALE) + 0.01
        right = rng.random(SCALE) < SHARE_RIGHT
        self._table[right] = -np.sort(-self._table[right])

    def images(self, first: int, n: int) -> tuple[Array, Array]:
        """Return images (n, 784) numbered from `first`, and their labels (n,)."""
        numbers = numbers_from(first, n)
        return pixels_of(numbers), self.labels[numbers]

    def probabilities(self, numbers: ArrayLike, n_steps: int = 0) -> Array:
        """Return what a spy says (B, 10) of images after so many steps of training."""
        numbers = np.asarray(numbers) % SCALE
        rows = (numbers + 131 * n_steps) % SCALE
        columns = (np.arange(DIGITS) - self.labels[numbers][:, None]) % DIGITS
        return self._table[rows[:, None], columns]

    def loss(self, numbers: ArrayLike, n_steps: int = 0) -> float:
        """Return the cross-entropy, in nats, summed over images."""
        return -float(np.log(self._table[(np.asarray(numbers) + 131 * n_steps) % SCALE, 0]).sum())


class Easy(Album):
    """An album of which nearly all is known, and some images surely, so that losses are small."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        rows = np.random.default_rng(seed).random(SCALE) < 0.95
        self._table[rows] = np.append(0.9991, np.full(DIGITS - 1, 1e-4))


class Undecided(Album):
    """An album of which nothing is known: all digits are as probable, and as frequent."""

    def __init__(self) -> None:
        super().__init__(0)
        self.labels = np.arange(SCALE) % DIGITS
        self._table[:] = 1 / DIGITS


class Diverging(Album):
    """An album whose losses are NaN, or infinite, after so many steps: the last was too long."""

    def __init__(self, seed: int, loss: float, n_steps: int) -> None:
        super().__init__(seed)
        self._loss, self._n_steps = loss, n_steps

    def probabilities(self, numbers: ArrayLike, n_steps: int = 0) -> Array:
        """Return what a spy says (B, 10) of images after so many steps of training."""
        rows = super().probabilities(numbers, n_steps)
        if n_steps >= self._n_steps and np.isnan(self._loss):
            rows[:] = np.nan
        elif n_steps >= self._n_steps:
            rows[np.arange(len(rows)), self.labels[np.asarray(numbers) % SCALE]] = 0
        return rows


class Interrupting(Album):
    """An album with which Ctrl-C comes once: in a forward pass after so many steps."""

    def __init__(self, seed: int, n_steps: int) -> None:
        super().__init__(seed)
        self._n_steps = n_steps

    def probabilities(self, numbers: ArrayLike, n_steps: int = 0) -> Array:
        """Return what a spy says (B, 10) of images after so many steps of training."""
        if n_steps == self._n_steps:
            self._n_steps = -1
            raise KeyboardInterrupt
        return super().probabilities(numbers, n_steps)


# What stands between the first pixel and the last: no two rows or columns are alike, so that
# whatever is turned or shifted shows; in 256 shades, as numbers of 16 bits hold them too.
PATTERN = (np.random.default_rng(0).integers(256, size=PIXELS) / 256).astype(np.float32)


def numbers_from(first: int, n: int) -> Array:
    """Return the numbers (n,) of images from `first` on; after an album's last, its first comes."""
    return np.arange(first, first + n) % SCALE


def pixels_of(numbers: Array) -> Array:
    """Return the images (n, 784) of these numbers: the first pixel and the last tell it."""
    images = np.tile(PATTERN, (len(numbers), 1))
    images[:, 0] = numbers / SCALE
    images[:, -1] = 1 - numbers / SCALE
    return images


TURNS: dict[str, Callable[[Array], Array]] = {
    "whose rows and columns are exchanged": np.transpose,
    "turned to the left": np.rot90,
    "turned to the right": lambda picture: np.rot90(picture, -1),
    "turned upside down": lambda picture: np.rot90(picture, 2),
    "whose left and right sides are exchanged": np.fliplr,
    "whose upper and lower sides are exchanged": np.flipud,
}


def changed_pixels(images: ArrayLike) -> Array | None:
    """Return the pixels of images, or None if they are those that were passed in."""
    pixels = np.asarray(images)
    if pixels.size % PIXELS:
        return pixels
    rows = pixels.reshape(-1, PIXELS)
    inner = np.abs(rows[:, 1:-1] - PATTERN[1:-1]).max(initial=0)
    same = inner < 1e-5 and np.abs(rows[:, 0] + rows[:, -1] - 1).max(initial=0) < 1e-5
    return None if same else pixels


def change_words(pixels: Array) -> str:
    """Say what is done to the pixels of images since they were passed in."""
    if pixels.size % PIXELS:
        return "with another number of pixels than those passed in"
    rows = pixels.reshape(-1, PIXELS)
    known = np.ones((28, 28), dtype=bool)
    known[0, 0] = known[-1, -1] = False
    for words, turn in TURNS.items():
        turned, place = turn(PATTERN.reshape(28, 28)).ravel(), turn(known).ravel()
        if np.abs(rows[:, place] - turned[place]).max() < 1e-5:
            return words
    x, y = PATTERN[1:-1], rows[0, 1:-1]
    slope = (x - x.mean()) @ y / ((x - x.mean()) @ x)
    shift = (y - slope * x).mean()
    if np.abs(slope * x + shift - y).max() < 1e-4 * abs(slope) and np.abs(x - y).max() > 0.01:
        return f"of which the first one has {slope:.4g} x {shift:+.4g} in place of each pixel x"
    return "with other pixels than those passed in"


def numbers_of(images: ArrayLike, scale: int = SCALE) -> Array:
    """Return the numbers (B,) of images (784,), (B, 784) or (B, 1, 28, 28)."""
    pixels = np.asarray(images)
    first = pixels.reshape(-1, PIXELS)[:, 0] if pixels.size % PIXELS == 0 else pixels.ravel()[:1]
    return np.rint(first * scale).astype(int)


@cache
def album_of(seed: int) -> Album:
    """Return the album of a seed; nobody changes it."""
    return Album(seed)
