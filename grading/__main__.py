"""Mark a folder of hand-ins: python -m grading hand-ins/ --out marks/."""

import argparse
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from checks.exercises import FILE
from grading.classroom import Rules, Ticket, Way, by_hand, default_jobs, mark_class
from grading.collect import NAMES, collect, completed, read_collected
from grading.collect.people import Roster
from grading.exam import read_exam
from grading.late import LateRules, read_late
from grading.report import write_reports
from grading.results import Page, changes, overridden, page_of, person_of, read_marks
from grading.sandbox.cgroups import RUN, parent_group
from grading.sandbox.limits import MarkerError
from grading.sandbox.processes import limits_told, why_unavailable
from grading.sandbox.surroundings import Surroundings
from grading.written import FILE as WRITTEN
from grading.written import Written, exam_with, read_written, with_written
from machine.files import atomic_write

UNSAFE = """\
WITHOUT A SANDBOX: the code of these hand-ins runs with your rights. It can read and delete your
files, the solution and other hand-ins, and use the network. Do so only with code that you trust."""
UNREADABLE = "nothing in it could be read"
UNDERTAKER = """
read -r line
rm -rf "$0"
for try in 1 2 3 4 5 6 7 8 9 10; do
    ls -d "$1/$2"-* >/dev/null 2>&1 || exit
    rmdir "$1/$2"-* 2>/dev/null || sleep 0.2
done
"""


