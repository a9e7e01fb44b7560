"""The checks of the hand-written network: initialization, forward, update_params."""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from checks.asking import StudentError, ask
from checks.check import Part, check
from checks.comparison import CLOSE, Array, compared, describe, distance
from checks.contract import OVERWRITTEN, SIZE_KEPT
from checks.faults import INPUT_CHANGED, UNKNOWN, Fault, Sample
from checks.functions import EQUAL_SIZES, N_SAMPLES, NO_ARRAY, SHORTENED, SUM_NOT_1
from checks.gradients import PARAMETERS, Network, read_parameters
from checks.small_networks import (
    BATCH,
    layers,
    random_network,
    random_parameters,
    random_sizes,
    right_forward,
    right_reset_grad,
    right_update_params,
)
from checks.special import ndtr
from checks.verdicts import Exercise, Verdict

INITIALIZATION = Exercise("initialization", "__init__")
FORWARD = Exercise("forward")
UPDATE_PARAMS = Exercise("update_params")


# initialization

SIZES = (60, 50, 40)
Shape = tuple[int, ...]
DEFAULT_SHAPES: dict[str, Shape] = {
    "W1": (64, 784), "b1": (64,), "W2": (10, 64), "b2": (10,)
}  # fmt: skip
BOTH = "Use 0.1 for both layers, as the section says."
# From the numbers of outputs and inputs, the standard deviation that comes of the fault.
SPREADS = (
    Fault("zero weights", "all weights are equal, so all units would learn the same for ever.",
          "Draw them from a Gaussian, and see that no later line changes them.",
          lambda n_out, n_in: 0.0),
    Fault("variance for standard deviation", "0.1 was taken for the variance.",
          "The second argument of `normal` is the standard deviation: no root of it is wanted.",
          lambda n_out, n_in: 0.1**0.5),
    Fault("square of the standard deviation", "0.1 was squared.",
          "The second argument of `normal` is the standard deviation: 0.1 itself.",
          lambda n_out, n_in: 0.01),
    Fault("not scaled", "the numbers are drawn with the standard deviation 1.",
          "Multiply by 0.1, or pass it to `normal` as its second argument.",
          lambda n_out, n_in: 1.0),
    *(Fault("scaled by layer size", "the standard deviation depends on the size of the layer.",
            BOTH, wrong)
      for wrong in (lambda n_out, n_in: n_in**-0.5, lambda n_out, n_in: (2 / n_in) ** 0.5,
                    lambda n_out, n_in: (2 / (n_in + n_out)) ** 0.5)),
)  # fmt: skip
OTHER_SPREAD = Fault(
    "standard deviation", "the numbers are drawn with another standard deviation.", BOTH
)
NOT_GAUSSIAN = Fault(
    "not Gaussian", "the distribution is not that of a Gaussian: `rng.random` and `rng.uniform`, "
    "for example, spread their numbers evenly over an interval.", "Draw all weights by "
    "`rng.normal`.",
)  # fmt: skip
FEW_NUMBERS = Fault(
    "not Gaussian",
    "only a few numbers occur, again and again: the weights are not those of a Gaussian.",
    "Draw all weights by `rng.normal`.",
)
CUT_OFF = Fault(
    "cut off", "no weight is as far from 0 as a few of a Gaussian are: large ones were cut off or "
    "left out.", "Use what `rng.normal` draws as it is.",
)  # fmt: skip
EVENED_OUT = Fault(
    "evened out",
    "every row, or every column, has the same mean or the same standard deviation, which random "
    "numbers never have: what was drawn was scaled or shifted afterwards.",
    "Use what `rng.normal` draws as it is.",
)
ONE_SIGN = Fault(
    "one sign",
    "no weight has the other sign, as if their absolute values were taken.",
    "Use what `rng.normal` draws as it is.",
)
OFF_CENTRE = Fault(
    "mean not 0", "the weights do not lie around 0.", "Use `rng.normal` with the mean 0."
)
BIASES = Fault("biases not zero", "the biases do not start at zero.", "Use np.zeros for them.")
SHAPES = Fault("shape", "the sizes stand in the wrong order.", "Compare with the class docstring.")
SIZES_FIXED = Fault(
    "sizes fixed", "the shape is that of the default sizes, whatever sizes are asked for.",
    "Use the arguments n_inputs, n_hidden and n_outputs in the shapes.",
)  # fmt: skip
DEFAULTS_LOST = Fault(
    "defaults lost", "without arguments, the sizes are not those of the assignment.",
    "Leave the defaults of __init__ as they came: 784, 64 and 10.",
)  # fmt: skip
SHARED_SEED = Fault(
    "shared seed", "both layers draw the same random numbers: the generator is made anew for the "
    "second.", "Make the generator once, and draw W1 and then W2 from it.",
)  # fmt: skip
READ_ONLY = Fault(
    "read-only", "this array can't be changed, as a view made by `broadcast_to` can't, so nothing "
    "can be added to it or subtracted from it.", "Make a new array, as np.zeros_like does.",
)  # fmt: skip
SHARED_ARRAY = Fault(
    "shared array", "they are parts of one array, so a step of one changes the other.",
    "Make a new array for each of them in `__init__` and `reset_grad`, held by `self` alone.",
)  # fmt: skip
EQUAL_UNITS = Fault(
    "equal units", "the same numbers come several times: not each weight was drawn by itself.",
    "Draw a whole matrix of numbers, (units, inputs), in one call.",
)  # fmt: skip
DTYPE_IGNORED = Fault(
    "dtype ignored", "the parameters don't have the type of the argument dtype.",
    "Convert what was drawn: `.astype(self.dtype)`, and `np.zeros(n, self.dtype)`.",
)  # fmt: skip
GRADIENT_TYPE = Fault(
    "type of the gradient", "this gradient has not the type of its parameter.",
    "Use np.zeros_like, or pass the type on: np.zeros(self.W1.shape, self.W1.dtype).",
)  # fmt: skip
GRADIENT_NOT_ZERO = Fault(
    "gradients not zero", "the gradients of a new network are not zeros in the shapes of its "
    "parameters.", "Let __init__ end with reset_grad(), and reset_grad use np.zeros_like.",
)  # fmt: skip
SEED_IGNORED = Fault(
    "seed ignored", "the seed is fixed in the code.",
    "Pass the argument on: np.random.default_rng(seed).",
)  # fmt: skip
UNSEEDED = Fault(
    "unseeded", "the random numbers do not come from a generator made with the seed.",
    "Draw from np.random.default_rng(seed).",
)  # fmt: skip


