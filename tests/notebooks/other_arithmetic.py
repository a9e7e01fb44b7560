"""As if on another CPU: initial weights that differ in the last digits.

CPUs round differently, so trainings drift apart from the first step on. `NUDGE_WEIGHTS=seed` in the
environment starts them apart: each initial weight is multiplied by 1 plus about a millionth. What a
test or a notebook asserts has to hold for every seed. (Real arithmetics of one CPU are chosen by
ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA and OPENBLAS_CORETYPE; see test_older_cpu.py.)
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np

SIZE = 1e-6  # eight times the distance between neighbouring 32-bit numbers around 1


def nudge_initial_weights() -> None:
    """Do so, if the environment asks for it."""
    if seed := os.environ.get("NUDGE_WEIGHTS"):
        from helpers.cnn import Net
        from helpers.mlp import MLP

        _after_init(MLP, _nudge_mlp, int(seed))
        _after_init(Net, _nudge_net, int(seed))


def _after_init(kind: type, nudge: Callable[[Any, np.random.Generator], None], seed: int) -> None:
    make = kind.__init__

    @functools.wraps(make)
    def made(self: Any, *arguments: Any, **settings: Any) -> None:
        make(self, *arguments, **settings)
        nudge(self, np.random.default_rng(seed))

    kind.__init__ = made


def _nudge_mlp(network: Any, rng: np.random.Generator) -> None:
    for name in ("W1", "W2"):
        weights = getattr(network, name)
        factors = 1 + SIZE * rng.standard_normal(weights.shape)
        setattr(network, name, (weights * factors).astype(weights.dtype))


def _nudge_net(network: Any, rng: np.random.Generator) -> None:
    import torch  # only here: whoever starts pytest for one notebook, or its workers, does without

    with torch.no_grad():
        for weights in network.parameters():
            factors = 1 + SIZE * rng.standard_normal(tuple(weights.shape))
            weights.mul_(torch.tensor(factors, dtype=weights.dtype))
