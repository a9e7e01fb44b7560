"""A multi-layer perceptron and its back-propagation by hand, in NumPy alone.

Each forward formula stands beside its derivative, so that the eye can check one against the other:

    a1 = W1 x + b1      pre-activation of the hidden units
    z1 = sigmoid(a1)    hidden activation
    a2 = W2 z1 + b2     logits
    y_hat = softmax(a2) probabilities of the ten digits

and backward, where `delta2` and `delta1` are the slopes of the loss along a2 and a1:

    delta2 = y_hat - y
    delta1 = (W2^T delta2) z1 (1 - z1)

Source of the method: Rumelhart, Hinton, Williams, "Learning representations by back-propagating
errors", Nature 323, 1986; notation as in Bishop, "Pattern Recognition and Machine Learning", 5.3.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from machine.files import read_file, require_together, write_together

Array = NDArray[np.floating]

PARAMETERS = ("W1", "b1", "W2", "b2")


def sigmoid(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)) for `a` of any shape; written with tanh, which cannot overflow."""
    ### BEGIN SOLUTION
    return 0.5 * (1 + np.tanh(0.5 * a))
    ### END SOLUTION


def sigmoid_derivative(z: Array) -> Array:
    """Return the slope of the sigmoid at the point where its VALUE is `z`, for any shape."""
    ### BEGIN SOLUTION
    return z * (1 - z)
    ### END SOLUTION


def softmax(a: Array) -> Array:
    """Turn logits `a`, (K,) or (B, K), into probabilities that sum to 1 along the last axis."""
    ### BEGIN SOLUTION
    e = np.exp(a - a.max(axis=-1, keepdims=True))  # the shift cancels out and prevents overflow
    return e / e.sum(axis=-1, keepdims=True)
    ### END SOLUTION


def cross_entropy(a: Array, y: Array) -> float:
    """Return -sum(y log softmax(a)) for logits `a` and one-hot `y`, both (K,) or (B, K), in nats.

    A batch gives the sum over its images. Working on the logits, as log softmax(a) =
    a - log(sum(exp(a))), never takes the logarithm of a probability that was rounded to 0.
    """
    ### BEGIN SOLUTION
    a = a - a.max(axis=-1, keepdims=True)
    log_y_hat = a - np.log(np.exp(a).sum(axis=-1, keepdims=True))
    return -float((y * log_y_hat).sum())
    ### END SOLUTION


def cross_entropy_derivative(y_hat: Array, y: Array) -> Array:
    """Return delta2, the slope of the loss along each logit, in the shape (K,) or (B, K).

    `y_hat` are the probabilities and `y` the one-hot targets, both in that shape.
    """
    ### BEGIN SOLUTION
    return y_hat - y
    ### END SOLUTION


def weight_gradient(delta: Array, inputs: Array) -> Array:
    """Return the slope of the loss along a layer's weights, (K, H), summed over a batch.

    The rows of `delta` (B, K), the slopes along the layer's outputs, and of its `inputs` (B, H)
    belong to the B images of the batch.
    """
    ### BEGIN SOLUTION
    return delta.T @ inputs
    ### END SOLUTION


def hidden_delta(delta2: Array, W2: Array, z1: Array) -> Array:
    """Return delta1 (B, H), the slope of the loss along each a1, by going back through a layer.

    `delta2` (B, K) are the slopes along the logits, `W2` (K, H) the weights on the way there, and
    `z1` (B, H) the values of the hidden units.
    """
    ### BEGIN SOLUTION
    return (delta2 @ W2) * sigmoid_derivative(z1)
    ### END SOLUTION


