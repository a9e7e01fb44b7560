"""Tasks for the benchmarks' worker processes to try; light, since each of them imports this."""

import json
import os
from pathlib import Path

from benchmarks.measure import THREAD_VARIABLES
from machine.threads import available_cores


def count_runs(path):
    """A task for a worker: write down who ran, with its threads and its cores."""

    def note():
        with Path(path).open("a") as file:
            variables = {name: os.environ.get(name) for name in THREAD_VARIABLES}
            print(json.dumps({"id": os.getpid(), **variables,
                              "cores": available_cores()}), file=file)  # fmt: skip

    return note


def fail_to_import():
    raise ModuleNotFoundError("No module named 'nowhere'", name="nowhere")


def refuse():
    raise RuntimeError("no such thing\nand a second line")


def nothing():
    return list
