"""Figures are judged by what their axes hold, not by pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from numpy.typing import NDArray
from PIL import Image

from helpers.mnist import Classes
from plotting import figures as plotting

MINI = "mini (2,000 images)"
FULL = "full (50,000 images)"
PETS = Classes("pet", ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay"))
Curves = dict[str, tuple[list[float], list[float]]]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def curves() -> Curves:
    return {
        MINI: ([60.0, 90.0, 96.2], [59.0, 87.0, 88.1]),
        FULL: ([91.0, 96.0, 98.0], [91.5, 96.0, 97.1]),
    }


@pytest.fixture
def counts() -> NDArray[Any]:
    counts = np.diag(np.arange(950, 960))
    counts[4, 9], counts[7, 2] = 17, 5
    return counts


def gallery_data(
    rng: np.random.Generator, n: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return pictures, probabilities and labels: each a 4 read as 9."""
    probabilities = np.full((n, 10), 0.005)
    probabilities[:, 4], probabilities[:, 9] = 0.02, 0.94
    return rng.random((n, 28, 28)), probabilities, np.full(n, 4)


def cell_texts(figure: Figure) -> dict[tuple[int, int], Any]:
    """Return the heatmap's annotations by (true, predicted)."""
    return {
        (int(text.get_position()[1]), int(text.get_position()[0])): text
        for text in figure.axes[0].texts
        if not isinstance(text, Annotation)
    }


# digits_grid


def test_grid_shows_every_picture_with_its_label(rng: np.random.Generator) -> None:
    pictures = rng.random((12, 28, 28))
    labels = np.arange(12) % 10
    figure = plotting.digits_grid(pictures, labels, "First look")
    assert figure.get_suptitle() == "First look"
    assert [ax.get_title() for ax in figure.axes] == [str(label) for label in labels]
    for ax, picture in zip(figure.axes, pictures, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), picture)
        assert ax.images[0].get_clim() == (pictures.min(), pictures.max())
    assert figure.get_label() == (
        "First look: 12 pictures in grey, labelled 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1."
    )


# accuracy_curves


