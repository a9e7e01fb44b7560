"""The check of `update_grad`: observations of small random networks, and what they tell."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from checks.gradients import (
    PARAMETERS,
    Gradients,
    Network,
    autograd_gradients,
    numerical_gradients,
    read_parameters,
)
from checks.verdicts import (
    EXACT,
    UNKNOWN,
    Array,
    Exercise,
    Fault,
    Halt,
    StudentError,
    Verdict,
    ask,
    check,
    closeness,
    describe,
    distance,
)

if TYPE_CHECKING:
    from checks.detective import Observation

UPDATE_GRAD = Exercise("update_grad")

FLOAT32 = Fault(
    "float32",
    "numbers were cut to 32 bits on the way, though the network has 64.",
    "Print the dtype of each array in update_grad and reset_grad: all must be float64.",
)
EARLIER = Fault(
    "earlier exercise",
    "the network's forward pass or loss differs, so its gradients cannot be judged yet.",
    "See that check_forward and check_cross_entropy pass, then run this check again.",
)
SINGLE_ONLY = Fault(
    "single images only",
    "single images work and a batch doesn't: the formulas are written for one image.",
    'Look at "From the logits to the weights", last paragraph: it writes them for a batch.',
)
BATCH_ONLY = Fault(
    "batches only",
    "batches work and a single image doesn't: the formulas are written for rows of a matrix.",
    "Make a batch of one of it first: np.atleast_2d(x) is (1, 784).",
)
PARAMETERS_CHANGED = Fault(
    "W2 updated first",
    "update_grad changed the parameters themselves.",
    "Leave the parameters alone in update_grad; update_params takes the step.",
)
IN_PLACE = Fault(
    "changed in place",
    "update_grad changed an array that it was only to read, by `-=`, `*=` or `[...] =`.",
    "Make a new array instead: `c = a - b` rather than `a -= b`.",
)


NOT_HELD = Fault(
    "assignment ignored",
    "the network gives back other numbers than were assigned to its attribute.",
    "Keep W1, b1, W2 and b2 as plain attributes.",
)


class Level(NamedTuple):
    """How an observation is made: whether gradients may take any shape, and layers are all alike.

    Where any shape goes, the gradients start as the plain number 0.0, so that `+=` accepts every
    shape and shows which one came. Layers of one size let any matrix product through.
    """

    any_shape: bool
    square: bool


STRICT = Level(any_shape=False, square=False)
FREE = (Level(any_shape=True, square=False), Level(any_shape=True, square=True))
BATCH = 7  # unlike any layer size, so that no axis is taken for another


def random_sizes(seed: int) -> tuple[int, int, int]:
    """Return three different small layer sizes."""
    n_in, n_hidden, n_out = np.random.default_rng(seed).permutation([3, 4, 5, 6])[:3].tolist()
    return n_in, n_hidden, n_out


def random_parameters(sizes: tuple[int, int, int], seed: int) -> dict[str, Array]:
    """Return weights and biases of a network of these sizes, in float64."""
    n_in, n_hidden, n_out = sizes
    rng = np.random.default_rng(seed)
    return {
        "W1": rng.normal(0, 0.5, (n_hidden, n_in)), "b1": rng.normal(0, 1, n_hidden),
        "W2": rng.normal(0, 1.5, (n_out, n_hidden)), "b2": rng.normal(0, 1, n_out),
    }  # fmt: skip


def random_network(
    exercise: Exercise, make: Callable[..., Network], sizes: tuple[int, int, int], seed: int
) -> Network:
    """Return the student's network of these sizes, with the random_parameters of this seed.

    Ends the check if the network holds others: all that follows is compared with these.
    """
    n_in, n_hidden, n_out = sizes
    network: Network = ask(
        f"MLP({n_in}, {n_hidden}, {n_out}, seed=0, dtype=np.float64)",
        make, n_in, n_hidden, n_out, seed=0, dtype=np.float64,
    )  # fmt: skip
    for name, values in random_parameters(sizes, seed).items():
        exercise.attribute(network, name)
        setattr(network, name, values.copy())
        if not np.array_equal(found := exercise.attribute(network, name), values):
            exercise.halt(name, describe(found), describe(values), NOT_HELD)
    return network


def random_images(
    sizes: tuple[int, int, int], batch: tuple[int, ...], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return random inputs (n,) or (B, n) and one-hot targets; `batch` is () or (B,)."""
    x = rng.uniform(0, 3, (*batch, sizes[0]))
    return x, np.eye(sizes[2])[rng.integers(sizes[2], size=batch)]


