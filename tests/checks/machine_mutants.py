"""Mutants by machine: every form of a solution, with one mistake in its syntax tree, or two.

`python -m tests.checks.machine_mutants` tells what the checks say of them: how many do what the
form does (equivalent), how many of the others they let pass (missed), name, name wrongly, leave
vague, and how many they refuse that do what the form does. Options: names of exercises;
`--count 200` draws so many of each exercise; `--pairs 15` makes so many of two mistakes at once;
`--seed 1` draws others; `-v KIND` shows each of that kind.

A name is wrong if other random inputs don't lead to the same one, or if undoing the mistake that it
names does not make the function do what the form does, on inputs that no check has drawn.
"""

import argparse
import ast
import contextlib
import copy
import difflib
import io
import itertools
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

from checks import diagnosis
from checks.asking import limited_to, quiet
from checks.errors import judging
from checks.faults import UNFINISHED, VAGUE
from checks.verdicts import Report
from tests.checks.behaviour import same
from tests.checks.mutants import FORMS, TASKS, run_check, student_module

SECONDS = 2  # for a call of a mutant; an endless loop is stopped then
Tree = ast.AST
Operator = Callable[[Any], Iterator[Tree]]  # from a node to the nodes that may stand in its place


def signs(node: Tree) -> Iterator[Tree]:
    """Other arithmetic, `-x` for `x`, `x` for `-x`, and comparisons turned round."""
    if isinstance(node, ast.BinOp):
        others = {
            ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div, ast.Add],
            ast.Div: [ast.Mult, ast.FloorDiv], ast.MatMult: [ast.Mult], ast.Pow: [ast.Mult],
            ast.FloorDiv: [ast.Div], ast.Mod: [ast.FloorDiv],
        }  # fmt: skip
        for other in others.get(type(node.op), []):
            yield ast.BinOp(node.left, other(), node.right)
        yield ast.BinOp(node.right, node.op, node.left)
        yield node.left
        yield node.right
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
        other = ast.NotEq if isinstance(node.ops[0], ast.Eq) else ast.Eq
        yield ast.Compare(node.left, [other()], node.comparators)


def numbers(node: Tree) -> Iterator[Tree]:
    """Other numbers and truth values; `axis=0` for `axis=1`, off by one, ten times as much."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield from (ast.Constant(value) for value in {node.value + 1, node.value - 1, -node.value})
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield from (ast.Constant(value) for value in {2 * node.value, node.value / 10})


def calls(node: Tree) -> Iterator[Tree]:
    """A call left out, an argument left out or exchanged, another function of the same kind."""
    if not isinstance(node, ast.Call):
        return
    if node.args:
        yield node.args[0]
    if isinstance(node.func, ast.Attribute):
        yield node.func.value
    for number in range(len(node.keywords)):
        rest = node.keywords[:number] + node.keywords[number + 1 :]
        yield ast.Call(node.func, node.args, rest)
    for number in range(len(node.args) - 1):
        args = list(node.args)
        args[number : number + 2] = args[number + 1], args[number]
        yield ast.Call(node.func, args, node.keywords)
    kinds = (
        ("sum", "mean", "max", "min"), ("argmax", "argmin", "max"), ("zeros", "ones"),
        ("zeros_like", "ones_like"), ("exp", "log", "exp2"), ("normal", "uniform"),
        ("permutation", "integers"), ("max_pool2d", "avg_pool2d"), ("relu", "sigmoid", "tanh"),
        ("eval", "train"), ("dot", "outer"), ("vstack", "hstack"),
    )  # fmt: skip
    if isinstance(node.func, ast.Attribute):
        for other in itertools.chain(*(k for k in kinds if node.func.attr in k)):
            if other != node.func.attr:
                func = ast.Attribute(node.func.value, other, ast.Load())
                yield ast.Call(func, node.args, node.keywords)


def attributes(node: Tree) -> Iterator[Tree]:
    """`self.` left out, a transpose left out, another attribute of the same network."""
    if isinstance(node, ast.Attribute):
        if node.attr == "T" or (isinstance(node.value, ast.Name) and node.value.id == "self"):
            yield node.value if node.attr == "T" else ast.Name(node.attr, node.ctx)
        pairs = ("W1 W2", "b1 b2", "W1_grad W2_grad", "b1_grad b2_grad", "z1 a1", "a2 y_hat",
                 "W1 W1_grad", "b1 b1_grad", "W2 W2_grad", "b2 b2_grad", "shape size")  # fmt: skip
        for pair in map(str.split, pairs):
            if node.attr in pair:
                other = pair[1 - pair.index(node.attr)]
                yield ast.Attribute(node.value, other, node.ctx)


def subscripts(node: Tree) -> Iterator[Tree]:
    """An index or slice left out, or moved by one."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield node.value
        if isinstance(node.slice, ast.Slice):
            for name in ("lower", "upper"):
                if end := getattr(node.slice, name):
                    moved = ast.Slice(**{**vars_of(node.slice), name: plus_one(end)})
                    yield ast.Subscript(node.value, moved, node.ctx)