@check(INITIALIZATION)
def check_initialization(MLP: Callable[..., Network], *, seed: int = 0) -> Iterator[Verdict | Part]:
    """See that weights are Gaussian with standard deviation 0.1, biases zero, and seeds obeyed."""
    network = _built(MLP, seed)
    yield from _shapes(network)
    for name in ("W1", "W2"):
        yield _spread(name, np.asarray(getattr(network, name), dtype=float))
    for name in ("b1", "b2"):
        biases = np.asarray(getattr(network, name))
        if biases.any():
            yield INITIALIZATION.wrong(name, describe(biases), "zeros.", BIASES)
    yield from _own_arrays(INITIALIZATION, network, _built(MLP, seed))
    yield from _own_arrays(INITIALIZATION, ask("MLP(4, 4, 4)", MLP, 4, 4, 4))
    if isinstance(MLP, type):  # what lives elsewhere cannot be copied here
        yield from _copied(network)
    yield from _seeds(MLP, read_parameters(network), seed)
    for name in PARAMETERS:
        yield from _starting_gradient(network, name)
    yield partial(_default_sizes, MLP)
    yield partial(_dtypes, MLP)


def _own_arrays(exercise: Exercise, *networks: Network) -> Iterator[Verdict]:
    """See that parameters and gradients can be changed, and no two share numbers, even of two."""
    names = (*PARAMETERS, *(f"{name}_grad" for name in PARAMETERS))
    arrays = [(n, np.asarray(getattr(network, n, None))) for network in networks for n in names]
    for name, array in arrays:
        if not array.flags.writeable:
            yield exercise.wrong(name, "a read-only array.", "one that can be changed.", READ_ONLY)
            return
    for (one, a), (other, b) in combinations(arrays, 2):
        if np.shares_memory(a, b):
            told = "the same numbers in memory.", "an array of its own for each."
            where = f"{one} and {other}" if one != other else f"{one} of two networks"
            yield exercise.wrong(where, *told, SHARED_ARRAY)
            return


NO_COPY = Fault(
    "no copy",
    "`copy.deepcopy` of the network, which the notebook makes, is none that can be used.",
    "Keep W1, b1, W2 and b2 as plain attributes of the network.",
)


