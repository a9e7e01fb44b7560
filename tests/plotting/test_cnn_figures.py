"""Figures are judged by what their axes hold, not by pixels."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray

from helpers.cnn import convolve
from helpers.evaluation import OUTCOMES
from helpers.mnist import Classes
from plotting import cnn_figures
from plotting.network_diagram import BAR, network_diagram

LENET = [
    ("input", (1, 28, 28)),
    ("conv1", (6, 24, 24)),
    ("pool1", (6, 12, 12)),
    ("conv2", (16, 8, 8)),
    ("pool2", (16, 4, 4)),
    ("fc1", (120,)),
    ("fc2", (84,)),
    ("fc3", (10,)),
]
COUNTS = {"both right": 9650, "only MLP wrong": 250, "only CNN wrong": 60, "both wrong": 40}
ACCURACIES = {"MLP": [97.0, 60.25, 20.0], "CNN": [99.0, 90.0, 40.5]}
PAIRS = {"MLP": (97.0, 96.9), "CNN": (99.0, 95.2)}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def maps(rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return a picture and maps of both layers; map 4 of conv2 is silent."""
    picture, first, second = (rng.random(size) for size in ((28, 28), (6, 24, 24), (16, 8, 8)))
    first[2, 0, 0], second[11, 3, 3], second[4] = 2.5, 7, 0
    return picture, first, second


def examples(rng: np.random.Generator, *sizes: int) -> dict[str, Any]:
    """Return that many examples of each kind of mistake."""
    said = {"only MLP wrong": (4, 9, 4), "only CNN wrong": (4, 4, 9), "both wrong": (4, 1, 9)}
    return {
        name: (rng.random((n, 28, 28)), *(np.full(n, digit) for digit in said[name]))
        for name, n in zip(OUTCOMES[1:], sizes, strict=True)
    }


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def squares(figure: Figure) -> list[tuple[float, float]]:
    patches = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    return [(patch.get_width(), patch.get_height()) for patch in patches]


# network_diagram


def test_diagram_draws_every_map_to_scale() -> None:
    figure = network_diagram(LENET)
    assert figure.axes[0].get_aspect() == 1
    sizes = squares(figure)
    for side, count in ((28, 1), (24, 6), (12, 6), (8, 16), (4, 16)):
        assert sizes.count((side, side)) == count
    bars = [height for width, height in sizes if width == BAR]
    np.testing.assert_allclose(bars, [0.35 * 120, 0.35 * 84, 0.35 * 10])


def test_diagram_names_layers_and_the_steps_between_them() -> None:
    told = texts(network_diagram(LENET).axes[0])
    for name in ("input\n1 × 28 × 28", "conv2\n16 × 8 × 8", "fc1\n120", "fc3\n10"):
        assert name in told
    assert [text for text in told if text.startswith(("5", "2", "fl", "fu"))] == [
        "5×5\nconvolution",
        "2×2\nmax-pool",
        "5×5\nconvolution",
        "2×2\nmax-pool",
        "flatten to 256,\nfully connected",
        "fully\nconnected",
        "fully\nconnected",
    ]


def test_diagram_shows_the_windows_within_the_maps() -> None:
    figure = network_diagram(LENET)
    sizes = squares(figure)
    assert (sizes.count((5, 5)), sizes.count((2, 2)), sizes.count((1, 1))) == (2, 2, 4)
    patches = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    fronts = [patches[k].get_bbox() for k in (0, 6, 12, 28, 44)]  # the last map drawn of each layer
    windows = [patch.get_bbox() for patch in patches if patch.get_width() in (1, 2, 5)]
    for k, (window, pixel) in enumerate(zip(windows[::2], windows[1::2], strict=True)):
        for inner, outer in ((window, fronts[k]), (pixel, fronts[k + 1])):
            assert outer.x0 <= inner.x0 < inner.x1 <= outer.x1
            assert outer.y0 <= inner.y0 < inner.y1 <= outer.y1


def test_the_window_of_a_convolution_goes_through_all_maps_and_that_of_a_pool_through_one() -> None:
    figure = network_diagram(LENET)
    patches = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    blocks = [line.get_xydata() for line in figure.axes[0].lines if len(line.get_xdata()) == 5]
    depths = [6 - 1]  # a window of the only map of the input is no block, nor is that of a pool
    windows = [patch for patch in patches if patch.get_width() == 5]
    hidden = [block for block in blocks if np.ptp(block[:, 0]) > 5]
    assert len(hidden) == len(depths)
    for block, depth, window in zip(hidden, depths, windows[1:], strict=True):
        front, back = window.get_xy(), block.min(axis=0)
        np.testing.assert_allclose(np.subtract(front, back), [depth, depth])


