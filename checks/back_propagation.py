"""The check of `update_grad`: observations of small random networks, and what they tell."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from checks.asking import Halt, StudentError, ask
from checks.check import check
from checks.comparison import CLOSE, EXACT, Array, closeness, describe, distance
from checks.contract import SIZE_KEPT
from checks.detective import Graph, Observation, explain
from checks.facts import relation
from checks.faults import UNKNOWN, Fault, Sample, asked_why
from checks.functions import EQUAL_SIZES, MANY_ROWS
from checks.gradients import PARAMETERS, Gradients, Network, read_parameters
from checks.small_networks import (
    BATCH,
    layers,
    random_images,
    random_network,
    random_parameters,
    random_sizes,
)
from checks.verdicts import Exercise, Verdict

UPDATE_GRAD = Exercise("update_grad")

FLOAT32 = Fault(
    "float32", "numbers were cut to 32 bits on the way, though the network has 64.",
    "Print the dtype of each array in update_grad and reset_grad: all must be float64.",
)  # fmt: skip
EARLIER = Fault(
    "earlier exercise", "the network's forward pass is not right, so its gradients cannot be "
    "judged yet.", "See that check_forward passes, then run this check again.",
)  # fmt: skip
PARAMETERS_CHANGED = Fault(
    "W2 updated first", "update_grad changed the parameters themselves.",
    "Leave the parameters alone in update_grad; update_params takes the step.",
)  # fmt: skip
IN_PLACE = Fault(
    "changed in place", "update_grad changed an array that it was only to read, by `-=`, `*=` or "
    "`[...] =`.", "Make a new array instead: `c = a - b` rather than `a -= b`.",
)  # fmt: skip
SECOND_CALL = Fault(
    "property",
    "a second call doesn't add what the first one added, though nothing happened in between.",
    "See what in update_grad depends on what is in the gradients already, or on other calls.",
)


KEPT = ("a1", "z1", "a2", "y_hat")


def _kept_changed(name: str) -> Fault:
    """Return the fault of overwriting what forward keeps as `name`."""
    likely = f"update_grad overwrites what forward keeps as {name}, so a second call goes wrong."
    step = f"Give what is computed here a name of its own, without `self.`; leave self.{name}."
    return Fault("changed in place", likely, step)


SERIES = {"{}": 1, "{} after another": 1, "twice {}": 2}  # passes after each reset_grad()
LAST_OF_SERIES = [("twice {}", 2)]  # is enough to see whether a change mends it


class Laboratory:
    """Makes observations of the student's class.

    If gradients may take `any_shape`, they start as the plain number 0.0: `+=` accepts every shape
    then, and shows which one came.
    """

    def __init__(self, make: Callable[..., Network], seed: int, any_shape: bool = False) -> None:
        self.make, self.seed, self.sizes = make, seed, random_sizes(seed)
        self.any_shape = any_shape

    def observe(self) -> tuple[list[Observation], list[StudentError]]:
        """Return observations of single images and of batches, and what was raised on the way."""
        observations, errors = [], []
        for kind, batch in (("one image", ()), ("a batch", (BATCH,))):
            try:
                for observation in self._series(kind, batch):
                    observations.append(observation)
            except StudentError as error:
                errors.append(error)
        return observations, errors

    def _series(self, kind: str, batch: tuple[int, ...]) -> Iterator[Observation]:
        network = random_network(UPDATE_GRAD, self.make, self.sizes, self.seed)
        parameters = random_parameters(self.sizes, self.seed)
        rng = np.random.default_rng([self.seed, len(batch)])
        passes: list[Graph] = []
        for words, n_passes in SERIES.items() if asked_why() else LAST_OF_SERIES:
            name = words.format(kind)
            start = len(passes)
            ask("reset_grad()", network.reset_grad)
            for parameter in PARAMETERS if self.any_shape else ():
                setattr(network, f"{parameter}_grad", 0.0)
            for _ in range(n_passes):
                x, y = random_images(self.sizes, batch, rng)
                ask(f"forward(x) for {name}", network.forward, x.copy())
                passes.append(graph_of(parameters, x, y))
                parameters = read_parameters(network)
                ask(f"update_grad(y) for {name}", network.update_grad, y.copy())
                _unchanged(read_parameters(network), parameters, PARAMETERS_CHANGED)
            yield Observation(name, list(passes), start, _read(network))


def graph_of(parameters: dict[str, Array], x: Array, y: Array) -> Graph:
    """Return the Graph of one pass, the same one for the same numbers."""
    key = b"".join(a.tobytes() for a in (*parameters.values(), x, y))
    if key not in _GRAPHS:
        if len(_GRAPHS) > 200:
            _GRAPHS.clear()
        _GRAPHS[key] = Graph(parameters, x, y)
    return _GRAPHS[key]


_GRAPHS: dict[bytes, Graph] = {}


def _read(network: Network) -> Gradients:
    return {name: UPDATE_GRAD.attribute(network, f"{name}_grad") for name in PARAMETERS}


@check(UPDATE_GRAD, goes_on=True)
def check_update_grad(MLP: Callable[..., Network], *, seed: int = 0) -> Iterator[Verdict]:
    """Compare `MLP.update_grad` with the gradients of autograd.

    Small random networks are fed single images, batches, and several of them in a row.
    """
    if asked_why():
        _require_forward(MLP, seed)
    observations, errors = Laboratory(MLP, seed).observe()
    verdicts = list(_verdicts(observations)) if observations else []
    yield from verdicts
    if errors:
        yield _error_verdict(MLP, seed, errors[0])
    elif all(verdict.passed for verdict in verdicts):
        _side_effects(MLP, seed)
        _other_batches(MLP, seed)


def _require_forward(make: Callable[..., Network], seed: int) -> None:
    """End the check if forward is not right: then nothing can be said of gradients."""
    sizes = random_sizes(seed)
    network = random_network(UPDATE_GRAD, make, sizes, seed)
    for kind, batch in (("one image", ()), ("a batch", (2,))):
        x, _ = random_images(sizes, batch, np.random.default_rng(seed))
        try:
            y_hat = ask(f"forward(x) for {kind}", network.forward, x.copy())
        except StudentError as error:
            raise Halt(UPDATE_GRAD.error(error, EARLIER)) from error
        found = UPDATE_GRAD.numbers("forward", y_hat)
        if found.dtype == np.float32:
            came = f"{found.dtype} from forward, for {kind}."
            UPDATE_GRAD.halt("forward", came, "float64, as the network has.", FLOAT32)
        wanted = layers(random_parameters(sizes, seed), x)["y_hat"]
        if not distance(found, wanted) < CLOSE:
            UPDATE_GRAD.halt(f"forward, {kind}", describe(found), describe(wanted), EARLIER)


def _off(name: str, observations: Iterable[Observation]) -> float:
    """Return the greatest distance of a parameter's gradients from the true ones."""
    return max(distance(seen.found[name], seen.true[name]) for seen in observations)