def _copied(network: Network) -> Iterator[Verdict]:
    """See that a network can be copied, with numbers of its own."""
    part = "copy.deepcopy(network)"
    try:
        copy = ask(part, deepcopy, network)
    except StudentError as error:
        yield INITIALIZATION.error(error, NO_COPY)
        return
    for name in PARAMETERS:
        found, wanted = (INITIALIZATION.attribute(each, name) for each in (copy, network))
        if not np.array_equal(found, wanted):
            yield INITIALIZATION.wrong(part, describe(found), describe(wanted), NO_COPY)
            return
    yield from _own_arrays(INITIALIZATION, network, copy)


def _starting_gradient(network: Network, name: str) -> Iterator[Verdict]:
    """See that a gradient is there from the start, as zeros."""
    found = INITIALIZATION.attribute(network, f"{name}_grad")
    wanted = np.zeros(np.shape(getattr(network, name)))
    if not np.array_equal(found, wanted):
        told = describe(found), describe(wanted)
        yield INITIALIZATION.wrong(f"{name}_grad", *told, GRADIENT_NOT_ZERO)


def _dtypes(make: Callable[..., Network]) -> Iterator[Verdict]:
    """See that the argument dtype is obeyed; check_update_grad asks for 64-bit numbers."""
    for dtype in (np.float64, np.float32):
        call, wanted = (
            f"MLP(4, 3, 2, dtype=np.{dtype.__name__})",
            f"{np.dtype(dtype)}, in all arrays.",
        )
        network = ask(call, make, 4, 3, 2, dtype=dtype)
        for name in (*PARAMETERS, *(f"{name}_grad" for name in PARAMETERS)):
            found = INITIALIZATION.attribute(network, name).dtype
            if found != dtype:
                fault = DTYPE_IGNORED if name in PARAMETERS else GRADIENT_TYPE
                yield INITIALIZATION.wrong(f"{name} of {call}", f"{found}.", wanted, fault)
                return
        yield from _own_arrays(INITIALIZATION, network, ask(call, make, 4, 3, 2, dtype=dtype))
    yield INITIALIZATION.right("dtype")


def _default_sizes(make: Callable[..., Network]) -> Iterator[Verdict]:
    network = ask("MLP()", make)
    found = [INITIALIZATION.attribute(network, name).shape for name in PARAMETERS]
    wanted = list(DEFAULT_SHAPES.values())
    if found == wanted:
        yield INITIALIZATION.right("default sizes")
    else:
        words = "the shapes {}."
        yield INITIALIZATION.wrong(
            "default sizes", words.format(found), words.format(wanted), DEFAULTS_LOST
        )


def _built(make: Callable[..., Network], seed: int) -> Network:
    call = "MLP({}, {}, {}, seed={})".format(*SIZES, seed)
    network: Network = ask(call, make, *SIZES, seed=seed)
    return network


def _shapes(network: Network) -> Iterator[Verdict]:
    n_in, n_hidden, n_out = SIZES
    wanted = {
        "W1": (n_hidden, n_in), "b1": (n_hidden,), "W2": (n_out, n_hidden), "b2": (n_out,)
    }  # fmt: skip
    for name, shape in wanted.items():
        found = INITIALIZATION.attribute(network, name).shape
        if found != shape:
            told = f"the shape {found}.", f"{shape}, for the sizes {SIZES}."
            whose = next((other for other, its in wanted.items() if its == found), "")
            cause = _shape_cause(found, shape, DEFAULT_SHAPES[name])
            if cause is UNKNOWN and whose:
                cause = Fault("shape", f"this is the shape of {whose}.", SHAPES.step)
            INITIALIZATION.halt(name, *told, cause)
    yield INITIALIZATION.right("shapes")


def _shape_cause(
    found: tuple[int, ...], wanted: tuple[int, ...], default: tuple[int, ...]
) -> Fault:
    if found == wanted[::-1]:
        return SHAPES
    if found == default:
        return SIZES_FIXED
    if len(found) == len(wanted):
        return UNKNOWN
    axes = f"it has {len(found)} axes, where it should have {len(wanted)}."
    if tuple(n for n in found if n != 1) == wanted:
        axes = f"an axis of length 1 is too much: axis {found.index(1)}."
    return Fault("shape", axes, SHAPES.step)


