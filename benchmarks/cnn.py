"""The CNN in PyTorch: ours, the usual loop, and compiled."""

import os
import shutil
from collections.abc import Iterator

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from benchmarks.measure import Timed, UnavailableError
from benchmarks.torch_loop import usual_epoch
from helpers import cnn
from helpers.cnn import Net, place, train_epoch
from helpers.mnist import DATA, load_mnist
from helpers.threads import few_threads

BATCH = 64
MEAN, SD = 0.1307, 0.3081  # of MNIST's pixels, as PyTorch's own MNIST example normalizes them


def as_tensors(n: int) -> tuple[Tensor, Tensor]:
    """Return the first `n` training images (n, 1, 28, 28) and their labels (n,)."""
    return cnn.as_tensors(load_mnist().train, n, torch.device("cpu"))


def training_parts(network: nn.Module) -> tuple[nn.Module, optim.Optimizer, nn.CrossEntropyLoss]:
    """Return what notebook 2 trains with."""
    return network, optim.SGD(network.parameters(), lr=0.01, momentum=0.9), nn.CrossEntropyLoss()


def batches(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches in a random order, as `trainNN` draws them."""
    order = torch.randperm(len(images)).to(images.device)
    return ((images[rows], labels[rows]) for rows in order.split(BATCH))


def ours(n: int) -> Timed:
    """What `trainNN` does in an epoch, without the validation accuracy."""
    network = Net(seed=0)
    device = place(network)
    images, labels = (values.to(device) for values in as_tensors(n))
    parts = training_parts(network)

    def epoch() -> None:
        with few_threads():
            train_epoch(*parts, batches(images, labels))

    return epoch


def usual_loop_with_workers(n: int) -> Timed:
    """The usual loop, in which two processes prepare the batches."""
    return usual_loop(n, n_workers=2)


def usual_loop(n: int, n_workers: int = 0, device: str = "cpu") -> Timed:
    """The loop of the tutorials: torchvision's data set, transforms, DataLoader, `.item()`."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, SD)])
    try:
        mnist = datasets.MNIST(DATA, train=True, transform=transform)
    except RuntimeError as error:
        raise UnavailableError(f"not available: {error}") from error
    subset = Subset(mnist, range(n))
    loader = DataLoader(subset, batch_size=BATCH, shuffle=True, num_workers=n_workers)
    parts = training_parts(Net(seed=0).to(device))

    def epoch() -> None:
        usual_epoch(*parts, ((x.to(device), y.to(device)) for x, y in loader))

    return epoch


def compiled(n: int) -> Timed:
    """The network compiled, on tensors that hold all images."""
    if not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++", "cl"))):
        raise UnavailableError("not available: torch.compile needs a C++ compiler")
    images, labels = as_tensors(n)
    network, optimizer, criterion = training_parts(Net(seed=0))
    fast = torch.compile(network)
    try:
        criterion(fast(images[:BATCH]), labels[:BATCH]).backward()
    except Exception as error:  # whatever the compilers on this computer come up with
        raise UnavailableError(f"does not compile here ({type(error).__name__})") from None
    return lambda: usual_epoch(fast, optimizer, criterion, batches(images, labels))
