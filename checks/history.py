"""What a training or a test says of itself: accuracies and losses, against those of the album."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from checks.album import (
    FIRST_VALIDATION,
    Album,
    Easy,
    Interrupting,
    Undecided,
    album_of,
    numbers_from,
)
from checks.asking import StudentError, ask
from checks.check import Part
from checks.comparison import CLOSE, Array, distance
from checks.faults import NOTHING_RETURNED, VAGUE, Fault, Sample, asked_why
from checks.rules import RULES
from checks.source import plain_function
from checks.spies import Plan, Step
from checks.verdicts import Exercise, Verdict

MANY = 1000  # entries, more than any training here has
ROUNDED = 0.0051  # how far off a percentage is that was rounded to two decimals


def percent_right(predicted: Array, true: Array) -> Array:
    """Return the percentage of predictions (N,) that equal the labels (N,)."""
    return np.asarray(100 * np.count_nonzero(predicted == true) / len(true))


OF_8_BITS = (
    "8 bits", "the number of right answers begins anew after 255, as a number of 8 bits does.",
    "Count in a number of more bits, as `int` and the `.sum()` of True and False are.",
)  # fmt: skip

# From predictions and labels.
ACCURACY_FAULTS = (
    Fault("fraction", "this is a fraction, not a percentage.", "Multiply by 100.",
          lambda p, t: (p == t).mean()),
    Fault("error rate", "this is the percentage of mistakes.",
          "Count the predictions that are equal to the labels.",
          lambda p, t: 100 * (p != t).mean()),
    Fault("count", "this is the number of right predictions.",
          "Divide by the number of labels, and multiply by 100.", lambda p, t: (p == t).sum()),
    Fault("percent twice", "it was multiplied by 100 twice.", "accuracy returns percent already.",
          lambda p, t: 1e4 * (p == t).mean()),
    Fault("wrong total", "it was divided by a fixed number.", "Divide by the number of labels.",
          lambda p, t: 10 * (p == t).sum()),
    Fault(*OF_8_BITS, lambda p, t: 100 * ((p == t).sum() % 256) / len(t)),
)  # fmt: skip
LEAST_PROBABLE = Fault(
    "least probable digit", "the least probable digit is taken.", "Use argmax, which finds the "
    "largest probability.", lambda probabilities, t: percent_right(probabilities.argmin(axis=1), t),
)  # fmt: skip


def _of_most_probable(fault: Fault) -> Fault:
    wrong = fault.wrong
    assert wrong is not None
    return fault._replace(wrong=lambda probabilities, t: wrong(probabilities.argmax(axis=1), t))


# From probabilities and labels.
PERCENTAGE_FAULTS = (LEAST_PROBABLE, *map(_of_most_probable, ACCURACY_FAULTS))


def _is_mean_of_batches(found: Array, probabilities: Array, true: Array) -> bool:
    """Whether a percentage is the mean of those of batches, of whatever size."""
    right = probabilities.argmax(axis=1) == true
    for size in range(1, len(true) + 1):
        starts = np.arange(0, len(true), size)
        sizes = np.diff([*starts, len(true)])
        mean = 100 * (np.add.reduceat(right.astype(float), starts) / sizes).mean()
        if abs(mean - found) < 1e-5:  # a mean of 32 bits, too
            return True
    return False


MEANS_OF_BATCHES = (
    Fault("mean of batches", "this is the mean of the percentages of batches, in which an image of "
          "a smaller last batch counts more than others.",
          "Count the right ones of all batches, and divide by the number of all images.",
          _is_mean_of_batches),
)  # fmt: skip


def with_example(verdict: Verdict, test: Callable[..., Any], album: Album) -> Verdict:
    """Tell of the fewest images of which a test says something wrong, unless a cause is known."""
    if not _is_vague(verdict):
        return verdict
    numbers = itertools.count()
    for n in (*[1] * 20, *range(2, 6), *(n + more for n in N_USUAL for more in (0, 1))):
        first = FIRST_VALIDATION + (next(numbers) if n == 1 else 0)
        images, labels = album.images(first, n)
        rows = album.probabilities(np.arange(first, first + n))
        value, right = _asked(partial(test, images, labels)), percent_right(rows.argmax(1), labels)
        if value is not None and abs(value - right) > ROUNDED:
            likely = _of_image(rows[0], labels[0]) if n == 1 else _of_images(n)
            told = f"{likely} The result is {value:.6g}, and should be {right:.6g}."
            return verdict.by(Fault("property", told, FOLLOW_ONE))
    return verdict


TIES = Fault(
    "equal probabilities",
    "where all digits are as probable, images of every digit count as read correctly.",
    "Let one digit be the guess, as `argmax` does: the first of those that are as probable.",
)


def judge_undecided(
    exercise: Exercise, call: str, test: Callable[[Album, Array, Array], Any]
) -> Iterator[Verdict]:
    """See that a network that has no opinion guesses one digit for each image."""
    album = Undecided()
    images, labels = album.images(0, 20)
    found = exercise.numbers("equal probabilities", ask(call, test, album, images, labels))
    if found.ndim == 0 and found > 50:  # and not 10, since equal digits may be drawn by lot
        wanted = "10, as one digit in ten is guessed."
        yield exercise.wrong("equal probabilities", f"{found:.6g}.", wanted, TIES)


N_USUAL = (64, 100, 128, 256, 500, 512, 1000)  # of which parts are made


def _of_image(row: Array, label: int) -> str:
    return (
        f"one image is enough to see it: its label is {label}, with the probability "
        f"{row[label]:.2f}, and the most probable digit is {row.argmax()}, with {row.max():.2f}."
    )


def _of_images(n: int) -> str:
    return f"fewer images give a right result, as each alone does, and {n} a wrong one."


FOLLOW_ONE = "Follow so many images through your lines."


def _is_vague(verdict: Verdict) -> bool:
    told = verdict.cause in VAGUE or verdict.likely.startswith("the result holds")
    return not verdict.passed and asked_why() and told


def _asked(function: Callable[[], Any]) -> float | None:
    """Return a number of the student's function, None if it gives none."""
    try:
        return float(ask("one image", function))
    except (StudentError, TypeError, ValueError):
        return None


