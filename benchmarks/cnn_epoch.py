"""One training epoch of the CNN in batches of 64: ours, and what a user would pick instead.

All train the same layers by gradient descent with momentum, in a new random order each epoch.
"""

from typing import Any

from benchmarks.contest import OURS, contest
from benchmarks.measure import by_part, environment

USUAL = {n: f"the usual loop, DataLoader with {n} workers" for n in (0, 2)}
ENTRIES = {
    OURS: "benchmarks.cnn_torch:ours",
    USUAL[0]: "benchmarks.cnn_torch:usual_loop",
    USUAL[2]: "benchmarks.cnn_torch:usual_loop_with_workers",
    "torch.compile": "benchmarks.cnn_torch:compiled",
    "Keras on JAX": "benchmarks.cnn_keras:fit",
}
CPU = {"DIGITS_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""}
PARTS = {  # where an epoch goes: operations of PyTorch, and what they are for
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
REST = "everything else"


def run(repeats: int, n_images: int) -> dict[str, Any]:
    """Let all contestants take turns, on the CPU, then profile ours."""
    return contest(ENTRIES, n_images, repeats, CPU) | {"profile": profile(n_images)}


def profile(n_images: int) -> dict[str, float]:
    """Return the seconds of an epoch of ours, on one thread, by what they went into."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiling

    from benchmarks.cnn_torch import ours

    with environment(CPU):
        task = ours(n_images)
        task()
        with profiling(activities=[ProfilerActivity.CPU]) as profiler:
            task()
    seconds = {event.key: event.self_cpu_time_total / 1e6 for event in profiler.key_averages()}
    parts = by_part(seconds, PARTS)
    return parts | {REST: sum(seconds.values()) - sum(parts.values())}
