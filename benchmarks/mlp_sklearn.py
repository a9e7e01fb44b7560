"""The MLP as scikit-learn has it."""

import warnings

from sklearn.neural_network import MLPClassifier

from benchmarks.measure import Timed
from benchmarks.mlp_ours import BATCH, LEARNING_RATE, training_images


def classifier(n: int) -> Timed:
    """scikit-learn's MLPClassifier, epoch by epoch."""
    images, labels = training_images(n)
    network = MLPClassifier(
        (64,), activation="logistic", solver="sgd", batch_size=min(BATCH, n), alpha=0,
        learning_rate_init=LEARNING_RATE * BATCH, momentum=0, random_state=0,
    )  # fmt: skip
    warnings.simplefilter("ignore")
    return lambda: network.partial_fit(images, labels, classes=range(10))
