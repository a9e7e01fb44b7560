"""The checks of sigmoid, softmax and cross-entropy, and how any function of arrays is judged."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice
from typing import Any

import numpy as np

from checks.asking import StudentError, ask
from checks.check import Part, check
from checks.comparison import CLOSE, EXACT, SAME, Array, compared, describe, distance
from checks.contract import (
    broken,
    copied,
    wrong_by_layout,
    wrong_for_many,
    wrong_for_variants,
    wrong_in_32_bits,
)
from checks.faults import EXAMPLE, INPUT_CHANGED, UNKNOWN, Fault, Sample, asked_why
from checks.source import plain_function
from checks.special import expit, log_softmax
from checks.special import softmax as exact_softmax
from checks.verdicts import Exercise, Verdict

SIGMOID = Exercise("sigmoid")
SOFTMAX = Exercise("softmax")
CROSS_ENTROPY = Exercise("cross_entropy")

EPSILON = Fault(
    "epsilon", "something bounds the logarithm, as a small number does that is added within it, or "
    "`np.clip`.", "Use the right-hand form of the formula: there, no logarithm of 0 can come up.",
)  # fmt: skip
TRUTH_VALUES = Fault(
    "truth values", "a comparison is returned as it is, and True and False are no numbers to "
    "compute with.", "Convert it: `.astype(np.float32)`.",
)  # fmt: skip
MATRIX = Fault(
    "matrix", "the numbers are right, but each row of a `np.matrix` is a matrix again, and `*` "
    "multiplies matrices, so later lines compute something else.", "Return `np.asarray` of it.",
)  # fmt: skip
SHORTENED = Fault(
    "float32", "numbers are cut to fewer bits than the arguments have, so digits are lost.",
    "Leave out the conversion, or make arrays in the type of the argument, `a.dtype`.",
)  # fmt: skip
NO_ARRAY = Fault(
    "list returned", "the numbers are right, but no array comes back, so nothing can be computed "
    "with them.", "Return an array, as by `np.array(…)`.",
)  # fmt: skip
EQUAL_SIZES = "as many images as digits"  # axes may be taken for each other then
EQUAL_LOGITS = "equal logits"
MANY_ROWS = "many images, some of them twice"  # which parts of a batch, or a set, leave out
Rng = np.random.Generator
Draw = Callable[[Rng], tuple[Any, ...]]  # the arguments of one call
N_SAMPLES = 2  # which show that something is wrong
MUCH = 1000  # numbers in an argument, with which a function is not called more often
N_MORE = 10  # which rule out that what is said of it holds by coincidence


@dataclass(frozen=True)
class Judge:
    """Compares a student's function with an oracle, on arguments that are drawn at random.

    A fault is named only if its wrong function gives what was found, sample by sample. In a part
    of large numbers, NaN or infinity where `overflow` has it is that fault.
    """

    exercise: Exercise
    call: str
    oracle: Callable[..., Array]
    faults: tuple[Fault, ...]
    overflow: Mapping[str, Fault] = field(default_factory=dict)
    near: float = 0.0  # how far off a result may be, say by rounding
    close: float = 1e-6  # the largest relative difference of a right result
    facts: tuple[Fault, ...] = ()  # what may be true of a result that no fault explains
    unsaid: tuple[str, ...] = ()  # parts that are told only if they are wrong
    free: tuple[int, ...] = ()  # the places of arguments that may hold any numbers
    calls_again: bool = True  # with other arguments, to see what holds beyond one call

    def parts(
        self, function: Callable[..., Any], draws: Mapping[str, Draw], seed: int
    ) -> Iterator[Part]:
        """Yield the parts of the check of `function`, by what is drawn for each."""
        samples = []
        for number, (name, draw) in enumerate(draws.items()):
            drawn = partial(_drawn, self.oracle, draw, seed, number)
            yield partial(self.part, name, function, drawn)
            samples += drawn(N_SAMPLES)[:1]
        if self.calls_again:
            yield partial(self._beyond_one_call, function, samples)

    def part(
        self, name: str, function: Callable[..., Any], drawn: Callable[[int], list[Sample]]
    ) -> Iterator[Verdict]:
        """Judge `function` on inputs, `drawn` in the number wanted, which must not change."""
        samples = yield from self._asked(name, function, drawn(N_SAMPLES))
        verdict = self._verdict(name, samples)
        if not verdict.passed and asked_why() and _size(samples[0]) <= MUCH:
            samples = yield from self._asked(name, function, drawn(N_SAMPLES + N_MORE))
            verdict = self._verdict(name, samples)
        if verdict.cause in (UNKNOWN.key, "property") and asked_why():
            probe = Probe(function, self, samples)
            fault = probe.mixed() or (
                probe.blind() or probe.smallest() if verdict.cause == UNKNOWN.key else None
            )
            verdict = verdict.by(fault) if fault else verdict
        if verdict.passed or self._is_close(name, samples):
            verdict = self._list_verdict(name, function, samples) or verdict
            verdict = self._type_verdict(name, samples) or verdict
        if not (verdict.passed and name in self.unsaid):
            yield verdict

    def _is_close(self, name: str, samples: list[Sample]) -> bool:
        """Whether the numbers would be right in 32 bits."""
        numbers = partial(self.exercise.numbers, name)
        return all(distance(numbers(s.found), s.wanted, self.near) < SAME for s in samples)

    def _asked(
        self, name: str, function: Callable[..., Any], drawn: list[Sample]
    ) -> Generator[Verdict, None, list[Sample]]:
        """Return samples with what `function` gives; yield a verdict if an argument is changed."""
        samples = []
        for sample in drawn:
            given = list(map(copied, sample.inputs))
            found = ask(f"{self.call} for {name}", function, *given)
            samples.append(sample._replace(found=found))
            for before, after in zip(sample.inputs, given, strict=True):
                if not np.array_equal(before, after):
                    title = f"an argument of {self.call}, afterwards"
                    yield self.exercise.wrong(
                        title, describe(after), describe(before), INPUT_CHANGED
                    )
        return samples

    def _list_verdict(
        self, name: str, function: Callable[..., Any], samples: list[Sample]
    ) -> Verdict | None:
        """See that later lines can compute with what comes back; marking judges numbers alone."""
        found = next((sample.found for sample in samples if sample.wanted.ndim), np.zeros(0))
        is_array = hasattr(found, "__array__")
        if (is_array and not isinstance(found, np.matrix)) or plain_function(function) is None:
            return None
        told = f"a {type(found).__name__}.", "an array."
        return self.exercise.wrong(name, *told, MATRIX if is_array else NO_ARRAY)

    def _beyond_one_call(
        self, function: Callable[..., Any], samples: list[Sample]
    ) -> Iterator[Verdict]:
        """See what holds beyond one call, for the largest inputs but those that take their time."""
        few = [sample for sample in samples if _size(sample) <= MUCH]
        call = f"{self.call}, once more"
        found = broken(call, function, self.oracle, max(reversed(few), key=_size).inputs)
        if not found:
            call = f"{self.call}, in 32 bits"
            in_32_bits = (wrong_in_32_bits(call, function, sample) for sample in few)
            found = next(filter(None, in_32_bits), None)
        if not found:
            call = f"{self.call}, laid out otherwise in memory"
            found = wrong_by_layout(call, function, few)
        if not found and asked_why() and plain_function(function):  # else, too large an answer
            call = f"{self.call}, for many images"
            batch = max((s for s in few if s.wanted.ndim != 1), key=_size, default=few[0])
            found = wrong_for_many(call, function, self.oracle, batch)
        if not found:
            call = f"{self.call}, for other numbers"
            batch = min((s for s in few if s.wanted.ndim != 1), key=_size, default=few[0])
            found = wrong_for_variants(call, function, self.oracle, batch, self.free)
        if found:
            again, fault = found
            yield self.exercise.wrong(call, *compared(again.found, again.wanted), fault)

    def _type_verdict(self, name: str, samples: list[Sample]) -> Verdict | None:
        """See that numbers come back, and none that are shorter than those that went in."""
        for found, wanted, inputs in samples:
            kind = np.asarray(found).dtype
            given = [v.dtype for v in inputs if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
            widest = max(given, key=lambda dtype: dtype.itemsize, default=kind)
            if kind.kind == "b" != wanted.dtype.kind:
                return self.exercise.wrong(name, "True and False.", "numbers.", TRUTH_VALUES)
            if kind.kind == "f" and kind.itemsize < widest.itemsize:
                return self.exercise.wrong(name, f"{kind} numbers.", f"{widest}.", SHORTENED)
        return None

    def _verdict(self, name: str, samples: list[Sample]) -> Verdict:
        overflow = self.overflow.get(name)
        large = [
            sample._replace(found=self.exercise.numbers(name, sample.found))
            for sample in samples
            if overflow and _overflows(sample, overflow)
        ]
        faults = {_overflow_fault(sample, overflow) for sample in large if overflow}
        if len(faults) == 1 and (fault := faults.pop()):
            told = describe(large[0].found), describe(large[0].wanted)
            return self.exercise.wrong(name, *told, fault)
        # What all other parts have ruled out would be a coincidence in one that is not told.
        known = () if name in self.unsaid else self.faults
        return self.exercise.judge(name, samples, known, self.near, self.close, self.facts)


@dataclass(frozen=True)
class Probe:
    """Calls a wrong function once more, with other arguments, to see what takes part in it."""

    function: Callable[..., Any]
    judge: Judge
    samples: list[Sample]

    def blind(self) -> Fault | None:
        """Return which change of an argument leaves all results as they were."""
        names = self.judge.call.partition("(")[2].rstrip(")").split(", ")
        for number, name in enumerate(names):
            rows = np.ndim(self.samples[0].inputs[number]) > 1
            one, several = ("row", "rows") if rows else ("entry", "entries")
            for what, change in CHANGES.items():
                if self._is_blind(number, change):
                    words = what.format(name=name, one=one, several=several)
                    likely = f"{words}, the result is the same."
                    return Fault("property", likely, PARTNER)
        return None

    def mixed(self) -> Fault | None:
        """Say if rows, or numbers, that have nothing to do with each other are mixed."""
        if not all(map(self._is_mixed, self.samples)):
            return None
        return ROWS_MIXED if self.samples[0].wanted.ndim > 1 else NUMBERS_MIXED

    def smallest(self) -> Fault | None:
        """Show the smallest example that goes wrong, of rounded numbers, if one is small."""
        inputs = self.samples[0].inputs
        lengths = {len(value) for value in inputs if np.ndim(value)}
        if len(lengths) != 1:
            return None
        parts = ((n, start) for n in range(1, 5) for start in range(min(20, min(lengths) - n + 1)))
        for n, start in parts:
            small = [v[start : start + n].round(1) if np.ndim(v) else v for v in inputs]
            found, wanted = self._again(small)
            few = max(map(np.size, (*small, found, wanted))) <= 5 and np.isfinite(wanted).all()
            if few and not distance(found, wanted) < CLOSE:
                return _example(self.judge, small, found, wanted)
        return None

    def _again(self, inputs: list[Any]) -> tuple[Array, Array]:
        """Return what the function makes of other inputs, and what is right."""
        try:
            found = np.asarray(ask(self.judge.call, self.function, *map(copied, inputs)))
        except (StudentError, NotImplementedError):
            found = np.full((), np.nan)
        try:
            with np.errstate(all="ignore"):  # rounded numbers may be none that fit, as 0 in a log
                return found, np.asarray(self.judge.oracle(*inputs))
        except ValueError:  # nor do parts of arrays whose lengths are equal by chance
            return found, np.full((), np.nan)

    def _is_blind(self, number: int, change: "Change") -> bool:
        """Whether no result changes, and some should, whatever becomes of an argument."""
        should_differ = 0
        for sample in self.samples:
            differs = self._differs(sample, number, change)
            if differs is None:
                return False
            should_differ += differs
        return should_differ >= N_SAMPLES

    def _differs(self, sample: Sample, number: int, change: "Change") -> bool | None:
        """Whether a result should change that does not, or None for one that changes."""
        before, differs = sample.inputs[number], False
        for changed in islice(change(np.copy(before)), 5) if np.ndim(before) else ():
            inputs = [*sample.inputs[:number], changed, *sample.inputs[number + 1 :]]
            found, wanted = self._again(inputs)
            if not (np.isfinite(found).any() and distance(found, np.asarray(sample.found)) < EXACT):
                return None
            differs |= distance(wanted, sample.wanted) > EXACT
        return differs

    def _is_mixed(self, sample: Sample) -> bool:
        """Whether a change of the first row, or number, changes others, and should not."""
        n_rows = len(sample.wanted) if sample.wanted.ndim in (1, 2) else 0
        inputs = list(map(copied, sample.inputs))
        for value in inputs:
            if n_rows > 1 and np.shape(value)[:1] == (n_rows,):
                value[0] = np.roll(value[0], 1) if value.ndim > 1 else value[0] + 1
        found, wanted = self._again(inputs)
        if n_rows < 2 or not found.shape == wanted.shape == np.shape(sample.found):
            return False
        before = np.asarray(sample.found)[1:]
        return distance(wanted[1:], sample.wanted[1:]) < EXACT < distance(found[1:], before)


def _size(sample: Sample) -> int:
    return max(map(np.size, sample.inputs))


def _example(judge: Judge, inputs: list[Any], found: Array, wanted: Array) -> Fault:
    names = judge.call.partition("(")[2].rstrip(")").split(", ")
    told = " and ".join(
        f"{name} = {_short(value)}" for name, value in zip(names, inputs, strict=False)
    )
    likely = f"a small example: with {told}, the result is {_short(found)}, not {_short(wanted)}."
    return Fault(EXAMPLE, likely, "Work this out on paper, and compare each line.")


def _short(value: Any) -> str:
    text = np.array2string(
        np.asarray(value), separator=", ", formatter={"float_kind": lambda x: f"{x + 0.0:.4g}"}
    )
    return text.replace("\n", "")


Change = Callable[[Array], Iterator[Array]]


def _with_other(row: int) -> Change:
    """Return changes of one row, or entry: others take its place."""

    def change(a: Array) -> Iterator[Array]:
        for other in np.unique(a, axis=0):
            a[row] = other
            yield a.copy()

    return change


def _of_other_values(a: Array) -> Iterator[Array]:
    """Yield an array in which every value is another one, twice."""
    values, places = np.unique(a, return_inverse=True)
    for by in (1, 2):
        yield np.roll(values, by)[places].reshape(a.shape)


# What may be done to an argument, and the words for it.
CHANGES: dict[str, Change] = {
    "whatever `{name}` holds": _of_other_values,
    "with another last {one} of `{name}`": _with_other(-1),
    "with another first {one} of `{name}`": _with_other(0),
    "with the {several} of `{name}` in other places": lambda a: iter([np.roll(a, 1, axis=0)]),
    "with the columns of `{name}` in other places": lambda a: iter([np.roll(a, 1, axis=-1)]),
}
PARTNER = "See that each entry meets the one of the same place in the other argument."
ROWS_MIXED = Fault(
    "property", "what comes out for one image depends on the other images of its batch.",
    "Find the line that takes rows together, as a sum or mean over axis 0 or over all does.",
)  # fmt: skip
NUMBERS_MIXED = Fault(
    "property", "what comes out for one number depends on the numbers beside it.",
    "Find the line that takes all numbers together, as a sum, a mean or a largest number does.",
)  # fmt: skip


@lru_cache(maxsize=200)
def _drawn(
    oracle: Callable[..., Array], draw: Draw, seed: int, number: int, n: int
) -> list[Sample]:
    """Return `n` samples without a result, the same for every change that is tried."""
    rng = np.random.default_rng([seed, number])
    inputs = [draw(rng) for _ in range(n)]
    return [Sample(None, np.asarray(oracle(*args)), args) for args in inputs]


def _is_finite(sample: Sample, overflow: Fault) -> Array:
    """Return where the wrong function of `overflow` is finite."""
    assert overflow.wrong is not None
    with np.errstate(all="ignore"):
        return np.isfinite(overflow.wrong(*sample.inputs))


def _overflows(sample: Sample, overflow: Fault) -> bool:
    return not _is_finite(sample, overflow).all()


def _overflow_fault(sample: Sample, overflow: Fault) -> Fault | None:
    """Return `overflow` where its wrong function is not finite either, EPSILON where it alone."""
    found, finite = sample.found, _is_finite(sample, overflow)
    if found.shape != finite.shape:
        return None
    if np.array_equal(np.isfinite(found), finite):
        return overflow
    bounded = found.ndim == 0 and np.isfinite(found) and 0 < found < (1 - CLOSE) * sample.wanted
    return EPSILON if bounded else None


def gaussian(*shape: int, scale: float = 2.0) -> Draw:
    """Draw one array of Gaussian numbers."""
    return lambda rng: (rng.normal(0, scale, shape),)


def some_equal(*shape: int) -> Draw:
    """Draw one array of which many numbers are equal, and all of the first row."""

    def draw(rng: Rng) -> tuple[Array]:
        numbers = rng.integers(-1, 2, shape).astype(float)
        numbers[0] = 0
        return (numbers,)

    return draw


def many_rows(draw: Draw) -> Draw:
    """Draw as `draw` does, but 40 of its 30 rows, so that some come twice."""

    def drawn(rng: Rng) -> tuple[Array, ...]:
        rows = rng.integers(30, size=40)
        return tuple(value[rows] if len(value) == 30 else value for value in draw(rng))

    return drawn


def some_rows(rng: Rng) -> tuple[Array]:
    """Draw a batch of some rows of some numbers each, never a square."""
    n_rows, n_columns = rng.permutation(np.arange(2, 8))[:2]
    return (rng.normal(0, 2, (n_rows, n_columns)),)


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
    close=1e-8,
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
