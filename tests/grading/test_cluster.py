"""Marking on a Dask cluster: each hand-in once, whatever becomes of the workers."""

import json
import multiprocessing
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from grading.classroom import Rules, Way, hand_ins, results, tickets_for
from grading.exam import read_exam
from grading.sandbox.limits import MarkerError
from tests.grading.test_grading import few, write_class
from tests.grading.test_hand_ins import LIMITS, ROOT, needs_sandbox, surroundings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux")

__all__ = ["few", "surroundings"]


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers on loopback; yields its address and the processes."""
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    file = tmp_path / "scheduler.json"
    common = [sys.executable, "-m"]
    scheduler = [*common, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    worker = [*common, "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny"]
    worker += ["--host", "127.0.0.1", "--no-dashboard", "--death-timeout", "120"]
    commands = [[*scheduler, "--no-dashboard"], worker, worker]
    processes = [
        subprocess.Popen(
            [*each, "--scheduler-file", str(file)], cwd=ROOT,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for each in commands
    ]  # fmt: skip
    try:
        while not (file.exists() and file.read_text()):  # it is made first, and then written
            assert processes[0].poll() is None
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"], processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@needs_sandbox
def test_each_hand_in_is_marked_once_though_a_worker_is_killed(
    tmp_path, few, cluster, surroundings
):
    from distributed import Client

    address, processes = cluster
    names = {f"s{n}": "returns NaN" if n % 3 else "the solution" for n in range(10)}
    folder = write_class(tmp_path / "class", names)
    rules = Rules(replace(read_exam(few), limits=LIMITS), 1, surroundings)
    tickets = list(tickets_for(hand_ins(folder), rules))
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=300)
    found = []
    for ticket, result in results(tickets, rules, Way(scheduler=address)):
        found.append((ticket.name, result["points"]))
        if len(found) == 4:
            worker, beside = next(
                (each, below) for each in processes[1:]
                if (below := psutil.Process(each.pid).children(recursive=True))
            )  # fmt: skip
            worker.kill()
    assert sorted(found) == [(name, 4 if int(name[1:]) % 3 else 7) for name in sorted(names)]
    assert not psutil.wait_procs(beside, timeout=60)[1], "what it had started lives on"


def test_a_worker_that_may_have_no_process_beside_it_ends_the_run_with_the_setting(
    tmp_path, few, surroundings, monkeypatch
):
    distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    rules = Rules(read_exam(few), 1, surroundings)
    tickets = list(tickets_for(hand_ins(write_class(tmp_path, {"ada": "the solution"})), rules))
    monkeypatch.setattr(multiprocessing.current_process(), "daemon", True)
    with (
        distributed.LocalCluster(1, processes=False, dashboard_address=None) as here,
        pytest.raises(MarkerError, match="DASK_DISTRIBUTED__WORKER__DAEMON=False"),
    ):
        list(results(tickets, rules, Way(scheduler=here.scheduler_address)))


def test_without_dask_the_extra_is_named(tmp_path, few, surroundings, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    folder = write_class(tmp_path, {"ada": "the solution"})
    rules = Rules(read_exam(few), 1, surroundings)
    tickets = list(tickets_for(hand_ins(folder), rules))
    with pytest.raises(MarkerError, match="dask"):
        list(results(tickets, rules, Way(scheduler="tcp://127.0.0.1:1")))
