"""A few of the inputs that fuzz.py draws, the same ones each time."""

import sys

import pytest
from hypothesis import seed

from tests.grading import fuzz
from tests.grading.test_hand_ins import needs_sandbox

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux"),
]


@pytest.mark.parametrize("name", sorted(fuzz.TRIES))
def test_no_drawn_input_does_harm(name):
    seed(1)
    fuzz.try_many(name, 150)


@needs_sandbox
def test_no_drawn_hand_in_touches_a_neighbour():
    fuzz.try_class(4, seed=5)