def _verdicts(observations: list[Observation]) -> Iterator[Verdict]:
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
            yield from (
                replace(verdict, part=f"{name}_grad, {kind}", heading=f"{name}_grad")
                for kind in seen_kinds
            )
        else:
            for kind, seen in seen_kinds.items():
                of_kind = _explain([name], seen, {name: _off(name, seen)})
                yield _verdict(name, f"{name}_grad, {kind}", seen, of_kind)


def _verdict(
    name: str, part: str, observations: list[Observation], explained: dict[str, tuple[Fault, ...]]
) -> Verdict:
    """Judge a gradient; describe a wrong one by the first observation that shows it."""
    difference = _off(name, observations)
    if difference < 1e-9:
        return UPDATE_GRAD.right(part, closeness(difference))
    seen = max(observations, key=lambda s: distance(s.found[name], s.true[name]) > EXACT)
    faults = explained.get(name) or (_layer_fact(name, observations),)
    likely = " Besides, ".join(fault.likely for fault in faults)
    return UPDATE_GRAD.wrong(
        part,
        f"for {seen.name}: {describe(seen.found[name])}",
        describe(seen.true[name]),
        Fault(faults[0].key, likely, faults[0].step),
        closeness(difference),
    )


def _layer_fact(name: str, observations: list[Observation]) -> Fault:
    """Say of wrong gradients of a layer whether they fit each other: then it is its delta."""
    layer = name[-1]
    single = [seen for seen in observations if len(seen.passes) == seen.start + 1]
    single = [seen for seen in single if len(seen.passes[-1].x) == 1]
    for seen in single:
        delta, graph = seen.found[f"b{layer}"], seen.passes[-1]
        fits = np.outer(delta, graph.x if layer == "1" else graph.z1)
        right = _off(f"b{layer}", [seen]) < 1e-9
        if right or not distance(seen.found[f"W{layer}"], fits) < 1e-9:
            return UNKNOWN
    if not single:
        return UNKNOWN
    likely = (
        f"W{layer}_grad and b{layer}_grad fit each other: both come of one delta{layer}, which is "
        "not the right one."
    )
    first = "1" if _off("b2", single) < 1e-9 else "2"  # what goes back begins with delta2
    return Fault("delta", likely, f"Look at the line that computes delta{first}.")


