"""Marking a whole class: in parallel, on this machine or a Dask cluster, and where it was stopped.

Each result is a file of its own, written whole or not at all and named after everything that it
depends on. So a run that was killed goes on where it was, and nothing is marked twice.
"""

import hashlib
import json
import multiprocessing
import os
import platform
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from tqdm import tqdm

from grading.answers import written_answers
from grading.archives import HandIn, find_hand_ins, printable, read_hand_in, read_name
from grading.exam import Exam
from grading.marking import HELPERS, PACKAGES, STUDENTS, clean, mark
from grading.sandbox.limits import MarkerError
from grading.sandbox.processes import close_servers
from grading.sandbox.surroundings import Surroundings
from helpers.files import atomic_write

PROJECT = HELPERS.parent
ROOMS = ("grading", "notebooks", *PACKAGES)
KINDS = {".py", ".toml", ".json", ".ipynb", ".jinja"}
LIBRARIES = ("numpy", "scipy", "torch")
# What the processes of a pool import once, before they are forked.
PRELOAD = {"mlp": "checks", "training": "checks", "cnn": "checks.cnn"}
POOLS = 3  # how many times a pool whose process was killed from outside is made anew
Result = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """How hand-ins are marked."""

    exam: Exam
    seed: int
    surroundings: Surroundings
    notebooks: bool = False

    def key(self, hand_in: HandIn) -> str:
        """Return a name for the result that differs wherever the result might."""
        parts = (hand_in.name, hand_in.key, str(self.seed), self.exam.text, code(), self.notebooks)
        text = "\0".join(map(str, parts))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


@dataclass(frozen=True)
class Ticket:
    """A hand-in that waits: where it lies, its name in the class, and the name of its result."""

    path: Path
    name: str
    key: str

    def read(self) -> HandIn:
        """Return the hand-in itself."""
        return replace(read_hand_in(self.path), name=self.name)


@cache
def code() -> str:
    """Return a digest of all that marks depend on beside a hand-in and the rules.

    That is every file of the course's packages and notebooks, Python, and the libraries.
    """
    return digest_of(PROJECT, [platform.python_version(), *map(version, LIBRARIES)])


