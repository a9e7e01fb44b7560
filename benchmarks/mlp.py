"""The MLP in NumPy: ours, its floor, and the loop over single images."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Timed
from helpers.mlp import MLP, Array, cross_entropy, sigmoid, sigmoid_derivative, softmax
from helpers.mnist import Split, load_mnist
from helpers.threads import few_threads
from helpers.training import one_hot_encode, test_network, train_epoch

Indices = NDArray[np.integer]
GradientOfOne = Callable[[MLP, Array, Array], float]  # gives the loss

BATCH = 256
LEARNING_RATE = 1e-3  # on the summed gradient


def training_images(n: int) -> Split:
    """Return the first `n` training images."""
    return load_mnist().train.first(n)


def floor(n: int) -> Timed:
    """The products X W1ᵀ and d_a1ᵀ X of every batch, which no implementation can do without."""
    images = training_images(n).images
    W1 = MLP(seed=0).W1
    d_a1 = np.ones((BATCH, len(W1)), np.float32)

    def products() -> None:
        for start in range(0, n, BATCH):
            x = images[start : start + BATCH]
            x @ W1.T
            d_a1[: len(x)].T @ x

    return products


def ours(n: int) -> Timed:
    """What `train_network` does in an epoch, without the accuracies."""
    network, rng = MLP(seed=0), np.random.default_rng(0)
    images, labels = training_images(n)
    targets = one_hot_encode(labels)

    def epoch() -> None:
        with few_threads():
            order = rng.permutation(n)
            train_epoch(network, images, targets, order, LEARNING_RATE, BATCH)

    return epoch


def ours_evaluating(n: int) -> Timed:
    """What `train_network` does in an epoch, with the accuracies."""
    network, rng, digits = MLP(seed=0), np.random.default_rng(0), load_mnist()
    train = digits.train.first(n)
    targets = one_hot_encode(train.labels)

    def epoch() -> None:
        with few_threads():
            train_epoch(network, train.images, targets, rng.permutation(n), LEARNING_RATE, BATCH)
            test_network(network, *train)
            test_network(network, *digits.validation)

    return epoch


def loop_with_methods(n: int) -> Timed:
    """An image at a time, as the assignment's text describes, with the methods of our MLP."""
    return image_at_a_time(n, MLP_gradient)


def loop_bare(n: int) -> Timed:
    """The same in bare NumPy, without the checks in the MLP's methods."""
    return image_at_a_time(n, bare_gradient)


def image_at_a_time(n: int, add_gradient: GradientOfOne) -> Timed:
    """An epoch that adds up the gradients of one image after another."""
    network, rng = MLP(seed=0), np.random.default_rng(0)
    images, labels = training_images(n)
    targets = one_hot_encode(labels)

    def epoch() -> None:
        with few_threads():
            loop_epoch(network, images, targets, rng.permutation(n), add_gradient)

    return epoch


def loop_epoch(
    network: MLP, images: Array, targets: Array, order: Indices, add_gradient: GradientOfOne
) -> float:
    """Train on images (N, 784), targets (N, 10) in the given order (N,); return the mean loss."""
    total_loss = 0.0
    for start in range(0, len(order), BATCH):
        network.reset_grad()
        for k in order[start : start + BATCH]:
            total_loss += add_gradient(network, images[k], targets[k])
        network.update_params(LEARNING_RATE)
    return total_loss / len(order)


def MLP_gradient(network: MLP, x: Array, y: Array) -> float:
    """Add the gradient of one image `x` (784,) with target `y` (10,) and return the loss."""
    network.forward(x)
    loss = network.loss(y)
    network.update_grad(y)
    return loss


def bare_gradient(network: MLP, x: Array, y: Array) -> float:
    """Do as MLP_gradient, without the checks in the MLP's methods."""
    z1 = sigmoid(network.W1 @ x + network.b1)
    a2 = network.W2 @ z1 + network.b2
    d_a2 = softmax(a2) - y
    d_a1 = (network.W2.T @ d_a2) * sigmoid_derivative(z1)
    network.W2_grad += np.outer(d_a2, z1)
    network.b2_grad += d_a2
    network.W1_grad += np.outer(d_a1, x)
    network.b1_grad += d_a1
    return cross_entropy(a2, y)
