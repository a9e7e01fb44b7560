"""A few of the hand-ins that a grammar draws, the same ones each time."""

import sys

import pytest

from grading.sandbox.limits import Limits
from tests.grading.hand_ins.drawn import LIMITS, drawn_hostile, drawn_right, try_class
from tests.grading.test_hand_ins import needs_sandbox

pytestmark = [
    needs_sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="wants Linux"),
]


def test_right_ones_in_strange_clothes_get_all_points():
    assert try_class([drawn_right(seed) for seed in range(6)], Limits()) == []


def test_of_hostile_ones_only_the_exercise_that_does_harm_loses_points():
    assert try_class([drawn_hostile(7 * seed) for seed in range(6)], LIMITS) == []
