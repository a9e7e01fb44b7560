"""The gradient check must see wrong gradients, and only those."""

import re
from traceback import FrameSummary

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import (
    analytic_gradients,
    autograd_gradients,
    check_cross_entropy,
    check_forward,
    check_sigmoid,
    check_softmax,
    check_update_grad,
    compare_gradients,
    gradient_verdict,
    numerical_gradients,
    relative_difference,
)
from checks.comparison import closeness, distance
from checks.exercises import section_of
from checks.facts import relation, where_it_went
from checks.faults import Fault, Sample
from checks.update_params import STEP_FACTS
from checks.verdicts import Exercise, Report
from helpers.mlp import MLP, PARAMETERS, cross_entropy, sigmoid
from tests.checks.mutants import student_module

CASE = (MLP(6, 5, 4, seed=1, dtype=np.float64), np.linspace(0, 1, 6), np.eye(4)[2])


def test_right_gradients_are_called_right(capsys):
    compare_gradients(analytic_gradients(*CASE), autograd_gradients(*CASE), "autograd")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [f"{name}_grad" for name in PARAMETERS]
    assert all(line.endswith(", right") for line in lines)


@pytest.mark.parametrize(
    "spoil", [lambda g: -g, lambda g: 2 * g, lambda g: 0 * g, lambda g: g * np.nan]
)
@pytest.mark.parametrize("name", PARAMETERS)
def test_one_wrong_gradient_is_called_wrong(name, spoil, capsys):
    gradients = analytic_gradients(*CASE)
    gradients[name] = spoil(gradients[name])
    compare_gradients(gradients, numerical_gradients(*CASE), "central differences")
    verdicts = {
        line.split("_")[0]: line.split()[-1] for line in capsys.readouterr().out.splitlines()
    }
    assert verdicts == dict.fromkeys(PARAMETERS, "right") | {name: "wrong"}


def test_numerical_gradients_leave_the_network_as_it_was():
    network, x, y = CASE
    before = [getattr(network, name).copy() for name in PARAMETERS]
    numerical_gradients(network, x, y)
    for name, values in zip(PARAMETERS, before, strict=True):
        np.testing.assert_array_equal(getattr(network, name), values)


def test_numerical_gradients_want_float64():
    with pytest.raises(ValueError, match="float32; central differences want float64"):
        numerical_gradients(MLP(6, 5, 4), *CASE[1:])


@pytest.mark.parametrize(
    ("difference", "word"),
    [(0, "right"), (9e-8, "right"), (2e-7, "close"), (1e-3, "suspicious"), (0.02, "wrong"),
     (float("nan"), "wrong"), (float("inf"), "wrong")],
)  # fmt: skip
def test_scale_of_verdicts(difference, word):
    assert gradient_verdict(difference) == word


