"""The checks of training and testing the hand-written network."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from checks.album import DIGITS, FIRST_VALIDATION, Album, LabelledImages, album_of, numbers_from
from checks.asking import StudentError, ask, quiet
from checks.check import Part, check
from checks.comparison import Array
from checks.contract import other_seeds
from checks.crowd import (
    BATCH_SIZE,
    N_IMAGES,
    N_VALIDATION,
    CountingNetwork,
    images_of,
    is_due,
    judge_crowd,
    judge_test,
)
from checks.faults import Fault, Sample, asked_why
from checks.functions import Draw, Judge
from checks.history import (
    ACCURACY_FAULTS,
    MEANS_OF_BATCHES,
    PERCENTAGE_FAULTS,
    ROUNDED,
    judge_history,
    judge_interrupted,
    judge_others,
    judge_undecided,
    percent_right,
    with_example,
)
from checks.rules import judge_seed, judge_steps, judge_stopping, other_batches
from checks.source import beside, made_anew
from checks.spies import Plan, SpyNetwork, Step, require_all_seen, steps_of, untouched
from checks.verdicts import Exercise, Verdict

ONE_HOT = Exercise("one_hot_encode")
ACCURACY = Exercise("accuracy")
TRAIN_NETWORK = Exercise("train_network")
TEST_NETWORK = Exercise("test_network")


# one_hot_encode


def _one_hot(labels: Array, n_classes: int) -> Array:
    """Return the rows with a 1 at each label: those of the table of all classes."""
    table = {label: [float(label == column) for column in range(n_classes)] for label in labels}
    return np.array([table[label] for label in labels])


def right_one_hot(labels: Array, n_classes: int = 10) -> Array:
    """Stand in for one_hot_encode."""
    return _one_hot(np.asarray(labels).tolist(), n_classes).astype(np.float32)


def right_accuracy(predicted: Array, true: Array) -> float:
    """Stand in for accuracy. Raises ValueError if the shapes differ."""
    found, wanted = np.asarray(predicted), np.asarray(true)
    if found.shape != wanted.shape:
        raise ValueError(f"digits have shape {found.shape} and labels {wanted.shape}.")
    return float(percent_right(found, wanted))


def right_test_network(network: Any, images: Array, labels: Array) -> float:
    """Stand in for test_network."""
    return right_accuracy(np.argmax(network.forward(images), axis=-1), labels)


ONE_HOT_ROW = "Row n must have its 1 in column labels[n]."
ONE_HOT_FAULTS = (
    *(Fault("off by one", f"the 1 stands one column too far {side}.", ONE_HOT_ROW,
            lambda labels, n, by=by: np.roll(_one_hot(labels, n), by, axis=1))
      for side, by in (("right", 1), ("left", -1))),
    Fault("whole columns", "the 1 is set in the whole column, for all images.",
          "Give a row number with each label: [np.arange(N), labels].",
          lambda labels, n: np.ones((len(labels), 1)) * _one_hot(labels, n).max(axis=0)),
    Fault("label as value", "the label itself stands where the 1 should.", "Set the number 1.",
          lambda labels, n: _one_hot(labels, n) * labels[:, None]),
    Fault("zeros only", "no 1 was set.",
          "Indexing with a list makes a copy: assign to the array itself.",
          lambda labels, n: np.zeros((len(labels), n))),
)  # fmt: skip


def _labels(n_classes: int, n: int = 8) -> Draw:
    """Draw labels without the largest class, and the number of classes."""

    def draw(rng: np.random.Generator) -> tuple[Array, int]:
        labels = np.append(rng.integers(1, n_classes - 1, 6), [1, 3])
        return rng.permutation(labels)[:n], n_classes

    return draw


def _many_labels(dtype: type[np.integer]) -> Draw:
    """Draw more labels than 8 bits can count."""
    return lambda rng: (rng.integers(10, size=400, dtype=dtype), 10)


SMALL_TYPE = Fault(
    "small type",
    "many labels of 64 bits are right, and those of 8 bits are not: something is computed in the "
    "labels' own type, which ends at 255.",
    "Make larger numbers of them first: labels.astype(int).",
    lambda found, labels, other: labels.dtype == np.uint8,  # parts of 64 bits come before
)


ONE_HOT_PARTS = {
    "ten classes": _labels(10), "six classes": _labels(6), "seven classes": _labels(7),
    "twelve classes": _labels(12), "300 classes": _labels(300), "one label": _labels(10, n=1),
    "many labels": _many_labels(np.int64), "8-bit labels": _many_labels(np.uint8),
}  # fmt: skip
NOT_ONE_1 = Fault(
    "property", "a row holds other numbers than a single 1 and zeros.", ONE_HOT_ROW,
    lambda found, *inputs: any(sorted(set(row)) != [0, 1] or row.sum() != 1 for row in found),
)  # fmt: skip
OTHER_COLUMNS = Fault(
    "property",
    "each row holds a single 1, but not always in the column of its label.",
    ONE_HOT_ROW,
    lambda found, *inputs: True,  # as the fact before is not
)
JUDGE_ONE_HOT = Judge(
    ONE_HOT, "one_hot_encode(labels, n_classes)", _one_hot, ONE_HOT_FAULTS, close=1e-300,
    facts=(SMALL_TYPE, NOT_ONE_1, OTHER_COLUMNS),
    unsaid=("twelve classes", "300 classes", "one label", "many labels", "8-bit labels"),
)  # fmt: skip


@check(ONE_HOT, stand_ins={"one_hot_encode": right_one_hot})
def check_one_hot_encode(one_hot_encode: Callable[..., Array], *, seed: int = 0) -> Iterator[Part]:
    """See that each label becomes a row with a 1 in its place, for ten classes and for others."""
    yield from JUDGE_ONE_HOT.parts(one_hot_encode, ONE_HOT_PARTS, seed)
    by_default = partial(_ten_classes, one_hot_encode)
    judge = replace(JUDGE_ONE_HOT, calls_again=False)  # the number of classes stays
    yield from judge.parts(by_default, {"labels 0 and 9": _zero_and_nine}, seed)


def _ten_classes(one_hot_encode: Callable[..., Array], labels: Array, n_classes: int) -> Array:
    return one_hot_encode(labels)  # n_classes is 10 by default


def _zero_and_nine(rng: np.random.Generator) -> tuple[Array, int]:
    return np.array([0, 9]), 10


# accuracy and test_network


def _equal_labels(
    number: int | None, share: float, dtype: type[np.integer] = np.int64, n_classes: int = DIGITS
) -> Draw:
    """Draw predictions and labels, of which about `share` are equal: `number`, or some of them."""

    def draw(rng: np.random.Generator) -> tuple[Array, Array]:
        n = number or int(rng.integers(7, 30))
        true = rng.integers(n_classes, size=n, dtype=dtype)
        wrong = (true + rng.integers(1, n_classes, n, dtype=dtype)) % n_classes
        return np.where(rng.permutation(n) < round(share * n), true, wrong), true

    return draw


CLASSES = "labels of 300 classes"
OTHER_DIGITS = "other digits in one of the two"


def _of_few(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw predictions and labels, some of whose digits occur in one of the two alone."""
    few, many = rng.integers(4, size=30), rng.integers(DIGITS, size=30)
    pair = few, np.where(rng.random(30) < 0.3, few, many)
    return pair if rng.random() < 0.5 else pair[::-1]


