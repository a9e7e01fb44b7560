"""The checks of the three formulas: sigmoid, softmax and cross-entropy."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from checks.asking import ask
from checks.check import Part, check
from checks.comparison import Array, describe
from checks.faults import Fault
from checks.functions import (
    EQUAL_LOGITS,
    EQUAL_SIZES,
    MANY_ROWS,
    Draw,
    Judge,
    Rng,
    gaussian,
    many_rows,
    some_equal,
    some_rows,
)
from checks.special import expit, log_softmax
from checks.special import softmax as exact_softmax
from checks.verdicts import Exercise, Verdict

SIGMOID = Exercise("sigmoid")
SOFTMAX = Exercise("softmax")
CROSS_ENTROPY = Exercise("cross_entropy")

# sigmoid

SIGMOID_FAULTS = (
    Fault("sign", "this is sigmoid(-a): a sign or a comparison is the wrong way round.",
          "Put in a large number: it must give almost 1.", lambda a: expit(-a)),
    Fault("derivative", "this is the slope of the sigmoid.", "Return the sigmoid itself.",
          lambda a: expit(a) * expit(-a)),
    Fault("tanh", "this is tanh, whose values go from -1 to 1.",
          "See the formula above the exercise.", np.tanh),
    Fault("exp only", "the division is missing.", "Put in 0: it must give 0.5.",
          lambda a: 1 / expit(a) - 1),
    Fault("relu", "this is max(0, a), the ReLU.", "See the formula above the exercise.",
          lambda a: np.maximum(a, 0)),
)  # fmt: skip
OVERFLOW = Fault(
    "overflow", "exp of a large number is infinite, and infinity over infinity is NaN.",
    "Use a form in which exp meets only numbers up to 0, or tanh.",
    lambda a: np.exp(a) / (np.exp(a) + 1),
)  # fmt: skip


def _large_numbers(rng: Rng) -> tuple[Array]:
    """Draw numbers whose exp is 0 or infinite, and 0 among them."""
    large = rng.choice([-1, 1], 4) * rng.uniform(720, 5000, 4)
    return (rng.permutation([0.0, -1000.0, 1000.0, *large]),)


def _large_first(rng: Rng) -> tuple[Array]:
    """Draw numbers, the first of which has a sigmoid that is 0 or 1."""
    return (np.append(rng.choice([-1, 1]) * 1000, rng.normal(0, 2, 5)),)


SIGMOID_PARTS = {
    "a row": gaussian(7),
    "a batch": some_rows,
    "three axes": gaussian(2, 3, 4),
    "large numbers": _large_numbers,
    "a large number first": _large_first,
    "a batch of one": gaussian(1, 4),
}
NOT_BETWEEN = Fault(
    "property", "not all values lie between 0 and 1.",
    "Put in a large number, its negative, and 0: it must give almost 1, almost 0, and 0.5.",
    lambda found, a: not ((found >= 0) & (found <= 1)).all(),
)  # fmt: skip
OTHER_CURVE = "Put in 1 and 2, and compare with the formula above the exercise by a calculator."


def _is_straight(found: Array, a: Array) -> bool:
    inside = (found > 0) & (found < 1)
    if found.shape != a.shape or inside.sum() < 4:
        return False
    line = np.polyfit(a[inside], found[inside], 1)
    return bool(np.allclose(np.polyval(line, a[inside]), found[inside], rtol=1e-6))


STRAIGHT = Fault(
    "property", "between 0 and 1 all values lie on a straight line, so no exp takes part in them.",
    OTHER_CURVE, _is_straight,
)  # fmt: skip


def _is_of_multiple(found: Array, a: Array) -> bool:
    with np.errstate(all="ignore"):
        factors = np.log(found / (1 - found)) / a if found.shape == a.shape else np.array(np.nan)
    return bool(np.allclose(factors, factors.flat[0], rtol=1e-6, atol=0))


OF_MULTIPLE = Fault(
    "property",
    "these are values of the sigmoid, but of another multiple of `a`: a sign or a factor is wrong.",
    "Put in 1: it must give 0.7311; and -1: it must give 0.2689.", _is_of_multiple,
)  # fmt: skip
OTHER_S = Fault(
    "property", "the values rise from 0 to 1 as they should, but along another curve: another "
    "function stands in the place of 1 / (1 + exp(-a)).", OTHER_CURVE,
    lambda found, a: found.shape == a.shape and (np.diff(found.flat[np.argsort(a.flat)]) > 0).all(),
)  # fmt: skip
JUDGE_SIGMOID = Judge(
    SIGMOID, "sigmoid(a)", expit, SIGMOID_FAULTS, {"large numbers": OVERFLOW},
    facts=(NOT_BETWEEN, STRAIGHT, OF_MULTIPLE, OTHER_S),
    unsaid=("a large number first", "a batch of one"), free=(0,),
)  # fmt: skip


@check(SIGMOID, stand_ins={"sigmoid": expit})
def check_sigmoid(sigmoid: Callable[[Array], Array], *, seed: int = 0) -> Iterator[Part]:
    """Compare `sigmoid` with one in decimals on moderate and on very large numbers."""
    yield from JUDGE_SIGMOID.parts(sigmoid, SIGMOID_PARTS, seed)


# softmax

SHIFT = "Subtract the largest logit of each row first; that cancels out in the quotient."


def _softmax(a: Array) -> Array:
    return exact_softmax(a, axis=-1)


def _quotients(a: Array) -> Array:
    quotients: Array = np.exp(a) / np.exp(a).sum(-1)[..., np.newaxis]
    return quotients


SOFTMAX_FAULTS = (
    Fault("whole batch", "the sum runs over the whole batch, not over each row.",
          "Sum along the last axis: `axis=-1, keepdims=True`.", lambda a: exact_softmax(a)),
    Fault("wrong axis", "the sum runs down the columns, over the images.",
          "Sum along the last axis: `axis=-1, keepdims=True`.", lambda a: exact_softmax(a, axis=0)),
    Fault("not normalised", "the numbers are not divided by their sum.", "Each row must sum to 1.",
          np.exp),
    Fault("sign", "the exponent has the wrong sign.", "The largest logit must get the most.",
          lambda a: _softmax(-a)),
    Fault("exp missing", "the logits are divided by their sum without exp.",
          "See the formula above the exercise: each logit goes through exp.",
          lambda a: a / a.sum(axis=-1, keepdims=True)),
)  # fmt: skip
NOT_STABLE = Fault(
    "not stabilised", "exp of a large logit is infinite, and infinity over infinity is NaN.", SHIFT,
    _quotients,
)  # fmt: skip
ALL_0 = Fault(
    "shift from 0 on",
    "exp of every logit of a row that is far below 0 is 0, and 0 over 0 is NaN.",
    SHIFT,
    lambda a: _quotients(a - np.maximum(a.max(axis=-1, keepdims=True), 0)),
)
GLOBAL_SHIFT = Fault(
    "shift of whole batch",
    "the largest logit of the whole batch is subtracted, so a row far below it becomes 0 over 0.",
    SHIFT, lambda a: _quotients(a - a.max()),
)  # fmt: skip


def _large_logits(rng: Rng) -> tuple[Array]:
    """Draw rows that are near each other, each with a logit whose exp is infinite."""
    return (np.hstack([np.full((4, 1), 1000), rng.uniform(-3000, 999, (4, 2))]),)


def _all_far_below_0(rng: Rng) -> tuple[Array]:
    """Draw rows that are near each other, and so far below 0 that exp of each is 0."""
    return (rng.normal(-rng.uniform(2000, 3000), 1, (2, 3)),)


def _rows_far_apart(rng: Rng) -> tuple[Array]:
    """Draw two rows so far apart that exp of one is 0 beside exp of the other."""
    return (rng.normal(np.array([[0], [-rng.uniform(2000, 3000)]]), 1, (2, 3)),)


SOFTMAX_PARTS = {
    "one image": gaussian(5),
    "a batch": some_rows,
    "large numbers": _large_logits,
    "far below 0": _all_far_below_0,
    "rows far apart": _rows_far_apart,
    "a batch of one": gaussian(1, 4),
    EQUAL_SIZES: gaussian(10, 10),
    "rather large numbers": gaussian(3, 4, scale=200),  # too large for exp in 32 bits alone
    EQUAL_LOGITS: some_equal(5, 4),
    MANY_ROWS: many_rows(gaussian(30, 4)),
}
SUM_NOT_1 = Fault(
    "property", "the probabilities of an image don't add up to 1.",
    "Look at the last step that brings their sum to 1, and at what comes after it.",
    lambda found, *inputs: not np.allclose(found.sum(axis=-1), 1, rtol=1e-4),
)  # fmt: skip


def _are_cut_off(found: Array, a: Array) -> bool:
    """Whether large logits of a row that differ get one and the same probability that is no 0."""
    large = (found > 0) & (np.abs(a) > 20)
    rows = zip(np.atleast_2d(found), np.atleast_2d(a), np.atleast_2d(large), strict=True)
    return any(len(np.unique(p[of])) < len(np.unique(logits[of])) for p, logits, of in rows)


CUT_OFF = Fault(
    "property", "large logits that differ get the same probability: they are cut off before exp, "
    "as by `np.clip`.", "Subtract the largest logit of each row: then no exp can be too large.",
    _are_cut_off,
)  # fmt: skip
JUDGE_SOFTMAX = Judge(
    SOFTMAX,
    "softmax(a)",
    _softmax,
    SOFTMAX_FAULTS,
    {"large numbers": NOT_STABLE, "far below 0": ALL_0, "rows far apart": GLOBAL_SHIFT},
    facts=(SUM_NOT_1, CUT_OFF),
    unsaid=(
        "a batch of one",
        "far below 0",
        EQUAL_SIZES,
        EQUAL_LOGITS,
        "rather large numbers",
        MANY_ROWS,
    ),
    free=(0,),
)


def _one_far_below(rng: Rng) -> tuple[Array]:
    """Draw rows of which one logit, each time another, is so low that 1 minus the rest is noise."""
    a = rng.normal(0, 1, (5, 5))
    return (a - 34 * np.eye(5)[rng.permutation(5)],)


NOT_BY_REST = Fault(
    "property", "small probabilities are wrong, or even negative, as 1 minus the others is.",
    "Divide each exp by the sum, the small ones too.", lambda found, a: True,
)  # fmt: skip
JUDGE_SMALL = Judge(
    SOFTMAX, "log(softmax(a))", lambda a: log_softmax(a, axis=-1), (), near=1e-6,
    facts=(NOT_BY_REST,), unsaid=(SMALL := "small probabilities",), calls_again=False,
)  # fmt: skip


def _logarithm(softmax: Callable[[Array], Array], a: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.log(SOFTMAX.numbers(SMALL, softmax(a)))


@check(SOFTMAX, stand_ins={"softmax": _softmax})
def check_softmax(softmax: Callable[[Array], Array], *, seed: int = 0) -> Iterator[Part]:
    """Compare `softmax` with one in decimals on one row, on batches, and on very large logits."""
    yield from JUDGE_SOFTMAX.parts(softmax, SOFTMAX_PARTS, seed)
    logarithm = partial(_logarithm, softmax)
    yield from JUDGE_SMALL.parts(logarithm, {SMALL: _one_far_below}, seed)


# cross-entropy


def _log_p(a: Array) -> Array:
    return log_softmax(a, axis=-1)


def _loss(a: Array, y: Array) -> Array:
    return np.asarray(-_log_p(a)[np.asarray(y) == 1].sum())


CROSS_ENTROPY_FAULTS = (
    Fault("y missing", "y is not used: the logarithms of all outputs are summed.",
          "Multiply by y, which picks the true digit.", lambda a, y: -_log_p(a).sum()),
    Fault("log missing", "the probability itself is summed: the logarithm is missing.",
          "The loss must be near 0 when the true digit has probability 1.",
          lambda a, y: -_softmax(a)[y == 1].sum()),
    Fault("softmax twice", "softmax is applied twice.", "Apply softmax to the logits once.",
          lambda a, y: _loss(_softmax(a), y)),
    Fault("softmax missing", "softmax is missing: the logits themselves are used.",
          "`a` holds logits, not probabilities; see the docstring.",
          lambda a, y: -np.log(a)[y == 1].sum()),
    Fault("softmax missing", "the logits themselves are summed: softmax and log are missing.",
          "See the formula above the exercise.", lambda a, y: -a[y == 1].sum()),
    Fault("both classes", "(1 - y) log(1 - y_hat) is added, which belongs to two-class problems.",
          "The formula above the exercise has one sum only.",
          lambda a, y: _loss(a, y) - np.log1p(-_softmax(a))[y == 0].sum()),
    Fault("likeliest digit", "the loss is that of the digit with the largest logit, whatever y is.",
          "Let y pick the true digit.", lambda a, y: -_log_p(a).max(axis=-1).sum()),
    Fault("squared error", "this is half the squared error.", "See the formula above the exercise.",
          lambda a, y: ((_softmax(a) - y) ** 2).sum() / 2),
    Fault("wrong axis", "softmax runs over the images, not over the outputs.",
          "Use the last axis: `axis=-1, keepdims=True`.",
          lambda a, y: -log_softmax(a, axis=0)[y == 1].sum()),
    Fault("whole batch", "softmax runs over the whole batch, not over each row.",
          "Use the last axis: `axis=-1, keepdims=True`.",
          lambda a, y: -log_softmax(a)[y == 1].sum()),
)  # fmt: skip
LOG_0 = Fault(
    "log 0", "a probability was rounded to 0 before the logarithm, or exp of a logit is infinite.",
    "Use the right-hand form of the formula, which takes the logarithm of the sum of exps.",
    lambda a, y: -np.log(_softmax(a))[y == 1].sum(),
)  # fmt: skip


def _logits_and_targets(*most: int, least: int = 2, scale: float = 2.0, n: int = 5) -> Draw:
    """Draw one image's logits and targets, or those of a batch of up to `most` images."""

    def draw(rng: Rng) -> tuple[Array, Array]:
        batch = [rng.integers(min(least, largest), largest + 1) for largest in most]
        a = rng.normal(0, scale, (*batch, n))
        if not batch:
            a = np.abs(a)  # a logarithm that is taken of the logits themselves shows by its value
        return a, np.eye(n)[rng.integers(n, size=batch)]

    return draw