def test_layers_do_not_overlap_and_lie_within_the_axes() -> None:
    figure = network_diagram(LENET)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


def test_diagram_holds_the_picture(rng: np.random.Generator) -> None:
    picture = rng.random((28, 28))
    image = network_diagram(LENET, picture).axes[0].images[0]
    np.testing.assert_array_equal(image.get_array(), picture)
    assert image.get_extent() == [0, 28, 14, -14]


def test_alt_text_of_diagram_walks_through_the_shapes() -> None:
    alt = network_diagram(LENET).get_label()
    assert "input 1 × 28 × 28, 5×5 convolution to conv1 6 × 24 × 24, 2×2 max-pool to pool1" in alt
    assert alt.endswith("fully connected to fc3 10.")


# convolution_by_hand

SEVEN = np.array([[0, 1, 1, 1, 0], [0, 0, 0, 1, 0], *3 * [[0, 0, 1, 0, 0]]])
STROKE = np.array(3 * [[-1, 2, -1]])


@pytest.mark.parametrize("place", [(0, 1), (2, 2)])
def test_a_convolution_by_hand_marks_a_window_and_writes_its_sum(place: tuple[int, int]) -> None:
    feature_map = convolve(SEVEN[np.newaxis], STROKE[np.newaxis, np.newaxis], [0])[0]
    figure = cnn_figures.convolution_by_hand(SEVEN, STROKE, feature_map, place)
    for ax, values in zip(figure.axes, (SEVEN, STROKE, feature_map), strict=True):
        assert [int(text.replace("−", "-")) for text in texts(ax)[:-1]] == list(values.flat)
    marked = [ax.patches[1].get_bbox() for ax in figure.axes]
    row, column = place
    for box, (x, y, side) in zip(
        marked, ((column, row, 3), (0, 0, 3), (column, row, 1)), strict=True
    ):
        assert (box.x0, box.y0, box.width, box.height) == (x, y, side, side)
    products, _, total = figure.get_supxlabel().partition(" = ")
    numbers = products.replace("−", "-").replace("·", "*")
    assert eval(numbers) == feature_map[place] == int(total.replace("−", "-"))
    assert figure.get_label().endswith(f"At row {row}, column {column}: {products} = {total}.")


@settings(max_examples=25)  # of nine products each
@given(
    picture=st.lists(st.integers(-9, 9), min_size=25, max_size=25),
    weights=st.lists(st.integers(-9, 9), min_size=9, max_size=9),
)
def test_numbers_with_a_sign_are_in_brackets_after_a_dot(picture, weights) -> None:
    pixels, filter_ = np.reshape(picture, (5, 5)), np.reshape(weights, (3, 3))
    feature_map = convolve(pixels[np.newaxis], filter_[np.newaxis, np.newaxis], [0])[0]
    figure = cnn_figures.convolution_by_hand(pixels, filter_, feature_map, (1, 1))
    products = figure.get_supxlabel().partition(" = ")[0]
    assert "·−" not in products
    assert eval(products.replace("−", "-").replace("·", "*")) == feature_map[1, 1]


# filter_grid and feature_maps


def test_filters_lie_in_a_row_on_one_symmetric_scale(rng: np.random.Generator) -> None:
    weights = rng.normal(size=(6, 1, 5, 5))
    weights[3, 0, 1, 2] = -7.5
    figure = cnn_figures.filter_grid(weights, "Filters")
    ax, bar = figure.axes
    image = ax.images[0]
    assert image.get_clim() == (-7.5, 7.5)
    np.testing.assert_array_equal(image.get_array()[:, 18:23], weights[3, 0])
    assert texts(ax) == ["0", "1", "2", "3", "4", "5"]
    assert bar.get_xlabel().startswith("weight")
    assert "from -7.50 (black) to 7.50 (white). Filter 3 has" in figure.get_label()


def test_feature_maps_share_a_scale_within_their_layer(rng: np.random.Generator) -> None:
    picture, first, second = maps(rng)
    figure = cnn_figures.feature_map_grid(picture, first, second)
    digit, conv1, conv2 = figure.axes[:3]
    np.testing.assert_array_equal(digit.images[0].get_array(), picture)
    assert conv1.images[0].get_clim() == (0, 2.5)
    assert conv2.images[0].get_clim() == (0, 7)
    # Two rows of three and four rows of four.
    np.testing.assert_array_equal(conv1.images[0].get_array()[30:54, 54:78], first[5])
    np.testing.assert_array_equal(conv2.images[0].get_array()[20:28, 27:35], second[11])
    assert texts(conv2) == [str(k) for k in range(16)]
    titles = [ax.get_title() for ax in figure.axes[:3]]
    assert titles == ["input: 28 × 28", "conv1: 6 maps, 24 × 24", "conv2: 16 maps, 8 × 8"]


