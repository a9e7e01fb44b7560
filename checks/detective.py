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

from checks.comparison import SAME, Array, distance
from checks.faults import Fault
from checks.gradients import PARAMETERS, Gradients


class Graph:
    """One pass, forward and back, through the network, derived by autograd, with room for faults.

    `x` is (n,) or (B, n), `y` one-hot.
    """

    def __init__(self, parameters: Mapping[str, Array], x: Array, y: Array) -> None:
        self.W1, self.b1, self.W2, self.b2 = (parameters[name] for name in PARAMETERS)
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
) -> Any:  # an array, or one for each number in `to`
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
        left, changed = list(names), set()
        for seen in observations:
            predicted = self.predict(seen)
            changed |= {
                n for n in predicted if not _same(predicted[n].ravel(), seen.true[n].ravel())
            }
            left = [name for name in left if name in predicted]
            left = [name for name in left if self.same(seen.found[name], predicted[name])]
            if not left:
                break
        return [name for name in left if name in changed]  # of the others, it says nothing


def added(gradients: Iterable[Prediction]) -> Gradients:
    """Add up gradients by name; of a name that is not in all of them, none."""
    total, *rest = gradients
    names = [name for name in total if all(name in other for other in rest)]
    return {name: sum((other[name] for other in rest), start=total[name]) for name in names}


# What faults within one pass make of its graph.


def _rows(g: Graph, rows: slice) -> Prediction:
    kept = np.zeros((len(g.x), 1))
    kept[rows] = 1
    return g.gradients(error=g.error * kept)


def _are_misread(g: Graph) -> Array:
    misread: Array = g.y_hat.argmax(axis=1, keepdims=True) != g.y.argmax(axis=1, keepdims=True)
    return misread


def _per_image(g: Graph) -> Prediction:
    each = [_rows(g, slice(row, row + 1)) for row in range(len(g.x))]
    return {name: np.stack([one[name] for one in each]) for name in PARAMETERS}


TO_LOGITS = 'Look at "From the loss to the logits"'
TO_WEIGHTS = 'Look at "From the logits to the weights"'
THE_SLOPE = f"{TO_WEIGHTS}: going back through the sigmoid multiplies by its slope."
# The wrong function of a fault within one pass makes gradients of its graph.
PASS_FAULTS = (
    Fault("sign", "the sign is wrong: a difference is the wrong way round, or `-=` stands for "
          "`+=`.",
          "If all four are so, look at the first difference; if two are, at the slope.",
          lambda g: g.gradients(error=-g.error)),
    Fault("divided by batch", "the mean over the batch was taken (`/ B` or `.mean`), where the sum "
          "is wanted.", f"{TO_WEIGHTS}, last paragraph: the gradients of a batch are summed.",
          lambda g: {name: value / len(g.x) for name, value in g.true.items()}),
    Fault("last image only", "only the last image of a batch counts: each image overwrites the one "
          "before.", "See that each turn of the loop adds to the gradient.",
          lambda g: _rows(g, slice(-1, None))),
    Fault("first image only", "only the first image of a batch counts.", "See that all rows of the "
          "batch are used, not just row 0, and that no `return` ends the loop.",
          lambda g: _rows(g, slice(0, 1))),
    Fault("read correctly", "images that are read correctly are left out.",
          f"{TO_LOGITS}: every image has a slope, also one that is read correctly.",
          lambda g: g.gradients(error=g.error * _are_misread(g))),
    Fault("y missing", "y_hat alone is sent back, as if y were not there.",
          f"{TO_LOGITS}: the result of the derivation has two terms.",
          lambda g: g.gradients(error=g.y_hat)),
    Fault("softmax again", "y_hat - y was multiplied by the slope of softmax, which it holds "
          "already.", f"{TO_LOGITS}: the derivation starts from the logits, so softmax is dealt "
          "with there.", lambda g: g.gradients(error=g.error * (g.y_hat - g.y_hat**2))),
    Fault("slope left out", "the slope of the sigmoid is left out on the way back.", THE_SLOPE,
          lambda g: g.gradients(arrived=g.sent)),
    Fault("slope of the wrong quantity", "the slope of the sigmoid is taken at z1, where the "
          "formula wants its value z1 itself.", THE_SLOPE,
          lambda g: g.gradients(arrived=g.sent * g.slope(g.z1))),
    Fault("slope of the wrong quantity", "a1 stands in the slope of the sigmoid, where its value "
          "z1 should.", THE_SLOPE, lambda g: g.gradients(arrived=g.sent * (g.a1 - g.a1**2))),
    Fault("a1 for z1", "a1 stands in W2_grad where z1, the hidden activation, should.",
          f"{TO_WEIGHTS}: see what it is that W2 multiplies in the forward pass.",
          lambda g: {"W2": back(linear, 1, (g.a1, g.W2, g.b2), g.error)}),
    Fault("summed before going back", "the error is summed over the batch before it goes back, so "
          "that each image gets the errors of all.", f"{TO_WEIGHTS}: each image sends back its own "
          "error; the sum over the images comes last.",
          lambda g: g.gradients(arrived=g.sent.sum(axis=0) * g.slope(g.a1))),
    Fault("transposed", "the outer product is the wrong way round: the gradient is the transpose "
          "of the true one.", f"{TO_WEIGHTS}: a gradient has the shape of its parameter, (outputs, "
          "inputs).", lambda g: {name: g.true[name].T for name in ("W1", "W2")}),
    Fault("swapped", "the gradients of the two layers are swapped.",
          "See which gradient each line of update_grad adds to.",
          lambda g: {"W1": g.true["W2"], "b1": g.true["b2"], "W2": g.true["W1"],
                     "b2": g.true["b1"]}),
    Fault("not summed", "the gradient holds a row for each image: the sum over the batch is "
          "missing.", f"{TO_WEIGHTS}, last paragraph: sum over the images, which are the first "
          "axis.", _per_image),
    Fault("summed too far", "the bias gradient is summed over the units too.", "Sum over the "
          "images only, which are the first axis: one number a unit must remain.",
          lambda g: {"b1": np.full(g.arrived.shape[1], g.arrived.sum()),
                     "b2": np.full(g.error.shape[1], g.error.sum())}),
)  # fmt: skip


