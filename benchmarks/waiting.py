"""What people wait for, in processes of their own, on the cores that the benchmarks keep to."""

import ast
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import psutil
from nbclient import NotebookClient

from benchmarks.measure import Contestant, Runner, Timed, environment, say
from helpers.mnist import load_mnist
from helpers.notebook import ROOT

NOTEBOOKS = {
    number: ROOT / "notebooks" / name
    for number, name in ((1, "1_mlp_from_scratch.ipynb"), (2, "2_cnn_pytorch.ipynb"))
}
CACHED, OFFLINE = "data, from the cache", "data, made offline"
BOTH, MAKE_TEST = "both notebooks at once, re-executed and checked", "`make test`, installed before"


def importing(number: int) -> str:
    return f"notebook {number}: all imports"


def first_picture(number: int) -> str:
    return f"notebook {number}: first picture, from the start of the first cell"


def re_execution(number: int) -> str:
    return f"notebook {number}: re-executed and checked"


@dataclass
class Wait:
    """How long something took, in seconds, and the most memory it held, in MB."""

    seconds: float
    peak_mb: float


def run(repeats: int, n_images: int) -> dict[str, Any]:
    """Measure short waits `repeats` times, long ones a third as often; all images are used."""
    long = -(-repeats // 3)
    waits: dict[str, dict[str, list[float]]] = {}
    with TemporaryDirectory() as outputs, environment({"DIGITS_OUTPUT": outputs}):
        for name, (measure, times) in plan(repeats, long).items():
            say(name)
            measured = [measure() for _ in range(times)]
            waits[name] = {
                "seconds": [wait.seconds for wait in measured],
                "peak_mb": [wait.peak_mb for wait in measured],
            }
            say(f"  {waits[name]}")
    return {"waits": waits}


def plan(short: int, long: int) -> dict[str, tuple[Callable[[], Wait], int]]:
    """Return what to measure, and how often."""
    todo: dict[str, tuple[Callable[[], Wait], int]] = {}
    for number, path in NOTEBOOKS.items():
        todo[importing(number)] = partial(command, "-c", imports(path)), short
        todo[first_picture(number)] = partial(wait_for_picture, path), short
    todo[CACHED] = partial(task, "benchmarks.waiting:cached_data"), short
    todo[OFFLINE] = partial(task, "benchmarks.waiting:offline_data"), short
    for number, path in NOTEBOOKS.items():
        todo[re_execution(number)] = partial(nbval, str(path)), long
    todo[BOTH] = both_at_once, long
    todo[MAKE_TEST] = partial(timed, ["make", "test"]), long
    return todo


def imports(path: Path) -> str:
    """Return all import statements in the notebook's code cells, one a line."""
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    nodes = ast.walk(ast.parse(code))
    return "\n".join(ast.unparse(n) for n in nodes if isinstance(n, ast.Import | ast.ImportFrom))


def wait_for_picture(path: Path) -> Wait:
    """Run the notebook's cells in a fresh kernel until one has displayed a picture."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}})
    with watch_memory(psutil.Process()) as peak, client.setup_kernel():
        start = time.perf_counter()
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
            if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
                return Wait(time.perf_counter() - start, peak[0])
    raise ValueError(f"{path.name} displays no picture.")


def task(name: str) -> Wait:
    """Measure the second run of a task in a process of its own."""
    worker = Runner(Contestant(name, name))
    try:
        return Wait(worker.seconds(), worker.peak_memory())
    finally:
        worker.close()


def cached_data() -> Timed:
    """Load the data as it lies on the disk."""
    return load_mnist


def offline_data() -> Timed:
    """Make the stand-in anew."""
    os.environ["MNIST_MIRROR"] = "stand-in"

    def make() -> None:
        with TemporaryDirectory() as folder:
            load_mnist(folder=Path(folder))

    return make


def both_at_once() -> Wait:
    with environment({"OMP_NUM_THREADS": "1"}):
        return nbval("-n", "2", "--dist", "loadfile", *map(str, NOTEBOOKS.values()))


def nbval(*arguments: str) -> Wait:
    return command("-m", "pytest", "--nbval", "-q", *arguments)


def command(*arguments: str) -> Wait:
    return timed([sys.executable, *arguments])


def timed(argv: list[str]) -> Wait:
    """Run a command in the project's folder. Raises CalledProcessError if it fails."""
    start = time.perf_counter()
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        with watch_memory(psutil.Process(run.pid)) as peak:
            output, _ = run.communicate()
        if run.returncode:
            sys.stderr.write(output.decode(errors="replace")[-3000:])
            raise subprocess.CalledProcessError(run.returncode, argv)
    return Wait(time.perf_counter() - start, peak[0])


@contextmanager
def watch_memory(process: psutil.Process, every: float = 0.05) -> Iterator[list[float]]:
    """Give a list of one number, kept up to date: the most memory, in MB, of a process's family."""
    peak, done = [0.0], threading.Event()

    def look() -> None:
        while not done.wait(every):
            peak[0] = max(peak[0], memory_of_family(process))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def memory_of_family(process: psutil.Process) -> float:
    """Return the resident memory in MB of a process and its children; of this one, only theirs."""
    total = 0
    try:
        family = process.children(recursive=True)
        for member in family if process.pid == os.getpid() else [process, *family]:
            total += member.memory_info().rss
    except psutil.NoSuchProcess:  # it ended meanwhile, and the next look comes soon
        return 0.0
    return total / 1e6
