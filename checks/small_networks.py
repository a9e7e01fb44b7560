"""Small random networks to judge a student's MLP by, and what a right one makes of an input."""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any

import numpy as np

from checks.asking import ask
from checks.comparison import Array, describe
from checks.faults import Fault
from checks.gradients import PARAMETERS, Network
from checks.special import expit
from checks.special import softmax as exact_softmax
from checks.verdicts import Exercise

BATCH = 7  # unlike any layer size, so that no axis is taken for another
Sizes = tuple[int, int, int]
NOT_HELD = Fault(
    "assignment ignored", "the network gives back other numbers than were assigned to its "
    "attribute.", "Keep W1, b1, W2 and b2 as plain attributes.",
)  # fmt: skip
ACTIVATIONS: dict[str | None, Callable[[Array], Array]] = {
    "sigmoid": expit,
    "softmax": lambda a: exact_softmax(a, axis=-1),
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    None: lambda a: a,
}


@cache
def random_sizes(seed: int) -> Sizes:
    """Return three different small layer sizes."""
    n_in, n_hidden, n_out = np.random.default_rng(seed).permutation([3, 4, 5, 6])[:3].tolist()
    return n_in, n_hidden, n_out


@lru_cache(maxsize=50)
def random_parameters(sizes: Sizes, seed: int) -> dict[str, Array]:
    """Return weights and biases of a network of these sizes, in float64."""
    n_in, n_hidden, n_out = sizes
    rng = np.random.default_rng(seed)
    return {
        "W1": rng.normal(0, 0.5, (n_hidden, n_in)), "b1": rng.normal(0, 1, n_hidden),
        "W2": rng.normal(0, 1.5, (n_out, n_hidden)), "b2": rng.normal(0, 1, n_out),
    }  # fmt: skip


def random_network(
    exercise: Exercise, make: Callable[..., Network], sizes: Sizes, seed: int
) -> Network:
    """Return the student's network of these sizes, with the random_parameters of this seed.

    Ends the check if the network holds others: all that follows is compared with these.
    """
    n_in, n_hidden, n_out = sizes
    network: Network = ask(
        f"MLP({n_in}, {n_hidden}, {n_out}, seed=0, dtype=np.float64)",
        make, n_in, n_hidden, n_out, seed=0, dtype=np.float64,
    )  # fmt: skip
    for name, values in random_parameters(sizes, seed).items():
        exercise.attribute(network, name)
        setattr(network, name, values.copy())
        if not np.array_equal(found := exercise.attribute(network, name), values):
            exercise.halt(name, describe(found), describe(values), NOT_HELD)
    return network


def random_images(
    sizes: Sizes, batch: tuple[int, ...], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return random inputs (n,) or (B, n) and one-hot targets; `batch` is () or (B,)."""
    x = rng.uniform(0, 3, (*batch, sizes[0]))
    return x, np.eye(sizes[2])[rng.integers(sizes[2], size=batch)]


def layers(
    parameters: Mapping[str, Array],
    x: Array,
    hidden: str | None = "sigmoid",
    output: str | None = "softmax",
) -> dict[str, Array]:
    """Return a1, z1, a2 and y_hat with these activations."""
    a1 = np.einsum("...i,hi->...h", x, parameters["W1"]) + parameters["b1"]
    z1 = ACTIVATIONS[hidden](a1)
    a2 = np.einsum("...h,oh->...o", z1, parameters["W2"]) + parameters["b2"]
    y_hat = ACTIVATIONS[output](a2)
    return {"a1": a1, "z1": z1, "a2": a2, "y_hat": y_hat}


def right_forward(self: Any, x: Array) -> Array:
    """Stand in for MLP.forward."""
    self.x = np.asarray(x)
    found = layers({name: getattr(self, name) for name in PARAMETERS}, self.x)
    for name, values in found.items():
        setattr(self, name, values)
    return found["y_hat"]


def right_reset_grad(self: Any) -> None:
    """Stand in for MLP.reset_grad."""
    for name in PARAMETERS:
        setattr(self, f"{name}_grad", np.zeros_like(getattr(self, name)))


def right_update_params(self: Any, lr: float) -> None:
    """Stand in for MLP.update_params."""
    for name in PARAMETERS:
        gradient = np.multiply(lr, getattr(self, f"{name}_grad"))
        setattr(self, name, np.subtract(getattr(self, name), gradient))
