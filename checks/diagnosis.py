"""Why is it wrong? A claim is made only after it was tested on the student's own text.

First, exercises that this one builds on and that aren't right yet are replaced by right
functions, so that no mistake is blamed twice. Then single changes of the text are tried: the one
that makes the function right, on inputs of other seeds as well, names the mistake.
"""

import ast
import contextlib
import gc
import pickle
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from checks.asking import guarded, limited_to, quiet
from checks.comparison import CLOSE
from checks.edits import (
    LATER,
    OPERATORS,
    Operator,
    Scope,
    at_site,
    missing,
    names,
    put,
    scope_of,
    sites,
    too_much,
)
from checks.exercises import Task, load_tasks, needs_of
from checks.faults import SEEN, UNFINISHED, WEAK, Fault, without_causes
from checks.lines import (
    Lines,
    Renamed,
    Rewritten,
    added,
    everywhere,
    fixed_everywhere,
    left_out,
    rearranged,
    renamed,
)
from checks.source import Source, plain_function
from checks.verdicts import Report, Verdict

Check = Any  # checks.check.Check, which stands on this module
SECONDS = {True: 0.3, False: 0.6}  # of computing, for trying changes if a cause is known, or not
PAIRS = 0.2  # for trying two changes at once, if nothing else is known
WHOLE = 0.8  # for all of a check: where it took long before, half the time has to do for changes
N_AHEAD = 8  # changes that bring the result nearer to the right one, with which a second is tried
ANOTHER = 0.25  # for a second change, in another line, once one was found
SAID_ALL = (UNFINISHED.key, "unknown name", "unknown attribute", "self missing", "used too early",
            "exit", "nothing recorded")  # fmt: skip
# Claims of large groups of changes, of which one may be right in a line that is not to blame.
MANY = ("number", "expression", "fixed number", "fixed text", "name", "step missing",
        "factor missing", "division missing", "term missing", "index missing",
        "argument missing", "returned")  # fmt: skip
SHORT = 0.25  # seconds for a call of a changed function
OTHER_SEEDS = (7919, 7920)  # later ones: sizes depend on the seed, so a coincidence shows


def diagnosed(
    check: Check, report: Report, args: Sequence[Any], kwargs: Mapping[str, Any], began: float
) -> Report:  # fmt: skip
    """Return a report in which what can be known of the causes is said.

    `began` is when the check began, in seconds of computing.
    """
    task = check.task
    if any(plain_function(argument) is None for argument in args):
        return report  # it lives in another process
    needs = needs_of(task, load_tasks())
    wrong = [need for need in needs if not _is_right(need, task, args)]
    not_done = report.causes[0] == UNFINISHED.key
    try:
        with standing_in(wrong, args) as kept:
            if kept:
                again = check.run(*args, **kwargs)
                if again.causes[:1] == [UNFINISHED.key]:
                    return Report(again)  # it is this exercise itself that is not done
                report, not_done = _told_of(again, kept), False
            if report.passed or report.causes[0] in SAID_ALL:
                return report
            if not kept and _remembers(check, args, kwargs):
                return Report(v if v.passed else v.by(REMEMBERS) for v in report)
            report = Search(check, task, list(args), dict(kwargs), kept, began).mend(report)
            return _one_sided(check, report, args, kwargs)
    except Missing:
        return report if not_done else Report([_not_judged(check, wrong)])


ONE_SIDED = {
    "one image": Fault(
        "batches only", "a batch works, and one image alone does not.",
        "Find the line that counts on rows: `axis=1` does, and a loop over them; the last axis of "
        "both is `axis=-1`.",
    ),
    "a batch": Fault(
        "single images only", "one image works, and a batch does not.",
        "Find the line that treats the whole batch as one image: sums and largest values belong "
        "to a row each.",
    ),
}  # fmt: skip


