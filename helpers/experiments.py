"""The small experiments of notebook 1: one layer alone, weight decay, and losses to be watched."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from helpers.mlp import MLP, Array, cross_entropy_derivative, softmax, weight_gradient
from helpers.training import LabelledImages, accuracy, one_hot_encode, quiet_epochs


class SoftmaxLayer(MLP):
    """Inputs → softmax outputs: the second layer of an MLP by itself, on the pixels.

    Trained like an MLP, whose first layer is there but not used. The weights `W2` (10, 784) may
    start at zero: there are no hidden units to be told apart.
    """

    def __init__(self, n_inputs: int = 784, n_outputs: int = 10) -> None:
        super().__init__(n_inputs, 1, n_outputs)
        self.W2 = np.zeros((n_outputs, n_inputs), self.dtype)
        self.reset_grad()

    def forward(self, x: ArrayLike) -> Array:
        """Return the probabilities (B, 10) of images (B, 784)."""
        self.x = np.asarray(x)
        self.a2 = logits = np.inner(self.x, self.W2) + self.b2
        self.y_hat = softmax(logits)
        return self.y_hat

    def update_grad(self, y: ArrayLike) -> None:
        """Add the gradients against `y` (B, 10). A bias is a weight whose input is always 1."""
        delta = cross_entropy_derivative(self.y_hat, np.asarray(y))
        ones = np.ones((len(delta), 1), self.dtype)
        self.W2_grad += weight_gradient(delta, self.x)
        self.b2_grad += weight_gradient(delta, ones)[:, 0]


class WeightDecay(MLP):
    """An MLP whose loss has the penalty `decay`/2 times the sum of all squared weights."""

    decay = 0.1

    def update_params(self, lr: float) -> None:
        """Take one step of gradient descent; the slope of the penalty is `decay` times W."""
        self.W1_grad += self.decay * self.W1
        self.W2_grad += self.decay * self.W2
        super().update_params(lr)


@dataclass
class Losses:
    """Mean losses per image, in nats, and the validation accuracy in percent, after each epoch."""

    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    def best(self) -> int:
        """Return the index of the epoch with the lowest validation loss: the first has 0."""
        return int(np.argmin(self.validation))

    def rise(self) -> float:
        """Return by how many percent the validation loss has risen again from its lowest."""
        return 100 * (self.validation[-1] / min(self.validation) - 1)


def loss_per_image(network: MLP, images: Array, labels: ArrayLike) -> float:
    """Return the mean loss, in nats, on images (N, 784) with labels (N,)."""
    network.forward(images)
    return network.loss(one_hot_encode(labels)) / len(images)


def train_watching_losses(
    network: MLP, train: LabelledImages, validation: LabelledImages, learning_rate: float,
    n_epochs: int, *, seed: int = 0,
) -> Losses:  # fmt: skip
    """Train `network` as `train_network` does, in batches of 256, and return its losses."""
    losses, epochs = Losses(), quiet_epochs(network, train, learning_rate, n_epochs, seed=seed)
    for _ in tqdm(epochs, total=n_epochs, unit="epoch"):
        losses.training.append(loss_per_image(network, *train))
        losses.validation.append(loss_per_image(network, *validation))
        losses.accuracy.append(accuracy(network.y_hat.argmax(axis=-1), validation[1]))
    return losses