class Epoch(NamedTuple):
    """An epoch of a training: its steps, and how many there were before."""

    plan: Plan
    steps: Sequence[Step]
    n_before: int

    @property
    def n_after(self) -> int:
        """The number of steps at its end."""
        return self.n_before + len(self.steps)

    @property
    def training(self) -> Array:
        """The numbers of the training images."""
        return np.arange(self.plan.n_images)

    @property
    def validation(self) -> Array:
        """The numbers of the validation images."""
        return numbers_from(FIRST_VALIDATION, self.plan.n_validation)

    def accuracy(self, numbers: Array, n_steps: int) -> Array:
        """Return the accuracy on images after so many steps."""
        probabilities = self.plan.album.probabilities(numbers, n_steps)
        return percent_right(probabilities.argmax(axis=1), self.plan.album.labels[numbers])

    def accuracy_along(self, late: int = 0) -> Array:
        """Return the accuracy on each step's images just before it, or `late` steps later."""
        right = [
            len(step.images) * self.accuracy(np.array(step.images), self.n_before + number + late)
            for number, step in enumerate(self.steps)
        ] or [np.asarray(np.nan)]
        return np.asarray(sum(right) / max(1, sum(len(step.images) for step in self.steps)))

    def losses(self) -> Array:
        """Return each step's sum of losses, just before it is taken, nan alone if there is none."""
        album = self.plan.album
        losses = [album.loss(step.images, self.n_before + n) for n, step in enumerate(self.steps)]
        return np.array(losses or [np.nan])

    def sizes(self) -> Array:
        """Return each step's number of images, 0 alone if there is none."""
        return np.array([len(step.images) for step in self.steps] or [0])

    def loss_after(self) -> Array:
        """Return the mean loss on all training images at the end."""
        return np.asarray(self.plan.album.loss(self.training, self.n_after) / self.plan.n_images)


