"""The record: what the recipes of `recipe.py` gave on MNIST, as `make record` measured it."""

import json
from pathlib import Path
from statistics import mean, stdev


def record_file(name: str) -> Path:
    """Return the file that holds what every seed gave for the network `name` ("MLP", "CNN")."""
    return Path(__file__).with_name(f"record_{name.lower()}.json")


def load_record(name: str) -> list[dict[str, float]]:
    """Return the accuracies in percent of each run: "validation" and "test".

    Raises FileNotFoundError if no network of that name was measured.
    """
    return list(json.loads(record_file(name).read_text(encoding="utf-8")).values())


def describe(name: str, runs: list[dict[str, float]]) -> str:
    """Return mean, standard deviation and extremes of the test accuracy of two `runs` or more."""
    test = [run["test"] for run in runs]
    validation = mean(run["validation"] for run in runs)
    return (
        f"{name}: test accuracy {mean(test):.2f} ± {stdev(test):.2f} % over {len(test)} seeds, "
        f"{min(test):.2f} to {max(test):.2f} % (validation {validation:.2f} %)"
    )
