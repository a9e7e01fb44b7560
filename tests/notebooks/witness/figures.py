"""What each figure holds, by its axes, against the arrays of the run; and what its alt text tells.

An alt text is right if it has the words of the committed figure and the numbers of the run.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Annotation, Text

from helpers.bands import load_bands
from tests.notebooks.witness.events import parameters_of
from tests.notebooks.witness.results import Array, cnn_maps, confusion, equal
from tests.notebooks.witness.run import ROOT, Run, png_description

CHECKS: dict[str, list[Callable[[Run], None]]] = {"1": [], "2": []}
NUMBER = re.compile(r"[<>+−-]?\d+(?:,\d{3})*(?:\.\d+)?")
Numbers = list[str]
# The figures whose curves were seen, as they were saved then: drawing them again takes long.
SEEN: WeakKeyDictionary[Figure, bytes] = WeakKeyDictionary()


def figure_of(
    notebook: str, name: str, *words: str
) -> Callable[[Callable[[Run, "Drawn"], Numbers]], Any]:
    """Register what looks at the figure `name` and returns the numbers of its alt text.

    `words` are all texts that are drawn in it, with # in place of the numbers that are told. The
    title has the figure's number before them.
    """

    def register(look: Callable[[Run, Drawn], Numbers]) -> Any:
        def check(run: Run) -> None:
            drawn = Drawn(run, name, k)
            drawn.tells(look(run, drawn))
            drawn.says(words)
            drawn.is_as_it_looks()

        k = len(CHECKS[notebook])
        check.__name__ = name
        CHECKS[notebook].append(check)
        return look

    return register


class Drawn:
    """A figure of the run, as it was saved and displayed: the `k`-th of its notebook."""

    def __init__(self, run: Run, name: str, k: int) -> None:
        saved = (Path(run.figures) / f"{name}.png").read_bytes()
        found = [figure for figure, png in run.events.figures if png == saved]
        assert found, "what was saved is no figure of this run"
        self.figure: Figure = found[-1]
        self.artists = self.figure.findobj()  # once: each walk places all ticks anew
        self.png = saved
        displayed, self.alt = run.pictures()[k]
        assert displayed == saved, "what is displayed is not what was saved"
        assert png_description(saved) == self.alt, "the file has another alt text"
        self.committed, self.name = run.alts[k], name
        self.known: set[str] = set()  # texts whose numbers are not in the alt text, but right

    def all(self, kind: type, inside: Any = None) -> list[Any]:
        """Every visible artist of a kind, in the order of drawing."""
        artists = inside.findobj() if inside else self.artists
        found = (artist for artist in artists if isinstance(artist, kind))
        return [artist for artist in found if artist.get_visible() and _opaque(artist)]

    def texts(self, inside: Any = None) -> list[str]:
        return [text.get_text() for text in self.all(Text, inside) if text.get_text()]

    def images(self) -> list[Array]:
        return [np.asarray(image.get_array()) for image in self.all(AxesImage)]

    def tiles(self, number: int = 0) -> list[Array]:
        """The pictures of a mosaic, the `number`-th image: its blocks between gaps of NaN."""
        mosaic = np.ma.filled(self.all(AxesImage)[number].get_array().astype(float), np.nan)
        ink = np.isfinite(mosaic)
        rows, columns = _runs(ink.any(axis=1)), _runs(ink.any(axis=0))
        blocks = [mosaic[r, c] for r in rows for c in columns]
        return [block for block in blocks if np.isfinite(block).all()]

    def tells(self, numbers: Numbers) -> None:
        """Assert the words and the numbers of the alt text."""
        words, committed = (
            " ".join(NUMBER.sub("#", alt).split()) for alt in (self.alt, self.committed)
        )
        assert words == committed, f"alt text says {words!r}, the committed one {committed!r}"
        told = NUMBER.findall(self.alt)
        assert told == numbers, f"alt text has the numbers {told}, wanted {numbers}"

    def says(self, words: Iterable[str]) -> None:
        """Assert that the figure's texts are these, and their numbers those of the alt text."""
        number = f"Figure {self.name.split('_')[1]} · "
        assert self.figure.get_suptitle().startswith(number), f"the title lacks {number!r}"
        named = {text.removeprefix(number) for text in self.texts()}
        texts = {text for text in named if not _is_number(text)} - self.known
        found = {text if text in words else NUMBER.sub("#", text) for text in texts}
        assert found == set(words), f"texts {sorted(found ^ set(words))} are too many or missing"
        told = {*NUMBER.findall(self.alt), *NUMBER.findall(" ".join(words))}
        for text in texts:
            strange = {*NUMBER.findall(text)} - told
            assert not strange, f"{text!r} has {strange}, which the alt text has not"

    def is_as_it_looks(self) -> None:
        """Assert that ticks tell where they are, pictures stand upright, and curves can be seen."""
        for ax in self.all(Axes):
            for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
                _ticks_are_true(ax, axis)
        for image in self.all(AxesImage):
            left, right, bottom, top = image.get_extent()
            ends = image.axes.transData.transform([(left, bottom), (right, top)])
            assert image.origin == "upper", "a picture begins with its last row"
            assert (ends[0] < ends[1]).all(), "a picture is mirrored"
        self._curves_are_seen()

    def _curves_are_seen(self) -> None:
        """Assert that each curve leaves a trace, by drawing its axes once without it."""
        if SEEN.get(self.figure) == self.png:
            return
        # Where no axis is shown, lines are those of a drawing, and may lie under its frames.
        with_lines = [ax for ax in self.all(Axes) if ax.axison and ax.lines]
        canvas = FigureCanvasAgg(self.figure)
        if with_lines:
            canvas.draw()
            self.figure.set_layout_engine("none")
        for ax in with_lines:
            with_all = _pixels(canvas, ax)
            for line in ax.lines:
                line.set_visible(False)
                without = _pixels(canvas, ax)
                line.set_visible(True)
                assert (without != with_all).any(), f"the line {line.get_label()} can't be seen"
        SEEN[self.figure] = self.png