# What may be recorded: along the way or at the end of the epoch.
Quantity = Callable[[Epoch], Array]
RIGHT: dict[str, tuple[Quantity, ...]] = {
    "train_accuracy": (lambda e: e.accuracy(e.training, e.n_after), Epoch.accuracy_along),
    "validation_accuracy": (lambda e: e.accuracy(e.validation, e.n_after),),
    "loss": (lambda e: e.losses().sum() / e.sizes().sum(), Epoch.loss_after),
}
AT_THE_END = "Record at the end of each epoch, when all its steps are taken."
MEAN = "Add up the losses of all images of the epoch, and divide by their number."
SUMS: dict[str, Quantity] = {
    "the sum of the losses of all images": lambda e: e.losses().sum(),
    "the sum of the batches' mean losses": lambda e: (e.losses() / e.sizes()).sum(),
    "the loss of the last batch": lambda e: e.losses()[-1],
}
DIVISORS: dict[str, Callable[[Epoch], int]] = {
    "the number of images": lambda e: e.plan.n_images,
    "the number of batches": lambda e: len(e.steps),
    "the batch size": lambda e: e.plan.batch_size,
    "the number of epochs": lambda e: e.plan.n_epochs,
}


def _quotients() -> Iterator[Fault]:
    """Yield, as faults, one sum divided by one number; the right pair and one more come apart."""
    pairs = [*itertools.product(SUMS.items(), DIVISORS.items())]
    for (what, total), (by, number) in (*pairs[1:5], *pairs[6:]):
        wrong = lambda e, t=total, n=number: t(e) / max(1, n(e))  # noqa: E731
        yield Fault("property", f"this is {what}, divided by {by}.", MEAN, wrong)


FAULTS: dict[str, tuple[Fault, ...]] = {
    "train_accuracy": (
        Fault("fraction", "this is a fraction, not a percentage.", "Multiply by 100.",
              lambda e: e.accuracy(e.training, e.n_after) / 100),
        Fault("fraction", "this is a fraction, not a percentage.", "Multiply by 100.",
              lambda e: e.accuracy_along() / 100),
        Fault("evaluated on validation set",
              "the training accuracy is taken on the validation images.",
              "Pass the training images and labels to the evaluation.",
              lambda e: e.accuracy(e.validation, e.n_after)),
        Fault("before the epoch", "the training accuracy is taken before the steps of the epoch.",
              AT_THE_END, lambda e: e.accuracy(e.training, e.n_before)),
        Fault("after each step", "each batch is judged after the step that it was used for.",
              "Count with the logits of the step itself, from before the weights change.",
              lambda e: e.accuracy_along(late=1)),
        Fault("last batch only", "the training accuracy is that of the last batch.",
              "Count the right ones in all batches, and divide by the number of all images.",
              lambda e: e.accuracy(np.array(e.steps[-1].images), e.n_after - 1)),
    ),
    "validation_accuracy": (
        Fault("fraction", "this is a fraction, not a percentage.", "Multiply by 100.",
              lambda e: e.accuracy(e.validation, e.n_after) / 100),
        Fault("evaluated on training set",
              "the validation accuracy is taken on the training images.",
              "Pass the validation images and labels to the evaluation.",
              lambda e: e.accuracy(e.training, e.n_after)),
        Fault("before the epoch", "the validation accuracy is taken before the steps of the epoch.",
              AT_THE_END, lambda e: e.accuracy(e.validation, e.n_before)),
    ),
    "loss": (
        Fault("total loss", "this is the sum over all images, not their mean.", MEAN,
              lambda e: e.losses().sum()),
        Fault("sum of batches", "the batches' mean losses are added up.", MEAN,
              lambda e: (e.losses() / e.sizes()).sum()),
        Fault("mean of batches", "this is the mean of the batches' means, in which an image of the "
              "smaller last batch counts more than others.", MEAN,
              lambda e: (e.losses() / e.sizes()).mean()),
        Fault("last batch only", "this is the mean loss of the last batch.", MEAN,
              lambda e: e.losses()[-1] / e.sizes()[-1]),
        *_quotients(),
    ),
}  # fmt: skip
NOT_EACH_EPOCH = Fault(
    "not each epoch", "the history does not have one entry for each epoch.",
    "Record at the end of each epoch, inside the outer loop and outside the inner one.",
)  # fmt: skip


# Returns a history and its steps; if `afresh`, by a function to which no call was made before.
Retrain = Callable[..., tuple[Any, Sequence[Step]]]