def main(arguments: list[str] | None = None) -> int:
    """Mark as the command line says; return the exit status."""
    options = _parser().parse_args(arguments)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with scratch_space():
            return _mark(options)
    except ValueError as error:
        print(f"Cannot mark: {error}", file=sys.stderr)
        return 2
    except (MarkerError, OSError) as error:
        print(f"\nMARKING IS BROKEN HERE, no marks were given.\n{error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("\nStopped. The same command continues with what is left.", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def scratch_space() -> Iterator[None]:
    """Have temporary files in a folder of their own, which goes however this process ends.

    With it go the control groups of workers, as soon as the kernel has ended these.
    """
    folder = Path(tempfile.gettempdir(), f"digits-{secrets.token_hex(8)}")
    undertaker = subprocess.Popen(  # there before the folder is, so that it never stays
        ["sh", "-c", UNDERTAKER, str(folder), str(parent_group() or folder), RUN],
        stdin=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    before = tempfile.tempdir
    try:
        folder.mkdir(0o700)
        tempfile.tempdir = str(folder)
        yield
    finally:
        tempfile.tempdir = before
        undertaker.communicate()


def _mark(options: argparse.Namespace) -> int:
    exam, late = read_exam(options.config), read_late(options.config)
    if options.jobs < 1:
        raise ValueError(f"--jobs is {options.jobs}; wanted at least 1.")
    roster = _roster(options.roster, options.out / "roster.csv")
    if options.hand_ins:
        collect(options.hand_ins, options.out / "hand-ins", options.system, options.jobs)
    written = _written(options.written, options.out / WRITTEN)
    seed = chosen_seed(options.out, options.seed)
    surroundings = _surroundings(options)
    rules = Rules(exam, seed, surroundings, options.notebooks)
    way = Way(options.jobs, options.scheduler)
    try:
        pages = _pages(options.out, rules, way, late, written, roster)
    finally:
        surroundings.close()
    exam = exam_with(exam, written)
    pages = overridden(pages, options.out / "overrides.csv", exam)
    before = read_marks(options.out)
    changed = list(changes(before, pages)) if before else []
    missing = roster.without(map(person_of, pages)) if roster else []
    write_reports(pages, exam, options.out, changed, missing, written)
    return _told(options.out, pages, changed, missing)


def _roster(given: Path | None, kept: Path) -> Roster | None:
    """Return the list of the course: the one given, which is kept, or that of the run before."""
    if given:
        Roster(given)  # it must be readable
        with atomic_write(kept) as file:
            file.write(given.read_bytes())
    return Roster(kept) if kept.exists() else None


def _written(given: Sequence[Path], kept: Path) -> Written:
    """Return the marks of written answers: those kept from the runs before, and those given."""
    written = read_written([*([kept] if kept.exists() else []), *given])
    if given:
        with atomic_write(kept) as file:
            file.write(json.dumps(written, indent=1).encode())
    return written


def _pages(
    folder: Path, rules: Rules, way: Way, late: LateRules, written: Written, roster: Roster | None
) -> list[Page]:
    """Mark all that was collected; return what each gets, those to be looked at by hand first."""
    found = read_collected(folder / "hand-ins")
    if not found:
        raise ValueError(f"{folder} holds no hand-ins yet; wanted the download of a class.")
    readable = [path for path, record in found.items() if record["is_readable"]]
    marked = dict(zip(readable, mark_class(readable, rules, folder / "results", way), strict=True))
    results = [
        marked.get(path) or by_hand(Ticket(path, path.stem), UNREADABLE, rules) for path in found
    ]
    records = [completed(each, roster) if roster else each for each in found.values()]
    results = with_written(results, [record["key"] for record in records], written)
    pages = [page_of(*each, late) for each in zip(results, records, strict=True)]
    return sorted(pages, key=lambda page: (page["points"] is not None, page["name"].casefold()))


def _told(
    folder: Path, pages: Sequence[Page], changed: Sequence[Sequence[str]], missing: Sequence[str]
) -> int:
    """Say what came of it; return the exit status."""
    print(f"{len(pages)} hand-ins are marked: read {folder / 'report.html'}")
    if changed:
        n_students = len({name for name, *_ in changed})
        print(f"{n_students} hand-ins got other points than before: see {folder / 'changes.csv'}")
    people = Counter(map(person_of, pages))
    if twice := sorted({person.title for person, n in people.items() if n > 1}):
        print(f"Here twice, so delete one of each in {folder / 'hand-ins'}: {', '.join(twice)}")
    if missing:
        print(f"{len(missing)} of the roster handed nothing in: {', '.join(missing[:20])}")
    answers = folder / "answers.html"
    n_open = sum(each.get("is_open", False) for page in pages for each in page["exercises"])
    if n_open or (answers.exists() and not (folder / WRITTEN).exists()):
        print(f"Written answers wait for points: open {answers}")
    n_by_hand = sum(page["points"] is None for page in pages)
    if n_by_hand:
        print(f"{n_by_hand} of them could not be marked, and are to be looked at by hand.")
    return int(n_by_hand > 0)


def _surroundings(options: argparse.Namespace) -> Surroundings:
    """Return where workers run. Raises MarkerError if that is not possible, or not safe."""
    if options.unsafe:
        print(UNSAFE, file=sys.stderr)
        return Surroundings(sandboxed=False)
    if not options.scheduler and (reason := why_unavailable()):
        raise MarkerError(
            f"There is no sandbox: {reason}.\nMark where bubblewrap works or, hand-ins that you "
            "trust with all your files, with --unsafe."
        )
    if not options.scheduler:
        print(*limits_told(), sep="\n", file=sys.stderr)
    return Surroundings(hidden=[*filter(None, [options.hand_ins]), options.out])


def chosen_seed(folder: Path, seed: int | None) -> int:
    """Return the seed of the run: the one given, that of the run before, or a random one."""
    path = folder / "run.json"
    if seed is None and path.exists():
        return int(json.loads(path.read_text(encoding="utf-8"))["seed"])
    seed = secrets.randbits(32) if seed is None else seed
    with atomic_write(path) as file:
        file.write(json.dumps({"seed": seed}).encode())
    return seed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grading", description=__doc__)
    parser.add_argument(
        "hand_ins", type=Path, nargs="?",
        help="a download, a folder of hand-ins, or one; without it, those collected are marked",
    )  # fmt: skip
    parser.add_argument("--from", dest="system", choices=NAMES, default="auto", help="its system")
    parser.add_argument("--roster", type=Path, help="a CSV file of the course's students")
    parser.add_argument(
        "--written", type=Path, action="append", default=[],
        help=f"a {WRITTEN} that answers.html saved",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("marks"), help="where marks and pages go")
    parser.add_argument("--config", type=Path, default=FILE, help="points and limits (TOML)")
    parser.add_argument("--seed", type=int, help="of all random inputs; by default a new one")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="hand-ins at a time")
    parser.add_argument("--notebooks", action="store_true", help="execute the notebooks, too")
    parser.add_argument("--scheduler", default="", help="address of a Dask scheduler")
    parser.add_argument("--unsafe", action="store_true", help="mark without a sandbox")
    return parser


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # taking libraries down takes seconds on a busy computer, and serves nobody
