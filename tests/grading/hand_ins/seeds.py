"""Do points depend on the seed? Mistakes and hostile hand-ins, each marked over several seeds.

    python -m tests.grading.hand_ins.seeds --seeds 20 [--mutants | --hostile] [WORD …]

prints each hand-in (of those with a word in their name) that gets other points by another seed,
and exits with 1 if there is one. Mistakes are judged in this process, in the exercise that has
them; hostile and unusual hand-ins are marked in the sandbox.
"""

import argparse
import contextlib
import io
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir

from tqdm import tqdm

from grading.exam import score_of
from grading.marking import judge
from grading.sandbox.surroundings import Surroundings
from tests.checks.mutants import MUTANTS, TASKS, Mutant, student_module
from tests.grading.hand_ins.catalogue import CASES, Case
from tests.grading.test_hand_ins import marked

Points = tuple[tuple[str, float], ...]


def of(each: Mutant | Case, seed: int, surroundings: Surroundings) -> Points:
    """Return the points of a hand-in with a seed."""
    if isinstance(each, Mutant):
        return of_mutant(each, seed)
    return of_case(each, seed, surroundings)


def of_mutant(mutant: Mutant, seed: int) -> Points:
    """Return the points of the exercise with the mistake, part by part."""
    task = TASKS[mutant.exercise]
    silent = contextlib.redirect_stdout(io.StringIO())
    with tempfile.TemporaryDirectory() as folder, chdir(folder), silent:
        student = vars(student_module(mutant.source(), mutant.name))
        return tuple(score_of(task, judge(task, student, seed)).items())


def of_case(case: Case, seed: int, surroundings: Surroundings) -> Points:
    """Return the points of all exercises in which the case is marked."""
    exercises = marked(case, surroundings, seed)["exercises"]
    return tuple((each["name"], each["points"]) for each in exercises)


def differing(found: list[Points]) -> Iterator[str]:
    """Yield a line for each outcome, if there are several."""
    if len(set(found)) > 1:
        for points, n in Counter(found).most_common():
            yield f"  {n} of {len(found)} seeds: {dict(points)}"


def main() -> int:
    """Mark as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="of the names; by default all")
    parser.add_argument("--seeds", type=int, default=20)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--mutants", action="store_true", help="mistakes alone")
    kind.add_argument("--hostile", action="store_true", help="hostile hand-ins alone")
    options = parser.parse_args()
    named: dict[str, Mutant | Case] = {}
    if not options.hostile:
        named |= {f"{mutant.exercise}, {mutant.name}": mutant for mutant in MUTANTS}
    if not options.mutants:
        named |= {case.name: case for case in CASES}
    chosen = [name for name in named if not options.words or any(w in name for w in options.words)]
    n_differ, surroundings = 0, Surroundings()
    for name in tqdm(chosen):
        found = [of(named[name], seed, surroundings) for seed in range(options.seeds)]
        if lines := list(differing(found)):
            print(name, *lines, sep="\n", flush=True)
            n_differ += 1
    surroundings.close()
    print(f"{len(chosen)} hand-ins, {options.seeds} seeds: {n_differ} have points that differ")
    return int(n_differ > 0)


if __name__ == "__main__":
    sys.exit(main())
