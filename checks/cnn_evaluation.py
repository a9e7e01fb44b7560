"""The check of evaluate and test_accuracy."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from checks import crowd
from checks.album import FIRST_VALIDATION, PIXELS, Album, album_of, numbers_of
from checks.asking import StudentError, ask
from checks.check import Part, check
from checks.cnn_spies import CountingNet, SpyNet, logits_of
from checks.comparison import CLOSE, distance
from checks.faults import NOTHING_RETURNED, Fault, Sample, asked_why
from checks.history import (
    MEANS_OF_BATCHES,
    PERCENTAGE_FAULTS,
    ROUNDED,
    judge_undecided,
    with_example,
)
from checks.source import plain_function
from checks.spies import Finding, Note, require_all_seen, untouched
from checks.training import percentage, right_accuracy
from checks.verdicts import Exercise, Verdict

EVALUATION = Exercise("evaluation", "test_accuracy")

NO_EVAL = Fault(
    "eval forgotten", "the network is still in training mode when it is evaluated.",
    "Call network.eval() before the evaluation.",
)  # fmt: skip
PARTLY = Finding("a network and a layer of it in different modes.", "one mode for both.", Fault(
    "mode of layers",
    "the parts of the network differ in mode, as `network.training = …` reaches no layer in it.",
    "Call `network.train()` and `network.eval()`, which reach all layers.",
))  # fmt: skip
TRAINS = Fault(
    "trains", "the network's parameters are changed, as by a step of training.",
    "Call the network, nothing else.",
)  # fmt: skip
STILL_GRADIENTS = Fault(
    "gradients kept", "the result still carries what backward would need: gradients are not "
    "switched off.", "Compute it within `with torch.inference_mode():` or `torch.no_grad()`.",
)  # fmt: skip
GRADIENTS_OFF = Fault(
    "gradients switched off", "gradients are not as they were before evaluate: they stay switched "
    "off, so that nothing can be trained any more, or are on where they were off.",
    "Use `with torch.inference_mode():`, which ends with its block.",
)  # fmt: skip
SWITCHED = Finding(
    "gradients are switched, in the whole program.", "as before: on, or off.", GRADIENTS_OFF
)
FROZEN = Fault(
    "frozen",
    "`requires_grad` is switched for the network's parameters, and is another after evaluate.",
    "Compute within `with torch.inference_mode():`, which leaves the parameters as they are.",
)
MODE_LOST = Fault(
    "mode not restored", "the network is left in another mode than the one in which it came.",
    "Note `network.training` first, and set it again at the end, by `network.train(…)`.",
)  # fmt: skip
MODE_LOST_BY_ERROR = Fault(
    "mode not restored",
    "when the network raises an error, the line that would restore its mode is not reached.",
    "Restore the mode under `finally:`, which is run whatever happens under `try:`.",
)
LOGITS_FAULTS = (
    *(Fault("softmax in evaluate", f"the logits went through {name}.",
            "Return the network's logits as they are.",
            lambda logits, name=name: getattr(functional, name)(torch.tensor(logits), 1).numpy())
      for name in ("softmax", "log_softmax")),
    Fault("digits returned", "the digits are returned in place of their logits.",
          "Leave argmax to those who call evaluate.",
          lambda logits: logits.argmax(axis=1)),
)  # fmt: skip


def right_evaluate(network: nn.Module, images: Any) -> Tensor:
    """Stand in for evaluate."""
    values = torch.as_tensor(np.array(images), dtype=torch.float32).reshape(-1, 1, 28, 28)
    mode = network.training
    with torch.inference_mode():
        logits: Tensor = network.eval()(values.to(next(network.parameters()).device))
    network.train(mode)
    return logits


def right_test_accuracy(network: nn.Module, images: Any, labels: Any) -> float:
    """Stand in for test_accuracy."""
    predicted = right_evaluate(network, images).argmax(dim=1).cpu().numpy()
    return round(right_accuracy(predicted, labels), 2)


@check(EVALUATION, stand_ins={"evaluate": right_evaluate, "test_accuracy": right_test_accuracy})
def check_evaluation(
    evaluate: Callable[..., Any], test_accuracy: Callable[..., float], *, seed: int = 0
) -> Iterator[Verdict | Part]:
    """See that `evaluate` gives logits, and `test_accuracy` the percentage of right digits."""
    album = album_of(seed)
    try:
        for n in (23, 1, 1003) if asked_why() else (1, 501 + seed % 9):
            yield from _evaluations(evaluate, album, n)
        yield EVALUATION.right("logits")
        if plain_function(evaluate):  # a network's mode elsewhere does not come back with an error
            for first in (FAILS_AT - 4, FAILS_AT - 599):  # the first part fails, or a later one
                verdict = _after_error(evaluate, album, first)
                if not verdict.passed:
                    yield verdict
            yield EVALUATION.right("mode after an error")
        yield partial(_test_accuracy, test_accuracy, album, seed)
    finally:
        torch.set_grad_enabled(True)  # whatever was done to it


def _evaluations(evaluate: Callable[..., Any], album: Album, n: int) -> Iterator[Verdict]:
    """See what evaluate makes of images in both modes: flat ones first, then others as tensors."""
    for training, first in ((True, 2000), (False, 500)):
        network, (given, _) = SpyNet(album).train(training), album.images(first, n)
        network.bias.requires_grad_(training)  # the second time, it is frozen
        images = given.copy() if training else torch.tensor(given).reshape(-1, 1, 28, 28)
        call = "evaluate(network, images)" + ("" if training else " with images as a tensor")
        with torch.set_grad_enabled(training):  # the second time, they are off already
            logits = ask(call, evaluate, network, images)
            switched = torch.is_grad_enabled() != training
        yield from _evaluated(network, logits, album, np.arange(first, first + n), training)
        if switched:
            yield EVALUATION.wrong("gradients, afterwards", *SWITCHED)
        now = np.asarray(images).reshape(-1, PIXELS)
        yield from untouched(EVALUATION, [(now, now)], [(given, given)])
        yield from _asked_again(evaluate, network, images, logits)


STALE = Fault(
    "stale", "with other weights, the same images give the same logits as before: they are kept.",
    "Compute everything anew in each call, with the network as it is then.",
)  # fmt: skip


def _asked_again(
    evaluate: Callable[..., Any], network: SpyNet, images: Any, before: Any
) -> Iterator[Verdict]:
    """See that the very same images, after a step, give the logits of the new weights."""
    numbers = numbers_of(images)
    with torch.no_grad():
        network.bias.add_(1)  # as the step does
    network.notes[:] = [Note("step")]
    part, call = "logits, after a step", "evaluate(network, images), after a step"
    found = EVALUATION.numbers(part, ask(call, evaluate, network, images))
    if distance(found, EVALUATION.numbers(part, before)) < CLOSE:
        yield EVALUATION.wrong(part, "those from before the step.", "others.", STALE)
    require_all_seen(EVALUATION, network.notes, len(numbers))
    wanted = logits_of(network.album, numbers, 1).numpy()
    verdict = EVALUATION.judge(part, [Sample(found, wanted, (wanted,))], LOGITS_FAULTS)
    if not verdict.passed:
        yield verdict


NO_TENSOR = Fault(
    "no tensor", "the numbers are right, but no tensor comes back, which trainNN and "
    "predict_probabilities go on computing with.", "Return the logits as PyTorch's tensor, by "
    "`torch.cat`.",
)  # fmt: skip


def _evaluated(
    network: SpyNet, found: Any, album: Album, numbers: NDArray[np.integer], training: bool
) -> Iterator[Verdict]:
    """See what evaluate returned, and how it left the network."""
    require_all_seen(EVALUATION, network.notes, len(numbers))
    logits = EVALUATION.numbers("logits", found)
    wanted = logits_of(album, numbers, 0).numpy()
    verdict = EVALUATION.judge("logits", [Sample(logits, wanted, (wanted,))], LOGITS_FAULTS)
    if not verdict.passed:
        yield verdict
    if not isinstance(found, Tensor):
        yield EVALUATION.wrong("logits", f"a {type(found).__name__}.", "a tensor.", NO_TENSOR)
    yield from _evaluation_mode([network])
    if getattr(found, "requires_grad", False):
        came = "logits that ask for gradients."
        yield EVALUATION.wrong("gradients", came, "none.", STILL_GRADIENTS)
    if network.is_changed or network.weight.dtype != torch.float32:
        came = "parameters with other values, or of another type."
        yield EVALUATION.wrong("parameters, afterwards", came, "as before.", TRAINS)
    if network.bias.requires_grad != training:
        came = "parameters that are frozen, or no longer so, unlike before."
        yield EVALUATION.wrong("gradients, afterwards", came, "as before.", FROZEN)
    if not network.weight.requires_grad:
        came = "parameters that can't be trained any more."
        yield EVALUATION.wrong("gradients, afterwards", came, "as before.", FROZEN)
    if {network.training, network.inner.training} != {training}:
        words = {True: "training mode.", False: "evaluation mode."}
        before = f"as before: {words[training]}"
        yield EVALUATION.wrong("mode, afterwards", words[not training], before, MODE_LOST)


def _evaluation_mode(networks: Iterable[SpyNet]) -> Iterator[Verdict]:
    """See that networks, with their layers, were in evaluation mode."""
    states = {note.state for network in networks for note in network.notes}
    if "partly" in states:
        yield EVALUATION.wrong("mode", *PARTLY)
    if "training" in states:
        yield EVALUATION.wrong("mode", "training mode.", "evaluation mode.", NO_EVAL)


ERROR_HIDDEN = Fault(
    "error hidden", "when the network raises an error, nobody hears of it: `return` in `finally` "
    "ends it, or an `except` without `raise`.", "Let errors through: `finally:` without `return`, "
    "and no `except`.",
)  # fmt: skip


class FailingNet(SpyNet):
    """A network that raises an error when it comes to one of the images."""

    def forward(self, x: Tensor) -> Tensor:
        """Raise an error, or return logits of other images."""
        if FAILS_AT in numbers_of(x.detach().cpu().numpy()):
            raise RuntimeError("this network fails, to see in which mode it is left")
        return super().forward(x)


FAILS_AT = 2599


def _after_error(evaluate: Callable[..., Any], album: Album, first: int) -> Verdict:
    """See that the network gets its mode back even if it raises an error."""
    network, part = FailingNet(album).train(), "mode after an error"
    with contextlib.suppress(StudentError):
        images, _ = album.images(first, FAILS_AT + 1 - first)
        ask("evaluate(network, images)", evaluate, network, images)
        found = "a result, though the network raised an error."
        return EVALUATION.wrong("an error", found, "that error.", ERROR_HIDDEN)
    if not torch.is_grad_enabled():
        found = "no gradients any more, in the whole program."
        return EVALUATION.wrong("gradients after an error", found, "as before.", GRADIENTS_OFF)
    if network.training and network.inner.training:
        return EVALUATION.right(part)
    came, wanted = "evaluation mode.", "training mode, as before."
    return EVALUATION.wrong(part, came, wanted, MODE_LOST_BY_ERROR)


TOO_FEW_LABELS = Fault(
    "too few labels", "nothing sees to it that there is one label for each image.",
    "Compare the shapes of digits and labels: `accuracy` does; `zip` doesn't, nor `==` with a "
    "single label.",
)  # fmt: skip
COLUMN = Fault(
    "column of labels", "labels of the shape (N, 1) are taken, and the result is not the accuracy: "
    "`==` compares each label of such a column with all digits of a row.",
    "Let labels of another shape than (N,) end in a ValueError.",
)  # fmt: skip


def _labels(test_accuracy: Callable[..., float], album: Album) -> Iterator[Verdict]:
    """See that other numbers of labels, and other shapes of them, give no wrong result."""
    images, labels = album.images(FIRST_VALIDATION, 23)
    right = percentage(album, 0, FIRST_VALIDATION, 23).wanted
    for given, fault in (
        (labels[:-1], TOO_FEW_LABELS), (labels[:1], TOO_FEW_LABELS), (labels[:, None], COLUMN)
    ):  # fmt: skip
        with contextlib.suppress(StudentError):
            value = ask("test_accuracy(…)", test_accuracy, SpyNet(album), images, given)
            if fault is COLUMN and distance(EVALUATION.numbers("labels", value), right) < ROUNDED:
                continue  # the column was taken for a row, which does no harm
            found = f"a result for 23 images and labels of the shape {given.shape}."
            yield EVALUATION.wrong(fault.key, found, "a ValueError.", fault)


# Forms of images and labels beside flat ones in NumPy's arrays, by what messages call them.
FORMS: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "images (N, 28, 28)": lambda x, y: (x.reshape(-1, 28, 28), y),
    "images (N, 1, 28, 28)": lambda x, y: (x.reshape(-1, 1, 28, 28), y),
    "images as a tensor": lambda x, y: (torch.tensor(x), y),
    "images and labels as tensors": lambda x, y: (
        torch.tensor(x).reshape(-1, 1, 28, 28), torch.tensor(y)
    ),
}  # fmt: skip


# In marking nothing depends on this: nobody passes such images on.
OWN_FORMS = {"images of 64 bits": lambda x, y: (x.astype(float), y)}


def _forms(test_accuracy: Callable[..., float], album: Album) -> Iterator[Verdict]:
    """See that images and labels may come in all forms of the docstring."""
    own = plain_function(test_accuracy) is not None
    for words, form in {**FORMS, **(OWN_FORMS if own else {})}.items():
        data = form(*album.images(FIRST_VALIDATION, 23))
        value = ask(f"test_accuracy(…) with {words}", test_accuracy, SpyNet(album), *data)
        sample = percentage(album, value, FIRST_VALIDATION, 23)
        verdict = EVALUATION.judge(words, [sample], PERCENTAGE_FAULTS, ROUNDED)
        if not verdict.passed:
            yield verdict


def _test_accuracy(
    test_accuracy: Callable[..., float], album: Album, seed: int
) -> Iterator[Verdict]:
    samples, spies, call = [], [], "test_accuracy(network, images, labels)"
    for n in (23, 1003, 1) if asked_why() else (502 + seed % 9, 1):
        network, data = SpyNet(album).train(), album.images(FIRST_VALIDATION, n)
        value = ask(call, test_accuracy, network, *data)
        if value is None:
            EVALUATION.halt("images", "None.", "an accuracy in percent.", NOTHING_RETURNED)
        require_all_seen(EVALUATION, network.notes, n)
        yield from untouched(EVALUATION, [data], [album.images(FIRST_VALIDATION, n)])
        samples.append(percentage(album, value, FIRST_VALIDATION, n))
        spies.append(network)
        ask(call, test_accuracy, network.eval(), *data)
        if network.training or network.inner.training:
            told = "training mode.", "evaluation mode, as before."
            yield EVALUATION.wrong("mode after test_accuracy", *told, MODE_LOST)
    verdict = EVALUATION.judge(
        "images", samples, PERCENTAGE_FAULTS, ROUNDED, facts=MEANS_OF_BATCHES
    )
    yield with_example(verdict, lambda *data: test_accuracy(SpyNet(album), *data), album)
    if crowd.is_due(test_accuracy, seed):
        counting = CountingNet()
        value = ask(call, test_accuracy, counting, *crowd.images_of(crowd.N_IMAGES))
        yield from crowd.judge_test(EVALUATION, value, counting.n_seen)
    test = lambda album, *data: test_accuracy(SpyNet(album), *data)  # noqa: E731
    yield from judge_undecided(EVALUATION, call, test)
    yield from _labels(test_accuracy, album)
    yield from _forms(test_accuracy, album)
    yield from _evaluation_mode(spies)
    if any(network.is_changed for network in spies):
        yield EVALUATION.wrong("weights", "the weights changed.", "a test only.", TRAINS)