ACCURACY_PARTS = {
    "some right": _equal_labels(None, 0.55),
    "all right": _equal_labels(None, 1),
    "none right": _equal_labels(None, 0),
    "many labels": _equal_labels(70_000, 0.6),  # which 16 bits cannot count
    "8-bit labels": _equal_labels(900, 0.6, np.uint8),
    CLASSES: _equal_labels(None, 0.6, n_classes=300),
    **{f"{OTHER_DIGITS} ({n})": _of_few for n in range(3)},
    "one label, right": _equal_labels(1, 1),
    "one label, wrong": _equal_labels(1, 0),
}
SMALL_COUNT = Fault(
    "small type",
    "few labels give a right result, and 70,000 a wrong one: a number is too large for its type, "
    "as 256 is for 8 bits.",
    "Count in usual numbers: see what makes a type of 8, 16 or 32 bits.",
    lambda found, predicted, true: len(true) > 1000,  # parts of few come before
)
JUDGE_ACCURACY = Judge(
    ACCURACY, "accuracy(predicted, true)", percent_right, ACCURACY_FAULTS,
    facts=(SMALL_TYPE, SMALL_COUNT),
    unsaid=("8-bit labels", CLASSES, "one label, right", "one label, wrong",
            *(f"{OTHER_DIGITS} ({n})" for n in range(3))),
)  # fmt: skip


@check(ACCURACY, stand_ins={"accuracy": right_accuracy})
def check_accuracy(accuracy: Callable[..., float], *, seed: int = 0) -> Iterator[Part]:
    """See that `accuracy(predicted, true)` is the percentage of equal labels."""
    yield from JUDGE_ACCURACY.parts(accuracy, ACCURACY_PARTS, seed)


TRAINS = Fault(
    "trains", "something besides forward is called or changed, as in training.",
    "Call forward, nothing else.",
)  # fmt: skip


