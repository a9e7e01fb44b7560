"""What an epoch of the MLP costs in time and memory as the problem grows."""

from statistics import median
from typing import Any

import numpy as np

from benchmarks.measure import Contestant, Runner, Timed, say
from helpers.mlp import MLP
from helpers.threads import few_threads
from helpers.training import one_hot_encode, test_network, train_epoch

USUAL = {"images": 20_000, "hidden": 64, "batch": 256}
SIZES = {
    "images": (2_000, 4_000, 8_000, 15_000, 30_000, 60_000),
    "hidden": (16, 32, 64, 128, 256, 512, 1_024),
    "batch": (1, 4, 16, 64, 256, 1_024, 4_096),
}


def run(repeats: int, n_images: int) -> dict[str, Any]:
    """Vary one size after another; at most `n_images` in the two sweeps over other sizes."""
    usual = USUAL | {"images": min(n_images, USUAL["images"])}
    sweeps: dict[str, list[dict[str, float]]] = {name: [] for name in SIZES}
    for name, values in SIZES.items():
        for value in values:
            point = measure_point(usual | {name: value}, repeats)
            sweeps[name].append({"value": value} | point)
            say(f"{name} {value:,}: {point['seconds']:.3f} s, {point['peak_mb']:.0f} MB")
    return {"usual": usual, "sweeps": sweeps}


def measure_point(sizes: dict[str, int], repeats: int) -> dict[str, float]:
    """Return median seconds and peak memory in MB of a process of its own."""
    worker = Runner(Contestant(str(sizes), "benchmarks.cost:epoch_of_size", tuple(sizes.values())))
    try:
        seconds = median(worker.seconds() for _ in range(repeats))
        return {"seconds": seconds, "peak_mb": worker.peak_memory()}
    finally:
        worker.close()


def epoch_of_size(images: int, hidden: int, batch: int) -> Timed:
    """An epoch of ours, and the accuracy after it, on random images: time asks for no digits."""
    rng = np.random.default_rng(0)
    X, labels = rng.random((images, 784), dtype=np.float32), rng.integers(10, size=images)
    network, targets = MLP(n_hidden=hidden, seed=0), one_hot_encode(labels)

    def epoch() -> None:
        with few_threads():
            train_epoch(network, X, targets, rng.permutation(images), 1e-6, batch)
            test_network(network, X, labels)

    return epoch


def slope(sizes: list[float], costs: list[float]) -> float:
    """Return the exponent p of the power law cost ~ size^p that fits best, both (n,), n > 1."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
