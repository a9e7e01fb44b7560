"""Measure the bands: train with many seeds, report mean and spread, write helpers/bands.json.

What each seed gave is kept in benchmarks/band_runs/; delete a file there to measure it again.

python -m benchmarks.bands [--seeds 20] [--networks mlp ...] [--sources MNIST ...]
"""

import argparse
import io
import json
import math
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict, fields
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit
from torch import nn, optim
from tqdm import tqdm

from helpers import cnn
from helpers.bands import BANDS_FILE, Band, load_bands
from helpers.evaluation import confusion_matrix, hardest_digits, permute_pixels, shift_accuracies
from helpers.experiments import SoftmaxLayer, WeightDecay, train_watching_losses
from helpers.mlp import MLP
from helpers.mnist import DATA_SETS, Digits, Split, load_mnist
from helpers.training import (
    History,
    LabelledImages,
    accuracy,
    predict,
    quiet_epochs,
    test_network,
    train_network,
)
from machine.files import atomic_write

Results = dict[str, float]
Training = tuple[History, NDArray[np.integer]]  # the history, and what was predicted on test images

SEEDS = 20
RUNS = Path(__file__).with_name("band_runs")  # what every seed gave
SOURCES = [*(row.name for row in DATA_SETS), "stand-in"]


def train_mlp(digits: Digits, train: Split, seed: int) -> Training:
    """Train the network of notebook 1."""
    network = MLP(seed=seed)
    history = train_network(network, train, digits.validation, seed=seed)
    return history, predict(network, digits.test.images)


def train_cnn(digits: Digits, train: Split, seed: int) -> Training:
    """Train the network of notebook 2."""
    network = cnn.Net(seed=seed)
    history = train_torch(network, train, digits.validation, 40, seed)
    return history, cnn.predict(network, digits.test.images)


def train_torch(
    network: nn.Module, train: LabelledImages, validation: LabelledImages, epochs: int, seed: int
) -> History:
    optimizer, loss = optim.SGD(network.parameters(), 0.01, momentum=0.9), nn.CrossEntropyLoss()
    return cnn.trainNN(
        network, optimizer, epochs, loss, train=train, validation=validation, seed=seed
    )


def measure_training(
    title: str, trained: Callable[[Digits, Split, int], Training], digits: Digits, seed: int
) -> Results:
    """Train a network on 2,000 images, and on all."""
    results = {}
    if title == "MLP":
        untrained = test_network(MLP(seed=seed), *digits.validation)
        results["MLP untrained, validation accuracy"] = untrained
    for name, n in (("mini", 2000), ("full", len(digits.train.labels))):
        history, predicted = trained(digits, digits.train.first(n), seed)
        results[f"{title} {name}, training accuracy"] = history.train_accuracy[-1]
        results[f"{title} {name}, validation accuracy"] = history.validation_accuracy[-1]
        results[f"{title} {name}, gap"] = history.gap()
        results[f"{title} {name}, test accuracy"] = accuracy(predicted, digits.test.labels)
    hardest = hardest_digits(confusion_matrix(digits.test.labels, predicted))[0]
    return results | {f"{title} full, hardest {digits.classes.noun}": hardest.recall}


def measure_labs(digits: Digits, seed: int) -> Results:
    """Make the small experiments of notebook 1."""
    mini, unseen = digits.train.first(2000), tuple(part[2000:] for part in digits.train)

    def trained(network: MLP, train: LabelledImages, rate: float, n_epochs: int) -> float:
        list(quiet_epochs(network, train, rate, n_epochs, seed=seed))
        return test_network(network, *digits.validation)

    results = {"one softmax layer": trained(SoftmaxLayer(), digits.train, 1e-3, 10)}
    zero = MLP(seed=seed)
    zero.W1[:], zero.W2[:] = 0, 0
    results["MLP mini from zero weights"] = trained(zero, mini, 1e-3, 20)
    for rate in (0.0001, 0.001, 0.01, 0.1, 10):
        results[f"MLP mini at rate {rate}"] = trained(MLP(seed=seed), mini, rate, 20)
    results = {f"{name}, validation accuracy": value for name, value in results.items()}
    network = MLP(seed=seed)
    trained(network, mini, 1e-3, 100)
    results["MLP mini, accuracy on unseen training images"] = test_network(network, *unseen)
    for name, kind in (("at rate 0.01", MLP), ("with weight decay", WeightDecay)):
        watched = kind(seed=seed), mini, digits.validation
        losses = train_watching_losses(*watched, 0.01, 100, seed=seed)
        stopped = losses.accuracy[losses.best()]
        results |= {
            f"MLP mini {name}, accuracy at the lowest validation loss": stopped,
            f"MLP mini {name}, accuracy after epoch 100": losses.accuracy[-1],
            f"MLP mini {name}, rise of the validation loss": losses.rise(),
        }
    return results


