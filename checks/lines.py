"""Changes of a function's lines: one moved, left out or added, or the same slip undone in all."""

import ast
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from checks.edits import (
    KINDS,
    Node,
    Scope,
    Site,
    at_site,
    expression,
    is_dotted,
    is_own,
    is_range,
    sites,
)

Statements = list[ast.stmt]
Place = tuple[Node, str, int]  # what holds statements: parent, field, and depth of nesting
STEPS = {  # calls that a training may lack, by what they are called on
    "network": ("reset_grad()", "train()", "eval()"),
    "optimizer": ("zero_grad()", "step()"),
    "loss": ("backward()",),
}


class Lines(NamedTuple):
    """New lists of statements for some places, and the claim about the statement `at`."""

    new: list[tuple[Node, str, Statements]]  # parent, field, statements
    at: ast.stmt
    key: str
    claim: str


class Rewritten(NamedTuple):
    """What makes another function of a copy, and the claim about the first place."""

    rewrite: Callable[[ast.FunctionDef], Any]
    at: Node
    key: str
    claim: str


def places_of(function: ast.FunctionDef) -> list[Place]:
    """Return all places in a function that hold statements."""
    found: list[Place] = []

    def walk(node: Node, depth: int) -> None:
        for field in ("body", "orelse", "finalbody"):
            inner = getattr(node, field, None)
            if isinstance(inner, list) and inner and isinstance(inner[0], ast.stmt):
                found.append((node, field, depth))
                for each in inner:
                    walk(each, depth + 1)

    walk(function, 0)
    return found


def rearranged(function: ast.FunctionDef, scope: Scope) -> Iterator[Lines]:
    """Yield the function with `return` at its end, and with one line moved."""
    yield from _returned(function, scope)
    places = places_of(function)
    for place, held, number in _lines(places):
        rest = held[:number] + held[number + 1 :] or [ast.Pass()]
        yield from _moved(held[number], place, rest, number, places)


def left_out(function: ast.FunctionDef, scope: Scope) -> Iterator[Lines]:
    """Yield the function without one of its lines, which may do no harm elsewhere."""
    for place, held, number in _lines(places_of(function)):
        statement, claim = held[number], "this line is too much."
        if isinstance(statement, ast.Try):
            new = held[:number] + statement.body + held[number + 1 :]
            hidden = "`except` hides an error here that has to leave the function."
            yield Lines([(*place[:2], new)], statement, "error hidden", hidden)
        if isinstance(statement, ast.If):
            new = held[:number] + statement.body + held[number + 1 :]
            always = "what stands under this line has to be done in every case."
            yield Lines([(*place[:2], new)], statement, "condition", always)
        if isinstance(statement, ast.With):
            yield from _without_context(statement, place, held, number)
        rest = held[:number] + held[number + 1 :] or [ast.Pass()]
        yield Lines([(*place[:2], rest)], statement, "too much", claim)


def _without_context(
    statement: ast.With, place: Place, held: Statements, number: int
) -> Iterator[Lines]:
    """Yield the statement without each of the things that it does its block `with`."""
    for item in statement.items:
        left = [other for other in statement.items if other is not item]
        inner = [ast.With(left, statement.body)] if left else statement.body
        new = [*held[:number], *inner, *held[number + 1 :]]
        claim = f"`{ast.unparse(item)}` is too much after `with`."
        yield Lines([(*place[:2], new)], statement, "too much", claim)


def _lines(places: list[Place]) -> Iterator[tuple[Place, Statements, int]]:
    """Yield every statement but docstrings: the place, what it holds, and the number in it."""
    for place in places:
        held: Statements = getattr(place[0], place[1])
        for number, statement in enumerate(held):
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                yield place, held, number


def _returned(function: ast.FunctionDef, scope: Scope) -> Iterator[Lines]:
    last = function.body[-1]
    if isinstance(last, ast.Expr):
        new = [*function.body[:-1], ast.Return(last.value)]
        claim = "the result is computed here and not returned."
        yield Lines([(function, "body", new)], last, "return missing", claim)
    if not isinstance(last, ast.Return):
        for variable in reversed(scope.variables):
            new = [*function.body, ast.Return(variable)]
            claim = f"the function ends here and never returns `{ast.unparse(variable)}`."
            yield Lines([(function, "body", new)], last, "return missing", claim)


