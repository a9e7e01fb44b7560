"""Digits that a notebook can be run on in seconds: ten patterns under much noise."""

import numpy as np

import helpers.mnist
from helpers.mnist import Digits, Split

SIZES = {"train": 2200, "validation": 300, "test": 400}


def toy_bytes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (n, 28, 28), with a blank frame, and labels, uint8 (n,), of all ten classes."""
    patterns = np.random.default_rng(0).random((10, 6, 6)) > 0.5
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 10).astype(np.uint8)
    ink = np.kron(patterns, np.ones((4, 4)))[labels]
    images = np.zeros((n, 28, 28), np.uint8)
    noise = rng.normal(0, 0.45, (n, 24, 24))
    images[:, 2:-2, 2:-2] = 255 * np.clip(0.15 * ink + 0.25 + noise, 0, 1)
    return images, labels


def install() -> None:
    """Let the helpers load these digits under the name of MNIST, and the witness check them."""
    from tests.notebooks.witness import run

    images, labels = toy_bytes(SIZES["train"] + SIZES["validation"], seed=1)
    test_images, test_labels = toy_bytes(SIZES["test"], seed=2)
    both, test = _split(images, labels), _split(test_images, test_labels)
    n = SIZES["train"]
    held_out = Split(both.images[n:], both.labels[n:])
    digits = Digits(both.first(n), held_out, test, "MNIST")
    helpers.mnist.load_mnist = lambda name=None, folder=None: digits
    run.originals = lambda source: (images, labels, test_images, test_labels)
    run.VALIDATION = SIZES["validation"]


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split((images.reshape(-1, 784) / np.float32(255)), labels.astype(np.int64))
