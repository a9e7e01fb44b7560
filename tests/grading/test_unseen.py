"""A few of the ways to the solution that unseen.py draws, the same ones each time."""

import sys

import pytest

from tests.grading import unseen
from tests.grading.test_hand_ins import needs_sandbox

pytestmark = [
    needs_sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="wants Linux"),
]
REASON = unseen.why_no_layouts() if sys.platform == "linux" else "no Linux"


def test_no_way_leads_to_the_solution():
    assert unseen.try_ways(3, seed=1) == (3, [])


@pytest.mark.skipif(bool(REASON), reason=f"NOT TESTED: {REASON}")
@pytest.mark.parametrize("name", unseen.layouts())
def test_wherever_the_project_lies_no_way_leads_to_the_solution(name):
    assert "3 of 3 ways saw nothing" in unseen.try_layout(name, 3, seed=2)


@pytest.mark.skipif(bool(REASON), reason=f"NOT TESTED: {REASON}")
def test_a_project_that_is_seen_is_reported():
    """Else the tests above would show nothing."""
    with pytest.raises(AssertionError, match="[012] of 3 ways saw nothing"):
        unseen.try_layout("among libraries", 3, 3, "--seen")