def _explain(
    wrong: list[str], observations: list[Observation], differences: Gradients | dict[str, float]
) -> dict[str, tuple[Fault, ...]]:
    if not asked_why():
        return {}
    rough = [name for name in wrong if differences[name] > 1e-5]
    simple: dict[str, tuple[Fault, ...]] = {name: (FLOAT32,) for name in wrong if name not in rough}
    for name in rough:
        pairs = [(seen.found[name], seen.true[name]) for seen in observations]
        if all(f.shape != t.shape and distance(f.ravel(), t.ravel()) < CLOSE for f, t in pairs):
            samples = [Sample(*pair, ()) for pair in pairs]
            simple[name] = (relation(samples) or UNKNOWN,)
    rest = [name for name in rough if name not in simple]
    return simple | (explain(rest, observations) if rest else {})


def _error_verdict(make: Callable[..., Network], seed: int, error: StudentError) -> Verdict:
    """Look for the cause of an exception where gradients may take any shape."""
    if asked_why():
        seen, _ = Laboratory(make, seed, any_shape=True).observe()
        off = {name: _off(name, seen) for name in PARAMETERS if seen}
        wrong = [name for name in off if off[name] > EXACT]
        for causes in _explain(wrong, seen, off).values() if wrong else ():
            return UPDATE_GRAD.error(error, causes[0])
    return UPDATE_GRAD.error(error)


N_THRICE = 3401  # which make a larger batch than the parts into which one is usually cut
BY_SIZE = Fault(
    "property",
    "all is right until a batch has as many images as there are digits: then something is taken "
    "for something else by its size.",
    "Tell one image from a batch by its number of axes, and give each axis by its number.",
)
SURE = Fault(
    "property",
    "all is right until the network is very sure of its digits: then the gradients are others.",
    "Let every image count, however sure the network is.",
)
MANY_IMAGES = Fault(
    "property",
    f"small batches of images that differ are right, and a batch of {3 * N_THRICE} images, each of "
    "which comes three times, is not.",
    "Let every row of the batch count, also the last ones and those that are equal.",
)
READ_RIGHTLY = Fault(
    "property",
    "all is right until every image of a batch is read correctly: then the gradients are others.",
    "Every image has its gradient, also one that is read correctly: y_hat - y is not 0 there.",
)


IN_TURN = "after a batch of another size"
ONE_UNIT = Fault(
    "property",
    "all is right until there is one hidden unit alone: then an axis of length 1 is lost, or taken "
    "for another.",
    "Tell one image from a batch by its number of axes, and drop no axis by `squeeze`.",
)
ONE_ROW = Fault(
    "property", "all is right but for a batch of one image: its rows (1, n) are not one image "
    "(n,).", "Find the line that drops an axis of length 1, or takes one row for no batch.",
)  # fmt: skip