def _one_sided(
    check: Check, report: Report, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Report:  # fmt: skip
    """Say of what is still vague whether it goes wrong for one image or for a batch alone."""
    wrong = next(verdict for verdict in report if not verdict.passed)
    kind = next((kind for kind in ONE_SIDED if wrong.part.endswith(kind)), "")
    if not kind or wrong.cause not in SEEN:
        return report
    with quiet(), without_causes():
        every = check.every_part(*args, **kwargs)
    (other,) = set(ONE_SIDED) - {kind}
    if not all(verdict.passed for verdict in every if verdict.part.endswith(other)):
        return report
    if not any(verdict.part.endswith(other) for verdict in every):
        return report
    return Report(v.by(ONE_SIDED[kind]) if v is wrong else v for v in report)


# What is kept between calls.

REMEMBERS = Fault(
    "kept between calls",
    "something is kept from one call to the next: if each call starts afresh, all is right.",
    "See what lives longer than a call, and make it anew in each: a default value such as `=[]` or "
    "`={}`, a variable outside of the function, an attribute of a function or of the class.",
)


def _remembers(check: Check, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether the check passes if a module of its own is made for each call, and not else."""

    def passes(afresh: bool) -> bool:
        return bool(check.run(*_called_in(source, afresh), **kwargs).passed)

    try:
        source = Source(args, check.task.takes)
        with quiet(), limited_to(4 * SHORT), guarded():
            with without_causes():  # by a short check, which most mistakes do not pass
                differ = passes(afresh=True) and not passes(afresh=False)
            return differ and passes(afresh=True)
    except Exception:
        return False  # there is no text, or one that can't be run twice


def _called_in(source: Source, afresh: bool) -> list[Callable[..., Any]]:
    """Return what was taken of a module, of a new one `afresh` for each call or for all."""
    one = source.made_again()
    module = source.made_again if afresh else lambda: one
    return [lambda *a, name=name, **k: module()[name](*a, **k) for name in source.takes]


# What an exercise builds on.


class Missing(Exception):  # noqa: N818  # nothing went wrong
    """There is no stand-in for an exercise."""


def _is_right(need: Task, task: Task, args: Sequence[Any]) -> bool:
    space = getattr(plain_function(args[0]), "__globals__", {})
    known = dict(zip(task.takes, args, strict=True))
    functions = [known.get(name, space.get(name)) for name in need.takes]
    if any(plain_function(function) is None for function in functions):
        return True  # it is none of the student's
    with quiet(), without_causes():  # a short check: what only a long one shows is rare
        return bool(need.check.run(*functions).passed)


@contextlib.contextmanager
def standing_in(needs: Sequence[Task], args: Sequence[Any]) -> Iterator[list[str]]:
    """Put right functions in the place of those of `needs` in the block; give their names.

    Raises Missing if there is none for one of them.
    """
    with contextlib.ExitStack() as stack:
        names = []
        for need in needs:
            stand_ins = need.check.stand_ins
            if not stand_ins:
                raise Missing
            for name, function in stand_ins.items():
                stack.enter_context(_replaced(name, function, args))
                names.append(name)
        yield names


def _replaced(
    name: str, function: Callable[..., Any], args: Sequence[Any]
) -> AbstractContextManager[Any]:
    """Replace a function by name, or a method: "MLP.forward" is that of the class in `args`."""
    classes = [holder for holder in args if isinstance(holder, type)]
    if "." in name and classes:
        # It may be missing, or have another name.
        return mock.patch.object(classes[0], name.rpartition(".")[2], function, create=True)
    plain = plain_function(args[0])
    return mock.patch.dict(plain.__globals__ if plain else {}, {name: function})


def _told_of(report: Report, names: Sequence[str]) -> Report:
    """Say that stand-ins were at work."""
    which = " and ".join(f"`{name}`" for name in names)
    note = f"judged with a correct {which}, since yours is not right yet"
    return Report(
        replace(verdict, note=f"{verdict.note}, {note}") if verdict is report[-1] else verdict
        for verdict in report
    )


def _not_judged(check: Check, wrong: Sequence[Task]) -> Verdict:
    names = " and ".join(need.name for need in wrong)
    fault = Fault("earlier exercise", "", f"Mend {names} first, then run this check again.")
    found = f"{names}, which this builds on, is not right yet."
    verdict: Verdict = check.exercise.wrong(check.exercise.name, found, "", fault, "not judged")
    return verdict


# Changes of the text.


class Candidate(NamedTuple):
    """A change that is in place as long as the candidate is looked at."""

    function: ast.FunctionDef
    line: int
    key: str
    claim: str


@dataclass
class Search:
    """Tries changes of the student's text until one makes it right."""

    check: Any
    task: Task
    args: list[Any]
    kwargs: dict[str, Any]
    kept: list[str]
    began: float  # when the check began, in seconds of computing
    whole: dict[int, Fault] = field(default_factory=dict)  # by line whose change mends everything
    partly: dict[str, Fault] = field(default_factory=dict)  # by part that a change makes right
    ahead: list["Ahead"] = field(default_factory=list)  # the furthest first
    start: tuple[int, float] = (0, 0)
    tried: Candidate | None = None  # the change that is in place

    def mend(self, report: Report) -> Report:
        """Return the report with the causes that were found."""
        try:
            source = Source(self.args, self.task.takes)
        except (ValueError, SyntaxError, OSError):
            return report
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.chdir(folder),  # where what changed functions write doesn't matter
            quiet(), limited_to(SHORT), without_causes(), guarded(), _few_looked_at(),
        ):  # fmt: skip
            self._try_all(source, report)
        return Report(self._with_cause(verdict, Path(source.file).name) for verdict in report)

    def _with_cause(self, verdict: Verdict, file: str) -> Verdict:
        """Return the verdict with the cause that was found or, if it has one, with its place."""
        if verdict.passed:
            return verdict
        if verdict.cause in WEAK:
            fault = self._either() or self.partly.get(verdict.part)
            return verdict.by(fault) if fault else verdict
        lines = self._sure() or [*self.whole]
        if len(lines) != 1 or "at line" in verdict.found:
            return verdict  # of two lines, either may be the one to change
        return replace(verdict, likely=f"{verdict.likely} Look at line {lines[0]} of {file}.")

    def _sure(self) -> list[int]:
        return [line for line, fault in self.whole.items() if fault.key not in MANY]

    def _either(self) -> Fault | None:
        """Return what the changes that mend everything claim: the first, and one in another line.

        Of a large group, a second one is heard only if the first is of such a group, too.
        """
        if not self.whole:
            return None
        first, *others = self.whole.items()
        sure = first[0] in self._sure()
        second = next((o for o in others if not sure or o[0] in self._sure()), None)
        if second is None:
            return first[1]
        likely = f"{first[1].likely} Or else, {second[1].likely}"
        step = (
            f"Look at lines {first[0]} and {second[0]}: with a change in one of the two, the check "
            "passes."
        )
        return Fault(first[1].key, likely, step)

    def _try_all(self, source: Source, report: Report) -> None:
        """Try changes while there is time; of a cause that is known, only the place is wanted."""
        file = Path(source.file).name
        known, failed = report.causes[0] not in WEAK, _failed(report)
        end = self._end_after(SECONDS[known])
        others = {name for task in load_tasks() for name in task.writes}
        theirs = source.theirs(self._judged(report), others)
        if not theirs:
            return
        unseen = self._mended(source.run_again(next(iter(theirs.values())), self.kept), report)
        if unseen is None:
            return  # the mistake is not in these lines, or a short check does not show it
        for candidate in candidates(source, theirs, failed):
            if time.process_time() > end or len(self._sure()) > 1:
                break
            known_there = self._sure() if candidate.key not in MANY else self.whole
            if candidate.line in known_there:
                continue
            mended = self._tried(source, candidate, report)
            for part in (mended or set()) - unseen:
                self.partly.setdefault(part, _fault(candidate, file))
            if mended is None:
                self.whole[candidate.line] = _fault(candidate, file)
                end = min(end, time.process_time() + ANOTHER)
        if not (known or self.whole or self.partly or "property" in report.causes[:1]):
            self._try_pairs(source, theirs, report)

    def _end_after(self, seconds: float) -> float:
        """Return when so much time of computing is over, or half of it if the check took long."""
        now = time.process_time()
        return min(now + seconds, max(now + seconds / 2, self.began + WHOLE))

    def _tried(self, source: Source, candidate: Candidate, report: Report) -> set[str] | None:
        """Return what `_mended` does of a candidate, nothing if it can't be run."""
        try:
            functions = source.run_again(candidate.function, self.kept)
        except Exception:
            return set()  # with this change it is no Python, or cannot be imported
        self.tried = candidate
        return self._mended(functions, report)

    def _try_pairs(
        self, source: Source, theirs: Mapping[str, ast.FunctionDef], report: Report
    ) -> None:
        """Try a second change beside each of those that brought the result nearer."""
        file, end = Path(source.file).name, self._end_after(PAIRS)
        firsts, self.ahead = self.ahead, []
        for first in firsts:
            function = first.candidate.function
            held, function.body = function.body, pickle.loads(first.body)
            any_factor = first.progress[1] >= -CLOSE  # with it, one factor is missing or too much
            try:
                for candidate in candidates(source, theirs, few=not any_factor):
                    if time.process_time() > end or self.whole:
                        break
                    if candidate.key in MANY and not any_factor:
                        continue
                    if self._tried(source, candidate, report) is None:
                        self.whole[candidate.line] = _both(first.candidate, candidate, file)
            finally:
                function.body = held

    def _judged(self, report: Report) -> list[str]:
        """Return the functions that wrong verdicts are about: all, unless one is judged by itself.

        Then no other is to blame, also if a change of it would make up for the mistake.
        """
        named = {verdict.exercise for verdict in report if not verdict.passed}
        named -= {self.check.exercise.name}
        writes = list(self.task.writes)
        return [name for name in writes if name in named] or writes

    def _mended(self, functions: list[Any], report: Report) -> set[str] | None:
        """Return the parts that are right now and go on being so, None if everything is right."""
        left, all_passed, goes_on = set(report.wrong), True, self.check.goes_on and report.wrong[1:]
        for later in (0, *OTHER_SEEDS):
            seed = self.kwargs.get("seed", 0) + later
            new = self.check.until_wrong(goes_on, *functions, **self.kwargs | {"seed": seed})
            if new.passed:
                continue
            if not later:
                self._note(new)
            all_passed = False
            left &= set(report.wrong) - set(new.wrong)
            if not (goes_on and left and set(new.wrong) < set(report.wrong)):
                return set()
        return None if all_passed else left

    def _note(self, report: Report) -> None:
        """Keep a change, if it is one of those that bring the result nearest to the right one."""
        if self.tried is None:
            self.start = _progress(report)  # of the text as it is
            return
        candidate, progress = self.tried, _progress(report)
        near = progress[0] <= self.start[0]  # no part more is right
        if progress <= self.start or (near and candidate.key in MANY):
            return
        if len(self.ahead) < N_AHEAD or progress > self.ahead[-1].progress:
            self.ahead.append(Ahead(progress, candidate, pickle.dumps(candidate.function.body)))
            self.ahead = sorted(self.ahead, key=lambda a: a.progress, reverse=True)[:N_AHEAD]


@contextlib.contextmanager
def _few_looked_at() -> Iterator[None]:
    """Spare Python's search for garbage what is there already, as all of PyTorch, in the block."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Ahead(NamedTuple):
    """A change that brings the result nearer to the right one, and the function's body with it."""

    progress: tuple[int, float]
    candidate: Candidate
    body: bytes


def _progress(report: Report) -> tuple[int, float]:
    """Return how many parts are right, and how near the first wrong one is."""
    first = next(verdict for verdict in report if not verdict.passed)
    return sum(verdict.passed for verdict in report), -first.off


def _both(first: Candidate, second: Candidate, file: str) -> Fault:
    """Return the fault of two mistakes, of which neither alone makes it right."""
    likely = f"{_fault(first, file).likely} Besides, {_fault(second, file).likely}"
    lines = sorted({first.line, second.line})
    where = f"line {lines[0]}" if len(lines) == 1 else f"lines {lines[0]} and {lines[1]}"
    step = f"Look at {where}: with both changes, the check passes."
    return Fault(first.key, likely, step)


def _failed(report: Report) -> int:
    """Return the number of the line at which an exception arose, 0 if there is none."""
    verdict = next(verdict for verdict in report if not verdict.passed)
    place = re.search(r"at line (\d+) of", verdict.found)
    return int(place[1]) if place else 0


def _fault(candidate: Candidate, file: str) -> Fault:
    likely = f"in line {candidate.line} of {file}, {candidate.claim}"
    step = f"Look at line {candidate.line}: with a change there alone, the check passes."
    return Fault(candidate.key, likely, step)


def candidates(
    source: Source, theirs: Mapping[str, ast.FunctionDef], failed: int = 0, few: bool = False
) -> Iterator[Candidate]:
    """Yield every single change of these functions, likely ones and small groups first.

    Before all others come those of the line number `failed`, where an exception arose. If only a
    `few` are wanted, the largest groups are left out.
    """
    scopes = [(node, scope_of(node, source.tree)) for node in theirs.values()]
    if failed:
        yield from _by_operators(scopes, (*OPERATORS, names), [failed])
    yield from chain.from_iterable(_rewritten(node, everywhere(node)) for node, _ in scopes)
    for node, scope in scopes:
        for candidate in _reordered(node, left_out(node, scope)):
            if (candidate.key, candidate.line) != ("too much", failed):
                yield candidate  # without the line that fails, nothing fails: no wonder
    yield from _by_operators(scopes, OPERATORS)
    for orders in (rearranged, added):
        for node, scope in scopes:
            yield from _reordered(node, orders(node, scope))
    for names_of in (fixed_everywhere, renamed):
        yield from chain.from_iterable(_renamed(n, names_of(n, scope)) for n, scope in scopes)
    if failed:
        yield from _by_operators(scopes, LATER, [failed])
    yield from _by_operators(scopes, () if few else LATER)


def _by_operators(
    scopes: Sequence[tuple[ast.FunctionDef, Scope]], operators: Sequence[Operator],
    lines: Sequence[int] = (),
) -> Iterator[Candidate]:  # fmt: skip
    for operator in operators:
        for node, scope in scopes:
            yield from _changed(node, scope, operator, lines)


def _changed(
    function: ast.FunctionDef, scope: Scope, operator: Operator, lines: Sequence[int] = ()
) -> Iterator[Candidate]:
    spared, beside = _given(function) | _limits(function), _names_beside(function)
    for site in list(sites(function)):
        parent, name, _ = site
        node = at_site(site)
        line = getattr(node, "lineno", getattr(parent, "lineno", function.lineno))
        if id(node) in spared or (name == "func" and operator is missing):
            continue
        if operator is too_much and isinstance(parent, ast.Expr):
            continue  # leaving out whole lines comes later
        if lines and line not in lines:
            continue
        for change in operator(node, scope):
            new = change.new
            if isinstance(node, ast.Constant) and getattr(new, "id", "") in beside.get(
                id(node), ()
            ):
                continue  # `a >= a` says nothing, and is right by chance
            new.lineno = new.end_lineno = getattr(node, "lineno", line)  # type: ignore[attr-defined]
            new.col_offset = new.end_col_offset = 0  # type: ignore[attr-defined]
            ast.fix_missing_locations(new)
            put(site, new)
            try:
                yield Candidate(function, line, change.key, change.claim(ast.unparse(node)))
            finally:
                put(site, node)


def _limits(function: ast.FunctionDef) -> set[int]:
    """Return the nodes on both sides of `<` and the like.

    With another limit a comparison may hold always, or never, and be right by chance.
    """
    orders = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
    return {
        id(node)
        for each in ast.walk(function)
        if isinstance(each, ast.Compare) and any(isinstance(op, orders) for op in each.ops)
        for side in (each.left, *each.comparators)
        for node in ast.walk(side)
    }


def _names_beside(function: ast.FunctionDef) -> dict[int, set[str]]:
    """Return, for every node of a function, the names in its statement."""
    names: dict[int, set[str]] = {}
    for statement in ast.walk(function):
        if isinstance(statement, ast.stmt):
            own = [n for n in ast.iter_child_nodes(statement) if not isinstance(n, ast.stmt)]
            nodes = [node for each in own for node in ast.walk(each)]
            there = {node.id for node in nodes if isinstance(node, ast.Name)}
            names |= {id(node): there for node in nodes}
    return names


def _given(function: ast.FunctionDef) -> set[int]:
    """Return the nodes of lines that come with the course: they call its private functions."""
    lines = [n for n in function.body if isinstance(n, (ast.Assign, ast.Expr)) and _is_given(n)]
    return {id(node) for line in lines for node in ast.walk(line)}


def _is_given(line: ast.stmt) -> bool:
    called = [ast.unparse(n.func) for n in ast.walk(line) if isinstance(n, ast.Call)]
    return any(name.rpartition(".")[2].startswith("_check") for name in called)


def _reordered(function: ast.FunctionDef, orders: Iterator[Lines]) -> Iterator[Candidate]:
    for lines in orders:
        held = [(parent, name, getattr(parent, name)) for parent, name, _ in lines.new]
        for parent, name, new in lines.new:
            setattr(parent, name, new)
            for statement in new:
                if not hasattr(statement, "lineno"):
                    ast.copy_location(statement, lines.at)
                    ast.fix_missing_locations(statement)
        try:
            code = ast.unparse(lines.at).partition("\n")[0]
            yield Candidate(function, lines.at.lineno, lines.key, f"`{code}`: {lines.claim}")
        finally:
            for parent, name, old in reversed(held):
                setattr(parent, name, old)


def _renamed(function: ast.FunctionDef, changes: Iterator[Renamed]) -> Iterator[Candidate]:
    for change in changes:
        held = [(site, at_site(site)) for site, _ in change.new]
        for site, new in change.new:
            put(site, new)
        try:
            yield Candidate(function, getattr(change.at, "lineno", 0), change.key, change.claim)
        finally:
            for site, old in reversed(held):
                put(site, old)


def _rewritten(function: ast.FunctionDef, changes: Iterator[Rewritten]) -> Iterator[Candidate]:
    copied = pickle.dumps(function)  # much faster than copy.deepcopy
    for change in changes:
        held, place = function.body, change.at
        new = change.rewrite(pickle.loads(copied))
        function.body = ast.fix_missing_locations(new).body
        try:
            yield Candidate(function, getattr(place, "lineno", 0), change.key, change.claim)
        finally:
            function.body = held
