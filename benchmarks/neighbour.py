"""The same epochs while another program keeps one of the cores busy."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context
from typing import Any

from benchmarks.cnn_epoch import CPU
from benchmarks.measure import Contestant, add_round, available_cores, say, workers

QUIET, BUSY = "quiet", "one core taken"
MLP_OURS, CNN_OURS = "MLP, ours", "CNN, ours"


def run(repeats: int, n_images: int) -> dict[str, Any]:
    """Let all contestants take turns, without and with the neighbour in every round."""
    timings: dict[str, dict[str, list[float]]] = {QUIET: {}, BUSY: {}}
    with workers(contestants(n_images)) as (ready, missing):
        for k in range(repeats):
            say(f"round {k + 1} of {repeats}")
            for setting, surroundings in ((QUIET, nullcontext), (BUSY, busy_neighbour)):
                with surroundings():
                    add_round(timings[setting], ready)
    return {"timings": timings, "missing": missing, "images": n_images}


def contestants(n_images: int) -> list[Contestant]:
    """Return our defaults, ours with a thread on each core, and the peers closest to ours."""
    threads = {"OMP_NUM_THREADS": str(available_cores())}
    entries = [
        (MLP_OURS, "benchmarks.mlp_ours:ours", {}),
        (f"{MLP_OURS}, a thread on each core", "benchmarks.mlp_ours:ours", threads),
        ("MLP, PyTorch eager on tensors", "benchmarks.mlp_torch:eager", {}),
        ("MLP, scikit-learn", "benchmarks.mlp_sklearn:classifier", {}),
        ("MLP, JAX", "benchmarks.mlp_jax:jit_of_epoch", {}),
        (CNN_OURS, "benchmarks.cnn_torch:ours", {}),
        (f"{CNN_OURS}, a thread on each core", "benchmarks.cnn_torch:ours", threads),
        ("CNN, the usual loop", "benchmarks.cnn_torch:usual_loop", {}),
        ("CNN, Keras on JAX", "benchmarks.cnn_keras:fit", {}),
    ]
    return [Contestant(name, task, (n_images,), {**CPU, **env}) for name, task, env in entries]


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keep the last core busy, where processes can be tied to cores, else any."""
    process = get_context("spawn").Process(target=spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def spin() -> None:
    """Compute for ever."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    while True:
        pass
