"""The mistakes that checks know, each a claim that its wrong function tests."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from checks.comparison import CLOSE, EXACT, SAME, Array, distance


class Fault(NamedTuple):
    """A known mistake: its key for programs, the sentence that names it, and the next step.

    `wrong` is the function that a student would have written by that mistake; it tests the claim.
    """

    key: str
    likely: str
    step: str
    wrong: Callable[..., Any] | None = None


class Sample(NamedTuple):
    """What the student's function made of some inputs, and what was wanted."""

    found: Any
    wanted: Array
    inputs: tuple[Any, ...]


UNKNOWN = Fault(
    "unknown", "unknown; this is none of the usual mistakes.",
    "Take the smallest example that goes wrong, work it out on paper, and compare each line.",
)  # fmt: skip
UNFINISHED = Fault("unfinished", "", "")
RAISED = Fault("raised", "unknown; look at where Python stopped.", "")
NOTHING_RETURNED = Fault(
    "nothing returned", "the function ends without `return`.", "Return the result."
)
NOT_NUMBERS = Fault(
    "not numbers", "the result is not an array of numbers, so nothing can be compared.",
    "Print the result, and see which step last gave an array.",
)  # fmt: skip
ATTRIBUTE_MISSING = Fault(
    "attribute missing", "the network has nothing of this name.",
    "Use the names of the class docstring: W1, b1, W2, b2, and W1_grad to b2_grad.",
)  # fmt: skip
IS_NONE = Fault(
    "None in the network", "this attribute is None, with which nothing can be computed.",
    "Give it an array: zeros in the shape of the parameter, for a gradient.",
)  # fmt: skip
INPUT_CHANGED = Fault(
    "input changed", "the array that was passed in was changed in place, by `-=`, `*=`, `+=` or "
    "`[...] =`.", "Make a new array (`a = a - m`) so that the caller's array stays as it was.",
)  # fmt: skip
EXAMPLE = "example"  # the key of what shows where it goes wrong, and not why
VAGUE = (UNKNOWN.key, RAISED.key, EXAMPLE)
SEEN = (
    *VAGUE,
    "shapes",
    "no array",
    "wrong type",
    "types",
    "index",
)  # what Python stumbled over is told, not why
WEAK = (
    *SEEN,
    "shape",
    "property",
    "delta",
    "not updated",
)  # a change of the text that mends it tells more


_asked_why = [True]


@contextlib.contextmanager
def without_causes() -> Iterator[None]:
    """Look for no causes in the block: then a check takes a fraction of its time."""
    _asked_why[0] = False
    try:
        yield
    finally:
        _asked_why[0] = True


def asked_why() -> bool:
    """Whether causes are looked for."""
    return _asked_why[0]


def find_fault(samples: Iterable[Sample], faults: Iterable[Fault], near: float = 0) -> Fault | None:
    """Return the first fault whose wrong function gives what was found in all samples, or None."""
    samples = list(samples)
    if not (samples and asked_why()):
        return None
    return next((f for f in faults if all(_gives(f, sample, near) for sample in samples)), None)


def fact(samples: Sequence[Sample], facts: Iterable[Fault]) -> Fault | None:
    """Return the first fault that holds of all results, or None."""
    return next(
        (f for f in facts if f.wrong and all(f.wrong(s.found, *s.inputs) for s in samples)), None
    )


def _gives(fault: Fault, sample: Sample, near: float) -> bool:
    # A fault whose shapes don't fit these inputs cannot have done it.
    with np.errstate(all="ignore"), contextlib.suppress(ValueError, RuntimeError, IndexError):
        assert fault.wrong is not None
        made = np.asarray(fault.wrong(*sample.inputs), dtype=float)  # NaN may come of anything
        apart = distance(sample.found, made, near)
        # Many numbers are no coincidence, also if a small number was added to each.
        if not np.isfinite(made).any() or not apart < (CLOSE if made.size > 4 else SAME):
            return False
        # What is nearly right is no fault's result that is nearly right as well.
        return apart < max(EXACT, distance(sample.found, sample.wanted, near) / 10)
    return False