def vars_of(node: ast.Slice) -> dict[str, Any]:
    """Return lower, upper and step."""
    return {"lower": node.lower, "upper": node.upper, "step": node.step}


def plus_one(node: ast.expr) -> ast.expr:
    """Return `node + 1`."""
    return ast.BinOp(node, ast.Add(), ast.Constant(1))


def statements(node: Tree) -> Iterator[Tree]:
    """`=` for `+=` and the other way round, `return` forgotten."""
    if isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value)
        if isinstance(node.op, (ast.Add, ast.Sub)):
            other = ast.Sub if isinstance(node.op, ast.Add) else ast.Add
            yield ast.AugAssign(node.target, other(), node.value)
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        (target,) = node.targets
        if isinstance(target, (ast.Name, ast.Attribute)):
            yield ast.AugAssign(target, ast.Add(), node.value)
    if isinstance(node, ast.Return) and node.value:
        yield ast.Expr(node.value)


OPERATORS = (signs, numbers, calls, attributes, subscripts, statements)


def bodies(node: Tree) -> Iterator[list[ast.stmt]]:
    """Other orders of the statements in a block: one left out, twice, earlier, in or out a loop."""
    body: list[ast.stmt] = getattr(node, "body", [])
    if not isinstance(body, list) or isinstance(node, (ast.Module, ast.ClassDef)):
        return
    for n in range(len(body)):
        if len(body) > 1:
            yield body[:n] + body[n + 1 :]
        if not isinstance(body[n], ast.Return):
            yield [*body[: n + 1], body[n], *body[n + 1 :]]
        if n:
            yield [*body[: n - 1], body[n], body[n - 1], *body[n + 1 :]]
        inner = getattr(body[n], "body", None)
        if isinstance(body[n], (ast.For, ast.While)) and isinstance(inner, list):
            loop = copy.copy(body[n])
            if len(inner) > 1:
                loop.body = inner[:-1]
                yield [*body[:n], loop, inner[-1], *body[n + 1 :]]
                loop = copy.copy(body[n])
                loop.body = inner[1:]
                yield [*body[:n], inner[0], loop, *body[n + 1 :]]
            if n + 1 < len(body):
                loop = copy.copy(body[n])
                loop.body = [*inner, body[n + 1]]
                yield [*body[:n], loop, *body[n + 2 :]]


def sites(node: Tree) -> Iterator[tuple[Tree, str, int | None]]:
    """Yield every place of a tree that holds a node: parent, field, and number in a list."""
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.arguments):
            continue  # they come with the course
        for number, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield node, field, number
                yield from sites(child)


def mutate(function: Tree) -> Iterator[None]:
    """Put each mistake into `function` in turn, and take it out afterwards."""
    for parent, field, number in list(sites(function)):
        held = getattr(parent, field)
        node = held if number is None else held[number]
        for other in itertools.chain.from_iterable(operator(node) for operator in OPERATORS):
            setattr(parent, field, other if number is None else
                    [*held[:number], other, *held[number + 1 :]])  # fmt: skip
            yield
            setattr(parent, field, held)
    for node in list(ast.walk(function)):
        for body in bodies(node):
            held, node.body = node.body, body  # type: ignore[attr-defined]
            yield
            node.body = held  # type: ignore[attr-defined]


