"""Cases that students never see, with inputs, weights and predictions of the marker's own choice.

The checks of the notebook read a student's weights back, and their spies follow a formula that
ships with them. Here nothing is taken from the student but results, so whoever passes has computed
them. Each part stands alone, for partial credit.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_softmax, softmax

from checks.back_propagation import UPDATE_GRAD
from checks.functions import CROSS_ENTROPY, SIGMOID, SOFTMAX
from checks.gradients import PARAMETERS, Gradients, Network, autograd_gradients
from checks.network import FORWARD, INITIALIZATION, UPDATE_PARAMS
from checks.spies import (
    DIGITS,
    FIRST_VALIDATION,
    SCALE,
    SpyNetwork,
    label_of,
    make_images,
    numbers_of,
)
from checks.training import ACCURACY, ONE_HOT, TEST_NETWORK, TRAIN_NETWORK
from checks.verdicts import RAISED, Array, Exercise, Halt, StudentError, Verdict, ask, quiet

Student = Mapping[str, Any]
Rng = np.random.Generator
Hidden = Callable[[Student, Rng], Iterator[Verdict]]
KINDS: tuple[tuple[str, tuple[int, ...]], ...] = (("one image", ()), ("a batch", (6,)))
SIZES = (9, 8, 7)


def judged(
    exercise: Exercise, part: str, result: Callable[[], Any], wanted: ArrayLike, near: float = 0
) -> Verdict:
    """Compare what `result()` gives with `wanted`, or up to `near`; an exception is wrong."""
    try:
        found = exercise.numbers(part, result())
        if near and found.shape == () and abs(float(found) - float(np.asarray(wanted))) <= near:
            return exercise.right(part)
        return exercise.judge(part, found, np.asarray(wanted), ())
    except Halt as halt:
        return replace(halt.verdict, part=part)
    except StudentError as error:
        return replace(exercise.error(error), part=part)
    except NotImplementedError as error:
        return replace(exercise.unfinished(error), part=part)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        return exercise.wrong(part, text, "a result as the docstring promises.", RAISED)


# functions


def hidden_sigmoid(student: Student, rng: Rng) -> Iterator[Verdict]:
    """Numbers in three axes, and large ones."""
    large = rng.choice([-1, 1], 9) * rng.uniform(720, 5000, 9)
    for part, a in (("three axes", rng.normal(0, 3, (2, 3, 4))), ("very large numbers", large)):
        yield judged(SIGMOID, part, _of("sigmoid(a)", student["sigmoid"], a), expit(a))


def _of(call: str, function: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    return lambda: ask(
        call, function, *(v.copy() if isinstance(v, np.ndarray) else v for v in args)
    )


def hidden_softmax(student: Student, rng: Rng) -> Iterator[Verdict]:
    """One row, a batch, and a batch that wants stabilisation."""
    cases = (
        ("one row", rng.normal(0, 2, DIGITS)),
        ("a batch of ten classes", rng.normal(0, 2, (6, DIGITS))),
        ("very large logits", rng.uniform(-5000, 5000, (4, DIGITS))),
    )
    for part, a in cases:
        wanted = softmax(a, axis=-1)
        yield judged(SOFTMAX, part, _of("softmax(a)", student["softmax"], a), wanted)


def hidden_cross_entropy(student: Student, rng: Rng) -> Iterator[Verdict]:
    """One image, a batch, and logits so large that a probability is 0."""
    for part, batch, scale in (
        ("one image of ten", (), 2), ("a batch of six", (6,), 2), ("very large logits", (5,), 4000)
    ):  # fmt: skip
        a, y = rng.normal(0, scale, (*batch, DIGITS)), _one_hot(rng, batch, DIGITS)
        wanted = -log_softmax(a, axis=-1)[y == 1].sum()
        call = _of("cross_entropy(a, y)", student["cross_entropy"], a, y)
        yield judged(CROSS_ENTROPY, part, call, wanted)


def _one_hot(rng: Rng, batch: tuple[int, ...], n: int) -> Array:
    return np.eye(n)[rng.integers(n, size=batch)]


# the network


def _parameters(rng: Rng) -> dict[str, Array]:
    n_in, n_hidden, n_out = SIZES
    return {
        "W1": rng.normal(0, 0.5, (n_hidden, n_in)), "b1": rng.normal(0, 1, n_hidden),
        "W2": rng.normal(0, 1, (n_out, n_hidden)), "b2": rng.normal(0, 1, n_out),
    }  # fmt: skip


def _network(student: Student, parameters: Mapping[str, Array], suffix: str = "") -> Any:
    """Return the student's network with these parameters, or gradients."""
    network = ask("MLP(…, dtype=np.float64)", student["MLP"], *SIZES, seed=1, dtype=np.float64)
    for name, values in parameters.items():
        setattr(network, name + suffix, values.copy())
    return network