def _spread(name: str, weights: Array) -> Verdict:
    """Judge mean, standard deviation and form of the distribution."""
    if fault := _spread_fault(weights):
        found = f"mean {weights.mean():.3f}, standard deviation {weights.std():.3f}."
        if fault is EQUAL_UNITS:
            found = f"{len(np.unique(weights))} different numbers among {weights.size}."
        wanted = "mean 0, standard deviation 0.1, Gaussian."
        return INITIALIZATION.wrong(name, found, wanted, fault)
    return INITIALIZATION.right(name, "mean 0, standard deviation 0.1: right")


def _spread_fault(weights: Array) -> Fault | None:
    """Return what is wrong with a distribution, by six standard errors."""
    spread, error = weights.std(), 6 / (2 * weights.size) ** 0.5
    values, counts = np.unique(weights, return_counts=True)
    if spread and len(values) < 0.9 * weights.size:  # a few are equal by rounding
        repeated = any(np.unique(weights, axis=n).shape[n] < weights.shape[n] for n in (0, 1))
        cut = counts[1:-1].max(initial=0) <= 2 < len(values)
        return EQUAL_UNITS if repeated else CUT_OFF if cut else FEW_NUMBERS
    if spread and _evened_out(weights):
        return EVENED_OUT
    if spread and ((weights - weights.mean()) ** 4).mean() < 2.3 * spread**4:  # a Gaussian's: 3
        return NOT_GAUSSIAN
    if spread and np.abs(weights).max() < 2.5 * spread:
        return CUT_OFF
    if spread and (weights.min() >= 0 or weights.max() <= 0):
        return ONE_SIGN
    if abs(spread - 0.1) > 0.1 * error:
        likely = {fault: _spread_of(fault, weights) for fault in SPREADS}
        fits = (fault for fault, value in likely.items() if abs(spread - value) <= value * error)
        return next(fits, OTHER_SPREAD)
    if abs(weights.mean()) > 0.1 * 6 / weights.size**0.5:
        return OFF_CENTRE
    return None if _looks_gaussian(weights) else NOT_GAUSSIAN


def _evened_out(weights: Array) -> bool:
    of_lines = [values for axis in (0, 1) for values in (weights.mean(axis), weights.std(axis))]
    return any(np.ptp(values) < 1e-3 * weights.std() for values in of_lines)


def _spread_of(fault: Fault, weights: Array) -> float:
    assert fault.wrong is not None
    return float(fault.wrong(*weights.shape))


def _looks_gaussian(weights: Array) -> bool:
    """The test of Kolmogorov and Smirnov, which refuses three Gaussians of 10 million."""
    steps = (np.arange(weights.size) + 0.5) / weights.size
    apart = np.abs(ndtr(np.sort(weights.ravel()) / 0.1) - steps).max()
    return bool(apart * weights.size**0.5 < 2.8)


def _seeds(
    make: Callable[..., Network], drawn: Mapping[str, Array], seed: int
) -> Iterator[Verdict]:
    size = min(drawn["W1"].size, drawn["W2"].size)
    if np.allclose(drawn["W1"].ravel()[:size], drawn["W2"].ravel()[:size]):
        yield INITIALIZATION.wrong(
            "W1 and W2", "the same numbers in both.", "different ones.", SHARED_SEED
        )
    again, other = (read_parameters(_built(make, s)) for s in (seed, seed + 1))
    if not all(np.array_equal(again[name], drawn[name]) for name in PARAMETERS):
        yield INITIALIZATION.wrong(
            "seed", "different weights for the same seed.", "the same weights.", UNSEEDED
        )
    elif any(np.array_equal(other[name], drawn[name]) for name in ("W1", "W2")):
        yield INITIALIZATION.wrong(
            "seed", "the same weights for different seeds.", "different weights.", SEED_IGNORED
        )
    else:
        yield from _generators(make, seed)
        yield INITIALIZATION.right("seed")


NO_GENERATOR = Fault(
    "no generator", "the argument seed may be a generator, too, by the first lines of __init__.",
    "np.random.default_rng(seed) takes both, and gives a generator back as it is.",
)  # fmt: skip


