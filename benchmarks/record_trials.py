"""Try variants of the MLP's recipe, by validation accuracy alone; write benchmarks/record.md.

Each variant differs from START in what its line says. What it gave is kept in
benchmarks/record_trials.json; delete its entry there to measure it again.

python -m benchmarks.record_trials [--seeds 2]
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from time import process_time
from typing import Any

from torch import nn, optim
from tqdm import tqdm

from benchmarks.bands import digits_of
from benchmarks.recipe import RECIPES
from benchmarks.record import train
from benchmarks.views import FiveViews
from helpers.cnn import test_accuracy
from machine.files import atomic_write

RESULTS = Path(__file__).with_name("record_trials.json")
REPORT = Path(__file__).with_name("record.md")
Run = dict[str, Any]


START = replace(RECIPES["MLP"], rate=0.4, batch_size=100, final_strength=1.0, temperature=None)
WIDE = START.deformation
ADAM = partial(optim.Adam, fused=True, capturable=True)
BEST = {"temperature": 0.5, "rate": 0.5, "batch_size": 200, "final_strength": 0.5}
CNN = {name: value for name, value in vars(RECIPES["CNN"]).items() if name != "epochs"}
# What a variant changes, by the number of epochs in which it is tried.
VARIANTS: dict[int, dict[str, dict[str, Any]]] = {
    16: {
        **{f"rate {rate}": {"rate": rate} for rate in (0.1, 0.3, 0.6, 1.0)},
        **{
            f"Adam, rate {rate}": {"make_optimizer": ADAM, "rate": rate}
            for rate in (0.002, 0.005, 0.01)
        },
    },
    36: {
        "labels": {},
        "a teacher, temperature 0.5": {"temperature": 0.5},
        "batches of 200, rate 0.5": {"rate": 0.5, "batch_size": 200},
        "deformations shrink to 0.5": {"final_strength": 0.5},
        "deformations shrink to 0.2": {"final_strength": 0.2},
        "all deformations times 0.7": {"deformation": WIDE.scaled(0.7)},
        "shifts to 0.5 pixels": {"deformation": replace(WIDE, shift=0.5)},
        "matrices to 0.18": {"deformation": replace(WIDE, matrix=0.18)},
        "bends of 1.1 pixels": {"deformation": replace(WIDE, bend=1.1)},
        "weight decay 0.0001": {"make_optimizer": partial(START.make_optimizer, weight_decay=1e-4)},
        "a teacher, temperature 0.7": {"temperature": 0.7},
    },
    60: {"the recipe of the CNN": CNN},
    150: {"the recipe of the CNN": CNN},
    400: {"all four that gained most": BEST},
    800: {"all four that gained most": BEST},
}
DISTANCES = (0.25, 0.5, 0.75, 1.0)  # pixels, of five views
INTRODUCTION = """# The record: what was tried for the MLP

Written by `python -m benchmarks.record_trials`: validation accuracies in percent, for each seed
(which trains together with the others), and processor seconds of one epoch of all seeds. Each line
changes what it names in `START` in [record_trials.py](record_trials.py): SGD at rate 0.4, labels as
targets. The test images were not looked at. Where an image was looked at five times, as it is and
moved each way ([views.py](views.py)), the means for four distances in pixels follow. The distance
for both networks is the one with the largest sum of their accuracies.
"""


def measure(changes: dict[str, Any], epochs: int, seeds: int) -> Run:
    """Return validation accuracies in percent, and what an epoch took."""
    start, validation = process_time(), digits_of("MNIST").validation
    networks = train(replace(START, epochs=epochs, **changes), range(seeds))
    seconds = round((process_time() - start) / epochs, 1)

    def accuracies(readers: Sequence[nn.Module]) -> list[float]:
        return [test_accuracy(reader, *validation) for reader in readers]

    views = {f"{d:g}": accuracies([FiveViews(each, d) for each in networks]) for d in DISTANCES}
    return {"validation": accuracies(networks), "views": views, "seconds": seconds}


def table(epochs: int, runs: dict[str, Run]) -> str:
    """Return what the variants gave in `epochs` as Markdown, the best first."""
    ranked = sorted(runs.items(), key=lambda item: -mean(item[1]["validation"]))
    rows = [
        f"{name} | {mean(run['validation']):.2f} | "
        f"{', '.join(f'{value:.2f}' for value in run['validation'])} | {_views(run)} | "
        f"{run.get('seconds', '–')}"
        for name, run in ranked
    ]
    distances = ", ".join(f"{distance:g}" for distance in DISTANCES)
    head = f"\nafter {epochs} epochs | mean | each seed | five views at {distances} | seconds"
    return "\n".join([head, "---|---|---|---|---", *rows, ""])


def _views(run: Run) -> str:
    means = [f"{mean(values):.2f}" for values in run.get("views", {}).values()]
    return ", ".join(means) or "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    seeds = parser.parse_args().seeds
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for epochs, variants in VARIANTS.items():
        runs = results.setdefault(str(epochs), {})
        missing = [name for name in variants if "seconds" not in runs.get(name, {})]
        for name in tqdm(missing, f"{epochs} epochs"):
            runs[name] = measure(variants[name], epochs, seeds)
            with atomic_write(RESULTS) as file:
                file.write(json.dumps(results, indent=1).encode() + b"\n")
    with atomic_write(REPORT) as file:
        tables = [table(int(epochs), runs) for epochs, runs in results.items()]
        file.write("".join([INTRODUCTION, *tables]).encode())


if __name__ == "__main__":
    main()
