"""What happened in a training: spies that stand in for the network, and steps read from notes.

A spy learns nothing. Each image carries its number, so the notes tell which images went where and
in what order. Spies are plain objects that can be sent to another process and back; all that the
checks read of them is `notes`.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from checks.album import (
    DIGITS,
    FIRST_VALIDATION,
    HIDDEN,
    N_VALIDATION,
    PIXELS,
    Album,
    LabelledImages,
    change_words,
    changed_pixels,
    numbers_of,
)
from checks.comparison import Array
from checks.faults import Fault
from checks.verdicts import Exercise, Verdict


class Note(NamedTuple):
    """One call: what was called, with which images, labels or learning rate.

    `mix` tells how many times a step takes the gradient of each call that computed one.
    """

    call: str
    images: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()
    rate: float = 0.0
    state: str = ""  # what else is worth knowing, say the mode of the network
    mix: tuple[float, ...] | None = ()  # None if it is no sum of such gradients
    changed: Array | None = None  # the images' pixels, unless they are those passed in


class Spy:
    """What is handed to student code to be looked at afterwards.

    Where that code runs on a copy, the copy's `__dict__` must come back into the spy.
    """


BY_HAND = "by hand"  # the state of a step that was taken without update_params
OF_A_COPY = "of a copy"  # the state of a pass through one
MARK = 40.0  # a call's mark in the gradients, which is so large that a cut shows
NAMES = ("W1", "b1", "W2", "b2")
STEPPING = ("update_grad", "update_params")


class SpyNetwork(Spy):
    """Stands in for the MLP of the first notebook, and takes notes.

    Each update_grad leaves a mark in a place of its own in all four gradients: what a step took
    of them tells which calls count in it, and how much, however the step is written.
    """

    def __init__(self, album: Album) -> None:
        self._album = album
        self.notes: list[Note] = []
        self._also: list[list[Note]] = []  # the notes of those of which this is a copy
        self._n_steps = self._n_calls = 0
        rng = np.random.default_rng(0)
        self.W1, self.b1 = rng.normal(size=(HIDDEN, PIXELS)), rng.normal(size=HIDDEN)
        self.W2, self.b2 = rng.normal(size=(DIGITS, HIDDEN)), rng.normal(size=DIGITS)
        self._known = self._parameters()
        self.dtype = np.dtype(np.float32)
        self.reset_grad()
        self.notes.clear()

    def __deepcopy__(self, memo: Any) -> "SpyNetwork":
        """Return a copy that is noted here as well, where images go forward: it may be tested."""
        twin = object.__new__(type(self))
        twin.__dict__ = {name: deepcopy(value, memo) for name, value in vars(self).items()}
        twin._also = [*self._also, self.notes]
        return twin

    def _parameters(self) -> list[Array]:
        return [np.array(getattr(self, name)) for name in NAMES]

    def look(self) -> None:
        """Note a step that was taken by hand, without update_params, since the last call."""
        now = [getattr(self, name) for name in NAMES]
        if any((a != b).any() for a, b in zip(self._known, now, strict=True)):
            taken = [a - b for a, b in zip(self._known, now, strict=True)]
            own = taken[0].flat[max(self._n_calls - 1, 0)] / MARK
            rate = float(f"{own:.9g}")  # rounded off in the parameters
            mix = self._mix([difference / (rate or 1) for difference in taken])
            step = Note("update_params", rate=rate, state=BY_HAND, mix=mix)
            self._note(step)

    def _note(self, step: Note) -> None:
        """Note a step, unless it only spoils the one before: nothing was computed in between."""
        self._known = self._parameters()
        calls = [number for number, note in enumerate(self.notes) if note.call in STEPPING]
        if step.mix is None and calls and self.notes[calls[-1]].call == "update_params":
            self.notes[calls[-1]] = self.notes[calls[-1]]._replace(mix=None)
        else:
            self.notes.append(step)
            self._n_steps += 1

    def _mix(self, gradients: list[Array]) -> tuple[float, ...] | None:
        """Return how often the gradient of each call is in these, None if that isn't all."""
        mix = gradients[0].ravel()[: self._n_calls] / MARK
        for gradient in gradients:
            wanted = np.zeros(gradient.size)
            np.add.at(wanted, np.arange(len(mix)) % gradient.size, MARK * mix)
            if not np.allclose(gradient.ravel(), wanted, rtol=0, atol=1e-7):
                return None
        return tuple(np.round(mix, 9).tolist())

    def forward(self, x: ArrayLike) -> Array:
        """Return probabilities that depend on the images' numbers and on the steps so far.

        Raises ValueError if the rows of x have another length than W1's, as NumPy does.
        """
        self.look()
        if np.shape(x)[-1:] != (PIXELS,):
            raise ValueError(f"x has shape {np.shape(x)}; wanted (784,) or (B, 784).")
        numbers = numbers_of(x)
        note = Note("forward", tuple(numbers.tolist()), changed=changed_pixels(x))
        self.notes.append(note)
        for notes in self._also:
            notes.append(note._replace(state=OF_A_COPY))
        self.y_hat = self._album.probabilities(numbers, self._n_steps)
        if np.ndim(x) == 1:
            self.y_hat = self.y_hat[0]
        self.a2 = np.log(self.y_hat)
        return self.y_hat

    def loss(self, y: ArrayLike) -> float:
        """Return the cross-entropy of the last forward pass, or 0 where y does not fit it.

        Raises RuntimeError before the first one, as the network itself does.
        """
        if not hasattr(self, "a2"):
            raise RuntimeError("loss(y) came before forward(x); call forward(x) first.")
        targets = np.asarray(y)
        return -float((targets * self.a2).sum()) if targets.shape == self.a2.shape else 0.0

    def update_grad(self, y: ArrayLike) -> None:
        """Note the labels, or that `y` is not one-hot."""
        self.look()
        targets = np.asarray(y)
        one_hot = targets.shape[-1:] == (DIGITS,) and (targets.sum(axis=-1) == 1).all()
        labels = np.atleast_1d(targets.argmax(axis=-1)) if one_hot else np.atleast_1d(targets)
        state = "one-hot" if one_hot else "not one-hot"
        self.notes.append(Note("update_grad", (), tuple(labels.ravel().tolist()), 0, state))
        for name in NAMES:
            gradient = np.array(getattr(self, f"{name}_grad"), dtype=float)
            gradient.flat[self._n_calls % gradient.size] += MARK
            setattr(self, f"{name}_grad", gradient)
        self._n_calls += 1

    def reset_grad(self) -> None:
        """Note it."""
        self.look()
        self.notes.append(Note("reset_grad"))
        for name in NAMES:
            setattr(self, f"{name}_grad", np.zeros_like(getattr(self, name)))

    def update_params(self, lr: float) -> None:
        """Take a step, and note the learning rate."""
        before = self._n_steps
        self.look()
        spoiled = self._n_steps > before and self.notes[-1].mix is None
        if spoiled:  # what changed the parameters goes with this step
            self.notes.pop()
            self._n_steps -= 1
        gradients = [np.array(getattr(self, f"{name}_grad"), dtype=float) for name in NAMES]
        for name, gradient in zip(NAMES, gradients, strict=True):
            setattr(self, name, getattr(self, name) - lr * gradient)
        mix = None if spoiled else self._mix(gradients)
        self._known = self._parameters()
        self.notes.append(Note("update_params", rate=float(lr), mix=mix))
        self._n_steps += 1