def _generators(make: Callable[..., Network], seed: int) -> Iterator[Verdict]:
    """See that a generator may stand in the place of a seed."""
    call = "MLP(4, 3, 2, seed=np.random.default_rng(1))"
    try:
        one, two, other = (
            read_parameters(ask(call, make, 4, 3, 2, seed=np.random.default_rng(each)))["W1"]
            for each in (1 + seed, 1 + seed, 2 + seed)
        )
    except StudentError as error:
        yield INITIALIZATION.error(error, NO_GENERATOR)
        return
    if not np.array_equal(one, two):
        found = "different weights from equal generators."
        yield INITIALIZATION.wrong("seed", found, "the same weights.", UNSEEDED)
    elif np.array_equal(one, other):
        found = "the same weights from different generators."
        yield INITIALIZATION.wrong("seed", found, "different weights.", NO_GENERATOR)


# forward


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
    return Fault("property", f"{told}{first} is the first wrong value.", step)


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


# reset_grad and update_params

RESETS = (
    Fault("not reset", "reset_grad leaves this gradient as it was.",
          "Set all four gradients to zero.", lambda gradient, parameter: gradient),
    Fault("the parameter", "the gradient holds the parameter's own numbers.",
          "Make an array of zeros in the shape of the parameter: np.zeros_like(self.W1).",
          lambda gradient, parameter: parameter),
    Fault("a number", "a plain number stands where an array of zeros should.",
          "Make arrays of zeros in the shapes of the parameters: np.zeros_like(self.W1).",
          lambda gradient, parameter: 0.0),
    Fault("times 0", "what is no number stays one: NaN times 0 is NaN.",
          "Make new arrays of zeros, np.zeros_like(self.W1), in place of the old ones.",
          lambda gradient, parameter: 0 * gradient),
)  # fmt: skip
RESETS_PARAMETERS = Fault(
    "parameters reset", "reset_grad changed the parameter itself.",
    "Give zeros to the gradient (`W1_grad`), not to the parameter (`W1`).",
)  # fmt: skip
KEPT_ZEROS = Fault(
    "kept zeros",
    "the zeros that reset_grad gives are arrays that it keeps: what is added to a gradient stays.",
    "Make new zeros in each call, or set the old arrays to 0.",
)
PARAMETER_TYPE = Fault(
    "type of the parameter", "the step has changed the type of the numbers, as a factor of 64 bits "
    "does.", "Use lr as it is, or change the array in place: `self.W1 -= …`.",
)  # fmt: skip
STEP = "See in the section which way a step goes, and how long it is."
NEVER_THERE = (
    "See that the line is reached, that the gradient is not zero by then, and that the new numbers "
    "get into the network's own array, as by `self.W1 -= …`."
)
# From a parameter p, its right step d, the learning rate and the step d0 of the call before.
STEPS = (
    Fault("plus", "the step goes uphill: the sign is wrong.", STEP, lambda p, d, lr, d0: p - d),
    Fault("not updated", "this parameter is not updated.", NEVER_THERE, lambda p, d, lr, d0: p),
    Fault("lr ignored", "the learning rate is not used.", STEP, lambda p, d, lr, d0: p + d / lr),
    Fault("lr ignored", "only the sign of the gradient counts: all steps have the length lr.", STEP,
          lambda p, d, lr, d0: p + lr * np.sign(d)),
    Fault("lr ignored", "the gradient is divided by its length, so that only its direction counts.",
          STEP, lambda p, d, lr, d0: p + lr * d / np.linalg.norm(d)),
    Fault("lr ignored", "the gradient is divided by its largest number.", STEP,
          lambda p, d, lr, d0: p + lr * d / np.abs(d).max()),
    Fault("parameter lost", "the old value is lost, as by `=-` in place of `-=`.", STEP,
          lambda p, d, lr, d0: d),
)  # fmt: skip


def _is_along(*vectors: Array) -> bool:
    """Whether the first array is a sum of multiples of the others, and of them in no simpler way.

    Such sums of a few arrays are no coincidence: these have more numbers.
    """
    first, *others = (vector.ravel() for vector in vectors)
    if first.size <= len(others) or not np.abs(first).max() > 1e-9:
        return False
    base = np.stack(others, axis=1)
    fit = base @ np.linalg.lstsq(base, first, rcond=None)[0]
    return bool(np.allclose(fit, first, rtol=0, atol=1e-9 * np.abs(first).max()))


def _taken(found: Array, p: Array) -> Array:
    """Return the step that was taken, nothing if the shape is another one."""
    return found - p if found.shape == p.shape else np.zeros(())


