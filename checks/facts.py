"""What is true of a wrong result, where no known mistake explains it."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from checks.comparison import CLOSE, EXACT, ROUGH, SAME, Array, distance
from checks.faults import Fault, Sample
from checks.special import expit


def nearly(samples: Sequence[Sample], difference: float) -> Fault | None:
    """Return the fault of a result that is right but for its last digits, or None."""
    if not difference < CLOSE:
        return None
    words = "something small is added, or digits are lost."
    likely = f"all is right up to {difference:.0e} of its size: {words}"
    step = "Look for a small number such as 1e-8, a bound, or a type of fewer digits."
    return Fault("property", likely, step)


ROUNDED = Fault(
    "property",
    "all numbers are right up to rounding, and rounded to as few digits as 16 bits hold.",
    "Compute in the type of the arguments: no smaller one.",
)


def rounded(samples: Sequence[Sample], difference: float) -> Fault | None:
    """Return the fault of a result that was computed with 16 bits, or None."""
    lost = difference < 0.01 and all(
        _has_16_bits(sample.found) > _has_16_bits(sample.wanted) for sample in samples
    )
    return ROUNDED if lost else None


def _has_16_bits(values: Array) -> bool:
    """Whether numbers could be of one of the two types of 16 bits, whose digits fewer bits hold."""
    single = np.ascontiguousarray(values, np.float32)
    same = np.array_equal(single, values)
    with np.errstate(over="ignore"):
        half = np.array_equal(single.astype(np.float16), single)
    return bool(same and (half or not (single.view(np.uint32) & 0xFFFF).any()))


BY_HAND = "Take one of the wrong numbers, work it out on paper, and compare each line."


def general_fact(samples: Sequence[Sample]) -> Fault | None:
    """Say what is true of wrong results: always one number, an argument, or right on one side."""
    given = [value for sample in samples for value in sample.inputs]
    numbers = {number.item() for sample in samples for number in sample.found.flat}
    wanted = {number.item() for sample in samples for number in sample.wanted.flat}
    if len(samples) < 2 or not given:
        return None
    if len(numbers) == 1 < len(wanted):
        likely = f"the result holds {numbers.pop():.6g} and nothing else, for different inputs."
        return Fault("property", likely, "Follow the arguments line by line: where do they end?")
    if not all(isinstance(value, (np.ndarray, int)) for value in given):
        return None
    if all(sample.found.dtype.kind == "b" for sample in samples):
        likely = "the result holds True and False alone: a comparison is returned as it is."
        return Fault("property", likely, "Use the comparison to choose between two values.")
    for number, word in enumerate(("first", "second", "third")[: len(samples[0].inputs)]):
        for words, change in OF_ARGUMENT.items():
            if all(_is_of_argument(sample, number, change) for sample in samples):
                likely = words.format(word)
                return Fault("property", likely, BY_HAND)
    for words, side in SIDES.items():
        if all(_wrong_where(side, sample) for sample in samples):
            likely = f"{words} give wrong results, and all others right ones."
            return Fault("property", likely, BY_HAND)
    return _constant_fact(samples) or _sizes_fact(samples) or _places_fact(samples)


def where_it_went(samples: Sequence[Sample]) -> Fault | None:
    """Say if all that is wrong are zeros where nothing was put, or right numbers put elsewhere."""
    if any(s.found.shape != s.wanted.shape or s.wanted.ndim < 2 for s in samples):
        return None
    wrong = [_is_wrong(sample) for sample in samples]
    at = next((np.argwhere(each)[0].tolist() for each in wrong if each.any()), None)
    if all((s.found[each] == 0).all() for s, each in zip(samples, wrong, strict=True)):
        likely = f"every wrong number is 0, as where nothing is put in. The first is at {at}."
        return Fault("property", likely, "See which places the loop, or the slice, never reaches.")
    if all(distance(np.sort(s.found, None), np.sort(s.wanted, None)) < CLOSE for s in samples):
        likely = f"all numbers are right, but some stand in other places. The first is at {at}."
        return Fault("property", likely, "See in which order the numbers come, and are laid out.")
    return None


HOLDS_NAN = Fault(
    "property", "NaN or infinite numbers come up, as of a division by 0, the logarithm of 0, exp "
    "of a large number, or of 0 times infinity.",
    "Print the arrays line by line, and see where the first of these numbers is.",
)  # fmt: skip


def not_finite(samples: Sequence[Sample]) -> Fault | None:
    """Say if NaN or infinity is among the results, and should not be."""
    found = (s for s in samples if np.isfinite(s.wanted).all() and not np.isfinite(s.found).all())
    return HOLDS_NAN if any(found) else None


def _constant_fact(samples: Sequence[Sample]) -> Fault | None:
    """Say along which axes nothing changes."""
    axes = [axis for axis in range(samples[0].wanted.ndim) if _is_constant(samples, axis)]
    along = " and ".join(f"axis {axis}" for axis in axes)
    likely = f"all numbers along {along} are equal, as if one place stood for all."
    return Fault("property", likely, BY_HAND) if axes else None


def _is_constant(samples: Sequence[Sample], axis: int) -> bool:
    """Whether no number of any result changes along an axis, along which all should."""
    return all(
        s.found.shape == s.wanted.shape
        and np.ptp(s.found.astype(float), axis).max() < EXACT < np.ptp(s.wanted, axis).min()
        for s in samples
    )


OF_ARGUMENT: dict[str, Callable[[Array], Array]] = {
    "the {} argument is returned as it came.": lambda a: a,
    **{f"the result is {words} the {{}} argument, and nothing else.": change
       for words, change in (("the negative of", np.negative), ("exp of", np.exp),
                             ("the logarithm of", np.log), ("the square of", np.square),
                             ("the sigmoid of", expit), ("the sum of", np.sum),
                             ("the mean of", np.mean))},
}  # fmt: skip


def _is_of_argument(sample: Sample, number: int, change: Callable[[Array], Array]) -> bool:
    argument = np.asarray(sample.inputs[number])
    with np.errstate(all="ignore"):
        return argument.ndim > 0 and distance(sample.found, np.asarray(change(argument))) < EXACT


def _sizes_fact(samples: Sequence[Sample]) -> Fault | None:
    """Say from which size of the first argument on all results are wrong, or up to which."""
    if not all(np.shape(s.inputs[0]) == s.found.shape == s.wanted.shape for s in samples):
        return None
    sizes = np.concatenate([np.abs(sample.inputs[0]).ravel() for sample in samples])
    wrong = np.concatenate([_is_wrong(sample).ravel() for sample in samples])
    if not 2 < wrong.sum() < wrong.size - 2:
        return None
    for words, limits in (
        ("up to {:.4g} in size give right results, and those from {:.4g} on wrong ones",
         (sizes[~wrong].max(), sizes[wrong].min())),
        ("up to {:.4g} in size give wrong results, and those from {:.4g} on right ones",
         (sizes[wrong].max(), sizes[~wrong].min())),
    ):  # fmt: skip
        if limits[0] < limits[1]:
            return Fault("property", f"numbers {words.format(*limits)}.", BY_HAND)
    return None


def _places_fact(samples: Sequence[Sample]) -> Fault | None:
    """Say in which rows or columns all that is wrong stands."""
    if any(s.found.shape != s.wanted.shape or not s.wanted.ndim for s in samples):
        return None
    for axis in range(samples[0].wanted.ndim):
        said = {_place_words(_is_wrong(sample), axis) for sample in samples}
        if len(said) == 1 and (words := said.pop()):
            return Fault("property", f"{words}.", BY_HAND)
    return None


def rows_fact(samples: Sequence[Sample]) -> Fault | None:
    """Say if all rows that are wrong are zeros, or those of other places."""
    told = [words for sample in samples if (words := _row_words(sample)) != "right"]
    if not told or not all(told):
        return None
    likely = f"every wrong row holds zeros, or what belongs into another row: {told[-1]}."
    step = "See which rows of the result each part is put into, and which rows it was made of."
    return Fault("property", likely, step)


def _row_words(sample: Sample) -> str:
    found, wanted = (np.asarray(values, dtype=float) for values in sample[:2])
    if wanted.ndim != 2 or found.shape != wanted.shape or min(wanted.shape) < 3:
        return ""
    rows = np.flatnonzero(_is_wrong(sample).any(axis=1))
    if len(np.unique(wanted.round(5), axis=0)) < len(wanted) or not wanted.any(axis=1).all():
        return ""  # of equal rows, any may be another
    its = [np.isclose(wanted, found[row], rtol=CLOSE, atol=0).all(axis=1) for row in rows]
    if not len(rows):
        return "right"
    if not all(same.any() or not found[row].any() for row, same in zip(rows, its, strict=True)):
        return ""
    moved = [(row, int(same.argmax())) for row, same in zip(rows, its, strict=True) if same.any()]
    words = [f"row {row} holds what belongs into row {place}" for row, place in moved[:1]]
    zero = [row for row in rows if not found[row].any()]
    words += [f"row {row} holds zeros" for row in zero[:1]]
    return " and ".join(words)


def _place_words(wrong: Array, axis: int) -> str:
    others = tuple(n for n in range(wrong.ndim) if n != axis)
    lines = np.asarray(wrong.any(axis=others) if others else wrong)
    word = "entry" if wrong.ndim == 1 else ("row", "column")[axis] if wrong.ndim == 2 else ""
    word = word or f"place along axis {axis}"
    if len(lines) < 3:
        return ""
    for which, here in (("first", 0), ("last", -1)):
        rest = np.delete(lines, here)
        if lines[here] and not rest.any():
            return f"only the {which} {word} is wrong, and all others are right"
        if rest.all() and not lines[here]:
            return f"only the {which} {word} is right, and all others are wrong"
    return ""


def _is_wrong(sample: Sample) -> Array:
    found, wanted = sample.found.astype(float), sample.wanted.astype(float)
    return ~np.isclose(found, wanted, rtol=CLOSE, atol=EXACT)


SIDES: dict[str, Callable[[Array], Array]] = {
    "negative numbers": lambda a: a < 0,
    "positive numbers": lambda a: a > 0,
    "zeros and ones": lambda a: (a == 0) | (a == 1),
    "zeros": lambda a: a == 0,
    "ones": lambda a: a == 1,
}


def _wrong_where(side: Callable[[Array], Array], sample: Sample) -> bool:
    """Whether a result is wrong just where the first argument is of one kind."""
    found, wanted, given = sample.found, sample.wanted, np.asarray(sample.inputs[:1])
    if not found.shape == wanted.shape == given.shape[1:]:
        return False
    wrong = _is_wrong(sample)
    return bool(np.array_equal(wrong, side(given[0])) and wrong.any() and not wrong.all())


def relation(samples: Sequence[Sample]) -> Fault | None:
    """Say what is true of all results beside what was wanted: their shape, or a common factor."""
    pairs = [(sample.found, sample.wanted) for sample in samples]
    misshapen = [(found, wanted) for found, wanted in pairs if found.shape != wanted.shape]
    others = [distance(*pair) for pair in pairs if pair[0].shape == pair[1].shape]
    if misshapen and max(others, default=0) < CLOSE:
        step = "Print the shape after each step, and see where it is no longer what you expect."
        return Fault("shape", _shape_words(misshapen), step)
    factors = [_factor(*pair) for pair in pairs]
    lengths = [_n_rows(*sample.inputs[:1]) for sample in samples]
    if len(pairs) < 2 or any(found.shape != wanted.shape for found, wanted in pairs):
        return None
    if not all(np.isfinite(factor) for factor in factors):
        return _other_relation(pairs)
    if max(lengths) > 1 and np.allclose(np.multiply(factors, lengths), 1, rtol=SAME, atol=0):
        likely = "everything is divided by the number of rows, as when a mean is taken."
        return Fault("scaled", likely, "The sum over the images is wanted: do not divide by them.")
    if not np.allclose(factors, factors[0], rtol=ROUGH, atol=0) or abs(factors[0] - 1) < CLOSE:
        return None  # what is nearly right is off by something else than a factor
    if len({float(number) for _, wanted in pairs for number in wanted.flat}) == 1:
        return None  # of one and the same number, any other is some multiple
    base = next((b for b in (2, 10) if abs(factors[0] * np.log(b) - 1) < SAME), 0)
    if base:
        step = "Use the natural logarithm, np.log."
        return Fault("scaled", f"everything is as with logarithms of base {base}.", step)
    if abs(factors[0] + 1) < SAME:
        step = "Look for one sign that is reversed, or two terms that have changed places."
        return Fault("scaled", "everything is the negative of what it should be.", step)
    step = "Look for a factor that is missing or too much, or for another function."
    return Fault("scaled", f"everything is {factors[0]:.6g} times what it should be.", step)


def _rounded(digits: int, a: Array) -> Array:
    return np.round(a, digits)


# What may have been made of the right result, and the words for it.
OF_RIGHT: dict[str, Callable[[Array], Array]] = {
    "1 minus what it should be": lambda w: 1 - w,
    "100 minus what it should be": lambda w: 100 - w,
    "the absolute value of what it should be": np.abs,
    "the square of what it should be": np.square,
    "the square root of what it should be": np.sqrt,
    "exp of what it should be": np.exp,
    "the logarithm of what it should be": np.log,
    "1 divided by what it should be": lambda w: 1 / w,
    "what it should be, with 0 for what is negative": lambda w: np.maximum(w, 0),
    "what it should be, rounded to whole numbers": np.rint,
    "what it should be, cut off to whole numbers": np.trunc,
    **{f"what it should be, rounded to {n} digits behind the point": partial(_rounded, n)
       for n in range(1, 6)},
    "what it should be, but from the last to the first row": lambda w: w[::-1],
    "what it should be, but from the last to the first column": lambda w: w[..., ::-1],
    "the running sum of what it should be": lambda w: np.cumsum(w, axis=-1),
}  # fmt: skip
LAST_STEP = "Look at the last steps: something is done once too often there, or not at all."


def _other_relation(pairs: Sequence[tuple[Array, Array]]) -> Fault | None:
    """Say which simple function of what was wanted all results are, or what was added to them."""
    if any(np.ptp(wanted.astype(float)) == 0 < wanted.ndim for _, wanted in pairs):
        return None  # equal numbers may be anything
    with np.errstate(all="ignore"):
        for words, change in OF_RIGHT.items():
            if all(_is_made_by(change, *pair) for pair in pairs):
                return Fault("property", f"everything is {words}.", LAST_STEP)
        added = [found.astype(float) - wanted for found, wanted in pairs]
    constant = added[0].flat[0]
    if all(a.size > 1 and np.allclose(a, constant, rtol=ROUGH, atol=0) for a in added):
        words = f"{abs(constant):.6g} too {'large' if constant > 0 else 'small'}"
        return Fault("property", f"every number is {words}.", "Look for a term that is too much.")
    for axis, word in ((-1, "row"), (0, "column")):
        if all(_varies(found, wanted, axis) for found, wanted in pairs):
            likely = f"each {word} is right but for a factor, another one in each {word}."
            return Fault("property", likely, f"See by what the numbers of a {word} are divided.")
    return None


def _is_made_by(change: Callable[[Array], Array], found: Array, wanted: Array) -> bool:
    made = np.asarray(change(wanted)) if wanted.ndim else wanted
    return distance(found, made) < SAME < distance(made, wanted)


def _varies(found: Array, wanted: Array, axis: int) -> bool:
    """Whether a matrix is right but for a factor that is the same along an axis."""
    if wanted.ndim != 2 or min(wanted.shape) < 2:
        return False
    lines = [np.moveaxis(values, axis, -1) for values in (found, wanted)]
    return all(np.isfinite(_factor(*pair)) for pair in zip(*lines, strict=True))


def off(samples: Sequence[Sample]) -> float:
    """Return how far all results are off, infinity if no number tells.

    If one and the same factor would make them right, they are nearly so.
    """
    pairs = [(sample.found.astype(float), sample.wanted) for sample in samples]
    if any(f.shape != w.shape or not np.isfinite(f).all() for f, w in pairs):
        return float("inf")
    factors = [_factor(*pair) for pair in pairs]
    if len(factors) > 1 and np.allclose(factors, factors[0], rtol=ROUGH, atol=0):
        return CLOSE
    return float(sum(np.abs(f - w).sum() / (np.abs(w).sum() or 1) for f, w in pairs))


def _n_rows(first: Any = None) -> int:
    return len(first) if isinstance(first, np.ndarray) and first.ndim == 2 else 1


def _factor(found: Array, wanted: Array) -> float:
    """Return the number that `wanted` is multiplied by in `found`, NaN if there is none."""
    if found.shape != wanted.shape or not wanted.any() or not np.isfinite(found).all():
        return float("nan")
    factor = float((found * wanted).sum() / (wanted * wanted).sum())
    return factor if factor and distance(found, factor * wanted) < SAME else float("nan")


def _axes(number: int) -> str:
    return "one axis" if number == 1 else f"{number or 'no'} axes"


# What may have become of the shape of a right result, and the words for it.
OF_SHAPE: dict[str, Callable[[Array], Array]] = {
    ": an axis of length 1 stands in front, as of a batch of one.": lambda w: w[None],
    ": an axis of length 1 stands at the end, as of a column.": lambda w: w[..., None],
    ": the batch of one has lost its axis, as by `squeeze`, or by the index 0.":
        lambda w: w[0] if len(w) == 1 else w,
    ": all axes are laid out in one row.": np.ravel,
}  # fmt: skip
SUMMED: dict[str, Callable[..., Array]] = {
    "summed up": np.sum, "averaged": np.mean, "searched for the largest number": np.max,
}  # fmt: skip


def _shape_words(pairs: Sequence[tuple[Array, Array]]) -> str:
    found, wanted = pairs[0]
    if all(distance(f.ravel(), w.ravel()) < CLOSE for f, w in pairs):
        are = (words for words, change in OF_SHAPE.items() if _all_are(change, pairs))
        return f"the numbers are right, and only their shape is not{next(are, '.')}"
    for axis, (words, reduce) in itertools.product((*range(wanted.ndim), None), SUMMED.items()):
        if any(_all_are(partial(reduce, axis=axis, keepdims=kept), pairs) for kept in (0, 1)):
            along = "all axes" if axis is None else f"axis {axis}"
            return f"the right result is {words} along {along}, and should not be."
    if any(f.ndim != w.ndim for f, w in pairs):
        return f"the result has {_axes(found.ndim)}, where it should have {wanted.ndim}."
    if not all(f.size for f, _ in pairs):
        return "the result is empty: nothing was put into it."
    for order in itertools.permutations(range(found.ndim)):
        if all(distance(f.transpose(order), w) < CLOSE for f, w in pairs):
            return "the numbers are right, and the axes stand in another order."
    return _length_words(pairs)


def _all_are(change: Callable[[Array], Array], pairs: Sequence[tuple[Array, Array]]) -> bool:
    """Whether every result is what a change makes of what was wanted."""
    return all(w.ndim and distance(f, np.asarray(change(w))) < CLOSE for f, w in pairs)


def _length_words(pairs: Sequence[tuple[Array, Array]]) -> str:
    """Say which axes are too long or too short, and whether what is there is right."""
    alike = any(np.ptp(w.astype(float)) == 0 for _, w in pairs)  # of which any rows are the first
    if not alike and all(distance(f, w[: len(f)]) < CLOSE for f, w in pairs):
        return "only the first rows are there; they are right."
    if not alike and all(distance(f, w[-len(f) :]) < CLOSE for f, w in pairs):
        return "only the last rows are there; they are right."
    lengths = [list(zip(f.shape, w.shape, strict=True)) for f, w in pairs]
    both = [tuple(slice(min(each)) for each in lengths_of) for lengths_of in lengths]
    differing = [axis for axis, (came, due) in enumerate(lengths[0]) if came != due]
    common = [(f[part], w[part]) for (f, w), part in zip(pairs, both, strict=True)]
    if not alike and all(distance(*each) < CLOSE and each[0].size > 3 for each in common):
        words = (_end_words(axis, *lengths[0][axis]) for axis in differing)
        return f"what is there is right, but {' and '.join(words)}."
    axis = differing[0]
    came, due = lengths[0][axis]
    return f"axis {axis} has the length {came}, and should have {due}."


def _end_words(axis: int, came: int, due: int) -> str:
    return f"axis {axis} ends {abs(came - due)} too {'late' if came > due else 'early'}"
