"""Epochs of the MLP: each function returns one, ready to be run again and again.

All use float32, batches of 256 drawn in a new random order, the same step of gradient descent, and
add up the loss. Only what is told to evaluates accuracies. A library that only one of them needs is
imported inside it, where it may be missing.
"""

import warnings
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.measure import Timed
from helpers.mlp import MLP, PARAMETERS, Array, cross_entropy, sigmoid, sigmoid_derivative, softmax
from helpers.mnist import Split, load_mnist
from helpers.training import one_hot_encode, test_network, train_epoch
from machine.threads import few_threads

Jax = Any  # an array of JAX, or a list of them

HIDDEN = len(MLP().b1)  # the peers have as many units as ours
BATCH = 256
LEARNING_RATE = 1e-3  # on the summed gradient


def training_images(n: int) -> Split:
    """Return the first `n` training images."""
    return load_mnist().train.first(n)


def floor(n: int) -> Timed:
    """The products X W1ᵀ and d_a1ᵀ X of every batch, which no implementation can do without."""
    images, W1 = training_images(n).images, MLP(seed=0).W1
    d_a1 = np.ones((BATCH, len(W1)), np.float32)

    def products() -> None:
        for start in range(0, n, BATCH):
            x = images[start : start + BATCH]
            x @ W1.T
            d_a1[: len(x)].T @ x

    return products


def ours(n: int, network: type[MLP] = MLP, evaluating: bool = False) -> Timed:
    """What `train_network` does in an epoch, the two accuracies only if `evaluating`."""
    train = training_images(n)
    evaluated = (train, load_mnist().validation) if evaluating else ()
    return _our_epoch(network(seed=0), train, LEARNING_RATE, BATCH, evaluated)


def ours_of_size(images: int, hidden: int, batch: int) -> Timed:
    """An epoch of ours, and the accuracy after it; random images cost the same time as digits."""
    rng = np.random.default_rng(0)
    train = Split(rng.random((images, 784), dtype=np.float32), rng.integers(10, size=images))
    return _our_epoch(MLP(n_hidden=hidden, seed=0), train, 1e-6, batch, (train,))


def _our_epoch(
    network: MLP, train: Split, learning_rate: float, batch: int, evaluated: tuple[Split, ...]
) -> Timed:
    targets, rng = one_hot_encode(train.labels), np.random.default_rng(0)

    def epoch() -> float:
        with few_threads():
            order = rng.permutation(len(targets))
            loss = train_epoch(network, train.images, targets, order, learning_rate, batch)
            for split in evaluated:
                test_network(network, *split)
        return loss

    return epoch


class ImageAtATime(MLP):
    """An MLP that adds up the loss and the gradients of a batch image by image, within `loss`."""

    def forward(self, x: ArrayLike) -> Array:
        self.batch = np.asarray(x)
        return self.batch

    def loss(self, y: ArrayLike) -> float:
        return sum(map(self.add_gradient, self.batch, np.asarray(y)))

    def update_grad(self, y: ArrayLike) -> None: ...

    def add_gradient(self, x: Array, y: Array) -> float:
        """Add the gradient of one image `x` (784,) with target `y` (10,) and return its loss."""
        super().forward(x)
        super().update_grad(y)
        return super().loss(y)


class BareImageAtATime(ImageAtATime):
    """The same in bare NumPy, without the checks in the MLP's methods."""

    def add_gradient(self, x: Array, y: Array) -> float:
        z1 = sigmoid(self.W1 @ x + self.b1)
        a2 = self.W2 @ z1 + self.b2
        d_a2 = softmax(a2) - y
        d_a1 = (self.W2.T @ d_a2) * sigmoid_derivative(z1)
        self.W2_grad += np.outer(d_a2, z1)
        self.b2_grad += d_a2
        self.W1_grad += np.outer(d_a1, x)
        self.b1_grad += d_a1
        return cross_entropy(a2, y)


def scikit_learn(n: int) -> Timed:
    """scikit-learn's MLPClassifier, epoch by epoch."""
    from sklearn.neural_network import MLPClassifier

    images, labels = training_images(n)
    network = MLPClassifier(
        (HIDDEN,), activation="logistic", solver="sgd", batch_size=min(BATCH, n), alpha=0,
        learning_rate_init=LEARNING_RATE * BATCH, momentum=0, random_state=0,
    )  # fmt: skip
    warnings.simplefilter("ignore")
    return lambda: network.partial_fit(images, labels, classes=range(10))


def torch_mlp(n: int, with_loader: bool) -> Timed:
    """PyTorch, on tensors that hold all images, or with the DataLoader of its tutorials."""
    import torch
    from torch import nn, optim
    from torch.utils.data import DataLoader, TensorDataset

    from benchmarks.cnn import batches, usual_epoch

    images, labels = map(torch.tensor, training_images(n))
    loader = DataLoader(TensorDataset(images, labels), batch_size=BATCH, shuffle=True)
    network = nn.Sequential(nn.Linear(784, HIDDEN), nn.Sigmoid(), nn.Linear(HIDDEN, 10))
    optimizer = optim.SGD(network.parameters(), lr=LEARNING_RATE)
    parts = network, optimizer, nn.CrossEntropyLoss(reduction="sum")
    drawn = partial(batches, images, labels, BATCH)
    return lambda: usual_epoch(*parts, loader if with_loader else drawn()) / n


def jax_mlp(n: int, whole_epoch: bool) -> Timed:
    """JAX, compiled step by step or as a whole epoch."""
    import jax
    import jax.numpy as jnp

    network, rng, (images, labels) = MLP(seed=0), np.random.default_rng(0), training_images(n)
    parameters = [jnp.array(getattr(network, name)) for name in PARAMETERS]
    data = jnp.array(images), jnp.array(labels)
    compiled, size = jax.jit(_jax_epoch if whole_epoch else _jax_step), n if whole_epoch else BATCH

    def epoch() -> float:
        nonlocal parameters
        order, losses = rng.permutation(n), []
        for start in range(0, n, size):
            parameters, loss = compiled(parameters, *data, order[start : start + size])
            losses.append(loss)
        return sum(map(float, losses)) / n

    return epoch


def _jax_step(parameters: Jax, images: Jax, labels: Jax, rows: Jax) -> tuple[Jax, Jax]:
    """Return new parameters and the summed loss, from the images (N, 784) in these `rows` (B,)."""
    import jax

    def loss(parameters: Jax) -> Jax:
        W1, b1, W2, b2 = parameters
        logits = jax.nn.sigmoid(images[rows] @ W1.T + b1) @ W2.T + b2
        return -(jax.nn.log_softmax(logits) * jax.nn.one_hot(labels[rows], 10)).sum()

    value, gradients = jax.value_and_grad(loss)(parameters)
    return [p - LEARNING_RATE * g for p, g in zip(parameters, gradients, strict=True)], value


def _jax_epoch(parameters: Jax, images: Jax, labels: Jax, order: Jax) -> tuple[Jax, Jax]:
    """Take a step for each full batch of the `order` (N,), and one for the rest."""
    import jax

    full = len(order) // BATCH * BATCH
    parameters, losses = jax.lax.scan(
        lambda p, rows: _jax_step(p, images, labels, rows),
        parameters,
        order[:full].reshape(-1, BATCH),
    )
    parameters, last = _jax_step(parameters, images, labels, order[full:])
    return parameters, losses.sum() + last