def hidden_initialization(student: Student, rng: Rng) -> Iterator[Verdict]:
    """The sizes that the network has when nobody gives any."""

    def sizes() -> list[int]:
        network = ask("MLP()", student["MLP"])
        return [n for name in PARAMETERS for n in INITIALIZATION.attribute(network, name).shape]

    yield judged(INITIALIZATION, "default sizes", sizes, [64, 784, 64, 10, 64, 10])


def hidden_forward(student: Student, rng: Rng) -> Iterator[Verdict]:
    """One image, a batch, and a batch of one."""
    for part, batch in (*KINDS, ("a batch of one", (1,))):
        p, x = _parameters(rng), rng.uniform(0, 1, (*batch, SIZES[0]))
        wanted = softmax(expit(x @ p["W1"].T + p["b1"]) @ p["W2"].T + p["b2"], axis=-1)
        yield judged(FORWARD, part, partial(_forward, student, p, x), wanted)


def _forward(student: Student, parameters: Mapping[str, Array], x: Array) -> Any:
    return ask("forward(x)", _network(student, parameters).forward, x.copy())


def hidden_update_grad(student: Student, rng: Rng) -> Iterator[Verdict]:
    """Each parameter's gradient, of one image and of a batch."""
    for kind, batch in KINDS:
        p, x = _parameters(rng), rng.uniform(0, 1, (*batch, SIZES[0]))
        y = _one_hot(rng, batch, SIZES[2])
        wanted = autograd_gradients(cast(Network, SimpleNamespace(**p)), x, y)
        network = attempt(partial(_with_gradients, student, p, x, y))
        for name in PARAMETERS:
            found = partial(_attribute, UPDATE_GRAD, network, f"{name}_grad")
            yield judged(
                UPDATE_GRAD, f"{name}_grad, {kind}", found, wanted[name].reshape(p[name].shape)
            )


def _with_gradients(student: Student, parameters: Mapping[str, Array], x: Array, y: Array) -> Any:
    network = _network(student, parameters)
    ask("reset_grad()", network.reset_grad)
    ask("forward(x)", network.forward, x.copy())
    ask("update_grad(y)", network.update_grad, y.copy())
    return network


def attempt(make: Callable[[], Any]) -> Callable[[], Any]:
    """Return what gives the result of `make()`, or raises its error, as often as it is called."""
    try:
        result = make()
    except Exception as error:
        return partial(_raise, error)
    return lambda: result


def _raise(error: Exception) -> NoReturn:
    raise error


def _attribute(exercise: Exercise, network: Callable[[], Any], name: str) -> Array:
    return exercise.attribute(network(), name)


def hidden_update_params(student: Student, rng: Rng) -> Iterator[Verdict]:
    """A step from parameters and gradients of the marker's; then a reset of the gradients."""
    p, g, lr = _parameters(rng), _parameters(rng), float(rng.uniform(0.01, 0.5))
    step = attempt(partial(_stepped, student, p, g, lr))
    reset = attempt(partial(_reset, student, g))
    for name in PARAMETERS:
        found = partial(_attribute, UPDATE_PARAMS, step, name)
        yield judged(UPDATE_PARAMS, name, found, p[name] - lr * g[name])
        both = np.stack([g[name], np.zeros_like(g[name])])  # before and after
        yield judged(UPDATE_PARAMS, f"{name}_grad", partial(_item, reset, name), both)


def _stepped(
    student: Student, parameters: Mapping[str, Array], gradients: Mapping[str, Array], lr: float
) -> Any:
    network = _network(student, parameters)
    for name, values in gradients.items():
        setattr(network, f"{name}_grad", values.copy())
    ask("update_params(lr)", network.update_params, lr)
    return network


