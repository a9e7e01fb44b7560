"""Marking one hand-in: every exercise by its check, in workers of its own."""

import contextlib
import re
import tempfile
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import helpers
from checks.asking import limited_to
from checks.exercises import Task, needs_of
from checks.faults import Fault
from checks.verdicts import Exercise, Report, Verdict
from grading.archives import NAME_BYTES, HandIn
from grading.exam import Exam, score_of
from grading.sandbox.limits import Budget, MarkerError
from grading.sandbox.remote import Remote, Session
from grading.sandbox.surroundings import Surroundings
from grading.sandbox.watch import TimeLimit, WorkerError

HELPERS = Path(helpers.__file__).parent
NEIGHBOURS = ("mlp", "training")
STUDENTS = ("mlp.py", "training.py", "cnn.py")
# What a hand-in finds around it.
PACKAGES = ("helpers", "machine", "checks", "plotting", "playground")
# What a student's modules may import of ours beside each other.
OURS = [HELPERS / name for name in ("__init__.py", "mnist.py", "stand_in.py")]
OURS += HELPERS.with_name("machine").glob("*.py")
# In place of our other modules: whoever imports a check or a figure gets what does nothing.
NOTHING = b'''"""Stands in for a module of the course that is not needed for marking."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *args, **kwargs: None
'''
COMMON = ["numpy.random", "scipy.special", "tqdm.auto", "threadpoolctl", "uuid", "zipfile"]
LIBRARIES = {"numpy": ["numpy", *COMMON], "torch": ["torch", *COMMON]}
Student = dict[str, Any]


class Workers(contextlib.ExitStack):
    """The workers of one hand-in: made when wanted, and made anew when they have failed."""

    def __init__(self, hand_in: HandIn, exam: Exam, surroundings: Surroundings) -> None:
        super().__init__()
        self.files = layout(hand_in)
        self.limits, self.surroundings = exam.limits, surroundings
        self.budget = Budget(self.limits.hand_in_seconds, len(exam.tasks))
        self.alive: dict[str, Session] = {}
        self.starting, self.n_started = 0.0, 0  # seconds, workers
        self.broken: dict[str, WorkerError] = {}  # modules that cost a worker its life

    def get(self, libraries: str, purpose: str = "") -> Session:
        """Return a worker that has these libraries loaded. Raises TimeLimit if time is used up."""
        session = self.alive.get(libraries + purpose)
        if session is None or session.is_over:
            if self.budget.left <= 0:
                raise TimeLimit("the time for this exercise is used up")
            wanted, start = LIBRARIES[libraries], time.monotonic()
            process = self.enter_context(self.surroundings.worker(wanted, self.limits))
            session = Session(process, self.files, wanted, self.limits, self.budget)
            self.starting += time.monotonic() - start
            self.alive[libraries + purpose] = session
            self.n_started += 1
        return session

    def settle(self) -> None:
        """Charge what runs on in the workers beside all calls; it ends if it used up this part."""
        for session in self.alive.values():
            session.settle()
        if self.budget.left <= 0:
            self.renew()

    def renew(self) -> None:
        """End all workers: what comes next begins in others, in which nothing has happened yet."""
        while self.alive:
            self.alive.popitem()[1].process.close()

    def load(self, session: tuple[str, str], module: str, name: str) -> Remote:
        """Return what the student's module calls `name`, in a worker of `get`.

        A module that never comes to its end is tried once, and its neighbours do without it.
        """
        if module in self.broken:
            raise self.broken[module]
        worker = self.get(*session)
        try:
            return worker.load(module, name, list(self.broken))
        except WorkerError as error:
            if not worker.is_over:
                raise  # no time is left
            if worker.is_fresh:  # else what ran in it before may have ended it
                self._find_broken(session, module, error)
        return self.load(session, module, name)

    def _find_broken(self, session: tuple[str, str], module: str, error: WorkerError) -> None:
        """Note the neighbours that end a worker, or that this module does, with this error."""
        n_broken = len(self.broken)
        for neighbour in NEIGHBOURS:
            if neighbour != module and f"helpers/{neighbour}.py" in self.files:
                self._try(self.get(*session), neighbour)
        if len(self.broken) == n_broken:
            self.broken[module] = error

    def _try(self, worker: Session, module: str) -> None:
        try:
            worker.load(module, "__name__", list(self.broken))
        except WorkerError as error:
            self.broken.setdefault(module, error)
        except Exception:
            return  # whoever imports it will see the error


