"""How any function of arrays is judged: against a right one, on drawn arguments."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice
from typing import Any

import numpy as np

from checks.asking import StudentError, ask
from checks.check import Part
from checks.comparison import CLOSE, EXACT, SAME, Array, compared, describe, distance
from checks.contract import (
    broken,
    copied,
    wrong_by_layout,
    wrong_for_many,
    wrong_for_variants,
    wrong_in_32_bits,
)
from checks.facts import BY_HAND
from checks.faults import EXAMPLE, INPUT_CHANGED, UNKNOWN, Fault, Sample, asked_why
from checks.source import plain_function
from checks.verdicts import Exercise, Verdict

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
    close: float = 1e-8  # the largest relative difference of a right result
    facts: tuple[Fault, ...] = ()  # what may be true of a result that no fault explains
    unsaid: tuple[str, ...] = ()  # parts that are told only if they are wrong
    free: tuple[int, ...] = ()  # the places of arguments that may hold any numbers
    # What a part says that is wrong where those before it are right.
    beyond: Mapping[str, str] = field(default_factory=dict)
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
            if not fault and verdict.cause == UNKNOWN.key and name in self.beyond:
                fault = Fault("property", self.beyond[name], BY_HAND)
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
            one, several = PARTS_OF[min(np.ndim(self.samples[0].inputs[number]), 3)]
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
# The words for a part of an argument, and for several, by its number of axes, 3 or more.
PARTS_OF = (
    ("entry", "entries"), ("entry", "entries"), ("row", "rows"),
    ("place along axis 0", "places along axis 0"),
)  # fmt: skip
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
