"""Mutants by machine: every form of a solution, with one mistake in its syntax tree.

`python -m tests.checks.machine_mutants` tells how many of them the checks let pass, name, name
wrongly and leave unnamed; with the name of an exercise, only its mutants, and `-v` shows each
message.

A name is wrong if other random inputs don't lead to the same one: then it was a coincidence.
"""

import ast
import contextlib
import copy
import io
import itertools
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from checks.asking import limited_to
from checks.verdicts import UNFINISHED, VAGUE, Report
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


def report_of(exercise: str, source: str, seed: int) -> Report:
    """Return what the check says of a mutant."""
    with contextlib.redirect_stderr(io.StringIO()), limited_to(SECONDS):
        return run_check(exercise, student_module(source, "mutant"), seed=seed)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: "passed", "by chance", "named", "named wrongly" or "vague"."""

    exercise: str
    source: str
    kind: str
    text: str


def outcome(exercise: str, source: str) -> Outcome:
    """Judge a mutant by the check with three seeds: the name must not depend on the numbers."""
    first = report_of(exercise, source, 0)
    if first.passed:
        others = [report_of(exercise, source, seed) for seed in range(1, 4)]
        kind = "passed" if all(report.passed for report in others) else "by chance"
    elif first.causes[0] in (*VAGUE, UNFINISHED.key):
        kind = "vague"
    else:
        again = report_of(exercise, source, 1)
        kind = "named" if again.causes[:1] == first.causes[:1] else "named wrongly"
    return Outcome(exercise, source, kind, str(first))


FORMS_OF = {"cnn": ("cnn_plain", "cnn_sequential")}


def outcomes(exercise: str, n: int | None = None, seed: int = 0) -> list[Outcome]:
    """Judge all mutants of an exercise, or `n` that are drawn at random."""
    forms = FORMS_OF.get(TASKS[exercise].module, ("plain", "loops", "einsum"))
    texts = [text for form in forms for text in sources(exercise, form)]
    if n is not None and n < len(texts):
        texts = random.Random(seed).sample(texts, n)
    return [outcome(exercise, text) for text in texts]


def main(arguments: list[str]) -> None:
    """Print the shares of each exercise."""
    wanted = [name for name in arguments if name in TASKS] or list(TASKS)
    numbers = [int(word) for word in arguments if word.isdigit()]
    total: Counter[str] = Counter()
    # Some mutants save their weights in the current folder.
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        for exercise in wanted:
            found = outcomes(exercise, *numbers)
            kinds = Counter(each.kind for each in found)
            total += kinds
            print(exercise, len(found), dict(kinds), flush=True)
            for each in found if "-v" in arguments else ():
                print(f"--- {each.kind}\n{each.source}\n{each.text}")
    print("all", sum(total.values()), dict(total))


if __name__ == "__main__":
    main(sys.argv[1:])
