"""What judges the checks by machine must itself see right from wrong."""

from unittest import mock

import pytest

from checks import diagnosis
from checks.faults import Fault
from tests.checks.behaviour import same
from tests.checks.machine_mutants import drawn_pairs, forms_of, outcome, random, sources
from tests.checks.mutants import ALL, FORMS, TASKS, student_module

PLAIN = (FORMS / "plain.py").read_text(encoding="utf-8")
SEEDS = (3, 4)


def form(name):
    return student_module((FORMS / f"{name}.py").read_text(encoding="utf-8"), name)


@pytest.mark.parametrize("exercise", TASKS)
def test_a_form_does_what_it_does_and_a_mistake_does_something_else(exercise):
    name = forms_of(exercise)[0]
    assert same(exercise, form(name), form(name), SEEDS)
    mutant = next(m for m in ALL if m.exercise == exercise and "unseeded" not in m.name)
    assert not same(exercise, form(name), student_module(mutant.source(), "m"), SEEDS)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("    return z * (1 - z)", "    return (1 - z) * z", "equivalent"),
        ("    return z * (1 - z)", "    return z * (2 - z)", "named"),
        ("    return z * (1 - z)", "    return np.cos(3 * z) - 0.3 * z", "vague"),
    ],
)
def test_outcomes(old, new, kind):
    assert PLAIN.count(old) == 1
    found = outcome("sigmoid_derivative", "plain", PLAIN.replace(old, new))
    assert found.kind == kind, found.text


def test_a_name_that_is_not_true_is_seen():
    source = PLAIN.replace("    return z * (1 - z)", "    return z * (2 - z)")

    def anything(candidate, file):
        candidate.function.body[-1].value = diagnosis.ast.Constant(0)
        return Fault(candidate.key, "something else.", "")

    with mock.patch.object(diagnosis, "_fault", anything):
        assert outcome("sigmoid_derivative", "plain", source).kind == "named wrongly"


def test_pairs_hold_two_mistakes():
    pairs = drawn_pairs("sigmoid_derivative", "plain", 5, random.Random(1))
    assert len(pairs) == 5
    assert {*pairs} - {*sources("sigmoid_derivative", "plain")}
