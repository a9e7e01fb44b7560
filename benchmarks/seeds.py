"""Run one measurement with many seeds, in parallel, and keep what each seed gave on file."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from helpers.files import atomic_write
from helpers.mnist import Digits, load_mnist

Results = dict[str, float]


def digits_of(source: str) -> Digits:
    """Return the data set `source`, or "stand-in"; no other one may be measured for it."""
    if source == "stand-in":
        os.environ["MNIST_MIRROR"] = source
    digits = load_mnist("MNIST" if source == "stand-in" else source)
    if digits.source != source:
        raise RuntimeError(f"wanted the data set {source}, got {digits.source}.")
    return digits


def results_by_seed(
    file: Path, measure: Callable[[int], Results], seeds: int, title: str
) -> list[Results]:
    """Return what `measure(seed)` gives for the seeds 0 … seeds - 1.

    Results in `file` are taken from there and new ones are added at once, so a measurement that was
    stopped goes on where it was. `measure` runs in processes of one thread each.
    """
    done: dict[str, Results] = json.loads(file.read_text()) if file.exists() else {}
    missing = [seed for seed in range(seeds) if str(seed) not in done]
    # For the processes: one a core serves better than threads, and one bar is enough.
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        runs = zip(missing, pool.map(measure, missing), strict=True)
        for seed, results in tqdm(runs, title, len(missing), unit="seed", disable=False):
            done[str(seed)] = {name: round(value, 3) for name, value in results.items()}
            with atomic_write(file) as out:
                out.write(json.dumps(done, indent=1).encode() + b"\n")
    return [done[str(seed)] for seed in range(seeds)]
