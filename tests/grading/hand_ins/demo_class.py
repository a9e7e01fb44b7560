"""A class of generated hand-ins whose marks are known beforehand: right, mistaken and hostile ones.

    python -m tests.grading.hand_ins.demo_class 10 100 1000 [--cnn]

marks classes of these sizes, compares every mark and prints time and memory. What a right or a
mistaken hand-in deserves is found by calling the checks in this very process, with no worker in
between; what a hostile one deserves stands in the catalogue.
"""

import argparse
import inspect
import re
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from checks.asking import quiet
from checks.diagnosis import standing_in
from checks.exercises import needs_of
from grading.classroom import Result, Rules, Way, default_jobs, hand_ins, mark_class
from grading.exam import Exam, read_exam, score_of
from grading.marking import judge
from grading.report import write_reports
from grading.sandbox.limits import Limits
from grading.sandbox.surroundings import Surroundings
from helpers.training import DivergenceError, History, stop_if_diverged
from tests.checks.mutants import FORMS, MUTANTS, SECOND_NOTEBOOK, student_module
from tests.grading.hand_ins.catalogue import CASES, Case

LIMITS = Limits(call_seconds=2, hand_in_seconds=20, cpu_seconds=8, memory_mb=2048, processes=40)
RIGHT_FORMS = ("plain", "loops", "einsum")
SEED = 11
# Of ten hand-ins six are right, three have a mistake, and one is from the catalogue.
PATTERN = (
    "right", "mistaken", "right", "right", "mistaken", "right", "right", "mistaken", "right",
    "catalogue",
)  # fmt: skip
# In a file of one's own what is given there stands beside the exercises.
GIVEN = "\n\n".join([
    "import math\nfrom dataclasses import dataclass, field\n",
    *map(inspect.getsource, (DivergenceError, History, stop_if_diverged)),
])  # fmt: skip
FROM_TRAINING = re.compile(r"^from helpers\.training import .*\n", re.MULTILINE)


@dataclass(frozen=True)
class Generated:
    """A hand-in, and the points by exercise that it must get, of those that are certain."""

    name: str
    files: dict[str, bytes]
    points: dict[str, float]


def generate(n: int, exam: Exam, cnn: bool) -> Iterator[Generated]:
    """Yield `n` hand-ins, the same ones each time."""
    mutants = [mutant for mutant in MUTANTS if cnn or mutant.exercise not in SECOND_NOTEBOOK]
    for number in range(n):
        kind, turn = PATTERN[number % len(PATTERN)], number // len(PATTERN)
        name = f"{number:04d} {kind}"
        if kind == "catalogue":
            case = CASES[7 * turn % len(CASES)]
            yield Generated(f"{name} {case.name.replace('/', ' ')}", *of_case(case, exam))
            continue
        first = second = ""
        if kind == "mistaken":
            mutant = mutants[(turn * 3 + number) * 37 % len(mutants)]
            name += f" {mutant.exercise} {mutant.name}".replace("/", " ")
            first, second = mutant.source(), ""
            if mutant.exercise in SECOND_NOTEBOOK:
                first, second = "", first
        first = first or form(RIGHT_FORMS[number % len(RIGHT_FORMS)])
        second = (second or form("cnn_plain")) if cnn else ""
        yield Generated(name, files_of(first, second), deserved(first, second))


@cache
def form(name: str) -> str:
    """Return the source text of a right solution."""
    return (FORMS / f"{name}.py").read_text(encoding="utf-8")


def of_case(case: Case, exam: Exam) -> tuple[dict[str, bytes], dict[str, float]]:
    """Return files and deserved points of a case of the catalogue."""
    points = {task.name: task.maximum for task in exam.tasks if task.name in case.tasks}
    return dict(case.files), points | dict.fromkeys(case.lost, 0.0) | dict(case.partly)


def files_of(first: str, second: str) -> dict[str, bytes]:
    """Return the modules of a student who wrote all of a notebook into one file."""
    own = FROM_TRAINING.sub(lambda _: GIVEN, first).encode()
    files = {"mlp.py": own, "training.py": own}
    return files | ({"cnn.py": second.encode()} if second else {})