def layout(hand_in: HandIn) -> dict[str, bytes]:
    """Return the files of a worker's folder: the student's, some of ours, and what does nothing."""
    files = {
        f"{package}/{path.name}": NOTHING
        for package in PACKAGES
        for path in HELPERS.with_name(package).glob("*.py")
    }
    files |= {f"{path.parent.name}/{path.name}": path.read_bytes() for path in OURS}
    ours = {path.name for path in HELPERS.glob("*.py")} - set(STUDENTS)
    own = {name: content for name, content in hand_in.modules.items() if name not in ours}
    for name in STUDENTS:
        del files[f"helpers/{name}"]
    return files | {f"helpers/{name}": content for name, content in own.items()}


def mark(hand_in: HandIn, exam: Exam, seed: int, surroundings: Surroundings) -> dict[str, Any]:
    """Return all verdicts and points of a hand-in, as plain data. Raises MarkerError."""
    start = time.monotonic()
    with Workers(hand_in, exam, surroundings) as workers:
        exercises = [_mark_task(task, workers, hand_in, seed) for task in exam.tasks]
        exercises = _counted_once(exercises, exam, workers, hand_in, seed)
    return {
        "name": hand_in.name, "key": hand_in.key, "seed": seed, "problems": hand_in.problems,
        "points": sum(each["points"] for each in exercises), "maximum": exam.maximum,
        "exercises": exercises,
        "seconds": {
            "all": time.monotonic() - start, "starting": workers.starting,
            "workers": workers.n_started,
        },
    }  # fmt: skip


def libraries_for(hand_in_modules: Iterable[str], exam: Exam) -> list[str]:
    """Return the names, in LIBRARIES, of what the workers of a hand-in will have loaded."""
    modules = {Path(name).stem for name in hand_in_modules} & {task.module for task in exam.tasks}
    return sorted({_library(module) for module in modules})


def _library(module: str) -> str:
    return "torch" if module == "cnn" else "numpy"


def _counted_once(
    exercises: list[dict[str, Any]], exam: Exam, workers: Workers, hand_in: HandIn, seed: int
) -> list[dict[str, Any]]:
    """Return the exercises, those that build on wrong ones judged with right ones in their place.

    They have what is left of the time. What an exercise got by itself, it keeps.
    """
    right = {each["name"] for each in exercises if _is_right(each)}
    better = []
    for task, first in zip(exam.tasks, exercises, strict=True):
        wrong = [need for need in needs_of(task, exam.tasks) if need.name not in right]
        is_there = f"{task.module}.py" in hand_in.modules
        if task.name in right or not (wrong and is_there) or workers.budget.left <= 0:
            better.append(first)
            continue
        again = _marked(task, _verdicts(task, workers, hand_in, seed, wrong))
        workers.settle()
        workers.renew()
        names = " and ".join(f"`{name}`" for need in wrong for name in need.check.stand_ins)
        note = f"Judged with a correct {names}, since that is not right yet."
        again |= {"assumed": note, "text": f"{again['text']}\n{note}"}
        better.append(again if again["points"] > first["points"] else first)
    return better


def _mark_task(task: Task, workers: Workers, hand_in: HandIn, seed: int) -> dict[str, Any]:
    """Judge an exercise; one that is wrong in a process of its own, unspoiled by any other."""
    workers.budget.begin_part()
    was_fresh = not workers.alive
    found = _marked(task, _verdicts(task, workers, hand_in, seed))
    workers.settle()
    if _is_right(found):
        return found
    workers.renew()
    if was_fresh:
        return found
    workers.budget.begin_again()
    alone = _marked(task, _verdicts(task, workers, hand_in, seed))
    workers.settle()
    workers.renew()
    return max(alone, found, key=lambda each: each["points"])  # if equal, what it says by itself


def _is_right(exercise: Mapping[str, Any]) -> bool:
    return bool(exercise["points"] >= exercise["maximum"])


def _marked(task: Task, report: Report) -> dict[str, Any]:
    score = score_of(task, report)
    return {
        "name": task.name, "points": sum(score.values()), "maximum": task.maximum, "parts": score,
        "cause": next(iter(report.causes), None), "text": clean(str(report)),
        "verdicts": [{k: clean(v) for k, v in asdict(verdict).items()} for verdict in report],
    }  # fmt: skip


def clean(value: Any) -> Any:
    """Return a text with what cannot be written replaced; other values as they are."""
    if not isinstance(value, str):
        return value
    text = value.encode("utf-8", "replace").decode()
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _verdicts(
    task: Task, workers: Workers, hand_in: HandIn, seed: int, wrong: Sequence[Task] = ()
) -> Report:
    """Return what the check says of a task; right functions stand in for those that are `wrong`."""
    try:
        student = _student(task, workers, hand_in, wrong)
    except Exception as error:
        return Report([not_loaded(task, error)])
    require_space()
    return judge(task, student, seed)