def _pixels(canvas: FigureCanvasAgg, ax: Axes) -> Array:
    """Draw one of the figure's axes alone."""
    renderer = canvas.get_renderer()
    renderer.clear()
    ax.draw(renderer)
    return np.array(renderer.buffer_rgba())


def _is_number(text: str) -> bool:
    """Whether a text has no words, or is a number such as 1e-05."""
    return not any(map(str.isalpha, text)) or bool(re.fullmatch(r"[+−-]?[\d.]+e[+−-]?\d+", text))


def _ticks_are_true(ax: Axes, axis: Axis) -> None:
    """Assert that a tick with a number stands at that number; a heatmap's stand in its cells."""
    middle = 0.5 if any(isinstance(artist, QuadMesh) for artist in ax.collections) else 0
    for tick in axis.get_ticklabels():
        place = tick.get_position()[axis.axis_name == "y"]
        if NUMBER.fullmatch(tick.get_text()):
            number = float(tick.get_text().replace("−", "-").replace(",", ""))
            off = abs(number - place)
            assert min(off, abs(off - middle)) < 1e-6, f"the tick {number:g} stands at {place:g}"


def _opaque(artist: Any) -> bool:
    return artist.get_alpha() is None or np.all(np.asarray(artist.get_alpha()) > 0.3)


