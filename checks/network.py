"""The checks of the hand-written network: initialization, forward, update_params, saving."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax as scipy_softmax

from checks.back_propagation import BATCH, random_network, random_sizes
from checks.gradients import PARAMETERS, Network, read_gradients, read_parameters
from checks.spies import Spy
from checks.verdicts import (
    INPUT_CHANGED,
    RAISED,
    UNKNOWN,
    Array,
    Cause,
    Exercise,
    StudentError,
    Suspect,
    Suspects,
    Verdict,
    ask,
    check,
    describe,
    distance,
    find_cause,
)

INITIALIZATION = Exercise("__init__", "section 2")
FORWARD = Exercise("forward", "section 1")
UPDATE_PARAMS = Exercise("update_params", "section 4")
SAVING = Exercise("save_weights and load_weights", "section 4")


# initialization

SIZES = (60, 50, 40)
SPREADS: Suspects = (
    Suspect(
        "zero weights",
        "the weights are not random: all are equal.",
        "Draw them from a Gaussian; equal units would learn the same for ever.",
        lambda n_out, n_in: 0.0,
    ),
    Suspect(
        "variance for standard deviation",
        "0.1 was taken for the variance.",
        "The second argument of `normal` is the standard deviation: no root of it is wanted.",
        lambda n_out, n_in: 0.1**0.5,
    ),
    Suspect(
        "square of the standard deviation",
        "0.1 was squared.",
        "The second argument of `normal` is the standard deviation: 0.1 itself.",
        lambda n_out, n_in: 0.01,
    ),
    Suspect(
        "not scaled",
        "the numbers are standard normal, with standard deviation 1.",
        "Multiply by 0.1, or pass it to `normal` as its second argument.",
        lambda n_out, n_in: 1.0,
    ),
    Suspect(
        "scaled by layer size",
        "the standard deviation depends on the size of the layer.",
        "Use 0.1 for both layers, as the section says.",
        lambda n_out, n_in: n_in**-0.5,
    ),
    Suspect(
        "scaled by layer size",
        "the standard deviation follows the sizes of the layer.",
        "Use 0.1 for both layers, as the section says.",
        lambda n_out, n_in: (2 / n_in) ** 0.5,
    ),
    Suspect(
        "scaled by layer size",
        "the standard deviation follows both sizes of the layer.",
        "Use 0.1 for both layers, as the section says.",
        lambda n_out, n_in: (2 / (n_in + n_out)) ** 0.5,
    ),
)
NOT_GAUSSIAN = Cause(
    "not Gaussian",
    "the weights are spread evenly over an interval.",
    "Use `rng.normal`, the Gaussian, rather than `rng.random` or `rng.uniform`.",
)
OFF_CENTRE = Cause(
    "mean not 0", "the weights do not lie around 0.", "Use `rng.normal` with the mean 0."
)
BIASES = Cause("biases not zero", "the biases do not start at zero.", "Use np.zeros for them.")
SHAPES = Cause(
    "shape", "the sizes stand in the wrong order or place.", "Compare with the class docstring."
)
SHARED_SEED = Cause(
    "shared seed",
    "both layers draw the same random numbers: the generator is made anew for the second.",
    "Make the generator once, and draw W1 and then W2 from it.",
)
EQUAL_ROWS = Cause(
    "equal units",
    "all hidden units start with the same weights.",
    "Draw a whole matrix of numbers, (units, inputs), not one row.",
)
SEED_IGNORED = Cause(
    "seed ignored",
    "the seed is fixed in the code.",
    "Pass the argument on: np.random.default_rng(seed).",
)
UNSEEDED = Cause(
    "unseeded",
    "the random numbers do not come from a generator made with the seed.",
    "Draw from np.random.default_rng(seed).",
)


@check(INITIALIZATION)
def check_initialization(MLP: Callable[..., Network], *, seed: int = 0) -> Iterator[Verdict]:
    """See that weights are Gaussian with standard deviation 0.1, biases zero, and seeds obeyed."""
    network = _built(MLP, seed)
    yield from _shapes(network)
    for name in ("W1", "W2"):
        yield _spread(name, np.asarray(getattr(network, name), dtype=float))
    for name in ("b1", "b2"):
        biases = np.asarray(getattr(network, name))
        if biases.any():
            yield INITIALIZATION.wrong(name, describe(biases), "zeros.", BIASES)
    yield from _seeds(MLP, read_parameters(network), seed)


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
            INITIALIZATION.halt(
                name, f"the shape {found}.", f"{shape}, for the sizes {SIZES}.", SHAPES
            )
    yield INITIALIZATION.right("shapes")


def _spread(name: str, weights: Array) -> Verdict:
    """Judge mean, standard deviation and form of the distribution by six standard errors."""
    spread, error = weights.std(), 6 / (2 * weights.size) ** 0.5
    found = f"mean {weights.mean():.3f}, standard deviation {spread:.3f}."
    wanted = "mean 0, standard deviation 0.1, Gaussian."
    if spread and ((weights == weights[0]).all() or (weights == weights[:, :1]).all()):
        return INITIALIZATION.wrong(name, found, wanted, EQUAL_ROWS)
    if abs(spread - 0.1) <= 0.1 * error:
        kurtosis = ((weights - weights.mean()) ** 4).mean() / spread**4
        if abs(weights.mean()) > 0.1 * 6 / weights.size**0.5:
            return INITIALIZATION.wrong(name, found, wanted, OFF_CENTRE)
        if kurtosis < 2.3:  # 3 for a Gaussian, 1.8 for even spread
            return INITIALIZATION.wrong(name, found, wanted, NOT_GAUSSIAN)
        return INITIALIZATION.right(name, "mean 0, standard deviation 0.1: right")
    return INITIALIZATION.wrong(name, found, wanted, _spread_cause(weights, error))


def _spread_cause(weights: Array, error: float) -> Cause:
    spread = weights.std()
    if spread and ((weights - weights.mean()) ** 4).mean() / spread**4 < 2.3:
        return NOT_GAUSSIAN
    for suspect in SPREADS:
        expected = suspect.predict(*weights.shape)
        if abs(spread - expected) <= expected * error:
            return suspect.cause
    return UNKNOWN


def _seeds(
    make: Callable[..., Network], drawn: Mapping[str, Array], seed: int
) -> Iterator[Verdict]:
    size = min(drawn["W1"].size, drawn["W2"].size)
    if np.allclose(drawn["W1"].ravel()[:size], drawn["W2"].ravel()[:size]):
        yield INITIALIZATION.wrong(
            "W1 and W2", "the same numbers in both.", "different ones.", SHARED_SEED
        )
    again, other = (read_parameters(_built(make, s))["W1"] for s in (seed, seed + 1))
    if not np.array_equal(again, drawn["W1"]):
        yield INITIALIZATION.wrong(
            "seed", "different weights for the same seed.", "the same weights.", UNSEEDED
        )
    elif np.array_equal(other, drawn["W1"]):
        yield INITIALIZATION.wrong(
            "seed", "the same weights for different seeds.", "different weights.", SEED_IGNORED
        )
    else:
        yield INITIALIZATION.right("seed")


# forward


def _forward(
    parameters: Mapping[str, Array],
    x: Array,
    hidden: str = "sigmoid",
    output: str | None = "softmax",
    axis: int | None = -1,
) -> Array:
    """Return what PyTorch gives with these activations; `axis` is that of the softmax."""
    import torch
    from torch.nn.functional import linear

    W1, b1, W2, b2, inputs = (
        torch.tensor(v, dtype=torch.float64) for v in (*(parameters[n] for n in PARAMETERS), x)
    )
    a1 = linear(inputs, W1, b1)
    z1 = a1 if hidden == "none" else getattr(torch, hidden)(a1)
    a2 = linear(z1, W2, b2)
    if output == "softmax":
        return scipy_softmax(a2.numpy(), axis=axis)
    return (a2 if output is None else getattr(torch, output)(a2)).numpy()


def _without(*names: str) -> Callable[..., Array]:
    return lambda p, x: _forward(p | {name: 0 * p[name] for name in names}, x)


BIAS_MISSING = "Add the bias to each product of weights, b1 in the first and b2 in the second."
FORWARD_SUSPECTS: Suspects = (
    Suspect("b1 missing", "b1 is not added.", BIAS_MISSING, _without("b1")),
    Suspect("b2 missing", "b2 is not added.", BIAS_MISSING, _without("b2")),
    Suspect("biases missing", "b1 and b2 are not added.", BIAS_MISSING, _without("b1", "b2")),
    Suspect(
        "sigmoid missing",
        "the sigmoid is missing between the layers.",
        "Send a1 through the sigmoid before the second layer.",
        lambda p, x: _forward(p, x, hidden="none"),
    ),
    Suspect(
        "wrong activation",
        "the hidden units use ReLU.",
        "Use the sigmoid, as the formula says.",
        lambda p, x: _forward(p, x, hidden="relu"),
    ),
    Suspect(
        "wrong activation",
        "the hidden units use tanh.",
        "Use the sigmoid, as the formula says.",
        lambda p, x: _forward(p, x, hidden="tanh"),
    ),
    Suspect(
        "softmax in the hidden layer",
        "softmax is applied in the hidden layer.",
        "The hidden layer uses the sigmoid; only the output uses softmax.",
        lambda p, x: _softmax_hidden(p, x),
    ),
    Suspect(
        "softmax missing",
        "these are the logits: softmax is missing.",
        "Return softmax(a2), the probabilities.",
        lambda p, x: _forward(p, x, output=None),
    ),
    Suspect(
        "sigmoid at the output",
        "the output uses the sigmoid.",
        "Use softmax at the output.",
        lambda p, x: _forward(p, x, output="sigmoid"),
    ),
    Suspect(
        "wrong axis",
        "softmax runs over the images, not over the outputs.",
        "See that check_softmax passes for a batch.",
        lambda p, x: _forward(p, x, axis=0),
    ),
    Suspect(
        "whole batch",
        "softmax runs over the whole batch, not over each row.",
        "See that check_softmax passes for a batch.",
        lambda p, x: _forward(p, x, axis=None),
    ),
    Suspect(
        "W1 not transposed",
        "W1 is used the wrong way round.",
        "Each row of W1 belongs to a hidden unit: see which two axes must meet in the product.",
        lambda p, x: _forward(p | {"W1": p["W1"].T}, x),
    ),
    Suspect(
        "W2 not transposed",
        "W2 is used the wrong way round.",
        "Each row of W2 belongs to an output: see which two axes must meet in the product.",
        lambda p, x: _forward(p | {"W2": p["W2"].T}, x),
    ),
    Suspect(
        "weights not transposed",
        "W1 and W2 are used the wrong way round.",
        "Each row of W1 belongs to a hidden unit: see which two axes must meet in the product.",
        lambda p, x: _forward(p | {"W1": p["W1"].T, "W2": p["W2"].T}, x),
    ),
    Suspect(
        "digit returned",
        "the most probable digit is returned.",
        "Return all probabilities.",
        lambda p, x: _forward(p, x).argmax(axis=-1),
    ),
)
STALE = Cause(
    "earlier x",
    "the result is that of an earlier x.",
    "Compute everything anew in each call, from the x that is passed in.",
)


def _softmax_hidden(parameters: Mapping[str, Array], x: Array) -> Array:
    import torch
    from torch.nn.functional import linear

    tensor = {name: torch.tensor(values) for name, values in parameters.items()}
    hidden = linear(torch.tensor(x), tensor["W1"], tensor["b1"]).softmax(dim=-1)
    return linear(hidden, tensor["W2"], tensor["b2"]).softmax(dim=-1).numpy()


@check(FORWARD)
def check_forward(MLP: Callable[..., Network], *, seed: int = 0) -> Iterator[Verdict]:
    """Compare `MLP.forward` with the same layers in PyTorch, on single images and on batches."""
    rng = np.random.default_rng(seed)
    for part, batch in (("one image", ()), ("a batch", (BATCH,))):
        sizes = random_sizes(seed)
        network = random_network(FORWARD, MLP, sizes, seed)
        parameters = read_parameters(network)
        first, x = rng.uniform(0, 1, (2, *batch, sizes[0]))
        try:
            ask(f"forward(x) for {part}", network.forward, first.copy())
            given = x.copy()
            value = ask(f"forward(x) for {part}", network.forward, given)
        except StudentError as error:
            yield _forward_error(MLP, error, batch, seed)
            return
        if not np.array_equal(given, x):
            yield FORWARD.wrong("x, after forward(x)", describe(given), describe(x), INPUT_CHANGED)
        stale = Suspect(*STALE, lambda p, x, first=first: _forward(p, first))
        wanted = _forward(parameters, x)
        yield FORWARD.judge(part, value, wanted, (*FORWARD_SUSPECTS, stale), parameters, x)


def _forward_error(
    make: Callable[..., Network], error: StudentError, batch: tuple[int, ...], seed: int
) -> Verdict:
    """Look for the cause of an exception in a network of equal layers, where any shapes fit."""
    network = random_network(FORWARD, make, (4, 4, 4), seed)
    parameters = read_parameters(network)
    x = np.random.default_rng(seed).uniform(0, 1, (*batch, 4))
    try:
        value = FORWARD.numbers("forward", ask("forward(x)", network.forward, x.copy()))
    except StudentError:
        return FORWARD.error(error)
    return FORWARD.error(error, find_cause(value, FORWARD_SUSPECTS, parameters, x) or RAISED)


# reset_grad and update_params

NO_RESET = Cause(
    "not reset", "reset_grad leaves this gradient as it was.", "Set all four gradients to zero."
)
RESETS_PARAMETERS = Cause(
    "parameters reset",
    "reset_grad changed the parameter itself.",
    "Give zeros to the gradient (`W1_grad`), not to the parameter (`W1`).",
)
SHARED_ARRAY = Cause(
    "shared array",
    "two gradients are one and the same array.",
    "Make an array of zeros for each gradient.",
)
STEP = "See in the section which way a step goes, and how long it is."
# From a parameter p, its right step d and the learning rate.
STEPS: Suspects = (
    Suspect("plus", "the step goes uphill: the sign is wrong.", STEP, lambda p, d, lr: p - d),
    Suspect("not updated", "this parameter is not updated.", STEP, lambda p, d, lr: p),
    Suspect("lr ignored", "the learning rate is not used.", STEP, lambda p, d, lr: p + d / lr),
    Suspect("twice", "the step is taken twice.", STEP, lambda p, d, lr: p + 2 * d),
    Suspect(
        "parameter lost",
        "the old value is lost, as by `=-` in place of `-=`.",
        STEP,
        lambda p, d, lr: d,
    ),
    Suspect("lr divides", "the gradient is divided by lr.", STEP, lambda p, d, lr: p + d / lr**2),
)


@check(UPDATE_PARAMS, goes_on=True)
def check_update_params(MLP: Callable[..., Network], *, seed: int = 0) -> Iterator[Verdict]:
    """See that reset_grad zeroes all gradients, and update_params(lr) takes one step downhill."""
    sizes = random_sizes(seed)
    faults = list(
        _reset_faults(random_network(UPDATE_PARAMS, MLP, sizes, seed), np.random.default_rng(seed))
    )
    yield from faults or [UPDATE_PARAMS.right("reset_grad")]
    network = random_network(UPDATE_PARAMS, MLP, sizes, seed)
    for part, lr in (("one step", 0.3), ("another step", 0.07)):
        before = read_parameters(network)
        gradients = _set_random_gradients(network, np.random.default_rng(seed + 1))
        ask(f"update_params({lr}) for {part}", network.update_params, lr)
        after = read_parameters(network)
        for name in PARAMETERS:
            start, end = before[name], after[name]
            wanted = _descended(start, gradients[name], lr)
            suspects = (*STEPS, _other_length(start, wanted - start, end, lr))
            title = name if part == "one step" else f"{name}, {part}"
            verdict = UPDATE_PARAMS.judge(title, end, wanted, suspects, start, wanted - start, lr)
            if part == "one step" or not verdict.passed:
                yield verdict


def _other_length(start: Array, step: Array, end: Array, lr: float) -> Suspect:
    """Suspect a step of another length, the one that the first number took."""
    with np.errstate(all="ignore"):  # what came may be anything
        factor = ((end - start) / step).flat[0]
    likely = f"the step is {abs(factor * lr):.4g} times the gradient: lr is not used as it is."
    return Suspect("lr ignored", likely, STEP, lambda p, d, lr: p + factor * d)


def _descended(parameter: Array, gradient: Array, lr: float) -> Array:
    """Return `parameter` after one step downhill, by PyTorch."""
    import torch

    return torch.add(torch.tensor(parameter), torch.tensor(gradient), alpha=-lr).numpy()


def _set_random_gradients(network: Network, rng: np.random.Generator) -> dict[str, Array]:
    for name, values in read_parameters(network).items():
        setattr(network, f"{name}_grad", rng.normal(0, 1, values.shape))
    return read_gradients(network)


def _reset_faults(network: Network, rng: np.random.Generator) -> Iterator[Verdict]:
    """Yield what is wrong with reset_grad."""
    gradients, parameters = _set_random_gradients(network, rng), read_parameters(network)
    ask("reset_grad()", network.reset_grad)
    all_zero = True
    for name in PARAMETERS:
        part = f"{name}_grad, after reset_grad"
        found = UPDATE_PARAMS.attribute(network, f"{name}_grad")
        wanted = np.zeros(parameters[name].shape)
        suspects = (Suspect(*NO_RESET, lambda gradient: gradient),)
        verdict = UPDATE_PARAMS.judge(part, found, wanted, suspects, gradients[name])
        if not verdict.passed:
            all_zero = False
            yield verdict
        yield from _reset_touched(network, name, parameters[name])
    if all_zero:
        yield from _shared_arrays(network)


def _reset_touched(network: Network, name: str, before: Array) -> Iterator[Verdict]:
    now = UPDATE_PARAMS.numbers(name, getattr(network, name))
    if not np.array_equal(now, before):
        yield UPDATE_PARAMS.wrong(
            f"{name}, after reset_grad", describe(now), describe(before), RESETS_PARAMETERS
        )


def _shared_arrays(network: Network) -> Iterator[Verdict]:
    """See that adding to one gradient leaves the others at zero."""
    for name in PARAMETERS:
        gradient = getattr(network, f"{name}_grad")
        gradient[...] += 1
        others = [getattr(network, f"{other}_grad") for other in PARAMETERS if other != name]
        if any(np.asarray(other).any() for other in others):
            yield UPDATE_PARAMS.wrong(
                f"{name}_grad, after reset_grad", "another one changes with it.", "its own array.",
                SHARED_ARRAY,
            )  # fmt: skip
            return
        gradient[...] -= 1


# saving and loading


class Parameters(Spy):
    """A network for saving and loading: the four parameters and their gradients, nothing else."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shapes = {"W1": (4, 4), "b1": (4,), "W2": (4, 4), "b2": (4,)}
        for name, shape in shapes.items():
            setattr(self, name, rng.normal(0, 1, shape).astype(np.float32))
            setattr(self, f"{name}_grad", rng.normal(0, 1, shape).astype(np.float32))
        self.dtype = np.dtype(np.float32)


