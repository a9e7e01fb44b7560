"""What happened in a training: spies that stand in for the network, and rules over their notes.

A spy learns nothing. Each image carries its number, so the notes tell which images went where and
in what order. Spies are plain objects that can be sent to another process and back; all that the
checks read of them is `notes`.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from checks.asking import StudentError
from checks.comparison import Array
from checks.faults import UNKNOWN, Fault
from checks.verdicts import Exercise, Verdict

PIXELS, DIGITS, HIDDEN = 784, 10, 4
FIRST_VALIDATION = 3000  # the number of the first validation image
N_VALIDATION = 31
SCALE = 4096  # an image's number, divided by this, is its first pixel
SHARE_RIGHT = 0.6  # of the images are surely recognized, and some of the others by chance


LabelledImages = tuple[Array, Array]


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


class Album:
    """Numbered images, their labels, and what every spy takes them for: all drawn from a seed.

    With each step of a training, the spies' opinion of an image changes, and with it accuracy and
    loss; so a number tells when it was taken.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(DIGITS, size=SCALE)
        # Row n holds the probabilities of the label, of the digit after it, and so on.
        self._table = 0.9 * rng.dirichlet(np.full(DIGITS, 0.5), SCALE) + 0.01
        right = rng.random(SCALE) < SHARE_RIGHT
        self._table[right] = -np.sort(-self._table[right])

    def images(self, first: int, n: int) -> tuple[Array, Array]:
        """Return images (n, 784) numbered from `first`, and their labels (n,)."""
        numbers = numbers_from(first, n)
        return pixels_of(numbers), self.labels[numbers]

    def probabilities(self, numbers: ArrayLike, n_steps: int = 0) -> Array:
        """Return what a spy says (B, 10) of images after so many steps of training."""
        numbers = np.asarray(numbers) % SCALE
        rows = (numbers + 131 * n_steps) % SCALE
        columns = (np.arange(DIGITS) - self.labels[numbers][:, None]) % DIGITS
        return self._table[rows[:, None], columns]

    def loss(self, numbers: ArrayLike, n_steps: int = 0) -> float:
        """Return the cross-entropy, in nats, summed over images."""
        return -float(np.log(self._table[(np.asarray(numbers) + 131 * n_steps) % SCALE, 0]).sum())


class Easy(Album):
    """An album of which nearly all is known, and some images surely, so that losses are small."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        rows = np.random.default_rng(seed).random(SCALE) < 0.95
        self._table[rows] = np.append(0.9991, np.full(DIGITS - 1, 1e-4))


class Undecided(Album):
    """An album of which nothing is known: all digits are as probable, and as frequent."""

    def __init__(self) -> None:
        super().__init__(0)
        self.labels = np.arange(SCALE) % DIGITS
        self._table[:] = 1 / DIGITS


class Diverging(Album):
    """An album whose losses are NaN, or infinite, after so many steps: the last was too long."""

    def __init__(self, seed: int, loss: float, n_steps: int) -> None:
        super().__init__(seed)
        self._loss, self._n_steps = loss, n_steps

    def probabilities(self, numbers: ArrayLike, n_steps: int = 0) -> Array:
        """Return what a spy says (B, 10) of images after so many steps of training."""
        rows = super().probabilities(numbers, n_steps)
        if n_steps >= self._n_steps and np.isnan(self._loss):
            rows[:] = np.nan
        elif n_steps >= self._n_steps:
            rows[np.arange(len(rows)), self.labels[np.asarray(numbers) % SCALE]] = 0
        return rows


class Interrupting(Album):
    """An album with which Ctrl-C comes once: in a forward pass after so many steps."""

    def __init__(self, seed: int, n_steps: int) -> None:
        super().__init__(seed)
        self._n_steps = n_steps

    def probabilities(self, numbers: ArrayLike, n_steps: int = 0) -> Array:
        """Return what a spy says (B, 10) of images after so many steps of training."""
        if n_steps == self._n_steps:
            self._n_steps = -1
            raise KeyboardInterrupt
        return super().probabilities(numbers, n_steps)


# What stands between the first pixel and the last: no two rows or columns are alike, so that
# whatever is turned or shifted shows; in 256 shades, as numbers of 16 bits hold them too.
PATTERN = (np.random.default_rng(0).integers(256, size=PIXELS) / 256).astype(np.float32)


def numbers_from(first: int, n: int) -> Array:
    """Return the numbers (n,) of images from `first` on; after an album's last, its first comes."""
    return np.arange(first, first + n) % SCALE


