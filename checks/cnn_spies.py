"""Spies for trainNN and test_accuracy: a network, a loss and an optimizer that take notes."""

import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from checks import crowd
from checks.album import DIGITS, Album, changed_pixels, numbers_of
from checks.spies import Note, Spy

STEEP = 40  # how much a logit grows with its weight: gradients are so long that a cut shows
START = 64.0  # what all weights are: a penalty on their size shows


class SpyNet(nn.Module, Spy):
    """Stands in for Net: its logits depend on images, steps so far, and ten weights."""

    def __init__(self, album: Album) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((DIGITS,), START))
        # Without effect: it counts the steps, so that weights of an earlier one are told apart.
        self.bias = nn.Parameter(torch.zeros(1))
        self.inner = nn.Identity()  # has a mode of its own, which eval() and train() reach
        self.album = album
        self.notes: list[Note] = []
        self.known: dict[bytes, int] = {}  # the image of each row of logits, -1 if of several

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 10), and note the images and the mode."""
        if x.ndim != 4 or x.shape[1:] != (1, 28, 28):
            raise ValueError(f"x has shape {tuple(x.shape)}; wanted (B, 1, 28, 28).")
        if x.dtype != self.weight.dtype:  # as a convolution says it
            kinds = f"Input type ({x.dtype}) and weight type ({self.weight.dtype})"
            raise RuntimeError(f"{kinds} should be the same")
        pixels = x.detach().cpu().float().numpy()
        numbers = numbers_of(pixels)
        modes = {self.training, self.inner.training}
        mode = "partly" if len(modes) > 1 else "training" if self.training else "evaluating"
        changed = changed_pixels(pixels)
        self.notes.append(Note("forward", tuple(numbers.tolist()), state=mode, changed=changed))
        logits = logits_of(self.album, numbers, self.n_steps).to(x.device)
        # A layer that gives back what it gets, in 32 bits; in fewer, digits are lost.
        finite = logits.to(x.dtype).nan_to_num(neginf=0)  # as 0 times infinity is NaN
        passed = functional.linear(finite, torch.eye(DIGITS).to(x))
        logits = torch.where(logits.isfinite(), passed, logits.to(passed.dtype))
        for row, number in zip(_rows(logits), numbers.tolist(), strict=True):
            self.known[row] = number if self.known.get(row, number) == number else -1
        return logits + STEEP * (self.weight - START) + 0 * self.bias

    @property
    def n_steps(self) -> int:
        """The number of steps in the notes."""
        return sum(note.call == "step" for note in self.notes)

    @property
    def is_changed(self) -> bool:
        """Whether weights are others than in the beginning, or not those of the last step."""
        weight, bias = self.weight.detach(), self.bias.detach()
        return bool((weight != START).any() or (bias != self.n_steps).any())

    def __deepcopy__(self, memo: Any) -> "SpyNet":
        """Return a copy that takes the same notes: a copy may be evaluated in its place."""
        twin = type(self)(self.album).train(self.training)
        twin.load_state_dict(self.state_dict())
        twin.notes, twin.known = self.notes, self.known
        return twin


def _rows(logits: Tensor) -> list[bytes]:
    return [row.tobytes() for row in np.atleast_1d(logits.detach().cpu().float().numpy())]


def logits_of(album: Album, numbers: Any, n_steps: int) -> Tensor:
    """Return the logits (B, 10) that a SpyNet with its first weights gives after so many steps.

    They are logarithms of probabilities but for a constant, so that log_softmax changes them.
    """
    return torch.from_numpy(np.log(album.probabilities(numbers, n_steps)) + 1.5).float()


class Marked(torch.autograd.Function):
    """Changes nothing; as long as what was computed from its result is kept, its context lives."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        """Return a copy."""
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Return the gradient as it came."""
        return gradients[0]