def judge(task: Task, student: Mapping[str, Any], seed: int) -> Report:
    """Return the verdicts on every part of a check, on inputs that students never see."""
    secret = np.random.default_rng([seed, zlib.crc32(task.name.encode())]).integers(1 << 32)
    functions = [student[name] for name in task.takes]
    with limited_to(None):  # the budget of the hand-in limits it
        report: Report = task.check.every_part(*functions, seed=int(secret))
    return report


def _student(task: Task, workers: Workers, hand_in: HandIn, wrong: Sequence[Task] = ()) -> Student:
    """Return the student's functions of a task by name; their calls go to a worker."""
    if f"{task.module}.py" not in hand_in.modules:
        raise FileNotFoundError(f"helpers/{task.module}.py is not in the hand-in")
    session = (_library(task.module), " ".join(need.name for need in wrong))
    student: Student = {name: workers.load(session, task.module, name) for name in task.takes}
    if wrong:
        stand_ins = {n: f for need in wrong for n, f in need.check.stand_ins.items()}
        workers.get(*session).stand_in(stand_ins)
    if task.name == "saving":
        return saving(student, workers)
    return student


def not_loaded(task: Task, error: Exception) -> Verdict:
    """Return the verdict that there is nothing to be checked."""
    names, file = " and ".join(task.takes), f"helpers/{task.module}.py"
    found, cause = f"importing {file} raised {_told(error)}", "a mistake in the outermost lines."
    if isinstance(error, FileNotFoundError) and not hasattr(error, "frames"):
        found, cause = str(error), "the file is missing, or has another name."
    elif isinstance(error, AttributeError) and not getattr(error, "frames", None):
        found, cause = f"{file} has no {names}", "it is missing, or has another name."
    command = f'python -c "from helpers.{task.module} import {", ".join(task.takes)}"'
    fault = Fault("not loaded", cause, f"Run `{command}` in your own folder.")
    return Exercise(task.name).wrong(task.name, f"{found}.", f"{names}, in {file}.", fault)


def _told(error: Exception) -> str:
    """Return type, reason and, where it is known, the student's own line of an error."""
    reason = str(error).strip().partition("\n")[0]
    told = f"{type(error).__name__}: {reason}".rstrip(": ")
    told = re.sub(r" \([^()]*, line \d+\)$", "", told)  # said below, with the line itself
    own = [f for f in getattr(error, "frames", ()) if Path(f.filename).parent.name == "helpers"]
    if not own:
        return told
    code = f": `{own[-1].line.strip()}`" if own[-1].line else ""
    return f"{told}, at line {own[-1].lineno} of {Path(own[-1].filename).name}{code}"


def saving(student: Mapping[str, Any], workers: Workers) -> Student:
    """Return functions that save in one worker and load in another, with only files between.

    So what is loaded comes from the files. The check looks into its own folder, to which the files
    are brought.
    """

    # The worker of the second notebook loads, too, where there is one: starting workers takes time.
    loader = ("torch", "") if "helpers/cnn.py" in workers.files else ("numpy", "loading")

    def save(network: Any, prefix: str) -> None:
        session, folder = workers.get("numpy"), Path(prefix).parent
        scratch = f"{session.process.place.scratch}/saved"
        # Nothing can be saved below what is a file there, nor below a file here.
        above = {folder.name: b""} if folder.is_file() else {}
        session.request("write", folder=scratch, files=above)
        student["save_weights"](network, "/".join([scratch, *above, Path(prefix).name]))
        saved = {} if above else session.request("read", folder=scratch)
        for name, content in saved.items():
            keep(folder, name, content)

    def load(network: Any, prefix: str) -> None:
        session, folder = workers.get(*loader), Path(prefix).parent
        scratch = f"{session.process.place.scratch}/saved"
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        session.request("write", folder=scratch, files=files)
        function = workers.load(loader, "mlp", "load_weights")
        function(network, f"{scratch}/{Path(prefix).name}")

    return {"save_weights": save, "load_weights": load}


def keep(folder: Path, name: str, content: bytes) -> None:
    """Write a file that came from a worker, if its name is one that a file may have."""
    is_file = type(content) is bytes and name not in (".", "..") and Path(name).name == name
    if not is_file or len(name.encode(errors="replace")) > NAME_BYTES or not name.isprintable():
        raise WorkerError(f"a file has the name {name[:100]!r}")
    try:
        (folder / name).write_bytes(content)
    except (OSError, ValueError) as error:
        require_space()
        raise WorkerError(f"a file has the name {name[:100]!r} ({error})") from error


def require_space() -> None:
    """Raise MarkerError unless the folder for temporary files can be written."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(bytes(1 << 20))
            file.flush()
    except OSError as error:
        raise MarkerError(f"Temporary files cannot be written: {error}") from error