class Plan(NamedTuple):
    """What the training was asked to do."""

    n_images: int
    batch_size: int
    n_epochs: int
    rate: float
    album: Album
    n_validation: int = N_VALIDATION

    def data(self) -> tuple[LabelledImages, LabelledImages]:
        """Return training and validation data, each made anew."""
        validation = self.album.images(FIRST_VALIDATION, self.n_validation)
        return self.album.images(0, self.n_images), validation


DATA_CHANGED = Fault(
    "input changed", "the arrays that were passed in were changed in place, as by shuffle.",
    "Shuffle numbers, and index with them: the caller's images stay in their order.",
)  # fmt: skip


def untouched(
    exercise: Exercise, given: Sequence[LabelledImages], as_made: Sequence[LabelledImages]
) -> Iterator[Verdict]:
    """See that images and labels are left as they were."""
    pairs = zip(itertools.chain(*given), itertools.chain(*as_made), strict=True)
    if not all(np.array_equal(now, before) for now, before in pairs):
        found = "images or labels in another order, or with other values."
        yield exercise.wrong("data, afterwards", found, "as they were.", DATA_CHANGED)


IMAGES_LEFT_OUT = Fault(
    "images left out", "some images are not looked at.",
    "See that the loop goes over all batches, the last and smaller one too.",
)  # fmt: skip