def test_alt_text_of_feature_maps_names_the_strongest(rng: np.random.Generator) -> None:
    alt = cnn_figures.feature_map_grid(*maps(rng)).get_label()
    assert "conv1: 6 maps of 24 × 24, map 2 has the largest activation, 2.50; all black: 0" in alt
    assert "conv2: 16 maps of 8 × 8, map 11 has the largest activation, 7.00; all black: 1" in alt


def test_silent_maps_can_be_drawn() -> None:
    figure = cnn_figures.feature_map_grid(
        *(np.zeros(s) for s in ((28, 28), (6, 24, 24), (16, 8, 8)))
    )
    assert "all black: 16" in figure.get_label()


# duel_gallery


def test_duel_counts_stand_in_their_cells(rng: np.random.Generator) -> None:
    figure = cnn_figures.duel_gallery(COUNTS, examples(rng, 1, 1, 1))
    table = figure.axes[0]
    cells = {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text()
        for text in table.texts[::2]
    }
    assert cells == {(0, 0): "9,650", (1, 0): "250", (0, 1): "60", (1, 1): "40"}
    assert table.texts[3].get_text() == "only MLP wrong\n2.50 %"
    assert [tick.get_text() for tick in table.get_xticklabels()] == ["CNN right", "CNN wrong"]
    assert [tick.get_text() for tick in table.get_yticklabels()] == ["MLP right", "MLP wrong"]
    assert table.get_ylim() == (2, 0)  # the first row is above


def test_duel_examples_stand_in_the_row_of_their_outcome(rng: np.random.Generator) -> None:
    shown = examples(rng, 4, 0, 2)
    rows = cnn_figures.duel_gallery(COUNTS, shown).subfigs[1].subfigs
    assert [row.get_suptitle() for row in rows] == [
        "only MLP wrong: 250",
        "only CNN wrong: 60",
        "both wrong: 40",
    ]
    for row, (pictures, *_) in zip(rows, shown.values(), strict=True):
        drawn = [ax.images[0].get_array() for ax in row.axes if ax.images]
        np.testing.assert_array_equal(np.reshape(drawn, (-1, 28, 28)), pictures)
    assert rows[0].axes[0].get_title() == "true 4\nMLP 9, CNN 4"
    assert rows[2].axes[1].get_title() == "true 4\nMLP 1, CNN 9"


def test_alt_text_of_duel_holds_counts_and_captions(rng: np.random.Generator) -> None:
    alt = cnn_figures.duel_gallery(COUNTS, examples(rng, 2, 0, 1)).get_label()
    assert alt == (
        "10,000 images, read by the MLP and by the CNN: both right 9,650, only MLP wrong 250, "
        "only CNN wrong 60, both wrong 40. Examples, only MLP wrong: true 4: MLP 9, CNN 4; "
        "true 4: MLP 9, CNN 4. only CNN wrong: none. both wrong: true 4: MLP 1, CNN 9."
    )


def test_duel_examples_have_the_names_of_their_classes(rng: np.random.Generator) -> None:
    names = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay")
    figure = cnn_figures.duel_gallery(COUNTS, examples(rng, 1, 0, 1), Classes("pet", names))
    first = figure.subfigs[1].subfigs[0].axes[0]
    assert first.get_title() == "true eel\nMLP jay\nCNN eel"
    assert "both wrong: true eel: MLP bee, CNN jay." in figure.get_label()


@pytest.mark.parametrize(
    "draw",
    [
        lambda noun: network_diagram(LENET, noun=noun),
        lambda noun: cnn_figures.feature_map_grid(*SILENT, noun),
        lambda noun: cnn_figures.shift_curves([0, 2, 4], ACCURACIES, noun),
    ],
)
def test_titles_call_by_its_name_what_is_shown(draw: Callable[[str], Figure]) -> None:
    digit, pet = draw("digit"), draw("pet")
    assert "digit" in digit.get_suptitle()
    assert "pet" not in digit.get_suptitle()
    assert pet.get_suptitle() == digit.get_suptitle().replace("digit", "pet")
    assert pet.get_label() == digit.get_label().replace("digit", "pet")
    assert not any("digit" in text.get_text() for text in pet.findobj(Text))