CROSS_ENTROPY_PARTS = {
    "one image": _logits_and_targets(),
    "a batch": _logits_and_targets(4),
    "large numbers": _logits_and_targets(6, scale=2000.0, n=3),
    "a batch of one": _logits_and_targets(1),
    EQUAL_SIZES: _logits_and_targets(10, least=10, n=10),
    "rather large numbers": _logits_and_targets(4, scale=200),
    EQUAL_LOGITS: lambda rng: (*some_equal(5, 4)(rng), np.eye(4)[rng.integers(4, size=5)]),
    MANY_ROWS: many_rows(_logits_and_targets(30, least=30)),
}
NOT_FINITE = Fault(
    "property", "the loss is NaN or infinite: an exp is, or the logarithm of 0 was taken.",
    "Subtract from each row its own largest logit, and take no logarithm of a single exp.",
    lambda found, a, y: not np.isfinite(found).any(),
)  # fmt: skip
JUDGE_CROSS_ENTROPY = Judge(
    CROSS_ENTROPY, "cross_entropy(a, y)", _loss, CROSS_ENTROPY_FAULTS,
    {"large numbers": LOG_0},
    unsaid=("a batch of one", EQUAL_SIZES, EQUAL_LOGITS, "rather large numbers", MANY_ROWS),
    facts=(NOT_FINITE,), free=(0,),
    close=1e-6,  # a small loss is the logarithm of almost 1, of which digits are lost
)  # fmt: skip