def _moved(
    statement: ast.stmt, home: Place, rest: Statements, number: int, places: list[Place]
) -> Iterator[Lines]:
    inside = set(map(id, ast.walk(statement)))
    for other, field, depth in places:
        if id(other) in inside:
            continue
        same = (other, field) == home[:2]
        held: Statements = rest if same else getattr(other, field)
        for position in range(len(held) + 1):
            if same and position == number:
                continue
            if same and position < number and isinstance(statement, ast.Return):
                continue  # it would only keep what stands before it from being run
            if any(isinstance(before, ast.Return) for before in held[:position]):
                continue  # nothing behind a return is ever run
            new = [*held[:position], statement, *held[position:]]
            taken = [] if same else [(*home[:2], rest)]
            claim = _move_claim(same, position < number, home[2], depth, other)
            yield Lines([*taken, (other, field, new)], statement, *claim)


def _move_claim(same: bool, earlier: bool, depth: int, new: int, other: Node) -> tuple[str, str]:
    if same:
        return "order", f"this line comes too {'late' if earlier else 'early'}."
    if new > depth:
        line = getattr(other, "lineno", 0)
        return "indentation", f"this line belongs into the block that begins in line {line}."
    if new < depth:
        return "indentation", "this line is indented too far: it belongs outside of that block."
    return "indentation", "this line stands in the wrong block."


def added(function: ast.FunctionDef, scope: Scope) -> Iterator[Lines]:
    """Yield the function with one more call of those that a training needs."""
    calls = [f"{name}.{step}" for name in scope.names for step in STEPS.get(name, ())]
    for call in calls:
        for parent, field, _ in places_of(function):
            held = getattr(parent, field)
            for position in range(len(held) + 1):
                new = [*held[:position], ast.Expr(expression(call)), *held[position:]]
                where = "before" if position < len(held) else "after"
                at = held[min(position, len(held) - 1)]
                claim = f"`{call}` is missing {where} this line."
                yield Lines([(parent, field, new)], at, "call missing", claim)


def everywhere(function: ast.FunctionDef) -> Iterator[Rewritten]:
    """Yield the function with one and the same slip undone in all its lines."""
    nodes = list(ast.walk(function))
    assigned = [n for n in nodes if isinstance(n, ast.Assign) and is_own(n.targets[0])]
    added_to = [n for n in nodes if isinstance(n, ast.AugAssign)]
    if len(assigned) > 1:
        claim = "here and in other lines `=` replaces what was there, where it has to be added to."
        yield Rewritten(_Sums().visit, assigned[0], "= for +=", claim)
    if len(added_to) > 1:
        claim = "here and in other lines what was there before has to be replaced."
        yield Rewritten(_Assignments().visit, added_to[0], "+= for =", claim)
    for operator in (ast.Sub, ast.Add):
        signed = [n for n in nodes if isinstance(getattr(n, "op", None), operator)]
        if len(signed) > 1:
            sign = "+" if operator is ast.Add else "-"
            claim = f"here and in other lines the sign `{sign}` is wrong."
            yield Rewritten(_Signs(operator).visit, signed[0], "sign", claim)
    yield from _unwrapped(nodes)
    ranges = [n for n in nodes if isinstance(n, ast.Call) and is_range(n)]
    if len(ranges) > 1:
        for operator, word in ((ast.Add, "small"), (ast.Sub, "large")):
            claim = f"here and in other lines the end of `range` is one too {word}."
            yield Rewritten(_Ranges(operator).visit, ranges[0], "ends of a range", claim)


def _unwrapped(nodes: list[Node]) -> Iterator[Rewritten]:
    """Yield the function without all calls of one and the same function: their first arguments."""
    called: dict[str, list[ast.Call]] = {}
    for node in nodes:
        if isinstance(node, ast.Call) and node.args and is_dotted(node.func):
            called.setdefault(ast.unparse(node.func), []).append(node)
    for name, calls in called.items():
        if len(calls) > 1 and name != "range":
            claim = f"here and in other lines `{name}` is too much."
            yield Rewritten(_Arguments(name).visit, calls[0], "too much", claim)


class Renamed(NamedTuple):
    """New nodes for some sites of a function, and the claim about the first of them."""

    new: list[tuple[Site, Node]]
    at: Node
    key: str
    claim: str