FILES_MISSING = Cause(
    "files missing",
    "the files have other names, lie elsewhere, or were not written.",
    'Write `f"{filename_prefix}_{name}.npy"` for each of W1, b1, W2 and b2.',
)
NOT_LOADED = Cause(
    "not assigned",
    "load_weights reads the file and doesn't give its numbers to the network.",
    "Assign what np.load returns to the network's attribute.",
)
ROUNDED_NUMBERS = Cause(
    "rounded", "digits were lost, as in a text file.", "Use np.save, which keeps every digit."
)
GRADIENT_SAVED = Cause(
    "gradients saved",
    "the gradient was saved in place of the parameter.",
    "Save `W1`, not `W1_grad`.",
)
MIXED_UP = Cause(
    "mixed up",
    "the parameters are mixed up: one is read into the place of another.",
    "See which name each file is written under, and which it is read from.",
)
PREFIX_IGNORED = Cause(
    "prefix ignored",
    "the file names don't depend on the prefix, so one network overwrites another.",
    "Build each file's name from the argument filename_prefix.",
)


@check(SAVING)
def check_saving(
    save_weights: Callable[[Any, Any], None],
    load_weights: Callable[[Any, Any], None],
    *,
    seed: int = 0,
) -> Iterator[Verdict]:
    """Save two networks and read them back; every digit must return to its place."""
    with tempfile.TemporaryDirectory() as folder:
        networks = {name: Parameters(seed + k) for k, name in enumerate(("first", "second"))}
        for name, network in networks.items():
            ask("save_weights(network, prefix)", save_weights, network, str(Path(folder, name)))
        yield from _files(Path(folder))
        for name, network in networks.items():
            fresh = Parameters(seed + 2)
            ask("load_weights(network, prefix)", load_weights, fresh, str(Path(folder, name)))
            other = networks["second" if name == "first" else "first"]
            wrong = [
                verdict
                for parameter in PARAMETERS
                if not (
                    verdict := _read_back(name, parameter, (fresh, network, other), seed)
                ).passed
            ]
            yield from wrong or [SAVING.right(f"{name} network")]