@check(CROSS_ENTROPY, stand_ins={"cross_entropy": lambda a, y: float(_loss(a, y))})
def check_cross_entropy(
    cross_entropy: Callable[[Array, Array], float], *, seed: int = 0
) -> Iterator[Part]:
    """Compare `cross_entropy(a, y)` on logits with the same in decimals."""
    yield from JUDGE_CROSS_ENTROPY.parts(cross_entropy, CROSS_ENTROPY_PARTS, seed)
    yield partial(_of_nan, cross_entropy)


NAN_HIDDEN = Fault(
    "NaN hidden", "where a logit is NaN, the loss is a number all the same: a training that has "
    "diverged would never be noticed.", "Leave NaN as it is: no `nansum`, no `nan_to_num`.",
)  # fmt: skip


def _of_nan(cross_entropy: Callable[[Array, Array], float]) -> Iterator[Verdict]:
    """See that NaN comes through: `stop_if_diverged` looks for it."""
    part, a, y = "cross_entropy(a, y) where a is NaN", np.full((2, 3), np.nan), np.eye(3)[:2]
    with np.errstate(all="ignore"):
        found = CROSS_ENTROPY.numbers(part, ask(part, cross_entropy, a, y))
    if np.isfinite(found).all():
        yield CROSS_ENTROPY.wrong(part, describe(found), "NaN.", NAN_HIDDEN)