def judge_history(
    exercise: Exercise, history: Any, plan: Plan, steps: Sequence[Step], retrain: Retrain,
    words: str = "",
) -> Iterator[Part]:  # fmt: skip
    """Judge what a training returned: one entry for each epoch, on the right images.

    Of another training, which `words` name, only what is wrong is told.
    """
    wanted = "a History with one entry for each epoch."
    if history is None:
        exercise.halt("history", "None.", wanted, NOTHING_RETURNED)
    told = entries_of(history)
    if missing := [name for name in RIGHT if name not in told]:
        found = f"a {type(history).__name__} without {', '.join(missing)}."
        exercise.halt("history", found, wanted, NO_HISTORY)
    history, epochs = SimpleNamespace(**told), epochs_of(plan, steps)
    yield partial(_exchanged, exercise, history, epochs)
    for name in RIGHT:
        yield partial(_judge_quantity, exercise, name, history, epochs, retrain, words)


def entries_of(history: Any) -> dict[str, Any]:
    """Return what is recorded, by name: of a dictionary, too, and from a deque or the like."""
    is_dict = isinstance(history, Mapping)
    found = [name for name in RIGHT if (name in history if is_dict else hasattr(history, name))]
    told = {name: history[name] if is_dict else getattr(history, name) for name in found}
    return {name: [*islice(v, MANY)] if _is_queue(v) else v for name, v in told.items()}


def _is_queue(value: Any) -> bool:
    is_usual = isinstance(value, (list, tuple, str)) or hasattr(value, "__array__")
    return isinstance(value, Iterable) and not is_usual


NO_HISTORY = Fault(
    "another result", "something else than the History is returned.",
    "Return the History alone, as the docstring says.",
)  # fmt: skip
EXCHANGED = Fault(
    "arguments exchanged", "the right numbers are recorded in the wrong places.",
    "The order is record(loss, train_accuracy, validation_accuracy).",
)  # fmt: skip


def _exchanged(exercise: Exercise, history: Any, epochs: Sequence[Epoch]) -> Iterator[Verdict]:
    """See whether all three quantities are there, and in each other's places."""
    told = {name: exercise.numbers(name, getattr(history, name)) for name in RIGHT}
    if any(values.shape != (len(epochs),) for values in told.values()) or len(epochs) < 2:
        return  # two numbers of one epoch may be equal by chance
    for order in itertools.permutations(RIGHT):
        places = dict(zip(RIGHT, order, strict=True))
        fits = all(
            any(_off(told[place], epochs, right) < CLOSE for right in RIGHT[name])
            for place, name in places.items()
        )
        if fits and any(place != name for place, name in places.items()):
            found = ", ".join(f"{name} as {place}" for place, name in places.items())
            yield exercise.wrong("history", f"{found}.", "each in its place.", EXCHANGED)


def epochs_of(plan: Plan, steps: Sequence[Step]) -> list[Epoch]:
    """Return the steps by epoch."""
    each = len(steps) // plan.n_epochs
    return [Epoch(plan, steps[n * each : (n + 1) * each], n * each) for n in range(plan.n_epochs)]


def _is_of_8_bits(found: Array, epoch: Epoch) -> bool:
    """Whether an accuracy, in percent, is that of a number of right answers that ends at 255."""
    due = [(right(epoch), epoch.plan.n_images) for right in RIGHT["train_accuracy"]]
    due += [(right(epoch), epoch.plan.n_validation) for right in RIGHT["validation_accuracy"]]
    counts = [(round(float(percent) * n / 100), n) for percent, n in due]
    return any(abs(100 * (count % 256) / n - found) < ROUNDED for count, n in counts if count > 255)


