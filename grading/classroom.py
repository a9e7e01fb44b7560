"""Marking a whole class: in parallel, on this machine or a Dask cluster, and where it was stopped.

Each result is a file of its own, written whole or not at all and named after everything that it
depends on. So a run that was killed goes on where it was, and nothing is marked twice.
"""

import hashlib
import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from grading.answers import written_answers
from grading.archives import HandIn, find_hand_ins, printable, read_hand_in
from grading.exam import Exam
from grading.marking import HELPERS, STUDENTS, Surroundings, clean, mark
from grading.sandbox import MarkerError
from helpers.files import atomic_write

PRELOAD = ["grading.marking", "grading.hidden", "grading.hidden_cnn"]
POOLS = 3  # how many times a pool whose process was killed from outside is made anew
Result = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One hand-in to be marked, and how. It may travel to another machine."""

    hand_in: HandIn
    exam: Exam
    seed: int
    surroundings: Surroundings
    notebooks: bool = False

    @property
    def key(self) -> str:
        """A name for the result that differs wherever the result might."""
        parts = (
            self.hand_in.name, self.hand_in.key, str(self.seed), self.exam.text, rules(),
            str(self.notebooks),
        )  # fmt: skip
        return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def rules() -> str:
    """Return a hash of the code that marks."""
    digest = hashlib.sha256()
    for path in sorted([*Path(__file__).parent.glob("*.py"), *HELPERS.glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run(job: Job) -> Result:
    """Return the result of a job; whatever happens to this hand-in happens to it alone."""
    try:
        result = mark(job.hand_in, job.exam, job.seed, job.surroundings)
        if job.notebooks:
            from grading.notebooks import execute_notebooks

            result["notebooks"] = execute_notebooks(job.hand_in, job.exam, job.surroundings)
    except MarkerError as error:
        return {"broken": str(error)}
    except Exception as error:  # a mistake of ours: no mark, and the class goes on
        text = f"The marker failed ({type(error).__name__}: {error}). Please mark by hand."
        result = {
            "name": job.hand_in.name, "key": job.hand_in.key, "seed": job.seed, "points": None,
            "maximum": job.exam.maximum, "exercises": [], "seconds": {},
            "problems": [*job.hand_in.problems, clean(text)],
        }  # fmt: skip
    answers = written_answers(job.hand_in.notebooks)
    result["answers"] = [{k: clean(v) for k, v in answer.items()} for answer in answers]
    return result


@dataclass(frozen=True)
class Way:
    """How the jobs are run: on so many processes here, or by a Dask scheduler."""

    n_jobs: int = 1
    scheduler: str = ""


def mark_class(paths: Sequence[Path], job: Job, folder: Path, way: Way) -> list[Result]:
    """Mark all hand-ins like `job`; return their results, in the order of `paths`.

    Those whose results lie in `folder` are done. Raises MarkerError if marking is broken.
    """
    jobs = list(_jobs(paths, job))
    left = [each for each in jobs if read_result(folder, each) is None]
    if left:
        require_sound(job)
        with tqdm(total=len(jobs), initial=len(jobs) - len(left), unit="hand-in") as progress:
            for done, result in results(left, way):
                if "broken" in result:
                    raise MarkerError(result["broken"])
                write_result(folder, done, result)
                progress.update()
    found = [read_result(folder, each) for each in jobs]
    return [result for result in found if result is not None]


def _jobs(paths: Sequence[Path], job: Job) -> Iterator[Job]:
    stems = Counter(printable(path.stem) for path in paths)
    for path in paths:
        hand_in = read_hand_in(path)
        if stems[printable(path.stem)] > 1:
            hand_in.name = printable(path.name)
        yield Job(hand_in, job.exam, job.seed, job.surroundings, job.notebooks)


def require_sound(job: Job) -> None:
    """Mark the solution itself. Raises MarkerError unless it gets all points."""
    modules = {name: (HELPERS / name).read_bytes() for name in STUDENTS}
    result = mark(HandIn("the solution", modules), job.exam, job.seed, job.surroundings)
    wrong = [each for each in result["exercises"] if each["points"] != each["maximum"]]
    if wrong:
        text = "\n".join(f"{each['text']}\n{each['hidden']}" for each in wrong)
        raise MarkerError(f"The solution itself does not get all points here:\n{text}")


def results(jobs: Sequence[Job], way: Way) -> Iterator[tuple[Job, Result]]:
    """Yield each job with its result, as they come."""
    if way.scheduler:
        from grading.cluster import results_of_cluster

        yield from results_of_cluster(jobs, way.scheduler)
    elif way.n_jobs == 1:
        yield from ((job, run(job)) for job in jobs)
    else:
        yield from _results_of_pool(jobs, way.n_jobs)


def _results_of_pool(jobs: Iterable[Job], n_jobs: int) -> Iterator[tuple[Job, Result]]:
    """Yield results of a pool; it is made anew if one of its processes is killed from outside."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    left = {job.key: job for job in jobs}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    for _ in range(POOLS):
        try:
            with ProcessPoolExecutor(n_jobs, mp_context=context) as pool:
                futures = {pool.submit(run, job): job.key for job in left.values()}
                try:
                    for future in as_completed(futures):
                        result = future.result()
                        yield left.pop(futures[future]), result
                finally:
                    pool.shutdown(wait=False, cancel_futures=True)
            return
        except BrokenProcessPool:
            continue
    raise MarkerError("Processes of the marker are killed from outside; is memory short?")


def result_path(folder: Path, job: Job) -> Path:
    """Return where the result of a job is kept."""
    return folder / f"{job.key}.json"


def read_result(folder: Path, job: Job) -> Result | None:
    """Return the result of a job, None if it isn't there yet."""
    try:
        result: Result = json.loads(result_path(folder, job).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return result


def write_result(folder: Path, job: Job, result: Result) -> None:
    """Keep the result of a job. Raises MarkerError if it cannot be written."""
    try:
        with atomic_write(result_path(folder, job)) as file:
            file.write(json.dumps(result, indent=1).encode())
    except OSError as error:
        raise MarkerError(f"A result cannot be written: {error}") from error


def hand_ins(folder: Path) -> list[Path]:
    """Return the hand-ins of a folder. Raises ValueError if there are none."""
    found = find_hand_ins(folder) if folder.exists() else []
    if not found:
        raise ValueError(f"{folder} holds no hand-ins: wanted zip files, or folders with helpers/.")
    return found