def test_relative_difference():
    assert relative_difference(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == 0.5
    assert relative_difference(np.zeros(3), np.zeros(3)) == 0
    with pytest.raises(ValueError, match="shape"):
        relative_difference(np.zeros(3), np.zeros((3, 1)))


# How checks speak


def test_right_code_gets_one_line_a_parameter(capsys):
    report = check_update_grad(MLP)
    lines = capsys.readouterr().out.splitlines()
    assert report.passed
    assert [line.partition(":")[0] for line in lines] == [f"{name}_grad" for name in PARAMETERS]
    assert all(re.fullmatch(r"\w+: exact, relative difference .*, right", line) for line in lines)


def test_wrong_code_gets_found_wanted_cause_and_next_step(capsys):
    report = check_sigmoid(lambda a: sigmoid(-a))
    assert (report.passed, report.causes) == (False, ["sign"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a row: different, relative difference")
    assert [line.partition(":")[0].strip() for line in lines[1:]] == [
        "Found", "Wanted", "Likely cause", "Next step",
    ]  # fmt: skip


def test_exception_points_at_the_students_line():
    source = "def softmax(a):\n    total = 0\n    return a / totall\n"
    report = check_softmax(student_module(source, "homework").softmax)
    assert report.causes == ["unknown name"]
    found = "softmax(a) for one image raised NameError: name 'totall' is not defined"
    assert f"{found}, at line 3 of homework.py: `return a / totall`." in str(report)


def test_exception_in_a_library_points_at_the_students_line_too():
    source = "import numpy as np\n\ndef softmax(a):\n    return np.linalg.inv(a)\n"
    report = check_softmax(student_module(source, "homework").softmax)
    assert "at line 4 of homework.py: `return np.linalg.inv(a)`" in str(report)


def test_exception_from_elsewhere_may_bring_its_line():
    def softmax(a):
        error = ValueError("no")
        error.frames = [FrameSummary("<cell>", 7, "softmax", line="raise ValueError('no')")]
        raise error

    assert "raised ValueError: no, at line 7 of the cell: `raise" in str(check_softmax(softmax))


def test_what_is_not_done_yet_is_named():
    source = "class MLP:\n    def __init__(self, *a, **k):\n        self.reset_grad()\n\n"
    source += "    def reset_grad(self):\n        raise NotImplementedError\n"
    report = check_forward(student_module(source, "homework").MLP)
    assert report.causes == ["unfinished"]
    assert str(report).splitlines() == [
        "forward: not done yet",
        "  Found: reset_grad still holds `raise NotImplementedError`. forward builds on it.",
        f"  Next step: write reset_grad, then run this check again. (See {section_of('forward')}.)",
    ]


def test_not_implemented_in_a_library_is_an_exception_like_others():
    source = "import torch\n\ndef softmax(a):\n    return torch.tensor(a > 0).argmax()\n"
    assert check_softmax(student_module(source, "homework").softmax).causes == ["raised"]


def test_a_cause_is_told_once():
    exercise, cause = Exercise("x"), Fault("k", "why.", "do.", abs)
    wrong = [exercise.wrong(part, "1.", "2.", cause) for part in "rs"]
    report = Report([exercise.right("p"), exercise.right("q"), *wrong])
    assert str(report).splitlines() == [
        "p, q: right",
        "r: wrong", "  Found: 1.", "  Wanted: 2.", "  Likely cause: why.", "  Next step: do.",
        "s: wrong", "  Likely cause: as above.",
    ]  # fmt: skip


def test_a_report_shows_nothing_a_second_time():
    assert Report()._ipython_display_() is None
    assert not Report().passed


@pytest.mark.parametrize(
    ("found", "wanted", "difference"),
    [([1, 2], [1, 4], 0.5), ([0, 0], [0, 0], 0), ([1], [1, 1], np.inf), ([np.nan], [1], np.inf),
     ([np.nan, 1], [np.nan, 1], 0), ([np.inf], [np.inf], 0), ([-np.inf], [np.inf], np.inf)],
)  # fmt: skip
def test_distance(found, wanted, difference):
    assert distance(np.array(found, dtype=float), np.array(wanted, dtype=float)) == difference


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0, "exact, relative difference 0.0e+00, right"),
     (5e-8, "approximate, relative difference 5.0e-08, right"),
     (0.5, "different, relative difference 5.0e-01, wrong"), (np.inf, "wrong")],
)  # fmt: skip
def test_closeness(difference, text):
    assert closeness(difference) == text


def test_float32_network_passes_if_it_becomes_float64_when_asked():
    class Half(MLP):
        def update_grad(self, y):
            super().update_grad(y)
            self.W1_grad = self.W1_grad.astype(np.float32)

    assert check_update_grad(MLP).passed
    assert check_update_grad(Half).causes == ["float32"]


# What is true of all results beside what was wanted.


def pairs(seed, change, shape=(3, 4)):
    rng = np.random.default_rng(seed)
    drawn = [rng.normal(0, 1, shape) for _ in range(2)]
    return [Sample(change(wanted), wanted, (wanted,)) for wanted in drawn]