# What may be true of all steps: their `wrong` gets the new numbers, and what STEPS get.
STEP_FACTS = (
    Fault("property", "every number of this parameter takes the same step: the gradient takes no "
          "part in it.", STEP, lambda found, p, d, lr, d0: np.ptp(_taken(found, p)) < 1e-9),
    Fault("property", "the step goes along the parameter itself, as if it stood where its gradient "
          "should.", STEP, lambda found, p, d, lr, d0: _is_along(_taken(found, p), p)),
    Fault("property", "the step goes along the gradient, and its length is not lr times the "
          "gradient, but another multiple each time.", STEP,
          lambda found, p, d, lr, d0: _is_along(_taken(found, p), d)),
    Fault("property", "besides the gradient, the parameter itself takes part in the step, as by "
          "weight decay or a factor before it.", STEP,
          lambda found, p, d, lr, d0: _is_along(_taken(found, p), d, p)),
    Fault("momentum", "the first step is right, and in the later ones something of the gradient "
          "before is left, as with momentum.", STEP,
          lambda found, p, d, lr, d0: _is_along(_taken(found, p), d, d0)
          or np.allclose(found, p + d)),
    Fault("property", "the first step of every number has the length lr, whatever its gradient is, "
          "as with Adam.", STEP, lambda found, p, d, lr, d0: d0.any()
          or np.allclose(np.abs(_taken(found, p)), lr, rtol=1e-3)),
    Fault("property", "each number goes the right way, but not by the right length: the gradient "
          "is changed before it is used.", STEP,
          lambda found, p, d, lr, d0: np.array_equal(np.sign(_taken(found, p)), np.sign(d))),
)  # fmt: skip


@check(
    UPDATE_PARAMS,
    goes_on=True,
    stand_ins={"MLP.reset_grad": right_reset_grad, "MLP.update_params": right_update_params},
)
def check_update_params(MLP: Callable[..., Network], *, seed: int = 0) -> Iterator[Verdict | Part]:
    """See that reset_grad zeroes all gradients, and update_params(lr) takes one step downhill."""
    sizes = random_sizes(seed)
    yield partial(_reset_part, MLP, sizes, seed)
    samples: dict[str, list[Sample]] = {name: [] for name in PARAMETERS}
    left = True
    for number, (size, *rates) in enumerate(((1, 0.3, 0.3), (100, 17.0, 1e-5), (1e-4, 0.5, 2.0))):
        network = random_network(UPDATE_PARAMS, MLP, sizes, seed + number)
        before, rng = random_parameters(sizes, seed + number), np.random.default_rng([seed, number])
        last = {name: np.zeros_like(values) for name, values in before.items()}
        for lr in rates:  # the second step starts where the first one ended
            gradients = _set_random_gradients(network, before, rng, size)
            right_forward(network, np.ones((BATCH, sizes[0])))
            ask(f"update_params({lr})", network.update_params, lr)
            for name in PARAMETERS:
                step = -lr * gradients[name]
                inputs = (before[name], step, lr, last[name])
                found = UPDATE_PARAMS.attribute(network, name)
                samples[name].append(Sample(found, before[name] + step, inputs))
                last[name] = step
            before = read_parameters(network)
            left = left and _has_still(network, gradients)
            if any(before[name].shape != last[name].shape for name in PARAMETERS):
                break  # no second step can be taken from there
    for name in PARAMETERS:
        faults = (*STEPS, _other_length(samples[name][0]))
        yield UPDATE_PARAMS.judge(name, samples[name], faults, close=1e-9, facts=STEP_FACTS)
    if all(distance(s.found, s.wanted) < CLOSE for name in PARAMETERS for s in samples[name]):
        yield from _one_at_rest(MLP, sizes, seed)
        yield from _of_new_arrays(network)
    if not left:
        told = "other gradients than before.", "the same ones."
        yield UPDATE_PARAMS.wrong("gradients, after update_params", *told, STEP_CHANGES_GRADIENTS)


def _has_still(network: Network, gradients: Mapping[str, Array]) -> bool:
    found = {name: np.asarray(getattr(network, f"{name}_grad", None)) for name in gradients}
    return all(np.array_equal(found[name], gradients[name]) for name in gradients)


ONE_AT_REST = Fault(
    "one at rest",
    "this step is right only if no gradient of another parameter is zero.",
    "Each parameter takes the step of its own gradient, whatever the others do.",
)


