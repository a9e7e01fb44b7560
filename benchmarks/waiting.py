"""How long people wait: for imports, pictures, data and tests, each in processes of its own."""

import ast
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import psutil
from nbclient import NotebookClient

from benchmarks import mlp
from benchmarks.measure import Contestant, Timed, environment, ratio, take_turns
from helpers.mnist import load_mnist
from helpers.notebook import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
IMPORTS = [f"notebook {k}: all imports" for k in (1, 2)]
PICTURES = [f"notebook {k}: first picture, from the start of the first cell" for k in (1, 2)]
RE_EXECUTED = [f"notebook {k}: re-executed and checked" for k in (1, 2)]
BOTH = "both notebooks at once, re-executed and checked"
MAKE_RUN, MAKE_TEST = (f"`make {goal}`, installed before" for goal in ("run", "test"))
CACHED, OFFLINE = "data, from the cache", "data, made offline"

Wait = tuple[float, float]  # how many seconds, and the most memory in MB


def run(rounds: int, n_images: int) -> dict[str, Any]:
    """Measure short waits `rounds` times, long ones a third as often; all images are used."""
    loading = [Contestant(CACHED, cached_data), Contestant(OFFLINE, offline_data)]
    data = take_turns({"": loading}, rounds)
    waits = {
        name: {"seconds": seconds, "peak_mb": [data["peak_mb"][name]]}
        for name, seconds in data["timings"][""].items()
    }
    for name, measure in plan().items():
        times = rounds if name in IMPORTS + PICTURES else -(-rounds // 3)
        with TemporaryDirectory() as outputs, environment({"DIGITS_OUTPUT": outputs}):
            measured = [(floor_now(n_images), *measure()) for _ in range(times)]
        floors, seconds, peaks = map(list, zip(*measured, strict=True))
        print(f"{seconds} s, {peaks} MB  {name}", flush=True)
        waits[name] = {"seconds": seconds, "peak_mb": peaks, "floor": floors}
    return {"waits": waits}


def floor_now(n_images: int) -> float:
    """Return the seconds of the floor on one core at this moment: how fast the computer is."""
    floor = Contestant("the floor", partial(mlp.floor, n_images), one_core=True)
    return median(take_turns({"": [floor]}, 5)["timings"][""]["the floor"])


def in_floors(wait: Mapping[str, Sequence[float]]) -> float | None:
    """Return how many times as long as the floor a wait took; None if no floor was measured."""
    return ratio(wait["seconds"], wait["floor"]) if "floor" in wait else None


def plan() -> dict[str, Callable[[], Wait]]:
    """Return what is measured, besides loading the data, by its name."""
    nbval = partial(command, sys.executable, "-m", "pytest", "--nbval", "-q")
    waits: dict[str, Callable[[], Wait]] = {}
    for k, path in enumerate(NOTEBOOKS):
        waits[IMPORTS[k]] = partial(command, sys.executable, "-c", imports(path))
        waits[PICTURES[k]] = partial(wait_for_picture, path)
        waits[RE_EXECUTED[k]] = partial(nbval, str(path))
    parallel = ("-n", "2", "--dist", "loadfile", *map(str, NOTEBOOKS))
    waits[BOTH] = partial(nbval, *parallel, OMP_NUM_THREADS="1")
    return waits | {
        MAKE_RUN: partial(command, "make", "run"),
        MAKE_TEST: partial(command, "make", "test"),
    }


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
    with watch_memory() as peak, client.setup_kernel():
        start = time.perf_counter()
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
            if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
                return time.perf_counter() - start, peak[0]
    raise ValueError(f"{path.name} displays no picture.")


def command(*argv: str, **variables: str) -> Wait:
    """Run a command in the project's folder. Raises CalledProcessError if it fails."""
    start = time.perf_counter()
    with watch_memory() as peak:
        run = subprocess.run(argv, cwd=ROOT, env=os.environ | variables, capture_output=True)
    if run.returncode:
        print((run.stdout + run.stderr).decode(errors="replace")[-3000:])
    run.check_returncode()
    return time.perf_counter() - start, peak[0]


@contextmanager
def watch_memory() -> Iterator[list[float]]:
    """Give a list of one number, kept up to date: the most memory, in MB, of new subprocesses."""
    peak, done, this = [0.0], threading.Event(), psutil.Process()
    before = this.children(recursive=True)

    def look() -> None:
        while not done.wait(0.05):
            with suppress(psutil.NoSuchProcess):  # it ended meanwhile, and the next look comes soon
                new = set(this.children(recursive=True)).difference(before)
                peak[0] = max(peak[0], sum(process.memory_info().rss for process in new) / 1e6)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