class SpyLoss(Spy):
    """Stands in for the criterion: cross-entropy that notes what it is given, and of which images.

    `n_kept` is the largest number of losses whose history was in memory at once.
    """

    def __init__(self, network: SpyNet) -> None:
        self.notes, self.known, self.n_kept = network.notes, network.known, 0
        self._histories: list[weakref.ref[Any]] = []

    def __call__(self, input: Tensor, target: Tensor, learns: bool | None = None) -> Tensor:
        """Return the mean cross-entropy; PyTorch calls logits and labels so.

        Whether a gradient can be had of it is told by `learns` where the tensors are copies.
        """
        logits, labels = input, target
        learns = input.requires_grad or target.requires_grad if learns is None else learns
        swapped = not logits.is_floating_point() and logits.ndim == 1
        given, state = logits.detach(), "swapped" if swapped else "logits"
        if given.ndim == 2 and not swapped:
            sums, logarithms = given.sum(dim=1), given.exp().sum(dim=1)
            ones = torch.ones_like(sums)
            if torch.allclose(sums, ones, atol=1e-4):
                state = "probabilities"
            elif torch.allclose(logarithms, ones, atol=1e-4):
                state = "logarithms"
        numbers = labels.argmax(dim=-1) if labels.ndim == 2 and not swapped else labels
        targets = () if swapped else tuple(int(n) for n in numbers.detach().cpu().flatten())
        if labels.ndim == 2 and not swapped:
            state = "one-hot"
        images = tuple(self.known.get(row, -1) for row in _rows(logits))
        known = () if -1 in images else images
        # Without gradients it only measures, and no step comes of it.
        call = "criterion" if learns else "measure"
        self.notes.append(Note(call, known, targets, state=state))
        loss = functional.cross_entropy(*((labels, logits) if swapped else (logits, labels)))
        return self._marked(loss) if loss.requires_grad else loss

    def _marked(self, loss: Tensor) -> Tensor:
        marked: Tensor = Marked.apply(loss)
        self._histories = [history for history in self._histories if history() is not None]
        self._histories.append(weakref.ref(marked.grad_fn))
        self.n_kept = max(self.n_kept, len(self._histories))
        return marked


RATE = 0.01
SETTINGS = {"momentum": 0.0, "weight_decay": 0.0}


class SpyOptimizer(torch.optim.Optimizer, Spy):
    """Stands in for the optimizer: takes no steps, and keeps every gradient that it was to use.

    The weights stay, so that all steps can be compared, but for one that counts them. What
    PyTorch's own class makes of itself would import half of PyTorch, and cannot be sent to another
    process.
    """

    register_step_post_hook = None  # type: ignore[assignment]  # no hooks, so no threads are tried

    def __init__(self, params: Iterable[Tensor], lr: float = RATE, **settings: Any) -> None:
        self.params = list(params)
        self.weight = self.params[0]
        self.notes: list[Note] | None = None  # without them it is another one, made by the student
        self.param_groups = [{"params": [*self.params], "lr": lr, **SETTINGS, **settings}]
        self.state = defaultdict(dict, {self.weight: {"momentum_buffer": None}})
        self.gradients: list[list[float] | None] = []

    @classmethod
    def of(cls, network: SpyNet) -> "SpyOptimizer":
        """Return one that takes its notes where the network does."""
        optimizer = cls(network.parameters())
        optimizer.notes = network.notes
        return optimizer

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return "the optimizer"

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradient."""
        for values in self.params:
            values.grad = None if set_to_none else torch.zeros_like(values)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Note the gradient; `closure` may compute it first."""
        loss = closure() if closure else None
        gradient = self.weight.grad
        if self.notes is None:
            self.weight.data += 1  # which tells that it was at work
            return loss
        self.gradients.append(None if gradient is None else gradient.detach().cpu().tolist())
        self.notes.append(Note("step", rate=float(self.param_groups[0]["lr"])))
        self.params[1].data += 1
        return loss


N_COUNTED = 11_003  # images, in 501 steps: a DataLoader takes its time for each


class CountingNet(nn.Module, Spy):
    """Stands in for Net where there are very many steps: it recognizes all images."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(DIGITS))
        self.n_seen = 0  # images that went forward

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 10)."""
        self.n_seen += len(x)
        self.numbers = numbers_of(x.detach().cpu().float().numpy(), crowd.SHADES)
        logits = torch.from_numpy(np.log(crowd.probabilities(self.numbers))).to(x)
        return logits + self.weight

    def __deepcopy__(self, memo: Any) -> "CountingNet":
        """Return itself: a copy may be evaluated in its place, and is counted, too."""
        return self

    def __copy__(self) -> "CountingNet":
        """Return itself."""
        return self


class CountingOptimizer(SpyOptimizer):
    """Counts how often each image takes part in a step: those that went forward last."""

    def __init__(self, network: CountingNet) -> None:
        super().__init__(network.parameters())
        self.network, self.times = network, np.zeros(N_COUNTED, int)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Count the images."""
        loss = closure() if closure else None
        np.add.at(self.times, self.network.numbers, 1)
        return loss