# shift_curves and permutation_bars


def test_shift_curves_run_from_0_to_100_percent() -> None:
    figure = cnn_figures.shift_curves([0, 2, 4], ACCURACIES)
    ax = figure.axes[0]
    for line, values in zip(ax.lines[1:], ACCURACIES.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [0, 2, 4])
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert ax.get_ylim() == (0, 101)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("shift of the digits (pixels)", "accuracy (%)")
    assert "at shifts of 0, 2, 4 pixels. MLP: 97.0, 60.2, 20.0. CNN: 99.0" in figure.get_label()


def test_shift_curves_differ_in_grey_and_are_named_at_their_ends() -> None:
    ax = cnn_figures.shift_curves([0, 2, 4], ACCURACIES).axes[0]
    assert texts(ax) == ["guessing: 10 %", "MLP 20.0 %", "CNN 40.5 %"]
    assert [text.get_va() for text in ax.texts[1:]] == ["top", "bottom"]
    _, mlp, cnn = ax.lines
    assert mlp.get_linestyle() != cnn.get_linestyle()
    assert mlp.get_marker() != cnn.get_marker()


def test_bars_show_what_other_seeds_give() -> None:
    rival = {"fully connected": ACCURACIES["MLP"], "CNN": ACCURACIES["CNN"]}
    spread = {"fully connected": (2, 55.0, 65.5), "CNN": (2, 85.0, 95.0)}
    figure = cnn_figures.shift_curves([0, 2, 4], rival, spread=spread)
    bars = [bar.get_segments()[0].tolist() for bar in figure.axes[0].collections]
    assert bars == [[[2, 55], [2, 65.5]], [[2, 85], [2, 95]]]
    assert "CNN, other seeds, at a shift of 2: 85.0 to 95.0." in figure.get_label()


TIES = [k / 100 for k in range(9005, 10000, 10)]  # which NumPy rounds otherwise than they print


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(TIES), min_size=4, max_size=4))
@example([93.56, 93.64, 98.64, 95.35])  # the first two look equal
def test_the_changes_are_those_of_the_numbers_beside_them(drawn: list[float]) -> None:
    pairs = {"fully connected": (drawn[0], drawn[1]), "CNN": (drawn[2], drawn[3])}
    (ax,) = cnn_figures.permutation_bars(pairs).axes
    beside = [float(text.split()[1]) for text in texts(ax)]
    changes = [beside[1] - beside[0], beside[3] - beside[2]]
    told = [tick.get_text().split("\n")[1] for tick in ax.get_yticklabels()]
    assert told == [f"{change:+.1f} points".replace("-", "−") for change in changes]


def test_permutation_shows_both_accuracies_of_both_networks() -> None:
    figure = cnn_figures.permutation_bars(PAIRS)
    ax = figure.axes[0]
    for row, (line, pair) in enumerate(zip(ax.lines[::2], PAIRS.values(), strict=True)):
        np.testing.assert_array_equal(line.get_xdata(), pair)
        np.testing.assert_array_equal(line.get_ydata(), [row, row])
    assert texts(ax) == [
        "original 97.0 %",
        "permuted 96.9 %",
        "original 99.0 %",
        "permuted 95.2 %",
    ]
    ticks = [tick.get_text() for tick in ax.get_yticklabels()]
    assert ticks == ["MLP\n−0.1 points", "CNN\n−3.8 points"]
    left, right = ax.get_xlim()
    assert 94 < left < 95.2 < 99 < right < 100
    alt = figure.get_label()
    assert "CNN: 99.0 % on original, 95.2 % on permuted pixels, −3.8 points." in alt


# bad input, and what must not happen

