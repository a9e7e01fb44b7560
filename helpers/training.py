"""Training the hand-written network and measuring how well it does."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from helpers.mlp import MLP, Array, load_weights
from machine.threads import few_threads

Labels = NDArray[np.integer]
LabelledImages = tuple[Array, Labels]


class DivergenceError(RuntimeError):
    """The loss became NaN or infinite: the steps were too large."""


@dataclass
class History:
    """What each epoch of a training brought: mean loss per image in nats, accuracies in percent."""

    loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.loss)

    def __repr__(self) -> str:
        return f"History({len(self)} epochs; {self.last()})" if self.loss else "History(0 epochs)"

    def record(self, loss: float, train_accuracy: float, validation_accuracy: float) -> None:
        """Add one epoch: its mean loss per image in nats, and both accuracies in percent.

        A tensor or an array of one number is kept as that number.
        """
        self.loss.append(float(loss))
        self.train_accuracy.append(float(train_accuracy))
        self.validation_accuracy.append(float(validation_accuracy))

    def gap(self) -> float:
        """Return by how many points training accuracy lies above validation accuracy at the end."""
        return self.train_accuracy[-1] - self.validation_accuracy[-1]

    def last(self) -> str:
        """Describe the latest epoch in one line."""
        return (
            f"loss {self.loss[-1]:.4f}, training {self.train_accuracy[-1]:.2f} %, "
            f"validation {self.validation_accuracy[-1]:.2f} %"
        )


def one_hot_encode(labels: ArrayLike, n_classes: int = 10) -> NDArray[np.float32]:
    """Turn integer labels (N,) into rows (N, n_classes) with a 1 at the label and 0 elsewhere.

    N is at least 1. Other types of numbers than float32 do as well: the network converts them.
    Raises ValueError if a label is not an integer in 0 … n_classes - 1.
    """
    labels = _checked_labels(labels, n_classes)
    ### BEGIN SOLUTION
    return np.eye(n_classes, dtype=np.float32)[labels]
    ### END SOLUTION


def accuracy(predicted: ArrayLike, true: ArrayLike) -> float:
    """Return the percentage of `predicted` labels (N,) that equal the `true` ones (N,).

    Raises ValueError if the shapes differ or there are no labels.
    """
    predicted, true = _checked_pair(predicted, true)
    ### BEGIN SOLUTION
    return 100 * float((predicted == true).mean())
    ### END SOLUTION


def predict(network: MLP, images: ArrayLike) -> NDArray[np.integer]:
    """Return the most probable digit (N,) of each image (N, 784)."""
    return network.forward(images).argmax(axis=-1)


def test_network(network: MLP, images: ArrayLike, labels: ArrayLike) -> float:
    """Return the accuracy in percent on images (N, 784) with labels (N,). (Assignment, 6.)"""
    ### BEGIN SOLUTION
    return accuracy(predict(network, images), labels)
    ### END SOLUTION


test_network.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def train_network(
    network: MLP, train: LabelledImages, validation: LabelledImages, learning_rate: float = 1e-3,
    n_epochs: int = 100, batch_size: int = 256, *, seed: int | np.random.Generator = 0,
) -> History:  # fmt: skip
    """Train `network` by mini-batch gradient descent on the summed gradient. (Assignment, 4.)

    `train` and `validation` are pairs of images (N, 784) and labels (N,), digits from 0 to 9. The
    gradients of `network` are zeros in the beginning, as those of a new one. Every epoch shuffles
    the training images anew, goes through them by `train_epoch`, and records its loss and both
    accuracies by `history.record`; those of the training images may be taken on the way or after
    the epoch. The same seed gives the same result on one machine. Ctrl-C (or Jupyter's stop button)
    ends the training early; by `epochs_of`, the network keeps what it has learned, and the History
    holds the finished epochs.

    Raises DivergenceError if the loss becomes NaN or infinite, ValueError for bad arguments.
    """
    images, labels = train
    _check_arguments(images, labels, learning_rate, n_epochs, batch_size)
    targets = one_hot_encode(labels, len(network.b2))
    rng = np.random.default_rng(seed)
    history = History()
    with epochs_of(history, n_epochs) as epochs:
        for _ in epochs:
            ### BEGIN SOLUTION
            order = rng.permutation(len(images))
            loss = train_epoch(network, images, targets, order, learning_rate, batch_size)
            history.record(loss, test_network(network, *train), test_network(network, *validation))
            ### END SOLUTION
    return history


@contextlib.contextmanager
def epochs_of(history: History, n_epochs: int) -> Iterator[Iterator[int]]:
    """Give the epochs 1 to `n_epochs`, with a progress bar; Ctrl-C ends them early.

    After epochs 1, 2, 5, 10, 20, 50 and so on, and after the last, the entry that it made in
    `history` is printed. Meant for `with`, so that training runs on few threads, and NumPy's
    warnings don't bury the DivergenceError.
    """
    try:
        with (
            few_threads(),
            np.errstate(all="ignore"),
            tqdm(range(1, n_epochs + 1), unit="epoch") as progress,
        ):
            yield _told(progress, history)
    except KeyboardInterrupt:
        print(f"Stopped by hand after {len(history)} of {n_epochs} epochs.")


def _told(progress: tqdm, history: History) -> Iterator[int]:
    for epoch in progress:
        yield epoch
        progress.set_postfix(validation=f"{history.validation_accuracy[-1]:.2f} %")
        if epoch == progress.total or str(epoch).rstrip("0") in ("1", "2", "5"):
            progress.write(f"epoch {epoch:3d}: {history.last()}")


def train_epoch(
    network: MLP,
    images: Array,
    targets: Array,
    order: NDArray[np.integer],
    learning_rate: float,
    batch_size: int,
) -> float:
    """Go once through the images (N, 784) in the given order (N,), one batch after the other.

    `targets` (N, 10) are one-hot. Every `batch_size` images are a batch, of which the last one may
    be smaller, and each batch is one step. Returns the mean loss per image. Raises DivergenceError,
    by `stop_if_diverged`, once the loss is not finite.
    """
    ### BEGIN SOLUTION
    total_loss = 0.0
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        network.reset_grad()
        network.forward(images[batch])
        total_loss += network.loss(targets[batch])
        stop_if_diverged(total_loss, learning_rate)
        network.update_grad(targets[batch])
        network.update_params(learning_rate)
    return total_loss / len(order)
    ### END SOLUTION


def load_or_train(filename_prefix: str | Path, train: LabelledImages) -> MLP:
    """Return the full network of notebook 1: its saved weights or, without them, trained anew.

    `train` is a pair of images (N, 784) and labels (N,). Takes seconds, prints nothing, and gives
    what `train_network` gives with its default settings.
    """
    network = MLP(seed=0)
    try:
        load_weights(network, filename_prefix)
    except (OSError, ValueError):
        list(quiet_epochs(network, train))
    return network


def quiet_epochs(
    network: MLP, train: LabelledImages, learning_rate: float = 1e-3, n_epochs: int = 100, *,
    seed: int = 0,
) -> Iterator[float]:  # fmt: skip
    """Train as `train_network` does, but print and evaluate nothing: yield each epoch's loss."""
    images, targets, rng = train[0], one_hot_encode(train[1]), np.random.default_rng(seed)
    orders = (rng.permutation(len(images)) for _ in range(n_epochs))
    with few_threads():
        for order in orders:
            yield train_epoch(network, images, targets, order, learning_rate, 256)


def stop_if_diverged(loss: float, learning_rate: float) -> None:
    """Raise DivergenceError, which says what to do, if the loss is NaN or infinite."""
    if not math.isfinite(loss):
        raise DivergenceError(
            f"The loss became {loss}: training diverged. The learning rate {learning_rate:g} "
            "is probably too large; try a tenth of it on a new network."
        )


def _check_arguments(
    images: Array, labels: Labels, learning_rate: float, n_epochs: int, batch_size: int
) -> None:
    if len(images) != len(labels) or len(images) == 0:
        raise ValueError(
            f"train has {len(images)} images and {len(labels)} labels; wanted one label an image."
        )
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise ValueError(f"learning_rate is {learning_rate}; wanted a positive number.")
    for name, value in (("n_epochs", n_epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} is {value}; wanted at least 1.")


def _checked_labels(labels: ArrayLike, n_classes: int) -> Labels:
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels are {labels.dtype}; wanted integers from 0 to {n_classes - 1}.")
    if labels.size and not (0 <= labels.min() and labels.max() < n_classes):
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}; wanted 0 to {n_classes - 1}."
        )
    return labels


def _checked_pair(predicted: ArrayLike, true: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    predicted, true = np.asarray(predicted), np.asarray(true)
    if predicted.shape != true.shape or predicted.ndim != 1 or predicted.size == 0:
        raise ValueError(
            f"predicted has shape {predicted.shape} and true {true.shape}; "
            "wanted the same (N,) for both, with at least one label."
        )
    return predicted, true
