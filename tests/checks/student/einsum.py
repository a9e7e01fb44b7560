"""The same exercises with einsum and SciPy, and names of its own."""

from pathlib import Path

import numpy as np
from scipy.special import expit, log_softmax

from helpers.training import History, stop_if_diverged
from machine.files import read_file, require_together, write_together


def sigmoid(t):
    return expit(t)


def softmax(t):
    return np.exp(log_softmax(t, axis=-1))


def cross_entropy(t, truth):
    return float(-np.einsum("...k,...k->...", truth, log_softmax(t, axis=-1)).sum())


def cross_entropy_derivative(p, truth):
    return np.subtract(p, truth)


def weight_gradient(e, values):
    return np.einsum("bk,bh->kh", e, values)


def sigmoid_derivative(s):
    return s * (1 - s)


def hidden_delta(e, W, h):
    return np.einsum("bk,kh,bh,bh->bh", e, W, h, 1 - h)


class MLP:
    names = ("W1", "b1", "W2", "b2")

    def __init__(self, n_inputs=784, n_hidden=64, n_outputs=10, *, seed=0, dtype=np.float32):
        rng = np.random.default_rng(seed)
        self.b2, self.b1 = np.zeros(n_outputs, dtype), np.zeros(n_hidden, dtype)
        self.W2 = rng.normal(scale=0.1, size=(n_outputs, n_hidden)).astype(dtype)
        self.W1 = rng.normal(scale=0.1, size=(n_hidden, n_inputs)).astype(dtype)
        self.reset_grad()

    def forward(self, pixels):
        self.pixels = np.array(pixels, ndmin=2)
        self.a1 = np.einsum("bi,hi->bh", self.pixels, self.W1) + self.b1
        self.z1 = sigmoid(self.a1)
        self.a2 = np.einsum("bh,kh->bk", self.z1, self.W2) + self.b2
        self.y_hat = softmax(self.a2).reshape(*np.shape(pixels)[:-1], -1)
        return self.y_hat

    def loss(self, truth):
        return cross_entropy(self.a2, np.array(truth, ndmin=2))

    def update_grad(self, truth):
        e = np.array(self.y_hat, ndmin=2) - np.array(truth, ndmin=2)
        s = np.einsum("bk,kh,bh,bh->bh", e, self.W2, self.z1, 1 - self.z1)
        self.W2_grad = self.W2_grad + np.einsum("bk,bh->kh", e, self.z1)
        self.b2_grad = self.b2_grad + np.einsum("bk->k", e)
        self.W1_grad = self.W1_grad + np.einsum("bh,bi->hi", s, self.pixels)
        self.b1_grad = self.b1_grad + np.einsum("bh->h", s)

    def reset_grad(self):
        for name in self.names:
            setattr(self, f"{name}_grad", 0 * getattr(self, name))

    def update_params(self, lr):
        for name in self.names:
            setattr(self, name, getattr(self, name) - lr * getattr(self, f"{name}_grad"))


def one_hot_encode(labels, n_classes=10):
    return (np.asarray(labels)[:, None] == np.arange(n_classes)).astype(float)


def accuracy(predicted, true):
    return float(np.count_nonzero(np.equal(predicted, true)) / np.size(true)) * 100.0


def test_network(network, images, labels):
    hits = [
        network.forward(images[i : i + 7]).argmax(-1) == labels[i : i + 7]
        for i in range(0, len(images), 7)
    ]
    return 100 * np.concatenate(hits).mean()


test_network.__test__ = False


def train_network(
    network, train, validation, learning_rate=1e-3, n_epochs=100, batch_size=256, *, seed=0
):
    rng, history = np.random.default_rng(seed), History()
    N = len(train[1])
    try:
        for _ in range(n_epochs):
            losses = []
            for rows in np.array_split(rng.permutation(N), range(batch_size, N, batch_size)):
                y = one_hot_encode(train[1][rows])
                network.forward(train[0][rows])
                losses.append(network.loss(y))
                network.update_grad(y)
                network.update_params(learning_rate)
                network.reset_grad()
            stop_if_diverged(sum(losses), learning_rate)
            history.record(
                sum(losses) / N, test_network(network, *train), test_network(network, *validation)
            )
    except KeyboardInterrupt:
        pass
    return history


def save_weights(network, filename_prefix):
    with write_together(Path(f"{filename_prefix}_manifest.json")) as open_file:
        for name in MLP.names:
            file = open_file(Path(f"{filename_prefix}_{name}.npy"))
            np.save(file, getattr(network, name))


def load_weights(network, filename_prefix):
    paths = {name: Path(f"{filename_prefix}_{name}.npy") for name in MLP.names}
    if not all(path.stat().st_size for path in paths.values()):
        raise ValueError("a file is empty")
    loaded = {name: np.load(path) for name, path in paths.items()}
    for name, values in loaded.items():
        mine = getattr(network, name)
        if values.shape != mine.shape or values.dtype != mine.dtype:
            raise ValueError(f"{name} has the shape {values.shape} and the type {values.dtype}")
    contents = {path: read_file(path) for path in paths.values()}
    require_together(Path(f"{filename_prefix}_manifest.json"), contents)
    vars(network).update(loaded)