def _runs(flags: Array) -> list[slice]:
    """The stretches of True."""
    edges = np.flatnonzero(np.diff(np.r_[0, flags.astype(int), 0]))
    return [slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _number(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def _grey_from_black(image: AxesImage) -> None:
    assert image.get_cmap().name == "gray", "not in grey"
    low, high = image.get_clim()
    assert low < high, "black and white exchanged"


def pictures_with_labels(drawn: Drawn, pictures: Array, labels: Iterable[int]) -> Numbers:
    """A grid of digits under their labels; return its numbers."""
    axes = [ax for ax in drawn.all(Axes) if ax.images]
    equal([ax.images[0].get_array() for ax in axes], pictures, "pictures")
    captions = [ax.get_title() for ax in axes]
    assert captions == [str(label) for label in labels], f"labels {captions}"
    for ax in axes:
        _grey_from_black(ax.images[0])
    return [str(len(axes)), *captions]


@figure_of("1", "figure_0_digits", "The first # training images")
def _(run: Run, drawn: Drawn) -> Numbers:
    train = run.digits.train
    numbers = pictures_with_labels(drawn, train.images[:30].reshape(-1, 28, 28), train.labels[:30])
    return [numbers[0], *numbers]


CURVES = (
    "mini: # images\ngap at the end: # points", "full: # images\ngap at the end: # points",
    "training\n# %", "validation\n# %", "epoch", "accuracy (%)",
)  # fmt: skip


def curves(run: Run, drawn: Drawn, epochs: int) -> Numbers:
    """Training and validation accuracy of both trainings; return the numbers of the alt text."""
    numbers = []
    panels = {ax.get_title().splitlines()[0]: ax for ax in drawn.all(Axes)}
    for title, images in (("mini: 2,000 images", "2,000"), ("full: 50,000 images", "50,000")):
        history, ax = getattr(run, title[:4]), panels[title]
        ends = []
        for line, label in zip(ax.lines, ("training", "validation"), strict=True):
            values = history.train_accuracy if label == "training" else history.validation_accuracy
            assert line.get_label() == label, f"{line.get_label()} in place of {label}"
            equal(line.get_xdata(), np.arange(1, epochs + 1), "epochs")
            equal(line.get_ydata(), values, f"{label} of {title}", 1e-9)
            (note,) = (text for text in drawn.all(Annotation, ax) if label in text.get_text())
            assert note.get_text() == f"{label}\n{values[-1]:.2f} %", note.get_text()
            assert note.xy == (epochs, values[-1]), f"{label} stands at another line"
            assert note.get_color() == line.get_color(), f"{label} has another line's colour"
            ends.append(values[-1])
        gap = f"{ends[0] - ends[1]:.2f}"
        assert ax.get_title().endswith(f"gap at the end: {gap} points"), ax.get_title()
        numbers += [images, f"{ends[0]:.2f}", f"{ends[1]:.2f}", str(epochs), gap]
        drawn.known |= _said_if_below(ax, history)
    labels = {ax.get_xlabel() for ax in panels.values()}, drawn.all(Axes)[0].get_ylabel()
    assert labels == ({"epoch"}, "accuracy (%)"), f"axes are labelled {labels}"
    return numbers


def _said_if_below(ax: Axes, history: Any) -> set[str]:
    """Where curves come from below the axis, the figure says from how far; return these words."""
    first = min(history.train_accuracy[0], history.validation_accuracy[0])
    lowest = min([*history.train_accuracy, *history.validation_accuracy])
    notes = [text.get_text() for text in ax.texts if "▼" in text.get_text()]
    wanted = [f"▼ from {first:.0f} % at epoch 1"] if lowest < ax.get_ylim()[0] else []
    assert notes == wanted, f"{notes}, wanted {wanted}"
    return set(notes)


@figure_of(
    "1",
    "figure_0b_network",
    "The way forward (black) and the way back (orange)",
    *("x  (2,)", "a1  (2,)", "z1  (2,)", "a2  (2,)", "ŷ  (2,)", "loss\n0.693"),
    *("W1 (2, 2), b1 (2,)", "σ", "W2 (2, 2), b2 (2,)", "softmax", "cross-entropy"),
    *("∂W1 = δ1 xᵀ  (2, 2)", "· z1 (1 − z1)", "W2ᵀ δ2,  ∂W2 = δ2 z1ᵀ  (2, 2)"),
    *("δ2 = ŷ − y  (2,)", "δ1: -0.125", "δ1: 0.125", "δ2: -0.5", "δ2: 0.5"),
)
def _(run: Run, drawn: Drawn) -> Numbers:
    # The worked example, by hand: no run changes it.
    wanted = {"0": 6, "1": 3, "2": 2, "-1": 2, "-2": 1, "0.5": 6, "-0.5": 2}
    wanted |= {"0.125": 2, "-0.125": 2, "0.25": 3, "-0.25": 3}
    shown = [text.split(": ")[-1] for text in drawn.texts(drawn.all(Axes)[0])]
    counted = Counter(text for text in shown if NUMBER.fullmatch(text))
    assert counted == wanted, f"numbers {counted}, wanted {wanted}"
    return re.findall(NUMBER, drawn.committed)


def lines_over_epochs(drawn: Drawn, panels: dict[str, dict[str, Any]], lowest: set[str]) -> Numbers:
    """Lines of learning curves, each with its last value; return the numbers of the alt text."""
    numbers = []
    for ax, (quantity, lines) in zip(drawn.all(Axes), panels.items(), strict=True):
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", quantity), ax.get_ylabel()
        assert ax.get_yscale() == ("log" if "loss" in quantity else "linear"), "the scale"
        drawn_lines = {line.get_label(): line for line in ax.lines}
        legend = [text.get_text() for text in ax.get_legend().get_texts()]
        assert legend == [f"{name}: {values[-1]:.4g}" for name, values in lines.items()], legend
        stars = [line for line in ax.lines if line.get_marker() == "*"]
        numbers += NUMBER.findall(quantity)
        for name, values in lines.items():
            line = drawn_lines[f"{name}: {values[-1]:.4g}"]
            equal(line.get_xdata(), np.arange(1, len(values) + 1), f"epochs of {name}")
            equal(line.get_ydata(), values, f"{quantity} of {name}", 1e-9)
            numbers += [*NUMBER.findall(name), f"{values[0]:.4g}", f"{values[-1]:.4g}"]
            if name in lowest:
                best = int(np.argmin(values))
                star = stars.pop(0)
                equal([star.get_xdata()[0], star.get_ydata()[0]], [best + 1, values[best]], "star")
                assert star.get_color() == line.get_color(), "the star of another line"
                numbers.append(str(best + 1))
        assert not stars, "too many stars"
    return numbers


@figure_of(
    "1",
    "figure_0c_learning_rates",
    "Four learning rates",
    "epoch",
    "training loss (nats per image)",
    "validation accuracy (%)",
)
def _(run: Run, drawn: Drawn) -> Numbers:
    panels = {
        "training loss (nats per image)": {str(r): run.by_rate[r].loss for r in run.rates},
        "validation accuracy (%)": {str(r): run.by_rate[r].validation_accuracy for r in run.rates},
    }
    return lines_over_epochs(drawn, panels, set())


@figure_of("1", "figure_1_overfitting", "MLP: accuracy during training", *CURVES)
def _(run: Run, drawn: Drawn) -> Numbers:
    return curves(run, drawn, 100)


@figure_of(
    "1",
    "figure_1b_loss",
    "Over-fitting seen in the loss",
    "epoch",
    "loss (nats per image)",
    "validation accuracy (%)",
    "training: #",
    "validation: #",
    "training, weight decay: #",
    "validation, weight decay: #",
    "plain: #",
    "weight decay: #",
)
def _(run: Run, drawn: Drawn) -> Numbers:
    losses = {
        "training": run.losses.training,
        "validation": run.losses.validation,
        "training, weight decay": run.decayed.training,
        "validation, weight decay": run.decayed.validation,
    }
    right = {"plain": run.losses.accuracy, "weight decay": run.decayed.accuracy}
    panels = {"loss (nats per image)": losses, "validation accuracy (%)": right}
    return lines_over_epochs(drawn, panels, {"validation", "validation, weight decay"})


MATRIX = (
    ": mistakes on the test set\n# of # images wrong; most often # read as # (# images)",
    "predicted digit", "true digit", "images",
)  # fmt: skip


def matrix(drawn: Drawn, counts: Array, top: float | None = None) -> Numbers:
    """A confusion matrix, rows the true digit; return the numbers of the alt text."""
    ax = drawn.all(Axes)[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted digit", "true digit"), "axes' labels"
    written = {
        (round(text.get_position()[1] - 0.5), round(text.get_position()[0] - 0.5)): text.get_text()
        for text in ax.texts
    }
    equal([[int(written[i, j]) for j in range(10)] for i in range(10)], counts, "numbers written")
    assert ax.yaxis_inverted(), "the rows stand upside down"
    for axis in (ax.xaxis, ax.yaxis):
        names = [label.get_text() for label in axis.get_ticklabels()]
        assert names == [str(k) for k in range(10)], f"ticks are named {names}"
    n = counts.sum(axis=1)
    shares = [f"{100 * counts[k, k] / n[k]:.1f} % of {n[k]:,}" for k in range(10)]
    beside = {round(note.xy[1] - 0.5): note.get_text() for note in drawn.all(Annotation, ax)}
    assert [beside.get(k) for k in range(10)] == shares, f"beside the rows {beside}"
    mistakes = counts - np.diag(counts.diagonal())
    mesh = drawn.all(QuadMesh)[0]
    equal(np.ma.filled(mesh.get_array().reshape(10, 10), 0), mistakes, "colours")
    limits = [float(limit) for limit in mesh.get_clim()]
    drawn.known |= set(shares)
    equal(limits, [0.0, float(top or max(1, mistakes.max()))], "the colours' scale", 1e-9)
    i, j = np.unravel_index(mistakes.argmax(), mistakes.shape)
    return [f"{mistakes.sum():,}", f"{counts.sum():,}", str(i), str(j), str(mistakes.max())]


@figure_of("1", "figure_2_confusion", "MLP" + MATRIX[0], *MATRIX[1:])
def _(run: Run, drawn: Drawn) -> Numbers:
    return matrix(drawn, confusion(run.digits.test.labels, run.probabilities))


@figure_of(
    "1",
    "figure_2b_worst_mistakes",
    "What the network saw, and what it believed, most confident first",
    "digit (hatched bar: what the network says; triangle: the true digit)",
    "belief (%)",
    "true #: # %\nsays #: # %",
)
def _(run: Run, drawn: Drawn) -> Numbers:
    labels, beliefs = run.digits.test.labels, run.probabilities
    said = beliefs.argmax(axis=1)
    wrong = np.flatnonzero(said != labels)
    worst = wrong[np.argsort(-beliefs[wrong].max(axis=1), kind="stable")][:12]
    axes = [ax for ax in drawn.all(Axes) if ax.images]
    bars = [ax for ax in drawn.all(Axes) if ax.patches and not ax.images]
    n, columns = len(worst), min(6, len(worst))
    equal([ax.images[0].get_array() for ax in _by_place(axes)],
          run.digits.test.images[worst].reshape(-1, 28, 28), "pictures")  # fmt: skip
    numbers, captions = [str(n)], [ax.get_title() for ax in _by_place(axes)]
    for k, (ax, caption) in enumerate(zip(_by_place(bars), captions, strict=True)):
        image = worst[k]
        truth, guess = int(labels[image]), int(said[image])
        belief = [_percent(beliefs[image, digit]) for digit in (truth, guess)]
        wanted = f"true {truth}: {belief[0]} %\nsays {guess}: {belief[1]} %"
        assert caption == wanted, f"{caption!r}, wanted {wanted!r}"
        heights = [bar.get_height() for bar in ax.patches]
        equal(heights, 100 * beliefs[image], f"bars of picture {k}", 1e-3)
        (mark,) = ax.lines
        equal(mark.get_xdata(), [truth], f"the mark of picture {k}")
        assert ax.patches[guess].get_hatch(), f"bar {guess} of picture {k} is not hatched"
        numbers += [str(truth), belief[0], str(guess), belief[1]]
    assert columns, "no mistakes"
    return numbers


def _by_place(axes: list[Axes]) -> list[Axes]:
    """Sort from top left, row by row."""
    return sorted(axes, key=lambda ax: (-round(ax.get_position().y0, 2), ax.get_position().x0))


def _percent(belief: float) -> str:
    percent = 100 * belief
    return "<1" if percent < 1 else ">99" if percent > 99 else f"{percent:.0f}"


@figure_of(
    "1",
    "figure_3_templates",
    "What training has added to each hidden unit's weights",
    "change of the weight",
)
def _(run: Run, drawn: Drawn) -> Numbers:
    added, W2 = run.mlp_full.W1 - run.frames[0], run.mlp_full.W2
    digit = W2.argmax(axis=0)
    order = sorted(range(len(added)), key=lambda unit: (digit[unit], -W2[:, unit].max()))
    equal(drawn.tiles(), added[order].reshape(-1, 28, 28), "templates", 1e-7)
    captions = [f"{unit}: {digit[unit]}" for unit in order]
    assert _captions_of_tiles(drawn.all(Axes)[0]) == captions, "captions of the units"
    limit = _signed_scale(drawn, added)
    counts = [text for k in range(10) for text in (str(k), str((digit == k).sum()))]
    return [str(len(added)), "1", "28", "28", f"-{limit:.2f}", "0", f"{limit:.2f}", *counts]


def _signed_scale(drawn: Drawn, values: Array) -> float:
    limit = float(np.percentile(np.abs(values), 99.5))
    image = drawn.all(AxesImage)[0]
    equal(image.get_clim(), (-limit, limit), "scale", 1e-6)
    assert image.get_cmap().name == "signed", "not in signed colours"
    return limit


@figure_of(
    "1", "figure_3b_filmstrip", "Unit # learns its template", "epoch #", "change of the weight"
)
def _(run: Run, drawn: Drawn) -> Numbers:
    start, *later = run.frames.values()
    unit = int(np.abs(run.mlp_full.W1 - start).max(axis=1).argmax())
    pictures = np.stack([frame[unit] - start[unit] for frame in later])
    equal(drawn.tiles(), pictures.reshape(-1, 28, 28), "snapshots", 1e-7)
    epochs = list(run.frames)[1:]
    captions = [f"epoch {epoch}" for epoch in epochs]
    assert _captions_of_tiles(drawn.all(Axes)[0]) == captions, "captions of the snapshots"
    limit = f"{_signed_scale(drawn, pictures):.2f}"
    numbers = [str(unit), str(unit), *map(str, epochs)]
    return [*numbers, "0", "28", "28", f"-{limit}", "0", limit]


def _captions_of_tiles(ax: Axes) -> list[str]:
    """What is written in a mosaic, sorted by where it stands, row by row."""
    texts = [text for text in ax.texts if text.get_visible()]
    places = [getattr(text, "xy", text.get_position()) for text in texts]
    order = sorted(range(len(texts)), key=lambda k: (round(places[k][1], 2), places[k][0]))
    return [texts[k].get_text() for k in order]


def _labels_of_tiles(ax: Axes) -> list[int]:
    """The numbers written in a mosaic, in that order."""
    return [int(text) for text in _captions_of_tiles(ax)]


@figure_of(
    "2",
    "figure_4_convolution",
    "A convolution by hand",
    "picture: 5 × 5",
    "filter: 3 × 3",
    "feature map: 3 × 3",
)
def _(run: Run, drawn: Drawn) -> Numbers:
    picture = np.array([[0, 1, 1, 1, 0], [0, 0, 0, 1, 0], *3 * [[0, 0, 1, 0, 0]]])
    weights, wanted = np.array(3 * [[-1, 2, -1]]), [[0, 1, 2], [-2, 3, 0], [-3, 6, -3]]
    numbers: Numbers = []
    for ax, values in zip(drawn.all(Axes), (picture, weights, np.array(wanted)), strict=True):
        written = [text.get_text() for text in ax.texts[:-1]]
        assert written == [f"{v}".replace("-", "−") for v in values.flat], f"numbers {written}"
        numbers += written
    (total,) = (text for text in drawn.texts() if text.endswith("= 1"))
    return [*numbers, "0", "1", *re.findall(NUMBER, total)]


@figure_of("2", "figure_4a_network", "From picture to digit")
def _(run: Run, drawn: Drawn) -> Numbers:
    equal(drawn.images()[0], run.digits.validation.images[0].reshape(28, 28), "the input")
    shapes = [(1, 28, 28), (6, 24, 24), (6, 12, 12), (16, 8, 8), (16, 4, 4), (120,), (84,), (10,)]
    assert [shape for _, shape in run.shapes] == shapes, f"shapes {run.shapes}"
    titles = " ".join(drawn.texts())
    drawn.known |= {text for text in drawn.texts() if " ".join(text.split()) in drawn.alt}
    for name, shape in run.shapes:
        assert f"{name}\n{' × '.join(map(str, shape))}" in titles, f"{name} is not named"
    return re.findall(NUMBER, drawn.committed)  # the architecture, which no run changes


@figure_of("2", "figure_4b_overfitting", "CNN: accuracy during training", *CURVES)
def _(run: Run, drawn: Drawn) -> Numbers:
    return curves(run, drawn, 40)


@figure_of(
    "2",
    "figure_5_filters",
    "The six filters of the first layer",
    "weight: ink on white excites the map, ink on black inhibits it",
)
def _(run: Run, drawn: Drawn) -> Numbers:
    filters = parameters_of(run.myNet_full)["layers.conv1.weight"][:, 0]
    equal(drawn.tiles(), filters, "filters", 1e-7)
    _grey_from_black(drawn.all(AxesImage)[0])
    equal(_labels_of_tiles(drawn.all(Axes)[0]), np.arange(6), "numbers of the filters")
    limit = np.abs(filters).max()
    equal(drawn.all(AxesImage)[0].get_clim(), (-limit, limit), "scale", 1e-6)
    strongest = int(np.abs(filters).max(axis=(1, 2)).argmax())
    return ["6", "5", "5", f"-{limit:.2f}", f"{limit:.2f}", str(strongest)]


@figure_of(
    "2",
    "figure_6_feature_maps",
    "One digit, and what the convolutions make of it",
    "input: 28 × 28",
    "conv#: # maps, # × #",
    "activation after ReLU",
)
def _(run: Run, drawn: Drawn) -> Numbers:
    image = run.digits.test.images[:1]
    equal(drawn.images()[0], image.reshape(28, 28), "the input")
    numbers = ["0"]
    layers = zip((1, 2), cnn_maps(parameters_of(run.myNet_full), image), strict=True)
    for k, maps in layers:
        values = maps[0].numpy()
        equal(drawn.tiles(k), values, f"maps of conv{k}", 1e-4)
        image = drawn.all(AxesImage)[k]
        assert image.get_cmap().name == "magma", "not from black to bright"
        equal(image.get_clim(), (0, values.max()), "scale", 1e-4)
        ax = image.axes
        assert ax.get_title().startswith(f"conv{k}: {len(values)} maps"), ax.get_title()
        equal(_labels_of_tiles(ax), np.arange(len(values)), f"numbers of conv{k}'s maps")
        peaks, side = values.max(axis=(1, 2)), str(values.shape[1])
        black = str((peaks == 0).sum())
        peak = [str(peaks.argmax()), f"{peaks.max():.2f}"]
        numbers += [str(k), str(len(values)), side, side, *peak, black]
    return numbers


@figure_of("2", "figure_7_confusion", "CNN" + MATRIX[0], *MATRIX[1:])
def _(run: Run, drawn: Drawn) -> Numbers:
    labels = run.digits.test.labels
    mlp, cnn = (confusion(labels, np.eye(10)[says]) for says in (run.mlp_says, run.cnn_says))
    return matrix(drawn, cnn, top=(mlp - np.diag(mlp.diagonal())).max())


@figure_of(
    "2",
    "figure_8_duel",
    "# images, read by the MLP and by the CNN",
    "CNN right",
    "CNN wrong",
    "MLP right",
    "MLP wrong",
    "true #\nMLP #, CNN #",
)
def _(run: Run, drawn: Drawn) -> Numbers:
    labels, names = run.digits.test.labels, list(run.outcome)
    counts = [f"{len(run.outcome[name]):,}" for name in names]
    numbers, wanted, captions = [f"{len(labels):,}", *counts], [], []
    for name in names[1:]:
        for i in run.outcome[name][:8]:
            row = [str(values[i]) for values in (labels, run.mlp_says, run.cnn_says)]
            wanted.append(run.digits.test.images[i].reshape(28, 28))
            captions.append(f"true {row[0]}\nMLP {row[1]}, CNN {row[2]}")
            numbers += row
    axes = [ax for ax in drawn.all(Axes) if ax.images]
    equal([ax.images[0].get_array() for ax in axes], wanted, "examples")
    assert [ax.get_title() for ax in axes] == captions, "captions of the examples"
    texts = drawn.texts()
    for name, count in zip(names, counts, strict=True):
        share = f"{name}\n{100 * len(run.outcome[name]) / len(labels):.2f} %"
        drawn.known |= {share} | ({f"{name}: {count}"} if name != "both right" else set())
        assert {count, *drawn.known} <= {*texts}, f"{count} ({name}) is not told"
    table = drawn.all(Axes)[0]
    corner = {
        "both right": (0, 0),
        "only MLP wrong": (0, 1),
        "only CNN wrong": (1, 0),
        "both wrong": (1, 1),
    }
    for text in table.texts[::2]:
        name = next(n for n in names if _cell(text) == corner[n])
        assert text.get_text() == counts[names.index(name)], f"the table's {name}"
    ticks = [
        label.get_text() for axis in (table.xaxis, table.yaxis) for label in axis.get_ticklabels()
    ]
    assert ticks == ["CNN right", "CNN wrong", "MLP right", "MLP wrong"], (
        f"the table's sides {ticks}"
    )
    return numbers


def _cell(text: Text) -> tuple[int, int]:
    x, y = text.get_position()
    return int(x), int(y)


def _named_lines(drawn: Drawn) -> dict[str, Array]:
    """The y values of the lines that are called after a network, with their colours apart."""
    lines = [line for ax in drawn.all(Axes) for line in ax.lines]
    return {line.get_label(): np.asarray(line.get_ydata()) for line in lines}


@figure_of(
    "2",
    "figure_9_shift",
    "What a shift of the digits costs",
    "guessing: 10 %",
    "fully connected # %",
    "CNN # %",
    "shift of the digits (pixels)",
    "accuracy (%)",
)
def _(run: Run, drawn: Drawn) -> Numbers:
    told = {name: run.by_shift[name] for name in ("fully connected", "CNN")}
    numbers = [str(k) for k in range(7)]
    bands = load_bands()[run.digits.source]
    ax, spread = drawn.all(Axes)[0], []
    for name, values in told.items():
        (line,) = (line for line in ax.lines if line.get_label() == name)
        equal(line.get_xdata(), np.arange(7), "shifts")
        equal(line.get_ydata(), values, f"curve of the {name}", 1e-9)
        (note,) = (text for text in drawn.all(Annotation) if text.get_text().startswith(name))
        assert note.get_text() == f"{name} {values[-1]:.1f} %", note.get_text()
        assert note.xy == (6, values[-1]), f"{name} stands at another curve"
        assert note.get_color() == line.get_color(), f"{name} has another curve's colour"
        numbers += [f"{value:.1f}" for value in values]
        band = bands[f"{name}, shift of 3 pixels"]
        spread += ["3", f"{band.low:.1f}", f"{band.high:.1f}"]
    bars = [bar.get_segments()[0] for bar in ax.collections]
    wanted = [
        [[3, float(low)], [3, float(high)]]
        for low, high in zip(spread[1::3], spread[2::3], strict=True)
    ]
    equal(bars, wanted, "the bars for other seeds", 1e-6)
    return numbers + spread


@figure_of(
    "2",
    "figure_10_permuted",
    "What shuffling the pixels changes",
    "original # %",
    "permuted # %",
    "fully connected\n# points",
    "CNN\n# points",
    "validation accuracy (%)",
)
def _(run: Run, drawn: Drawn) -> Numbers:
    after = {"fully connected": run.rival_after, "CNN": run.cnn_after}
    before = {"fully connected": run.rival_before, "CNN": run.cnn_before}
    ax, numbers = drawn.all(Axes)[0], []
    for row, name in enumerate(before):
        pair = [before[name].validation_accuracy[-1], after[name].validation_accuracy[-1]]
        both, hollow = ax.lines[2 * row], ax.lines[2 * row + 1]
        equal(both.get_xdata(), pair, f"dots of the {name}", 1e-9)
        equal(both.get_ydata(), [row, row], f"row of the {name}")
        equal(hollow.get_xdata(), pair[1:], f"hollow dot of the {name}", 1e-9)
        assert hollow.get_markerfacecolor() == "white", "permuted is not hollow"
        for value, word in zip(pair, ("original", "permuted"), strict=True):
            notes = [note for note in ax.texts if note.xy == (value, row)]
            words = [note.get_text() for note in notes]
            assert f"{word} {value:.1f} %" in words, f"{word} of the {name}: {words}"
        change = round(pair[1], 1) - round(pair[0], 1)
        cost = f"{change:+.1f}".replace("-", "−")
        assert ax.get_yticklabels()[row].get_text() == f"{name}\n{cost} points", "the cost"
        numbers += [f"{pair[0]:.1f}", f"{pair[1]:.1f}", cost]
    return numbers


@figure_of("2", "figure_11_deformed", "One training digit, deformed in twenty ways")
def _(run: Run, drawn: Drawn) -> Numbers:
    deformed = run.deformed.cpu().numpy()[:, 0]
    original = run.digits.train.images[0].reshape(28, 28)
    labels = [run.digits.train.labels[0]] * 20
    numbers = pictures_with_labels(drawn, deformed, labels)
    assert len({picture.tobytes() for picture in deformed}) == len(deformed), "two copies are one"
    for k, picture in enumerate(deformed):
        change = np.abs(picture - original).mean()
        ink = picture.sum() / original.sum()
        assert 0 < change < 0.4, f"copy {k} differs by {change:.2f} on average"
        assert 0.5 < ink < 1.6, f"copy {k} has {ink:.2f} times the ink"
    return numbers


@figure_of(
    "2",
    "figure_12_record",
    "What the recipe gains, with the same networks",
    "plain # %",
    "record # %",
    "MLP",
    "CNN",
    "wrong test images (%)",
)
def _(run: Run, drawn: Drawn) -> Numbers:
    ax, numbers = drawn.all(Axes)[0], []
    bands = json.loads((ROOT / "helpers" / "bands.json").read_text(encoding="utf-8"))["MNIST"]
    for row, name in enumerate(("MLP", "CNN")):
        file = ROOT / "helpers" / f"record_{name.lower()}.json"
        runs = json.loads(file.read_text(encoding="utf-8")).values()
        errors = [100 - run_["test"] for run_ in runs]
        plain = 100 - bands[f"{name} full, test accuracy"]["mean"]
        hollow, filled = ax.lines[2 * row], ax.lines[2 * row + 1]
        equal(hollow.get_xdata(), [plain], f"plain {name}", 1e-9)
        equal(filled.get_xdata(), errors, f"records of the {name}", 1e-9)
        equal(filled.get_ydata(), [row] * len(errors), f"row of the {name}")
        assert ax.get_yticklabels()[row].get_text() == name, "names of the rows"
        means = [f"{plain:.2f}", f"{np.mean(errors):.2f}"]
        words = [note.get_text() for note in ax.texts[2 * row : 2 * row + 2]]
        assert words == [f"plain {means[0]} %", f"record {means[1]} %"], f"{words}"
        numbers += [*means, str(len(errors))]
    return numbers
