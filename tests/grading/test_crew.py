"""Whatever becomes of a process that is thrown away, the one that started it goes on."""

import os
import signal
import sys
import time

import psutil
import pytest

from grading.crew import Bounds, Failed, alone, in_processes
from grading.sandbox.limits import Budget, MarkerError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux")

SHORT, LONG = Bounds(seconds=2), Bounds(seconds=300, memory_mb=64)


def children():
    """Return the processes that this one has; tests before may have left servers."""
    return set(psutil.Process().children())


def sleep_whatever_comes():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(10**6)


@pytest.mark.parametrize(
    ("work", "bounds", "reason"),
    [
        (sleep_whatever_comes, SHORT, "not done in time"),
        (lambda: os._exit(0), LONG, "ended"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), LONG, "ended"),
        (lambda: bytes(2**30), LONG, "MemoryError"),
        (lambda: [1 / 0], LONG, "ZeroDivisionError"),
        (lambda: sys.exit("no"), LONG, "SystemExit: no"),
        (lambda: "text", LONG, "TypeError"),
        (lambda: (_ for _ in ()).throw(MarkerError("the disk is full")), LONG, "the disk is full"),
    ],
)
def test_a_failure_is_told_and_costs_nobody_else_anything(work, bounds, reason):
    before = children()
    works = {"before": lambda: b"1", "it": work, "after": lambda: b"2"}
    found = dict(in_processes(works, lambda name, _: works[name](), bounds, n=2))
    assert reason in found.pop("it").reason
    assert found == {"before": b"1", "after": b"2"}
    assert children() == before


def test_what_comes_back_is_bounded(monkeypatch):
    monkeypatch.setattr("grading.crew.MAX_BYTES", 1000)
    assert isinstance(alone(lambda: bytes(10**6), LONG), Failed)
    assert alone(lambda: bytes(900), LONG) == bytes(900)


def test_each_has_a_seat_of_its_own_and_not_more_run_at_once():
    seats = [found for _, found in in_processes(range(9), lambda _, seat: b"%d" % seat, LONG, n=3)]
    assert set(seats) <= {b"0", b"1", b"2"}
    assert len(seats) == 9


def test_whoever_stops_asking_leaves_no_process_behind():
    before = children()
    found = in_processes([0, 1, 2], lambda n, _: time.sleep(10**6 * n) or b"", LONG, n=3)
    assert next(found) == (0, b"")
    found.close()
    assert children() == before


@pytest.mark.parametrize("greed", [1.0, 7.0, 1000.0])
def test_a_part_cannot_use_up_what_is_reserved_for_others(greed):
    budget, had = Budget(60, 6), []
    for _ in range(6):
        budget.begin_part()
        had.append(budget.left)
        budget.used += min(greed, budget.left)
    assert all(seconds >= 5 for seconds in had)
    assert budget.used <= 60
    assert had[0] == 35


@pytest.mark.parametrize(("used", "left"), [(0.0, 5), (20.0, 5), (33.0, 2), (36.0, -1)])
def test_a_second_look_has_no_more_than_what_is_reserved(used, left):
    budget = Budget(60, 6)
    budget.begin_part()
    budget.used = used
    budget.begin_again()
    assert budget.left == left