NOT_ASKED = Fault(
    "not asked", "the network is not asked about these images.",
    "Let them go forward through the network that was passed in, and use what comes out.",
)  # fmt: skip


def require_all_seen(
    exercise: Exercise, notes: Iterable[Note], n: int, part: str = "images"
) -> None:
    """End the check unless `n` images went forward, as they were passed in."""
    notes = list(notes)
    if finding := other_pixels(notes):
        exercise.halt(part, *finding)
    seen = sum(len(note.images) for note in notes)
    if seen < n:
        found = f"{seen} of {n} images were looked at."
        exercise.halt(part, found, "all of them.", IMAGES_LEFT_OUT if seen else NOT_ASKED)


@dataclass(frozen=True)
class Step:
    """One change of the parameters, and the images and labels that went into its gradient."""

    images: tuple[int, ...]
    labels: tuple[int, ...]
    rate: float
    gradient: str  # a word of `story_of`
    state: str = ""
    factors: tuple[float, ...] | None = ()  # of the gradients in it, the latest first


class Finding(NamedTuple):
    """Something wrong in a training: what was found and wanted, and the fault."""

    found: str
    wanted: str
    fault: Fault


def steps_of(notes: Iterable[Note]) -> list[Step]:
    """Read the steps of a training from the notes of a SpyNetwork."""
    steps: list[Step] = []
    calls: list[Call] = []
    last: tuple[int, ...] = ()
    n_before, state = 0, ""
    for note in notes:
        if note.call == "forward" and note.state != OF_A_COPY:
            last = note.images
        elif note.call == "update_grad":
            calls.append((last, note.labels))
            state = note.state if state != "not one-hot" else state
        elif note.call == "update_params":
            steps.append(step_of(calls, n_before, note.mix, note.rate, state))
            n_before, state = len(calls), ""
    return steps


Call = tuple[tuple[int, ...], tuple[int, ...]]  # the images and labels of a gradient


def step_of(
    calls: Sequence[Call], n_before: int, mix: tuple[float, ...] | None, rate: float, state: str
) -> Step:  # fmt: skip
    """Return a step that takes so many times the gradient of each call.

    The first `n_before` calls came before the step before.
    """
    own = range(n_before, len(calls))
    counted = [n for n in own if mix is None or mix[n]] or own
    images, labels = (tuple(n for c in counted for n in calls[c][part]) for part in (0, 1))
    factors = None if mix is None else tuple(reversed(mix))
    return Step(images, labels, rate, story_of(mix, n_before), state, factors)


def story_of(mix: tuple[float, ...] | None, n_before: int) -> str:
    """Put into a word how a step uses the gradients so far."""
    if mix is None:
        return "changed"
    own, earlier = {*mix[n_before:]}, {*mix[:n_before]} - {0}
    stories = {
        "none": not own, "reset": own == {0} and not earlier, "late": own == {0},
        "clean": own - {0} == {1} and not earlier, "added to": own == {1} == earlier,
        "scaled": len(own) == 1 and not earlier,
    }  # fmt: skip
    return next((story for story, holds in stories.items() if holds), "mixed")


def other_pixels(notes: Iterable[Note]) -> Finding | None:
    """See that images go forward as they were passed in."""
    pixels = next((note.changed for note in notes if note.changed is not None), None)
    if pixels is None:
        return None
    told = f"images {change_words(pixels)}."
    return Finding(told, "the images as they are.", PIXELS_CHANGED)


PIXELS_CHANGED = Fault(
    "property",
    "the images are changed before they go forward: their pixels are not those passed in.",
    "Pass rows of images on as they are: no scaling, centring, turning or noise.",
)
OWN_GRADIENT = "the gradient of the step's own batch."
