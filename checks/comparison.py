"""How far two results are apart, in numbers and in words."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EXACT = 1e-12  # relative difference up to which only rounding of 64-bit numbers differs
SAME = 1e-6  # relative difference up to which a mistake explains what was found
ROUGH = 1e-5  # relative difference up to which two factors are the same, in 32 bits too
CLOSE = 1e-4  # relative difference up to which a result is right


def distance(found: Array, wanted: Array, near: float = 0) -> float:
    """Return max|found - wanted| / max(|found|, |wanted|); infinity if shapes or NaNs differ.

    It is 0 if no two numbers are more than `near` apart.
    """
    if found.shape != wanted.shape:
        return float("inf")
    found, wanted = found.astype(float), wanted.astype(float)
    finite = np.isfinite(wanted)
    if not np.array_equal(found[~finite], wanted[~finite], equal_nan=True):
        return float("inf")
    found, wanted = found[finite], wanted[finite]
    if not np.isfinite(found).all():
        return float("inf")
    scale = max(np.abs(found).max(initial=0), np.abs(wanted).max(initial=0))
    apart = np.abs(found - wanted).max(initial=0)
    return float(apart / scale) if apart > near else 0.0


def gradient_verdict(difference: float) -> str:
    """Put a relative difference into a word: right, close, suspicious or wrong (NaN is wrong)."""
    for limit, word in ((1e-7, "right"), (1e-4, "close"), (1e-2, "suspicious")):
        if difference < limit:
            return word
    return "wrong"


def closeness(difference: float) -> str:
    """Say how close two arrays are: "exact, relative difference 2.1e-16, right"."""
    if not np.isfinite(difference):
        return "wrong"
    word = "exact" if difference < EXACT else "approximate" if difference < CLOSE else "different"
    return f"{word}, relative difference {difference:.1e}, {gradient_verdict(difference)}"


def describe(values: Array) -> str:
    """Show an array in a line: its first numbers, and its shape unless it is a single number."""
    flat = values.ravel()
    if values.ndim == 0:
        return f"{flat[0]:.6g}."
    numbers = ", ".join(f"{number:.4g}" for number in flat[:4])
    return f"{numbers}{', …' if flat.size > 4 else ''} in the shape {values.shape}."


def compared(found: Array, wanted: Array) -> tuple[str, str]:
    """Show two arrays, and the first entry that differs if it is not among the first numbers."""
    if found.shape != wanted.shape or found.ndim == 0:
        return describe(found), describe(wanted)
    apart = ~np.isclose(
        found.astype(float), wanted.astype(float), rtol=CLOSE, atol=0, equal_nan=True
    )
    if not apart.any():
        return describe(found), describe(wanted)
    index = tuple(int(n) for n in np.argwhere(apart)[0])
    place = f" At {list(index)}: {{:.6g}}."
    return (
        describe(found) + place.format(found[index]),
        describe(wanted) + place.format(wanted[index]),
    )
