"""The first notebook's exercises, written straight from its formulas, in batches."""

from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np

from helpers.training import History, stop_if_diverged
from machine.files import read_file, require_together, write_together


def sigmoid(a):
    return np.where(
        a >= 0, 1 / (1 + np.exp(-np.abs(a))), np.exp(-np.abs(a)) / (1 + np.exp(-np.abs(a)))
    )


def softmax(a):
    a = a - np.max(a, axis=-1, keepdims=True)
    e = np.exp(a)
    return e / np.sum(e, axis=-1, keepdims=True)


def cross_entropy(a, y):
    a = a - np.max(a, axis=-1, keepdims=True)
    log_p = a - np.log(np.sum(np.exp(a), axis=-1, keepdims=True))
    return -np.sum(y * log_p)


def cross_entropy_derivative(y_hat, y):
    return y_hat - y


def weight_gradient(delta, inputs):
    return np.dot(delta.T, inputs)


def sigmoid_derivative(z):
    return z * (1 - z)


def hidden_delta(delta2, W2, z1):
    delta1 = np.dot(delta2, W2)
    return delta1 * sigmoid_derivative(z1)


class MLP:
    def __init__(self, n_inputs=784, n_hidden=64, n_outputs=10, *, seed=0, dtype=np.float32):
        rng = np.random.default_rng(seed)
        self.W1 = rng.normal(0, 0.1, (n_hidden, n_inputs)).astype(dtype)
        self.b1 = np.zeros(n_hidden, dtype=dtype)
        self.W2 = rng.normal(0, 0.1, (n_outputs, n_hidden)).astype(dtype)
        self.b2 = np.zeros(n_outputs, dtype=dtype)
        self.reset_grad()

    def forward(self, x):
        self.x = x
        self.a1 = x @ self.W1.T + self.b1
        self.z1 = sigmoid(self.a1)
        self.a2 = self.z1 @ self.W2.T + self.b2
        self.y_hat = softmax(self.a2)
        return self.y_hat

    def loss(self, y):
        return cross_entropy(self.a2, y)

    def update_grad(self, y):
        x, z1 = np.atleast_2d(self.x), np.atleast_2d(self.z1)
        y_hat, y = np.atleast_2d(self.y_hat), np.atleast_2d(y)
        delta2 = y_hat - y
        delta1 = (delta2 @ self.W2) * z1 * (1 - z1)
        self.W2_grad += delta2.T @ z1
        self.b2_grad += delta2.sum(axis=0)
        self.W1_grad += delta1.T @ x
        self.b1_grad += delta1.sum(axis=0)

    def reset_grad(self):
        self.W1_grad = np.zeros_like(self.W1)
        self.b1_grad = np.zeros_like(self.b1)
        self.W2_grad = np.zeros_like(self.W2)
        self.b2_grad = np.zeros_like(self.b2)

    def update_params(self, lr):
        self.W1 -= lr * self.W1_grad
        self.b1 -= lr * self.b1_grad
        self.W2 -= lr * self.W2_grad
        self.b2 -= lr * self.b2_grad


def one_hot_encode(labels, n_classes=10):
    labels = np.asarray(labels)
    encoded = np.zeros((len(labels), n_classes), dtype=np.float32)
    encoded[np.arange(len(labels)), labels] = 1
    return encoded


def accuracy(predicted, true):
    return 100 * np.mean(predicted == true)


def test_network(network, images, labels):
    y_hat = network.forward(images)
    return accuracy(y_hat.argmax(axis=1), labels)


test_network.__test__ = False


def train_network(
    network, train, validation, learning_rate=1e-3, n_epochs=100, batch_size=256, *, seed=0
):
    history = History()
    with suppress(KeyboardInterrupt):
        go_through_epochs(
            network, train, validation, learning_rate, n_epochs, batch_size, seed, history
        )
    return history


def go_through_epochs(
    network, train, validation, learning_rate, n_epochs, batch_size, seed, history
):
    images, labels = train
    targets = one_hot_encode(labels)
    rng = np.random.default_rng(seed)
    for epoch in range(n_epochs):
        order = rng.permutation(len(images))
        total = 0.0
        for start in range(0, len(images), batch_size):
            batch = order[start : start + batch_size]
            network.reset_grad()
            network.forward(images[batch])
            total += network.loss(targets[batch])
            stop_if_diverged(total, learning_rate)
            network.update_grad(targets[batch])
            network.update_params(learning_rate)
        train_accuracy = test_network(network, *train)
        validation_accuracy = test_network(network, *validation)
        history.record(total / len(images), train_accuracy, validation_accuracy)
        print(epoch, history.last())


def save_weights(network, filename_prefix):
    with write_together(Path(f"{filename_prefix}_manifest.json")) as open_file:
        for name in ["W1", "b1", "W2", "b2"]:
            np.save(open_file(Path(f"{filename_prefix}_{name}.npy")), getattr(network, name))


def load_weights(network, filename_prefix):
    files, loaded = {}, {}
    for name in ["W1", "b1", "W2", "b2"]:
        path = Path(f"{filename_prefix}_{name}.npy")
        files[path] = read_file(path)
        try:
            loaded[name] = np.load(BytesIO(files[path]))
        except EOFError as error:
            raise ValueError(f"{path} is empty") from error
        wanted = getattr(network, name)
        if (loaded[name].shape, loaded[name].dtype) != (wanted.shape, wanted.dtype):
            raise ValueError("The files hold the weights of another network.")
    require_together(Path(f"{filename_prefix}_manifest.json"), files)
    for name in ["W1", "b1", "W2", "b2"]:
        setattr(network, name, loaded[name])
