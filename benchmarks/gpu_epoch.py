"""One training epoch of the CNN on a CUDA GPU, where there is one."""

from typing import Any

from benchmarks.contest import AS_IT_COMES, OURS
from benchmarks.measure import Contestant, Timings, add_round, say, workers

EPOCHS = 50  # of the assignment's training
ENTRIES = {
    OURS: "benchmarks.cnn_gpu:ours",
    "eager on tensors": "benchmarks.cnn_gpu:eager",
    "CUDA graph of the step": "benchmarks.cnn_gpu:cuda_graph",
    "the usual loop, DataLoader with 2 workers": "benchmarks.cnn_gpu:usual_loop",
}


def run(repeats: int, n_images: int) -> dict[str, Any]:
    """Let all contestants take turns on the GPU; without one, all of them are missing."""
    timings: Timings = {}
    contestants = [
        Contestant(name, task, (n_images,), {"DIGITS_DEVICE": "cuda"})
        for name, task in ENTRIES.items()
    ]
    with workers(contestants) as (ready, missing):
        for k in range(repeats if ready else 0):
            say(f"round {k + 1} of {repeats}")
            add_round(timings, ready)
    return {"images": n_images, "timings": {AS_IT_COMES: timings}, "missing": missing}