def _files(folder: Path) -> Iterator[Verdict]:
    found = {path.name for path in folder.iterdir()}
    wanted = {f"{prefix}_{name}.npy" for prefix in ("first", "second") for name in PARAMETERS}
    if wanted <= found:
        yield SAVING.right("files")
        return
    yield SAVING.wrong(
        "files",
        f"{', '.join(sorted(found)) or 'none'}, for the prefixes first and second.",
        f"{', '.join(sorted(wanted))}.",
        FILES_MISSING,
    )


def _read_back(
    prefix: str, name: str, networks: tuple[Parameters, Parameters, Parameters], seed: int
) -> Verdict:
    """Judge one parameter that was read back: of `networks` the fresh one, the saved, another."""
    fresh, saved, other = networks
    part = f"{name} of the {prefix} network"
    found, wanted = SAVING.numbers(part, getattr(fresh, name)), getattr(saved, name)
    if np.array_equal(found, wanted):
        return SAVING.right(part)
    suspects = {
        NOT_LOADED: getattr(Parameters(seed + 2), name),
        GRADIENT_SAVED: getattr(saved, f"{name}_grad"),
        PREFIX_IGNORED: getattr(other, name),
    }
    causes = [cause for cause, values in suspects.items() if np.array_equal(found, values)]
    if any(np.array_equal(found, getattr(saved, each)) for each in PARAMETERS):
        causes.append(MIXED_UP)
    if distance(found, wanted) < 1e-2:
        causes.append(ROUNDED_NUMBERS)
    return SAVING.wrong(part, describe(found), describe(wanted), (*causes, UNKNOWN)[0])
