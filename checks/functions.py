"""The checks of sigmoid, softmax and cross-entropy."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.special import expit, log_softmax, logsumexp
from scipy.special import softmax as scipy_softmax

from checks.verdicts import (
    INPUT_CHANGED,
    RAISED,
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
    find_cause,
)

SIGMOID = Exercise("sigmoid", "section 1")
SOFTMAX = Exercise("softmax", "section 1")
CROSS_ENTROPY = Exercise("cross_entropy", 'section 3, "How wrong is it?"')


# sigmoid

SIGMOID_SUSPECTS: Suspects = (
    Suspect(
        "sign",
        "the exponent has the wrong sign.",
        "Put in a large number: it must give almost 1.",
        lambda a: expit(-a),
    ),
    Suspect(
        "derivative",
        "this is the slope of the sigmoid.",
        "Return the sigmoid itself.",
        lambda a: expit(a) * expit(-a),
    ),
    Suspect(
        "tanh",
        "this is tanh, whose values go from -1 to 1.",
        "See the formula above the exercise.",
        np.tanh,
    ),
    Suspect(
        "exp only",
        "the division is missing.",
        "Put in 0: it must give 0.5.",
        lambda a: 1 / expit(a) - 1,
    ),
    Suspect(
        "sum inverted",
        "`1 / 1 + exp(-a)` divides before it adds.",
        "Set the sum in parentheses.",
        lambda a: 1 / expit(a),
    ),
    Suspect(
        "relu",
        "this is max(0, a), the ReLU.",
        "See the formula above the exercise.",
        lambda a: np.maximum(a, 0),
    ),
    Suspect(
        "softmax",
        "the result was divided by its sum, as softmax does.",
        "The sigmoid treats every number by itself: no sum over the array.",
        lambda a: expit(a) / expit(a).sum(),
    ),
)
OVERFLOW = Cause(
    "overflow",
    "exp of a large number is infinite, and infinity over infinity is NaN.",
    "Use a form in which exp meets only numbers up to 0, or tanh.",
)


def judge_and_keep(
    exercise: Exercise,
    part: str,
    function: Callable[[Array], Any],
    a: Array,
    oracle: Callable[..., Array],
    suspects: Suspects,
) -> Iterator[Verdict]:
    """Judge `function(a)`, and see that `a` is as it was afterwards."""
    given = a.copy()
    value = ask(f"{exercise.name}(a) for {part}", function, given)
    if not np.array_equal(given, a):
        title = f"a, after {exercise.name}(a)"
        yield exercise.wrong(title, describe(given), describe(a), INPUT_CHANGED)
    yield exercise.judge(part, value, oracle(a), suspects, a)


@check(SIGMOID)
def check_sigmoid(sigmoid: Callable[[Array], Array], *, seed: int = 0) -> Iterator[Verdict]:
    """Compare `sigmoid` with SciPy's on moderate and on very large numbers."""
    rng = np.random.default_rng(seed)
    large = np.array([-1000.0, -50.0, 0.0, 50.0, 1000.0])
    for part, a in (("a row", rng.normal(0, 2, 7)), ("a batch", rng.normal(0, 2, (3, 5)))):
        yield from judge_and_keep(SIGMOID, part, sigmoid, a, expit, SIGMOID_SUSPECTS)
    yield _large_numbers(SIGMOID, sigmoid, large, expit(large), SIGMOID_SUSPECTS)


def _large_numbers(
    exercise: Exercise,
    function: Callable[[Array], Any],
    a: Array,
    wanted: Array,
    suspects: Suspects,
    overflow: Cause = OVERFLOW,
    part: str = "large numbers",
) -> Verdict:
    """Judge `function(a)` for large numbers, where NaN or infinity tells of an overflow."""
    value = exercise.numbers(part, ask(f"{exercise.name}(a) for {part}", function, a.copy()))
    verdict = exercise.judge(part, value, wanted, suspects, a)
    if verdict.passed or np.isfinite(value).all():
        return verdict
    return exercise.wrong(part, describe(value), describe(wanted), overflow)


# softmax

SHIFT = "Subtract the largest logit of each row first; that cancels out in the quotient."


def _softmax(a: Array) -> Array:
    return scipy_softmax(a, axis=-1)


