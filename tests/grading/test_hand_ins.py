"""Hostile, broken and unusual hand-ins get the marks that they deserve, in bounded time."""

import os
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import psutil
import pytest

import grading.sandbox.surroundings as surroundings_module
from grading.archives import HandIn
from grading.exam import read_exam
from grading.marking import mark
from grading.sandbox import processes
from grading.sandbox.limits import Limits
from grading.sandbox.processes import why_unavailable
from grading.sandbox.surroundings import Surroundings
from tests.grading.hand_ins.catalogue import CASES, HOSTILE, modules, solution

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux"),
]

ROOT = Path(__file__).parents[2]
LIMITS = Limits(call_seconds=1, hand_in_seconds=20, cpu_seconds=6, memory_mb=512, processes=40)
SLEEP = str(10**6 + os.getpid())  # seconds: tells whoever sleeps so from those of tests beside
REASON = why_unavailable()
needs_sandbox = pytest.mark.skipif(bool(REASON), reason=f"NO SANDBOX, so NOT TESTED: {REASON}")
everywhere = cache(Surroundings)  # each module that imports the fixture has one of its own


@pytest.fixture(scope="session")
def surroundings():
    """The same servers for all modules: to start one means to import PyTorch."""
    return everywhere()


def marked(case, surroundings, seed=7):
    exam = read_exam()
    tasks = tuple(task for task in exam.tasks if task.name in case.tasks)
    exam = replace(exam, tasks=tasks, limits=replace(LIMITS, call_seconds=case.seconds))
    return mark(HandIn(case.name, dict(case.files)), exam, seed, surroundings)


def deserved(case, result):
    """Return the points by exercise that the case deserves."""
    maxima = {each["name"]: each["maximum"] for each in result["exercises"]}
    return maxima | dict.fromkeys(case.lost, 0) | dict(case.partly)


def test_the_catalogue_is_large():
    assert len(HOSTILE) >= 35
    assert len({case.name for case in CASES}) == len(CASES)


@needs_sandbox
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_gets_what_it_deserves(case, surroundings):
    start = time.monotonic()
    files = {name: text.replace(b"98765", SLEEP.encode()) for name, text in case.files.items()}
    result = marked(replace(case, files=files), surroundings)
    found = {each["name"]: each["points"] for each in result["exercises"]}
    assert found == deserved(case, result), [each["text"] for each in result["exercises"]]
    assert set(found) == set(case.tasks)
    assert time.monotonic() - start < 300
    left = [p for p in psutil.process_iter(["cmdline"]) if SLEEP in (p.info["cmdline"] or ())]
    # The kernel kills what is left of a sandbox at once; they may still be seen for a moment.
    _, alive = psutil.wait_procs(left, timeout=30)
    assert not alive


@needs_sandbox
def test_the_solution_of_both_notebooks_gets_all_points(surroundings):
    exam = read_exam()
    result = mark(HandIn("x", modules(cnn=solution("cnn"))), exam, 7, surroundings)
    found = {each["name"]: each["points"] for each in result["exercises"]}
    assert found == {task.name: task.maximum for task in exam.tasks}


SHARES = {
    "training": """


def train_network(*args, _train=train_network, **kwargs):
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    data = TensorDataset(torch.zeros(64, 784), torch.zeros(64))
    assert len(list(DataLoader(data, batch_size=8, num_workers=8))) == 8
    return _train(*args, **kwargs)
""",
    "mlp": """


LARGE = np.ones(120 << 17)


def touch(n):
    return LARGE[::512].sum()


def softmax(a, _softmax=softmax):
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(16) as pool:
        assert len(set(pool.map(touch, range(64)))) == 1
    return _softmax(a)
""",
}


@needs_sandbox
@pytest.mark.parametrize("counted", ["by a control group", "by looking at each process"])
def test_memory_that_processes_share_counts_once(counted, surroundings, monkeypatch):
    if counted == "by looking at each process":
        monkeypatch.setattr(processes, "parent_group", lambda: None)
    exam = read_exam()
    tasks = tuple(task for task in exam.tasks if task.name in ("softmax", "train_network"))
    limits = replace(exam.limits, memory_mb=1024)
    files = modules(**{name: solution(name) + text for name, text in SHARES.items()})
    result = mark(HandIn("x", files), replace(exam, tasks=tasks, limits=limits), 7, surroundings)
    assert result["points"] == sum(task.maximum for task in tasks)


@needs_sandbox
@pytest.mark.parametrize(
    "name", ["the solution", "fork bomb", "os._exit(0)", "fills the disk", "leaves daemons behind"]
)
def test_so_they_do_where_each_worker_needs_a_sandbox(name, surroundings, monkeypatch):
    monkeypatch.setattr(surroundings_module, "can_nest", lambda: False)
    monkeypatch.setattr(Surroundings, "_fork", None)
    (case,) = (case for case in CASES if case.name == name)
    test_each_gets_what_it_deserves(case, surroundings)