def pixels_of(numbers: Array) -> Array:
    """Return the images (n, 784) of these numbers: the first pixel and the last tell it."""
    images = np.tile(PATTERN, (len(numbers), 1))
    images[:, 0] = numbers / SCALE
    images[:, -1] = 1 - numbers / SCALE
    return images


TURNS: dict[str, Callable[[Array], Array]] = {
    "whose rows and columns are exchanged": np.transpose,
    "turned to the left": np.rot90,
    "turned to the right": lambda picture: np.rot90(picture, -1),
    "turned upside down": lambda picture: np.rot90(picture, 2),
    "whose left and right sides are exchanged": np.fliplr,
    "whose upper and lower sides are exchanged": np.flipud,
}


def changed_pixels(images: ArrayLike) -> Array | None:
    """Return the pixels of images, or None if they are those that were passed in."""
    pixels = np.asarray(images)
    if pixels.size % PIXELS:
        return pixels
    rows = pixels.reshape(-1, PIXELS)
    inner = np.abs(rows[:, 1:-1] - PATTERN[1:-1]).max(initial=0)
    same = inner < 1e-5 and np.abs(rows[:, 0] + rows[:, -1] - 1).max(initial=0) < 1e-5
    return None if same else pixels


def _change_words(pixels: Array) -> str:
    """Say what is done to the pixels of images since they were passed in."""
    if pixels.size % PIXELS:
        return "with another number of pixels than those passed in"
    rows = pixels.reshape(-1, PIXELS)
    known = np.ones((28, 28), dtype=bool)
    known[0, 0] = known[-1, -1] = False
    for words, turn in TURNS.items():
        turned, place = turn(PATTERN.reshape(28, 28)).ravel(), turn(known).ravel()
        if np.abs(rows[:, place] - turned[place]).max() < 1e-5:
            return words
    x, y = PATTERN[1:-1], rows[0, 1:-1]
    slope = (x - x.mean()) @ y / ((x - x.mean()) @ x)
    shift = (y - slope * x).mean()
    if np.abs(slope * x + shift - y).max() < 1e-4 * abs(slope) and np.abs(x - y).max() > 0.01:
        return f"of which the first one has {slope:.4g} x {shift:+.4g} in place of each pixel x"
    return "with other pixels than those passed in"


def numbers_of(images: ArrayLike, scale: int = SCALE) -> Array:
    """Return the numbers (B,) of images (784,), (B, 784) or (B, 1, 28, 28)."""
    pixels = np.asarray(images)
    first = pixels.reshape(-1, PIXELS)[:, 0] if pixels.size % PIXELS == 0 else pixels.ravel()[:1]
    return np.rint(first * scale).astype(int)


@cache
def album_of(seed: int) -> Album:
    """Return the album of a seed; nobody changes it."""
    return Album(seed)


class Spy:
    """What is handed to student code to be looked at afterwards.

    Where that code runs on a copy, the copy's `__dict__` must come back into the spy.
    """


BY_HAND = "by hand"  # the state of a step that was taken without update_params
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
        self._n_steps = self._n_calls = 0
        rng = np.random.default_rng(0)
        self.W1, self.b1 = rng.normal(size=(HIDDEN, PIXELS)), rng.normal(size=HIDDEN)
        self.W2, self.b2 = rng.normal(size=(DIGITS, HIDDEN)), rng.normal(size=DIGITS)
        self._known = self._parameters()
        self.dtype = np.dtype(np.float32)
        self.reset_grad()
        self.notes.clear()

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
        self.notes.append(Note("forward", tuple(numbers.tolist()), changed=changed_pixels(x)))
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
        if note.call == "forward":
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
    told = f"images {_change_words(pixels)}."
    return Finding(told, "the images as they are.", PIXELS_CHANGED)


PIXELS_CHANGED = Fault(
    "property",
    "the images are changed before they go forward: their pixels are not those passed in.",
    "Pass rows of images on as they are: no scaling, centring, turning or noise.",
)
OWN_GRADIENT = "the gradient of the step's own batch."

# Rules: each looks at the steps and the plan, and returns a Finding or None.

Rule = Callable[[Sequence[Step], Plan], Finding | None]


