"""The gradient check must see wrong gradients, and only those."""

import numpy as np
import pytest

from helpers.checks import (
    analytic_gradients,
    autograd_gradients,
    compare_gradients,
    gradient_verdict,
    numerical_gradients,
    relative_difference,
)
from helpers.mlp import MLP, PARAMETERS

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
