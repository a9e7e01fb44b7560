"""The CNN on a CUDA GPU. A task ends when the GPU has finished, so that all its work is timed."""

from collections.abc import Callable
from functools import wraps

import torch

from benchmarks import cnn_torch
from benchmarks.cnn_torch import BATCH, as_tensors, batches, training_parts
from benchmarks.measure import Timed, UnavailableError
from benchmarks.torch_loop import usual_epoch
from helpers.cnn import Net

Preparation = Callable[[int], Timed]


def on_gpu(prepare: Preparation) -> Preparation:
    """Make a preparation refuse where there is no GPU, and its task wait for the GPU."""

    @wraps(prepare)
    def prepare_on_gpu(n: int) -> Timed:
        if not torch.cuda.is_available():
            raise UnavailableError("no GPU at hand")
        task = prepare(n)

        def run_and_wait() -> None:
            task()
            torch.cuda.synchronize()

        return run_and_wait

    return prepare_on_gpu


@on_gpu
def ours(n: int) -> Timed:
    """What `trainNN` does in an epoch."""
    return cnn_torch.ours(n)


@on_gpu
def usual_loop(n: int) -> Timed:
    """The usual loop, in which two processes prepare the batches."""
    return cnn_torch.usual_loop(n, n_workers=2, device="cuda")


@on_gpu
def eager(n: int) -> Timed:
    """Step by step on tensors, asking for the loss after each."""
    images, labels = (values.cuda() for values in as_tensors(n))
    parts = training_parts(Net(seed=0).cuda())
    return lambda: usual_epoch(*parts, batches(images, labels))


@on_gpu
def cuda_graph(n: int) -> Timed:
    """One step recorded as a CUDA graph and replayed; a last batch that is not full is left out."""
    images, labels = (values.cuda() for values in as_tensors(n))
    network, optimizer, criterion = training_parts(Net(seed=0).cuda())
    x, y = images[:BATCH].clone(), labels[:BATCH].clone()

    def step() -> None:
        optimizer.zero_grad()
        criterion(network(x), y).backward()
        optimizer.step()

    graph = recorded(step)

    def epoch() -> None:
        for batch_images, batch_labels in batches(images, labels):
            if len(batch_labels) == BATCH:
                x.copy_(batch_images)
                y.copy_(batch_labels)
                graph.replay()

    return epoch


def recorded(step: Timed) -> torch.cuda.CUDAGraph:
    """Record `step` after a few runs beside the main stream, as PyTorch's notes ask for."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph
