"""The MLP in JAX, compiled step by step or as a whole epoch."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.measure import Timed
from benchmarks.mlp_ours import BATCH, LEARNING_RATE, training_images
from helpers.mlp import MLP, PARAMETERS

Parameters = list[Array]


def loss(parameters: Parameters, x: Array, y: Array) -> Array:
    """Return the summed cross-entropy of images (B, 784) with labels (B,)."""
    W1, b1, W2, b2 = parameters
    logits = jax.nn.sigmoid(x @ W1.T + b1) @ W2.T + b2
    return -(jax.nn.log_softmax(logits) * jax.nn.one_hot(y, 10)).sum()


def step(
    parameters: Parameters, images: Array, labels: Array, rows: Array
) -> tuple[Parameters, Array]:
    """Return new parameters and the loss, from the images (N, 784) in these `rows` (B,)."""
    value, gradients = jax.value_and_grad(loss)(parameters, images[rows], labels[rows])
    return [p - LEARNING_RATE * g for p, g in zip(parameters, gradients, strict=True)], value


@jax.jit
def scan(
    parameters: Parameters, images: Array, labels: Array, order: Array
) -> tuple[Parameters, Array]:
    """Take a step for each full batch of the `order` (N,), and one for the rest."""
    full = len(order) // BATCH * BATCH
    parameters, losses = jax.lax.scan(
        lambda p, rows: step(p, images, labels, rows), parameters, order[:full].reshape(-1, BATCH)
    )
    parameters, last = step(parameters, images, labels, order[full:])
    return parameters, losses.sum() + last


def data(n: int) -> tuple[Parameters, Array, Array]:
    """Return initial parameters, the first `n` images and their labels."""
    network, (images, labels) = MLP(seed=0), training_images(n)
    parameters = [jnp.array(getattr(network, name)) for name in PARAMETERS]
    return parameters, jnp.array(images), jnp.array(labels)


def jit_of_step(n: int) -> Timed:
    """An epoch of compiled steps, each of which picks its batch itself."""
    parameters, images, labels = data(n)
    compiled, rng = jax.jit(step), np.random.default_rng(0)

    def epoch() -> float:
        nonlocal parameters
        order, losses = rng.permutation(n), []
        for start in range(0, n, BATCH):
            rows = order[start : start + BATCH]
            parameters, value = compiled(parameters, images, labels, rows)
            losses.append(value)
        return sum(map(float, losses)) / n

    return epoch


def jit_of_epoch(n: int) -> Timed:
    """An epoch compiled as a whole."""
    parameters, images, labels = data(n)
    rng = np.random.default_rng(0)

    def epoch() -> float:
        nonlocal parameters
        parameters, value = scan(parameters, images, labels, rng.permutation(n))
        return float(value) / n

    return epoch
