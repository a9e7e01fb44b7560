"""The line that compares a step with what was worked out by hand, and slopes found by nudging."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from checks.steps import compare_line, slopes


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6), st.integers(0, 5), st.floats(0.01, 2))
def test_any_other_number_is_not_as_by_hand(values, place, error):

    wrong = list(values)
    wrong[place % len(values)] += error
    printed = []
    for found in (values, wrong):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            compare_line("a1", np.array(found), values)
        printed.append(out.getvalue())
    assert printed[0].endswith("as by hand\n")
    assert "NOT" not in printed[0]
    assert "NOT as by hand: " in printed[1]
    assert all(text.count("\n") == 1 for text in printed)


def test_another_shape_is_not_as_by_hand(capsys):
    compare_line("δ1", np.zeros((1, 2)), [0, 0])
    assert "NOT as by hand: [0, 0]" in capsys.readouterr().out


@given(hnp.arrays(float, hnp.array_shapes(max_dims=2, max_side=5), elements=st.floats(-3, 3)))
def test_slopes_are_those_of_the_function(at):
    assert slopes(lambda v: (v**2).sum(axis=-1), at) == pytest.approx(2 * at, abs=1e-8)
