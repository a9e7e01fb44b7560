"""Train both networks by the recipes of helpers/recipe.py, write helpers/record_*.json.

What each seed gave is kept there; delete a file to measure it again.

python -m benchmarks.record [--seeds 5] [--networks MLP CNN]
"""

import argparse
from functools import partial

from benchmarks.bands import Results, digits_of, results_by_seed
from helpers.cnn import test_accuracy
from helpers.recipe import RECIPES, train_recipe
from helpers.record import describe, record_file


def run(name: str, seed: int) -> Results:
    """Return the accuracies in percent of one network, trained with one seed."""
    digits = digits_of("MNIST")
    network = train_recipe(RECIPES[name], digits.train, seed=seed)
    return {
        "validation": test_accuracy(network, *digits.validation),
        "test": test_accuracy(network, *digits.test),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--networks", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    arguments = parser.parse_args()
    for name in arguments.networks:
        runs = results_by_seed(record_file(name), partial(run, name), arguments.seeds, name)
        print(describe(name, runs))


if __name__ == "__main__":
    main()