def _judge_quantity(
    exercise: Exercise, name: str, history: Any, epochs: Sequence[Epoch], retrain: Retrain,
    words: str,
) -> Iterator[Verdict]:  # fmt: skip
    values, part = exercise.numbers(name, getattr(history, name)), f"{name}{words}"
    if values.shape != (len(epochs),):
        found = f"{values.size} entries." if values.ndim else "one number."
        wanted = f"{len(epochs)}, one for each epoch."
        yield exercise.wrong(part, found, wanted, NOT_EACH_EPOCH)
        return
    right = min(RIGHT[name], key=partial(_off, values, epochs))
    samples = [
        Sample(value, right(epoch), (epoch,)) for value, epoch in zip(values, epochs, strict=True)
    ]
    near = 5e-5 if name == "loss" else ROUNDED
    # What the training before has ruled out would be a coincidence in another one.
    faults = () if words else (*FAULTS[name], *_others(name))
    facts = () if name == "loss" else (Fault(*OF_8_BITS, _is_of_8_bits),)
    verdict = exercise.judge(part, samples, faults, near, facts=facts)
    if _is_vague(verdict):
        fault = _only_first(name, values, epochs, retrain)
        fault = fault or _smallest(name, epochs[0].plan, retrain, near)
        verdict = verdict.by(fault) if fault else verdict
    if not (words and verdict.passed):
        yield verdict


def _only_first(
    name: str, values: Array, epochs: Sequence[Epoch], retrain: Retrain
) -> Fault | None:
    """Say of how many images alone, the first ones of the data, an accuracy is."""
    fits = set() if name == "loss" else _numbers_that_fit(name, values, epochs)
    for seed in (7920, 7921) if fits else ():
        other = epochs[0].plan._replace(album=album_of(seed))
        history, steps = retrain(other)
        values = np.asarray(entries_of(history).get(name), dtype=float)
        fits &= _numbers_that_fit(name, values, epochs_of(other, steps))
    likely = f"only the first {min(fits, default=0)} images are counted, and others are left out."
    return Fault("property", likely, "Take the accuracy of all images.") if fits else None


def _numbers_that_fit(name: str, values: Array, epochs: Sequence[Epoch]) -> set[int]:
    """Return of how many first images these may be the accuracies."""
    images = epochs[0].training if name == "train_accuracy" else epochs[0].validation
    right = [[e.accuracy(images[:n], e.n_after) for e in epochs] for n in range(1, len(images))]
    if values.shape != (len(epochs),):
        return set()
    return {n for n, due in enumerate(right, 1) if np.abs(values - due).max() < ROUNDED}


STOPS_EARLY = Fault(
    "stops early", "the training ends before all its epochs are done, as when an accuracy has "
    "fallen.", "See what ends the loop over the epochs: neither `break` nor `return` may.",
)  # fmt: skip


N_EPOCHS = 61  # enough to see what comes late, as a rate that falls or patience that ends


def judge_others(exercise: Exercise, plan: Plan, retrain: Retrain) -> Iterator[Verdict | Part]:
    """See that a training goes on to its end, and that more images than a sample are counted."""
    n_epochs = N_EPOCHS if asked_why() else 9
    many = plan._replace(n_images=5, batch_size=4, n_epochs=n_epochs)
    large = plan._replace(n_images=1030, batch_size=400, n_epochs=1, n_validation=1010)
    for other, album in ((many, album_of(4)), (large, Easy(1030))):
        other = other._replace(album=album)
        history, steps = retrain(other)
        words = f"{other.n_images} images in {other.n_epochs} epochs"
        starts = range(0, other.n_images, other.batch_size)
        due = other.n_epochs * [min(other.batch_size, other.n_images - start) for start in starts]
        sizes = [len(step.images) for step in steps]
        if len(sizes) < len(due) and sizes == due[: len(sizes)]:
            told = f"{len(steps)} steps for {words}.", f"{len(due)}."
            yield exercise.wrong("epochs", *told, STOPS_EARLY)
            return
        for part, rule in RULES:
            if part != "order" and (finding := rule(steps, other)):  # that of few may be by chance
                yield exercise.wrong(f"{part}, {words}", *finding)
                return
        yield partial(judge_history, exercise, history, other, steps, retrain, f", {words}")


CAUGHT = Fault(
    "Ctrl-C caught", "Ctrl-C is caught within the epoch that it should break, so that the "
    "training does not end there.", "Catch no KeyboardInterrupt in your lines, not by a bare "
    "`except:` either: `epochs_of` ends the training.",
)  # fmt: skip
ERROR_OF_IT = Fault(
    "Ctrl-C caught", "when Ctrl-C comes within an epoch, another error comes of it.", CAUGHT.step
)
NOT_FINISHED = Fault(
    "Ctrl-C recorded", "the history has to hold the epochs that came to their end, and no other.",
    "Record at the end of an epoch, and not under `finally:`.",
)  # fmt: skip
OF_ANOTHER = Fault(
    "Ctrl-C untrained", "after Ctrl-C the network that was passed in is not the one of which the "
    "history tells: another one was trained in its place.", "Train the network itself.",
)  # fmt: skip
LOST = Fault(
    "Ctrl-C lost", "Ctrl-C leaves the function as an error, and the history of the epochs that "
    "were done is lost.", "Keep the line `with epochs_of(…)` that comes with the exercise: it ends "
    "the training, and the history is returned.",
)  # fmt: skip