def measure_structure(digits: Digits, seed: int) -> Results:
    """Train the four networks of notebook 2 that isolate convolution."""
    results: Results = {}
    for pixels, order in (("original", np.copy), ("shuffled", permute_pixels)):
        parts = (digits.train.first(20_000), digits.validation)
        train, validation = ((order(part.images), part.labels) for part in parts)
        for name, network in (
            ("fully connected", cnn.fully_connected(47, 47, 47, 47, seed=seed)),
            ("CNN", cnn.Net(seed=seed)),
        ):
            history = train_torch(network, train, validation, 5, seed)
            results[f"{name}, {pixels} pixels"] = history.validation_accuracy[-1]
            if pixels == "original":
                says = partial(cnn.predict, network)
                results[f"{name}, shift of 3 pixels"] = shift_accuracies(says, *digits.test, [3])[0]
    return results


# Each takes a data set and a seed, and returns its results by their names, in percent.
NETWORKS: dict[str, Callable[[Digits, int], Results]] = {
    "mlp": partial(measure_training, "MLP", train_mlp),
    "cnn": partial(measure_training, "CNN", train_cnn),
    "labs": measure_labs,
    "structure": measure_structure,
}


def run(network: str, source: str, seed: int) -> Results:
    """Measure one network on one data set with one seed."""
    with redirect_stdout(io.StringIO()):
        return NETWORKS[network](digits_of(source), seed)


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
    stopped continues where it stopped. `measure` runs in processes of one thread each.
    """
    done: dict[str, Results] = json.loads(file.read_text()) if file.exists() else {}
    missing = [seed for seed in range(seeds) if str(seed) not in done]
    # For the processes: one per core is faster than several threads, and one bar is enough.
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        runs = zip(missing, pool.map(measure, missing), strict=True)
        for seed, results in tqdm(runs, title, len(missing), unit="seed", disable=False):
            done[str(seed)] = {name: round(value, 3) for name, value in results.items()}
            with atomic_write(file) as out:
                out.write(json.dumps(done, indent=1).encode() + b"\n")
    return [done[str(seed)] for seed in range(seeds)]


def to_band(values: list[float], *, in_logs: bool = False) -> Band:
    """Return mean and standard deviation, rounded to a thousandth of a percent."""
    scaled = np.log1p(values) if in_logs else np.asarray(values)
    mean, sd = float(scaled.mean()), float(scaled.std(ddof=1))
    mean = float(np.expm1(mean)) if in_logs else mean
    return Band(round(mean, 3), round(sd, 3), len(values), in_logs, width(len(values)))


def width(seeds: int) -> float:
    """Return how many standard deviations lie on each side: 4 with 20 seeds, more with fewer.

    All bands hold one more training with the same probability, by Student's t-distribution.
    """
    probability = stdtr(SEEDS - 1, 4 / math.sqrt(1 + 1 / SEEDS))
    n = max(seeds, 2)
    return round(float(stdtrit(n - 1, probability) * math.sqrt(1 + 1 / n)), 6)


def bands_to_json(bands: dict[str, dict[str, Band]]) -> str:
    """Return the text of `bands.json`, without what every band has unless it says otherwise."""
    usual = {field.name: field.default for field in fields(Band)}
    content = {
        source: {
            name: {key: value for key, value in asdict(band).items() if value != usual[key]}
            for name, band in sorted(by_name.items())
        }
        for source, by_name in sorted(bands.items())
    }
    return json.dumps(content, indent=2) + "\n"


def varies_by_factors(name: str) -> bool:
    """Whether a result is a relative change: one seed gives several times what another gives."""
    return " rise " in name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--sources", nargs="+", default=SOURCES, choices=SOURCES)
    arguments = parser.parse_args()
    bands = load_bands()
    for network in arguments.networks:
        for source in arguments.sources:
            runs, title = RUNS / f"{network}_{source}.json", f"{network} on {source}"
            one = partial(run, network, source)
            results = results_by_seed(runs, one, arguments.seeds, title)
            for name in results[0]:
                values = [result[name] for result in results]
                band = to_band(values, in_logs=varies_by_factors(name))
                bands.setdefault(source, {})[name] = band
                print(f"{source}: {name}: {band}")
            with atomic_write(BANDS_FILE) as file:
                file.write(bands_to_json(bands).encode())


if __name__ == "__main__":
    main()
