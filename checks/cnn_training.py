"""The check of trainNN: its steps, its history and what it leaves behind."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from checks import crowd
from checks.album import DIGITS, FIRST_VALIDATION, Album, Easy, LabelledImages, album_of
from checks.asking import StudentError, ask, quiet
from checks.check import Part, check
from checks.cnn_evaluation import NO_EVAL, PARTLY
from checks.cnn_spies import (
    N_COUNTED,
    RATE,
    SETTINGS,
    STEEP,
    CountingNet,
    CountingOptimizer,
    SpyLoss,
    SpyNet,
    SpyOptimizer,
    logits_of,
)
from checks.comparison import distance
from checks.contract import other_seeds
from checks.faults import Fault
from checks.history import (
    judge_history,
    judge_interrupted,
    judge_others,
)
from checks.rules import judge_seed, judge_steps, judge_stopping, other_batches
from checks.source import beside, made_anew, plain_function
from checks.spies import OWN_GRADIENT, Finding, Note, Plan, Step, step_of, untouched
from checks.training import plan_of
from checks.verdicts import Exercise, Verdict

TRAIN_NN = Exercise("trainNN")

SOFTMAX_FIRST = Fault(
    "softmax before loss", "softmax is applied before the cross-entropy, which applies it itself.",
    "Pass the network's logits to the criterion as they are.",
)  # fmt: skip
SWAPPED = Fault(
    "arguments swapped", "logits and labels are swapped.", "The order is criterion(logits, labels)."
)
ONE_HOT_TARGETS = Fault(
    "one-hot targets",
    "the criterion is given rows of numbers in place of labels, which not every criterion takes.",
    "Pass the labels on as they come.",
)
UNSEEDED = Fault(
    "unseeded", "the order does not come from a generator made with the seed.",
    "Shuffle with `torch.Generator().manual_seed(seed)`, made once before the loop.",
)  # fmt: skip
NO_TRAIN = Fault(
    "train forgotten", "the network is still in evaluation mode when it is trained.",
    "Call network.train() at the start of each epoch.",
)  # fmt: skip
NO_ZERO_GRAD = Fault(
    "no zero_grad", "the gradients hold those of the batches before: zero_grad is missing.",
    "Call optimizer.zero_grad() for each batch, before loss.backward().",
)  # fmt: skip
ORDER = "Order: zero_grad, forward, loss, backward, step."
NO_BACKWARD = Fault(
    "no backward", "the step finds no gradient: backward is missing or comes later, or zero_grad "
    "stands between.", ORDER,
)  # fmt: skip
STEP_FIRST = Fault(
    "step before backward",
    "the step uses the gradient of the batch before: it comes before backward.", ORDER,
)  # fmt: skip
OTHER_OPTIMIZER = Fault(
    "another optimizer",
    "the weights are changed by something else than the optimizer that was passed in.",
    "Call `optimizer.step()` of the argument; make no optimizer here, and change no weights.",
)
HISTORY_KEPT = Fault(
    "history kept", "a loss is kept as the tensor that `backward` was called on, and with it its "
    "whole history.", "Add up `loss.item()`, or `loss.detach()` times the number of images.",
)  # fmt: skip
OTHER_SETTINGS = Fault(
    "property", "settings or memory of the optimizer are changed: they belong to the one who made "
    "it.", "Leave `optimizer.param_groups` and `optimizer.state` as they came.",
)  # fmt: skip
MINI = 2000


@check(TRAIN_NN)
def check_trainNN(trainNN: Callable[..., Any], *, seed: int = 0) -> Iterator[Verdict | Part]:
    """Train a spy in place of Net, and read from its notes what the loop did."""
    plan = plan_of(seed, RATE)
    given = plan.data()
    network, optimizer, criterion, history = _train(trainNN, plan, seed, data=given)
    yield from untouched(TRAIN_NN, given, plan.data())
    steps = net_steps(network.notes, _mixes(network, optimizer))
    findings = (
        _loss_input(network.notes), _strangers_step(network, optimizer), _gradient_finding(steps)
    )  # fmt: skip
    if finding := next(filter(None, findings), None):
        yield TRAIN_NN.wrong("steps", *finding)
    yield from judge_steps(TRAIN_NN, network.notes, steps, plan)
    yield _modes(network.notes)
    memory = _memory(criterion)
    if not memory.passed:
        yield memory  # such losses are often no numbers for the history either
    retrain = partial(_retrain, trainNN, seed)
    yield partial(judge_history, TRAIN_NN, history, plan, steps, retrain)
    again = partial(_steps_again, trainNN)
    yield partial(judge_seed, TRAIN_NN, again, plan, other_seeds(trainNN), UNSEEDED)
    yield partial(judge_others, TRAIN_NN, plan, retrain)
    yield memory
    yield partial(_sizes, trainNN, seed)
    yield judge_stopping(TRAIN_NN, retrain, plan, seed)
    yield partial(judge_interrupted, TRAIN_NN, trainNN, retrain, plan, seed)
    yield partial(_train_epoch, trainNN, plan)
    yield partial(_by_default, trainNN, plan, seed)
    if crowd.is_due(trainNN, seed):
        yield partial(crowd.judge_crowd, TRAIN_NN, partial(_count, trainNN), N_COUNTED)


def _count(trainNN: Callable[..., Any], train: LabelledImages) -> tuple[Any, NDArray[np.integer]]:
    network = CountingNet()
    optimizer, few = CountingOptimizer(network), crowd.images_of(crowd.N_VALIDATION)
    history = ask(
        "trainNN(network, optimizer, epochs, criterion, …)",
        trainNN, network, optimizer, 1, nn.CrossEntropyLoss(),
        train=train, validation=few, batch_size=22,
    )  # fmt: skip
    return history, optimizer.times


OF_MNIST = Fault(
    "no data given", "the training goes wrong where no data are passed in, and those of "
    "`load_mnist` take their place.", "Use the tensors that the given lines have prepared, in "
    "place of the arguments `train` and `validation`.",
)  # fmt: skip


def _by_default(trainNN: Callable[..., Any], plan: Plan, seed: int) -> Iterator[Verdict]:
    """See that a training without data is one of what load_mnist gives."""
    plain = plain_function(trainNN)
    if plain is None or "load_mnist" not in plain.__globals__:
        return
    train, validation = plan.data()
    digits = SimpleNamespace(train=train, validation=validation)
    with mock.patch.dict(plain.__globals__, load_mnist=lambda: digits):
        try:
            network, *_ = _train(trainNN, plan, seed, data=(None, None))
        except StudentError as error:
            yield TRAIN_NN.error(error, OF_MNIST)
            return
    for verdict in judge_steps(TRAIN_NN, network.notes, net_steps(network.notes), plan):
        if not verdict.passed:
            yield replace(verdict.by(OF_MNIST), part=f"{verdict.part}, with no data passed in")
            return


USED_UP = Fault(
    "batches used up", "all batches are taken from the iterator, which gives each of them only "
    "once, and no image goes forward.", "Take the step of each batch in the one loop over "
    "`batches`, and count the images there.",
)  # fmt: skip
OTHER_BATCHES = Fault(
    "property", "the batches that `batches` gives are not those of the steps.",
    "Let each turn of the loop over `batches` take one step, with what it gives.",
)  # fmt: skip


def _train_epoch(trainNN: Callable[..., Any], plan: Plan) -> Iterator[Verdict]:
    """See that train_epoch takes its batches from any iterator."""
    arguments = ("network", "optimizer", "criterion", "batches")
    train_epoch = beside(trainNN, "train_epoch", arguments)
    if train_epoch is None:
        return
    network, (images, labels) = SpyNet(plan.album).eval(), plan.data()[0]
    pictures, digits = torch.tensor(images).reshape(-1, 1, 28, 28), torch.tensor(labels)
    rows = torch.arange(len(images)).split(plan.batch_size)
    batches = ((pictures[each], digits[each]) for each in rows)
    spies = network, SpyOptimizer.of(network), SpyLoss(network)
    with quiet(), contextlib.suppress(NotImplementedError):
        ask("train_epoch(network, optimizer, criterion, batches)", train_epoch, *spies, batches)
        steps = net_steps(network.notes)
        all_taken = next(batches, None) is None
        fault = USED_UP if all_taken and not network.notes else OTHER_BATCHES
        if finding := other_batches(steps, [each.tolist() for each in rows], fault):
            yield TRAIN_NN.wrong("train_epoch", *finding)


def _steps_again(trainNN: Callable[..., Any], seed: int, plan: Plan) -> list[Step]:
    torch.rand(7)  # a training that draws from the global generator differs after this
    return _retrain(trainNN, seed, plan)[1]


def _retrain(
    trainNN: Callable[..., Any],
    seed: int,
    plan: Plan,
    full_data: bool = True,
    afresh: bool = False,
) -> tuple[Any, list[Step]]:
    trainNN = made_anew(trainNN) if afresh else trainNN
    network, _, _, history = _train(trainNN, plan, seed, full_data)
    return history, net_steps(network.notes)


def _train(
    trainNN: Callable[..., Any],
    plan: Plan,
    seed: int,
    full_data: bool = True,
    data: tuple[LabelledImages | None, LabelledImages | None] | None = None,
) -> tuple[SpyNet, SpyOptimizer, SpyLoss, Any]:
    train, validation = data or plan.data()
    network = SpyNet(plan.album).eval()  # a loop that forgets train() is seen at once
    optimizer, criterion = SpyOptimizer.of(network), SpyLoss(network)
    with quiet():
        history = ask(
            "trainNN(network, optimizer, epochs, criterion, …)",
            trainNN, network, optimizer, plan.n_epochs, criterion, full_data,
            train=train,
            validation=validation,
            batch_size=plan.batch_size,
            seed=seed,
        )  # fmt: skip
    return network, optimizer, criterion, history


def net_steps(notes: Sequence[Note], mixes: Sequence[Any] = ()) -> list[Step]:
    """Read the steps of a training from the notes of a SpyNet, its loss and its optimizer.

    `mixes` tell how often each takes the gradient of each call of the criterion, if that is known.
    """
    steps: list[Step] = []
    calls = _calls(notes)
    for (stop, n_before, n_calls), mix in zip_longest(_stops(notes, calls), mixes):
        clean = (0.0,) * n_before + (1.0,) * (n_calls - n_before)
        pairs = [(call.images, call.labels) for call in calls[:n_calls]]
        mixed = mix if mixes else clean
        steps.append(step_of(pairs, n_before, mixed, notes[stop].rate, ""))
    return steps


class LossCall(NamedTuple):
    """A call of the criterion: its place in the notes, its images and labels, the steps before."""

    place: int
    images: tuple[int, ...]
    labels: tuple[int, ...]
    n_steps: int


def _calls(notes: Sequence[Note]) -> list[LossCall]:
    calls: list[LossCall] = []
    images: tuple[int, ...] = ()
    n_steps = steps_before = 0
    for place, note in enumerate(notes):
        n_steps += note.call == "step"
        if note.call == "forward":
            images, steps_before = note.images, n_steps
        elif note.call == "criterion":
            calls.append(LossCall(place, note.images or images, note.labels, steps_before))
    return calls


def _stops(notes: Sequence[Note], calls: Sequence[LossCall]) -> Iterator[tuple[int, int, int]]:
    """Yield the place of each step, and how many calls came up to the step before and to it."""
    n_before = 0
    for place, note in enumerate(notes):
        if note.call == "step":
            n_calls = sum(call.place < place for call in calls)
            yield place, n_before, n_calls
            n_before = n_calls


def _mixes(network: SpyNet, optimizer: SpyOptimizer) -> list[tuple[float, ...] | None]:
    """Return, for each step, how often it takes the gradient of each call, None if nobody knows."""
    calls, mixes = _calls(network.notes), []
    own = np.array([_gradient(network.album, call) for call in calls]).reshape(-1, DIGITS)
    stops = _stops(network.notes, calls)
    for (_, n_before, n_calls), gradient in zip(stops, optimizer.gradients, strict=True):
        used = np.zeros(DIGITS) if gradient is None else np.array(gradient)
        sizes = [len(call.images) for call in calls[n_before:n_calls]]
        mixes.append(_mix(used, own[:n_calls], sizes))
    return mixes


N_MIXED = 8  # gradients, one less than can be told apart by ten numbers whose sum is 0


def _mix(used: NDArray[Any], parts: NDArray[Any], sizes: Sequence[int]) -> tuple[float, ...] | None:
    """Return the numbers by which gradients are multiplied to give the one used.

    Of the last calls, whose `sizes` are those of the step's own, the mean over all images is 1 of
    each.
    """
    n_calls, n_own = len(parts), len(sizes)
    each, last = np.eye(n_calls)[::-1], parts[-N_MIXED:]
    shares = np.zeros(n_calls)
    shares[n_calls - n_own :] = np.array(sizes) / max(1, sum(sizes))
    for mix in (*each[:n_own], shares, *np.cumsum(each, axis=0)):
        if _alike(used, mix @ parts):
            # The sum over pieces of a batch is so much more than the mean over its images.
            more = mix.sum() if mix.sum() == n_own > 1 else 1.0
            return tuple(np.where(mix > 0, more, 0.0).tolist())
    mix = np.round(np.linalg.lstsq(last.T, used, rcond=None)[0], 3)
    if not _alike(used, mix @ last):
        return None
    return tuple(np.append(np.zeros(n_calls - len(last)), mix).tolist())


def _loss_input(notes: Sequence[Note]) -> Finding | None:
    """See that the criterion was given logits and labels."""
    states = {note.state for note in notes if note.call == "criterion"}
    if "swapped" in states:
        return Finding("labels in place of the logits.", "criterion(logits, labels).", SWAPPED)
    if states & {"probabilities", "logarithms"}:
        found = "rows that were through softmax already."
        return Finding(found, "the logits of the network.", SOFTMAX_FIRST)
    if "one-hot" in states:
        return Finding("a row of targets for each image.", "the labels (B,).", ONE_HOT_TARGETS)
    return None


def _strangers_step(network: SpyNet, optimizer: SpyOptimizer) -> Finding | None:
    """See that nothing else changes weights or settings; the one passed in leaves them."""
    if network.is_changed:
        return Finding(
            "steps of another optimizer.", "steps of the one passed in.", OTHER_OPTIMIZER
        )
    group = optimizer.param_groups[0]
    changed = [name for name, value in SETTINGS.items() if group.get(name) != value]
    if changed or len(optimizer.param_groups) > 1 or len(optimizer.state) != 1:
        found = f"other settings: {', '.join(changed) or 'more parameters, or another state'}."
        return Finding(found, "the settings of the optimizer as they came.", OTHER_SETTINGS)
    return None


def _gradient_finding(steps: Sequence[Step]) -> Finding | None:
    """See that each step used the gradient of its own batch, and of no other."""
    if not all(step.images for step in steps):
        return None  # a step without a loss of its own, of which the steps tell more
    stories = [step.gradient for step in steps]
    if "reset" in stories:
        found = f"no gradient in {stories.count('reset')} of {len(steps)} steps."
        late = "late" in stories
        return Finding(found, OWN_GRADIENT, STEP_FIRST if late else NO_BACKWARD)
    if "added to" in stories:
        found = "gradients that grow from step to step."
        return Finding(found, OWN_GRADIENT, NO_ZERO_GRAD)
    return None


def _gradient(album: Album, call: LossCall) -> Any:
    """Return the gradient (10,) of the mean cross-entropy of a batch, by autograd."""
    if not call.images or len(call.images) != len(call.labels):
        return np.zeros(DIGITS)
    weight = torch.zeros(DIGITS, requires_grad=True)
    logits = logits_of(album, np.array(call.images), call.n_steps) + STEEP * weight
    loss = functional.cross_entropy(logits, torch.tensor(call.labels))
    return torch.autograd.grad(loss, weight)[0].numpy()


def _alike(found: Any, wanted: Any) -> bool:
    return distance(found, np.asarray(wanted)) < 1e-4


def _modes(notes: Sequence[Note]) -> Verdict:
    """See that the network trains in training mode and is evaluated in evaluation mode."""
    trained = False
    for number, note in enumerate(notes):
        following = notes[number + 1 : number + 3]
        trains = [each.call for each in following] == ["criterion", "step"]
        validates = note.call == "forward" and note.images[0] >= FIRST_VALIDATION
        if note.call == "forward" and note.state == "partly" and (trains or validates):
            return TRAIN_NN.wrong("mode", *PARTLY)
        if note.call == "forward" and trains and note.state == "evaluating":
            return TRAIN_NN.wrong("mode", "evaluation mode in training.", "train().", NO_TRAIN)
        if validates and note.state == "training":
            return TRAIN_NN.wrong("mode", "training mode in evaluation.", "eval().", NO_EVAL)
        trained = trained or trains
    return TRAIN_NN.right("mode")


def _memory(criterion: SpyLoss) -> Verdict:
    """See that a loss is let go once its batch is done; the one before may still be there."""
    if criterion.n_kept <= 2:
        return TRAIN_NN.right("memory")
    found = f"{criterion.n_kept} losses with their history at once."
    return TRAIN_NN.wrong("memory", found, "that of one batch at a time.", HISTORY_KEPT)


def _sizes(trainNN: Callable[..., Any], seed: int) -> Iterator[Verdict | Part]:
    """See that full_data chooses between all images and the first 2,000."""
    for full_data, wanted in ((False, MINI), (True, MINI + 80)):
        album = album_of(seed + 1) if full_data else Easy(seed + 1)
        plan = Plan(MINI + 80, 520, 1, RATE, album, n_validation=1010 if full_data else MINI + 90)
        network, optimizer, _, history = _train(trainNN, plan, seed, full_data)
        steps = net_steps(network.notes, _mixes(network, optimizer))
        used = {number for step in steps for number in step.images}
        if used != set(range(wanted)):
            cause = Fault(
                "full_data ignored",
                "the argument full_data does not choose the images.",
                "Take all images if full_data, else the first 2,000.",
            )
            found = f"{len(used)} images with full_data={full_data}."
            yield TRAIN_NN.wrong("full_data", found, f"the first {wanted}.", cause)
            return
        plan = plan._replace(n_images=wanted)
        for verdict in judge_steps(TRAIN_NN, network.notes, steps, plan):
            if not verdict.passed:
                yield replace(verdict, part=f"{verdict.part}, {wanted} images")
                return
        again = partial(_retrain, trainNN, seed, full_data=full_data)
        yield from judge_history(TRAIN_NN, history, plan, steps, again, f", {wanted} images")
    yield TRAIN_NN.right("full_data")