def find(tree: ast.Module, name: str) -> Tree | None:
    """Return the function or method called `name`, say "MLP.forward"."""
    node: Any = tree
    for part in name.split("."):
        node = next((n for n in node.body if getattr(n, "name", "") == part), None)
        if node is None:
            return None
    return node


def sources(exercise: str, form: str) -> list[str]:
    """Return the form's source text with each mistake in the functions of an exercise."""
    tree = ast.parse((FORMS / f"{form}.py").read_text(encoding="utf-8"))
    right, found = ast.unparse(tree), {}
    for name in TASKS[exercise].writes:
        function = find(tree, name)
        for _ in mutate(function) if function else ():
            with contextlib.suppress(Exception):  # some are no Python, others can't be imported
                text = ast.unparse(ast.fix_missing_locations(tree))
                student_module(text, "mutant")
                found[text] = None
    found.pop(right, None)
    return list(found)


def drawn_pairs(exercise: str, form: str, n: int, rng: random.Random) -> list[str]:
    """Return `n` source texts of a form with two mistakes each, drawn at random."""
    found: dict[str, None] = {}
    singles = sources(exercise, form)
    for _ in range(5 * n):
        tree = ast.parse(rng.choice(singles))
        function = find(tree, rng.choice(TASKS[exercise].writes))
        if function is None:
            continue
        choice = rng.randrange(sum(1 for _ in mutate(function)))
        for _ in itertools.islice(mutate(function), choice, choice + 1):
            with contextlib.suppress(Exception):
                text = ast.unparse(ast.fix_missing_locations(tree))
                student_module(text, "mutant")
                found[text] = None
        if len(found) >= n:
            break
    return list(found)