def test_curves_are_drawn_in_percent_against_epochs_from_1(curves: Curves) -> None:
    figure = plotting.accuracy_curves(curves)
    for ax, pair in zip(figure.axes, curves.values(), strict=True):
        assert [line.get_label() for line in ax.lines] == ["training", "validation"]
        for line, values in zip(ax.lines, pair, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
            np.testing.assert_array_equal(line.get_ydata(), values)
        assert ax.get_xlabel() == "epoch"
    assert figure.axes[0].get_ylabel() == "accuracy (%)"


def test_curves_share_one_scale_and_state_their_gap(curves: Curves) -> None:
    left, right = plotting.accuracy_curves(curves).axes
    assert left.get_ylim() == right.get_ylim() == plotting.ACCURACY_RANGE
    assert left.get_title() == f"{MINI}\ngap at the end: 8.10 points"
    assert right.get_title() == f"{FULL}\ngap at the end: 0.90 points"


def test_curves_differ_in_grey_and_are_named_at_their_ends(curves: Curves) -> None:
    ax = plotting.accuracy_curves(curves).axes[0]
    names = [text.get_text() for text in ax.texts[:2]]
    assert names == ["training\n96.20 %", "validation\n88.10 %"]
    training, validation = ax.lines
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()


def test_names_at_the_ends_keep_clear_of_each_other() -> None:
    for pair, places in (([99.0, 98.9], ["bottom", "top"]), ([98.9, 99.0], ["top", "bottom"])):
        figure = plotting.accuracy_curves({MINI: ([pair[0]], [pair[1]])})
        assert [text.get_va() for text in figure.axes[0].texts] == places


@pytest.mark.parametrize("epochs", [1, 2, 20, 21, 100])
def test_last_epoch_has_a_marker_and_there_are_few(epochs: int) -> None:
    values = np.linspace(85, 95, epochs)
    line = plotting.accuracy_curves({MINI: (values, values)}).axes[0].lines[0]
    start, step = line.get_markevery()
    marked = np.arange(epochs)[start::step]
    assert marked[-1] == epochs - 1
    assert len(marked) <= 20


def test_network_that_learnt_nothing_is_seen() -> None:
    figure = plotting.accuracy_curves({MINI: ([10.0, 11.0], [9.0, 9.8])})
    assert figure.axes[0].get_ylim()[0] == 0


def test_curves_that_come_from_below_the_axis_are_marked(curves: Curves) -> None:
    left, right = plotting.accuracy_curves(curves).axes
    assert "▼ from 59 % at epoch 1" in [text.get_text() for text in left.texts]
    assert not any("▼" in text.get_text() for text in right.texts)


def test_no_gap_is_filled_where_training_lies_below() -> None:
    ax = plotting.accuracy_curves({MINI: ([85.0, 86.0, 95.0], [90.0, 91.0, 92.0])}).axes[0]
    (filled,) = ax.collections
    assert {vertex[0] for path in filled.get_paths() for vertex in path.vertices} == {3.0} or not (
        filled.get_paths()
    )


def test_alt_text_of_curves_holds_the_final_numbers(curves: Curves) -> None:
    alt = plotting.accuracy_curves(curves).get_label()
    assert f"{MINI}: training 96.20 %, validation 88.10 % after epoch 3, a gap of 8.10" in alt
    assert f"{FULL}: training 98.00 %, validation 97.10 %" in alt


def test_grid_captions_pictures_with_the_names_of_their_classes() -> None:
    figure = plotting.digits_grid(PICTURES, [2, 9], "Zoo", PETS)
    assert [ax.get_title() for ax in figure.axes] == ["cat", "jay"]
    assert figure.get_label().endswith("labelled cat, jay.")


# confusion_heatmap


def test_heatmap_annotates_every_count(counts: NDArray[Any]) -> None:
    figure = plotting.confusion_heatmap(counts, "Confusion")
    texts = cell_texts(figure)
    assert {cell: int(text.get_text()) for cell, text in texts.items()} == dict(
        np.ndenumerate(counts)
    )
    ax, bar = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted digit", "true digit")
    assert bar.get_ylabel() == "images"


def test_heatmap_tells_for_each_row_how_much_is_right(counts: NDArray[Any]) -> None:
    texts = plotting.confusion_heatmap(counts, "Confusion").axes[0].texts
    shares = [(text.get_text(), text.xy[1]) for text in texts if isinstance(text, Annotation)]
    assert shares[0] == ("100.0 % of 950", 0.5)
    assert shares[4] == ("98.2 % of 971", 4.5)
    assert len(shares) == 10


def test_heatmap_colours_belong_to_the_mistakes(counts: NDArray[Any]) -> None:
    figure = plotting.confusion_heatmap(counts, "Confusion")
    (cells,) = figure.axes[0].collections
    assert cells.get_clim() == (0, 17)
    right = np.eye(10, dtype=bool)
    np.testing.assert_array_equal(np.ma.getmaskarray(cells.get_array()), right)
    colours = cells.to_rgba(cells.get_array())
    assert not colours[right][:, 3].any()  # so the white paper shows
    assert to_hex(colours[4, 9]) == plotting.VERMILLION.lower()


def test_heatmap_takes_the_scale_of_another(counts: NDArray[Any]) -> None:
    figure = plotting.confusion_heatmap(counts, "Confusion", vmax=30)
    assert figure.axes[0].collections[0].get_clim() == (0, 30)


def test_heatmap_states_the_commonest_mistake(counts: NDArray[Any]) -> None:
    figure = plotting.confusion_heatmap(counts, "Confusion")
    told = "22 of 9,567 images wrong; most often 4 read as 9 (17 images)"
    assert figure.get_suptitle() == f"Confusion\n{told}"
    assert told in figure.get_label()


def test_heatmap_without_mistakes_names_none() -> None:
    figure = plotting.confusion_heatmap(np.diag([5] * 10), "Confusion")
    assert figure.get_suptitle() == "Confusion\n0 of 50 images wrong"


def test_heatmap_names_the_classes(counts: NDArray[Any]) -> None:
    figure = plotting.confusion_heatmap(counts, "Zoo", classes=PETS)
    ax = figure.axes[0]
    for ticks in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert tuple(tick.get_text() for tick in ticks) == PETS.names
    assert ax.get_xticklabels()[0].get_rotation() == 90  # else long names lie over one another
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted pet", "true pet")
    assert figure.get_suptitle().endswith("wrong;\nmost often eel read as jay (17 images)")
    assert "true against predicted pets. " in figure.get_label()


# mistakes_gallery


def test_gallery_pairs_pictures_with_their_probabilities(rng: np.random.Generator) -> None:
    pictures, probabilities, labels = gallery_data(rng, 7)
    figure = plotting.mistakes_gallery(pictures, probabilities, labels)
    with_picture = [ax for ax in figure.axes if ax.images]
    with_bars = [ax for ax in figure.axes if ax.patches]
    assert len(figure.axes) == len(with_picture) + len(with_bars) == 14
    for k in range(7):
        np.testing.assert_array_equal(with_picture[k].images[0].get_array(), pictures[k])
        assert with_picture[k].get_title() == "true 4: 2 %\nsays 9: 94 %"
        heights = [bar.get_height() for bar in with_bars[k].patches]
        np.testing.assert_allclose(heights, 100 * probabilities[k])
        assert with_bars[k].get_ylim() == (0, 100)
    assert len({ax.images[0].get_clim() for ax in with_picture}) == 1


def test_gallery_marks_true_and_predicted_without_colour(rng: np.random.Generator) -> None:
    figure = plotting.mistakes_gallery(*gallery_data(rng, 1))
    ax = figure.axes[1]
    assert [k for k, bar in enumerate(ax.patches) if bar.get_hatch()] == [9]
    triangle = ax.lines[0]
    assert (list(triangle.get_xdata()), triangle.get_marker()) == ([4], "v")
    assert figure.get_supxlabel().startswith("digit (hatched bar: what the network says; triangle")


def test_alt_text_of_gallery_tells_each_mistake(rng: np.random.Generator) -> None:
    pictures, probabilities, labels = gallery_data(rng, 2)
    probabilities[1, 4], probabilities[1, 9] = 0.0001, 0.9999
    alt = plotting.mistakes_gallery(pictures, probabilities, labels).get_label()
    assert alt.endswith("2 pictures. true 4: 2 %, says 9: 94 %; true 4: <1 %, says 9: >99 %.")


def test_gallery_names_the_classes(rng: np.random.Generator) -> None:
    figure = plotting.mistakes_gallery(*gallery_data(rng, 1), classes=PETS)
    above, below = figure.axes
    assert above.get_title() == "true eel: 2 %\nsays jay: 94 %"
    assert tuple(tick.get_text() for tick in below.get_xticklabels()) == PETS.names
    assert figure.get_supxlabel().startswith("pet (hatched bar: ")
    assert figure.get_supxlabel().endswith("triangle: the true pet)")
    assert figure.get_label().endswith("1 pictures. true eel: 2 %, says jay: 94 %.")


# show


def small_figure() -> Figure:
    return plotting.digits_grid(np.zeros((1, 28, 28)), [0], "Zero")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect what is displayed."""
    outputs: list[Any] = []
    monkeypatch.setattr(plotting, "display", outputs.append)
    return outputs


def test_show_saves_and_displays_the_same_png_with_its_alt_text(
    tmp_path: Path, shown: list[Any]
) -> None:
    figure = small_figure()
    folder = tmp_path / "new" / "figures"
    plotting.show(figure, "zeros", folder)
    assert [path.name for path in folder.iterdir()] == ["zeros.png"]
    with Image.open(folder / "zeros.png") as png:
        assert png.info["Description"] == figure.get_label()
        assert "Software" not in png.info
    _, metadata = shown[0]._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == figure.get_label()
    assert shown[0].data == (folder / "zeros.png").read_bytes()


def test_show_puts_the_number_of_the_file_before_the_title(
    tmp_path: Path, shown: list[Any]
) -> None:
    figure = small_figure()
    for _ in range(2):
        plotting.show(figure, "figure_2b_zeros", tmp_path)
        assert figure.get_suptitle() == "Figure 2b · Zero"
    other = small_figure()
    plotting.show(other, "zeros", tmp_path)
    assert other.get_suptitle() == "Zero"


def test_same_data_give_the_same_bytes(tmp_path: Path, shown: list[Any]) -> None:
    for name in "ab":
        plotting.show(small_figure(), name, tmp_path)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_show_wants_an_alt_text(tmp_path: Path, shown: list[Any]) -> None:
    with pytest.raises(ValueError, match="no alt text"):
        plotting.show(Figure(), "bare", tmp_path)
    assert not shown
    assert not list(tmp_path.iterdir())


def test_show_says_where_it_cannot_save_but_still_displays(
    tmp_path: Path, shown: list[Any]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match=r"Cannot save .*file.*Choose a folder"):
        plotting.show(small_figure(), "zeros", tmp_path / "file")
    assert len(shown) == 1


# bad input, and what must not happen

PICTURES, PROBABILITIES, LABELS = np.zeros((2, 28, 28)), np.full((2, 10), 0.1), np.zeros(2, int)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: plotting.digits_grid(np.zeros((5, 784)), np.zeros(5), "t"),
            r"pictures: got shape \(5, 784\), wanted \(N, 28, 28\)",
        ),
        (
            lambda: plotting.digits_grid(np.zeros((0, 28, 28)), [], "t"),
            r"pictures: got shape \(0, 28, 28\), .* not empty",
        ),
        (
            lambda: plotting.digits_grid(PICTURES, [1, 2, 3], "t"),
            r"labels: got shape \(3,\), wanted \(2,\)",
        ),
        (lambda: plotting.digits_grid(PICTURES * np.nan, LABELS, "t"), "pictures: .*NaN"),
        (lambda: plotting.digits_grid(PICTURES, ["a", "b"], "t"), "labels: .*no numbers"),
        (lambda: plotting.accuracy_curves({}), "curves: got no entries"),
        (
            lambda: plotting.accuracy_curves({"mini": ([90, 91], [90])}),
            r"validation of 'mini': got shape \(1,\), wanted \(2,\)",
        ),
        (
            lambda: plotting.accuracy_curves({"mini": ([101], [90])}),
            "training of 'mini': got values from 101 to 101, wanted 0 to 100",
        ),
        (lambda: plotting.confusion_heatmap(np.zeros((9, 9)), "t"), r"wanted \(10, 10\)"),
        (lambda: plotting.confusion_heatmap(np.full((10, 10), 0.5), "t"), "counts: .*fractional"),
        (lambda: plotting.confusion_heatmap(-np.eye(10), "t"), "counts: got values from -1 to"),
        (
            lambda: plotting.mistakes_gallery(PICTURES, PROBABILITIES * 20, LABELS),
            "probabilities: got values from 2 to 2, wanted 0 to 1",
        ),
        (
            lambda: plotting.mistakes_gallery(PICTURES, PROBABILITIES, LABELS + 10),
            "labels: got values from 10 to 10, wanted 0 to 9",
        ),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_arrays_are_not_changed(rng: np.random.Generator, counts: NDArray[Any]) -> None:
    pictures, probabilities, labels = gallery_data(rng, 3)
    arrays = [pictures, probabilities, labels, counts]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=False)
    plotting.digits_grid(pictures, labels, "t")
    plotting.mistakes_gallery(pictures, probabilities, labels)
    plotting.confusion_heatmap(counts, "t")
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)


def test_pyplot_keeps_no_figure(counts: NDArray[Any], curves: Curves) -> None:
    plotting.accuracy_curves(curves)
    plotting.confusion_heatmap(counts, "t")
    import matplotlib.pyplot

    assert matplotlib.pyplot.get_fignums() == []