SOFTMAX_SUSPECTS: Suspects = (
    Suspect(
        "whole batch",
        "the sum runs over the whole batch, not over each row.",
        "Sum along the last axis: `axis=-1, keepdims=True`.",
        lambda a: scipy_softmax(a),
    ),
    Suspect(
        "wrong axis",
        "the sum runs down the columns, over the images.",
        "Sum along the last axis: `axis=-1, keepdims=True`.",
        lambda a: scipy_softmax(a, axis=0),
    ),
    Suspect(
        "keepdims",
        "the row sums are laid along the columns: `keepdims=True` is missing.",
        "Keep the summed axis, (B, 1), so that each row is divided by its own sum.",
        lambda a: _softmax(a) * np.exp(logsumexp(a, -1, keepdims=True) - logsumexp(a, -1)),
    ),
    Suspect(
        "not normalised",
        "the numbers are not divided by their sum.",
        "Each row must sum to 1.",
        np.exp,
    ),
    Suspect(
        "not normalised",
        "the numbers are not divided by their sum.",
        "Each row must sum to 1.",
        lambda a: _softmax(a) / _softmax(a).max(axis=-1, keepdims=True),
    ),
    Suspect(
        "sign",
        "the exponent has the wrong sign.",
        "The largest logit must get the most.",
        lambda a: _softmax(-a),
    ),
    Suspect(
        "logarithm",
        "this is the logarithm of softmax.",
        "Leave the logarithm to the loss.",
        lambda a: log_softmax(a, axis=-1),
    ),
    Suspect(
        "exp missing",
        "the logits are divided by their sum without exp.",
        "See the formula above the exercise: each logit goes through exp.",
        lambda a: a / a.sum(axis=-1, keepdims=True),
    ),
    Suspect("sigmoid", "this is the sigmoid of each logit.", "Each row must sum to 1.", expit),
    Suspect(
        "most probable only",
        "the largest logit gets 1 and the others 0.",
        "Softmax shares the 1 among all logits.",
        lambda a: (a == a.max(axis=-1, keepdims=True)).astype(float),
    ),
)
NOT_STABLE = Cause(
    "not stabilised", "exp of a large logit is infinite, and infinity over infinity is NaN.", SHIFT
)
GLOBAL_SHIFT = Cause(
    "shift of whole batch",
    "the largest logit of the whole batch is subtracted, so a row far below it becomes 0 over 0.",
    SHIFT,
)


@check(SOFTMAX)
def check_softmax(softmax: Callable[[Array], Array], *, seed: int = 0) -> Iterator[Verdict]:
    """Compare `softmax` with SciPy's on one row, on batches, and on very large logits."""
    rng = np.random.default_rng(seed)
    row, batch = rng.normal(0, 2, 5), rng.normal(0, 2, (3, 5))
    yield from judge_and_keep(SOFTMAX, "one image", softmax, row, _softmax, SOFTMAX_SUSPECTS)
    try:
        yield from judge_and_keep(SOFTMAX, "a batch", softmax, batch, _softmax, SOFTMAX_SUSPECTS)
    except StudentError as error:
        yield _softmax_error(softmax, error, rng.normal(0, 2, (4, 4)))
        return
    large = np.array([[1000.0, 0.0, -1000.0], [-1.0, 1.0, 999.0]])
    yield _large_numbers(SOFTMAX, softmax, large, _softmax(large), (), NOT_STABLE)
    apart = np.array([[0.0, 1.0], [-2000.0, -2001.0]])
    yield _large_numbers(
        SOFTMAX, softmax, apart, _softmax(apart), (), GLOBAL_SHIFT, "rows far apart"
    )


def _softmax_error(softmax: Callable[[Array], Array], error: StudentError, a: Array) -> Verdict:
    """Look for the cause of an exception on a square batch, where any shapes fit."""
    value = SOFTMAX.numbers("a batch", ask("softmax(a) for a square batch", softmax, a))
    return SOFTMAX.error(error, find_cause(value, SOFTMAX_SUSPECTS, a) or RAISED)


# cross-entropy


def _log_p(a: Array) -> Array:
    return log_softmax(a, axis=-1)


def _loss(a: Array, y: Array) -> Array:
    return np.asarray(-_log_p(a)[y == 1].sum())


def _n_images(a: Array) -> int:
    return a.size // a.shape[-1]


