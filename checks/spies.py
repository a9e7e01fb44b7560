"""What happened in a training: spies that stand in for the network, and rules over their notes.

A spy learns nothing. Each image carries its number, so the notes tell which images went where and
in what order. Spies are plain objects that can be sent to another process and back; all that the
checks read of them is `notes`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from checks.asking import StudentError
from checks.verdicts import UNKNOWN, Array, Exercise, Fault, Verdict

PIXELS, DIGITS = 784, 10
FIRST_VALIDATION = 3000  # the number of the first validation image
N_VALIDATION = 31
SCALE = 4096  # an image's number, divided by this, is its first pixel
SHARE_RIGHT = 0.6  # of the images are surely recognized, and some of the others by chance


LabelledImages = tuple[Array, Array]


class Note(NamedTuple):
    """One call: what was called, with which images, labels or learning rate."""

    call: str
    images: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()
    rate: float = 0.0
    state: str = ""  # what else is worth knowing: the mode of the network, the gradient's story


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
        numbers = np.arange(first, first + n)
        images = np.full((n, PIXELS), 0.5, dtype=np.float32)
        images[:, 0] = numbers / SCALE
        return images, self.labels[numbers]

    def probabilities(self, numbers: ArrayLike, n_steps: int = 0) -> Array:
        """Return what a spy says (B, 10) of images after so many steps of training."""
        numbers = np.asarray(numbers) % SCALE
        rows = (numbers + 131 * n_steps) % SCALE
        columns = (np.arange(DIGITS) - self.labels[numbers][:, None]) % DIGITS
        return self._table[rows[:, None], columns]

    def loss(self, numbers: ArrayLike, n_steps: int = 0) -> float:
        """Return the cross-entropy, in nats, summed over images."""
        return -float(np.log(self._table[(np.asarray(numbers) + 131 * n_steps) % SCALE, 0]).sum())


class Diverging(Album):
    """An album of which every spy says NaN from the first step on, as after far too long a step."""

    def probabilities(self, numbers: ArrayLike, n_steps: int = 0) -> Array:
        """Return what a spy says (B, 10) of images after so many steps of training."""
        return super().probabilities(numbers, n_steps) * (np.nan if n_steps else 1)


def numbers_of(images: ArrayLike) -> Array:
    """Return the numbers (B,) of images (784,), (B, 784) or (B, 1, 28, 28)."""
    pixels = np.asarray(images)
    first = pixels.reshape(-1, PIXELS)[:, 0] if pixels.size % PIXELS == 0 else pixels.ravel()[:1]
    return np.rint(first * SCALE).astype(int)


@cache
def album_of(seed: int) -> Album:
    """Return the album of a seed; nobody changes it."""
    return Album(seed)


class Spy:
    """What is handed to student code to be looked at afterwards.

    Where that code runs on a copy, the copy's `__dict__` must come back into the spy.
    """


class SpyNetwork(Spy):
    """Stands in for the MLP of the first notebook, and takes notes."""

    def __init__(self, album: Album) -> None:
        self._album = album
        self.notes: list[Note] = []
        self._n_steps = 0
        self.W1, self.b1 = np.zeros((2, PIXELS)), np.zeros(2)
        self.W2, self.b2 = np.zeros((DIGITS, 2)), np.zeros(DIGITS)
        self.dtype = np.dtype(np.float32)
        self.reset_grad()
        self.notes.clear()

    def forward(self, x: ArrayLike) -> Array:
        """Return probabilities that depend on the images' numbers and on the steps so far."""
        numbers = numbers_of(x)
        self.notes.append(Note("forward", tuple(numbers.tolist())))
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
        targets = np.asarray(y)
        one_hot = targets.shape[-1:] == (DIGITS,) and (targets.sum(axis=-1) == 1).all()
        labels = np.atleast_1d(targets.argmax(axis=-1)) if one_hot else np.atleast_1d(targets)
        state = "one-hot" if one_hot else "not one-hot"
        self.notes.append(Note("update_grad", (), tuple(labels.ravel().tolist()), 0, state))

    def reset_grad(self) -> None:
        """Note it."""
        self.notes.append(Note("reset_grad"))
        self.W1_grad, self.b1_grad = np.zeros_like(self.W1), np.zeros_like(self.b1)
        self.W2_grad, self.b2_grad = np.zeros_like(self.W2), np.zeros_like(self.b2)

    def update_params(self, lr: float) -> None:
        """Note the learning rate."""
        self.notes.append(Note("update_params", rate=float(lr)))
        self._n_steps += 1


class Plan(NamedTuple):
    """What the training was asked to do."""

    n_images: int
    batch_size: int
    n_epochs: int
    rate: float
    album: Album

    def data(self) -> tuple[LabelledImages, LabelledImages]:
        """Return training and validation data, each made anew."""
        validation = self.album.images(FIRST_VALIDATION, N_VALIDATION)
        return self.album.images(0, self.n_images), validation


DATA_CHANGED = Fault(
    "input changed",
    "the arrays that were passed in were changed in place, as by shuffle.",
    "Shuffle numbers, and index with them: the caller's images stay in their order.",
)


