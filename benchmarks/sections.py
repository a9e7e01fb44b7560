"""What is measured, section by section of the report: who takes part, and in which settings."""

import cProfile
import os
import pstats
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import cnn, mlp, waiting
from benchmarks.measure import Contestant, Timed, environment, take_turns
from machine.threads import available_cores

Entries = Mapping[str, Callable[[int], Timed]]  # who takes part, given a number of images

OURS, OURS_THREADED = "ours", "ours, a thread on each core"
EVALUATING = "ours, with both accuracies after the epoch"
FLOOR = "floor: the two large matrix products alone"
BARE_LOOP = "one image at a time, in plain NumPy"
LOOP = "one image at a time, with our own methods"
USUAL, WITH_WORKERS = (f"the usual loop, DataLoader with {n} workers" for n in (0, 2))
NO_PEERS = {OURS, OURS_THREADED, EVALUATING, FLOOR, BARE_LOOP, LOOP}
MLP_OURS, CNN_OURS = "MLP, ours", "CNN, ours"
DEFAULT, ONE_CORE = "default settings", "one core"
QUIET, BUSY = "all cores free", "one core busy"

MLP: Entries = {
    FLOOR: mlp.floor,
    OURS: mlp.ours,
    EVALUATING: partial(mlp.ours, evaluating=True),
    "PyTorch, eager on tensors": partial(mlp.torch_mlp, with_loader=False),
    "PyTorch, DataLoader": partial(mlp.torch_mlp, with_loader=True),
    "scikit-learn's MLPClassifier": mlp.scikit_learn,
    "JAX, jit of the step": partial(mlp.jax_mlp, whole_epoch=False),
    "JAX, jit of the epoch": partial(mlp.jax_mlp, whole_epoch=True),
    BARE_LOOP: partial(mlp.ours, network=mlp.BareImageAtATime),
    LOOP: partial(mlp.ours, network=mlp.ImageAtATime),
}
CNN: Entries = {
    OURS: cnn.ours,
    USUAL: partial(cnn.usual_loop, n_workers=0),
    WITH_WORKERS: partial(cnn.usual_loop, n_workers=2),
    "torch.compile": partial(cnn.on_tensors, compiling=True),
    "Keras on JAX": cnn.keras_fit,
}
GPU: Entries = {
    OURS: cnn.ours,
    "eager on tensors": partial(cnn.on_tensors, device="cuda"),
    "CUDA graph of the step": cnn.cuda_graph,
    WITH_WORKERS: partial(cnn.usual_loop, n_workers=2, device="cuda"),
}
NEIGHBOURS: Entries = {  # ours, and the peers closest to them
    MLP_OURS: MLP[OURS],
    f"{MLP_OURS}, a thread on each core": MLP[OURS],
    "MLP, PyTorch eager on tensors": MLP["PyTorch, eager on tensors"],
    "MLP, scikit-learn": MLP["scikit-learn's MLPClassifier"],
    "MLP, JAX": MLP["JAX, jit of the epoch"],
    CNN_OURS: CNN[OURS],
    f"{CNN_OURS}, a thread on each core": CNN[OURS],
    "CNN, the usual loop": CNN[USUAL],
    "CNN, Keras on JAX": CNN["Keras on JAX"],
}
SIZES = {
    "images": (2_000, 4_000, 8_000, 15_000, 30_000, 60_000),
    "hidden": (16, 32, 64, 128, 256, 512, 1_024),
    "batch": (1, 4, 16, 64, 256, 1_024, 4_096),
}
OPERATIONS = {  # of PyTorch, with the part of an epoch that they belong to
    "aten::mkldnn_convolution": "convolutions",
    "aten::convolution_backward": "convolutions",
    "aten::max_pool2d_with_indices": "pooling",
    "aten::max_pool2d_with_indices_backward": "pooling",
    "aten::fill_": "pooling",  # its gradient begins as zeros
    "aten::addmm": "fully connected layers",
    "aten::mm": "fully connected layers",
    "Optimizer.step#SGD.step": "the optimizer's steps",
    "aten::index": "drawing the batches",
}


