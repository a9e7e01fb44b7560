"""The check of the initial weights of the hand-written network."""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from itertools import combinations

import numpy as np

from checks.asking import StudentError, ask
from checks.check import Part, check
from checks.comparison import Array, describe
from checks.contract import other_seeds, seed_fault
from checks.faults import UNKNOWN, Fault
from checks.gradients import PARAMETERS, Network, read_parameters
from checks.special import ndtr
from checks.verdicts import Exercise, Verdict

INITIALIZATION = Exercise("initialization", "__init__")

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
    yield from own_arrays(INITIALIZATION, network, _built(MLP, seed))
    yield from own_arrays(INITIALIZATION, ask("MLP(4, 4, 4)", MLP, 4, 4, 4))
    if isinstance(MLP, type):  # what lives elsewhere cannot be copied here
        yield from _copied(network)
    yield from _seeds(MLP, read_parameters(network), seed)
    for name in PARAMETERS:
        yield from _starting_gradient(network, name)
    yield partial(_default_sizes, MLP)
    yield partial(_dtypes, MLP)


def own_arrays(exercise: Exercise, *networks: Network) -> Iterator[Verdict]:
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
    yield from own_arrays(INITIALIZATION, network, copy)


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
        yield from own_arrays(INITIALIZATION, network, ask(call, make, 4, 3, 2, dtype=dtype))
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
    seeds = other_seeds(make)
    first, again, *others = (read_parameters(_built(make, each)) for each in (0, 0, *seeds))
    same = (any(np.array_equal(o[name], first[name]) for name in ("W1", "W2")) for o in others)
    if not all(np.array_equal(again[name], first[name]) for name in PARAMETERS):
        yield INITIALIZATION.wrong(
            "seed", "different weights for the same seed.", "the same weights.", UNSEEDED
        )
    elif fault := seed_fault(SEED_IGNORED, seeds, same):
        yield INITIALIZATION.wrong(
            "seed", "the same weights for different seeds.", "different weights.", fault
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