def untouched(
    exercise: Exercise, plan: Plan, given: tuple[LabelledImages, LabelledImages]
) -> Iterator[Verdict]:
    """See that a training leaves the data as they were."""
    pairs = zip((*given[0], *given[1]), (*plan.data()[0], *plan.data()[1]), strict=True)
    if not all(np.array_equal(now, before) for now, before in pairs):
        found = "images or labels in another order, or with other values."
        yield exercise.wrong("data, afterwards", found, "as they were.", DATA_CHANGED)


IMAGES_LEFT_OUT = Fault(
    "images left out",
    "some images are not looked at.",
    "See that the loop goes over all batches, the last and smaller one too.",
)


NOT_ASKED = Fault(
    "not asked",
    "the network is not asked about these images.",
    "Let them go forward through the network that was passed in, and use what comes out.",
)


def require_all_seen(exercise: Exercise, notes: Iterable[Note], n: int) -> None:
    """End the check unless `n` images went forward, whatever was done to them before."""
    seen = sum(len(note.images) for note in notes)
    if seen < n:
        found = f"{seen} of {n} images were looked at."
        exercise.halt("images", found, "all of them.", IMAGES_LEFT_OUT if seen else NOT_ASKED)


@dataclass(frozen=True)
class Step:
    """One change of the parameters, and the images and labels that went into its gradient."""

    images: tuple[int, ...]
    labels: tuple[int, ...]
    rate: float
    gradient: str  # "clean", "added to" (not reset before), "reset" (thrown away), "none"
    state: str = ""


class Finding(NamedTuple):
    """Something wrong in a training: what was found and wanted, and the fault."""

    found: str
    wanted: str
    fault: Fault


def steps_of(notes: Iterable[Note]) -> list[Step]:
    """Read the steps of a training from the notes of a SpyNetwork."""
    steps: list[Step] = []
    images: list[int] = []
    labels: list[int] = []
    last: tuple[int, ...] = ()
    gradient, state = "clean", ""
    for note in notes:
        if note.call == "forward":
            last = note.images
        elif note.call == "update_grad":
            images, labels = [*images, *last], [*labels, *note.labels]
            state = note.state if state != "not one-hot" else state
            gradient = "clean" if gradient == "reset" else gradient
        elif note.call == "reset_grad":
            gradient = "reset" if images else "clean"
        else:
            story = gradient if images else "none"
            steps.append(Step(tuple(images), tuple(labels), note.rate, story, state))
            images, labels, gradient, state = [], [], "added to", ""
    return steps


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
                "For each batch: forward its images, then update_grad with their targets.",
            )
            found = f"{len(step.labels)} labels after a forward pass of {len(step.images)} images."
            return Finding(found, "as many labels as images.", cause)
    return None