NOTHING: Any = {name: ([], [], [], []) for name in OUTCOMES[1:]}
SILENT = np.zeros((28, 28)), np.zeros((6, 24, 24)), np.zeros((16, 8, 8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: network_diagram(LENET[:1]), "shapes: got 1 layers, wanted at least 2"),
        (
            lambda: network_diagram([("a", (4, 4)), ("b", (4,))]),
            r"shapes: got \(4, 4\) for 'a', wanted maps",
        ),
        (lambda: network_diagram([("a", ()), ("b", (4,))]), r"got \(\) for 'a'"),
        (lambda: network_diagram([("a", (4,)), ("b", (0,))]), r"got \(0,\) for 'b'"),
        (lambda: network_diagram(LENET[::-1]), r"got \(16, 4, 4\) for 'pool2'"),
        (
            lambda: network_diagram(LENET[1::-1]),
            r"got \(1, 28, 28\) for 'input', .* do not grow",
        ),
        (
            lambda: network_diagram(LENET, np.zeros(784)),
            r"picture: got shape \(784,\), wanted \(28, 28\)",
        ),
        (
            lambda: cnn_figures.convolution_by_hand(SEVEN, STROKE, STROKE, (0, 3)),
            "place: got values from 0 to 3, wanted 0 to 2",
        ),
        (
            lambda: cnn_figures.filter_grid(np.zeros((16, 6, 5, 5)), "t"),
            r"conv1_weights: .* wanted \(6, 1, 5, 5\)",
        ),
        (
            lambda: cnn_figures.feature_map_grid(SILENT[0], SILENT[2], SILENT[1]),
            r"conv1_maps: .* wanted \(6, 24, 24\)",
        ),
        (
            lambda: cnn_figures.feature_map_grid(SILENT[0], SILENT[1], SILENT[2] - 1),
            "conv2_maps: got values from -1 to -1, wanted 0 to inf",
        ),
        (
            lambda: cnn_figures.duel_gallery({"both right": 1}, NOTHING),
            r"counts: got \['both right'\], wanted \['both right', 'only MLP wrong',",
        ),
        (lambda: cnn_figures.duel_gallery(COUNTS, {}), r"examples: got \[\], wanted \['only MLP"),
        (
            lambda: cnn_figures.duel_gallery(COUNTS | {"both wrong": -1}, NOTHING),
            "counts: got values from -1",
        ),
        (
            lambda: cnn_figures.duel_gallery(
                COUNTS, NOTHING | {"both wrong": (np.zeros((2, 28, 28)), [1, 2], [3, 4], [5])}
            ),
            r"CNN digits of 'both wrong': got shape \(1,\), wanted \(2,\)",
        ),
        (
            lambda: cnn_figures.duel_gallery(
                COUNTS, NOTHING | {"both wrong": (np.zeros((1, 784)), [1], [3], [5])}
            ),
            r"pictures of 'both wrong': got shape \(1, 784\), wanted \(n, 28, 28\)",
        ),
        (
            lambda: cnn_figures.shift_curves([0, 1], ACCURACIES),
            r"accuracies of 'MLP': got shape \(3,\), wanted \(2,\)",
        ),
        (lambda: cnn_figures.shift_curves([0], {"MLP": [1]}), r"got \['MLP'\], wanted \['MLP', "),
        (
            lambda: cnn_figures.permutation_bars({"MLP": (0.97, 0.97), "CNN": (99, 101)}),
            "accuracies of 'CNN': got values from 99 to 101, wanted 0 to 100",
        ),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_arrays_are_not_changed_and_pyplot_is_not_loaded(rng: np.random.Generator) -> None:
    loaded = "matplotlib.pyplot" in sys.modules
    arrays = maps(rng)
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=False)
    cnn_figures.feature_map_grid(*arrays)
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)
    assert ("matplotlib.pyplot" in sys.modules) == loaded


# record_dots

RECORD = {"MLP": [98.5, 98.7], "CNN": [99.5, 99.6, 99.7]}


def test_record_shows_every_run_as_an_error_and_names_the_means() -> None:
    figure = cnn_figures.record_dots({"CNN": 99.0, "MLP": 97.0}, RECORD)
    plain_mlp, mlp, plain_cnn, cnn = figure.axes[0].lines
    np.testing.assert_allclose(plain_mlp.get_xdata(), [3.0])
    np.testing.assert_allclose(mlp.get_xdata(), [1.5, 1.3])
    np.testing.assert_allclose(plain_cnn.get_xdata(), [1.0])
    np.testing.assert_allclose(cnn.get_xdata(), [0.5, 0.4, 0.3])
    assert texts(figure.axes[0]) == [
        "plain 3.00 %",
        "record 1.40 %",
        "plain 1.00 %",
        "record 0.40 %",
    ]
    assert "MLP: plain 3.00 %, record 1.40 % on average of 2 runs." in str(figure.get_label())


def test_record_wants_both_networks_and_at_least_one_run() -> None:
    for record in ({"MLP": [98.0]}, {"MLP": [98.0], "CNN": []}, {"MLP": [98.0], "CNN": [101.0]}):
        with pytest.raises(ValueError, match="record"):
            cnn_figures.record_dots({"MLP": 97.0, "CNN": 99.0}, record)
