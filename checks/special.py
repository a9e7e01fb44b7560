"""The formulas of sigmoid and softmax in decimal numbers of 28 digits, in which nothing overflows.

They are what the checks compare with. They work like SciPy's functions of the same names, without
its 35 MB, and hold no solution: in float64 these formulas fail for large numbers.
"""

from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import wraps
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
_exp = np.frompyfunc(Decimal.exp, 1, 1)
_log = np.frompyfunc(Decimal.ln, 1, 1)


def _in_decimals(formula: Callable[..., Any]) -> Callable[..., Array]:
    """Let a formula work on decimal numbers, and return the float64 nearest to its result."""

    @wraps(formula)
    def function(a: ArrayLike, *args: Any, **kwargs: Any) -> Array:
        with localcontext() as context:
            context.clear_traps()  # 0 / 0 is NaN, as in NumPy
            decimals = np.frompyfunc(Decimal, 1, 1)(np.asarray(a, dtype=float))
            result = formula(np.asarray(decimals), *args, **kwargs)
        return np.asarray(result).astype(float)[()]

    return function


@_in_decimals
def expit(a: Any) -> Any:
    """Return the sigmoid."""
    return 1 / (1 + _exp(-a))


@_in_decimals
def logit(p: Any) -> Any:
    """Return the a whose sigmoid is p."""
    return _log(p / (1 - p))


@_in_decimals
def softmax(a: Any, axis: int | None = None) -> Any:
    """Return exp(a) over its sum along an axis."""
    powers = _exp(a)
    return powers / np.sum(powers, axis=axis, keepdims=True)


@_in_decimals
def logsumexp(a: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the logarithm of the sum of exp(a) along an axis."""
    return _log(np.sum(_exp(a), axis=axis, keepdims=keepdims))


def log_softmax(a: ArrayLike, axis: int | None = None) -> Array:
    """Return the logarithms of softmax, those near 0 as far as float64 can tell them from 0."""
    return np.asarray(a) - logsumexp(a, axis, keepdims=True)


def ndtr(a: ArrayLike) -> Array:
    """Return the probability that a standard Gaussian number is below `a`."""
    return np.vectorize(NormalDist().cdf)(a)
