"""What a notebook claims, computed again from its data and weights in a few lines of our own."""

import json
import re
from base64 import b64decode
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from tests.notebooks.witness import run as witness_run
from tests.notebooks.witness.events import Parameters, parameters_of, settings_of
from tests.notebooks.witness.run import Run

Array = np.ndarray
Check = Callable[[Run], None]
CHECKS: dict[str, list[Check]] = {"1": [], "2": []}
SLACK = 0.021  # points: on another CPU two of 10,000 images may fall on the other side


def check_of(*notebooks: str) -> Callable[[Check], Check]:
    """Register a check for these notebooks."""

    def register(check: Check) -> Check:
        for notebook in notebooks:
            CHECKS[notebook].append(check)
        return check

    return register


def equal(found: Any, wanted: Any, what: str, tolerance: float = 0.0) -> None:
    """Assert that all of `found` is as `wanted`, to an absolute `tolerance`."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape, f"{what}: shape {found.shape}, wanted {wanted.shape}"
    if tolerance or found.dtype.kind == "f":
        wrong = ~(np.abs(found - wanted) <= tolerance)
    else:
        wrong = found != wanted
    if wrong.any():
        first = tuple(np.argwhere(wrong)[0])
        raise AssertionError(f"{what}: {found[first]} at {first}, wanted {wanted[first]}")


# ---- Two networks, once more ------------------------------------------------------------------


def mlp_hidden(p: Parameters, images: Array) -> Array:
    return 1 / (1 + np.exp(-(images @ p["W1"].T + p["b1"])))


def mlp_logits(p: Parameters, images: Array) -> Array:
    return mlp_hidden(p, images) @ p["W2"].T + p["b2"]


def softmax(logits: Array) -> Array:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def mlp_gradients(p: Parameters, images: Array, labels: Array) -> Parameters:
    hidden = mlp_hidden(p, images)
    d_a2 = softmax(mlp_logits(p, images)) - np.eye(10)[labels]
    d_a1 = d_a2 @ p["W2"] * hidden * (1 - hidden)
    return {"W1": d_a1.T @ images, "b1": d_a1.sum(0), "W2": d_a2.T @ hidden, "b2": d_a2.sum(0)}


def cnn_maps(p: Parameters, images: Array) -> tuple[torch.Tensor, torch.Tensor]:
    """What both convolutions give, after ReLU and before pooling."""
    t = {name.removeprefix("layers."): torch.from_numpy(values) for name, values in p.items()}
    x = torch.tensor(images.reshape(-1, 1, 28, 28))
    first = F.conv2d(x, t["conv1.weight"], t["conv1.bias"]).relu()
    second = F.conv2d(F.max_pool2d(first, 2), t["conv2.weight"], t["conv2.bias"]).relu()
    return first, second


def cnn_logits(p: Parameters, images: Array) -> Array:
    t = {name.removeprefix("layers."): torch.from_numpy(values) for name, values in p.items()}
    parts = []
    for start in range(0, len(images), 1000):
        x = F.max_pool2d(cnn_maps(p, images[start : start + 1000])[1], 2).flatten(1)
        for name in ("fc1", "fc2"):
            x = F.linear(x, t[f"{name}.weight"], t[f"{name}.bias"]).relu()
        parts.append(F.linear(x, t["fc3.weight"], t["fc3.bias"]))
    return torch.cat(parts).numpy()


def fully_connected_logits(p: Parameters, images: Array) -> Array:
    """Of weights and biases in turn, with ReLU between the layers."""
    values, x = list(p.values()), images
    for k in range(0, len(values), 2):
        x = (np.maximum(x, 0) if k else x) @ values[k].T + values[k + 1]
    return x


def logits_by(p: Parameters) -> Callable[[Parameters, Array], Array]:
    """Return what computes the logits of a network with these parameters."""
    if "W2" in p and p["W2"].shape[1] == 784:  # one softmax layer
        return lambda p, images: images @ p["W2"].T + p["b2"]
    if "W1" in p:
        return mlp_logits
    return cnn_logits if "layers.conv1.weight" in p else fully_connected_logits


def logits_of(network: Any, images: Array) -> Array:
    p = parameters_of(network)
    return logits_by(p)(p, images)


def percent_right(logits: Array, labels: Array) -> float:
    return 100 * float((logits.argmax(axis=1) == labels).mean())


def says(run: Run, name: str, value: float, tolerance: float = SLACK) -> None:
    """Assert that the verdict on `name` is about `value`, to the two decimals that it has."""
    equal(run.verdict_of(name), value, f"verdict on {name}", tolerance + 0.005 + 1e-9)


# ---- The data and the trainings ---------------------------------------------------------------


@check_of("1", "2")
def digits_are_those_of_the_files(run: Run) -> None:
    images, labels, test_images, test_labels = witness_run.originals(run.digits.source)
    n = len(images) - witness_run.VALIDATION
    wanted = {"train": slice(0, n), "validation": slice(n, None)}
    for part, rows in wanted.items():
        found = getattr(run.digits, part)
        equal(found.labels, labels[rows], f"{part} labels")
        equal(found.images * 255, images[rows].reshape(-1, 784), f"{part} images", 1e-3)
    equal(run.digits.test.labels, test_labels, "test labels")
    equal(run.digits.test.images * 255, test_images.reshape(-1, 784), "test images", 1e-3)


def follows(
    run: Run, history: Any, train: Any, *, epochs: int, batch: int, settings: tuple[Any, ...]
) -> None:
    """Assert that a history tells of the training that was asked for, and that it tells the truth.

    `train` are images and labels, `settings` what each step uses.
    """
    seen = run.events.epochs(history)
    assert len(seen) == len(history.loss) == epochs, f"{len(seen)} epochs, wanted {epochs}"
    n = len(train[1])
    sizes = [min(batch, n - start) for start in range(0, n, batch)]
    pixels = float(train[0].sum(dtype=float))
    for k, epoch in enumerate(seen):
        equal([step.n_images for step in epoch.steps], sizes, f"batches of epoch {k + 1}")
        all_pixels = sum(step.pixels for step in epoch.steps)
        equal(all_pixels / pixels, 1.0, f"images of epoch {k + 1}", 1e-5)
        for step in epoch.steps:
            assert step.settings == settings, f"steps with {step.settings}, wanted {settings}"
        loss = sum(step.loss for step in epoch.steps) / n
        equal(history.loss[k], loss, f"loss of epoch {k + 1}", 1e-5 + 1e-4 * loss)


def is_left_as_trained(run: Run, network: Any, history: Any) -> None:
    """Assert that a network is as the last epoch of its history left it."""
    for name, values in parameters_of(network).items():
        wanted = run.events.epochs(history)[-1].parameters[name]
        equal(values, wanted, f"{name} after the last epoch")


def accuracies_are_true(run: Run, history: Any, train: Any, held_out: Any) -> None:
    """Assert that the accuracies on record are those of the network after the epoch.

    Those of PyTorch's networks on their training images are taken along the way, before each step.
    """
    seen = run.events.epochs(history)
    logits = logits_by(seen[0].parameters)
    for k in {0, len(seen) // 3, len(seen) - 1}:
        steps, parameters = seen[k]
        validation = percent_right(logits(parameters, held_out[0]), held_out[1])
        equal(history.validation_accuracy[k], validation, f"validation, epoch {k + 1}", SLACK)
        along = 100 * sum(step.n_correct for step in steps) / len(train[1])
        after = (
            percent_right(logits(parameters, train[0]), train[1]) if logits is mlp_logits else along
        )
        equal(history.train_accuracy[k], after, f"training, epoch {k + 1}", SLACK)
    if logits is not mlp_logits:
        along = [100 * sum(s.n_correct for s in e.steps) / len(train[1]) for e in seen]
        equal(history.train_accuracy, along, "training accuracies", SLACK)


def epochs_are_told(run: Run, *histories: Any) -> None:
    """Assert that the lines which the trainings print are those of their histories.

    After the epochs 1, 2, 5, 10, 20, 50 and so on, and after the last, there is a line.
    """
    pattern = r"epoch +(\d+): loss (\S+), training (\S+) %, validation (\S+) %"
    wanted = [
        (str(k), f"{loss:.4f}", f"{training:.2f}", f"{validation:.2f}")
        for h in histories
        for k, (loss, training, validation) in enumerate(
            zip(h.loss, h.train_accuracy, h.validation_accuracy, strict=True), start=1
        )
        if k == len(h) or str(k).rstrip("0") in ("1", "2", "5")
    ]
    for line, right in zip(re.findall(pattern, run.printed()), wanted, strict=True):
        assert line == right, f"epoch {', '.join(line)} is told, {', '.join(right)} is on record"


MLP_SETTINGS: dict[str, Any] = {"epochs": 100, "batch": 256, "settings": (1e-3,)}


@cache
def cnn_settings() -> dict[str, Any]:
    """Return how notebook 2 trains. The first optimizer of a process costs seconds: not before."""
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01, momentum=0.9)
    return {"epochs": 40, "batch": 64, "settings": settings_of(sgd)}


def first_images(split: Any, n: int | None) -> tuple[Array, Array]:
    return split.images[:n], split.labels[:n]


@check_of("1")
def mlp_trainings_are_as_asked_and_told(run: Run) -> None:
    for name, n in (("mini", 2000), ("full", None)):
        network, history = getattr(run, f"mlp_{name}"), getattr(run, name)
        train = first_images(run.digits.train, n)
        follows(run, history, train, **MLP_SETTINGS)
        is_left_as_trained(run, network, history)
        accuracies_are_true(run, history, train, run.digits.validation)


@check_of("1")
def short_trainings_are_as_asked_and_told(run: Run) -> None:
    """Four learning rates and one far too high, zero weights, and one softmax layer."""
    mini, held_out = first_images(run.digits.train, 2000), run.digits.validation
    asked = [
        (f"MLP mini at rate {rate}", run.tried[rate], run.by_rate[rate], rate) for rate in run.rates
    ]
    asked += [
        ("MLP mini at rate 10", run.too_high, run.jumping, 10),
        ("MLP mini from zero weights", run.zero, run.zero_history, 1e-3),
    ]
    for name, network, history, rate in asked:
        settings = {"epochs": 20, "batch": 256, "settings": (rate,)}
        follows(run, history, mini, **settings)
        is_left_as_trained(run, network, history)
        accuracies_are_true(run, history, mini, held_out)
        says(run, f"{name}, validation accuracy", history.validation_accuracy[-1], 0)
    follows(run, run.alone, run.digits.train, epochs=10, batch=256, settings=(1e-3,))
    is_left_as_trained(run, run.one_layer, run.alone)
    right = percent_right(logits_of(run.one_layer, held_out.images), held_out.labels)
    says(run, "one softmax layer, validation accuracy", right)
    best = max(run.rates, key=lambda rate: run.by_rate[rate].validation_accuracy[-1])
    gain = run.full.validation_accuracy[-1] - run.alone.validation_accuracy[-1]
    told = (
        f"{best} reads the most",
        f"by {gain:.1f} points",
        f"{run.zero_history.validation_accuracy[-1]:.1f} %",
    )
    for text in told:
        assert f"The result: {text}" in run.printed(), f"wanted the result {text}"
    by_rate = [run.by_rate[rate] for rate in run.rates]
    epochs_are_told(run, run.mini, run.zero_history, *by_rate, run.jumping, run.full, run.alone)


@check_of("1")
def losses_are_those_of_the_networks(run: Run) -> None:
    """The over-fitting lab: what was trained how, and what its last epoch and its verdicts say."""
    mini, held_out = first_images(run.digits.train, 2000), run.digits.validation
    for name, network, losses in (
        ("at rate 0.01", run.plain, run.losses),
        ("with weight decay", run.decaying, run.decayed),
    ):
        steps = run.events.steps[network]
        equal([step.n_images for step in steps], 100 * ([256] * 7 + [208]), f"batches {name}")
        assert {step.settings for step in steps} == {(0.01,)}, f"settings {name}"
        for split, told in ((mini, losses.training), (held_out, losses.validation)):
            p = softmax(logits_of(network, split[0]))[np.arange(len(split[1])), split[1]]
            equal(told[-1], -np.log(p).mean(), f"the last loss {name}", 1e-3 + 1e-3 * told[-1])
            assert len(told) == 100, f"{len(told)} losses {name}"
        right = percent_right(logits_of(network, held_out[0]), held_out[1])
        equal(losses.accuracy[-1], right, f"the last accuracy {name}", SLACK)
        stop = int(np.argmin(losses.validation))
        rise = 100 * (losses.validation[-1] / losses.validation[stop] - 1)
        says(run, f"MLP mini {name}, rise of the validation loss", rise)
        says(run, f"MLP mini {name}, accuracy at the lowest validation loss", losses.accuracy[stop])
        says(run, f"MLP mini {name}, accuracy after epoch 100", losses.accuracy[-1])
    decay = [np.square(parameters_of(network)["W1"]).sum() for network in (run.plain, run.decaying)]
    assert decay[1] < decay[0], "the weights have not decayed"


@check_of("1")
def images_that_mini_has_not_seen_are_read_as_told(run: Run) -> None:
    train = run.digits.train
    unseen = percent_right(logits_of(run.mlp_mini, train.images[2000:]), train.labels[2000:])
    says(run, "MLP mini, accuracy on unseen training images", unseen)
    lead = run.mini.validation_accuracy[-1] - run.unseen
    assert f"it is better by {lead:.1f} points." in run.printed(), f"wanted {lead:.1f} points"


@check_of("1")
def what_is_told_in_numbers_is_so(run: Run) -> None:
    said = logits_of(run.network, run.digits.validation.images).argmax(axis=1)
    times = np.bincount(said, minlength=10)
    told = re.findall(r"result: (\d), for ([\d,]+) of ([\d,]+) images", run.printed())
    digit, n, total = (int(number.replace(",", "")) for number in told[0])
    equal([n, total], [times.max(), times.sum()], "what the untrained network says", 2)
    assert digit == times.argmax(), f"{digit} said, wanted {times.argmax()}"
    wrong = [100 - getattr(run, name).validation_accuracy[-1] for name in ("alone", "full")]
    passed = next(k for k, v in enumerate(run.full.validation_accuracy, 1) if v > 90.66)
    apart = np.ptp(run.zero.W1, axis=0).max()
    saturated = 100 * np.mean(np.abs(run.too_high.z1 - 0.5) > 0.49)
    for text in (
        f"with hidden units makes {100 * wrong[1] / wrong[0]:.0f}.",
        f"images after epoch {passed}.",
        f"differ by at most {apart:.1e}.",
        f"{saturated:.1f} % of the hidden values",
    ):
        assert text in run.printed(), f"wanted: {text}"


@check_of("1")
def the_snapshots_are_those_of_the_full_training(run: Run) -> None:
    epochs = run.events.epochs(run.full)
    assert list(run.frames) == [0, 1, 2, 5, 10, 100], f"frames {list(run.frames)}"
    for epoch in (1, 2, 5, 10, 100):
        equal(run.frames[epoch], epochs[epoch - 1].parameters["W1"], f"snapshot {epoch}", 1e-6)
    first = epochs[0].parameters["W1"]
    blank = ~run.digits.train.images.any(axis=0)
    equal(run.frames[0][:, blank], first[:, blank], "the first snapshot")
    assert 0 < np.abs(run.frames[0] - first).max() < 1, "the first snapshot is no start"


@check_of("2")
def cnn_trainings_are_as_asked_and_told(run: Run) -> None:
    for name, n in (("mini", 2000), ("full", None)):
        network, history = getattr(run, f"myNet_{name}"), getattr(run, name)
        train = first_images(run.digits.train, n)
        follows(run, history, train, **cnn_settings())
        is_left_as_trained(run, network, history)
        accuracies_are_true(run, history, train, run.digits.validation)
    briefly = run.rival_before, run.cnn_before, run.rival_after, run.cnn_after
    epochs_are_told(run, run.mini, run.full, *briefly)


@check_of("2")
def trainings_that_isolate_convolution_are_as_asked_and_told(run: Run) -> None:
    original = {"train": run.digits.train.first(20_000), "validation": run.digits.validation}
    parts = original.values()
    order = _order_of_pixels(
        [part.images for part in parts], [run.permuted[name][0] for name in original]
    )
    assert (order != np.arange(784)).mean() > 0.9, "the pixels are hardly permuted"
    for name, part in original.items():
        for found, wanted in ((run.original, part.images), (run.permuted, part.images[:, order])):
            equal(found[name][0], wanted, f"{name} images")
            equal(found[name][1], part.labels, f"{name} labels")
    five = cnn_settings() | {"epochs": 5}
    for network, history, data in (
        (run.rival, run.rival_before, run.original),
        (run.small_cnn, run.cnn_before, run.original),
        (run.rival_permuted, run.rival_after, run.permuted),
        (run.cnn_permuted, run.cnn_after, run.permuted),
    ):
        follows(run, history, data["train"], **five)
        is_left_as_trained(run, network, history)
        accuracies_are_true(run, history, data["train"], data["validation"])
    for network in (run.rival, run.rival_permuted):
        shapes = [p.shape for name, p in parameters_of(network).items() if "weight" in name]
        assert shapes == [(47, 784), *3 * [(47, 47)], (10, 47)], f"the rival's layers {shapes}"
    for words, histories in (
        ("original", {"fully connected": run.rival_before, "CNN": run.cnn_before}),
        ("shuffled", {"fully connected": run.rival_after, "CNN": run.cnn_after}),
    ):
        for name, history in histories.items():
            says(run, f"{name}, {words} pixels", history.validation_accuracy[-1], 0)


def _order_of_pixels(original: list[Array], permuted: list[Array]) -> Array:
    """Where each pixel of `permuted` comes from; pixels that are always equal are exchangeable."""

    def columns(parts: list[Array]) -> list[bytes]:
        return [b"".join(part[:, k].tobytes() for part in parts) for k in range(784)]

    places = {column: k for k, column in enumerate(columns(original))}
    order = [places.get(column, -1) for column in columns(permuted)]
    assert -1 not in order, f"pixel {order.index(-1)} comes from nowhere"
    return np.array(order)


# ---- Notebook 1 -------------------------------------------------------------------------------


@check_of("1")
def the_first_cells_tell_the_truth(run: Run) -> None:
    digits, text = run.digits, run.printed()
    equal(run.x, digits.train.images[0], "x")
    equal(run.y, np.eye(10)[digits.train.labels[0]], "y")
    one_hot = " ".join(f"{value:.0f}." for value in np.eye(10)[digits.train.labels[0]])
    assert f"y: [{one_hot}] for the digit {digits.train.labels[0]}\n" in text, "y is not printed"
    images, labels = first_images(digits.validation, None)
    untrained = percent_right(logits_of(run.network, images), labels)
    says(run, "MLP untrained, validation accuracy", untrained)
    images, labels = first_images(digits.train, 1000)
    probabilities = softmax(logits_of(run.network, images))
    loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert f"untrained network: {loss:.2f} nats" in text, f"the untrained loss is {loss:.2f}"


@check_of("1")
def gradients_are_right_and_their_judges_are_judges(run: Run) -> None:
    from checks import autograd_gradients, numerical_gradients
    from helpers.mlp import MLP

    images, labels = run.digits.train.images[:32].astype(float), run.digits.train.labels[:32]
    true = mlp_gradients(parameters_of(run.exact), images, labels)
    for name, values in true.items():
        equal(run.gradients[name], values, f"gradient of {name}", 1e-9)

    class Wrong(MLP):
        def update_grad(self, y: Array) -> None:
            for name in true:
                setattr(self, f"{name}_grad", np.full(getattr(self, name).shape, 7.0))

    few, labels = images[:3, 336:448], labels[:3]  # four rows: differences are slow
    network = Wrong(112, n_hidden=2, seed=1, dtype=np.float64)
    true = mlp_gradients(parameters_of(network), few, labels)
    for judge in (numerical_gradients, autograd_gradients):
        for name, values in judge(network, few, np.eye(10)[labels]).items():
            equal(values, true[name], f"{judge.__name__} of {name}", 1e-6)


@check_of("1")
def the_relative_differences_are_those_of_the_gradients(run: Run) -> None:
    """Every line of compare_gradients: what is right, and the planted mistake of one per cent."""
    lines = re.findall(
        r"^(\w+)_grad against ([\w ]+): relative difference (\S+), (\w+)$", run.printed(), re.M
    )
    verdicts = [(name, oracle, float(d) < 1e-7, word) for name, oracle, d, word in lines]
    names, oracles = ("W1", "b1", "W2", "b2"), ("central differences", "autograd")
    right = [(name, oracle, True, "right") for oracle in oracles for name in names]
    planted = [
        (name, oracle, name != "W1", "suspicious" if name == "W1" else "right")
        for oracle in oracles
        for name in names
    ]
    assert verdicts == right + planted, f"the judges say {verdicts}"


@check_of("1")
def saved_networks_are_the_trained_ones(run: Run) -> None:
    for name in ("full", "mini"):
        trained = parameters_of(getattr(run, f"mlp_{name}"))
        loaded = parameters_of(getattr(run, f"saved_{name}"))
        for parameter, values in trained.items():
            equal(loaded[parameter], values, f"loaded {parameter} of {name}")
            file = np.load(run.weights / f"mlp_{name}_{parameter}.npy", allow_pickle=False)
            equal(file, values, f"{parameter} of {name} on file")


@check_of("1")
def mlp_verdicts_are_on_what_they_name(run: Run) -> None:
    _verdicts_on_histories(run, "MLP")
    for name in ("full", "mini"):
        logits = logits_of(getattr(run, f"mlp_{name}"), run.digits.test.images)
        says(run, f"MLP {name}, test accuracy", percent_right(logits, run.digits.test.labels))
    probabilities = softmax(logits_of(run.mlp_full, run.digits.test.images))
    equal(run.probabilities, probabilities, "probabilities of the test images", 1e-4)
    equal(run.counts, confusion(run.digits.test.labels, run.probabilities), "confusion matrix")
    _hardest_digits_are_told(run, "MLP", run.counts)


def _verdicts_on_histories(run: Run, network: str) -> None:
    gaps = {}
    for name in ("mini", "full"):
        history = getattr(run, name)
        training, validation = history.train_accuracy[-1], history.validation_accuracy[-1]
        gaps[name] = training - validation
        says(run, f"{network} {name}, training accuracy", training, 0)
        says(run, f"{network} {name}, validation accuracy", validation, 0)
        says(run, f"{network} {name}, gap", gaps[name], 0)
    more, less = sorted(gaps, key=lambda name: -gaps[name])
    told = f"{more} over-fits more: it is {gaps[more]:.1f} points better"
    assert told in run.printed(), f"wanted: {told}"
    assert f"{less} only {gaps[less]:.1f} points." in run.printed(), f"gap of {less}"


def confusion(labels: Array, probabilities: Array) -> Array:
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
    return counts


def _hardest_digits_are_told(run: Run, network: str, counts: Array) -> None:
    """Every "digit 9: 95.7 % right, most often taken for 4 (12 images)", and their order."""
    pattern = r"digit (\d): (\S+) % right, most often taken for (\d) \((\d+) images\)"
    told = re.findall(pattern, run.printed())
    assert len(told) >= 3, "the hardest digits are not told"
    recalls = 100 * counts.diagonal() / counts.sum(axis=1)
    equal(
        [float(t[1]) for t in told], [round(recalls[int(t[0])], 1) for t in told], "recalls", 0.06
    )
    ranked = sorted(recalls)
    wanted = ranked[:3] + ranked[-1:] * (len(told) - 3)
    equal([recalls[int(t[0])] for t in told], wanted, "the ranking of the digits", 1e-9)
    for digit, _, other, times in told:
        row = np.delete(counts[int(digit)], int(digit))
        equal([int(times), counts[int(digit), int(other)]], [row.max()] * 2, "taken for")
        assert digit != other, f"{digit} taken for itself"
    says(run, f"{network} full, hardest digit", ranked[0], 0)
    _the_ranking_is_as_sure_as_told(run, counts)


def _the_ranking_is_as_sure_as_told(run: Run, counts: Array) -> None:
    """The sentence on the hardest digit, and on those that are about as hard."""
    n = counts.sum(axis=1)
    p = counts.diagonal() / n
    first, spread = int(np.argmin(p)), p * (1 - p) / n
    near = np.flatnonzero((p - p[first]) ** 2 <= 4 * (spread + spread[first]))
    told = re.findall(
        r"(\d) is right in (\S+) % of (\S+) images, ± (\S+) points (.*)", run.printed()
    )
    assert len(told) == 1, f"{len(told)} sentences on the hardest digit"
    digit, percent, images, error, rest = told[0]
    wanted = [
        str(first),
        f"{100 * p[first]:.1f}",
        f"{n[first]:,}",
        f"{100 * spread[first] ** 0.5:.1f}",
    ]
    assert [digit, percent, images, error] == wanted, f"{told[0]}, wanted {wanted}"
    others = [int(k) for k in re.findall(r"\d", rest.partition("difference:")[2])]
    equal(sorted(others), sorted(set(near) - {first}), "what is about as hard")
    equal([p[k] for k in others], sorted(p[k] for k in others), "their order")


@check_of("1")
def blank_pixels_are_counted_and_untouched(run: Run) -> None:
    blank = ~run.digits.train.images.any(axis=0)
    assert f"{blank.sum()} of 784 pixels never have ink." in run.printed(), f"{blank.sum()} blank"
    first, *_, last = (epoch.parameters["W1"] for epoch in run.events.epochs(run.full))
    equal(last[:, blank], first[:, blank], "weights of blank pixels")
    assert (last[:, ~blank] != first[:, ~blank]).any(), "no weight was ever touched"


def claims(run: Run, wanted: dict[str, bool]) -> None:
    """Assert that the sentences which the notebook ends with True or False are these."""
    printed = dict(re.findall(r"^(.*): (True|False)$", run.printed(), re.M))
    told = {sentence: answer == "True" for sentence, answer in printed.items()}
    assert told == wanted, f"{told}, wanted {wanted}"


def same_parameters(one: Any, other: Any) -> bool:
    """Whether two networks are the same to the last bit."""
    p, q = parameters_of(one), parameters_of(other)
    return all(np.array_equal(p[name], q[name]) for name in p)


IDENTICAL = "The probabilities of all 10,000 test images are identical"


@check_of("1")
def the_claims_of_notebook_1_hold(run: Run) -> None:
    blank = ~run.digits.train.images.any(axis=0)
    first, *_, last = (epoch.parameters["W1"] for epoch in run.events.epochs(run.full))
    untouched = "Their weights are exactly as they were at the start"
    wanted = {
        IDENTICAL: same_parameters(run.saved_full, run.mlp_full),
        "Two linear layers are one linear layer": True,
        "With the sigmoid between them as well": False,
        "The loss is finite all the way": bool(np.isfinite(run.jumping.loss).all()),
        "0.001 on the sum is the same step as 0.256 on the mean": True,
    }
    claims(run, wanted | {untouched: np.array_equal(first[:, blank], last[:, blank])})


@check_of("2")
def the_claims_of_notebook_2_hold(run: Run) -> None:
    wanted = {
        IDENTICAL: same_parameters(run.myNet_full_loaded, run.myNet_full),
        "PyTorch's step is notebook 1's": True,
        "In training mode it gives the same twice": False,
        "In evaluation mode it gives the same twice": True,
    }
    claims(run, wanted | {f"{layer}, as convolve does": True for layer in CONVOLUTIONS})


CONVOLUTIONS = (
    "Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1)) gives (6, 8, 11)",
    "Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1)) gives (16, 8, 11)",
    "Conv2d(3, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)) gives (4, 6, 8)",
)


@check_of("2")
def both_libraries_take_the_same_step(run: Run) -> None:
    images, labels = first_images(run.digits.train, 256)
    equal(run.targets, np.eye(10)[labels], "targets of the step")
    start = dict(zip(("W1", "b1", "W2", "b2"), run.start, strict=True))
    gradients = mlp_gradients(start, images, labels)
    for name, twin in zip(start, parameters_of(run.twin).values(), strict=True):
        wanted = start[name] - 1e-3 * gradients[name]
        equal(getattr(run.by_hand, name), wanted, f"{name} after notebook 1's step", 1e-5)
        equal(twin, wanted, f"{name} after PyTorch's step", 1e-5)


@check_of("2")
def revealed_results_are_those_of_the_run(run: Run) -> None:
    labels = run.digits.test.labels
    mlp_errs, cnn_errs = run.mlp_says != labels, run.probabilities.argmax(axis=1) != labels
    gap = run.full.gap() - run.mini.gap()
    lead = run.cnn_after.validation_accuracy[-1] - run.rival_after.validation_accuracy[-1]
    black = _black_maps(run, 500)
    wanted = [
        "the bottom row",
        "41,854 of 44,426 in the three fully connected layers, 94 %",
        "it doubles",
        f"{run.mini.validation_accuracy[-1]:.1f} %",
        "as wide, within half a point" if abs(gap) < 0.5 else "wider" if gap > 0 else "narrower",
        f"{cnn_errs.sum():,}",
        f"{black.all(axis=0).sum()} of 22 ({black[0].sum()} in Figure 6)",
        f"{100 * (cnn_errs & ~mlp_errs).sum() / max(1, cnn_errs.sum()):.0f}",
        f"{run.by_shift['CNN'][3]:.1f} %",
        "the fully connected network" if lead < 0 else "the CNN",
    ]
    told = re.findall(r"^The result: (.*)$", run.printed(), re.M)
    assert told == wanted, f"revealed {told}, wanted {wanted}"


def _black_maps(run: Run, n: int) -> Array:
    """Which of all 22 maps are 0 everywhere, for each of the first `n` test images."""
    layers = cnn_maps(parameters_of(run.myNet_full), run.digits.test.images[:n])
    return np.hstack([(maps.amax(dim=(2, 3)) <= 0).numpy() for maps in layers])


@check_of("1", "2")
def the_page_holds_these_networks(run: Run) -> None:
    page = (run.figures / "playground.html").read_text(encoding="utf-8")
    data = json.loads(re.findall(r'id="networks">(.*?)</script>', page, re.S)[0])
    mlp = parameters_of(run.names.get("saved_full", run.names.get("mlp")))
    for name, values in mlp.items():
        equal(_unpacked(data["mlp"][name]), values, f"the page's {name}")
    for digit, sample in enumerate(data["samples"]):
        first = int(np.flatnonzero(run.digits.test.labels == digit)[0])
        equal(_unpacked(sample), run.digits.test.images[first], f"the page's sample {digit}")
    if "myNet_full_loaded" in run.names:
        layers = {layer["name"]: layer for layer in data["cnn"]}
        for name, values in parameters_of(run.myNet_full_loaded).items():
            _, layer, kind = name.split(".")
            equal(_unpacked(layers[layer][kind]), values, f"the page's {layer} {kind}")


def _unpacked(packed: dict[str, Any]) -> Array:
    return np.frombuffer(b64decode(packed["base64"]), "<f4").reshape(packed["shape"])


# ---- Notebook 2 -------------------------------------------------------------------------------


@check_of("2")
def the_reloaded_network_is_the_trained_one(run: Run) -> None:
    file = torch.load(run.weights / "myNet_full.pth", weights_only=True)
    loaded = parameters_of(run.myNet_full_loaded)
    for name, values in parameters_of(run.myNet_full).items():
        equal(loaded[name], values, f"reloaded {name}")
        equal(file[name].numpy(), values, f"{name} on file")


@check_of("2")
def cnn_verdicts_are_on_what_they_name(run: Run) -> None:
    _verdicts_on_histories(run, "CNN")
    test = run.digits.test
    for name in ("full", "mini"):
        logits = logits_of(getattr(run, f"myNet_{name}"), test.images)
        says(run, f"CNN {name}, test accuracy", percent_right(logits, test.labels))
    logits = logits_of(run.myNet_full, test.images)
    equal(run.probabilities, softmax(logits), "probabilities of the test images", 1e-4)
    equal(run.cnn_says, run.probabilities.argmax(axis=1), "what the CNN says")
    mlp_logits_ = logits_of(run.mlp, test.images)
    share = (run.mlp_says == mlp_logits_.argmax(axis=1)).mean()
    assert share > 0.999, f"what the MLP says: {share:.2%} agree"
    for name, said in (("mlp", run.mlp_says), ("cnn", run.cnn_says)):
        counts = confusion(test.labels, np.eye(10)[said])
        equal(getattr(run, f"{name}_counts"), counts, f"confusion matrix of the {name}")
    _hardest_digits_are_told(run, "CNN", run.cnn_counts)


@check_of("2")
def the_mlp_of_notebook_1_is_trained(run: Run) -> None:
    test = run.digits.test
    cnn = percent_right(logits_of(run.myNet_full, test.images), test.labels)
    mlp = percent_right(logits_of(run.mlp, test.images), test.labels)
    assert mlp > cnn - 10, f"the MLP reads {mlp:.1f} % rightly, the CNN {cnn:.1f} %"
    if steps := run.events.steps.get(run.mlp):  # it was trained here, not loaded
        seen = sum(step.pixels for step in steps) / run.digits.train.images.sum(dtype=float)
        equal(seen, MLP_SETTINGS["epochs"], "how often the MLP has seen all images", 1e-3)
        assert {step.settings for step in steps} == {MLP_SETTINGS["settings"]}, "its settings"
    else:
        for name, values in parameters_of(run.mlp).items():
            file = np.load(run.weights / f"mlp_full_{name}.npy", allow_pickle=False)
            equal(values, file, f"{name} of the MLP")


@check_of("2")
def shifted_digits_are_read_as_told(run: Run) -> None:
    test = run.digits.test
    for name, network in (("fully connected", run.rival), ("CNN", run.small_cnn)):
        told = run.by_shift[name]
        assert len(told) == 7, f"{len(told)} shifts"
        for step in range(7):
            ways = [(step, 0), (-step, 0), (0, step), (0, -step)][: 4 if step else 1]
            right = [
                percent_right(logits_of(network, _shifted(test.images, *way)), test.labels)
                for way in ways
            ]
            equal(told[step], np.mean(right), f"{name} at a shift of {step}", SLACK)
        says(run, f"{name}, shift of 3 pixels", told[3], 0)


def _shifted(images: Array, down: int, right: int) -> Array:
    """Move the pictures by up to six pixels: cut them out of a frame of zeros, off its middle."""
    framed = np.pad(images.reshape(-1, 28, 28), ((0, 0), (6, 6), (6, 6)))
    return framed[:, 6 - down : 34 - down, 6 - right : 34 - right].reshape(-1, 784)


@check_of("2")
def images_are_sorted_by_who_errs(run: Run) -> None:
    labels = run.digits.test.labels
    mlp_errs, cnn_errs = run.mlp_says != labels, run.cnn_says != labels
    wanted = {
        "both right": ~mlp_errs & ~cnn_errs,
        "only MLP wrong": mlp_errs & ~cnn_errs,
        "only CNN wrong": ~mlp_errs & cnn_errs,
        "both wrong": mlp_errs & cnn_errs,
    }
    for name, which in wanted.items():
        equal(run.outcome[name], np.flatnonzero(which), name)
