"""What happens in a notebook: every training step, every epoch on record, every figure saved."""

import functools
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.notebooks.other_arithmetic import nudge_initial_weights

Parameters = dict[str, np.ndarray]


class Step(NamedTuple):
    """What one training step was given, and how well the network did just before it."""

    n_images: int
    pixels: float  # the sum of all grey values: tells which images they were, in any order
    loss: float  # summed over the images, in nats
    n_correct: int
    settings: tuple[Any, ...]  # the learning rate; of an optimizer its kind and all its settings


class Epoch(NamedTuple):
    """The steps since the epoch before, and the parameters that they led to."""

    steps: list[Step]
    parameters: Parameters


class Events:
    """All that was seen: steps by network, epochs by the history that has them on record."""

    def __init__(self) -> None:
        self.steps: WeakKeyDictionary[Any, list[Step]] = WeakKeyDictionary()
        self.recorded: dict[int, tuple[Any, list[Epoch]]] = {}
        self.figures: list[tuple[Figure, bytes]] = []
        self.current: Any = None
        self.input: Any = None  # of the PyTorch network that went forward last

    def step(self, network: Any, step: Step) -> None:
        self.current = network
        self.steps.setdefault(network, []).append(step)

    def epoch(self, history: Any) -> None:
        """An epoch of the network that was trained last is put on record in a history."""
        if self.current is not None:
            steps = self.steps.pop(self.current, [])
            epoch = Epoch(steps, parameters_of(self.current))
            # The history is kept, so that no other one ever has its id.
            self.recorded.setdefault(id(history), (history, []))[1].append(epoch)

    def epochs(self, history: Any) -> list[Epoch]:
        """The epochs that were put on record in a history."""
        return self.recorded.get(id(history), (history, []))[1]


EVENTS = Events()


def parameters_of(network: Any) -> Parameters:
    """Return copies of a network's parameters by name."""
    if isinstance(network, torch.nn.Module):
        return {name: p.detach().cpu().numpy().copy() for name, p in network.named_parameters()}
    return {name: getattr(network, name).copy() for name in ("W1", "b1", "W2", "b2")}


def watch() -> None:
    """Begin to keep what happens in `EVENTS`."""
    nudge_initial_weights()
    from helpers.experiments import SoftmaxLayer
    from helpers.mlp import MLP
    from helpers.training import History

    for network in (MLP, SoftmaxLayer):
        _follow(network, "update_grad", _mlp_goes_back)
    _follow(MLP, "update_params", _mlp_steps)
    _follow(History, "record", lambda history, *_: EVENTS.epoch(history))
    _follow(Figure, "savefig", _figure_saved)
    torch.nn.modules.module.register_module_forward_hook(_module_went_forward)
    register_optimizer_step_pre_hook(_optimizer_steps)


def _follow(owner: type, name: str, note: Callable[..., None]) -> None:
    """Call `note` with the same arguments after each call of a method."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def followed(*arguments: Any, **settings: Any) -> Any:
        result = method(*arguments, **settings)
        note(*arguments, **settings)
        return result

    setattr(owner, name, followed)


# What a network saw in its last pass, until it takes its step.
PENDING: dict[str, tuple[Any, ...]] = {}


def _mlp_goes_back(network: Any, y: np.ndarray) -> None:
    x, a2, y = (np.atleast_2d(values) for values in (network.x, network.a2, y))
    shifted = a2 - a2.max(axis=1, keepdims=True)
    loss = (np.log(np.exp(shifted).sum(axis=1)) - (y * shifted).sum(axis=1)).sum()
    right = (a2.argmax(axis=1) == y.argmax(axis=1)).sum()
    PENDING["MLP"] = len(y), float(x.sum(dtype=float)), float(loss), int(right)


def _mlp_steps(network: Any, lr: float) -> None:
    if seen := PENDING.pop("MLP", None):
        EVENTS.step(network, Step(*seen, (lr,)))


def _module_went_forward(module: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
    # The hook of a network comes after those of its layers, so that the network is what remains.
    if module.training and tuple(inputs[0].shape[1:]) == (1, 28, 28):
        EVENTS.input = module, inputs[0]
    elif isinstance(module, torch.nn.CrossEntropyLoss) and EVENTS.input:
        (logits, labels), (network, images) = inputs, EVENTS.input
        loss = torch.nn.functional.cross_entropy(logits.detach(), labels, reduction="sum")
        right = (logits.argmax(dim=1) == labels).sum()
        seen = len(labels), float(images.sum(dtype=torch.float64)), float(loss), int(right)
        PENDING["CNN"] = network, *seen


def _optimizer_steps(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    if seen := PENDING.pop("CNN", None):
        EVENTS.step(seen[0], Step(*seen[1:], settings_of(optimizer)))


def settings_of(optimizer: torch.optim.Optimizer) -> tuple[Any, ...]:
    """Return an optimizer's kind, and the settings of all its parameters."""
    groups = [
        tuple(sorted((name, value) for name, value in group.items() if name != "params"))
        for group in optimizer.param_groups
    ]
    return type(optimizer).__name__, *groups


def _figure_saved(figure: Figure, target: Any, **_: Any) -> None:
    if isinstance(target, BytesIO):
        EVENTS.figures.append((figure, target.getvalue()))
