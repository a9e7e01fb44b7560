"""Marking a whole class: in parallel, on this machine or a Dask cluster, and where it was stopped.

What strangers sent is read and judged in processes that are thrown away; here arrive results alone.
Each result is a file of its own, written whole or not at all and named after everything that it
depends on. So a run that was killed goes on where it was, and nothing is marked twice.
"""

import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from grading.answers import written_answers
from grading.archives import HandIn, fetch, find_hand_ins, opened, printable, read_name
from grading.canary import require_hidden
from grading.crew import Bounds, Failed, alone, in_processes
from grading.exam import Exam
from grading.marking import HELPERS, LIBRARIES, NEIGHBOURS, PACKAGES, clean, libraries_for, mark
from grading.sandbox.limits import HAND_IN_WALL_FACTOR, MarkerError
from grading.sandbox.processes import START_SECONDS, can_nest
from grading.sandbox.surroundings import Surroundings
from grading.typeset import typeset
from machine.files import atomic_write
from machine.threads import available_cores

PROJECT = HELPERS.parent
ROOMS = ("grading", "notebooks", *PACKAGES)
KINDS = {".py", ".toml", ".json", ".ipynb", ".jinja"}
VERSIONS = ("numpy", "scipy", "torch")
READING = Bounds(seconds=60)
tqdm.monitor_interval = 0  # it would be a thread, and this process forks
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

    @property
    def bounds(self) -> Bounds:
        """How long a hand-in may take by the clock on the wall, whatever happens."""
        limits = self.exam.limits
        seconds = limits.hand_in_seconds + self.notebooks * 2 * limits.notebook_seconds
        return Bounds(
            HAND_IN_WALL_FACTOR * seconds + 2 * START_SECONDS, 4096 if self.notebooks else 1024
        )

    def elsewhere(self) -> "Rules":
        """Return the same rules for workers of other servers."""
        return replace(self, surroundings=copy(self.surroundings))


@dataclass(frozen=True)
class Ticket:
    """A hand-in that waits: where it lies, its name in the class, and the name of its result."""

    path: Path
    name: str
    key: str = ""
    modules: tuple[str, ...] = ()
    failure: str = ""  # why it cannot be read

    def read(self) -> HandIn:
        """Return the hand-in itself. Raises OSError if it cannot be read now."""
        return opened(fetch(self.path), self.name)


@dataclass(frozen=True)
class Way:
    """Who marks: so many processes here, or the workers of a Dask scheduler."""

    n_jobs: int = 1
    scheduler: str = ""


def default_jobs() -> int:
    """Return twice the number of cores, for a hand-in waits a lot; but at most one for each GB."""
    return max(1, min(2 * available_cores(), psutil.virtual_memory().total >> 30))


@cache
def code() -> str:
    """Return a digest of all that marks depend on beside a hand-in and the rules.

    That is every file of the course's packages and notebooks, Python, and the libraries.
    """
    return digest_of(PROJECT, [platform.python_version(), *map(version, VERSIONS)])


