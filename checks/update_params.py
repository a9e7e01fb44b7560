"""The check of reset_grad and update_params."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from checks.asking import ask
from checks.check import Part, check
from checks.comparison import CLOSE, Array, compared, describe, distance
from checks.faults import UNKNOWN, Fault, Sample
from checks.gradients import PARAMETERS, Network, read_parameters
from checks.initialization import GRADIENT_TYPE, own_arrays
from checks.small_networks import (
    BATCH,
    random_network,
    random_parameters,
    random_sizes,
    right_forward,
    right_reset_grad,
    right_update_params,
)
from checks.verdicts import Exercise, Verdict

UPDATE_PARAMS = Exercise("update_params")

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
          or distance(found, p + d) < 1e-9),
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
    return list(own_arrays(UPDATE_PARAMS, network))


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
        yield from own_arrays(UPDATE_PARAMS, network)
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
