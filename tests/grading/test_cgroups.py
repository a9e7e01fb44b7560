"""Where the system gives control groups, the kernel counts all memory and ends all processes."""

import os
import sys

import pytest

from grading.sandbox.cgroups import Group, has_limits, parent_group
from grading.sandbox.limits import Limits
from grading.sandbox.remote import Ended, Session
from grading.sandbox.surroundings import Surroundings
from grading.sandbox.watch import MemoryLimit
from tests.grading.test_hand_ins import needs_sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux")
needs_groups = pytest.mark.skipif(not parent_group(), reason="no control groups, so NOT TESTED")
needs_limits = pytest.mark.skipif(
    not has_limits(parent_group()), reason="no limits of control groups, so NOT TESTED"
)

LIMITS = Limits(call_seconds=300, hand_in_seconds=300, memory_mb=400, processes=20)
STUDENT = """
import mmap, os, signal, time

hog = []


def two_children():
    for _ in range(2):
        if os.fork() == 0:
            hog.append(b"x" * (300 << 20))
            time.sleep(10**6)
    time.sleep(10**6)


def fork():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    n = 0
    try:
        while n < 500:
            if os.fork() == 0:
                time.sleep(10**6)
            n += 1
    except OSError:
        pass
    return n


def compute_in_children():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(4):
        if os.fork() == 0:
            end = time.process_time() + 0.5
            while time.process_time() < end:
                pass
            os._exit(0)
    try:
        os.wait()
    except ChildProcessError:
        return 0
"""


@pytest.fixture
def session():
    with Surroundings().worker(["numpy"], LIMITS) as process:
        files = {"helpers/__init__.py": b"", "helpers/mlp.py": STUDENT.encode()}
        yield Session(process, files, ["numpy"], LIMITS)


@needs_sandbox
def test_memory_of_all_processes_together_is_limited(session):
    with pytest.raises(MemoryLimit, match="400 MB"):
        session.load("mlp", "two_children")()


@needs_sandbox
@needs_limits
def test_processes_are_limited_and_all_end(session):
    assert 10 < session.load("mlp", "fork")() <= 20
    path = session.process.group.path
    assert int((path / "pids.current").read_text()) > 10
    session.process.close()
    assert not path.exists()
    with pytest.raises((Ended, OSError)):
        session.load("mlp", "fork")


@needs_sandbox
@needs_groups
def test_what_children_computed_counts_though_they_are_gone(session):
    session.load("mlp", "compute_in_children")()
    session.settle()
    assert session.budget.used > 1.9


def test_a_group_says_its_limits_in_the_words_of_the_kernel(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *_: -1)  # only a real group has an entrance
        group = Group(tmp_path, Limits(memory_mb=3, processes=5))
    assert {path.name: path.read_text() for path in group.path.iterdir()} == {
        "memory.max": "3145728", "memory.oom.group": "1", "pids.max": "6",
        "memory.swap.max": "0",
    }  # fmt: skip
    (group.path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (group.path / "memory.events").write_text("oom 1\noom_kill 0\n")
    assert (group.cpu_seconds(), group.is_out_of_memory()) == (2.5, False)
    (group.path / "memory.events").write_text("oom 1\noom_kill 1\n")
    assert group.is_out_of_memory()
