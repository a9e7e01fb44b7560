"""The checks of training and testing the hand-written network."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from checks.spies import (
    ACCURACY_SUSPECTS,
    FIRST_VALIDATION,
    Plan,
    SpyNetwork,
    judge_steps,
    label_of,
    make_images,
    percent_right,
    predicted,
    steps_of,
)
from checks.verdicts import (
    NOTHING_RETURNED,
    Array,
    Cause,
    Exercise,
    Suspect,
    Suspects,
    Verdict,
    ask,
    check,
    describe,
    quiet,
)

ONE_HOT = Exercise("one_hot_encode", '"The data"')
ACCURACY = Exercise("accuracy", "section 2")
TRAIN_NETWORK = Exercise("train_network", "section 4")
TEST_NETWORK = Exercise("test_network", "section 2")


# one_hot_encode


def _one_hot(labels: Array, n_classes: int) -> Array:
    """Return the rows with a 1 at each label: those of the table of all classes."""
    table = {label: [float(label == column) for column in range(n_classes)] for label in labels}
    return np.array([table[label] for label in labels])


ONE_HOT_ROW = "Row n must have its 1 in column labels[n]."
ONE_HOT_SUSPECTS = (
    Suspect(
        "transposed",
        "rows and columns are swapped.",
        "Wanted is a row for each label: (N, n_classes).",
        lambda labels, n: _one_hot(labels, n).T,
    ),
    Suspect(
        "off by one",
        "the 1 stands one column too far right.",
        ONE_HOT_ROW,
        lambda labels, n: np.roll(_one_hot(labels, n), 1, axis=1),
    ),
    Suspect(
        "off by one",
        "the 1 stands one column too far left.",
        ONE_HOT_ROW,
        lambda labels, n: np.roll(_one_hot(labels, n), -1, axis=1),
    ),
    Suspect(
        "n_classes ignored",
        "there are always 10 columns.",
        "Use the argument n_classes for the number of columns.",
        lambda labels, n: _one_hot(labels, 10),
    ),
    Suspect(
        "n_classes ignored",
        "the number of columns is taken from the largest label.",
        "Use the argument n_classes: a batch need not hold the largest digit.",
        lambda labels, n: _one_hot(labels, labels.max() + 1),
    ),
    Suspect(
        "n_classes ignored",
        "the number of columns is that of different labels.",
        "Use the argument n_classes: a batch need not hold all digits.",
        lambda labels, n: _one_hot(labels, len(set(labels))),
    ),
    Suspect(
        "whole columns",
        "the 1 is set in the whole column, for all images.",
        "Give a row number with each label: [np.arange(N), labels].",
        lambda labels, n: np.ones((len(labels), 1)) * _one_hot(labels, n).max(axis=0),
    ),
    Suspect(
        "label as value",
        "the label itself stands where the 1 should.",
        "Set the number 1.",
        lambda labels, n: _one_hot(labels, n) * labels[:, None],
    ),
    Suspect(
        "rows by position",
        "the rows are those of the identity matrix in order, whatever the labels.",
        ONE_HOT_ROW,
        lambda labels, n: np.eye(len(labels), n),
    ),
    Suspect(
        "zeros only",
        "no 1 was set.",
        "Indexing with a list makes a copy: assign to the array itself.",
        lambda labels, n: np.zeros((len(labels), n)),
    ),
    Suspect(
        "inverted",
        "0 and 1 are swapped.",
        ONE_HOT_ROW,
        lambda labels, n: 1 - _one_hot(labels, n),
    ),
    Suspect(
        "labels returned", "the labels are returned as they came.", ONE_HOT_ROW, lambda a, n: a
    ),
)


@check(ONE_HOT)
def check_one_hot_encode(
    one_hot_encode: Callable[..., Array], *, seed: int = 0
) -> Iterator[Verdict]:
    """See that each label becomes a row with a 1 in its place, for ten classes and for six."""
    rng = np.random.default_rng(seed)
    for part, n_classes in (("ten classes", 10), ("six classes", 6)):
        labels = rng.permutation(np.append(rng.integers(1, n_classes - 1, 6), [1, 3]))
        call = f"one_hot_encode(labels, {n_classes})"
        value = ask(call, one_hot_encode, labels.copy(), n_classes)
        wanted = _one_hot(labels, n_classes)
        yield ONE_HOT.judge(part, value, wanted, ONE_HOT_SUSPECTS, labels, n_classes)
    value = ask("one_hot_encode(labels)", one_hot_encode, np.array([0, 9]))
    wanted = _one_hot(np.array([0, 9]), 10)
    yield ONE_HOT.judge("labels 0 and 9", value, wanted, ONE_HOT_SUSPECTS, np.array([0, 9]), 10)


# accuracy and test_network

ALL_OR_NOTHING = Suspect(
    "all or nothing",
    "it is asked whether all predictions are right.",
    "Count the right ones: the mean of a comparison is their share.",
    lambda right, n: 100 * (right == n),
)
ONE_HUNDRED = Suspect(
    "wrong total",
    "it was divided by a fixed number.",
    "Divide by the number of labels.",
    lambda right, n: 100 * right / 10,
)


@check(ACCURACY)
def check_accuracy(accuracy: Callable[..., float], *, seed: int = 0) -> Iterator[Verdict]:
    """See that `accuracy(predicted, true)` is the percentage of equal labels."""
    rng = np.random.default_rng(seed)
    for part, n, right in (("5 of 8 right", 8, 5), ("all right", 6, 6), ("none right", 7, 0)):
        true = rng.integers(1, 10, n)
        guess = np.where(rng.permutation(n) < right, true, (true + 1) % 10)
        value = ask("accuracy(predicted, true)", accuracy, guess, true)
        suspects = (*ACCURACY_SUSPECTS, ALL_OR_NOTHING, ONE_HUNDRED)
        yield ACCURACY.judge(part, value, np.asarray(100 * right / n), suspects, right, n)


def percentage_suspects(numbers: Array) -> Suspects:
    """Return those who take the accuracy on images of these numbers in a wrong way."""
    # Of equal probabilities argmin takes the first: digit 0, or 1 where 0 is the likely one.
    least = np.where(predicted(numbers) == 0, 1, 0)
    smallest = 100 * float((label_of(numbers) == least).mean())
    return (
        *ACCURACY_SUSPECTS,
        Suspect(
            "least probable digit",
            "the least probable digit is taken.",
            "Use argmax, which finds the largest probability.",
            lambda right, n: smallest,
        ),
    )


@check(TEST_NETWORK)
def check_test_network(test_network: Callable[..., float], *, seed: int = 0) -> Iterator[Verdict]:
    """See that `test_network(network, images, labels)` is the accuracy, and trains nothing."""
    for part, first in (("images", 100 + seed), ("other images", FIRST_VALIDATION + seed)):
        spy = SpyNetwork()
        images, labels = make_images(first, 23)
        value = ask("test_network(network, images, labels)", test_network, spy, images, labels)
        if any(note.call != "forward" for note in spy.notes):
            yield TEST_NETWORK.wrong(part, "the network was trained.", "a test only.", TRAINS)
        yield judge_percent(TEST_NETWORK, part, value, np.arange(first, first + 23))


TRAINS = Cause(
    "trains", "a step of training is taken on the test images.", "Call forward, nothing else."
)


def judge_percent(exercise: Exercise, part: str, value: Any, numbers: Array) -> Verdict:  # noqa: ANN401
    """Judge an accuracy on the images `numbers`, which may be rounded to two decimals."""
    found, wanted = exercise.numbers(part, value), percent_right(numbers)
    if found.shape == () and abs(float(found) - wanted) < 0.0051:
        return exercise.right(part)
    right = round(wanted * len(numbers) / 100)
    suspects = percentage_suspects(numbers)
    verdict = exercise.judge(part, found, np.asarray(wanted), suspects, right, len(numbers))
    if not verdict.passed:
        return verdict
    return exercise.wrong(part, describe(found), describe(np.asarray(wanted)))


# train_network

PLAN = Plan(n_images=43, batch_size=8, n_epochs=3, rate=0.05)
N_VALIDATION = 31
UNSEEDED = Cause(
    "unseeded",
    "the order does not come from a generator made with the seed.",
    "Shuffle with np.random.default_rng(seed), made once before the loop.",
)


@check(TRAIN_NETWORK)
def check_train_network(train_network: Callable[..., Any], *, seed: int = 0) -> Iterator[Verdict]:
    """Train a spy in place of the network, and read from its notes what the loop did."""
    spy, history = _train(train_network, PLAN, seed)
    steps = steps_of(spy.notes)
    yield from judge_steps(TRAIN_NETWORK, spy.notes, steps, PLAN)
    again, _ = _train(train_network, PLAN, seed)
    if steps_of(again.notes) != steps:
        yield TRAIN_NETWORK.wrong(
            "seed", "another order with the same seed.", "the same order.", UNSEEDED
        )
    yield from judge_history(TRAIN_NETWORK, history, PLAN)


def _train(train_network: Callable[..., Any], plan: Plan, seed: int) -> tuple[SpyNetwork, Any]:
    spy = SpyNetwork()
    with quiet():
        history = ask(
            "train_network(network, train, validation, …)",
            train_network,
            spy,
            make_images(0, plan.n_images),
            make_images(FIRST_VALIDATION, N_VALIDATION),
            learning_rate=plan.rate,
            n_epochs=plan.n_epochs,
            batch_size=plan.batch_size,
            seed=seed,
        )
    return spy, history


def judge_history(exercise: Exercise, history: Any, plan: Plan) -> Iterator[Verdict]:  # noqa: ANN401
    """Judge the accuracies that a training returned: one for each epoch, on the right images."""
    if history is None:
        exercise.halt(
            "history", "None.", "a History with one entry for each epoch.", NOTHING_RETURNED
        )
    train, validation = np.arange(plan.n_images), FIRST_VALIDATION + np.arange(N_VALIDATION)
    for name, own, other in (
        ("train_accuracy", train, validation),
        ("validation_accuracy", validation, train),
    ):
        values = exercise.numbers(name, getattr(history, name, None))
        if values.shape != (plan.n_epochs,):
            yield _not_each_epoch(exercise, name, values, plan)
            continue
        verdict = judge_percent(exercise, name, values[-1], own)
        if not verdict.passed and abs(values[-1] - percent_right(other)) < 0.0051:
            verdict = _other_set(exercise, name, values[-1], own)
        yield verdict


def _not_each_epoch(exercise: Exercise, name: str, values: Array, plan: Plan) -> Verdict:
    cause = Cause(
        "not each epoch",
        "the accuracy is not recorded once an epoch.",
        "Record at the end of each epoch, inside the outer loop and outside the inner one.",
    )
    found = f"{values.size} entries." if values.ndim else "one number."
    return exercise.wrong(name, found, f"{plan.n_epochs}, one for each epoch.", cause)


def _other_set(exercise: Exercise, name: str, value: float, own: Array) -> Verdict:
    if name.startswith("validation"):
        cause = Cause(
            "evaluated on training set",
            "the validation accuracy is taken on the training images.",
            "Pass the validation images and labels to the evaluation.",
        )
    else:
        cause = Cause(
            "evaluated on validation set",
            "the training accuracy is taken on the validation images.",
            "Pass the training images and labels to the evaluation.",
        )
    return exercise.wrong(name, f"{value:.2f} %.", f"{percent_right(own):.2f} %.", cause)
