"""Train both networks by the recipes of benchmarks/recipe.py, write helpers/record_*.json.

All seeds of a network are trained at once; what each gave is kept, and only missing ones are
trained. The MLP's teacher is the CNN on the page, which benchmarks/page_cnn.py trained.

python -m benchmarks.record [--seeds 5] [--networks MLP CNN]
"""

import argparse
import json
from collections.abc import Sequence

from torch import nn

from benchmarks.bands import Results, digits_of
from benchmarks.page import network_of
from benchmarks.recipe import RECIPES, Recipe, train_recipe
from benchmarks.views import FiveViews
from helpers.cnn import test_accuracy
from helpers.record import describe, record_file
from machine.files import atomic_write
from playground.export import RECORD_CNN


def train(recipe: Recipe, seeds: Sequence[int]) -> list[nn.Module]:
    """Train a network for each seed, with the page's CNN as the teacher if there is to be one."""
    teacher = None
    if recipe.temperature is not None:
        teacher = network_of(json.loads(RECORD_CNN.read_text(encoding="utf-8"))["layers"])
    return train_recipe(recipe, digits_of("MNIST").train, seeds=seeds, teacher=teacher)


def measure(network: nn.Module) -> Results:
    """Return the network's accuracies in percent, with one look at each image and with five."""
    digits, views = digits_of("MNIST"), FiveViews(network)
    return {
        "validation": test_accuracy(network, *digits.validation),
        "test": test_accuracy(network, *digits.test),
        "validation, five views": test_accuracy(views, *digits.validation),
        "test, five views": test_accuracy(views, *digits.test),
    }


def complete(name: str, seeds: int) -> list[Results]:
    """Return what the seeds 0 … seeds - 1 gave for one network; train those not on file."""
    file = record_file(name)
    done = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    missing = [seed for seed in range(seeds) if str(seed) not in done]
    networks = train(RECIPES[name], missing) if missing else []
    done |= {str(seed): measure(network) for seed, network in zip(missing, networks, strict=True)}
    with atomic_write(file) as out:
        out.write(json.dumps(done, indent=1).encode() + b"\n")
    return [done[str(seed)] for seed in range(seeds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--networks", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    arguments = parser.parse_args()
    for name in arguments.networks:
        print(describe(name, complete(name, arguments.seeds)))


if __name__ == "__main__":
    main()
