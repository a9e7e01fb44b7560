"""Is a gradient right? Two independent oracles and a verdict in words.

The scale of relative differences is that of Stanford's CS231n: over 1e-2 wrong, over 1e-4
suspicious, under 1e-7 right.
"""

from typing import Protocol

import autograd.numpy as anp
import numpy as np
from autograd import grad
from numpy.typing import ArrayLike

from checks.comparison import Array, gradient_verdict

PARAMETERS = ("W1", "b1", "W2", "b2")
Gradients = dict[str, Array]


class Network(Protocol):
    """What the checks want of a network: that of the assignment, whoever wrote it."""

    W1: Array
    b1: Array
    W2: Array
    b2: Array

    def forward(self, x: ArrayLike) -> Array:
        """Return the probabilities (10,) or (B, 10) for `x` (784,) or (B, 784)."""

    def loss(self, y: ArrayLike) -> float:
        """Return the cross-entropy of the last forward pass against one-hot `y`."""

    def update_grad(self, y: ArrayLike) -> None:
        """Add the gradients of the loss against `y` to `W1_grad`, `b1_grad`, …"""

    def reset_grad(self) -> None:
        """Set the gradients to zero."""

    def update_params(self, lr: float) -> None:
        """Take one step of gradient descent."""


def analytic_gradients(network: Network, x: ArrayLike, y: ArrayLike) -> Gradients:
    """Return the gradients of `update_grad` for `x` (784,) or (B, 784) and one-hot `y`, by name."""
    network.reset_grad()
    network.forward(x)
    network.update_grad(y)
    return read_gradients(network)


def read_gradients(network: Network) -> Gradients:
    """Return copies of the network's gradients by the parameter's name."""
    return {name: np.array(getattr(network, f"{name}_grad")) for name in PARAMETERS}


def read_parameters(network: Network) -> dict[str, Array]:
    """Return copies of the network's parameters by name."""
    return {name: np.array(getattr(network, name)) for name in PARAMETERS}


def numerical_gradients(network: Network, x: ArrayLike, y: ArrayLike, h: float = 1e-5) -> Gradients:
    """Return central differences (L(p + h) - L(p - h)) / 2h for every single parameter p.

    Wants a float64 network: in float32 the difference drowns in rounding. The network's parameters
    are the same afterwards. Raises ValueError for another dtype.
    """
    if network.W1.dtype != np.float64:
        raise ValueError(f"the network is {network.W1.dtype}; central differences want float64.")
    return {name: _central_differences(network, name, x, y, h) for name in PARAMETERS}


def _central_differences(
    network: Network, name: str, x: ArrayLike, y: ArrayLike, h: float
) -> Array:
    original = getattr(network, name)
    nudged, gradient = original.copy(), np.empty_like(original)
    for index in np.ndindex(original.shape):
        losses = []
        for step in (h, -h):
            nudged[index] = original[index] + step
            setattr(network, name, nudged)  # said aloud, for networks that live elsewhere
            network.forward(x)
            losses.append(network.loss(y))
        nudged[index] = original[index]
        gradient[index] = (losses[0] - losses[1]) / (2 * h)
    setattr(network, name, original)
    return gradient


def autograd_gradients(network: Network, x: ArrayLike, y: ArrayLike) -> Gradients:
    """Return the gradients that autograd derives from the same weights, `x` and one-hot `y`."""
    inputs, targets = np.atleast_2d(x), np.atleast_2d(y)

    def loss(p: Gradients) -> Array:
        hidden = 1 / (1 + anp.exp(-(inputs @ p["W1"].T + p["b1"])))
        logits = hidden @ p["W2"].T + p["b2"]
        total: Array = anp.sum(anp.log(anp.exp(logits).sum(axis=1))) - anp.sum(targets * logits)
        return total

    gradients: Gradients = grad(loss)({name: getattr(network, name) for name in PARAMETERS})
    return gradients


def relative_difference(gradient: Array, oracle: Array) -> float:
    """Return max|gradient - oracle| / max(|gradient|, |oracle|) over two arrays of one shape.

    Dividing by the largest entry, not entry by entry, keeps rounding in tiny entries from counting.
    Raises ValueError if the shapes differ.
    """
    if gradient.shape != oracle.shape:
        raise ValueError(f"gradient has shape {gradient.shape}; the oracle has {oracle.shape}.")
    scale = max(np.abs(gradient).max(), np.abs(oracle).max())
    return 0.0 if scale == 0 else float(np.abs(gradient - oracle).max() / scale)


def compare_gradients(gradients: Gradients, oracle: Gradients, name: str) -> None:
    """Print a line a parameter: relative difference to the oracle called `name`, and verdict."""
    for parameter, gradient in gradients.items():
        difference = relative_difference(gradient, oracle[parameter])
        print(
            f"{parameter}_grad against {name}: relative difference {difference:.1e}, "
            f"{gradient_verdict(difference)}"
        )