NOT_AT_REST = Fault(
    "not at rest",
    "a parameter whose gradient is zero changes by rounding: the step is worked out by a detour.",
    "Subtract lr * gradient from the parameter as it is.",
)


def _one_at_rest(
    make: Callable[..., Network], sizes: tuple[int, int, int], seed: int
) -> Iterator[Verdict]:
    """See that a gradient of zeros leaves its own parameter where it is, and no other."""
    before, rng = random_parameters(sizes, seed), np.random.default_rng(seed)
    for still in PARAMETERS:
        network = random_network(UPDATE_PARAMS, make, sizes, seed)
        steps = _set_random_gradients(network, before, rng)
        steps[still] = np.zeros_like(before[still])
        setattr(network, f"{still}_grad", steps[still].copy())
        right_forward(network, np.ones((BATCH, sizes[0])))
        rate = 1 / 3  # which rounds more often than others
        ask("update_params(1 / 3)", network.update_params, rate)
        for name in PARAMETERS:
            found = UPDATE_PARAMS.attribute(network, name)
            wanted = before[name] - rate * steps[name]
            part = f"{name}, where {still}_grad is zero"
            if not distance(found, wanted) < CLOSE:
                yield UPDATE_PARAMS.wrong(part, *compared(found, wanted), ONE_AT_REST)
                return
            is_kept = np.array_equal(found, wanted.astype(found.dtype))  # but for fewer bits
            if name == still and not is_kept:
                told = "other numbers than before.", "the very same ones."
                yield UPDATE_PARAMS.wrong(part, *told, NOT_AT_REST)
                return


OLD_ARRAYS = Fault(
    "kept between calls",
    "once other arrays were given to the network, as load_weights does, the step does not reach "
    "them: the earlier ones are kept somewhere.",
    "Use self.W1 and the others as they are at the time of the step.",
)


def _of_new_arrays(network: Network) -> Iterator[Verdict]:
    """See that a step after another one is taken by the arrays that the network has by then."""
    for name in PARAMETERS:
        shape = np.shape(getattr(network, name))
        setattr(network, name, np.zeros(shape))
        setattr(network, f"{name}_grad", np.ones(shape))
    ask("update_params(0.5)", network.update_params, 0.5)
    for name in PARAMETERS:
        found = UPDATE_PARAMS.attribute(network, name)
        if not distance(found, wanted := np.full(found.shape, -0.5)) < CLOSE:
            part = f"{name}, set anew before the step"
            yield UPDATE_PARAMS.wrong(part, *compared(found, wanted), OLD_ARRAYS)
            return


STEP_CHANGES_GRADIENTS = Fault(
    "gradients changed",
    "update_params changes the gradients, too, which only reset_grad and update_grad do.",
    "Subtract `lr * self.W1_grad` as it is: no `*=` on the gradient, and no reset.",
)


def _other_length(sample: Sample) -> Fault:
    """Suspect a step of another length, the one that the first number took."""
    start, step, *_ = sample.inputs
    if sample.found.shape != start.shape:
        return UNKNOWN._replace(wrong=lambda p, d, lr, d0: np.nan)
    with np.errstate(all="ignore"):  # what came may be anything
        factor = ((sample.found - start) / step).flat[0]
    likely = f"the step is {abs(factor):.4g} times as long as lr * gradient."
    return Fault("lr ignored", likely, STEP, lambda p, d, lr, d0: p + factor * d)


def _reset_part(
    make: Callable[..., Network], sizes: tuple[int, int, int], seed: int
) -> Iterator[Verdict]:
    network = random_network(UPDATE_PARAMS, make, sizes, seed)
    parameters = random_parameters(sizes, seed)
    found = list(_reset_verdicts(network, parameters, np.random.default_rng(seed)))
    yield from found or _other_sizes(network) or _equal_sizes(make) or [_gradient_types(make)]


SIZE_OF_OLD = Fault(
    "old shape", "the gradient keeps the shape that its parameter had before; a later class of the "
    "notebook sets other parameters and calls reset_grad.",
    "Make new arrays of zeros in the shapes of the parameters: np.zeros_like(self.W1).",
)  # fmt: skip


