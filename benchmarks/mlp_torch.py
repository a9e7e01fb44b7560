"""The MLP in PyTorch, on tensors and with a DataLoader."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.measure import Timed
from benchmarks.mlp_ours import BATCH, LEARNING_RATE, training_images
from benchmarks.torch_loop import usual_epoch


def eager(n: int) -> Timed:
    """An epoch on tensors that hold all images."""
    images, labels = (torch.tensor(values) for values in training_images(n))
    network = new_network()

    def epoch() -> float:
        order = torch.randperm(n).split(BATCH)
        return train(network, ((images[rows], labels[rows]) for rows in order)) / n

    return epoch


def dataloader(n: int) -> Timed:
    """An epoch with the DataLoader of PyTorch's tutorials, on the same tensors."""
    dataset = TensorDataset(*(torch.tensor(values) for values in training_images(n)))
    loader = DataLoader(dataset, batch_size=BATCH, shuffle=True)
    network = new_network()
    return lambda: train(network, loader) / n


def new_network() -> nn.Module:
    """Return the layers of our MLP."""
    return nn.Sequential(nn.Linear(784, 64), nn.Sigmoid(), nn.Linear(64, 10))


def train(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Take one step for each batch and return the summed loss."""
    optimizer = optim.SGD(network.parameters(), lr=LEARNING_RATE)
    return usual_epoch(network, optimizer, nn.CrossEntropyLoss(reduction="sum"), batches)
