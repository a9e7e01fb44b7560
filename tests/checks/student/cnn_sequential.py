"""The same exercises with Sequential, a DataLoader and modules for everything."""

from collections import OrderedDict

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers.training import History, stop_if_diverged


def convolve(picture, weights, biases, stride=1, padding=0):
    frame = [(0, 0), (padding, padding), (padding, padding)]
    windows = sliding_window_view(np.pad(picture, frame), weights.shape[2:], axis=(1, 2))
    seen = windows[:, ::stride, ::stride]
    return np.einsum("cijmn,ocmn->oij", seen, weights) + biases[:, np.newaxis, np.newaxis]


class Net(nn.Module):
    def __init__(self, *, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(OrderedDict([
            ("conv1", nn.Conv2d(1, 6, 5)), ("pool1", nn.MaxPool2d(2)), ("relu1", nn.ReLU()),
            ("conv2", nn.Conv2d(6, 16, 5)), ("relu2", nn.ReLU()), ("pool2", nn.MaxPool2d(2)),
            ("flatten", nn.Flatten()), ("fc1", nn.Linear(256, 120)), ("relu3", nn.ReLU()),
            ("fc2", nn.Linear(120, 84)), ("relu4", nn.ReLU()), ("fc3", nn.Linear(84, 10)),
        ]))  # fmt: skip

    def forward(self, pictures):
        return self.layers(pictures)


def dataset(part):
    pictures = torch.tensor(part[0], dtype=torch.float32).view(-1, 1, 28, 28)
    return TensorDataset(pictures, torch.tensor(part[1]).view(len(pictures)))


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
    loader = DataLoader(
        dataset(train), batch_size, shuffle=True, generator=torch.Generator().manual_seed(seed)
    )
    history = History()
    try:
        train_on(network, loader, optimizer, epochs, criterion, train, validation, history)
    except KeyboardInterrupt:
        print("stopped")
    return history


def train_on(network, loader, optimizer, epochs, criterion, train, validation, history):
    for _ in range(epochs):
        network.train(True)
        losses = []
        for pictures, digits in loader:
            loss = criterion(network(pictures), digits)
            for parameter in network.parameters():
                parameter.grad = None
            loss.backward()
            optimizer.step()
            losses.append(float(loss) * len(digits))
        stop_if_diverged(sum(losses), optimizer.param_groups[0]["lr"])
        history.record(
            sum(losses) / len(train[1]),
            test_accuracy(network, *train),
            test_accuracy(network, *validation),
        )


@torch.inference_mode()
def evaluate(network, images):
    mode = network.training
    network.eval()
    pictures = torch.tensor(images, dtype=torch.float32).view(-1, 1, 28, 28)
    try:
        return torch.vstack([network(some) for some in pictures.split(200)])
    finally:
        network.train(mode)


@torch.inference_mode()
def test_accuracy(network, images, labels):
    mode = network.training
    network.eval()
    hits = [
        network(pictures).argmax(1) == digits
        for pictures, digits in DataLoader(dataset((images, labels)), 100)
    ]
    network.train(mode)
    return round(100 * float(torch.cat(hits).float().mean()), 2)


test_accuracy.__test__ = False
