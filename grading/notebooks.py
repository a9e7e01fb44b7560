"""Executing a student's notebooks again, in a sandbox, and judging what they leave behind.

What is printed or pasted in a notebook counts for nothing. The networks that it saves do: their
weights are taken out of the sandbox as arrays, and the accuracy on the test images is measured
here, by networks of our own. (Weights that were trained elsewhere and put into a cell would pass:
that is for the person who reads the notebook.)
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from checks.gradients import PARAMETERS
from grading.archives import HandIn
from grading.marking import HELPERS, PACKAGES, STUDENTS, clean
from grading.sandbox import protocol
from grading.sandbox.limits import Budget, Limits
from grading.sandbox.remote import Session
from grading.sandbox.surroundings import Surroundings
from helpers.bands import load_bands
from helpers.mlp import MLP
from helpers.mnist import DATA, Digits, load_mnist
from helpers.training import accuracy, test_network

Array = np.ndarray
BATCH = 500
LIBRARIES = ["nbformat", "nbclient"]


def execute_notebooks(
    hand_in: HandIn, limits: Limits, surroundings: Surroundings
) -> list[dict[str, Any]]:
    """Return what came of each notebook: name, and lines to be read. Raises MarkerError.

    All of them have twice the time of one, together.
    """
    budget = Budget(2 * limits.notebook_seconds, len(hand_in.notebooks))
    limits = _limits(limits)
    data = load_mnist()
    found: list[dict[str, Any]] = []
    waiting = list(enumerate(sorted(hand_in.notebooks)))
    while waiting:
        with surroundings.worker(LIBRARIES, limits, {DATA.resolve(): "data"}) as process:
            session = Session(process, _files(hand_in), LIBRARIES, limits, budget)
            session.largest = protocol.MAX_BODY
            while waiting and not session.is_over:
                budget.begin_part()
                found.append(_execute(session, *waiting.pop(0), data))
                session.settle()
    return found


def _limits(limits: Limits) -> Limits:
    """Return limits under which a kernel can run and train."""
    seconds = limits.notebook_seconds
    return replace(
        limits, call_seconds=seconds, cpu_seconds=2 * math.ceil(seconds),
        memory_mb=2 * limits.memory_mb, processes=256, scratch_mb=512,
    )  # fmt: skip


def _files(hand_in: HandIn) -> dict[str, bytes]:
    """Return what a notebook finds: the course's helpers with the student's own in their place."""
    ours = {
        path.relative_to(HELPERS.parent).as_posix(): path.read_bytes()
        for package in PACKAGES
        for path in HELPERS.with_name(package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    theirs = {f"helpers/{name}" for name in STUDENTS}
    own = {f"helpers/{name}": content for name, content in hand_in.modules.items()}
    kept = {name: content for name, content in ours.items() if name not in theirs}
    added = {name: content for name, content in own.items() if name in theirs or name not in ours}
    return (
        kept
        | added
        | {
            f"notebooks/{n}.ipynb": content
            for n, (_, content) in enumerate(sorted(hand_in.notebooks.items()))
        }
    )


def _execute(session: Session, number: int, name: str, data: Digits) -> dict[str, Any]:
    """Execute one notebook and measure the networks that lie there afterwards."""
    try:
        seconds = min(session.limits.call_seconds, session.budget.left)
        told = session.request("execute", number=number, cell_seconds=seconds, source=data.source)
        lines = [clean(str(told)[:2000]) or "It ran to its end."]
        lines += judged_weights(session.request("weights"), data)
    except Exception as error:
        lines = [clean(f"{type(error).__name__}: {error}")]
    return {"name": clean(name), "lines": lines}


def judged_weights(weights: Any, data: Digits) -> Iterator[str]:
    """Yield a line for each network: its accuracy on the test images, beside the band."""
    bands = load_bands()[data.source]
    for kind, measure in (("mlp", mlp_accuracy), ("myNet", cnn_accuracy)):
        for size in ("full", "mini"):
            name = f"{'MLP' if kind == 'mlp' else 'CNN'} {size}, test accuracy"
            found = weights.get(f"{kind}_{size}") if isinstance(weights, dict) else None
            if found:
                value = measure(found, data)
                yield bands[name].verdict(name, value) if value else f"{name}: no such network"


def mlp_accuracy(found: Mapping[str, Any], data: Digits) -> float:
    """Return the accuracy, in percent, of an MLP with these parameters; 0 if they are none."""
    network = MLP()
    if any(np.shape(found.get(name, 0)) != getattr(network, name).shape for name in PARAMETERS):
        return 0.0
    for name in PARAMETERS:
        setattr(network, name, np.nan_to_num(np.asarray(found[name], np.float32)))
    return test_network(network, *data.test)


def cnn_accuracy(found: Mapping[str, Any], data: Digits) -> float:
    """Return the accuracy, in percent, of a CNN with these parameters; 0 if they are none."""
    import torch

    from checks.cnn_net import WEIGHTS, Wiring, wired

    by_shape = {np.shape(v): torch.tensor(np.asarray(v, np.float32)) for v in found.values()}
    if not all(shape in by_shape and shape[:1] in by_shape for shape in WEIGHTS):
        return 0.0
    weights = [(by_shape[shape], by_shape[shape[:1]]) for shape in WEIGHTS]
    images = torch.tensor(data.test.images).reshape(-1, 1, 28, 28)
    digits = [wired(weights, part, Wiring()).argmax(dim=1) for part in images.split(BATCH)]
    return accuracy(torch.cat(digits).numpy(), data.test.labels)
