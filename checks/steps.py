"""The checks of the four steps of back-propagation, each a function of arrays by itself.

None holds a solution: the slopes come from decimal numbers, and from nudging what they are slopes
of.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from autograd import elementwise_grad, grad

from checks.check import Part, check
from checks.comparison import Array
from checks.detective import back, cross_entropy, linear, logistic
from checks.faults import Fault
from checks.functions import EQUAL_SIZES, MANY_ROWS, Draw, Judge, Rng, many_rows
from checks.special import expit, log_softmax, logit
from checks.verdicts import Exercise

DELTA_2 = Exercise("cross_entropy_derivative")
SLOPE = Exercise("sigmoid_derivative")
WEIGHTS = Exercise("weight_gradient")
DELTA_1 = Exercise("hidden_delta")

NUDGE = 1e-5


def slopes(losses: Callable[[Array], Array], at: Array) -> Array:
    """Return the slopes along each number of `at` (…, n), by central differences.

    `losses` gives a number for each row of an array (…, n, n), in which each row is nudged at
    another place: all at once, since decimal numbers take time.
    """
    rows, nudges = at[..., np.newaxis, :], NUDGE * np.eye(at.shape[-1])
    return (losses(rows + nudges) - losses(rows - nudges)) / (2 * NUDGE)


def compare_line(name: str, found: Array, by_hand: Array) -> None:
    """Print `found` on one line, and whether it is what was worked out by hand."""
    found, by_hand = np.asarray(found), np.asarray(by_hand)
    equal = found.shape == by_hand.shape and np.allclose(found, by_hand)
    word = "as by hand" if equal else f"NOT as by hand: {_line(by_hand)}"
    print(f"{name:8} = {_line(found)}   {word}")


def _line(values: Array) -> str:
    return np.array2string(values, precision=3, separator=", ").replace("\n", "")


# Correct functions, for exercises that build on these.


def right_delta_2(y_hat: Array, y: Array) -> Array:
    """Stand in for cross_entropy_derivative."""
    delta: Array = grad(cross_entropy)(np.log(np.atleast_2d(y_hat)), np.atleast_2d(y))
    return delta.reshape(np.shape(y_hat))


def right_weight_gradient(delta: Array, inputs: Array) -> Array:
    """Stand in for weight_gradient."""
    W, b = np.zeros((delta.shape[1], inputs.shape[1])), np.zeros(delta.shape[1])
    gradient: Array = back(linear, 1, (inputs, W, b), delta)
    return gradient


def right_hidden_delta(delta2: Array, W2: Array, z1: Array) -> Array:
    """Stand in for hidden_delta."""
    sent: Array = back(linear, 0, (z1, W2, np.zeros(len(W2))), delta2)
    return sent * elementwise_grad(logistic)(logit(z1))


# δ2: the slope along the logits


def _by_nudging_logits(y_hat: Array, y: Array) -> Array:
    def losses(a: Array) -> Array:
        return -(y[..., np.newaxis, :] * log_softmax(a, axis=-1)).sum(axis=-1)

    return slopes(losses, np.log(y_hat))


DELTA_2_FAULTS = (
    Fault("wrong variable", "this is the slope along y_hat, not along the logits.",
          "Follow the formula above the exercise to its end: softmax takes part in it.",
          lambda y_hat, y: -y / y_hat),
    Fault("y missing", "y is not used, or takes no part in the result.",
          "See the formula above the exercise: it holds both y_hat and y.",
          lambda y_hat, y: y_hat),
    Fault("softmax again", "the slope of softmax is multiplied in once more.",
          "The formula above the exercise has gone through softmax already.",
          lambda y_hat, y: (y_hat - y) * y_hat * (1 - y_hat)),
    Fault("true digit only", "only the true digit gets a slope.",
          "Every logit has one: raising any of them changes all probabilities.",
          lambda y_hat, y: (y_hat - y) * y),
)  # fmt: skip


def _probabilities(*batch: int, n: int = 5) -> Draw:
    def draw(rng: Rng) -> tuple[Array, Array]:
        y_hat = rng.dirichlet(np.ones(n), batch or None)
        return y_hat, np.eye(n)[rng.integers(n, size=batch)]

    return draw


NEARLY_0 = "probabilities of nearly 0"


def _nearly_0(rng: Rng) -> tuple[Array, Array]:
    """Draw an image of which the network is as sure as numbers can tell, and wrong."""
    answer, label = rng.permutation(5)[:2]
    y_hat = np.full(5, np.nextafter(0, 1))  # by which nothing can be divided
    y_hat[answer] = 1
    return y_hat, np.eye(5)[label]


DELTA_2_PARTS = {
    "one image": _probabilities(), "a batch": _probabilities(3),
    "a batch of one": _probabilities(1), EQUAL_SIZES: _probabilities(5),
    MANY_ROWS: many_rows(_probabilities(30)), NEARLY_0: _nearly_0,
}  # fmt: skip
JUDGE_DELTA_2 = Judge(
    DELTA_2, "cross_entropy_derivative(y_hat, y)", _by_nudging_logits, DELTA_2_FAULTS,
    unsaid=("a batch of one", EQUAL_SIZES, MANY_ROWS, NEARLY_0), close=1e-8,
)  # fmt: skip


@check(DELTA_2, stand_ins={"cross_entropy_derivative": right_delta_2})
def check_cross_entropy_derivative(
    cross_entropy_derivative: Callable[[Array, Array], Array], *, seed: int = 0
) -> Iterator[Part]:
    """Compare it with what nudging each logit does to the cross-entropy."""
    yield from JUDGE_DELTA_2.parts(cross_entropy_derivative, DELTA_2_PARTS, seed)


# The slope of the sigmoid

SLOPE_FAULTS = (
    Fault("sigmoid again", "z is treated as a pre-activation and goes through the sigmoid again.",
          "z is the sigmoid's value already; use it as it stands.",
          lambda z: expit(z) * expit(-z)),
    Fault("tanh", "this is the slope of tanh, 1 - z².", "See the formula above the exercise.",
          lambda z: 1 - z**2),
    Fault("one factor", "only the factor z is there.", "See the formula above the exercise.",
          lambda z: z),
    Fault("one factor", "only the factor 1 - z is there.", "See the formula above the exercise.",
          lambda z: 1 - z),
    Fault("of a", "this is exp(-z) / (1 + exp(-z)) or 1 - sigmoid(z), from another formula.",
          "Use the form that needs z alone.", lambda z: expit(-z)),
)  # fmt: skip


def _values(*shape: int) -> Draw:
    """Draw values of the sigmoid, of which one is 0 and one is 1, as far as float64 can tell."""

    def draw(rng: Rng) -> tuple[Array]:
        values = rng.uniform(0.01, 0.99, shape)
        values.flat[rng.permutation(values.size)[:2]] = 0, 1
        return (values,)

    return draw


SLOPE_PARTS = {
    "a row": _values(7), "a batch": _values(3, 4), "three axes": _values(1, 3, 2)
}  # fmt: skip
JUDGE_SLOPE = Judge(
    SLOPE, "sigmoid_derivative(z)", lambda z: expit(logit(z)) * expit(-logit(z)), SLOPE_FAULTS,
    unsaid=("three axes",), close=1e-9,
)  # fmt: skip


@check(SLOPE, stand_ins={"sigmoid_derivative": lambda z: elementwise_grad(logistic)(logit(z))})
def check_sigmoid_derivative(
    sigmoid_derivative: Callable[[Array], Array], *, seed: int = 0
) -> Iterator[Part]:
    """Compare `sigmoid_derivative` with the slope of the sigmoid where its value is z."""
    yield from JUDGE_SLOPE.parts(sigmoid_derivative, SLOPE_PARTS, seed)


# A layer's weights


def _by_nudging_weights(delta: Array, inputs: Array) -> Array:
    shape = delta.shape[1], inputs.shape[1]

    def losses(rows: Array) -> Array:
        W = rows.reshape(-1, *shape)
        return (delta * (inputs @ W.swapaxes(1, 2))).sum(axis=(1, 2))

    return slopes(losses, np.zeros(shape).ravel()).reshape(shape)


def _outers(delta: Array, inputs: Array) -> Array:
    return delta[:, :, np.newaxis] * inputs[:, np.newaxis, :]


WEIGHTS_FAULTS = (
    Fault("last image only", "only the last image counts.",
          "See that each image adds to the result, and none replaces it.",
          lambda delta, inputs: _outers(delta, inputs)[-1]),
    Fault("outer of the batch", "the whole batch went into one outer product.",
          "One product of matrices, one of them transposed, pairs each image with itself only.",
          lambda delta, inputs: np.outer(delta, inputs)),
    Fault("sums multiplied", "delta and inputs are summed before they are multiplied.",
          "Multiply image by image first: a product of sums is no sum of products.",
          lambda delta, inputs: np.outer(delta.sum(axis=0), inputs.sum(axis=0))),
)  # fmt: skip


def _layer(*batch: int, n_outputs: int = 3, n_inputs: int = 5) -> Draw:
    def draw(rng: Rng) -> tuple[Array, Array]:
        (n_images,) = batch or rng.permutation([2, 4, 6])[:1]
        sizes = 10.0 ** rng.uniform(-3, 0, (n_images, 1))  # small slopes count as well
        delta = sizes * rng.normal(0, 1, (n_images, n_outputs))
        return delta, rng.normal(0, 1, (n_images, n_inputs))

    return draw


WEIGHTS_PARTS = {
    "a batch": _layer(), "a batch of one": _layer(1), "one output": _layer(n_outputs=1),
    "one input": _layer(n_inputs=1), "many outputs": _layer(n_outputs=7),
    EQUAL_SIZES: _layer(5, n_outputs=5), MANY_ROWS: many_rows(_layer(30)),
}  # fmt: skip
JUDGE_WEIGHTS = Judge(
    WEIGHTS, "weight_gradient(delta, inputs)", _by_nudging_weights, WEIGHTS_FAULTS,
    unsaid=("one output", "one input", "many outputs", EQUAL_SIZES, MANY_ROWS), free=(0, 1),
    close=1e-9,
)  # fmt: skip


@check(WEIGHTS, stand_ins={"weight_gradient": right_weight_gradient})
def check_weight_gradient(
    weight_gradient: Callable[[Array, Array], Array], *, seed: int = 0
) -> Iterator[Part]:
    """Compare `weight_gradient` with what nudging each weight of a layer does."""
    yield from JUDGE_WEIGHTS.parts(weight_gradient, WEIGHTS_PARTS, seed)


# δ1: back through the second layer and the sigmoid


def _by_nudging_a1(delta2: Array, W2: Array, z1: Array) -> Array:
    def losses(a: Array) -> Array:
        return ((delta2 @ W2)[:, np.newaxis] * logistic(a)).sum(axis=-1)

    return slopes(losses, np.log(z1 / (1 - z1)))  # z1 is near neither end: no decimals needed


def _sent_back(factor: Callable[[Array], Any]) -> Callable[[Array, Array, Array], Array]:
    return lambda delta2, W2, z1: (delta2 @ W2) * factor(z1)


DELTA_1_FAULTS = (
    Fault("no slope", "the slope of the sigmoid is missing.",
          "Multiply by sigmoid_derivative(z1), number by number.", _sent_back(lambda z: 1)),
    Fault("sigmoid again", "z1 goes through the sigmoid again before its slope is taken.",
          "Give sigmoid_derivative the value z1 as it stands.",
          _sent_back(lambda z: expit(z) * expit(-z))),
    Fault("one factor", "of the slope only the factor z1 is there.",
          "Multiply by z1 and by 1 - z1.", _sent_back(lambda z: z)),
    Fault("tanh", "this is the slope of tanh, 1 - z1².", "Use the slope of the sigmoid.",
          _sent_back(lambda z: 1 - z**2)),
    Fault("not transposed", "W2 is used the wrong way round.",
          "Going back, each hidden unit sums over the outputs: δ2 times W2, as rows.",
          lambda delta2, W2, z1: (delta2 @ W2.T) * z1 * (1 - z1)),
    Fault("slope of the product", "the slope is taken of what was sent back, not of z1.",
          "Give sigmoid_derivative the value z1, and multiply what was sent back by the result.",
          lambda delta2, W2, z1: (delta2 @ W2) * (1 - delta2 @ W2)),
)  # fmt: skip


def _hidden(n_images: int, n_outputs: int, n_hidden: int = 5) -> Draw:
    """Draw what arrives at a layer, its weights, and values of the units before, some saturated."""

    def draw(rng: Rng) -> tuple[Array, Array, Array]:
        shapes = (n_images, n_outputs), (n_outputs, n_hidden), (n_images, n_hidden)
        delta2, W2, a1 = (rng.normal(0, 1, shape) for shape in shapes)
        return delta2, W2, logistic(3 * a1)

    return draw


# Square weights let a W2 that is the wrong way round through, so that its numbers show it.
DELTA_1_PARTS = {
    "square weights": _hidden(4, 5), "a batch": _hidden(4, 3), "a batch of one": _hidden(1, 3),
    EQUAL_SIZES: _hidden(5, 5), MANY_ROWS: many_rows(_hidden(30, 3)),
    "one hidden unit": _hidden(4, 3, n_hidden=1), "one output": _hidden(4, 1),
}  # fmt: skip
JUDGE_DELTA_1 = Judge(
    DELTA_1, "hidden_delta(delta2, W2, z1)", _by_nudging_a1, DELTA_1_FAULTS,
    unsaid=("a batch of one", EQUAL_SIZES, MANY_ROWS, "one hidden unit", "one output"),
    free=(0, 1), close=1e-8,
)  # fmt: skip


@check(DELTA_1, stand_ins={"hidden_delta": right_hidden_delta})
def check_hidden_delta(
    hidden_delta: Callable[[Array, Array, Array], Array], *, seed: int = 0
) -> Iterator[Part]:
    """Compare `hidden_delta` with what nudging each pre-activation does."""
    yield from JUDGE_DELTA_1.parts(hidden_delta, DELTA_1_PARTS, seed)
