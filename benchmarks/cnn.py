"""Epochs of the CNN: each function returns one, ready to be run again and again.

All train the same layers in batches of 64 by gradient descent with momentum, in a new random order
each epoch. On a GPU an epoch ends when the GPU has finished, so that all its work is timed.
"""

import os
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn, optim

from benchmarks.measure import Timed
from helpers import cnn
from helpers.mnist import DATA, load_mnist
from machine.threads import few_threads, on_fastest_threads

Batches = Iterable[tuple[Tensor, Tensor]]

BATCH = 64
MEAN, SD = 0.1307, 0.3081  # of MNIST's pixels, as PyTorch's own MNIST example normalizes them


def as_tensors(n: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Return the first `n` training images (n, 1, 28, 28) and their labels (n,)."""
    return cnn.as_tensors(load_mnist().train, n, torch.device(device))


def training_parts(device: str = "cpu") -> tuple[nn.Module, optim.Optimizer, nn.CrossEntropyLoss]:
    """Return a new network, the optimizer and the criterion with which notebook 2 trains it."""
    network = cnn.Net(seed=0).to(device)
    return network, optim.SGD(network.parameters(), lr=0.01, momentum=0.9), nn.CrossEntropyLoss()


def batches(images: Tensor, labels: Tensor, size: int = BATCH) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches in a random order, as `trainNN` draws them."""
    order = torch.randperm(len(images)).to(images.device)
    return ((images[rows], labels[rows]) for rows in order.split(size))


def usual_epoch(
    network: Callable[[Tensor], Tensor], optimizer: optim.Optimizer, criterion: nn.Module,
    batches: Batches,
) -> float:  # fmt: skip
    """Train as PyTorch's tutorials do, a step for each batch; return the sum of their losses."""
    total_loss = 0.0
    for images, labels in batches:
        optimizer.zero_grad()
        loss = criterion(network(images), labels)
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
    return total_loss


def ours(n: int) -> Timed:
    """What `trainNN` does in an epoch, without the validation accuracy."""
    parts = training_parts()
    data = as_tensors(n, str(cnn.place(parts[0])))

    def epoch() -> None:
        with few_threads():
            for _ in on_fastest_threads(range(1), parts[1]):
                cnn.train_epoch(*parts, batches(*data))

    return epoch


def usual_loop(n: int, n_workers: int, device: str = "cpu") -> Timed:
    """The loop of the tutorials: torchvision's data set, transforms, DataLoader, `.item()`."""
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, SD)])
    subset = Subset(datasets.MNIST(DATA, train=True, transform=transform), range(n))
    loader = DataLoader(subset, batch_size=BATCH, shuffle=True, num_workers=n_workers)
    parts = training_parts(device)
    return lambda: usual_epoch(*parts, ((x.to(device), y.to(device)) for x, y in loader))


def on_tensors(n: int, device: str = "cpu", compiling: bool = False) -> Timed:
    """Step by step on tensors that hold all images, by `torch.compile` or without."""
    data, (network, optimizer, criterion) = as_tensors(n, device), training_parts(device)
    called = torch.compile(network) if compiling else network
    return lambda: usual_epoch(called, optimizer, criterion, batches(*data))


def cuda_graph(n: int) -> Timed:
    """One step recorded as a CUDA graph and replayed; a last batch that is not full is left out."""
    images, labels = as_tensors(n, "cuda")
    network, optimizer, criterion = training_parts("cuda")
    x, y = images[:BATCH].clone(), labels[:BATCH].clone()

    def step() -> None:
        optimizer.zero_grad()
        criterion(network(x), y).backward()
        optimizer.step()

    graph = _recorded(step)

    def epoch() -> None:
        for batch_images, batch_labels in batches(images, labels):
            if len(batch_labels) == BATCH:
                x.copy_(batch_images)
                y.copy_(batch_labels)
                graph.replay()
        torch.cuda.synchronize()

    return epoch


def _recorded(step: Timed) -> torch.cuda.CUDAGraph:
    """Record `step` after a few runs beside the main stream, as PyTorch's notes ask for."""
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    with torch.cuda.graph(graph):
        step()
    return graph


def keras_fit(n: int) -> Timed:
    """An epoch of Keras' `fit`, on JAX, with the layers of `Net`."""
    os.environ["KERAS_BACKEND"] = "jax"  # Keras looks at it when it is imported
    import jax  # noqa: F401  # should it be missing, this says so better than Keras
    import keras
    from keras import layers

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
    return lambda: network.fit(pictures, labels, batch_size=BATCH, epochs=1, verbose=0)
