"""The record: what the recipes of `recipe.py` gave on MNIST, as `make record` measured it."""

import json
from pathlib import Path
from statistics import mean, stdev


def record_file(name: str) -> Path:
    """Return the file that holds what every seed gave for the network `name` ("MLP", "CNN")."""
    return Path(__file__).with_name(f"record_{name.lower()}.json")


def load_record(name: str) -> list[dict[str, float]]:
    """Return the accuracies in percent of each run: "validation" and "test".

    Both are there with ", five views", too: the network is asked about an image five times, as it
    is and moved up, down, left and right by one pixel, and its logits are added up.
    Raises FileNotFoundError if no network of that name was measured.
    """
    return list(json.loads(record_file(name).read_text(encoding="utf-8")).values())


def describe(name: str, runs: list[dict[str, float]]) -> str:
    """Return mean, standard deviation and extremes of the test accuracies of two `runs` or more."""
    kinds = {"test accuracy": "", "asked about five views of each image": ", five views"}
    return "\n".join(
        f"{name}, {kind}: {_spread([run[f'test{suffix}'] for run in runs])} "
        f"(validation {mean(run[f'validation{suffix}'] for run in runs):.2f} %)"
        for kind, suffix in kinds.items()
    )


def _spread(test: list[float]) -> str:
    return (
        f"{mean(test):.2f} ± {stdev(test):.2f} % over {len(test)} seeds, "
        f"{min(test):.2f} to {max(test):.2f} %"
    )
