"""The hidden cases of the second notebook; this module imports PyTorch at once."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from checks.cnn import (
    EVALUATION,
    NET,
    TRAIN_NN,
    WEIGHTS,
    SpyLoss,
    SpyNet,
    SpyOptimizer,
    Wiring,
    wired,
)
from checks.spies import DIGITS, FIRST_VALIDATION, SCALE, make_images, numbers_of
from checks.verdicts import Verdict, ask, quiet
from grading.hidden import Hidden, Rng, Student, attempt, judged, judged_history, percent


def hidden_net(student: Student, rng: Rng) -> Iterator[Verdict]:
    """Weights of the marker's, on images of random numbers."""
    weights = [
        (_random(rng, shape, float(np.prod(shape[1:])) ** -0.5), _random(rng, shape[:1], 0.1))
        for shape in WEIGHTS
    ]
    x = torch.from_numpy(rng.uniform(0, 1, (3, 1, 28, 28)).astype(np.float32))

    def logits() -> Any:
        network = ask("Net()", student["Net"])
        names = {
            tuple(v.shape): name for name, v in ask("state_dict()", network.state_dict).items()
        }
        state = {names[tuple(v.shape)]: v for pair in weights for v in pair}
        ask("load_state_dict(state)", network.load_state_dict, state)
        ask("eval()", network.eval)
        return ask("Net()(x)", network, x.clone())

    yield judged(NET, "other weights", logits, wired(weights, x, Wiring()).numpy())


def _random(rng: Rng, shape: tuple[int, ...], scale: float) -> Tensor:
    return torch.from_numpy(rng.normal(0, scale, shape).astype(np.float32))


class RandomNet(SpyNet):
    """A spy whose predictions follow no formula: the table stays with the marker."""

    def __init__(self, rng: Rng) -> None:
        super().__init__()
        self.table = rng.integers(DIGITS, size=SCALE)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits that follow the table."""
        super().forward(x)
        digits = torch.as_tensor(self.table[numbers_of(x.numpy()) % SCALE])
        return 3.0 * torch.nn.functional.one_hot(digits, DIGITS).float() + self.weight


def hidden_trainNN(student: Student, rng: Rng) -> Iterator[Verdict]:
    """The accuracies of a network whose predictions follow no formula."""
    spy, n, m = RandomNet(rng), 37, 29

    def train() -> Any:
        with quiet():
            return ask(
                "trainNN(network, optimizer, epochs, criterion, …)",
                student["trainNN"], spy, SpyOptimizer(spy), 2, SpyLoss(spy.notes), True,
                train=make_images(0, n), validation=make_images(FIRST_VALIDATION, m),
                batch_size=10, seed=3,
            )  # fmt: skip

    yield from judged_history(TRAIN_NN, attempt(train), spy.table, n, m)


def hidden_evaluation(student: Student, rng: Rng) -> Iterator[Verdict]:
    """Predictions that follow no formula."""
    spy, (images, labels) = RandomNet(rng), make_images(500, 211)

    def result() -> Any:
        function = student["test_accuracy"]
        return ask("test_accuracy(network, images, labels)", function, spy, images, labels)

    wanted = percent(spy.table, 500, 211)
    yield judged(EVALUATION, "random predictions", result, wanted, 0.0051)


HIDDEN: dict[str, Hidden] = {
    "net": hidden_net,
    "trainNN": hidden_trainNN,
    "evaluation": hidden_evaluation,
}
