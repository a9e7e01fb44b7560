"""The second notebook's exercises in the manner of PyTorch's tutorials."""

from contextlib import suppress

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from helpers.training import History, stop_if_diverged


def convolve(picture, weights, biases, stride=1, padding=0):
    channels, h, w = picture.shape
    padded = np.zeros((channels, h + 2 * padding, w + 2 * padding))
    padded[:, padding : padding + h, padding : padding + w] = picture
    size = weights.shape[2]
    rows = (h + 2 * padding - size) // stride + 1
    columns = (w + 2 * padding - size) // stride + 1
    maps = np.zeros((len(weights), rows, columns))
    for o in range(len(weights)):
        for i in range(rows):
            for j in range(columns):
                total = biases[o]
                for c in range(channels):
                    for m in range(size):
                        for n in range(size):
                            pixel = padded[c, i * stride + m, j * stride + n]
                            total += weights[o, c, m, n] * pixel
                maps[o, i, j] = total
    return maps


class Net(nn.Module):
    def __init__(self, *, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential()
        self.layers.conv1 = nn.Conv2d(1, 6, 5)
        self.layers.relu1 = nn.ReLU()
        self.layers.pool1 = nn.MaxPool2d(2)
        self.layers.conv2 = nn.Conv2d(6, 16, 5)
        self.layers.relu2 = nn.ReLU()
        self.layers.pool2 = nn.MaxPool2d(2)
        self.layers.flatten = nn.Flatten()
        self.layers.fc1 = nn.Linear(16 * 4 * 4, 120)
        self.layers.relu3 = nn.ReLU()
        self.layers.fc2 = nn.Linear(120, 84)
        self.layers.relu4 = nn.ReLU()
        self.layers.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.layers.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.layers.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.layers.fc1(x))
        x = F.relu(self.layers.fc2(x))
        x = self.layers.fc3(x)
        return x


def trainNN(
    network,
    optimizer,
    epochs,
    criterion,
    full_data=True,
    *,
    train,
    validation,
    batch_size=64,
    seed=0,
):
    if not full_data:
        train = train[0][:2000], train[1][:2000]
    history = History()
    with suppress(KeyboardInterrupt):
        go_through_epochs(
            network, optimizer, epochs, criterion, train, validation, batch_size, seed, history
        )
    return history


def go_through_epochs(
    network, optimizer, epochs, criterion, train, validation, batch_size, seed, history
):
    images = torch.as_tensor(train[0]).reshape(-1, 1, 28, 28)
    labels = torch.as_tensor(train[1])
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        network.train()
        order = torch.randperm(len(images), generator=generator)
        total_loss, correct = 0.0, 0
        for start in range(0, len(images), batch_size):
            batch = order[start : start + batch_size]
            optimizer.zero_grad()
            logits = network(images[batch])
            loss = criterion(logits, labels[batch])
            loss.backward()
            optimizer.step()
            total_loss += loss.item() * len(batch)
            stop_if_diverged(total_loss, optimizer.param_groups[0]["lr"])
            correct += (logits.argmax(1) == labels[batch]).sum().item()
        train_accuracy = 100 * correct / len(images)
        validation_accuracy = test_accuracy(network, validation[0], validation[1])
        history.record(total_loss / len(images), train_accuracy, validation_accuracy)


def evaluate(network, images):
    was_training = network.training
    network.train(False)
    images = torch.as_tensor(images).float().reshape(-1, 1, 28, 28)
    try:
        with torch.no_grad():
            logits = [network(images[start : start + 500]) for start in range(0, len(images), 500)]
    finally:
        network.train(was_training)
    return torch.cat(logits)


def test_accuracy(network, images, labels):
    network.eval()
    images = torch.as_tensor(images).float().reshape(-1, 1, 28, 28)
    labels = torch.as_tensor(labels)
    if labels.shape != (len(images),):
        raise ValueError("one label an image, please")
    correct = 0
    with torch.no_grad():
        for start in range(0, len(images), 500):
            logits = network(images[start : start + 500])
            predicted = logits.argmax(dim=1)
            correct += (predicted == labels[start : start + 500]).sum().item()
    return 100 * correct / len(images)


test_accuracy.__test__ = False
