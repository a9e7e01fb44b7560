"""The check of the forward pass of the hand-written network."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from checks.asking import StudentError, ask
from checks.check import Part, check
from checks.comparison import CLOSE, Array, compared, describe, distance
from checks.contract import OVERWRITTEN, SIZE_KEPT
from checks.facts import relation
from checks.faults import INPUT_CHANGED, UNKNOWN, Fault, Sample
from checks.formulas import SUM_NOT_1
from checks.functions import EQUAL_SIZES, N_SAMPLES, NO_ARRAY, SHORTENED
from checks.gradients import Network
from checks.small_networks import (
    BATCH,
    layers,
    random_network,
    random_parameters,
    random_sizes,
    right_forward,
)
from checks.verdicts import Exercise, Verdict

FORWARD = Exercise("forward")


def _layers(p: Mapping[str, Array], x: Array, **activations: Any) -> dict[str, Array]:
    """Work out each of many images once: few of them begin with another number."""
    if x.ndim == 1 or len(x) < 1000:
        return layers(p, x, **activations)
    _, few, places = np.unique(x[:, 0], return_index=True, return_inverse=True)
    return {name: v[places] for name, v in layers(p, x[few], **activations).items()}


def _forward(p: Mapping[str, Array], x: Array, **activations: Any) -> Array:
    return _layers(p, x, **activations)["y_hat"]


def _without(*names: str) -> Callable[..., Array]:
    return lambda p, x, first: _forward(p | {name: 0 * p[name] for name in names}, x)


BIAS_MISSING = "Add the bias to each product of weights, b1 in the first and b2 in the second."
FORWARD_FAULTS = (
    Fault("b1 missing", "b1 is not added.", BIAS_MISSING, _without("b1")),
    Fault("b2 missing", "b2 is not added.", BIAS_MISSING, _without("b2")),
    Fault("biases missing", "b1 and b2 are not added.", BIAS_MISSING, _without("b1", "b2")),
    Fault("sigmoid missing", "the sigmoid is missing between the layers.",
          "Send a1 through the sigmoid before the second layer.",
          lambda p, x, first: _forward(p, x, hidden=None)),
    Fault("wrong activation", "the hidden units use ReLU.", "Use the sigmoid, as the formula says.",
          lambda p, x, first: _forward(p, x, hidden="relu")),
    Fault("wrong activation", "the hidden units use tanh.", "Use the sigmoid, as the formula says.",
          lambda p, x, first: _forward(p, x, hidden="tanh")),
    Fault("softmax missing", "these are the logits: softmax is missing.",
          "Return softmax(a2), the probabilities.",
          lambda p, x, first: _forward(p, x, output=None)),
    Fault("sigmoid at the output", "the output uses the sigmoid.", "Use softmax at the output.",
          lambda p, x, first: _forward(p, x, output="sigmoid")),
    Fault("earlier x", "the result is that of an earlier x.",
          "Compute everything anew in each call, from the x that is passed in.",
          lambda p, x, first: _forward(p, first)),
)  # fmt: skip


LARGE, MANY, ONE_UNIT = "large numbers", "many images", "one hidden unit"
FORWARD_PARTS: dict[str, tuple[int, ...]] = {
    "one image": (), "a batch": (BATCH,), "a batch of one": (1,), LARGE: (BATCH,),
    EQUAL_SIZES: (4,), ONE_UNIT: (BATCH,),
}  # fmt: skip


@check(FORWARD, stand_ins={"MLP.forward": right_forward})
def check_forward(MLP: Callable[..., Network], *, seed: int = 0) -> Iterator[Part]:
    """Compare `MLP.forward` with the formulas in decimals, on single images and on batches."""
    for part, batch in FORWARD_PARTS.items():
        yield partial(_forward_part, MLP, part, batch, seed)
    yield partial(_in_turn, MLP, seed)
    yield partial(_forward_part, MLP, MANY, (10_200,), seed)


STALE_X = Fault(
    "kept between calls",
    "other numbers in the same array x give a wrong result: something of the earlier ones is kept.",
    "Compute everything anew in each call, from the x that is passed in.",
)


def _in_turn(make: Callable[..., Network], seed: int) -> Iterator[Verdict]:
    """See that other images go forward through the same network, and results stay as they were."""
    sample, given, network = _forward_sample(make, "a batch", (BATCH,), random_sizes(seed), seed)
    earlier = np.asarray(ask("forward(x)", network.forward, given))
    as_returned, wanted = earlier.copy(), sample.wanted[::-1]
    given[...] = given[::-1].copy()
    for x, y_hat, fault in (
        (given, wanted, STALE_X),
        (given[1:], wanted[1:], SIZE_KEPT),
        (given[0], wanted[0], SIZE_KEPT),
    ):
        part = f"forward(x), for {'other' if x is given else 'fewer'} images than before"
        try:
            found = FORWARD.numbers(part, ask(part, network.forward, x))
        except StudentError as error:
            yield FORWARD.error(error, fault)
            return
        if not distance(found, y_hat) < CLOSE:
            yield FORWARD.wrong(part, *compared(found, y_hat), fault)
            return
        if wrong := list(_kept(network, "these images", _layers(sample.inputs[0], x))):
            yield wrong[0].by(fault)
            return
    if not np.array_equal(earlier, as_returned):
        told = describe(earlier), describe(as_returned)
        yield FORWARD.wrong("y_hat, after the next forward(x)", *told, OVERWRITTEN)


def _forward_part(
    make: Callable[..., Network], part: str, batch: tuple[int, ...], seed: int
) -> Iterator[Verdict]:
    found = [
        _forward_sample(make, part, batch, _sizes_of(part, seed + n), seed + n)
        for n in range(1 if part == MANY else N_SAMPLES)
    ]
    for sample, given, _ in found:
        x = sample.inputs[1]
        if not np.array_equal(given, x):
            yield FORWARD.wrong("x, after forward(x)", describe(given), describe(x), INPUT_CHANGED)
    samples = [sample for sample, _, _ in found]
    close = 1e-9 if all(sample.found.dtype.itemsize == 8 for sample in samples) else CLOSE
    verdict = FORWARD.judge(part, samples, FORWARD_FAULTS, close=close, facts=(SUM_NOT_1,))
    vague = (UNKNOWN.key, "property", "shape")
    fault = _first_wrong(found, verdict.cause == "shape") if verdict.cause in vague else None
    if part not in (LARGE, EQUAL_SIZES, MANY, ONE_UNIT) or not verdict.passed:
        yield verdict.by(fault) if fault else verdict
    if verdict.passed:
        for sample, given, network in found:
            yield from _gradients_left(network, sample.inputs[0])
            wanted = _layers(*sample.inputs[:2])
            own_x = {"x": given} if hasattr(network, "x") else {}  # it comes with the course
            yield from _kept(network, part, wanted | own_x)
            if sample.found.dtype.itemsize < 8:
                yield FORWARD.wrong(part, f"{sample.found.dtype} numbers.", "float64.", SHORTENED)
            if part != MANY:  # decimal numbers take time
                yield from _with_other_weights(network, sample, given)


def _sizes_of(part: str, seed: int) -> tuple[int, int, int]:
    sizes: dict[str, tuple[int, int, int]] = {EQUAL_SIZES: (4, 4, 4), ONE_UNIT: (5, 1, 3)}
    return sizes.get(part) or random_sizes(seed)


def _first_wrong(
    found: list[tuple[Sample, Array, Network]], of_shape: bool = False
) -> Fault | None:
    """Return which of the values that forward keeps is the first wrong one in all samples.

    Of a result of another shape, only one before it is told.
    """
    firsts = set()
    for sample, _, network in found:
        wanted = _layers(*sample.inputs[:2])
        kept = {name: np.asarray(getattr(network, name, None)) for name in wanted}
        numbers = [name for name, values in kept.items() if values.dtype.kind in "biuf"]
        off = [
            n for n in numbers if not distance(_unbatched(kept[n], wanted[n]), wanted[n]) < CLOSE
        ]
        firsts.add((*numbers[: numbers.index(off[0])], off[0]) if off else ())
    *right, first = (firsts.pop() if len(firsts) == 1 else ()) or ("",)
    if not first or (of_shape and first == "y_hat"):
        return None
    told = f"{' and '.join(right)} {'are' if right[1:] else 'is'} right, and " if right else ""
    step = f"Look at the line that computes {first}."
    shape = relation([Sample(kept[first], wanted[first], ())])
    why = f": {shape.likely}" if shape else "."
    return Fault("property", f"{told}{first} is the first wrong value{why}", step)


def _unbatched(found: Array, wanted: Array) -> Array:
    """Return a single image that is kept as a batch of one without that axis."""
    return found[0] if found.shape != wanted.shape and found.shape[:1] == (1,) else found


GRADIENTS_CHANGED = Fault(
    "gradients changed", "forward changes the gradients, which add up until reset_grad clears "
    "them.", "Leave them to reset_grad and update_grad.",
)  # fmt: skip


def _gradients_left(network: Network, parameters: Mapping[str, Array]) -> Iterator[Verdict]:
    """See that forward leaves the gradients, which were set to 1 minus the parameters."""
    for name, values in parameters.items():
        found, wanted = FORWARD.attribute(network, f"{name}_grad"), 1 - values
        if not np.array_equal(found, wanted):
            told = describe(found), describe(wanted)
            yield FORWARD.wrong(f"{name}_grad, after forward(x)", *told, GRADIENTS_CHANGED)
            return


STALE = Fault(
    "stale", "with other weights, the same x gives the same result as before: something of it is "
    "kept.", "Compute everything anew in each call, from the weights as they are then.",
)  # fmt: skip


def _with_other_weights(network: Network, sample: Sample, given: Array) -> Iterator[Verdict]:
    """See that a second pass of the very same x, after a step, is one of the new weights."""
    parameters = {name: 0.5 * values for name, values in sample.inputs[0].items()}
    for name, values in parameters.items():
        setattr(network, name, values + 0)
    part = "forward(x), after a step"
    found = FORWARD.numbers(part, ask(part, network.forward, given))
    wanted = _forward(parameters, sample.inputs[1])
    if not distance(found, wanted) < CLOSE:
        fault = STALE if distance(found, sample.found) < CLOSE else UNKNOWN
        yield FORWARD.wrong(part, *compared(found, wanted), fault)


def _kept(network: Network, part: str, wanted: Mapping[str, Array]) -> Iterator[Verdict]:
    """See that forward leaves what `loss` and `update_grad` will need."""
    for name, values in wanted.items():
        title = f"self.{name}, after forward(x) for {part}"
        value = getattr(network, name, None)
        if value is None:
            fault = Fault(
                "not kept", f"forward doesn't keep {name} in the network.",
                f"`loss` and `update_grad` read it: assign it to `self.{name}`.",
            )  # fmt: skip
            yield FORWARD.wrong(title, f"no {name}.", describe(values), fault)
            return
        if not hasattr(value, "shape"):
            told = f"a {type(value).__name__}.", "an array."
            yield FORWARD.wrong(title, *told, NO_ARRAY)
            return
        found = FORWARD.numbers(title, value)
        if name != "y_hat":  # with which the given lines compare the shape of y
            found = _unbatched(found, values)
        if not distance(found, values) < CLOSE:
            yield FORWARD.wrong(title, *compared(found, values), _kept_wrongly(name, found, wanted))
            return


def _kept_wrongly(name: str, found: Array, wanted: Mapping[str, Array]) -> Fault:
    """Return what forward keeps as `name` in place of its values."""
    likely = f"what forward keeps as {name} is not {name} of the last x."
    step = "Compare with the formula above the exercise."
    if shape := relation([Sample(found, wanted[name], ())]):
        likely, step = f"of what forward keeps as {name}, {shape.likely}", shape.step
    last = np.atleast_2d(wanted[name])[-1]
    if wanted[name].ndim > 1 and distance(np.squeeze(found), last) < CLOSE:
        likely = f"forward keeps {name} of the last image alone, not of the whole batch."
        step = "Keep all rows, one for each image."
    for other in wanted:
        if distance(found, wanted[other]) < CLOSE:
            likely = f"what forward keeps as {name} has the numbers of {other}."
            step = "Two names may stand for one array: what changes one in place changes both."
    return Fault("kept wrongly", likely, step)


def _forward_sample(
    make: Callable[..., Network],
    part: str,
    batch: tuple[int, ...],
    sizes: tuple[int, int, int],
    seed: int,
) -> tuple[Sample, Array, Network]:
    """Return what the second of two passes gave, x as it was afterwards, and the network."""
    network, parameters = random_network(FORWARD, make, sizes, seed), random_parameters(sizes, seed)
    if part == LARGE:  # which shows what cuts numbers off
        parameters = {name: 20 * values for name, values in parameters.items()}
        parameters["b2"] += 1000  # of which exp is infinite; in softmax it cancels out
        for name, values in parameters.items():
            setattr(network, name, values.copy())
    rng = np.random.default_rng(seed)
    first, x = rng.uniform(-1, 2, (2, *batch, sizes[0]))
    if part == MANY:  # of which 99 differ: decimal numbers take time
        first, x = first[:2], x[rng.integers(99, size=len(x))]
    given = x.copy()
    ask(f"forward(x) for {part}", network.forward, first.copy())
    for name, values in parameters.items():
        setattr(network, f"{name}_grad", 1 - values)
    value = FORWARD.numbers(part, ask(f"forward(x) for {part}", network.forward, given))
    return Sample(value, _forward(parameters, x), (parameters, x, first)), given, network