@given(
    seed=st.integers(0, 999), factor=st.floats(-9, 9).filter(lambda f: abs(f - 1) * abs(f) > 0.1)
)
def test_a_common_factor_is_told(seed, factor):
    told = relation(pairs(seed, lambda a: factor * a)).likely
    if abs(factor - 1 / 3) > 1e-3:
        number = "the negative of" if factor == -1 else f"{factor:.6g} times"
        assert number in told or "logarithms" in told


@given(seed=st.integers(0, 999), n=st.integers(2, 6))
def test_a_division_by_the_rows_is_told(seed, n):
    told = relation(pairs(seed, lambda a: a / len(a), (n, 3)))
    assert told.likely.startswith("everything is divided by the number of rows")


@given(seed=st.integers(0, 999), shape=st.permutations([2, 3, 4]))
def test_another_arrangement_is_told(seed, shape):
    assert "another order" in relation(pairs(seed, lambda a: a.transpose(1, 2, 0), shape)).likely
    assert "only their shape" in relation(pairs(seed, np.ravel, shape)).likely
    assert "first rows" in relation(pairs(seed, lambda a: a[:1], shape)).likely
    assert "last rows" in relation(pairs(seed, lambda a: a[-1:], shape)).likely
    assert "axis 1 has the length 1" in relation(pairs(seed, lambda a: a[:, 1:2], shape)).likely


@given(seed=st.integers(0, 999), change=st.sampled_from([np.sin, np.cbrt, np.sort]))
def test_of_other_numbers_nothing_is_told(seed, change):
    assert relation(pairs(seed, change)) is None


MADE = {
    "square of": np.square,
    "1 minus": lambda a: 1 - a,
    "0.25 too large": lambda a: a + 0.25,
    "last to the first row": lambda a: a[::-1],
    "each row": lambda a: a / abs(a).sum(axis=1, keepdims=True),
    "length 1 stands in front": lambda a: a[None],
    "averaged along axis 0": lambda a: a.mean(axis=0),
    "axis 1 ends 1 too early": lambda a: a[:, :-1],
}


@given(seed=st.integers(0, 999), words=st.sampled_from(list(MADE)))
def test_what_became_of_the_right_result_is_told(seed, words):
    assert words in relation(pairs(seed, MADE[words])).likely


@given(seed=st.integers(0, 999), shape=st.permutations([2, 3, 4]), data=st.data())
def test_where_the_numbers_went_is_told(seed, shape, data):
    at = tuple(data.draw(st.integers(0, n - 1)) for n in shape)

    def never_filled(a):
        a = a.copy()
        a[at] = 0
        return a

    told = where_it_went(pairs(seed, never_filled, shape)).likely
    assert told.startswith("every wrong number is 0")
    assert str(list(at)) in told
    others = where_it_went(pairs(seed, lambda a: np.roll(a, 1 + at[0]), shape))
    assert "stand in other places" in others.likely
    assert where_it_went(pairs(seed, np.abs, shape)) is None


@given(seed=st.integers(0, 999))
def test_rounding_is_no_momentum(seed):
    momentum = next(fault for fault in STEP_FACTS if fault.key == "momentum")
    p, d, d0 = np.random.default_rng(seed).normal(size=(3, 4, 5))
    rest = 0.1, 0.1 * d0
    assert momentum.wrong(p + 0.1 * d + 0.09 * d0, p, 0.1 * d, *rest)
    assert not momentum.wrong((p + 0.1 * d).astype(np.float32), p, 0.1 * d, *rest)


def test_rounding_is_no_bound():
    for seed in range(200):
        assert check_cross_entropy.run(cross_entropy, seed=7900 + seed).passed


def test_a_single_image_that_fails_alone_is_told():
    source = "import numpy as np\n\ndef softmax(a):\n    rows = [np.exp(r - max(r)) for r in a]\n"
    source += "    return np.array([r / sum(r) for r in rows])\n"
    assert check_softmax(student_module(source, "homework").softmax).causes == ["batches only"]


def test_an_error_of_the_students_own_is_told():
    source = "def softmax(a):\n    if a.ndim:\n        raise ValueError('no')\n"
    assert check_softmax(student_module(source, "homework").softmax).causes == ["own error"]
