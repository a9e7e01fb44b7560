"""Stand-ins, in the sandbox, for the spies of the CNN's checks: each call is noted by the marker.

Autograd runs here, on the weights of the stand-in, as it would on a real network.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Ask = Callable[..., Any]
STEEP, START = 40, 64.0  # as in the marker's own spy


class Net(nn.Module):
    """Passes images on to the marker's spy, whose logits come back, and adds its parameters."""

    def __init__(self, ask: Ask, training: bool) -> None:
        super().__init__()
        self.inner = nn.Identity()  # has a mode of its own
        self.train(training)
        self.weight = nn.Parameter(torch.full((10,), START))
        self.bias = nn.Parameter(torch.zeros(1))
        self.ask = ask

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 10)."""
        logits: Tensor = self.ask("forward", x, self.training, self.inner.training)
        return logits.to(x.device) + STEEP * (self.weight - START) + 0 * self.bias

    def state_of(self) -> dict[str, Any]:
        """Return what the marker wants to see afterwards."""
        weight, bias = self.weight.detach().clone(), self.bias.detach().clone()
        learns = self.weight.requires_grad
        modes = {"training": self.training, "layer training": self.inner.training}
        return {"weight": weight, "bias": bias, "learns": learns, **modes}


class Loss:
    """Cross-entropy, after the marker has noted what it was given."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    def __call__(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy; PyTorch calls logits and labels so."""
        self.ask("note", input, target, input.requires_grad or target.requires_grad)
        swapped = not input.is_floating_point() and input.ndim == 1
        return functional.cross_entropy(*((target, input) if swapped else (input, target)))


SETTINGS = {"momentum": 0.0, "weight_decay": 0.0}


class SGD:
    """Takes no steps, and lets the marker note the gradient and the settings of each."""

    def __init__(self, ask: Ask, network: Net) -> None:
        self.ask, self.weight = ask, network.weight
        self.params = [network.weight, network.bias]
        self.param_groups = [{"params": [*self.params], "lr": 0.01, **SETTINGS}]
        self.state = {network.weight: {"momentum_buffer": None}}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradient."""
        for values in self.params:
            values.grad = None if set_to_none else torch.zeros_like(values)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Tell the gradient; `closure` may compute it first."""
        loss = closure() if closure else None
        group = self.param_groups[0]
        settings = [group[name] for name in ("lr", *SETTINGS)]
        self.ask("step", self.weight.grad, *settings, len(self.state))
        self.params[1].data += 1  # as in the marker's own
        return loss
