"""Whoever computes, however it hides and whenever it begins: a hand-in's computing is limited."""

# ruff: noqa: E501  # lines of code that burns

import sys
import textwrap
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grading.sandbox import processes
from grading.sandbox.cgroups import parent_group
from grading.sandbox.limits import Budget, Limits
from grading.sandbox.remote import Session
from grading.sandbox.watch import TimeLimit
from tests.grading.test_hand_ins import needs_sandbox, surroundings

pytestmark = [
    needs_sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="wants Linux"),
]

__all__ = ["surroundings"]
LIMITS = Limits(call_seconds=10_000, hand_in_seconds=10_000, processes=40)
BUDGET = 1.0  # seconds
GIVE_UP = 300.0  # seconds by the clock on the wall, after which nobody seems to have looked
BURN = """
import multiprocessing, os, signal, subprocess, sys, threading, time


def compute():
    {how}


def begin():
    {who}


def answer():
    return 0.0
"""
HOW = {
    "all the time": "while True: pass",
    "with breaks": "while True:\n    time.sleep(0.002)\n    sum(range(10**5))",
    "politely": "os.nice(19)\nwhile True: pass",
    "when others don't": "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass",
    "deaf": "for n in (signal.SIGXCPU, signal.SIGTERM): signal.signal(n, signal.SIG_IGN)\n"
    "while True: pass",
    "in the kernel": "while True: os.urandom(2**20)",
}  # fmt: skip
WHO = {
    "a thread": "threading.Thread(target=any, args=(iter(lambda: sum(range(10**4)) < 0, 1),)).start()",
    "a child": "if os.fork() == 0: compute()",
    "a crowd": "for _ in range(6):\n    if os.fork() == 0: compute()",
    "a daemon": "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: compute()\n    os._exit(0)",
    "a process of multiprocessing":
        "multiprocessing.get_context('fork').Process(target=compute).start()",
    "another program": "subprocess.Popen([sys.executable, '-c', 'while True: pass'])",
    "children one after the other":
        "if os.fork() == 0:\n    while True:\n        if os.fork() == 0:\n"
        "            while time.process_time() < 0.2: pass\n            os._exit(0)\n        os.wait()",
}  # fmt: skip
# These are seen by a control group alone: nobody waits for them, and they are gone at once.
UNSEEN = {
    "children that nobody waits for":
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nif os.fork() == 0:\n    while True:\n"
        "        if os.fork() == 0:\n            while time.process_time() < 0.02: pass\n"
        "            os._exit(0)\n        time.sleep(0.001)",
}  # fmt: skip


@st.composite
def burners(draw, who):
    """Draw a module that computes without end, and the name of what begins it, if a call does."""
    parts = {"how": HOW[draw(st.sampled_from([*HOW]))], "who": who[draw(st.sampled_from([*who]))]}
    source = BURN.format(**{k: textwrap.indent(v, "    ").strip() for k, v in parts.items()})
    at_import = draw(st.booleans())
    return source + ("\n\nbegin()\n" if at_import else ""), "answer" if at_import else "begin"


def ends(source, begin, surroundings):
    """Say whether a worker is ended with all its processes, though nobody asks it anything."""
    budget = Budget(BUDGET, 1)
    with surroundings.worker(["numpy"], LIMITS) as process:
        files = {"helpers/__init__.py": b"", "helpers/mlp.py": source.encode()}
        session = Session(process, files, ["numpy"], LIMITS, budget)
        session.load("mlp", begin)()
        end = time.monotonic() + GIVE_UP
        while not session.watch.reason and time.monotonic() < end:
            time.sleep(0.05)
        family = process.family()
        with pytest.raises(TimeLimit, match="used up"):
            session.load("mlp", "answer")
    assert budget.used >= BUDGET
    return not [each for each in family if each.is_running()]


@pytest.mark.parametrize("counted", ["by a control group", "by looking at each process"])
def test_whoever_computes_is_stopped(counted, surroundings, monkeypatch):
    who = WHO
    if counted == "by looking at each process":
        monkeypatch.setattr(processes, "parent_group", lambda: None)
    elif parent_group():
        who = WHO | UNSEEN
    else:
        pytest.skip("no control groups, so NOT TESTED")

    @settings(max_examples=8, deadline=None, database=None, suppress_health_check=HealthCheck)
    @given(burners(who))
    def try_one(burner):
        assert ends(*burner, surroundings)

    try_one()
