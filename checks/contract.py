"""What holds of a function beyond one call: nothing is kept, and any array will do as well."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from checks.asking import ask
from checks.comparison import CLOSE, Array, distance
from checks.facts import not_finite
from checks.faults import UNKNOWN, Fault, Sample
from checks.source import plain_function

STALE = Fault(
    "kept between calls",
    "with other numbers in one of the arguments, the result is that of the call before: something "
    "of it is kept.",
    "Compute everything anew in each call, from the arguments as they are then.",
)
SHAPE_KEPT = Fault(
    "kept between calls",
    "the same numbers in another shape give what those of the shape before gave: something of that "
    "call is kept.",
    "Compute everything anew in each call, from the arguments as they are then.",
)
OVERWRITTEN = Fault(
    "kept between calls",
    "the array that one call returned is changed by the next one: both return the same.",
    "Make a new array in each call.",
)
SIZE_KEPT = Fault(
    "kept between calls",
    "batches of different sizes are right, each in a network of its own, and wrong one after the "
    "other: something of the first one's size is kept.",
    "Make each array anew in every call, in the size of the last batch.",
)
LAYOUT = Fault(
    "layout",
    "the same numbers are right where they lie side by side in memory, row by row, and not where "
    "they lie otherwise, as in a transposed array.",
    "Use indices, which are right for every array, in place of places in memory.",
)


def broken(
    call: str, function: Callable[..., Any], oracle: Callable[..., Array], inputs: Sequence[Any]
) -> tuple[Sample, Fault] | None:
    """Return what a right `function` does wrongly when it is called again, and why, or None.

    Each argument gets other numbers in turn, in the array that was passed in before. Where there is
    one argument alone, its numbers come in another shape, too.
    """
    given = list(map(copied, inputs))
    first = np.asarray(ask(call, function, *given))
    as_returned = first.copy()
    for number, value in enumerate(inputs):
        given[number] = _other_numbers(given[number])
        found, wanted = np.asarray(ask(call, function, *given)), np.asarray(oracle(*given))
        if not distance(found, wanted) < CLOSE:
            sample = Sample(found, wanted, tuple(given))
            other = not_finite([sample]) or UNKNOWN
            return sample, STALE if distance(found, as_returned) < CLOSE else other
        given[number] = _set(given[number], value)
    if len(given) == 1:
        other = given[0].reshape(given[0].shape[::-1])
        found, wanted = np.asarray(ask(call, function, other)), np.asarray(oracle(other))
        if not distance(found, wanted) < CLOSE:
            same = distance(found.ravel(), as_returned.ravel()) < CLOSE
            return Sample(found, wanted, (other,)), SHAPE_KEPT if same else UNKNOWN
    if not np.array_equal(first, as_returned, equal_nan=True):
        return Sample(first, as_returned, tuple(inputs)), OVERWRITTEN
    return None


def wrong_by_layout(
    call: str, function: Callable[..., Any], samples: Sequence[Sample]
) -> tuple[Sample, Fault] | None:
    """Return what `function` makes of inputs that lie otherwise in memory, if it is wrong, or None.

    They lie column by column, in every other sample with gaps between the numbers.
    """
    of_columns = (s for s in samples if max(map(np.ndim, s.inputs)) > 1)
    for sample, step in zip(of_columns, itertools.cycle((2, 1))):
        laid = [_otherwise_laid(v, step) if np.ndim(v) else v for v in sample.inputs]
        found = np.asarray(ask(call, function, *laid))
        if not distance(found, sample.wanted) < CLOSE:
            return Sample(found, sample.wanted, tuple(laid)), LAYOUT
    return None


IN_32_BITS = Fault(
    "32 bits",
    "this is right for numbers of 64 bits, and not for those of 32 bits, in which training "
    "computes: exp of 89 is infinite there, and exp of -104 is 0.",
    "Write it so that no number gets too large or too small, whatever the type is.",
)


def wrong_in_32_bits(
    call: str, function: Callable[..., Any], sample: Sample
) -> tuple[Sample, Fault] | None:
    """Return what `function` makes of the inputs in 32 bits, if it is wrong, or None."""
    given = [
        v.astype(np.float32) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v
        for v in sample.inputs
    ]
    found = np.asarray(ask(call, function, *given))
    largest = max(np.abs(v).max(initial=1) for v in sample.inputs)
    if distance(found, sample.wanted, near=1e-5 * float(largest)) < CLOSE:  # of 7 digits, some go
        return None
    return Sample(found, sample.wanted, tuple(given)), IN_32_BITS


N_ROWS = 12_000  # more than in the parts into which large batches are usually cut
LARGEST = 20_000  # of the numbers in a student's text that are tried as numbers of images
N_TRIED = 8  # of them
MANY = Fault(
    "many images",
    "few images are right, and {n} are not, though they are the same again and again.",
    "Let all rows count, whatever their number is: those after the last full part, too.",
)


def wrong_for_many(
    call: str, function: Callable[..., Any], oracle: Callable[..., Array], sample: Sample
) -> tuple[Sample, Fault] | None:
    """Return what `function` makes of the rows of a batch, many times over, if it is wrong.

    There are as many as large batches have, and one more than each whole number in its text.
    """
    n_rows = len(sample.inputs[0])
    is_batch = [np.ndim(v) > 0 and len(v) == n_rows for v in sample.inputs]

    def rows(n: int) -> list[Any]:
        pairs = zip(sample.inputs, is_batch, strict=True)
        return [np.resize(v, (n, *v.shape[1:])) if batch else v for v, batch in pairs]

    try:
        twice = np.asarray(oracle(*rows(2 * n_rows)))
    except Exception:
        return None  # what has as many rows is no batch
    for n in (*(n + 1 for n in whole_numbers(function)), N_ROWS):
        wanted = _of_many(n, sample.wanted, twice, n_rows, lambda n: np.asarray(oracle(*rows(n))))
        if wanted is None:
            return None
        found = np.asarray(ask(call, function, *rows(n)))
        if not distance(found, wanted) < CLOSE:
            fault = MANY._replace(likely=MANY.likely.format(n=n))
            return Sample(found, wanted, tuple(rows(n))), fault
    return None


def _of_many(
    n: int, few: Array, twice: Array, n_rows: int, right: Callable[[int], Array]
) -> Array | None:
    """Return what is right for `n` rows, None if it does not follow from a few.

    `few` is right for `n_rows`, `twice` for each of these two times, and `right` works it out.
    """
    if np.array_equal(twice, few):  # a mean
        return right(n)
    if len(np.atleast_1d(twice)) == 2 * n_rows:
        return np.resize(few, (n, *few.shape[1:]))
    if distance(twice, 2 * few) < CLOSE:
        rest = n % n_rows
        return n // n_rows * few + (right(rest) if rest else 0)
    return None


def other_seeds(function: Callable[..., Any]) -> list[int]:
    """Return seeds that have to lead to something else than 0 does: some may stand for it."""
    return [1, *whole_numbers(function, 10**9)]


def seed_fault(fault: Fault, seeds: Iterable[int], same: Iterable[bool]) -> Fault | None:
    """Return the fault of the first of the `other_seeds` that leads to the same as 0, or None."""
    other = next(itertools.compress(seeds, same), None)
    if other is None:
        return None
    if other == 1:
        return fault
    likely = f"the seed 0 leads to the same as {other}, which stands in the code, as where 0 is"
    return Fault(fault.key, f"{likely} taken for no seed at all.", "Pass every seed on, 0 too.")


def whole_numbers(function: Callable[..., Any], largest: int = LARGEST) -> list[int]:
    """Return whole numbers in the text of a function, and of those that it names."""
    plain = plain_function(function)
    if plain is None:
        return []
    named = (plain.__globals__.get(name) for name in plain.__code__.co_names)
    values = [value for value in named if isinstance(value, (int, FunctionType))]
    codes = [v.__code__ for v in (plain, *values) if isinstance(v, FunctionType)]
    inner = [c for code in codes for c in code.co_consts if isinstance(c, CodeType)]
    found = {c for code in (*codes, *inner) for c in code.co_consts} | {*values}
    numbers = {n for n in found if type(n) is int and 1 < n <= largest}
    return sorted(numbers, reverse=True)[:N_TRIED]


Variant = Callable[[Array], Array]
VARIANTS: dict[str, Variant] = {
    "the numbers of `{name}` are a ten-thousandth of what they were": lambda v: 1e-4 * v,
    "the numbers of `{name}` are a hundred-millionth of what they were": lambda v: 1e-8 * v,
    "the numbers of `{name}` are a thousand times as large": lambda v: 1e3 * v,
    "each row of `{name}` adds up to 0": lambda v: v - v.mean(axis=-1, keepdims=True),
    "the first row of `{name}` holds zeros": lambda v: np.concatenate([0 * v[:1], v[1:]]),
    "no number of `{name}` is negative": np.abs,
    "no number of `{name}` is positive": lambda v: -np.abs(v),
    "all numbers of `{name}` are equal": np.ones_like,
}


def wrong_for_variants(
    call: str,
    function: Callable[..., Any],
    oracle: Callable[..., Array],
    sample: Sample,
    free: Sequence[int],
) -> tuple[Sample, Fault] | None:
    """Return what `function` makes of other kinds of numbers, if it is wrong, or None.

    `free` are the places of those arguments that may hold any numbers.
    """
    names = call.partition("(")[2].partition(")")[0].split(", ")
    for number in free:
        for words, change in VARIANTS.items():
            given = list(map(copied, sample.inputs))
            given[number] = change(given[number].astype(float))
            wanted = np.asarray(oracle(*given))
            found = np.asarray(ask(call, function, *given))
            near = 1e-13 * max(1.0, *(float(np.abs(v).max(initial=0)) for v in given))
            if not distance(found, wanted, near) < CLOSE:
                likely = f"the result is right for usual numbers, and not if {words}."
                fault = Fault("property", likely.format(name=names[number]), EVERY_NUMBER)
                return Sample(found, wanted, tuple(given)), fault
    return None


EVERY_NUMBER = "Let the formula hold for all numbers: see which a line leaves out or changes."


def copied(value: Any) -> Any:
    """Return a copy of an array, anything else as it is."""
    return np.copy(value) if isinstance(value, np.ndarray) else value


def _other_numbers(value: Any) -> Any:
    """Return a number and one, or an array whose numbers have moved by one place."""
    return _set(value, np.roll(value, 1, axis=-1)) if isinstance(value, np.ndarray) else value + 1


def _set(array: Any, value: Any) -> Any:
    if not isinstance(array, np.ndarray):
        return value
    array[...] = value
    return array


def _otherwise_laid(array: Array, step: int) -> Array:
    """Return equal numbers that lie column by column in memory, each `step` places further."""
    wide = np.repeat(array, step, axis=-1)
    return np.asfortranarray(wide)[..., ::step]
