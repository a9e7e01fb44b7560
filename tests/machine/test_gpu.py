"""Recorded steps: on a GPU they do what the plain steps do. A made-up GPU stands in for one."""

from contextlib import contextmanager, nullcontext
from copy import deepcopy

import pytest
import torch
from torch import nn, optim

from helpers import cnn
from helpers.cnn import train_epoch
from machine import gpu
from machine.gpu import WARM_UP, recorded


class MadeUpGpu:
    """Records a step by noting what it is, and undoing what it did meanwhile."""

    def __init__(self, *undone):
        self.undone, self.recordings, self.replays = undone, 0, 0

    @contextmanager
    def graph(self, graph):
        self.recordings += 1
        before = [deepcopy(part.state_dict()) for part in self.undone]
        yield
        for part, state in zip(self.undone, before, strict=True):
            part.load_state_dict(state)

    def replay_of(self, step):
        def replay():
            self.replays += 1
            for place, values in zip(step.outputs, step.step(*step.inputs), strict=True):
                place.copy_(values)

        return replay


@pytest.fixture
def on_gpu(monkeypatch):
    """Return a function that lets recorded steps believe that tensors are on a GPU."""

    def start(*undone):
        made_up = MadeUpGpu(*undone)
        stream = type("Stream", (), {"wait_stream": lambda *_: None})

        class OnGpu(recorded):
            def _record(self, inputs):
                done = super()._record(inputs)
                if done:
                    self.graph.replay = made_up.replay_of(self)
                return done

        monkeypatch.setattr(gpu, "on_gpu", lambda _: True)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", type("Graph", (), {}))
        monkeypatch.setattr(torch.cuda, "graph", made_up.graph)
        monkeypatch.setattr(torch.cuda, "Stream", stream)
        monkeypatch.setattr(torch.cuda, "current_stream", stream)
        monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
        monkeypatch.setattr(cnn, "recorded", OnGpu)
        return made_up, OnGpu

    return start


def parts():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    return network, optim.SGD(network.parameters(), lr=0.1, momentum=0.9), nn.CrossEntropyLoss()


def batches(sizes):
    generator = torch.Generator().manual_seed(1)
    for size in sizes:
        images = torch.rand(size, 1, 28, 28, generator=generator)
        yield images, torch.randint(10, (size,), generator=generator)


@pytest.mark.parametrize(
    ("sizes", "replays"),
    [([8] * 10, 7), ([8] * 10 + [3], 7), ([8] * 5 + [3, 8], 3), ([8] * 3, 0), ([8, 8, 5], 0)],
)
def test_recorded_steps_learn_what_plain_ones_learn(on_gpu, sizes, replays):
    plain, seen = parts(), parts()
    expected = train_epoch(*plain, batches(sizes))
    made_up, _ = on_gpu(*seen[:2])
    assert train_epoch(*seen, batches(sizes)) == pytest.approx(expected)
    for a, b in zip(plain[0].parameters(), seen[0].parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert made_up.recordings == (replays > 0)
    assert made_up.replays == replays


def test_a_step_that_cannot_be_recorded_goes_on_as_it_is(on_gpu):
    made_up, decorate = on_gpu()
    calls = []

    def step(x):
        calls.append(float(x))
        if made_up.recordings and len(calls) == WARM_UP + 1:
            raise RuntimeError("operation not permitted when stream is capturing")
        return (2 * x,)

    run = decorate(step)
    results = [run(torch.tensor(float(k)))[0].item() for k in range(8)]
    assert results == [2.0 * k for k in range(8)]
    assert made_up.recordings == 1


def test_on_a_cpu_a_step_is_called_as_it_is():
    run = recorded(lambda x: (x + 1,))
    x = torch.zeros(2)
    for _ in range(2 * WARM_UP):
        (x,) = run(x)
    assert x.tolist() == [2 * WARM_UP] * 2
    assert run.graph is None