class Laboratory:
    """Makes observations of the student's class at one level."""

    def __init__(self, make: Callable[..., Network], level: Level, seed: int) -> None:
        self.make, self.level, self.seed = make, level, seed
        self.sizes = (4, 4, 4) if level.square else random_sizes(seed)

    def observe(self) -> tuple["list[Observation]", list[StudentError]]:
        """Return observations of single images and of batches, and what was raised on the way."""
        observations, errors = [], []
        for kind, batch in (("one image", ()), ("a batch", (BATCH,))):
            try:
                for observation in self._series(kind, batch):
                    observations.append(observation)
            except StudentError as error:
                errors.append(error)
        return observations, errors

    def _series(self, kind: str, batch: tuple[int, ...]) -> "Iterator[Observation]":
        from checks.detective import Graph, Observation  # PyTorch is wanted only from here on

        network = random_network(UPDATE_GRAD, self.make, self.sizes, self.seed)
        parameters = random_parameters(self.sizes, self.seed)
        rng = np.random.default_rng([self.seed, len(batch)])
        passes: list[Graph] = []
        for name, n_passes in ((kind, 1), (f"{kind} after another", 1), (f"twice {kind}", 2)):
            start = len(passes)
            self._reset(network)
            for _ in range(n_passes):
                x, y = random_images(self.sizes, batch, rng)
                before = parameters
                ask(f"forward(x) for {name}", network.forward, x.copy())
                ask(f"update_grad(y) for {name}", network.update_grad, y.copy())
                parameters = read_parameters(network)  # others than before only by a fault
                passes.append(Graph(before, x, y, parameters["W2"]))
            yield Observation(name, list(passes), start, _read(network))

    def _reset(self, network: Network) -> None:
        ask("reset_grad()", network.reset_grad)
        if self.level.any_shape:
            for name in PARAMETERS:
                setattr(network, f"{name}_grad", 0.0)


def _read(network: Network) -> Gradients:
    return {name: UPDATE_GRAD.attribute(network, f"{name}_grad") for name in PARAMETERS}


@check(UPDATE_GRAD, goes_on=True)
def check_update_grad(MLP: Callable[..., Network], *, seed: int = 0) -> Iterator[Verdict]:
    """Compare `MLP.update_grad` with central differences and with autograd.

    Small random networks are fed single images, batches, and several of them in a row.
    """
    _require_forward_and_loss(MLP, seed)
    observations, errors = Laboratory(MLP, STRICT, seed).observe()
    verdicts = list(_verdicts(observations)) if observations else []
    yield from verdicts
    if errors:
        yield _error_verdict(MLP, seed, observations, errors)
    elif all(verdict.passed for verdict in verdicts):
        yield from _side_effects(MLP, seed)


def _require_forward_and_loss(make: Callable[..., Network], seed: int) -> None:
    """End the check if forward and loss are not right: then the two oracles differ."""
    sizes = random_sizes(seed)
    network = random_network(UPDATE_GRAD, make, sizes, seed)
    for kind, batch in (("one image", ()), ("a batch", (2,))):
        x, y = random_images(sizes, batch, np.random.default_rng(seed))
        y_hat = _ask_forward_and_loss(network, x, y, kind)
        if y_hat.dtype == np.float32:
            found = f"{y_hat.dtype} from forward, for {kind}."
            UPDATE_GRAD.halt("forward", found, "float64, as the network has.", FLOAT32)
        oracle = autograd_gradients(network, x, y)
        numerical = ask("loss(y) after forward(x)", numerical_gradients, network, x, y)
        difference = max(distance(numerical[name], oracle[name]) for name in PARAMETERS)
        if not difference < 1e-5:
            UPDATE_GRAD.halt(
                f"forward and loss, {kind}",
                f"central differences of the loss lie {difference:.1e} off PyTorch's gradients.",
                "both the same, as for the network in the notebook.",
                EARLIER,
            )


def _ask_forward_and_loss(network: Network, x: Array, y: Array, kind: str) -> Array:
    try:
        y_hat = ask(f"forward(x) for {kind}", network.forward, x.copy())
        ask(f"loss(y) for {kind}", network.loss, y.copy())
    except StudentError as error:
        raise Halt(UPDATE_GRAD.error(error, EARLIER)) from error
    return UPDATE_GRAD.numbers("forward", y_hat)


def _off(name: str, observations: "Iterable[Observation]") -> float:
    """Return the greatest distance of a parameter's gradients from the true ones."""
    return max(distance(seen.found[name], seen.true[name]) for seen in observations)


def _verdicts(observations: "list[Observation]") -> Iterator[Verdict]:
    """Yield a verdict for each parameter and kind of input that was observed."""
    differences = {name: _off(name, observations) for name in PARAMETERS}
    wrong = [name for name in PARAMETERS if not differences[name] < 1e-9]
    explained = _explain(wrong, observations, differences)
    for name in PARAMETERS:
        kinds = {
            kind: [seen for seen in observations if kind in seen.name]
            for kind in ("one image", "a batch")
        }
        seen_kinds = {kind: seen for kind, seen in kinds.items() if seen}
        right = {kind: _off(name, seen) < 1e-9 for kind, seen in seen_kinds.items()}
        if len(set(right.values())) == 1:  # one message for both
            verdict = _verdict(name, f"{name}_grad", observations, explained)
            yield from (replace(verdict, part=f"{name}_grad, {kind}") for kind in seen_kinds)
        else:
            for kind, seen in seen_kinds.items():
                yield _verdict(name, f"{name}_grad, {kind}", seen, explained)


def _verdict(
    name: str,
    part: str,
    observations: "list[Observation]",
    explained: dict[str, tuple[Fault, ...]],
) -> Verdict:
    """Judge a gradient; describe a wrong one by the first observation that shows it."""
    difference = _off(name, observations)
    if difference < 1e-9:
        return UPDATE_GRAD.right(part, closeness(difference))
    seen = max(observations, key=lambda s: distance(s.found[name], s.true[name]) > EXACT)
    faults = explained.get(name, (UNKNOWN,))
    likely = " Besides, ".join(fault.likely for fault in faults)
    return UPDATE_GRAD.wrong(
        part,
        f"for {seen.name}: {describe(seen.found[name])}",
        f"{describe(seen.true[name])} Central differences and PyTorch agree on it.",
        Fault(faults[0].key, likely, faults[0].step),
        closeness(difference),
    )


def _explain(
    wrong: list[str], observations: "list[Observation]", differences: Gradients | dict[str, float]
) -> dict[str, tuple[Fault, ...]]:
    from checks.detective import explain

    rough = [name for name in wrong if differences[name] > 1e-5]
    rounded: dict[str, tuple[Fault, ...]] = {
        name: (FLOAT32,) for name in wrong if name not in rough
    }
    return rounded | (explain(rough, observations) if rough else {})


def _error_verdict(
    make: Callable[..., Network],
    seed: int,
    observations: "list[Observation]",
    errors: list[StudentError],
) -> Verdict:
    """Find the cause of an exception where shapes are free, so that the code runs through."""
    from checks.detective import explain

    for level in FREE:
        seen, _ = Laboratory(make, level, seed).observe()
        wrong = [
            name
            for name in PARAMETERS
            if any(distance(one.found[name], one.true[name]) > EXACT for one in seen)
        ]
        for causes in explain(wrong, seen).values() if wrong else ():
            return UPDATE_GRAD.error(errors[0], causes[0])
    kinds = {observation.name.split()[-1] for observation in observations}
    if len(errors) == 1 and observations:
        return UPDATE_GRAD.error(errors[0], BATCH_ONLY if "batch" in kinds else SINGLE_ONLY)
    return UPDATE_GRAD.error(errors[0])


def _side_effects(make: Callable[..., Network], seed: int) -> Iterator[Verdict]:
    """See that update_grad leaves alone what it only reads, also when it is called twice."""
    sizes = random_sizes(seed)
    for batch in ((), (BATCH,)):
        network = random_network(UPDATE_GRAD, make, sizes, seed)
        x, y = random_images(sizes, batch, np.random.default_rng(seed + 1))
        before = random_parameters(sizes, seed)
        network.reset_grad()
        y_hat = ask("forward(x)", network.forward, x)
        kept = {"x": x.copy(), "y": y.copy(), "y_hat": np.array(y_hat)}
        ask("update_grad(y)", network.update_grad, y)
        now = {"x": x, "y": y, "y_hat": np.asarray(y_hat)}
        yield from _changed("{}, after update_grad", now, kept, IN_PLACE)
        yield from _changed(
            "{}, after update_grad", read_parameters(network), before, PARAMETERS_CHANGED
        )
        twice = {name: 2 * gradient for name, gradient in _read(network).items()}
        ask("update_grad(y) for the second time", network.update_grad, kept["y"])
        yield from _changed("{}_grad, update_grad called twice", _read(network), twice, IN_PLACE)


def _changed(title: str, found: Gradients, wanted: Gradients, cause: Fault) -> Iterator[Verdict]:
    """Yield a verdict on the first array that is not as it should be."""
    for name, values in wanted.items():
        if not distance(found[name], values) < 1e-9:
            yield UPDATE_GRAD.wrong(
                title.format(name), describe(found[name]), describe(values), cause
            )
            return