@check(TEST_NETWORK, stand_ins={"test_network": right_test_network})
def check_test_network(
    test_network: Callable[..., float], *, seed: int = 0
) -> Iterator[Verdict | Part]:
    """See that `test_network(network, images, labels)` is the accuracy, and trains nothing."""
    album, call = album_of(seed), "test_network(network, images, labels)"
    samples = []
    # Many images, so that batches of a fixed size and images left out show.
    sizes = ((100, 1037), (FIRST_VALIDATION, 423)) if asked_why() else ((100, 401 + seed % 9),)
    for first, n in sizes:
        samples.append((yield from _tested(test_network, album, first, n)))
    facts = MEANS_OF_BATCHES
    verdict = TEST_NETWORK.judge("images", samples, PERCENTAGE_FAULTS, ROUNDED, facts=facts)
    yield with_example(verdict, lambda *data: test_network(SpyNetwork(album), *data), album)
    one = yield from _tested(test_network, album, 50, 1)
    verdict = TEST_NETWORK.judge("one image", [one], PERCENTAGE_FAULTS, ROUNDED)
    if not verdict.passed:
        yield verdict
    if is_due(test_network, seed):
        network = CountingNetwork()
        value = ask(call, test_network, network, *images_of(N_IMAGES))
        yield from judge_test(TEST_NETWORK, value, network.n_seen)
    yield from judge_undecided(
        TEST_NETWORK, call, lambda a, *data: test_network(SpyNetwork(a), *data)
    )


def _tested(
    test_network: Callable[..., float], album: Album, first: int, n: int
) -> Generator[Verdict, None, Sample]:
    """Return what a test of some images gave, and see that it is a test only."""
    spy, data = SpyNetwork(album), album.images(first, n)
    spy.forward(album.images(first + n, n)[0])  # what it keeps of others is of no use
    spy.notes.clear()
    value = ask("test_network(network, images, labels)", test_network, spy, *data)
    spy.look()
    if any(note.call != "forward" for note in spy.notes):
        yield TEST_NETWORK.wrong("images", "the network is changed.", "a test only.", TRAINS)
    require_all_seen(TEST_NETWORK, spy.notes, n)
    yield from untouched(TEST_NETWORK, [data], [album.images(first, n)])
    sample = percentage(album, value, first, n)
    spy.update_params(0.0)
    again = ask("test_network(network, images, labels), after a step", test_network, spy, *data)
    wanted = percentage(album, again, first, n, n_steps=1).wanted
    if np.array_equal(value, sample.wanted) and np.array_equal(again, value) and again != wanted:
        told = "the accuracy from before the step.", "that of the network as it is then."
        yield TEST_NETWORK.wrong("images, after a step", *told, STALE)
    return sample


STALE = Fault(
    "stale", "once the network has learned more, the same images give the accuracy from before: "
    "answers are kept.", "Let the images go forward anew in each call.",
)  # fmt: skip


def percentage(album: Album, found: Any, first: int, n: int, n_steps: int = 0) -> Sample:
    """Return a sample of an accuracy on `n` images of an album, numbered from `first`."""
    numbers = numbers_from(first, n)
    probabilities, labels = album.probabilities(numbers, n_steps), album.labels[numbers]
    wanted = percent_right(probabilities.argmax(axis=1), labels)
    return Sample(found, wanted, (probabilities, labels))


# train_network

UNSEEDED = Fault(
    "unseeded", "the order does not come from a generator made with the seed.",
    "Shuffle with np.random.default_rng(seed), made once before the loop.",
)  # fmt: skip


Seed = int | np.random.Generator


def plan_of(seed: int, rate: float = 0.05) -> Plan:
    """Return what a training is asked to do, of sizes that depend on the seed.

    The last batch is smaller. A short training is enough to see whether a change mends it.
    """
    n_batches, n_epochs = (5, 3) if asked_why() else (2, 2 + seed % 2)
    size = 7 + seed % 4
    rest = 4 + seed % 2  # never 2, the length of a pair of images and labels, nor n_epochs
    return Plan(n_batches * size + rest, size, n_epochs, rate, album_of(seed))


@check(TRAIN_NETWORK)
def check_train_network(
    train_network: Callable[..., Any], *, seed: int = 0
) -> Iterator[Verdict | Part]:
    """Train a spy in place of the network, and read from its notes what the loop did."""
    plan = plan_of(seed)
    given = plan.data()
    spy, history = _train(train_network, plan, seed, *given)
    steps = steps_of(spy.notes)
    yield from untouched(TRAIN_NETWORK, given, plan.data())
    yield from judge_steps(TRAIN_NETWORK, spy.notes, steps, plan)
    retrain = partial(_retrain, train_network, seed)
    yield partial(judge_history, TRAIN_NETWORK, history, plan, steps, retrain)
    again = partial(_steps_again, train_network)
    seeds = other_seeds(train_network)
    yield partial(judge_seed, TRAIN_NETWORK, again, plan, seeds, UNSEEDED)
    yield partial(_generators, again, plan, seed)
    yield partial(judge_others, TRAIN_NETWORK, plan, retrain)
    yield judge_stopping(TRAIN_NETWORK, retrain, plan, seed)
    yield partial(judge_interrupted, TRAIN_NETWORK, train_network, retrain, plan, seed)
    yield partial(_train_epoch, train_network, plan, seed)
    if is_due(train_network, seed):
        yield partial(judge_crowd, TRAIN_NETWORK, partial(_count, train_network))


def _count(train_network: Callable[..., Any], train: LabelledImages) -> tuple[Any, Array]:
    network, call = CountingNetwork(), "train_network(network, train, validation, …)"
    few = images_of(N_VALIDATION)
    return ask(call, train_network, network, train, few, 0.1, 1, BATCH_SIZE), network.times


NO_GENERATOR = Fault(
    "no generator", "the argument seed was a generator this time, which the signature allows.",
    "np.random.default_rng(seed) takes both, and gives a generator back as it is: make one "
    "generator before the loop, and draw every order from it.",
)  # fmt: skip


def _generators(train: Callable[..., Sequence[Step]], plan: Plan, seed: int) -> Iterator[Verdict]:
    """See that a generator may stand in the place of a seed."""
    plan = plan._replace(n_epochs=1)
    seeds = (np.random.default_rng(each) for each in (seed, seed, seed + 1))
    try:
        one, two, other = ([step.images for step in train(each, plan=plan)] for each in seeds)
    except StudentError as error:
        yield TRAIN_NETWORK.error(error, NO_GENERATOR)
        return
    if one != two:
        found = "another order from an equal generator."
        yield TRAIN_NETWORK.wrong("seed", found, "the same.", UNSEEDED)
    elif one == other:
        found = "the same order from another generator."
        yield TRAIN_NETWORK.wrong("seed", found, "another.", NO_GENERATOR)


def _steps_again(train_network: Callable[..., Any], seed: Seed, plan: Plan) -> list[Step]:
    return _retrain(train_network, seed, plan)[1]


def _retrain(
    train_network: Callable[..., Any], seed: Seed, plan: Plan, afresh: bool = False
) -> tuple[Any, list[Step]]:
    train_network = made_anew(train_network) if afresh else train_network
    spy, history = _train(train_network, plan, seed, *plan.data())
    return history, steps_of(spy.notes)


def _train(
    train_network: Callable[..., Any],
    plan: Plan,
    seed: Seed,
    train: LabelledImages,
    validation: LabelledImages,
) -> tuple[SpyNetwork, Any]:
    spy = SpyNetwork(plan.album)
    with quiet():
        history = ask(
            "train_network(network, train, validation, …)",
            train_network,
            spy,
            train,
            validation,
            learning_rate=plan.rate,
            n_epochs=plan.n_epochs,
            batch_size=plan.batch_size,
            seed=seed,
        )
    spy.look()
    return spy, history


EPOCH_ARGUMENTS = ("network", "images", "targets", "order", "learning_rate", "batch_size")
ORDER_IGNORED = Fault(
    "order ignored", "the steps are not those of batches cut from the argument order as it came.",
    "Let each batch be the next batch_size numbers of order, and index images and targets with it.",
)  # fmt: skip


def _train_epoch(train_network: Callable[..., Any], plan: Plan, seed: int) -> Iterator[Verdict]:
    """See that train_epoch goes through the images in the order that it is given."""
    train_epoch = beside(train_network, "train_epoch", EPOCH_ARGUMENTS)
    if train_epoch is None:
        return
    spy, (images, labels) = SpyNetwork(plan.album), plan.data()[0]
    targets, order = right_one_hot(labels), np.random.default_rng(seed).permutation(len(labels))
    call, size = "train_epoch(network, images, targets, order, …)", plan.batch_size
    with quiet(), contextlib.suppress(NotImplementedError):
        ask(call, train_epoch, spy, images, targets, order, plan.rate, size)
        spy.look()
        wanted = [order[n : n + size] for n in range(0, len(order), size)]
        if finding := other_batches(steps_of(spy.notes), wanted, ORDER_IGNORED):
            yield TRAIN_NETWORK.wrong("train_epoch", *finding)
