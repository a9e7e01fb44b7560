"""Is a gradient right? Two independent oracles and a verdict in words.

The scale of relative differences is that of Stanford's CS231n: over 1e-2 wrong, over 1e-4
suspicious, under 1e-7 right.
"""

import numpy as np
from numpy.typing import ArrayLike

from helpers.mlp import MLP, PARAMETERS, Array

Gradients = dict[str, Array]


def analytic_gradients(network: MLP, x: ArrayLike, y: ArrayLike) -> Gradients:
    """Return the gradients of `update_grad` for `x` (784,) or (B, 784) and one-hot `y`, by name."""
    network.reset_grad()
    network.forward(x)
    network.update_grad(y)
    return {name: getattr(network, f"{name}_grad").copy() for name in PARAMETERS}


def numerical_gradients(network: MLP, x: ArrayLike, y: ArrayLike, h: float = 1e-5) -> Gradients:
    """Return central differences (L(p + h) - L(p - h)) / 2h for every single parameter p.

    Wants a float64 network: in float32 the difference drowns in rounding. The network's parameters
    are the same afterwards. Raises ValueError for another dtype.
    """
    if network.dtype != np.float64:
        raise ValueError(f"the network is {network.dtype}; central differences want float64.")
    return {name: _central_differences(network, name, x, y, h) for name in PARAMETERS}


def _central_differences(network: MLP, name: str, x: ArrayLike, y: ArrayLike, h: float) -> Array:
    parameter = getattr(network, name)
    gradient = np.empty_like(parameter)
    for index in np.ndindex(parameter.shape):
        value = parameter[index]
        losses = []
        for step in (h, -h):
            parameter[index] = value + step
            network.forward(x)
            losses.append(network.loss(y))
        parameter[index] = value
        gradient[index] = (losses[0] - losses[1]) / (2 * h)
    return gradient


def autograd_gradients(network: MLP, x: ArrayLike, y: ArrayLike) -> Gradients:
    """Return the gradients that PyTorch computes from the same weights, `x` and one-hot `y`."""
    import torch  # here, because nothing else in the first notebook needs it

    p = {name: torch.tensor(getattr(network, name), requires_grad=True) for name in PARAMETERS}
    inputs, targets = (torch.from_numpy(np.atleast_2d(v).astype(network.dtype)) for v in (x, y))
    hidden = torch.sigmoid(inputs @ p["W1"].T + p["b1"])
    logits = hidden @ p["W2"].T + p["b2"]
    loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    gradients = torch.autograd.grad(loss, list(p.values()))
    return {name: gradient.numpy() for name, gradient in zip(p, gradients, strict=True)}


def relative_difference(gradient: Array, oracle: Array) -> float:
    """Return max|gradient - oracle| / max(|gradient|, |oracle|) over two arrays of one shape.

    Dividing by the largest entry, not entry by entry, keeps rounding in tiny entries from counting.
    Raises ValueError if the shapes differ.
    """
    if gradient.shape != oracle.shape:
        raise ValueError(f"gradient has shape {gradient.shape}; the oracle has {oracle.shape}.")
    scale = max(np.abs(gradient).max(), np.abs(oracle).max())
    return 0.0 if scale == 0 else float(np.abs(gradient - oracle).max() / scale)


def gradient_verdict(difference: float) -> str:
    """Put a relative difference into a word: right, close, suspicious or wrong (NaN is wrong)."""
    for limit, word in ((1e-7, "right"), (1e-4, "close"), (1e-2, "suspicious")):
        if difference < limit:
            return word
    return "wrong"


def compare_gradients(gradients: Gradients, oracle: Gradients, name: str) -> None:
    """Print a line a parameter: relative difference to the oracle called `name`, and verdict."""
    for parameter, gradient in gradients.items():
        difference = relative_difference(gradient, oracle[parameter])
        print(
            f"{parameter}_grad against {name}: relative difference {difference:.1e}, "
            f"{gradient_verdict(difference)}"
        )
