"""What holds of a function beyond one call: nothing is kept, and arrays may lie as they like."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from checks.asking import ask
from checks.comparison import CLOSE, Array, distance
from checks.faults import UNKNOWN, Fault, Sample

STALE = Fault(
    "kept between calls",
    "with other numbers in one of the arguments, the result is that of the call before: something "
    "of it is kept.",
    "Compute everything anew in each call, from the arguments as they are then.",
)
OVERWRITTEN = Fault(
    "kept between calls",
    "the array that one call returned is changed by the next one: both return the same.",
    "Make a new array in each call.",
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

    Each argument gets other numbers in turn, in the array that was passed in before.
    """
    given = [np.copy(v) if isinstance(v, np.ndarray) else v for v in inputs]
    first = np.asarray(ask(call, function, *given))
    as_returned = first.copy()
    for number, value in enumerate(inputs):
        given[number] = _other_numbers(given[number])
        found, wanted = np.asarray(ask(call, function, *given)), np.asarray(oracle(*given))
        if not distance(found, wanted) < CLOSE:
            fault = STALE if distance(found, as_returned) < CLOSE else UNKNOWN
            return Sample(found, wanted, tuple(given)), fault
        given[number] = _set(given[number], value)
    if not np.array_equal(first, as_returned, equal_nan=True):
        return Sample(first, as_returned, tuple(inputs)), OVERWRITTEN
    laid = [_otherwise_laid(v) if isinstance(v, np.ndarray) else v for v in inputs]
    found = np.asarray(ask(call, function, *laid))
    return None if distance(found, first) < CLOSE else (Sample(found, first, tuple(laid)), LAYOUT)


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
MANY = Fault(
    "many images",
    f"few images are right, and {N_ROWS} are not, though they are the same again and again.",
    "Let all rows count, whatever their number is: those after the last full part, too.",
)


def wrong_for_many(
    call: str, function: Callable[..., Any], oracle: Callable[..., Array], sample: Sample
) -> tuple[Sample, Fault] | None:
    """Return what `function` makes of the rows of a batch, many times over, if it is wrong.

    Nothing is asked if the right result for each row twice is neither twice the same rows nor
    twice the numbers.
    """
    n_rows, few = len(sample.inputs[0]), sample.wanted

    def repeated(times: int) -> list[Any]:
        return [
            np.concatenate(times * [v]) if np.ndim(v) and len(v) == n_rows else v
            for v in sample.inputs
        ]

    try:
        twice = np.asarray(oracle(*repeated(2)))
    except Exception:
        return None  # what has as many rows is no batch
    times = N_ROWS // n_rows
    if np.array_equal(twice, np.concatenate([np.atleast_1d(few)] * 2)):
        wanted = np.concatenate(times * [few])
    elif distance(twice, 2 * few) < CLOSE:
        wanted = times * few
    else:
        return None
    given = repeated(times)
    found = np.asarray(ask(call, function, *given))
    return None if distance(found, wanted) < CLOSE else (Sample(found, wanted, tuple(given)), MANY)


def _other_numbers(value: Any) -> Any:
    """Return a number and one, or an array whose numbers have moved by one place."""
    return _set(value, np.roll(value, 1, axis=-1)) if isinstance(value, np.ndarray) else value + 1


def _set(array: Any, value: Any) -> Any:
    if not isinstance(array, np.ndarray):
        return value
    array[...] = value
    return array


def _otherwise_laid(array: Array) -> Array:
    """Return equal numbers that lie column by column in memory, with gaps between them."""
    wide = np.repeat(array, 2, axis=-1)
    return np.asfortranarray(wide)[..., ::2]