CROSS_ENTROPY_SUSPECTS: Suspects = (
    Suspect(
        "sign",
        "the minus sign is missing.",
        "The loss is never negative.",
        lambda a, y: -_loss(a, y),
    ),
    Suspect(
        "mean over batch",
        "the mean over the batch was taken, where the sum is wanted.",
        "Use `.sum()`; the training loop divides by the number of images when it records.",
        lambda a, y: _loss(a, y) / _n_images(a),
    ),
    Suspect(
        "mean over all",
        "the mean over all numbers was taken, where the sum is wanted.",
        "Use `.sum()` rather than `.mean()`.",
        lambda a, y: _loss(a, y) / a.size,
    ),
    Suspect(
        "not summed",
        "there is a loss for each image: the sum over the batch is missing.",
        "Sum over all axes, so that one number remains.",
        lambda a, y: -_log_p(a)[y == 1],
    ),
    Suspect(
        "not summed",
        "there is a number for each output: the sum is missing.",
        "Sum over all axes, so that one number remains.",
        lambda a, y: -_log_p(a) * y,
    ),
    Suspect(
        "y missing",
        "y is not used: the logarithms of all outputs are summed.",
        "Multiply by y, which picks the true digit.",
        lambda a, y: -_log_p(a).sum(),
    ),
    Suspect(
        "base of logarithm",
        "the logarithm has base 2.",
        "Use the natural logarithm, np.log.",
        lambda a, y: _loss(a, y) / np.log(2),
    ),
    Suspect(
        "base of logarithm",
        "the logarithm has base 10.",
        "Use the natural logarithm, np.log.",
        lambda a, y: _loss(a, y) / np.log(10),
    ),
    Suspect(
        "log missing",
        "the probability itself is summed: the logarithm is missing.",
        "The loss must be near 0 when the true digit has probability 1.",
        lambda a, y: -_softmax(a)[y == 1].sum(),
    ),
    Suspect(
        "softmax twice",
        "softmax is applied twice.",
        "Apply softmax to the logits once.",
        lambda a, y: _loss(_softmax(a), y),
    ),
    Suspect(
        "softmax missing",
        "softmax is missing: the logits themselves are used.",
        "`a` holds logits, not probabilities; see the docstring.",
        lambda a, y: -np.log(a)[y == 1].sum(),
    ),
    Suspect(
        "softmax missing",
        "softmax and the logarithm are missing: the logits are used.",
        "`a` holds logits, not probabilities; see the docstring.",
        lambda a, y: -a[y == 1].sum(),
    ),
    Suspect(
        "both classes",
        "(1 - y) log(1 - y_hat) is added, which belongs to two-class problems.",
        "The formula above the exercise has one sum only.",
        lambda a, y: _loss(a, y) - np.log1p(-_softmax(a))[y == 0].sum(),
    ),
    Suspect(
        "squared error",
        "this is the squared error.",
        "See the formula above the exercise.",
        lambda a, y: ((_softmax(a) - y) ** 2).sum(),
    ),
    Suspect(
        "squared error",
        "this is half the squared error.",
        "See the formula above the exercise.",
        lambda a, y: ((_softmax(a) - y) ** 2).sum() / 2,
    ),
    Suspect(
        "arguments swapped",
        "y and the logits are swapped.",
        "The order is cross_entropy(a, y).",
        lambda a, y: -(a * _log_p(y)).sum(),
    ),
    Suspect(
        "wrong axis",
        "softmax runs over the images, not over the outputs.",
        "Use the last axis: `axis=-1, keepdims=True`.",
        lambda a, y: -log_softmax(a, axis=0)[y == 1].sum(),
    ),
    Suspect(
        "whole batch",
        "softmax runs over the whole batch, not over each row.",
        "Use the last axis: `axis=-1, keepdims=True`.",
        lambda a, y: -log_softmax(a)[y == 1].sum(),
    ),
)
LOG_0 = Cause(
    "log 0",
    "a probability was rounded to 0 before the logarithm, or exp of a logit is infinite.",
    "Use the right-hand form of the formula, which takes the logarithm of the sum of exps.",
)


@check(CROSS_ENTROPY)
def check_cross_entropy(
    cross_entropy: Callable[[Array, Array], float], *, seed: int = 0
) -> Iterator[Verdict]:
    """Compare `cross_entropy(a, y)` on logits with SciPy's log_softmax."""
    rng = np.random.default_rng(seed)
    for part, batch in (("one image", ()), ("a batch", (4,))):
        a, y = rng.normal(0, 2, (*batch, 5)), np.eye(5)[rng.integers(5, size=batch)]
        given = a.copy()
        value = ask(f"cross_entropy(a, y) for {part}", cross_entropy, given, y.copy())
        yield CROSS_ENTROPY.judge(part, value, _loss(a, y), CROSS_ENTROPY_SUSPECTS, a, y)
        if not np.array_equal(given, a):
            yield CROSS_ENTROPY.wrong(
                "a, after cross_entropy(a, y)", describe(given), describe(a), INPUT_CHANGED
            )
    a, y = np.array([[2000.0, 0.0, 1.0], [0.0, 0.0, 1000.0]]), np.eye(3)[[1, 2]]
    value = ask("cross_entropy(a, y) for large numbers", cross_entropy, a.copy(), y.copy())
    yield CROSS_ENTROPY.judge(
        "large numbers", value, _loss(a, y), (Suspect(*LOG_0, lambda: value),)
    )
