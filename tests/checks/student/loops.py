"""The same exercises with loops, an image at a time, in float64 on the way."""

from pathlib import Path

import numpy as np

from helpers.training import History, stop_if_diverged
from machine.files import read_file, require_together, write_together


def sigmoid(a):
    return (1 + np.tanh(a / 2)) / 2


def softmax(logits):
    if logits.ndim == 1:
        powers = np.exp(logits - logits.max())
        return powers / powers.sum()
    return np.array([softmax(row) for row in logits])


def cross_entropy(a, y):
    loss = 0.0
    for logits, target in zip(np.atleast_2d(a), np.atleast_2d(y), strict=True):
        highest = logits.max()
        loss += highest + np.log(np.exp(logits - highest).sum()) - logits[target.argmax()]
    return loss


def cross_entropy_derivative(y_hat, y):
    delta = np.zeros(y_hat.shape)
    for place in np.ndindex(y_hat.shape):
        delta[place] = y_hat[place] - y[place]
    return delta


def weight_gradient(delta, inputs):
    total = np.zeros((delta.shape[1], inputs.shape[1]))
    for signal, values in zip(delta, inputs, strict=True):
        total += np.outer(signal, values)
    return total


def sigmoid_derivative(z):
    return z - z**2


def hidden_delta(delta2, W2, z1):
    rows = []
    for signal, values in zip(delta2, z1, strict=True):
        rows.append(
            [
                sum(signal[i] * W2[i, j] for i in range(len(signal))) * sigmoid_derivative(value)
                for j, value in enumerate(values)
            ]
        )
    return np.array(rows)


class MLP:
    def __init__(self, n_inputs=784, n_hidden=64, n_outputs=10, *, seed=0, dtype=np.float32):
        generator = np.random.default_rng(seed)
        self.W1 = np.array(0.1 * generator.standard_normal((n_hidden, n_inputs)), dtype)
        self.W2 = np.array(0.1 * generator.standard_normal((n_outputs, n_hidden)), dtype)
        self.b1, self.b2 = np.zeros(n_hidden, dtype), np.zeros(n_outputs, dtype)
        self.reset_grad()

    def forward_one(self, pixels):
        a = self.W1.dot(pixels) + self.b1
        h = sigmoid(a)
        return a, h, self.W2.dot(h) + self.b2

    def forward(self, x):
        self.images = [np.array(pixels, dtype=np.float64) for pixels in np.atleast_2d(x)]
        layers = [self.forward_one(pixels) for pixels in self.images]
        self.a1 = np.array([a for a, _, _ in layers])
        self.z1 = np.array([h for _, h, _ in layers])
        self.a2 = np.array([o for _, _, o in layers])
        self.y_hat = np.array([softmax(o) for o in self.a2])
        if np.ndim(x) == 1:
            self.y_hat = self.y_hat[0]
        return self.y_hat

    def loss(self, y):
        return cross_entropy(self.a2, y)

    def update_grad(self, y):
        for pixels, h, p, target in zip(
            self.images, self.z1, np.atleast_2d(self.y_hat), np.atleast_2d(y), strict=True
        ):
            error = p - target
            self.W2_grad += np.outer(error, h)
            self.b2_grad += error
            back = np.zeros(len(h))
            for j in range(len(h)):
                back[j] = np.sum(self.W2[:, j] * error) * h[j] * (1 - h[j])
            self.W1_grad += np.outer(back, pixels)
            self.b1_grad += back

    def reset_grad(self):
        for name in ("W1", "b1", "W2", "b2"):
            setattr(
                self, name + "_grad", np.zeros(getattr(self, name).shape, getattr(self, name).dtype)
            )

    def update_params(self, lr):
        for name in ("W1", "b1", "W2", "b2"):
            parameter = getattr(self, name)
            parameter += -lr * getattr(self, name + "_grad")


def one_hot_encode(labels, n_classes=10):
    rows = []
    for label in labels:
        row = [0] * n_classes
        row[label] = 1
        rows.append(row)
    return np.array(rows)


def accuracy(predicted, true):
    right = 0
    for guess, label in zip(predicted, true, strict=True):
        if guess == label:
            right += 1
    return right / len(true) * 100


def test_network(network, images, labels):
    guesses = []
    for image in images:
        guesses.append(np.argmax(network.forward(image)))
    return round(accuracy(guesses, labels), 2)


test_network.__test__ = False


def train_network(
    network, train, validation, learning_rate=1e-3, n_epochs=100, batch_size=256, *, seed=0
):
    history = History()
    try:
        train_on(network, train, validation, learning_rate, n_epochs, batch_size, seed, history)
    except KeyboardInterrupt:
        print("stopped")
    return history


def train_on(network, train, validation, learning_rate, n_epochs, batch_size, seed, history):
    rng = np.random.default_rng(seed)
    indices = np.arange(len(train[0]))
    for _ in range(n_epochs):
        rng.shuffle(indices)
        images, labels = train[0][indices], train[1][indices]
        targets = one_hot_encode(labels)
        loss, done = 0.0, 0
        while done < len(images):
            network.reset_grad()
            for image, target in zip(
                images[done : done + batch_size], targets[done : done + batch_size], strict=True
            ):
                network.forward(image)
                loss += network.loss(target)
                network.update_grad(target)
            network.update_params(learning_rate)
            stop_if_diverged(loss, learning_rate)
            done += batch_size
        history.record(
            loss / len(images),
            test_network(network, train[0], train[1]),
            test_network(network, validation[0], validation[1]),
        )


def path_of(prefix, name):
    return Path(str(prefix) + "_" + name)


def save_weights(network, filename_prefix):
    with write_together(path_of(filename_prefix, "manifest.json")) as open_file:
        np.save(open_file(path_of(filename_prefix, "W1.npy")), network.W1)
        np.save(open_file(path_of(filename_prefix, "b1.npy")), network.b1)
        np.save(open_file(path_of(filename_prefix, "W2.npy")), network.W2)
        np.save(open_file(path_of(filename_prefix, "b2.npy")), network.b2)


def load_weights(network, filename_prefix):
    try:
        W1 = np.load(path_of(filename_prefix, "W1.npy"))
        b1 = np.load(path_of(filename_prefix, "b1.npy"))
        W2 = np.load(path_of(filename_prefix, "W2.npy"))
        b2 = np.load(path_of(filename_prefix, "b2.npy"))
    except EOFError:
        raise ValueError("one of the files is empty") from None
    if W1.shape != network.W1.shape or W2.shape != network.W2.shape or b1.shape != network.b1.shape:
        raise ValueError("these are the weights of another network")
    if b2.shape != network.b2.shape:
        raise ValueError("these are the weights of another network")
    if not W1.dtype == b1.dtype == W2.dtype == b2.dtype == network.W1.dtype:
        raise ValueError("these are numbers of another type")
    paths = [path_of(filename_prefix, name + ".npy") for name in ("W1", "b1", "W2", "b2")]
    contents = {path: read_file(path) for path in paths}
    require_together(path_of(filename_prefix, "manifest.json"), contents)
    network.W1[:], network.b1[:], network.W2[:], network.b2[:] = W1, b1, W2, b2