@environment({"DIGITS_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""})
def run_epochs(entries: Entries, rounds: int, n: int) -> dict[str, Any]:
    """Let all `entries` take turns on `n` images, on the CPU, then profile ours.

    With default settings the peers take all cores, our MLP one, and our CNN the fastest number.
    """
    free = [Contestant(name, partial(entry, n)) for name, entry in entries.items()]
    free.append(Contestant(OURS_THREADED, partial(entries[OURS], n), on_all_cores()))
    one = {"OMP_NUM_THREADS": "1"}
    confined = [
        Contestant(name, partial(entry, n), one, one_core=True) for name, entry in entries.items()
    ]
    measured = take_turns({DEFAULT: free, ONE_CORE: confined}, rounds)
    parts = (profile_mlp if entries is MLP else profile_cnn)(entries[OURS](n))
    return measured | {"images": n, "profile": parts}


def on_all_cores() -> dict[str, str]:
    """Return the variable that makes ours take a thread on each core."""
    return {"OMP_NUM_THREADS": str(available_cores())}


def profile_mlp(epoch: Timed) -> dict[str, float]:
    """Return the seconds of an epoch of our MLP by what they went into."""
    epoch()
    profiler = cProfile.Profile()
    profiler.runcall(epoch)
    calls = pstats.Stats(profiler).get_stats_profile().func_profiles
    parts = {name: calls[name].cumtime for name in ("forward", "loss", "update_grad")}
    steps = calls["reset_grad"].cumtime + calls["update_params"].cumtime
    rest = calls["train_epoch"].tottime
    return parts | {"reset_grad and update_params": steps, "drawing batches, and the loop": rest}


def profile_cnn(epoch: Timed) -> dict[str, float]:
    """Return the seconds of an epoch of our CNN by what they went into."""
    epoch()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        epoch()
    parts = dict.fromkeys([*OPERATIONS.values(), "everything else"], 0.0)
    for event in profiler.key_averages():
        parts[OPERATIONS.get(event.key, "everything else")] += event.self_cpu_time_total / 1e6
    return parts


def run_gpu(rounds: int, n: int) -> dict[str, Any]:
    """Let all contestants take turns on the GPU; without one, all of them are missing."""
    cuda = {"DIGITS_DEVICE": "cuda"}
    group = [Contestant(name, partial(entry, n), cuda) for name, entry in GPU.items()]
    if torch.cuda.is_available():
        return take_turns({DEFAULT: group}, rounds) | {"images": n}
    return {"images": n, "timings": {DEFAULT: {}}, "missing": dict.fromkeys(GPU, "no GPU at hand")}


def run_size(rounds: int, n: int) -> dict[str, Any]:
    """Vary one size after another; at most `n` images in the two sweeps over other sizes."""
    usual = {"images": min(n, 20_000), "hidden": mlp.HIDDEN, "batch": mlp.BATCH}
    sweeps: dict[str, list[dict[str, float]]] = {name: [] for name in SIZES}
    for name, values in SIZES.items():
        for value in values:
            epoch = partial(mlp.ours_of_size, **usual | {name: value})
            found = take_turns({"alone": [Contestant(f"{value:,} {name}", epoch)]}, rounds)
            (seconds,), (peak,) = found["timings"]["alone"].values(), found["peak_mb"].values()
            sweeps[name].append({"value": value, "seconds": median(seconds), "peak_mb": peak})
    return {"usual": usual, "sweeps": sweeps}


@environment({"DIGITS_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""})
def run_neighbour(rounds: int, n: int) -> dict[str, Any]:
    """Let all contestants take turns, without and with a busy neighbour in every round."""
    group = [
        Contestant(name, partial(entry, n), on_all_cores() if "a thread on" in name else {})
        for name, entry in NEIGHBOURS.items()
    ]
    return take_turns({QUIET: group, BUSY: group}, rounds, {BUSY: busy_neighbour}) | {"images": n}


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
    """Compute forever."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    while True:
        pass


RUN: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "mlp": partial(run_epochs, MLP),
    "cnn": partial(run_epochs, CNN),
    "gpu": run_gpu,
    "size": run_size,
    "neighbour": run_neighbour,
    "waiting": waiting.run,
}
