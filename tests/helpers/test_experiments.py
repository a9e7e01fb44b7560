"""The small experiments of notebook 1 compute what they say."""

import numpy as np
import pytest

from helpers.experiments import (
    Losses,
    SoftmaxLayer,
    WeightDecay,
    loss_per_image,
    train_watching_losses,
)
from helpers.mlp import MLP, cross_entropy, softmax
from helpers.training import accuracy, one_hot_encode, test_network, train_network


def some_digits(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 784) of noise, brighter where their label says so."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=n)
    images = rng.uniform(0, 0.5, (n, 784)).astype(np.float32)
    images[np.arange(n), 70 * labels] += 2
    return images, labels


def test_the_gradients_of_a_softmax_layer_are_those_of_its_loss():
    layer, rng = SoftmaxLayer(4, 3), np.random.default_rng(0)
    layer.W2, layer.b2 = rng.normal(size=(3, 4)), rng.normal(size=3)
    layer.reset_grad()
    X, Y = rng.normal(size=(5, 4)), np.eye(3)[rng.integers(3, size=5)]
    np.testing.assert_allclose(layer.forward(X), softmax(X @ layer.W2.T + layer.b2))
    layer.update_grad(Y)
    for name in ("W2", "b2"):
        values, gradient = getattr(layer, name), getattr(layer, f"{name}_grad")
        for place in np.ndindex(values.shape):
            change = 0.0
            for nudge in (1e-5, -2e-5):
                values[place] += nudge
                sign = 1 if nudge > 0 else -1
                change += sign * cross_entropy(X @ layer.W2.T + layer.b2, Y)
            values[place] += 1e-5
            assert change / 2e-5 == pytest.approx(gradient[place], rel=1e-6)


def test_a_softmax_layer_is_trained_like_an_mlp():
    train = some_digits(500, 0)
    layer = SoftmaxLayer()
    history = train_network(layer, train, some_digits(100, 1), 5e-4, n_epochs=40)
    assert history.validation_accuracy[-1] > 90
    assert test_network(layer, *train) == history.train_accuracy[-1]


def test_weight_decay_pulls_each_weight_to_zero_and_leaves_the_biases():
    plain, decaying = MLP(6, 5, 4, seed=3), WeightDecay(6, 5, 4, seed=3)
    for network in (plain, decaying):
        network.b1 += 1
        network.forward(np.linspace(0, 1, 6))
        network.update_grad(np.eye(4)[1])
        network.update_params(0.5)
    start = MLP(6, 5, 4, seed=3)
    for name in ("W1", "W2"):
        pulled = getattr(plain, name) - getattr(decaying, name)
        np.testing.assert_allclose(pulled, 0.5 * 0.1 * getattr(start, name), atol=1e-6)
    np.testing.assert_array_equal(plain.b1, decaying.b1)


def test_losses_that_are_watched_belong_to_the_training_of_train_network():
    train, validation = some_digits(300, 0), some_digits(100, 1)
    watched, other = MLP(seed=1), MLP(seed=1)
    losses = train_watching_losses(watched, train, validation, 0.01, 3, seed=2)
    history = train_network(other, train, validation, 0.01, 3, seed=2)
    np.testing.assert_array_equal(watched.W1, other.W1)
    assert losses.accuracy == history.validation_accuracy
    for split, told in ((train, losses.training), (validation, losses.validation)):
        watched.forward(split[0])
        wanted = cross_entropy(watched.a2, one_hot_encode(split[1])) / len(split[1])
        assert told[-1] == pytest.approx(wanted) == loss_per_image(watched, *split)
    assert (
        accuracy(watched.forward(validation[0]).argmax(axis=1), validation[1])
        == (losses.accuracy[-1])
    )


def test_the_lowest_validation_loss_and_how_far_it_has_risen():
    losses = Losses(validation=[2.0, 0.5, 0.6], training=[2, 1, 0], accuracy=[10, 80, 79])
    assert losses.best() == 1
    assert losses.rise() == pytest.approx(20)