def _reset(student: Student, gradients: Mapping[str, Array]) -> Gradients:
    """Return each gradient before and after reset_grad, in one array."""
    network = _network(student, gradients, "_grad")
    before = {n: UPDATE_PARAMS.attribute(network, f"{n}_grad") for n in PARAMETERS}
    ask("reset_grad()", network.reset_grad)
    after = {n: UPDATE_PARAMS.attribute(network, f"{n}_grad") for n in PARAMETERS}
    return {n: np.stack([before[n], after[n]]) for n in PARAMETERS}


def _item(result: Callable[[], Gradients], name: str) -> Array:
    return result()[name]


# training


class RandomSpy(SpyNetwork):
    """A spy whose predictions follow no formula: the table stays with the marker."""

    def __init__(self, rng: Rng) -> None:
        self._table = rng.integers(DIGITS, size=SCALE)
        super().__init__()

    def forward(self, x: ArrayLike) -> Array:
        """Return probabilities that follow the table."""
        super().forward(x)
        likely = np.eye(DIGITS)[self._table[numbers_of(x) % SCALE]]
        self.y_hat = (0.9 * likely + 0.01).reshape(np.shape(self.y_hat))
        self.a2 = np.log(self.y_hat)
        return self.y_hat


def percent(table: Array, first: int, n: int) -> float:
    """Return the accuracy of a table of predictions on `n` images."""
    numbers = np.arange(first, first + n)
    return 100 * float((table[numbers] == label_of(numbers)).mean())


def hidden_one_hot_encode(student: Student, rng: Rng) -> Iterator[Verdict]:
    """Seven classes."""
    labels = rng.integers(7, size=40)
    call = _of("one_hot_encode(labels, 7)", student["one_hot_encode"], labels, 7)
    yield judged(ONE_HOT, "seven classes", call, np.eye(7)[labels])


def hidden_accuracy(student: Student, rng: Rng) -> Iterator[Verdict]:
    """Some hundred labels."""
    true, guess = rng.integers(3, size=(2, 300))
    call = _of("accuracy(predicted, true)", student["accuracy"], guess, true)
    yield judged(ACCURACY, "300 labels", call, 100 * float((true == guess).mean()))


def hidden_test_network(student: Student, rng: Rng) -> Iterator[Verdict]:
    """Predictions that follow no formula."""
    spy = RandomSpy(rng)
    images, labels = make_images(500, 211)
    call = _of(
        "test_network(network, images, labels)", student["test_network"], spy, images, labels
    )
    yield judged(TEST_NETWORK, "random predictions", call, percent(spy._table, 500, 211), 0.0051)


def hidden_train_network(student: Student, rng: Rng) -> Iterator[Verdict]:
    """The accuracies of a network whose predictions follow no formula."""
    spy, n, m = RandomSpy(rng), 37, 29

    def train() -> Any:
        with quiet():
            return ask(
                "train_network(network, train, validation, …)", student["train_network"], spy,
                make_images(0, n), make_images(FIRST_VALIDATION, m),
                learning_rate=0.1, n_epochs=2, batch_size=10, seed=3,
            )  # fmt: skip

    yield from judged_history(TRAIN_NETWORK, attempt(train), spy._table, n, m)


def judged_history(
    exercise: Exercise, history: Callable[[], Any], table: Array, n: int, m: int
) -> Iterator[Verdict]:
    """Judge the last accuracies on `n` training and `m` validation images, predicted by `table`."""
    for name, wanted in (
        ("train_accuracy", percent(table, 0, n)),
        ("validation_accuracy", percent(table, FIRST_VALIDATION, m)),
    ):
        yield judged(exercise, name, partial(last, history, name), wanted, 0.0051)


def last(history: Callable[[], Any], name: str) -> float:
    """Return the last entry of a history."""
    return float(getattr(history(), name)[-1])


HIDDEN: dict[str, Hidden] = {
    "sigmoid": hidden_sigmoid,
    "softmax": hidden_softmax,
    "cross_entropy": hidden_cross_entropy,
    "initialization": hidden_initialization,
    "forward": hidden_forward,
    "update_grad": hidden_update_grad,
    "update_params": hidden_update_params,
    "one_hot_encode": hidden_one_hot_encode,
    "accuracy": hidden_accuracy,
    "test_network": hidden_test_network,
    "train_network": hidden_train_network,
}
