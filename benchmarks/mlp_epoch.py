"""One training epoch of the MLP 784-64-10: ours, its floor, and what a user would pick instead.

All use float32, batches of 256 drawn in a new random order, the same step of gradient descent, and
add up the loss. Nobody measures accuracy, except where the name says so.
"""

import cProfile
import pstats
from typing import Any

from benchmarks.contest import OURS, contest
from benchmarks.measure import by_part, environment
from benchmarks.mlp_ours import ours

FLOOR = "floor: the two large matrix products alone"
LOOP = "an image at a time, with the methods of ours"
BARE_LOOP = "an image at a time, in bare NumPy"
EVALUATING = "ours, with both accuracies after the epoch"
ENTRIES = {
    FLOOR: "benchmarks.mlp_ours:floor",
    OURS: "benchmarks.mlp_ours:ours",
    EVALUATING: "benchmarks.mlp_ours:ours_evaluating",
    "PyTorch, eager on tensors": "benchmarks.mlp_torch:eager",
    "PyTorch, DataLoader": "benchmarks.mlp_torch:dataloader",
    "scikit-learn's MLPClassifier": "benchmarks.mlp_sklearn:classifier",
    "JAX, jit of the step": "benchmarks.mlp_jax:jit_of_step",
    "JAX, jit of the epoch": "benchmarks.mlp_jax:jit_of_epoch",
    BARE_LOOP: "benchmarks.mlp_ours:loop_bare",
    LOOP: "benchmarks.mlp_ours:loop_with_methods",
}
NO_PEERS = {FLOOR, EVALUATING, LOOP, BARE_LOOP}
PARTS = {  # where an epoch goes: functions, and what they are for
    "forward": "forward",
    "loss": "loss",
    "update_grad": "update_grad",
    "update_params": "reset_grad and update_params",
    "reset_grad": "reset_grad and update_params",
    "train_epoch": "drawing the batches, and the loop",
}


def run(repeats: int, n_images: int) -> dict[str, Any]:
    """Let all contestants take turns, then profile ours."""
    return contest(ENTRIES, n_images, repeats) | {"profile": profile(n_images)}


def profile(n_images: int) -> dict[str, float]:
    """Return the seconds of an epoch of ours, on one thread, by what they went into."""
    task, profiler = ours(n_images), cProfile.Profile()
    with environment({}):
        task()
        profiler.runcall(task)
    functions = pstats.Stats(profiler).get_stats_profile().func_profiles
    seconds = {name: functions[name].cumtime for name in PARTS}
    seconds["train_epoch"] = functions["train_epoch"].tottime
    return by_part(seconds, PARTS)
