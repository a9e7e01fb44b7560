"""Try variants of the MLP's recipe, by validation accuracy alone; write benchmarks/record.md.

Each of VARIANTS differs from the recipe without a teacher in what its line says. What it gave is
kept in benchmarks/record_trials.json; delete its entry there to measure it again.

python -m benchmarks.record_trials [--seeds 2]
"""

import argparse
import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from torch import nn, optim
from tqdm import tqdm

from benchmarks.bands import digits_of
from benchmarks.record import train
from helpers.cnn import test_accuracy
from helpers.files import atomic_write
from helpers.recipe import RECIPES

EPOCHS = 20
RESULTS = Path(__file__).with_name("record_trials.json")
REPORT = Path(__file__).with_name("record.md")
INTRODUCTION = f"""# The record: what was tried for the MLP

Written by `python -m benchmarks.record_trials`: mean validation accuracy over the seeds after
{EPOCHS} epochs. Each line changes one thing of the MLP's recipe in
[helpers/recipe.py](../helpers/recipe.py), trained on labels; all seeds of a line were trained
together. The test images were not looked at. The last column is processor time on one thread.
"""
LABELS = replace(RECIPES["MLP"], temperature=None, epochs=EPOCHS)
WIDE = LABELS.deformation


def sgd(network: nn.Module, rate: float = 0.5, decay: float = 1e-5) -> optim.Optimizer:
    return optim.SGD(
        network.parameters(), rate, momentum=0.9, nesterov=True, weight_decay=decay, fused=True
    )


def adam(network: nn.Module, rate: float) -> optim.Optimizer:
    return optim.Adam(network.parameters(), rate, fused=True)


VARIANTS: dict[str, dict[str, Any]] = {
    "labels": {},
    "a teacher, temperature 0.5": {"temperature": 0.5},
    "deformations shrink to a half": {"final_strength": 0.5},
    "deformations shrink to a fifth": {"final_strength": 0.2},
    "deformations of 0.7 the size": {"deformation": WIDE.scaled(0.7)},
    "shifts of half a pixel": {"deformation": replace(WIDE, shift=0.5)},
    "matrices to 0.18": {"deformation": replace(WIDE, matrix=0.18)},
    "bends of 1.1 pixels": {"deformation": replace(WIDE, bend=1.1)},
    "weight decay 0": {"make_optimizer": partial(sgd, decay=0)},
    "weight decay 1e-4": {"make_optimizer": partial(sgd, decay=1e-4)},
    "rate 1.0": {"make_optimizer": partial(sgd, rate=1.0)},
    "rate 0.25": {"make_optimizer": partial(sgd, rate=0.25)},
    "Adam, rate 0.005": {"make_optimizer": partial(adam, rate=0.005)},
    "label smoothing 0.05": {"label_smoothing": 0.05},
    "batches of 100, rate 0.25": {
        "batch_size": 100,
        "make_optimizer": partial(sgd, rate=0.25),
    },
    "a teacher, temperature 1": {"temperature": 1.0},
}


def measure(changes: dict[str, Any], seeds: int) -> dict[str, Any]:
    """Return the validation accuracies in percent, and processor seconds for each epoch."""
    start, validation = time.process_time(), digits_of("MNIST").validation
    networks = train(replace(LABELS, **changes), range(seeds))
    seconds = (time.process_time() - start) / EPOCHS
    accuracies = [test_accuracy(network, *validation) for network in networks]
    return {"validation": accuracies, "seconds": round(seconds, 1)}


def report(results: dict[str, dict[str, Any]]) -> str:
    """Return the results as Markdown, the best first."""
    ranked = sorted(results.items(), key=lambda item: -mean(item[1]["validation"]))
    rows = [
        f"{name} | {mean(run['validation']):.2f} % | "
        f"{', '.join(f'{value:.2f}' for value in run['validation'])} | {run['seconds']} s"
        for name, run in ranked
    ]
    return "\n".join(
        [INTRODUCTION, "variant | validation | each seed | one epoch", "---|---|---|---", *rows, ""]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in tqdm([name for name in VARIANTS if name not in results]):
        results[name] = measure(VARIANTS[name], arguments.seeds)
        with atomic_write(RESULTS) as file:
            file.write(json.dumps(results, indent=1).encode() + b"\n")
        with atomic_write(REPORT) as file:
            file.write(report(results).encode())


if __name__ == "__main__":
    main()
