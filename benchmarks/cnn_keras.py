"""The CNN in Keras, on JAX."""

import os

os.environ["KERAS_BACKEND"] = "jax"  # Keras looks at it when it is imported

import jax  # noqa: F401  # should it be missing, this says so better than Keras
import keras
from keras import layers

from benchmarks.measure import Timed
from helpers.mnist import load_mnist


def fit(n: int) -> Timed:
    """An epoch of Keras' `fit` with the layers of `Net` on the first `n` images."""
    images, labels = load_mnist().train.first(n)
    pictures = images.reshape(-1, 28, 28, 1)
    network = keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(6, 5), layers.MaxPooling2D(2), layers.ReLU(),
        layers.Conv2D(16, 5), layers.MaxPooling2D(2), layers.ReLU(),
        layers.Flatten(),
        layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu"),
        layers.Dense(10),
    ])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    return lambda: network.fit(pictures, labels, batch_size=64, epochs=1, verbose=0)