# What faults between passes make of an observation.


def _each(wrong: OfGraph) -> Predict:
    return lambda seen: added([wrong(graph) for graph in seen.passes[seen.start :]])


def _last(wrong: OfGraph) -> Predict:
    return lambda seen: wrong(seen.passes[-1])


def _nothing(seen: Observation) -> Prediction:
    return {name: np.zeros_like(gradient) for name, gradient in seen.true.items()}


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


MISSING = Fault(
    "missing", "this gradient stays zero: nothing is added to it, or zeros are.",
    f"{TO_WEIGHTS}: each parameter has a formula there, the biases too.", _nothing,
)  # fmt: skip
ASSIGNED = Fault(
    "assigned", "only the last call counts: `=` stands where the gradients should be added up with "
    "`+=`, or they are reset in between.",
    f"{TO_WEIGHTS}, last paragraph: gradients add up until reset_grad clears them.",
    lambda seen: seen.passes[-1].true,
)  # fmt: skip
# The wrong function of a fault in how passes follow each other makes gradients of an observation.
SEQUENCE_FAULTS = (
    ASSIGNED,
    Fault("not reset", "the gradients of passes before reset_grad() are still in the sum.",
          "See that reset_grad sets all four gradients back to zero.",
          lambda seen: added([graph.true for graph in seen.passes])),
    Fault("W2_grad for W2", "the error went back through W2_grad in place of W2.",
          f"{TO_WEIGHTS}: the derivative along z1 holds the weights themselves.", _W2_grad_for_W2),
    *(Fault("earlier x", "W1_grad uses the x of an earlier forward pass.",
            "See that forward stores its x anew in every call, before update_grad uses it.",
            _x_of(earlier)) for earlier in (lambda n: 0, lambda n: max(n - 1, 0))),
)  # fmt: skip


def stories(names: Iterable[str], observations: list[Observation]) -> Iterator[Story]:
    """Yield all that could have happened, the simplest first."""
    # What is not computed is just 0; what cancels out is 0 but for rounding.
    yield Story((MISSING,), _nothing, np.array_equal)
    yield from (Story((fault,), _wrong(fault)) for fault in SEQUENCE_FAULTS)
    yield from (Story((fault,), _each(_wrong(fault))) for fault in PASS_FAULTS)
    yield from _scaled(names, observations)
    yield from (Story((fault, ASSIGNED), _last(_wrong(fault))) for fault in PASS_FAULTS)
    divided = next(fault for fault in PASS_FAULTS if fault.key == "divided by batch")
    yield from (Story((fault, divided), _each(_divided(_wrong(fault)))) for fault in PASS_FAULTS)


def _divided(wrong: OfGraph) -> OfGraph:
    return lambda g: {name: value / len(g.x) for name, value in wrong(g).items()}


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
        yield Story((_scaled_by(factor),), _times(factor))


def _scaled_by(factor: float) -> Fault:
    if abs(factor - 2) < SAME:
        likely = "the gradient is twice the true one: a factor 2, or something added twice."
        return Fault("doubled", likely, f"{TO_WEIGHTS}: no factor 2 is in these formulas.")
    likely = f"the gradient is {factor:.4g} times the true one, as by a learning rate."
    return Fault("scaled", likely, "Leave the learning rate to update_params: no factor is here.")


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
