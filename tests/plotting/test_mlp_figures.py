"""The figures of notebook 1 alone are judged by what their axes hold, not by pixels."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.mlp import MLP, cross_entropy_derivative
from helpers.mnist import Classes
from plotting import mlp_figures as plotting
from plotting.figures import VERMILLION

PETS = Classes("pet", ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay"))

# learning_curves


def test_each_quantity_has_a_panel_with_its_lines_over_the_epochs() -> None:
    panels = {
        "loss (nats)": {"slow": [2.3, 2.0], "fast": [2.2, 0.5]},
        "accuracy (%)": {"slow": [11, 30]},
    }
    figure = plotting.learning_curves(panels, "Rates")
    for ax, (quantity, lines) in zip(figure.axes, panels.items(), strict=True):
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", quantity)
        assert len({line.get_linestyle() for line in ax.lines}) == len(lines)  # in grey as well
        for line, (name, values) in zip(ax.lines, lines.items(), strict=True):
            assert line.get_label() == f"{name}: {values[-1]:.4g}"
            np.testing.assert_array_equal(line.get_xdata(), [1, 2])
            np.testing.assert_array_equal(line.get_ydata(), values)
    assert [ax.get_yscale() for ax in figure.axes] == ["log", "linear"]
    told = "loss (nats): slow from 2.3 to 2; fast from 2.2 to 0.5; accuracy (%): slow from 11 to 30"
    assert told in figure.get_label()


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=30))
@settings(max_examples=20)
def test_a_star_marks_the_lowest_point(values: list[float]) -> None:
    panels = {"loss": {"validation": values, "training": values}}
    figure = plotting.learning_curves(panels, "t", lowest=["validation"])
    stars = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    assert [star.get_ydata() for star in stars] == [[min(values)]]
    assert f"lowest at epoch {stars[0].get_xdata()[0]}" in figure.get_label()
    assert values[stars[0].get_xdata()[0] - 1] == min(values)


# weight_templates and filmstrip


@given(units=st.integers(1, 130), seed=st.integers(0, 9))
@settings(max_examples=15)
def test_templates_of_any_number_of_units_are_ordered_by_what_they_speak_for(
    units: int, seed: int
) -> None:
    rng = np.random.default_rng([units, seed])
    start, W1, W2 = (rng.normal(size=shape) for shape in ((units, 784), (units, 784), (10, units)))
    figure = plotting.weight_templates(W1, start, W2, PETS)
    ax, bar = figure.axes
    mosaic = np.asarray(ax.images[0].get_array(), float)
    places = {}
    for text in ax.texts:
        unit, name = text.get_text().split(": ")
        assert name == PETS.names[W2[:, int(unit)].argmax()]
        places[int(unit)] = text.get_position()
    assert sorted(places) == list(range(units))
    for unit, (x, y) in places.items():
        left, top = round(x - 1), round(y + 1)
        tile = mosaic[top : top + 28, left : left + 28]
        np.testing.assert_array_equal(tile, (W1 - start)[unit].reshape(28, 28))
    reading = sorted(places, key=lambda unit: places[unit][::-1])
    digits = W2.argmax(axis=0)[reading]
    assert (np.diff(digits) >= 0).all()
    assert np.isfinite(mosaic).sum() == W1.size
    assert f"the {units} rows of W1" in figure.get_label()
    assert bar.get_ylabel() == "change of the weight"


def test_templates_lie_in_rows_of_eight_on_one_clipped_scale() -> None:
    change = np.random.default_rng(0).normal(size=(64, 784))
    change[11, 5] = -1000
    figure = plotting.weight_templates(change, np.zeros((64, 784)), np.eye(10, 64))
    low, high = figure.axes[0].images[0].get_clim()
    assert -low == high == np.percentile(np.abs(change), 99.5) < 4
    assert {round(text.get_position()[0]) for text in figure.axes[0].texts} == {
        32 * column + 1 for column in range(8)
    }
    assert f"from -{high:.2f} (dark blue) over 0 (white) to {high:.2f} (orange)" in (
        figure.get_label()
    )


def test_signs_can_be_told_apart_in_grey() -> None:
    low, middle, high = (np.dot(plotting.SIGNED(x)[:3], [0.3, 0.6, 0.1]) for x in (0.0, 0.5, 1.0))
    assert low < high - 0.2 < middle - 0.4


def test_a_filmstrip_shows_one_unit_after_each_epoch() -> None:
    frames = {0: np.ones((3, 784)), 1: np.full((3, 784), 2.0), 10: np.full((3, 784), 5.0)}
    frames[10][2] = 4
    figure = plotting.filmstrip(frames, 2, "Unit 2")
    ax = figure.axes[0]
    picture = np.asarray(ax.images[0].get_array(), float)
    np.testing.assert_array_equal(picture[:28, :28], 1)
    np.testing.assert_array_equal(picture[:28, 32:60], 3)
    assert [text.get_text() for text in ax.texts] == ["epoch 1", "epoch 10"]
    assert "unit 2 after the epochs 1, 10, minus those of epoch 0" in figure.get_label()


# back_propagation_diagram


@given(sizes=st.tuples(*[st.integers(1, 4)] * 3), seed=st.integers(0, 9))
@settings(max_examples=15)
def test_the_drawing_holds_every_number_of_both_ways(
    sizes: tuple[int, int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    network = MLP(*sizes, seed=seed, dtype=np.float64)
    x, y = rng.normal(size=sizes[0]), np.eye(sizes[2])[rng.integers(sizes[2])]
    network.forward(x)
    figure = plotting.back_propagation_diagram(network, y)
    network.update_grad(y)
    black, orange = [], []
    for text in figure.axes[0].texts:
        number = text.get_text().split(": ")[-1]
        (orange if text.get_color() == VERMILLION else black).append(number)
    values = [network.x, network.a1, network.z1, network.a2, network.y_hat, network.W1, network.W2]
    slopes = [network.W1_grad, network.W2_grad, network.b1_grad, network.b2_grad]
    for shown, arrays in ((black, values), (orange, slopes)):
        for number in np.concatenate([array.ravel() for array in arrays]):
            assert f"{number:.3g}" in shown
    delta2 = cross_entropy_derivative(network.y_hat, y)
    assert f"loss {network.loss(y):.3f}. Back: delta2 {delta2[0]:.3g}" in figure.get_label()
    assert f"W1 {network.W1.shape}, b1 {network.b1.shape}" in black


# What is wrong with the arguments is named


def shown_batch() -> MLP:
    network = MLP(2, 2, 2)
    network.forward(np.zeros((3, 2)))
    return network


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plotting.learning_curves({}, "t"), "panels: got {}, wanted 1 to 4 lines"),
        (
            lambda: plotting.learning_curves({"loss": {"a": [np.nan]}}, "t"),
            "a of loss: got values that are NaN",
        ),
        (
            lambda: plotting.weight_templates(np.zeros((784, 64)), 0, 0),
            r"W1: .*wanted \(units, 784\)",
        ),
        (
            lambda: plotting.weight_templates(np.zeros((2, 784)), np.zeros(3), np.zeros((10, 2))),
            r"start: got shape \(3,\), wanted \(2, 784\)",
        ),
        (lambda: plotting.filmstrip({0: np.zeros((1, 784))}, 0, "t"), "frames: got 1"),
        (lambda: plotting.back_propagation_diagram(MLP(5, 2, 2), [1, 0]), "got 5-2-2; wanted at"),
        (lambda: plotting.back_propagation_diagram(MLP(2, 2, 2), [1, 0]), "after forward"),
        (lambda: plotting.back_propagation_diagram(shown_batch(), [1, 0]), "of a single x"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