def judge_interrupted(
    exercise: Exercise, train: Callable[..., Any], retrain: Retrain, plan: Plan, seed: int
) -> Iterator[Verdict]:
    """See that Ctrl-C within the second epoch ends a training, with the history of the first."""
    if not plain_function(train):
        return  # Ctrl-C would end this process, and not the student's
    n_steps = -(-plan.n_images // plan.batch_size) + 1
    found, fault, wanted = "", CAUGHT, "the end of the training, and the entry of the first epoch."
    try:
        history, steps = retrain(plan._replace(album=Interrupting(seed, n_steps)))
        n_entries = max(map(np.size, entries_of(history).values()), default=0)
        if (more := len(steps) - n_steps) > 0:
            found = f"{more} more steps after Ctrl-C in the second epoch."
        elif more < -1:
            found, fault = f"{len(steps)} steps of the network that was passed in.", OF_ANOTHER
            wanted = f"{n_steps - 1} of the first epoch, to which the history has an entry."
        elif n_entries != 1:
            found, fault = f"{n_entries} entries after Ctrl-C in the second epoch.", NOT_FINISHED
    except StudentError as error:
        went_through = isinstance(error.error, KeyboardInterrupt)
        found, fault = f"{error}.", LOST if went_through else ERROR_OF_IT
    if found:
        yield exercise.wrong("Ctrl-C", found, wanted, fault)


# What a training was right for, and the next larger one that it is wrong for.
SIZES = {
    "it is wrong for one image in one step already": (1, 1, 1),
    "one image is right, and a batch of four is not": (4, 4, 1),
    "one batch is right, and two batches are not": (8, 4, 1),
    "full batches are right, and a smaller last one makes it wrong": (6, 4, 1),
    "one epoch is right, and the second one is not": (4, 4, 2),
}


def _smallest(name: str, plan: Plan, retrain: Retrain, near: float) -> Fault | None:
    """Say of the smallest training for which a quantity is wrong what sets it apart."""
    for words, (n_images, batch_size, n_epochs) in SIZES.items():
        for seed in range(4):
            small = Plan(n_images, batch_size, n_epochs, plan.rate, album_of(seed))
            told = _wrong_in(name, small, retrain, near)
            if not (told and (told := _wrong_in(name, small, partial(retrain, afresh=True), near))):
                continue  # it is right, or wrong only by what trainings before it have left
            likely = f"{words}: {told[0]:.6g} is recorded, and not {told[1]:.6g}."
            return Fault("property", likely, "Work out this small case on paper.")
    return None


def _wrong_in(name: str, plan: Plan, retrain: Retrain, near: float) -> tuple[float, float] | None:
    """Return a quantity's last entry in a training and the right one, None if it is right."""
    history, steps = retrain(plan)
    epochs = epochs_of(plan, steps)
    values = np.asarray(entries_of(history).get(name), dtype=float)
    right = min(RIGHT[name], key=partial(_off, values, epochs))
    wanted = np.array([right(epoch) for epoch in epochs])
    if values.shape != wanted.shape or distance(values, wanted, near) < CLOSE:
        return None
    return values[-1], wanted[-1]


def _others(name: str) -> Iterator[Fault]:
    """Yield, as faults, the other quantities in the place of this one."""
    for other in RIGHT.keys() - {name}:
        for quantity in RIGHT[other]:
            likely = f"this is what {other.replace('_', ' ')} should hold."
            yield EXCHANGED._replace(likely=likely, wrong=quantity)


def _off(values: Array, epochs: Sequence[Epoch], right: Quantity) -> float:
    return distance(values, np.array([right(epoch) for epoch in epochs]))