def report_of(exercise: str, source: str, seed: int) -> Report:
    """Return what the check says of a mutant."""
    with contextlib.redirect_stderr(io.StringIO()), limited_to(SECONDS):
        return run_check(exercise, student_module(source, "mutant"), seed=seed)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: one of KINDS."""

    exercise: str
    form: str
    source: str
    kind: str
    text: str

    def __str__(self) -> str:
        """Show the lines that the mistake changed, and what the check says of them."""
        right = ast.unparse(ast.parse((FORMS / f"{self.form}.py").read_text(encoding="utf-8")))
        changes = difflib.ndiff(right.splitlines(), self.source.splitlines())
        lines = [line for line in changes if line[0] in "+-"]
        return "\n".join((f"--- {self.kind}, {self.exercise}, {self.form}", *lines, self.text))


KINDS = ("equivalent", "missed", "named", "named wrongly", "vague", "refused")
FRESH = (101, 102)  # seeds of checks, which other inputs come of
UNSEEN = (7, 8, 9, 10)  # seeds of inputs that no check draws


Changes = list[tuple[int, str]]  # where functions begin, and their new texts


@contextlib.contextmanager
def tried_changes() -> Iterator[dict[str, Changes]]:
    """Give, by the claim, each function that a claimed change made, or two."""
    tried: dict[str, Changes] = {}
    told, told_of_both = diagnosis._fault, diagnosis._both

    def changes(*candidates: diagnosis.Candidate) -> Changes:
        functions = {each.function.lineno: each.function for each in candidates}
        return [(line, ast.unparse(function)) for line, function in functions.items()]

    def noted(candidate: diagnosis.Candidate, file: str) -> Any:
        fault = told(candidate, file)
        tried.setdefault(fault.likely, changes(candidate))
        tried.setdefault(f"line {candidate.line}", changes(candidate))
        return fault

    def both(first: diagnosis.Candidate, second: diagnosis.Candidate, file: str) -> Any:
        fault = told_of_both(first, second, file)
        tried[fault.likely] = changes(first, second)
        return fault

    with (
        mock.patch.object(diagnosis, "_fault", noted),
        mock.patch.object(diagnosis, "_both", both),
    ):
        yield tried


def mended(source: str, changes: Changes) -> str:
    """Return a source text in which new texts replace the functions that begin in their lines."""
    tree, new = ast.parse(source), {line: ast.parse(text).body[0] for line, text in changes}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.lineno in new:
            function = new[node.lineno]
            assert isinstance(function, ast.FunctionDef)
            node.args, node.body = function.args, function.body
    return ast.unparse(ast.fix_missing_locations(tree))


def is_true(exercise: str, source: str, right: Any, first: Report, tried: Any) -> bool:
    """Whether what a report says of the causes holds on inputs that it has not seen."""
    wrong = [verdict for verdict in first if not verdict.passed]
    likely, _, other = wrong[0].likely.partition(" Or else, ")
    place = re.search(r"Look at (line \d+) of", likely)
    claims = [tried.get(likely) or (tried.get(place[1]) if place else None), tried.get(other)]
    for change in filter(None, claims) if len(wrong) == 1 else ():
        module = student_module(mended(source, change), "mended")
        if not same(exercise, right, module, UNSEEN):
            return False
    if likely in tried:
        return True
    if first.causes[0] in {fault.key for fault in diagnosis.ONE_SIDED.values()}:
        return True  # all parts were tried
    module, task = student_module(source, "mutant"), TASKS[exercise]
    functions = [getattr(module, name) for name in task.takes]
    with judging(task.writes):
        again = [task.check.run(*functions, seed=seed).causes[:1] for seed in FRESH]
    return all(causes == first.causes[:1] for causes in again)


def outcome(exercise: str, form: str, source: str) -> Outcome:
    """Judge a mutant of a form by what the check says of it, and by what both do."""
    right = student_module((FORMS / f"{form}.py").read_text(encoding="utf-8"), form)
    with tried_changes() as tried:
        first = report_of(exercise, source, 0)
    with quiet(), limited_to(10 * SECONDS):
        equal = same(exercise, right, student_module(source, "mutant"), UNSEEN)
        if first.passed or equal:
            kind = {(1, 1): "equivalent", (1, 0): "missed", (0, 1): "refused"}[first.passed, equal]
        elif first.causes[0] in (*VAGUE, UNFINISHED.key):
            kind = "vague"
        else:
            kind = ("named wrongly", "named")[is_true(exercise, source, right, first, tried)]
    return Outcome(exercise, form, source, kind, str(first))


FORMS_OF = {"cnn": ("cnn_plain", "cnn_sequential")}


def forms_of(exercise: str) -> tuple[str, ...]:
    """Return the names of the forms that an exercise has."""
    return FORMS_OF.get(TASKS[exercise].module, ("plain", "loops", "einsum"))


def outcomes(
    exercise: str, n: int | None = None, seed: int = 0, pairs: int = 0
) -> Iterator[Outcome]:
    """Judge all mutants of an exercise, or `n` that are drawn at random, or so many `pairs`."""
    rng, forms = random.Random(seed), forms_of(exercise)
    if pairs:
        n, each = pairs, -(-pairs // len(forms))
        texts = [(form, text) for form in forms for text in drawn_pairs(exercise, form, each, rng)]
    else:
        texts = [(form, text) for form in forms for text in sources(exercise, form)]
    if n is not None and n < len(texts):
        texts = rng.sample(texts, n)
    yield from (outcome(exercise, form, text) for form, text in texts)


def row(name: str, kinds: Counter[str]) -> str:
    """Return a row of the table."""
    numbers = (sum(kinds.values()), *(kinds[kind] for kind in KINDS))
    return f"{name:24}" + "".join(f"{number:>14}" for number in numbers)


def main(arguments: list[str]) -> None:
    """Print a row for each exercise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exercises", nargs="*", choices=[*TASKS, []])
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=0)
    parser.add_argument("-v", dest="shown", choices=KINDS, action="append", default=[])
    options = parser.parse_args(arguments)
    total: Counter[str] = Counter()
    print(f"{'exercise':24}" + "".join(f"{word:>14}" for word in ("mutants", *KINDS)))
    # Some mutants save their weights in the current folder.
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        for exercise in options.exercises or TASKS:
            kinds: Counter[str] = Counter()
            for each in outcomes(exercise, options.count, options.seed, options.pairs):
                kinds[each.kind] += 1
                if each.kind in options.shown:
                    print(each, flush=True)
            total += kinds
            print(row(exercise, kinds), flush=True)
    print(row("all", total))


if __name__ == "__main__":
    main(sys.argv[1:])