class MLP:
    """Inputs → sigmoid hidden units → softmax outputs, 784-64-10 unless told otherwise.

    Every method takes one image `x` (784,) with target `y` (10,), or a batch (B, 784) and (B, 10);
    losses and gradients of a batch are the sums over its images.

    Parameters: `W1` (64, 784), `b1` (64,), `W2` (10, 64), `b2` (10,), weights drawn from a Gaussian
    with standard deviation 0.1, biases zero. Gradients: `W1_grad`, `b1_grad`, `W2_grad`, `b2_grad`
    in the same shapes. (Assignment, sections 1 to 3.)
    """

    def __init__(
        self,
        n_inputs: int = 784,
        n_hidden: int = 64,
        n_outputs: int = 10,
        *,
        seed: int | np.random.Generator = 0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.dtype = np.dtype(dtype)
        ### BEGIN SOLUTION
        rng = np.random.default_rng(seed)
        self.W1 = rng.normal(0, 0.1, (n_hidden, n_inputs)).astype(self.dtype)
        self.b1 = np.zeros(n_hidden, self.dtype)
        self.W2 = rng.normal(0, 0.1, (n_outputs, n_hidden)).astype(self.dtype)
        self.b2 = np.zeros(n_outputs, self.dtype)
        ### END SOLUTION
        self.reset_grad()

    def __repr__(self) -> str:
        (n_hidden, n_inputs), (n_outputs, _) = self.W1.shape, self.W2.shape
        n_parameters = sum(getattr(self, name).size for name in PARAMETERS)
        return (
            f"MLP({n_inputs} inputs → {n_hidden} sigmoid → {n_outputs} softmax, "
            f"{n_parameters:,} parameters, {self.dtype})"
        )

    def forward(self, x: ArrayLike) -> Array:
        """Return the probabilities `y_hat` (10,) or (B, 10) for `x` (784,) or (B, 784).

        Keeps `x`, `a1`, `z1`, `a2` and `y_hat`, which `loss` and `update_grad` need. Raises
        ValueError if `x` has another shape or holds NaN or infinite values.
        """
        self.x = _as_rows("x", x, self.W1.shape[1], self.dtype)
        ### BEGIN SOLUTION
        # a1 = W1 x + b1
        self.a1 = self.x @ self.W1.T + self.b1
        # z1 = sigmoid(a1)
        self.z1 = sigmoid(self.a1)
        # a2 = W2 z1 + b2
        self.a2 = self.z1 @ self.W2.T + self.b2
        # y_hat = softmax(a2)
        self.y_hat = softmax(self.a2)
        ### END SOLUTION
        return self.y_hat

    def loss(self, y: ArrayLike) -> float:
        """Return the cross-entropy, in nats, of the last forward pass against one-hot `y`.

        Raises RuntimeError before the first `forward`, ValueError if `y` is not one-hot or its
        shape, (10,) or (B, 10), does not match what went forward.
        """
        y = self._checked_target("loss", y)
        return cross_entropy(self.a2, y)

    def update_grad(self, y: ArrayLike) -> None:
        """Back-propagate the loss against `y` (10,) or (B, 10), ADDING to the four gradients.

        A step of training calls `reset_grad`, `forward`, `update_grad`, `update_params`. Raises the
        errors of `loss`.
        """
        y = self._checked_target("update_grad", y)
        ### BEGIN SOLUTION
        x, z1 = np.atleast_2d(self.x), np.atleast_2d(self.z1)  # one image: a batch of one
        delta2 = np.atleast_2d(cross_entropy_derivative(self.y_hat, y))
        self.W2_grad += weight_gradient(delta2, z1)
        self.b2_grad += delta2.sum(axis=0)
        delta1 = hidden_delta(delta2, self.W2, z1)
        self.W1_grad += weight_gradient(delta1, x)
        self.b1_grad += delta1.sum(axis=0)
        ### END SOLUTION

    def reset_grad(self) -> None:
        """Set the four gradients to zero."""
        ### BEGIN SOLUTION
        self.W1_grad = np.zeros_like(self.W1)
        self.b1_grad = np.zeros_like(self.b1)
        self.W2_grad = np.zeros_like(self.W2)
        self.b2_grad = np.zeros_like(self.b2)
        ### END SOLUTION

    def update_params(self, lr: float) -> None:
        """Take one step of gradient descent: parameter -= lr * gradient."""
        lr = float(lr)  # a NumPy number of 64 bits would make float32 parameters float64
        ### BEGIN SOLUTION
        self.W1 -= lr * self.W1_grad
        self.b1 -= lr * self.b1_grad
        self.W2 -= lr * self.W2_grad
        self.b2 -= lr * self.b2_grad
        ### END SOLUTION

    def _checked_target(self, method: str, y: ArrayLike) -> Array:
        if not hasattr(self, "y_hat"):
            raise RuntimeError(f"{method}(y) came before forward(x); call forward(x) first.")
        y = np.asarray(y)
        if y.shape != self.y_hat.shape:
            raise ValueError(
                f"y has shape {y.shape}; the last forward pass gave {self.y_hat.shape}, "
                "and y must match it."
            )
        if not (((y == 0) | (y == 1)).all() and (y.sum(axis=-1) == 1).all()):
            raise ValueError(
                "y is not one-hot: each row must hold a single 1 and 0 elsewhere. "
                "one_hot_encode(labels, n_classes) makes such rows from digits."
            )
        return y.astype(self.dtype, copy=False)


def save_weights(network: MLP, filename_prefix: str | Path) -> None:
    """Write each parameter to `<filename_prefix>_<name>.npy`, all four or none.

    A fifth file, `<filename_prefix>_manifest.json`, tells which four belong together.
    (Assignment, section 7.) Raises OSError if the folder cannot be written.
    """
    ### BEGIN SOLUTION
    with write_together(_manifest(filename_prefix)) as open_file:
        for name in PARAMETERS:
            file = open_file(_weights_file(filename_prefix, name))
            np.save(file, getattr(network, name), allow_pickle=False)
    ### END SOLUTION


def load_weights(network: MLP, filename_prefix: str | Path) -> None:
    """Read what `save_weights` wrote into `network`, all four parameters or, on an error, none.

    Raises FileNotFoundError if a file is missing, ValueError if one is damaged, holds pickled
    objects, differs from the network's parameter in shape or dtype, or is not of the same saving.
    """
    ### BEGIN SOLUTION
    paths = {name: _weights_file(filename_prefix, name) for name in PARAMETERS}
    files = {path: read_file(path) for path in paths.values()}
    loaded = {
        name: _parameter(path, files[path], getattr(network, name)) for name, path in paths.items()
    }
    require_together(_manifest(filename_prefix), files)
    for name, values in loaded.items():
        setattr(network, name, values)
    ### END SOLUTION


def _manifest(filename_prefix: str | Path) -> Path:
    return Path(f"{filename_prefix}_manifest.json")


def _weights_file(filename_prefix: str | Path, name: str) -> Path:
    return Path(f"{filename_prefix}_{name}.npy")


def _parameter(path: Path, content: bytes, wanted: Array) -> Array:
    try:
        values: Array = np.lib.format.read_array(BytesIO(content), allow_pickle=False)
    except Exception as error:  # which one depends on where the damage is
        raise ValueError(
            f"{path} cannot be read as an array of numbers ({error}). It is damaged or was not "
            "written by save_weights; train and save the network again."
        ) from error
    found, needed = (f"{array.dtype} {array.shape}" for array in (values, wanted))
    if found != needed:
        raise ValueError(f"{path} holds {found}; this network wants {needed}.")
    _require_finite(str(path), values)
    return values


def _as_rows(name: str, values: ArrayLike, width: int, dtype: np.dtype) -> Array:
    rows = np.asarray(values)
    if rows.ndim not in (1, 2) or rows.shape[-1] != width:
        raise ValueError(
            f"{name} has shape {rows.shape}; wanted ({width},) for one image "
            f"or (B, {width}) for a batch."
        )
    if not np.isfinite(rows.sum()):  # cheaper than looking at every number every time
        _require_finite(name, rows)
    return rows.astype(dtype, copy=False)


def _require_finite(name: str, values: Array) -> None:
    n_bad = np.size(values) - np.isfinite(values).sum()
    if n_bad:
        raise ValueError(f"{name} holds {n_bad} NaN or infinite values; all must be finite.")