def not_one_hot(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """update_grad was given labels."""
    if all(step.state != "not one-hot" for step in steps):
        return None
    cause = Fault(
        "labels not one-hot",
        "update_grad wants a row with a single 1 for each image, and something else is passed.",
        "Turn the labels into targets with one_hot_encode, and pass the rows of the batch.",
    )
    return Finding("update_grad got y that is not one-hot.", "rows (B, 10).", cause)


def validation_used(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Validation images went into a gradient."""
    used = {number for step in steps for number in step.images if number >= FIRST_VALIDATION}
    if not used:
        return None
    cause = Fault(
        "trained on validation",
        "the validation data are trained on too.",
        "Train on `train` alone; only accuracies are taken of `validation`.",
    )
    return Finding(f"{len(used)} validation images were trained on.", "none.", cause)


def forward_fits(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """The targets must be those of the last forward pass, at least in number."""
    for step in steps:
        if len(step.images) != len(step.labels):
            cause = Fault(
                "another forward",
                "the labels are not those of the images that went forward last.",
                "Forward a batch's images, and use their labels before any others go forward.",
            )
            found = f"{len(step.labels)} labels after a forward pass of {len(step.images)} images."
            return Finding(found, "as many labels as images.", cause)
    return None


def labels_fit(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each image must come with its own label."""
    pairs = {pair for step in steps for pair in zip(step.images, step.labels, strict=True)}
    due = {number: int(plan.album.labels[number]) for number, _ in pairs}
    wrong = [(number, label) for number, label in sorted(pairs) if due[number] != label]
    if not wrong:
        return None
    number, label = wrong[0]
    found = f"{len({n for n, _ in wrong})} images with another label; number {number} with {label}."
    wanted = f"each image with its own label; {due[number]} in this case."
    as_digits = {(due[number], label) for number, label in pairs}
    one_for_each = len(as_digits) == len({digit for digit, _ in as_digits})
    return Finding(found, wanted, OTHER_DIGITS if one_for_each else OTHER_ORDER)


OTHER_ORDER = Fault(
    "labels don't follow", "the labels are not those of the images: the two are not in the same "
    "order.", "Index both with the same numbers: images[batch] and labels[batch].",
)  # fmt: skip
OTHER_DIGITS = Fault(
    "property", "each digit has got one and the same other label: the labels themselves are "
    "changed.", "Use the labels as they come; one_hot_encode takes them so.",
)  # fmt: skip


STORIES = {
    "none": Finding("a step without a new gradient.", OWN_GRADIENT, Fault(
        "updated twice",
        "the parameters change though no gradient was computed since the step before: by another "
        "step, or because they are set by hand.",
        "Take one step for each batch, after its gradient was computed, and change no parameters.",
    )),
    "reset": Finding("a gradient that was reset before its step.", OWN_GRADIENT, Fault(
        "reset too late",
        "the gradient is set to zero between its computation and the step.",
        "Reset before the forward pass of each batch.",
    )),
    "added to": Finding("gradients that hold those of the batches before.", OWN_GRADIENT, Fault(
        "not reset",
        "the gradients of earlier batches are still there when the next one is added.",
        "Reset the gradients at the start of each batch, inside the inner loop.",
    )),
}  # fmt: skip


def gradients_reset(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each step must use the gradient of its own batch."""
    stories = {step.gradient for step in steps}
    return next((finding for story, finding in STORIES.items() if story in stories), None)


def gradients_kept(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each step must take its gradient once, and nothing else."""
    wrong = [step for step in steps if step.gradient != "clean"]
    if not wrong:
        return None
    first, kind = wrong[0], {step.gradient for step in wrong}
    if first.factors is None:
        found, likely = "something else in gradients or parameters.", CHANGED
    elif kind == {"scaled"} and len(wrong) == len(steps):
        found, likely = f"{first.factors[0]:.6g} times the gradient.", _scaled_words(steps)
    else:
        found, likely = f"a step with {_mixed_words(first.factors)}.", MIXED
    step = "See what is done between the computation of the gradient and the step."
    return Finding(found, OWN_GRADIENT, Fault("property", likely, step))


CHANGED = (
    "what a step takes is no sum of gradients of batches: gradients or parameters are changed by "
    "something else, as by noise or a penalty."
)
MIXED = "a step takes more, or less, than the gradient of its own batch, as with momentum."


def _scaled_words(steps: Sequence[Step]) -> str:
    """Say which number all gradients are multiplied by."""
    factors = np.array([(step.factors or [0])[0] for step in steps])
    sizes = np.array([len(step.images) for step in steps])
    for words, wanted in {
        "divided by the number of images": 1 / sizes, "multiplied by the number of images": sizes,
        "reversed in its sign": -1, f"multiplied by {factors[0]:.6g}": factors[0],
    }.items():  # fmt: skip
        if np.allclose(factors, wanted, rtol=1e-3):
            return f"the gradient of each batch is {words}."
    often = "as when it is cut short, or when the means over pieces of a batch are added up"
    return f"the gradient of each batch is multiplied by another number, {often}."


def _mixed_words(factors: Sequence[float]) -> str:
    """Say how often each gradient is taken, the latest first."""
    told = [
        f"{factor:.4g} times {'the latest gradient' if not n else f'that of {n} before'}"
        for n, factor in enumerate(factors)
        if factor
    ]
    return f"{', '.join(told[:3])}{', …' if told[3:] else ''}"


def rate_obeyed(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each step must have the learning rate that was asked for."""
    rates = {step.rate for step in steps}
    if all(np.isclose(rate, plan.rate, rtol=1e-6) for rate in rates):
        return None
    found = ", ".join(f"{rate:g}" for rate in sorted(rates)[:3])
    cause = Fault(
        "lr ignored",
        "steps are taken with another learning rate than was asked for.",
        "Leave the learning rate as it was passed in, for every step.",
    )
    return Finding(f"steps with the learning rate {found}.", f"{plan.rate:g}.", cause)


def batch_size_obeyed(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """All batches must be full, but for the last of an epoch."""
    allowed = {plan.batch_size, plan.n_images % plan.batch_size or plan.batch_size}
    sizes = {len(step.images) for step in steps}
    if sizes <= allowed and plan.batch_size in sizes:
        return None
    found = f"steps with the gradient of {', '.join(map(str, sorted(sizes)[:4]))} images."
    rest_only = sizes == {plan.n_images % plan.batch_size} and len(steps) == plan.n_epochs
    fault = ONCE_AN_EPOCH if rest_only else ALL_AT_ONCE if sizes == {plan.n_images} else OTHER_SIZES
    fault = EACH_IMAGE if sizes == {1} and len(steps) >= plan.n_images * plan.n_epochs else fault
    return Finding(found, f"{plan.batch_size}, and the rest at the end.", fault)


ONCE_AN_EPOCH = Fault(
    "one step an epoch", "only one step is taken in each epoch, with its last batch.",
    "See that each batch has its step, inside the loop over the batches.",
)  # fmt: skip


ALL_AT_ONCE = Fault(
    "property", "one step is taken in each epoch, with the gradient of all its images.",
    "See that each batch of batch_size images has its own gradient and its own step.",
)  # fmt: skip
EACH_IMAGE = Fault(
    "property", "a step is taken for each image.",
    "Take one step for each batch, with the gradient of all its images.",
)  # fmt: skip
OTHER_SIZES = Fault(
    "property", "not every step but the last of an epoch has the gradient of batch_size images.",
    "Follow the first batch: which images go forward in it, and when is its step taken?",
)  # fmt: skip
LAST_DROPPED = Fault(
    "last batch dropped", "the last, smaller batch of each epoch is left out.",
    "Let the loop start batches up to len(images); a slice over the end is just shorter.",
)  # fmt: skip
FIRST_BATCH = Fault(
    "first batch only", "each epoch ends after one batch.",
    "See that no `break` or `return` stands inside the inner loop.",
)  # fmt: skip
REPLACEMENT = Fault(
    "drawn with replacement", "within an epoch some images come twice and others never.",
    "Shuffle with a permutation, in which each number comes once.",
)  # fmt: skip


def epochs_fault(times: int, plan: Plan) -> Fault:
    """Return the fault of going through all images `times` times."""
    likely = f"the number of epochs is {times}, and {plan.n_epochs} were asked for."
    return Fault("epochs ignored", likely, "See how often the loop over the batches is run.")


def every_image_once(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each image must come once in every epoch."""
    times = Counter(number for step in steps for number in step.images)
    if len(times) == plan.n_images and set(times.values()) == {plan.n_epochs}:
        return None
    wanted = f"{plan.n_images} images in {plan.n_epochs} epochs: {plan.n_images * plan.n_epochs}."
    found = f"{sum(times.values())} images in all, {len(times)} different ones."
    return Finding(found, wanted, _epochs_cause(steps, times, plan))


TOO_OFTEN = Fault(
    "property", "some images take part more often than there are epochs.",
    "See that the batches of an epoch have no image in common, the last one too.",
)  # fmt: skip
LEFT_OUT = Fault(
    "property", "no image comes too often, and some are left out: an epoch ends early, or passes "
    "over them.", "Count the batches of an epoch, and see which images come in none.",
)  # fmt: skip


def _epochs_cause(steps: Sequence[Step], times: Counter[int], plan: Plan) -> Fault:
    """Return what the numbers of images and steps leave no doubt of."""
    sizes, all_full = [len(step.images) for step in steps], plan.n_images // plan.batch_size
    if len(times) == plan.n_images and len(set(times.values())) == 1:
        return epochs_fault(times[steps[0].images[0]], plan)
    if set(sizes) == {plan.batch_size} and len(steps) == plan.n_epochs * all_full:
        return LAST_DROPPED
    if set(sizes) == {plan.batch_size} and len(steps) == plan.n_epochs:
        return FIRST_BATCH
    if sum(sizes) == plan.n_epochs * plan.n_images and max(times.values()) > plan.n_epochs:
        return REPLACEMENT
    if max(times.values()) > plan.n_epochs:
        return TOO_OFTEN
    if len(times) < plan.n_images or sum(sizes) < plan.n_epochs * plan.n_images:
        return LEFT_OUT
    return UNKNOWN


def shuffled(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Every epoch must have an order of its own."""
    numbers = [number for step in steps for number in step.images]
    n_images = plan.n_images
    epochs = [numbers[start : start + n_images] for start in range(0, len(numbers), n_images)]
    if epochs[0] in (sorted(epochs[0]), sorted(epochs[0], reverse=True)):
        cause = Fault(
            "not shuffled",
            "the images are not shuffled.",
            "Draw a new permutation at the start of each epoch.",
        )
        return Finding("the images in the order of the data set.", "a random order.", cause)
    if kept := max(_kept_in_order(epoch, range(n_images)) for epoch in epochs):
        cause = Fault(
            "hardly shuffled",
            "the images are hardly shuffled: long pieces keep their order.",
            "Draw a permutation of all images, and cut the batches from that.",
        )
        found = f"{kept} of {n_images - 1} images followed by the next one of the data set."
        return Finding(found, "a random order.", cause)
    if any(epoch == epochs[0] for epoch in epochs[1:]):
        return Finding("the same order in every epoch.", "a new order each time.", SHUFFLED_ONCE)
    if any(_kept_in_order(epoch, earlier) for epoch, earlier in combinations(epochs, 2)):
        found = "pieces of an epoch's order in that of another."
        return Finding(found, "a new order each time.", SHUFFLED_ONCE._replace(likely=MOVED))
    return None


SHUFFLED_ONCE = Fault(
    "shuffled once", "the order is the same in each epoch.",
    "Draw a new permutation from one generator at the start of each epoch.",
)  # fmt: skip
MOVED = "the order of one epoch is made of that of another, turned round or in pieces."


def _kept_in_order(epoch: Sequence[int], other: Sequence[int]) -> int:
    """Return how many images are followed by the next one of another order, 0 if by chance.

    In a random order that happens once on average, and over ten times in one of 10 million.
    """
    place = {number: n for n, number in enumerate(other)}
    places = np.array([place.get(number, -1) for number in epoch])
    steps = np.diff(places)
    n_kept = max(np.count_nonzero(steps == 1), np.count_nonzero(steps == -1))
    at_home = np.count_nonzero(places == np.arange(len(epoch)))
    return int(n_kept if n_kept > 10 else at_home if at_home > 10 else 0)


RULES: tuple[tuple[str, Rule], ...] = (
    ("targets", not_one_hot),
    ("forward", forward_fits),
    ("training data", validation_used),
    ("labels", labels_fit),
    ("gradients", gradients_reset),
    ("learning rate", rate_obeyed),
    ("batches", lambda *seen: batch_size_obeyed(*seen) or gradients_kept(*seen)),
    ("epochs", every_image_once),
    ("order", shuffled),
)


WRITTEN_OUT = Fault(
    "step written out",
    "the parameters take their steps here, so a network with steps of its own, as WeightDecay, is "
    "trained as if it had none.",
    "Let the network take its own step: call update_params with the learning rate.",
)
NOT_REACHED = Fault(
    "network not used", "no turn of the loop over the batches is run, or the loop trains another "
    "network than the one that was passed in.", "See first that there are batches left to go "
    "through, as a generator gives them only once; then, that the loop uses the arguments of the "
    "function.",
)  # fmt: skip
NEVER_UPDATED = Fault(
    "never updated", "gradients are computed, and no step is taken with them.",
    "Change the parameters after each batch: update_params here, step in PyTorch.",
)  # fmt: skip
NO_GRADIENT = Fault(
    "no gradient", "steps are taken, and no gradient is computed for them.",
    "Compute the gradient of each batch before its step: update_grad here, backward in PyTorch.",
)  # fmt: skip


CRITERION_UNUSED = Fault(
    "criterion not used", "the criterion that was passed in is not called, so its loss is not what "
    "is made smaller.", "Compute each batch's loss by the argument: criterion(logits, labels).",
)  # fmt: skip


def no_training(notes: Sequence[Note], steps: Sequence[Step]) -> Finding | None:
    """The network was never changed, or not by a gradient."""
    if finding := other_pixels(notes):
        return finding
    if any(step.images for step in steps):
        return None
    calls = {note.call for note in notes}
    if {"forward", "step"} <= calls and "criterion" not in calls:
        return Finding("steps without the criterion.", "its loss for each.", CRITERION_UNUSED)
    if steps:
        return Finding("steps without a gradient.", "a gradient before each step.", NO_GRADIENT)
    if calls & {"update_grad", "criterion"}:
        return Finding("no step at all.", "a step for each batch.", NEVER_UPDATED)
    return Finding("no gradient and no step.", "both for each batch.", NOT_REACHED)


GOES_ON = Fault(
    "divergence unnoticed", "the training goes on though its loss is NaN or infinite.",
    "Call `stop_if_diverged` with the loss and the learning rate.",
)  # fmt: skip
OTHER_ERROR = Fault(
    "another error",
    "when the loss is NaN or infinite, another error comes before the DivergenceError.",
    "Call `stop_if_diverged` with the loss as soon as it is known, and raise no error of your own.",
)


SEED_IGNORED = Fault(
    "unseeded", "other seeds lead to the same order: the argument seed plays no part in it.",
    "Draw the order from the generator that was made with seed, and seed none anew.",
)  # fmt: skip


def judge_seed(
    exercise: Exercise, train: Callable[[int], Sequence[Step]], seed: int, unseeded: Fault
) -> Iterator[Verdict]:
    """See that the same seed gives the same order, and another one another order."""
    first, again, other = ([step.images for step in train(s)] for s in (seed, seed, seed + 1))
    if again != first:
        yield exercise.wrong("seed", "another order with the same seed.", "the same.", unseeded)
    elif other == first:
        yield exercise.wrong("seed", "the same order with another seed.", "another.", SEED_IGNORED)


def judge_stopping(
    exercise: Exercise, train: Callable[[Plan], object], plan: Plan, seed: int
) -> Verdict:  # fmt: skip
    """Judge whether a training ends with a DivergenceError when its loss is NaN, or infinite."""
    last = plan.n_epochs * -(-plan.n_images // plan.batch_size) - 1
    for loss, n_steps in ((np.nan, 1), (np.inf, last)):
        found, fault = f"no error when the loss is {loss} after {n_steps} steps.", GOES_ON
        try:
            train(plan._replace(album=Diverging(seed, loss, n_steps)))
        except StudentError as error:
            if type(error.error).__name__ == "DivergenceError":
                continue
            found, fault = f"{error}.", OTHER_ERROR
        wanted = "a DivergenceError, as `stop_if_diverged` raises it."
        return exercise.wrong("divergence", found, wanted, fault)
    return exercise.right("divergence")


def other_batches(
    steps: Sequence[Step], batches: Sequence[Iterable[int]], fault: Fault
) -> Finding | None:
    """Say which step is the first that has not the images of its batch."""
    pairs = itertools.zip_longest((step.images for step in steps), batches, fillvalue=())
    for n, (found, wanted) in enumerate((map(sorted, pair) for pair in pairs), 1):
        if found != wanted:
            return Finding(_batch_words(n, found), _batch_words(n, wanted), fault)
    return None


def _batch_words(n: int, images: Sequence[int]) -> str:
    told = ", ".join(map(str, images))
    return f"the images {told} in step {n}." if images else f"no step {n}."


def judge_steps(
    exercise: Exercise, notes: Sequence[Note], steps: Sequence[Step], plan: Plan
) -> Iterator[Verdict]:
    """Yield a verdict for each rule up to a broken one; those after it mean little."""
    if finding := no_training(notes, steps):
        yield exercise.wrong("steps", *finding)
        return
    for part, rule in RULES:
        if finding := rule(steps, plan):
            yield exercise.wrong(part, *finding)
            return
        yield exercise.right(part)
    if any(note.state == BY_HAND for note in notes):
        told = "steps that are written out.", "calls of update_params."
        yield exercise.wrong("steps", *told, WRITTEN_OUT)