def _other_batches(make: Callable[..., Network], seed: int) -> None:
    """See that a batch of which all images are read correctly, or of one, has its gradients."""
    sizes, rng = random_sizes(seed), np.random.default_rng(seed)
    parameters = random_parameters(sizes, seed)
    compared = partial(_compared, make, parameters)
    x, y = random_images(sizes, (BATCH,), rng)
    compared(x[:1], y[:1], "a batch of one", ONE_ROW)
    best = np.eye(sizes[2])[layers(parameters, x)["y_hat"].argmax(axis=-1)]
    compared(x, best, "all read correctly", READ_RIGHTLY)
    sure = parameters | {name: 6 * parameters[name] for name in ("W2", "b2")}
    _compared(make, sure, x, y, "of a network that is very sure", SURE)
    x, y = (np.repeat(values, 3, axis=0) for values in random_images(sizes, (N_THRICE,), rng))
    compared(x, y, MANY_ROWS, MANY_IMAGES)
    network = random_network(UPDATE_GRAD, make, sizes, seed)
    same = partial(_compared, lambda *_, **__: network, parameters)
    for n in (5, 2, 9):
        _or_error(partial(same, *random_images(sizes, (n,), rng)), IN_TURN, SIZE_KEPT)
    for others, words, fault in (
        ((4, 4, 4), EQUAL_SIZES, BY_SIZE), ((5, 1, 3), "with one hidden unit", ONE_UNIT)
    ):  # fmt: skip
        of_others = partial(_compared, make, random_parameters(others, seed))
        _or_error(partial(of_others, *random_images(others, (4,), rng)), words, fault)


def _or_error(compared: Callable[[str, Fault], None], words: str, fault: Fault) -> None:
    """Compare gradients, of which an exception is the same fault as wrong numbers are."""
    try:
        compared(words, fault)
    except StudentError as error:
        UPDATE_GRAD.halt(words, f"{error}.", "a result, no exception.", fault)


def _compared(
    make: Callable[..., Network], parameters: dict[str, Array], x: Array, y: Array, words: str,
    fault: Fault,
) -> None:  # fmt: skip
    """End the check with the first wrong gradient of a batch."""
    sizes = (x.shape[1], len(parameters["b1"]), y.shape[1])
    network = random_network(UPDATE_GRAD, make, sizes, 0)
    for name, values in parameters.items():
        setattr(network, name, values.copy())
    ask("reset_grad()", network.reset_grad)
    ask(f"forward(x), {words}", network.forward, x.copy())
    ask(f"update_grad(y), {words}", network.update_grad, y.copy())
    seen = Observation("a batch", [graph_of(parameters, x, y)], 0, _read(network))
    for name in PARAMETERS:
        if not distance(seen.found[name], seen.true[name]) < 1e-9:
            told = describe(seen.found[name]), describe(seen.true[name])
            UPDATE_GRAD.halt(f"{name}_grad, {words}", *told, fault)


def _side_effects(make: Callable[..., Network], seed: int) -> None:
    """See that update_grad leaves alone what it only reads, also when it is called twice."""
    sizes = random_sizes(seed)
    for batch in ((), (BATCH,)):
        network = random_network(UPDATE_GRAD, make, sizes, seed)
        x, y = random_images(sizes, batch, np.random.default_rng(seed + 1))
        network.reset_grad()
        y_hat = ask("forward(x)", network.forward, x)
        forwarded = {name: np.array(getattr(network, name, 0)) for name in KEPT}
        kept = {"x": x.copy(), "y": y.copy(), "y_hat": np.array(y_hat)}
        ask("update_grad(y)", network.update_grad, y)
        _unchanged({"x": x, "y": y, "y_hat": np.asarray(y_hat)}, kept, IN_PLACE)
        once, changed = _read(network), _overwritten(network, forwarded)
        ask("update_grad(y) for the second time", network.update_grad, kept["y"])
        half = {name: gradient / 2 for name, gradient in _read(network).items()}
        fault = _kept_changed(changed) if changed else SECOND_CALL
        _unchanged(half, once, fault, "{}_grad / 2, after two calls")


def _overwritten(network: Network, before: Gradients) -> str:
    """Return the first attribute that forward kept and that holds other numbers now."""
    now = {name: np.asarray(getattr(network, name, None)) for name in before}
    return next((n for n in before if not np.array_equal(now[n].ravel(), before[n].ravel())), "")


def _unchanged(
    found: Gradients, wanted: Gradients, fault: Fault, title: str = "{}, after update_grad"
) -> None:
    """End the check with the first array that update_grad left as it should not be."""
    for name, values in wanted.items():
        if not distance(found[name], values) < 1e-9:
            part = title.format(name)
            UPDATE_GRAD.halt(part, describe(found[name]), describe(values), fault)
