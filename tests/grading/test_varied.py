"""Right solutions get all points, whatever a program varies in them, and no seed changes points."""

import ast
import random

import pytest

from tests.checks.mutants import MUTANTS
from tests.grading.hand_ins.demo_class import form
from tests.grading.hand_ins.seeds import differing, of_mutant
from tests.grading.hand_ins.varied import lost, varied
from tests.grading.test_hand_ins import needs_sandbox, surroundings

__all__ = ["surroundings"]


@needs_sandbox
@pytest.mark.parametrize("cnn", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_varied_right_hand_in_gets_all_points(seed, cnn, surroundings):
    assert lost(seed + 100 * cnn, surroundings, cnn) == []


def test_variations_vary():
    texts = [varied(form("plain"), random.Random(seed))[0] for seed in range(20)]
    assert len(set(texts)) == 20
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    calls = [node for node in nodes if getattr(getattr(node, "func", 0), "attr", "") == "forward"]
    assert {bool(call.keywords) for call in calls} == {True, False}


@pytest.mark.parametrize("mutant", random.Random(3).sample(MUTANTS, 12), ids=lambda m: m.name)
def test_points_do_not_depend_on_the_seed(mutant):
    """All of them over 20 seeds: python -m tests.grading.hand_ins.seeds."""
    assert list(differing([of_mutant(mutant, seed) for seed in range(3)])) == []


def test_points_that_differ_are_told():
    one, other = (("check", 1.0),), (("check", 0.0),)
    assert list(differing([one, other, one])) == [
        "  2 of 3 seeds: {'check': 1.0}", "  1 of 3 seeds: {'check': 0.0}",
    ]  # fmt: skip
