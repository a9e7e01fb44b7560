"""One training epoch of the CNN in batches of 64: ours, and what a user would pick instead.

All train the same layers by gradient descent with momentum, in a new random order each epoch.
"""

from typing import Any

from benchmarks.contest import OURS, contest

USUAL = {n: f"the usual loop, DataLoader with {n} workers" for n in (0, 2)}
ENTRIES = {
    OURS: "benchmarks.cnn_torch:ours",
    USUAL[0]: "benchmarks.cnn_torch:usual_loop",
    USUAL[2]: "benchmarks.cnn_torch:usual_loop_with_workers",
    "torch.compile": "benchmarks.cnn_torch:compiled",
    "Keras on JAX": "benchmarks.cnn_keras:fit",
}
CPU = {"DIGITS_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""}


def run(repeats: int, n_images: int) -> dict[str, Any]:
    """Let all contestants take turns, on the CPU."""
    return contest(ENTRIES, n_images, repeats, CPU)
