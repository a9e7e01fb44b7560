"""The gradient detective: which mistake gives just these gradients?

Each usual fault is put into a copy of the network, where HIPS autograd computes the
gradient that comes of it. A fault whose gradients equal the student's in every observation, to six
digits, explains them. The student's source text is never looked at.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import autograd.numpy as anp
import numpy as np
from autograd import elementwise_grad, grad, make_vjp

from checks.gradients import PARAMETERS, Gradients
from checks.verdicts import SAME, Array, Fault, distance

TO_LOGITS = 'Look at "From the loss to the logits"'
TO_WEIGHTS = 'Look at "From the logits to the weights"'

ASSIGNED = Fault(
    "assigned",
    "only the last call counts: `=` stands where the gradients should be added up with `+=`.",
    f"{TO_WEIGHTS}, last paragraph: gradients add up until reset_grad clears them.",
)
NOT_RESET = Fault(
    "not reset",
    "the gradients of passes before reset_grad() are still in the sum.",
    "See that reset_grad sets all four gradients back to zero.",
)
SIGN = Fault(
    "sign",
    "the sign is wrong: a difference is the wrong way round, or `-=` stands for `+=`.",
    "If all four are so, look at the first difference; if two are, at the slope.",
)
DOUBLED = Fault(
    "doubled",
    "the gradient is twice the true one: a factor 2, or something added twice.",
    f"{TO_WEIGHTS}: no factor 2 is in these formulas; look for one in yours.",
)
SCALED = Fault(
    "scaled",
    "the gradient is the true one times a constant, such as a learning rate.",
    "Leave the learning rate to update_params; the gradient itself has no such factor.",
)
DIVIDED = Fault(
    "divided by batch",
    "the mean over the batch was taken (`/ B` or `.mean`), where the sum is wanted.",
    f"{TO_WEIGHTS}, last paragraph: the gradients of a batch are summed.",
)
Y_MISSING = Fault(
    "y missing",
    "y_hat alone is sent back, as if y were not there.",
    f"{TO_LOGITS}: the result of the derivation has two terms.",
)
SOFTMAX_AGAIN = Fault(
    "softmax again",
    "y_hat - y was multiplied by the derivative of softmax, which it holds already.",
    f"{TO_LOGITS}: the derivation starts from the logits, so softmax is dealt with there.",
)
WRONG_VARIABLE = Fault(
    "slope along y_hat",
    "the slope of the loss along y_hat is sent back, in place of that along the logits.",
    f"{TO_LOGITS}: the chain goes on through softmax before it reaches a2.",
)
ROUNDED = Fault(
    "most probable digit",
    "the most probable digit is used, as one-hot code, in place of the probabilities.",
    f"{TO_LOGITS}: y_hat holds the ten probabilities as they are.",
)
NO_SLOPE = Fault(
    "slope left out",
    "the slope of the sigmoid is left out on the way back.",
    f"{TO_WEIGHTS}: going back through the sigmoid multiplies by its slope.",
)
WRONG_SLOPE = Fault(
    "slope of the wrong quantity",
    "the slope of the sigmoid is taken of the wrong quantity: a1 where the formula wants its "
    "value z1, or the other way round.",
    f"{TO_WEIGHTS}: see which of a1 and z1 stands in the formula that you use.",
)
OTHER_SLOPE = Fault(
    "another slope",
    "the slope on the way back is not the sigmoid's: half of its product, its square, or that of "
    "tanh.",
    f"{TO_WEIGHTS}: compare your slope with the one in the notebook, factor by factor.",
)
OUTPUT_SLOPE = Fault(
    "slope at the output",
    "the slope of a sigmoid is applied at the output, where softmax is.",
    f"{TO_LOGITS}: nothing more is multiplied there.",
)
NOT_TRANSPOSED = Fault(
    "W2 not transposed",
    "on the way back through W2 the transpose is the wrong way round.",
    f"{TO_WEIGHTS}: see which axis of W2 belongs to the outputs, and sum over that one.",
)
W2_UPDATED = Fault(
    "W2 updated first",
    "W2 was changed before the error went back through it.",
    "Leave the parameters alone in update_grad; update_params takes the step.",
)
W2_GRAD_USED = Fault(
    "W2_grad for W2",
    "the error went back through W2_grad in place of W2.",
    f"{TO_WEIGHTS}: the derivative along z1 holds the weights themselves.",
)
A1_USED = Fault(
    "a1 for z1",
    "a1 stands in W2_grad where z1, the hidden activation, should.",
    f"{TO_WEIGHTS}: see what it is that W2 multiplies in the forward pass.",
)
TRANSPOSED = Fault(
    "transposed",
    "the outer product is the wrong way round: the gradient is the transpose of the true one.",
    f"{TO_WEIGHTS}: a gradient has the shape of its parameter, (outputs, inputs).",
)
SWAPPED = Fault(
    "swapped",
    "the gradients of the two layers are swapped.",
    "See which gradient each line of update_grad adds to.",
)
MISSING = Fault(
    "missing",
    "nothing is added to this gradient: it stays zero.",
    f"{TO_WEIGHTS}: each parameter has a formula there, the biases too.",
)
NOT_SUMMED = Fault(
    "not summed",
    "the gradient holds a row for each image: the sum over the batch is missing.",
    f"{TO_WEIGHTS}, last paragraph: sum over the images, which are the first axis.",
)
OUTER_OF_BATCH = Fault(
    "outer of a batch",
    "`np.outer` makes one long row of a batch, so images are multiplied with each other.",
    f"{TO_WEIGHTS}, last paragraph: the sum of the outer products is one matrix product.",
)
SUMMED_TOO_FAR = Fault(
    "summed too far",
    "the bias gradient is summed over the units too, or over the units alone.",
    "Sum over the images only, which are the first axis: one number a unit must remain.",
)
LIKE_WEIGHTS = Fault(
    "bias like weights",
    "the bias gradient is made of the gradient of the weights.",
    f"{TO_WEIGHTS}: the formula of a bias has no factor from the layer's input.",
)
LAST_IMAGE = Fault(
    "last image only",
    "only the last image of a batch counts: each image overwrites the one before.",
    "See that each turn of the loop adds to the gradient.",
)
FIRST_IMAGE = Fault(
    "first image only",
    "only the first image of a batch counts.",
    "See that all rows of the batch are used, not just row 0, and that no `return` ends the loop.",
)
STALE_X = Fault(
    "earlier x",
    "W1_grad uses the x of an earlier forward pass.",
    "See that forward stores its x anew in every call, before update_grad uses it.",
)
TRUNCATED = Fault(
    "truncated",
    "the gradient was cut to whole numbers, as happens in an array of integers.",
    "Print the dtype of each array in update_grad and reset_grad; all must be floats.",
)


class Graph:
    """One pass, forward and back, through the network, derived by autograd, with room for faults.

    `x` is (n,) or (B, n), `y` one-hot; `W2_after` is what W2 was after the student's update_grad.
    """

    def __init__(
        self, parameters: Mapping[str, Array], x: Array, y: Array, W2_after: Array | None = None
    ) -> None:
        self.W1, self.b1, self.W2, self.b2 = (parameters[name] for name in PARAMETERS)
        self.W2_after = self.W2 if W2_after is None else W2_after
        self.x, self.y = np.atleast_2d(x), np.atleast_2d(y)
        self.a1 = linear(self.x, self.W1, self.b1)
        self.z1 = logistic(self.a1)
        self.a2 = linear(self.z1, self.W2, self.b2)
        self.y_hat = normalized(self.a2)
        self.error = grad(cross_entropy)(self.a2, self.y)
        self.sent = self.through(self.W2)

    def through(self, W2: Array, error: Array | None = None) -> Array:
        """Return what `error` (B, K) becomes on its way back through `W2`: (B, H)."""
        return back(linear, 0, (self.z1, W2, self.b2), self.error if error is None else error)

    def slope(self, a: Array) -> Array:
        """Return the slope of the sigmoid at `a`."""
        return elementwise_grad(logistic)(a)

    def gradients(self, error: Array | None = None, arrived: Array | None = None) -> Gradients:
        """Return the gradients if `error` (B, K) arrived at a2, and `arrived` (B, H) at a1."""
        error = self.error if error is None else error
        if arrived is None:
            arrived = self.through(self.W2, error) * self.slope(self.a1)
        lower = back(linear, (1, 2), (self.x, self.W1, self.b1), arrived)
        upper = back(linear, (1, 2), (self.z1, self.W2, self.b2), error)
        return dict(zip(PARAMETERS, (*lower, *upper), strict=True))

    @cached_property
    def true(self) -> Gradients:
        """The true gradients."""
        return self.gradients()

    @cached_property
    def arrived(self) -> Array:
        """What truly arrives at a1, (B, H)."""
        return self.sent * self.slope(self.a1)


def linear(x: Array, W: Array, b: Array) -> Array:
    """Return what a layer makes of rows `x`."""
    return anp.dot(x, anp.transpose(W)) + b


def logistic(a: Array) -> Array:
    """Return the sigmoid."""
    return 1 / (1 + anp.exp(-a))


def normalized(a: Array) -> Array:
    """Return the softmax of each row."""
    e = anp.exp(a - anp.max(a, axis=1, keepdims=True))
    return e / anp.sum(e, axis=1, keepdims=True)


def cross_entropy(a: Array, y: Array) -> Array:
    """Return the summed loss of logits against one-hot rows."""
    return -anp.sum(y * anp.log(normalized(a)))


def back(
    function: Callable[..., Array], to: int | tuple[int, ...], args: tuple[Any, ...], signal: Array
) -> Any:  # noqa: ANN401  # an array, or one for each number in `to`
    """Return what autograd sends back to the arguments number `to` when `signal` arrives."""
    return make_vjp(function, to)(*args)[0](signal)


@dataclass
class Observation:
    """What the student's network had in its gradients after some passes, called `name`.

    `passes` are all passes since the network was made, from number `start` on those since the
    last reset_grad().
    """

    name: str
    passes: list[Graph]
    start: int
    found: Gradients

    @cached_property
    def true(self) -> Gradients:
        """The true sum of gradients since the last reset_grad()."""
        return added([graph.true for graph in self.passes[self.start :]])


Prediction = Mapping[str, Array]
Predict = Callable[[Observation], Prediction]
OfGraph = Callable[[Graph], Prediction]


def _same(found: Array, predicted: Array) -> bool:
    if found.ndim != predicted.ndim:  # a batch of one may keep its axis
        found, predicted = (v[0] if v.shape[:1] == (1,) else v for v in (found, predicted))
    if distance(found, predicted) < SAME:
        return True
    # Where a sum cancels out, rounding is all that is left.
    return found.shape == predicted.shape and np.allclose(found, predicted, rtol=0, atol=1e-12)


class Story(NamedTuple):
    """The gradients that faults would give in an observation, if they were all there is."""

    faults: tuple[Fault, ...]
    predict: Predict
    same: Callable[[Array, Array], bool] = _same

    def explains(self, names: Iterable[str], observations: Iterable[Observation]) -> list[str]:
        """Return those parameters whose gradients are, in every observation, just as predicted."""
        left = list(names)
        for seen in observations:
            predicted = self.predict(seen)
            left = [name for name in left if name in predicted]
            left = [name for name in left if self.same(seen.found[name], predicted[name])]
            if not left:
                break
        return left


def added(gradients: Iterable[Prediction]) -> Gradients:
    """Add up gradients by name; of a name that is not in all of them, none."""
    total, *rest = gradients
    names = [name for name in total if all(name in other for other in rest)]
    return {name: sum((other[name] for other in rest), start=total[name]) for name in names}


# What faults within one pass make of its graph.


def _transposed(g: Graph) -> Prediction:
    return {name: g.true[name].T for name in ("W1", "W2")}


def _swapped(g: Graph) -> Prediction:
    return dict(zip(PARAMETERS, (g.true[name] for name in ("W2", "b2", "W1", "b1")), strict=True))


def _softmax_jacobian(g: Graph) -> Prediction:
    return g.gradients(error=back(normalized, 0, (g.a2,), g.error))


def _slope_along_y_hat(g: Graph) -> Prediction:
    return g.gradients(error=grad(lambda y_hat: -anp.sum(g.y * anp.log(y_hat)))(g.y_hat))


def _most_probable(g: Graph) -> Prediction:
    certain = np.eye(g.y.shape[1])[g.y_hat.argmax(axis=1)]
    return g.gradients(error=certain - g.y)


def _not_transposed(g: Graph) -> Prediction:
    if g.W2.shape[0] != g.W2.shape[1]:
        return {}
    return g.gradients(arrived=g.through(g.W2.T) * g.slope(g.a1))


def _updated_first(g: Graph) -> Prediction:
    return g.gradients(arrived=g.through(g.W2_after) * g.slope(g.a1))


def _a1_for_z1(g: Graph) -> Prediction:
    return {"W2": back(linear, 1, (g.a1, g.W2, g.b2), g.error)}


def _rows(g: Graph, rows: slice) -> Prediction:
    kept = np.zeros((len(g.x), 1))
    kept[rows] = 1
    return g.gradients(error=g.error * kept)


def _per_image(g: Graph) -> Prediction:
    each = [_rows(g, slice(row, row + 1)) for row in range(len(g.x))]
    return {name: np.stack([one[name] for one in each]) for name in PARAMETERS}


def _outer_of_batch(g: Graph) -> Prediction:
    return {"W1": np.outer(g.arrived, g.x), "W2": np.outer(g.error, g.z1)}


def _bias(rule: Callable[[Array], Array]) -> OfGraph:
    """Return the fault of making each bias gradient from its signal (B, units) by `rule`."""
    return lambda g: {"b1": np.asarray(rule(g.arrived)), "b2": np.asarray(rule(g.error))}


def _bias_from_weights(rule: Callable[[Array], Array]) -> OfGraph:
    return lambda g: {"b1": rule(g.true["W1"]), "b2": rule(g.true["W2"])}


def _truncated(g: Graph) -> Prediction:
    return {name: np.trunc(gradient) for name, gradient in g.true.items()}


# Faults within one pass: the wrong function makes gradients of its graph.
PASS_FAULTS = (
    SIGN._replace(wrong=lambda g: g.gradients(error=-g.error)),
    DIVIDED._replace(wrong=lambda g: {name: value / len(g.x) for name, value in g.true.items()}),
    LAST_IMAGE._replace(wrong=lambda g: _rows(g, slice(-1, None))),
    FIRST_IMAGE._replace(wrong=lambda g: _rows(g, slice(0, 1))),
    Y_MISSING._replace(wrong=lambda g: g.gradients(error=g.y_hat)),
    SOFTMAX_AGAIN._replace(wrong=_softmax_jacobian),
    SOFTMAX_AGAIN._replace(wrong=lambda g: g.gradients(error=g.error * (g.y_hat - g.y_hat**2))),
    WRONG_VARIABLE._replace(wrong=_slope_along_y_hat),
    ROUNDED._replace(wrong=_most_probable),
    OUTPUT_SLOPE._replace(wrong=lambda g: g.gradients(error=g.error * g.slope(g.a2))),
    NO_SLOPE._replace(wrong=lambda g: g.gradients(arrived=g.sent)),
    WRONG_SLOPE._replace(wrong=lambda g: g.gradients(arrived=g.sent * g.slope(g.z1))),
    WRONG_SLOPE._replace(wrong=lambda g: g.gradients(arrived=g.sent * (g.a1 - g.a1**2))),
    OTHER_SLOPE._replace(wrong=lambda g: g.gradients(arrived=g.sent * g.z1)),
    OTHER_SLOPE._replace(wrong=lambda g: g.gradients(arrived=g.sent * (1 - g.z1))),
    OTHER_SLOPE._replace(wrong=lambda g: g.gradients(arrived=g.sent * (1 - g.z1**2))),
    OTHER_SLOPE._replace(wrong=lambda g: g.gradients(arrived=g.sent * g.slope(g.a1) ** 2)),
    NOT_TRANSPOSED._replace(wrong=_not_transposed),
    W2_UPDATED._replace(wrong=_updated_first),
    A1_USED._replace(wrong=_a1_for_z1),
    TRANSPOSED._replace(wrong=_transposed),
    SWAPPED._replace(wrong=_swapped),
    SWAPPED._replace(wrong=lambda g: {"W1": g.true["W2"].T, "W2": g.true["W1"].T}),
    NOT_SUMMED._replace(wrong=_per_image),
    OUTER_OF_BATCH._replace(wrong=_outer_of_batch),
    SUMMED_TOO_FAR._replace(wrong=_bias(lambda signal: signal.sum())),
    SUMMED_TOO_FAR._replace(wrong=_bias(lambda signal: np.full(signal.shape[1], signal.sum()))),
    SUMMED_TOO_FAR._replace(wrong=_bias(lambda signal: signal.sum(axis=1))),
    LIKE_WEIGHTS._replace(wrong=_bias_from_weights(lambda weights: weights)),
    LIKE_WEIGHTS._replace(wrong=_bias_from_weights(lambda weights: weights.sum(axis=1))),
    LIKE_WEIGHTS._replace(wrong=_bias_from_weights(lambda weights: weights.mean(axis=1))),
    LIKE_WEIGHTS._replace(wrong=_bias_from_weights(lambda weights: weights[:, 0])),
    TRUNCATED._replace(wrong=_truncated),
)  # fmt: skip


# What faults between passes make of an observation.


def _each(wrong: OfGraph) -> Predict:
    return lambda seen: added([wrong(graph) for graph in seen.passes[seen.start :]])


def _last(wrong: OfGraph) -> Predict:
    return lambda seen: wrong(seen.passes[-1])


def _nothing(seen: Observation) -> Prediction:
    return {name: np.zeros_like(gradient) for name, gradient in seen.true.items()}


def _since_made(seen: Observation) -> Prediction:
    return added([graph.true for graph in seen.passes])


def _x_of(earlier: Callable[[int], int]) -> Predict:
    """Return the fault of using, in pass number n, the x of pass number `earlier(n)`."""

    def predict(seen: Observation) -> Prediction:
        total = np.zeros(seen.true["W1"].shape)
        for number in range(seen.start, len(seen.passes)):
            graph, x = seen.passes[number], seen.passes[earlier(number)].x
            if x.shape != graph.x.shape:
                return {}
            total += back(linear, 1, (x, graph.W1, graph.b1), graph.arrived)
        return {"W1": total}

    return predict


def _W2_grad_for_W2(seen: Observation) -> Prediction:
    passes = seen.passes[seen.start :]
    so_far = np.cumsum([graph.true["W2"] for graph in passes], axis=0)
    return added(
        graph.gradients(arrived=graph.through(W2_grad) * graph.slope(graph.a1))
        for graph, W2_grad in zip(passes, so_far, strict=True)
    )


# Faults in how passes follow each other: the wrong function makes gradients of an observation.
SEQUENCE_FAULTS = (
    ASSIGNED._replace(wrong=_last(lambda graph: graph.true)),
    NOT_RESET._replace(wrong=_since_made),
    STALE_X._replace(wrong=_x_of(lambda number: 0)),
    STALE_X._replace(wrong=_x_of(lambda number: max(number - 1, 0))),
    W2_GRAD_USED._replace(wrong=_W2_grad_for_W2),
)


def stories(names: Iterable[str], observations: list[Observation]) -> Iterator[Story]:
    """Yield all that could have happened, the simplest first."""
    # What is not computed is just 0; what cancels out is 0 but for rounding.
    yield Story((MISSING,), _nothing, np.array_equal)
    yield from (Story((fault,), _wrong(fault)) for fault in SEQUENCE_FAULTS)
    yield from (Story((fault,), _each(_wrong(fault))) for fault in PASS_FAULTS)
    yield from _scaled(names, observations)
    yield from (Story((fault, ASSIGNED), _last(_wrong(fault))) for fault in PASS_FAULTS)


def _wrong(fault: Fault) -> Callable[..., Prediction]:
    assert fault.wrong is not None
    return fault.wrong


def _scaled(names: Iterable[str], observations: list[Observation]) -> Iterator[Story]:
    """Yield a story for each constant factor that the first observation shows."""
    found, true = observations[0].found, observations[0].true
    factors = set()
    for name in names:
        if found[name].shape == true[name].shape and (true[name] ** 2).sum():
            factor = (found[name] * true[name]).sum() / (true[name] ** 2).sum()
            factors.add(float(f"{factor:.9g}"))
    for factor in sorted(factors - {0.0}):
        fault = DOUBLED if abs(factor - 2) < SAME else SCALED
        yield Story((fault,), _times(factor))


def _times(factor: float) -> Predict:
    return lambda seen: {name: factor * gradient for name, gradient in seen.true.items()}


def explain(names: Iterable[str], observations: list[Observation]) -> dict[str, tuple[Fault, ...]]:
    """Map the wrong gradients `names` to the faults that explain all observations of them.

    One fault for many gradients is likelier than many faults: the story that explains the most
    comes first. A gradient that nobody explains is left out.
    """
    names = list(names)
    told = [
        (story.explains(names, observations), story.faults)
        for story in stories(names, observations)
    ]
    result: dict[str, tuple[Fault, ...]] = {}
    for explained, faults in sorted(told, key=lambda story: -len(story[0])):
        for name in explained:
            result.setdefault(name, faults)
    return result