@cache
def deserved(first: str, second: str) -> dict[str, float]:
    """Return the points that the checks give when they call the functions themselves."""
    modules = {"mlp": student_module(first, "student"), "cnn": student_module(second, "student")}
    points = {}
    with tempfile.TemporaryDirectory() as folder, chdir(folder), quiet():
        for task in read_exam().tasks:
            student = vars(modules["cnn" if task.module == "cnn" else "mlp"])
            if all(name in student for name in task.takes):
                points[task.name] = sum(score_of(task, judge(task, student, SEED)).values())
            else:
                points[task.name] = 0.0
        return points | dict(_counted_once(points, modules))


def _counted_once(
    points: dict[str, float], modules: dict[str, ModuleType]
) -> Iterator[tuple[str, float]]:
    """Yield the points of those that get more with right ones in place of what they build on."""
    tasks = read_exam().tasks
    right = {task.name for task in tasks if points[task.name] >= task.maximum}
    for task in tasks:
        student = vars(modules["cnn" if task.module == "cnn" else "mlp"])
        wrong = [need for need in needs_of(task, tasks) if need.name not in right]
        if wrong and task.name not in right and all(name in student for name in task.takes):
            with standing_in(wrong, [student[name] for name in task.takes]):
                again = sum(score_of(task, judge(task, student, SEED)).values())
            yield task.name, max(points[task.name], again)


def write_zips(students: Iterable[Generated], folder: Path) -> None:
    """Write each hand-in into a zip file."""
    for student in students:
        with zipfile.ZipFile(folder / f"{student.name}.zip", "w") as archive:
            for name, content in student.files.items():
                archive.writestr(f"helpers/{name}", content)


def wrong_marks(students: Iterable[Generated], results: Iterable[Result]) -> Iterator[str]:
    """Yield a line for every exercise with other points than deserved, or marked not just once."""
    found = {result["name"]: result for result in results}
    for student in students:
        result = found.pop(student.name, {"exercises": ()})
        points = {each["name"]: each["points"] for each in result["exercises"]}
        for task, wanted in student.points.items():
            if points.get(task) != wanted:
                yield f"{student.name}, {task}: {points.get(task)} for {wanted}"
    yield from (f"{name}: nobody's" for name in found)


def mark_classes(sizes: Iterable[int], n_jobs: int, cnn: bool, scheduler: str = "") -> int:
    """Mark classes of these sizes and print a line for each; return how many marks are wrong."""
    exam = read_exam()
    exam = Exam(exam.tasks, LIMITS, exam.text)
    rules = Rules(exam, SEED, Surroundings())
    n_wrong = 0
    for size in sizes:
        students = list(generate(size, exam, cnn))
        with tempfile.TemporaryDirectory() as folder:
            write_zips(students, Path(folder))
            start = time.monotonic()
            out = Path(folder, "marks")
            results = mark_class(hand_ins(Path(folder)), rules, out, Way(n_jobs, scheduler))
            seconds = time.monotonic() - start
            start = time.monotonic()
            write_reports(results, exam, out)
            print(f"its report was written in {time.monotonic() - start:.1f} s: ", end="")
            print(f"report.html has {(out / 'report.html').stat().st_size / 1e6:.1f} MB")
        wrong = list(wrong_marks(students, results))
        print(*wrong, sep="\n", end="\n" if wrong else "")
        print(line(size, seconds, results, len(wrong)), flush=True)
        n_wrong += len(wrong)
    return n_wrong


def line(size: int, seconds: float, results: list[Result], n_wrong: int) -> str:
    """Describe a run: time, rate, share of starting workers, memory, wrong marks."""
    starting = sum(result["seconds"]["starting"] for result in results)
    share = 100 * starting / sum(result["seconds"]["all"] for result in results)
    own, largest = (
        resource.getrusage(who).ru_maxrss / 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return (
        f"{size} hand-ins: {seconds:.0f} s, {60 * size / seconds:.0f} a minute, {share:.0f} % for "
        f"starting workers; {own:.0f} MB here, {largest:.0f} MB in the largest other process; "
        f"{n_wrong} wrong marks"
    )


def main() -> None:
    """Mark as the command line says; exit with 1 if a mark is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="+", help="how many hand-ins the classes have")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="hand-ins at a time")
    parser.add_argument("--cnn", action="store_true", help="with the second notebook")
    parser.add_argument("--scheduler", default="", help="address of a Dask scheduler")
    options = parser.parse_args()
    sys.exit(mark_classes(options.sizes, options.jobs, options.cnn, options.scheduler) > 0)


if __name__ == "__main__":
    main()