def renamed(function: ast.FunctionDef, scope: Scope) -> Iterator[Renamed]:
    """Yield the function with one name replaced in all its lines, or two exchanged."""
    used: dict[str, Node] = {}
    places: dict[str, list[Site]] = {}
    for site in sites(function):
        node = at_site(site)
        if is_dotted(node) or _is_numbered(node):
            text = ast.unparse(node)
            used[text] = node
            places.setdefault(text, []).append(site)
    for old, node in used.items():
        for new in (*_namesakes(old, scope), *_siblings(old, used)):
            if new in used:
                key, claim = "changed places", f"`{old}` and `{new}` have changed places."
            else:
                key, claim = "name", f"`{old}` is the wrong one, here and in other lines."
            pairs = (
                ((site, new) for site in places[old]),
                ((site, old) for site in places.get(new, ())),
            )
            yield Renamed([_named(*pair) for each in pairs for pair in each], node, key, claim)


def fixed_everywhere(function: ast.FunctionDef, scope: Scope) -> Iterator[Renamed]:
    """Yield the function with a variable for a whole number that stands in several places."""
    places: dict[int, list[Site]] = {}
    for site in chain.from_iterable(map(sites, function.body)):  # default values stay fixed
        node = at_site(site)
        if isinstance(node, ast.Constant) and type(node.value) is int:
            places.setdefault(node.value, []).append(site)
    for number, held in places.items():
        for name in scope.names if len(held) > 1 else ():
            claim = f"the number `{number}` is fixed, here and elsewhere, where `{name}` fits."
            new = [_named(site, name) for site in held]
            yield Renamed(new, at_site(held[0]), "fixed number", claim)


def _named(site: Site, text: str) -> tuple[Site, Node]:
    """Return a site, and what is written `text` to stand there."""
    new, old = expression(text), at_site(site)
    new.ctx = getattr(old, "ctx", ast.Load())  # type: ignore[attr-defined]
    return site, ast.fix_missing_locations(ast.copy_location(new, old))


def _namesakes(text: str, scope: Scope) -> Iterator[str]:
    """Yield what may be meant by a name: another function of its kind, another attribute."""
    start, dot, name = text.rpartition(".")
    if start == "self":
        yield from (f"self.{other}" for other in scope.attributes if other != name)
    elif not dot and name in scope.names:
        yield from (other for other in scope.names if other != name)
    for kind in KINDS:
        if name in kind:
            yield from (f"{start}{dot}{other}" for other in kind if other != name)


def _is_numbered(node: Node) -> bool:
    """Whether a node is one of several by its number, say `x.shape[1]`."""
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)


def _siblings(text: str, used: Mapping[str, Node]) -> Iterator[str]:
    node = used[text]
    if isinstance(node, ast.Subscript):
        whole = ast.unparse(node.value)
        yield from (each for each in used if each != text and each.startswith(f"{whole}["))


class _Sums(ast.NodeTransformer):
    def visit_Assign(self, node: ast.Assign) -> ast.stmt:  # as ast calls it
        target = node.targets[0]
        if not isinstance(target, ast.Attribute) or not is_own(target):
            return node
        return ast.copy_location(ast.AugAssign(target, ast.Add(), node.value), node)


class _Signs(ast.NodeTransformer):
    def __init__(self, operator: type[ast.operator]) -> None:
        self.operator = operator

    def generic_visit(self, node: Node) -> Node:
        super().generic_visit(node)
        if isinstance(getattr(node, "op", None), self.operator):
            node.op = ast.Add() if self.operator is ast.Sub else ast.Sub()  # type: ignore[attr-defined]
        return node


class _Arguments(ast.NodeTransformer):
    """Puts the first argument of every call of a function into the place of the call."""

    def __init__(self, name: str) -> None:
        self.name = name

    def visit_Call(self, node: ast.Call) -> ast.expr:  # as ast calls it
        self.generic_visit(node)
        return node.args[0] if node.args and ast.unparse(node.func) == self.name else node


class _Ranges(ast.NodeTransformer):
    """Lets every range end one later, or earlier."""

    def __init__(self, operator: type[ast.operator]) -> None:
        self.operator = operator

    def visit_Call(self, node: ast.Call) -> ast.Call:  # as ast calls it
        self.generic_visit(node)
        if is_range(node):
            end = min(1, len(node.args) - 1)
            node.args[end] = ast.BinOp(node.args[end], self.operator(), ast.Constant(1))
        return node


class _Assignments(ast.NodeTransformer):
    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:  # as ast calls it
        return ast.copy_location(ast.Assign([node.target], node.value), node)