def digest_of(project: Path, versions: Sequence[str]) -> str:
    """Return a digest of a project's code, lists, bands and notebooks, and of versions."""
    digest = hashlib.sha256("\0".join(versions).encode())
    files = [path for room in ROOMS for path in (project / room).rglob("*")]
    for path in sorted(path for path in files if path.suffix in KINDS):
        digest.update(f"{path.relative_to(project)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run(hand_in: HandIn, rules: Rules) -> Result:
    """Return the result of a hand-in. What goes wrong is raised: it is not the student's fault."""
    result = mark(hand_in, rules.exam, rules.seed, rules.surroundings)
    if rules.notebooks:
        from grading.notebooks import execute_notebooks

        result["notebooks"] = execute_notebooks(hand_in, rules.exam.limits, rules.surroundings)
    answers = [{k: clean(v) for k, v in a.items()} for a in written_answers(hand_in.notebooks)]
    result["answers"] = [answer | {"html": typeset(answer["text"])} for answer in answers]
    return result | {"ticket": rules.key(hand_in)}


def by_hand(ticket: Ticket, reason: str, rules: Rules) -> Result:
    """Return the result of a hand-in that could not be marked: no points, and the reason."""
    text = clean(f"This could not be marked ({reason}). Please mark by hand.")
    return {
        "name": ticket.name, "key": ticket.key, "seed": rules.seed, "points": None,
        "maximum": rules.exam.maximum, "exercises": [], "answers": [],
        "seconds": {}, "problems": [text],
    }  # fmt: skip


def mark_class(paths: Sequence[Path], rules: Rules, folder: Path, way: Way) -> list[Result]:
    """Mark all hand-ins; return their results, in the order of `paths`.

    Those whose results lie in `folder` are done; those that cannot be marked are to be looked at by
    hand, and tried again the next time. Raises MarkerError if marking itself is broken.
    """
    tickets = list(tickets_for(paths, rules, way.n_jobs))
    kept = ((ticket, read_result(folder, ticket.key)) for ticket in tickets)
    found = {ticket: result for ticket, result in kept if result}
    left = [ticket for ticket in tickets if ticket not in found]
    if left and rules.surroundings.sandboxed:
        require_hidden(rules.surroundings)
    needed = rules_of(left, rules)
    if left:
        require_sound(needed)
    with tqdm(total=len(tickets), initial=len(found), unit="hand-in", disable=not left) as progress:
        for ticket, outcome in results(left, rules, way):
            if isinstance(outcome, Failed):
                require_sound(needed)  # if nothing can be marked any more, no other one is tried
                found[ticket] = by_hand(ticket, outcome.reason, rules)
            else:
                found[ticket] = outcome
                write_result(folder, outcome["ticket"], outcome)
            progress.update()
    return [found[ticket] for ticket in tickets]


def tickets_for(paths: Sequence[Path], rules: Rules, n_jobs: int = 1) -> Iterator[Ticket]:
    """Yield a ticket for each hand-in, each of another name: the ending may tell them apart."""
    names = dict(zip(paths, _names(paths), strict=True))
    code()  # once, before processes are forked

    def look(path: Path, _: int) -> bytes:
        hand_in = opened(fetch(path), names[path])
        return json.dumps([rules.key(hand_in), sorted(hand_in.modules)]).encode()

    outcomes = dict(in_processes(paths, look, READING, n_jobs))
    for path in paths:
        outcome = outcomes[path]
        if isinstance(outcome, Failed):
            yield Ticket(path, names[path], failure=outcome.reason)
        else:
            key, modules = json.loads(outcome)
            yield Ticket(path, names[path], key, tuple(modules))


def _names(paths: Sequence[Path]) -> Iterator[str]:
    """Yield a name for each hand-in: short, where it is the only one called so."""
    stems, names = (Counter(map(each, paths)) for each in (read_name, _long_name))
    for path in paths:
        if stems[read_name(path)] == 1 and read_name(path) not in names:
            yield read_name(path)
        elif names[_long_name(path)] == 1:
            yield _long_name(path)
        else:
            yield f"{_long_name(path)} {hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}"


def _long_name(path: Path) -> str:
    return printable(path.name)


def rules_of(tickets: Iterable[Ticket], rules: Rules) -> Rules:
    """Return the rules, without PyTorch and its exercises if nobody handed in any of them."""
    if any("cnn.py" in ticket.modules for ticket in tickets):
        return rules
    tasks = tuple(task for task in rules.exam.tasks if task.module != "cnn")
    return replace(rules, exam=replace(rules.exam, tasks=tasks))


def require_sound(rules: Rules) -> None:
    """Mark the solution itself. Raises MarkerError unless it gets all points."""
    names = {f"{name}.py" for name in (*NEIGHBOURS, *(task.module for task in rules.exam.tasks))}

    def mark_solution() -> bytes:
        hand_in = HandIn("the solution", {name: (HELPERS / name).read_bytes() for name in names})
        return json.dumps(mark(hand_in, rules.exam, rules.seed, rules.surroundings)).encode()

    prepare(rules.surroundings, names, rules.exam)
    outcome = alone(mark_solution, rules.bounds)
    if isinstance(outcome, Failed):
        raise MarkerError(f"The solution itself could not be marked:\n{outcome.reason}")
    exercises = json.loads(outcome)["exercises"]
    wrong = [each["text"] for each in exercises if each["points"] != each["maximum"]]
    if wrong:
        raise MarkerError("The solution itself does not get all points here:\n" + "\n".join(wrong))


def prepare(surroundings: Surroundings, modules: Iterable[str], exam: Exam) -> None:
    """Have the servers ready from which a hand-in's workers come: they outlive the hand-in."""
    if surroundings.sandboxed and can_nest():
        for library in libraries_for(modules, exam):
            surroundings.prepare(LIBRARIES[library], exam.limits)


def results(
    tickets: Sequence[Ticket], rules: Rules, way: Way
) -> Iterator[tuple[Ticket, Result | Failed]]:
    """Yield each ticket with its result, as they come."""
    away = [ticket for ticket in tickets if ticket.failure]
    yield from ((ticket, Failed(ticket.failure)) for ticket in away)
    there = [ticket for ticket in tickets if not ticket.failure]
    if way.scheduler:
        from grading.cluster import results_of_cluster

        yield from results_of_cluster(there, marked, rules, way.scheduler)
    elif there:
        yield from results_here(there, rules, way.n_jobs)


def marked(fetched: HandIn | bytes, ticket: Ticket, rules: Rules) -> bytes | Failed:
    """Return, as JSON, the result of a hand-in that came to another machine with its rules."""
    own = rules.surroundings
    rules = replace(rules, surroundings=_surroundings_here(own.sandboxed, own.hidden))
    prepare(rules.surroundings, ticket.modules, rules.exam)
    return alone(
        lambda: json.dumps(run(opened(fetched, ticket.name), rules)).encode(), rules.bounds
    )


@cache
def _surroundings_here(sandboxed: bool, hidden: tuple[Path, ...]) -> Surroundings:
    """Return surroundings that last, in which the canary has found nothing."""
    surroundings = Surroundings(sandboxed=sandboxed, hidden=hidden)
    if sandboxed:
        require_hidden(surroundings)
    return surroundings


def results_here(
    tickets: Iterable[Ticket], rules: Rules, n_jobs: int
) -> Iterator[tuple[Ticket, Result | Failed]]:
    """Yield each ticket with its result, from processes of this machine."""
    seats = [rules, *(rules.elsewhere() for _ in range(n_jobs - 1))]
    if any("cnn.py" in ticket.modules for ticket in tickets):
        import checks.cnn_training  # noqa: F401  # once, before processes are forked

    def prepared() -> Iterator[Ticket]:
        for ticket in tickets:
            for seat in seats:
                prepare(seat.surroundings, ticket.modules, rules.exam)
            yield ticket

    def work(ticket: Ticket, seat: int) -> bytes:
        return json.dumps(run(ticket.read(), seats[seat])).encode()

    try:
        for ticket, outcome in in_processes(prepared(), work, rules.bounds, n_jobs):
            yield ticket, outcome if isinstance(outcome, Failed) else json.loads(outcome)
    finally:
        for seat in seats[1:]:
            seat.surroundings.close()


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