def digest_of(project: Path, versions: Sequence[str]) -> str:
    """Return a digest of a project's code, lists, bands and notebooks, and of versions."""
    digest = hashlib.sha256("\0".join(versions).encode())
    files = [path for room in ROOMS for path in (project / room).rglob("*")]
    for path in sorted(path for path in files if path.suffix in KINDS):
        digest.update(f"{path.relative_to(project)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run(hand_in: HandIn, rules: Rules) -> Result:
    """Return the result of a hand-in; whatever goes wrong with it costs no other one."""
    try:
        result = mark(hand_in, rules.exam, rules.seed, rules.surroundings)
        if rules.notebooks:
            from grading.notebooks import execute_notebooks

            result["notebooks"] = execute_notebooks(hand_in, rules.exam.limits, rules.surroundings)
    except MarkerError as error:
        return {"broken": str(error)}
    except Exception as error:  # a mistake of ours: no mark, and the class goes on
        result = by_hand(hand_in, error, rules)
    answers = written_answers(hand_in.notebooks)
    result["answers"] = [{k: clean(v) for k, v in answer.items()} for answer in answers]
    return result


def by_hand(hand_in: HandIn, error: BaseException, rules: Rules) -> Result:
    """Return the result of a hand-in that could not be marked: no points, and the reason."""
    text = clean(f"The marker failed ({type(error).__name__}: {error}). Please mark by hand.")
    return {
        "name": hand_in.name, "key": hand_in.key, "seed": rules.seed, "points": None,
        "maximum": rules.exam.maximum, "exercises": [], "seconds": {},
        "problems": [*hand_in.problems, text],
    }  # fmt: skip


def run_ticket(ticket: Ticket, rules: Rules) -> Result:
    """Return the result of a hand-in that is read only now."""
    return run(ticket.read(), rules)


@dataclass(frozen=True)
class Way:
    """Who marks: so many processes here, or the workers of a Dask scheduler."""

    n_jobs: int = 1
    scheduler: str = ""


def mark_class(paths: Sequence[Path], rules: Rules, folder: Path, way: Way) -> list[Result]:
    """Mark all hand-ins; return their results, in the order of `paths`.

    Those whose results lie in `folder` are done. Raises MarkerError if marking is broken.
    """
    tickets = list(tickets_for(paths, rules))
    left = [ticket for ticket in tickets if read_result(folder, ticket.key) is None]
    if left:
        require_sound(rules)
        with tqdm(total=len(tickets), initial=len(tickets) - len(left), unit="hand-in") as progress:
            for ticket, result in results(left, rules, way):
                if "broken" in result:
                    raise MarkerError(result["broken"])
                write_result(folder, ticket.key, result)
                progress.update()
    found = [read_result(folder, ticket.key) for ticket in tickets]
    return [result for result in found if result is not None]


def tickets_for(paths: Sequence[Path], rules: Rules) -> Iterator[Ticket]:
    """Yield a ticket for each hand-in; where two have one name, the ending tells them apart."""
    stems = Counter(read_name(path) for path in paths)
    for path in paths:
        stem = read_name(path)
        hand_in = read_hand_in(path)
        hand_in.name = stem if stems[stem] == 1 else printable(path.name)
        yield Ticket(path, hand_in.name, rules.key(hand_in))


def require_sound(rules: Rules) -> None:
    """Mark the solution itself. Raises MarkerError unless it gets all points."""
    modules = {name: (HELPERS / name).read_bytes() for name in STUDENTS}
    hand_in = HandIn("the solution", modules)
    result = mark(hand_in, rules.exam, rules.seed, rules.surroundings)
    wrong = [each for each in result["exercises"] if each["points"] != each["maximum"]]
    if wrong:
        text = "\n".join(each["text"] for each in wrong)
        raise MarkerError(f"The solution itself does not get all points here:\n{text}")


def results(tickets: Sequence[Ticket], rules: Rules, way: Way) -> Iterator[tuple[Ticket, Result]]:
    """Yield each ticket with its result, as they come."""
    if way.scheduler or way.n_jobs > 1:
        close_servers()  # those that marked the solution: other processes have their own
    if way.scheduler:
        from grading.cluster import results_of_cluster

        marks, failed = partial(run, rules=rules), partial(by_hand, rules=rules)
        yield from results_of_cluster(tickets, marks, failed, way.scheduler)
    elif way.n_jobs == 1:
        yield from ((ticket, run_ticket(ticket, rules)) for ticket in tickets)
    else:
        yield from _results_of_pools(tickets, rules, way.n_jobs)


def _results_of_pools(
    tickets: Iterable[Ticket], rules: Rules, n_jobs: int
) -> Iterator[tuple[Ticket, Result]]:
    """Yield results of a pool; it is made anew if one of its processes is killed from outside."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOAD[task.module] for task in rules.exam.tasks])
    left = {ticket.key: ticket for ticket in tickets}
    for _ in range(POOLS):
        try:
            for key, result in _results_of_pool(left.values(), rules, n_jobs, context):
                yield left.pop(key), result
            return
        except BrokenProcessPool:
            continue
    raise MarkerError("Processes of the marker are killed from outside; is memory short?")


def _results_of_pool(
    tickets: Iterable[Ticket], rules: Rules, n_jobs: int, context: BaseContext
) -> Iterator[tuple[str, Result]]:
    with ProcessPoolExecutor(n_jobs, mp_context=context, initializer=leave_with_parent) as pool:
        futures = {pool.submit(run_ticket, ticket, rules): ticket.key for ticket in tickets}
        try:
            for future in as_completed(futures):
                yield futures.pop(future), future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def leave_with_parent() -> None:
    """End this process of a pool when the one that made it is gone, however that ended."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def read_result(folder: Path, key: str) -> Result | None:
    """Return a result, None if it isn't there yet."""
    try:
        result: Result = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return result


def write_result(folder: Path, key: str, result: Result) -> None:
    """Keep a result. Raises MarkerError if it cannot be written."""
    try:
        with atomic_write(folder / f"{key}.json") as file:
            file.write(json.dumps(result, indent=1).encode())
    except OSError as error:
        raise MarkerError(f"A result cannot be written: {error}") from error


def hand_ins(folder: Path) -> list[Path]:
    """Return the hand-ins of a folder. Raises ValueError if there are none."""
    found = find_hand_ins(folder) if folder.exists() else []
    if not found:
        raise ValueError(f"{folder} holds no hand-ins: wanted zip files, or folders with helpers/.")
    return found