def labels_fit(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each image must come with its own label."""
    for step in steps:
        wrong = int((plan.album.labels[[*step.images]] != np.array(step.labels)).sum())
        if wrong:
            cause = Fault(
                "labels don't follow",
                "the labels are not those of the images: the two are not in the same order.",
                "Index both with the same numbers: images[batch] and labels[batch].",
            )
            found = f"{wrong} of {len(step.images)} images in a batch with another image's label."
            return Finding(found, "each image with its own label.", cause)
    return None


def gradients_reset(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each step must use the gradient of its own batch."""
    stories = [step.gradient for step in steps]
    found = {
        "none": "a step without a new gradient.",
        "reset": "a gradient that was reset before its step.",
        "added to": "gradients that hold those of the batches before.",
    }
    causes = {
        "none": Fault(
            "updated twice",
            "a step is taken though no gradient was computed since the step before.",
            "Take one step for each batch, after its gradient was computed.",
        ),
        "reset": Fault(
            "reset too late",
            "the gradient is set to zero between its computation and the step.",
            "Reset before the forward pass of each batch.",
        ),
        "added to": Fault(
            "not reset",
            "the gradients of earlier batches are still there when the next one is added.",
            "Reset the gradients at the start of each batch, inside the inner loop.",
        ),
    }
    for story, cause in causes.items():
        if story in stories[1:] or (stories[0] == story and story != "added to"):
            return Finding(found[story], "the gradient of the step's own batch.", cause)
    return None


def rate_obeyed(steps: Sequence[Step], plan: Plan) -> Finding | None:
    """Each step must have the learning rate that was asked for."""
    rates = {step.rate for step in steps}
    if all(np.isclose(rate, plan.rate, rtol=1e-6) for rate in rates):
        return None
    found = ", ".join(f"{rate:g}" for rate in sorted(rates)[:3])
    cause = Fault(
        "lr ignored",
        "steps are taken with another learning rate than was asked for.",
        "Pass the argument learning_rate on to update_params as it is.",
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
    fault = EACH_IMAGE if sizes == {1} else fault
    return Finding(found, f"{plan.batch_size}, and the rest at the end.", fault)


ONCE_AN_EPOCH = Fault(
    "one step an epoch",
    "only one step is taken in each epoch, with its last batch.",
    "See that each batch has its step, inside the loop over the batches.",
)


ALL_AT_ONCE = Fault(
    "property",
    "one step is taken in each epoch, with the gradient of all its images.",
    "See that each batch of batch_size images has its own gradient and its own step.",
)
EACH_IMAGE = Fault(
    "property",
    "a step is taken for each image.",
    "Take one step for each batch, with the gradient of all its images.",
)
OTHER_SIZES = Fault(
    "property",
    "not every step but the last of an epoch has the gradient of batch_size images.",
    "Follow the first batch: which images go forward in it, and when is its step taken?",
)
LAST_DROPPED = Fault(
    "last batch dropped",
    "the last, smaller batch of each epoch is left out.",
    "Let the loop start batches up to len(images); a slice over the end is just shorter.",
)
FIRST_BATCH = Fault(
    "first batch only",
    "each epoch ends after one batch.",
    "See that no `break` or `return` stands inside the inner loop.",
)
REPLACEMENT = Fault(
    "drawn with replacement",
    "within an epoch some images come twice and others never.",
    "Shuffle with a permutation, in which each number comes once.",
)


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
    if kept := max(_kept_in_order(epoch) for epoch in epochs):
        cause = Fault(
            "hardly shuffled",
            "the images are hardly shuffled: long pieces keep their order.",
            "Draw a permutation of all images, and cut the batches from that.",
        )
        found = f"{kept} of {n_images - 1} images followed by the next one of the data set."
        return Finding(found, "a random order.", cause)
    if any(epoch == epochs[0] for epoch in epochs[1:]):
        cause = Fault(
            "shuffled once",
            "the order is the same in each epoch.",
            "Draw a new permutation from one generator at the start of each epoch.",
        )
        return Finding("the same order in every epoch.", "a new order each time.", cause)
    return None


def _kept_in_order(epoch: Sequence[int]) -> int:
    """Return how many images are followed by the next one, 0 if that may be chance.

    In a random order that happens once on average, and over ten times in one of 10 million.
    """
    steps = np.diff(epoch)
    n_kept = max(np.count_nonzero(steps == 1), np.count_nonzero(steps == -1))
    at_home = np.count_nonzero(np.array(epoch) == np.arange(len(epoch)))
    return int(n_kept if n_kept > 10 else at_home if at_home > 10 else 0)


RULES: tuple[tuple[str, Rule], ...] = (
    ("targets", not_one_hot),
    ("forward", forward_fits),
    ("training data", validation_used),
    ("labels", labels_fit),
    ("gradients", gradients_reset),
    ("learning rate", rate_obeyed),
    ("batches", batch_size_obeyed),
    ("epochs", every_image_once),
    ("order", shuffled),
)


NOT_REACHED = Fault(
    "network not used",
    "the loop trains another network, or none, not the one that was passed in.",
    "Use the arguments of the function; a global network is another one.",
)
NEVER_UPDATED = Fault(
    "never updated",
    "gradients are computed, and no step is taken with them.",
    "Change the parameters after each batch: update_params here, step in PyTorch.",
)
NO_GRADIENT = Fault(
    "no gradient",
    "steps are taken, and no gradient is computed for them.",
    "Compute the gradient of each batch before its step: update_grad here, backward in PyTorch.",
)


CRITERION_UNUSED = Fault(
    "criterion not used",
    "the criterion that was passed in is not called, so its loss is not what is made smaller.",
    "Compute each batch's loss by the argument: criterion(logits, labels).",
)


def no_training(notes: Iterable[Note], steps: Sequence[Step]) -> Finding | None:
    """The network was never changed, or not by a gradient."""
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


STOPS_EARLY = Fault(
    "stops early",
    "the training ends before all its epochs are done, as when an accuracy has fallen.",
    "See what ends the loop over the epochs: neither `break` nor `return` may.",
)


def judge_many_epochs(
    exercise: Exercise, train: Callable[[Plan], Sequence[Step]], plan: Plan
) -> Iterator[Verdict]:
    """See that a training goes on to its end, however losses and accuracies go up and down."""
    plan = plan._replace(n_images=4, batch_size=4, n_epochs=9)
    found = len(train(plan))
    if found != plan.n_epochs:
        told = f"{found} epochs, when {plan.n_epochs} were asked for."
        yield exercise.wrong("epochs", told, f"{plan.n_epochs}.", STOPS_EARLY)


GOES_ON = Fault(
    "divergence unnoticed",
    "the training goes on though its loss is NaN.",
    "Call `stop_if_diverged` with the loss and the learning rate.",
)


def judge_stopping(exercise: Exercise, train: Callable[[Album], object], seed: int) -> Verdict:
    """Judge whether a training ends with a DivergenceError when its loss has become NaN."""
    found, fault = "no error.", GOES_ON
    try:
        train(Diverging(seed))
    except StudentError as error:
        if type(error.error).__name__ == "DivergenceError":
            return exercise.right("divergence")
        found, fault = f"{error}.", UNKNOWN
    wanted = "a DivergenceError, as `stop_if_diverged` raises it."
    return exercise.wrong("divergence", found, wanted, fault)


def judge_steps(
    exercise: Exercise, notes: Iterable[Note], steps: Sequence[Step], plan: Plan
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
