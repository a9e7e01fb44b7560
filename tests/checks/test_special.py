"""The decimal formulas agree with SciPy's functions of the same names, where those are finite."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special as scipy_special

from checks import special

ROWS = hnp.arrays(
    float, hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), elements=st.floats(-1e4, 1e4)
)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
@given(a=ROWS, axis=st.sampled_from([None, -1, 0]))
def test_along_any_axis(name, a, axis):
    found, wanted = getattr(special, name)(a, axis), getattr(scipy_special, name)(a, axis)
    assert np.shape(found) == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@given(a=ROWS)
def test_entry_by_entry(a):
    np.testing.assert_allclose(special.expit(a), scipy_special.expit(a), rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(special.ndtr(a), scipy_special.ndtr(a), atol=1e-12)
    p = scipy_special.expit(a / 1e3)
    np.testing.assert_allclose(special.logit(p), scipy_special.logit(p), rtol=1e-9, atol=1e-9)


@given(a=ROWS, axis=st.sampled_from([None, -1, 0]))
def test_an_axis_is_kept_if_wanted(a, axis):
    found = special.logsumexp(a, axis, keepdims=True)
    assert found.shape == scipy_special.logsumexp(a, axis, keepdims=True).shape


def test_what_is_no_number_stays_one_without_a_warning():
    np.testing.assert_array_equal(special.softmax([np.nan, 1.0]), [np.nan, np.nan])
    np.testing.assert_array_equal(special.expit([-np.inf, np.inf, np.nan]), [0, 1, np.nan])
    np.testing.assert_array_equal(special.logit([0.0, 1.0]), [-np.inf, np.inf])