def _other_sizes(network: Network) -> list[Verdict]:
    """See that the gradients take the shapes of other parameters that the network was given."""
    for name in PARAMETERS:
        setattr(network, name, np.ones((2, 3)[: np.ndim(getattr(network, name))]))
    ask("reset_grad()", network.reset_grad)
    for name in PARAMETERS:
        part, wanted = f"{name}_grad, for another {name}", getattr(network, name).shape
        if (found := UPDATE_PARAMS.attribute(network, f"{name}_grad").shape) != wanted:
            told = f"the shape {found}.", f"{wanted}, that of {name}."
            return [UPDATE_PARAMS.wrong(part, *told, SIZE_OF_OLD)]
    return []


def _equal_sizes(make: Callable[..., Network]) -> list[Verdict]:
    """See that gradients of equal shapes are no single array."""
    network = ask("MLP(4, 4, 4)", make, 4, 4, 4)
    ask("reset_grad()", network.reset_grad)
    return list(_own_arrays(UPDATE_PARAMS, network))


def _gradient_types(make: Callable[..., Network]) -> Verdict:
    """See that the gradients of a network of 32-bit numbers have 32 bits, too."""
    network = ask("MLP(4, 3, 2, dtype=np.float32)", make, 4, 3, 2, dtype=np.float32)
    for name in PARAMETERS:
        setattr(network, name, UPDATE_PARAMS.attribute(network, name).astype(np.float32))
    ask("reset_grad()", network.reset_grad)
    for name in PARAMETERS:
        found = UPDATE_PARAMS.attribute(network, f"{name}_grad").dtype
        if found != np.float32:
            part = f"{name}_grad, after reset_grad"
            told = f"numbers of the type {found}.", f"float32, the type of {name}."
            return UPDATE_PARAMS.wrong(part, *told, GRADIENT_TYPE)
    right_forward(network, np.ones((BATCH, 4)))  # a step comes after a batch
    ask("update_params(0.1)", network.update_params, 0.1)
    for name in PARAMETERS:
        found = UPDATE_PARAMS.attribute(network, name).dtype
        if found != np.float32:
            told = f"numbers of the type {found}.", "float32, as before."
            return UPDATE_PARAMS.wrong(f"{name}, after update_params", *told, PARAMETER_TYPE)
    return UPDATE_PARAMS.right("reset_grad")


def _set_random_gradients(
    network: Network, parameters: Mapping[str, Array], rng: np.random.Generator, size: float = 1
) -> dict[str, Array]:
    gradients = {name: rng.normal(0, size, values.shape) for name, values in parameters.items()}
    for name, values in gradients.items():
        setattr(network, f"{name}_grad", values.copy())
    return gradients


def _reset_verdicts(
    network: Network, parameters: Mapping[str, Array], rng: np.random.Generator
) -> Iterator[Verdict]:
    """Yield what is wrong with reset_grad."""
    gradients = _set_random_gradients(network, parameters, rng)
    for name, values in gradients.items():
        values.flat[-1] = np.nan  # as after a training that has diverged
        setattr(network, f"{name}_grad", values.copy())
    ask("reset_grad()", network.reset_grad)
    all_zero = True
    for name in PARAMETERS:
        part = f"{name}_grad, after reset_grad"
        found = UPDATE_PARAMS.attribute(network, f"{name}_grad")
        inputs = gradients[name], parameters[name]
        sample = Sample(found, np.zeros(parameters[name].shape), inputs)
        verdict = UPDATE_PARAMS.judge(part, [sample], RESETS)
        if not verdict.passed:
            all_zero = False
            yield verdict
        yield from _reset_touched(network, name, parameters[name])
    if all_zero:
        yield from _own_arrays(UPDATE_PARAMS, network)
        yield from _zeros_again(network)


def _zeros_again(network: Network) -> Iterator[Verdict]:
    """See that the zeros are new ones after gradients were added to in place."""
    for name in PARAMETERS:
        gradient = getattr(network, f"{name}_grad")
        gradient += 1
    ask("reset_grad() for the second time", network.reset_grad)
    for name in PARAMETERS:
        if np.any(found := UPDATE_PARAMS.attribute(network, f"{name}_grad")):
            part = f"{name}_grad, after a second reset_grad"
            yield UPDATE_PARAMS.wrong(part, describe(found), "zeros.", KEPT_ZEROS)
            return


def _reset_touched(network: Network, name: str, before: Array) -> Iterator[Verdict]:
    now = UPDATE_PARAMS.numbers(name, getattr(network, name))
    if not np.array_equal(now, before):
        yield UPDATE_PARAMS.wrong(
            f"{name}, after reset_grad", describe(now), describe(before), RESETS_PARAMETERS
        )
