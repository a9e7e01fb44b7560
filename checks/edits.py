"""Single changes of an expression in a student's text, each with the claim that it tests.

A change undoes one slip: a sign, an axis, a name, a transpose. If the changed function is right,
the claim is true, whatever the function looks like. Changes of whole lines are in `checks.lines`.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

Node = ast.AST
LOAD = ast.Load()
Part = TypeVar("Part")
# What each key claims. {code} is the text that was changed, {detail} what the change tells of it.
CLAIMS = {
    "= for +=": "`=` overwrites the old value, where this has to be {detail}.",
    "+= for =": "`{code}` combines this with what was there before, which has to be replaced.",
    "in place": "`{code}` overwrites an array whose old values are still needed.",
    "new array": "`{code}` makes a new array, where the old one has to be changed.",
    "assignment": "the operator of the assignment `{code}` is wrong.",
    "returned": "something else has to be returned than `{code}` does.",
    "self missing": "`self.` is missing before `{code}`.",
    "name": "`{code}` is the wrong variable here.",
    "expression": "`{code}` is computed here, where a variable has to stand as it is.",
    "reshaped": "`{code}` keeps the numbers in their old order, where axes have to be exchanged.",
    "transpose": "{detail} in `{code}` the wrong way round (`.T`).",
    "order of the product": "the two sides of the product `{code}` stand the wrong way round.",
    "opposite": "`{code}` is the opposite of what it should be.",
    "number": "the number `{code}` is wrong here.",
    "fixed number": "the number `{code}` is fixed, where a variable should be.",
    "fixed text": "the text `{code}` is fixed, where a variable should be.",
    "axis": "{detail} in `{code}`.",
    "keepdims": "{detail} in `{code}`.",
    "argument": "the argument `{detail}` of `{code}` is too much.",
    "argument missing": "an argument is missing in `{code}`.",
    "order of arguments": "the arguments of `{code}` stand in the wrong order.",
    "order of parts": "the parts of `{code}` stand in the wrong order.",
    "order of loops": "the loops within `{code}` stand in the wrong order.",
    "sign": "the sign in or before `{code}` is wrong.",
    "operator": "the operator in `{code}` is wrong.",
    "sides": "the two sides of `{code}` stand the wrong way round.",
    "comparison": "the comparison `{code}` is the wrong one.",
    "parentheses": "in `{code}` the parentheses are missing or in the wrong place.",
    "too much": "`{detail}` is too much in `{code}`.",
    "condition": "the condition is too much in `{code}`.",
    "ends of a slice": "the slice `{code}` begins or ends in the wrong place.",
    "ends of a range": "`{code}` begins or ends in the wrong place, or has the wrong step.",
    "function": "`{detail}` is the wrong function in `{code}`.",
    "step missing": "`{code}` is not yet what is wanted here: one more step is missing.",
    "factor missing": "a factor is missing: `{code}` has to be multiplied by something more.",
    "division missing": "a division is missing: `{code}` has to be divided by something.",
    "term missing": "a term is missing: something has to be added to `{code}`, or subtracted.",
    "index missing": "an index is missing after `{code}`, which holds more than is needed here.",
}
# Functions that are taken for each other.
KINDS = (
    ("sum", "mean", "max", "min", "prod", "any", "all"), ("count_nonzero", "size"),
    ("argmax", "argmin", "max", "argsort"),
    ("zeros", "ones", "empty", "eye", "full"),
    ("zeros_like", "ones_like", "empty_like", "full_like"),
    ("exp", "log", "exp2", "expm1", "log2", "log10", "log1p", "sqrt", "tanh"),
    ("normal", "uniform", "standard_normal", "random", "integers"),
    ("permutation", "shuffle", "choice", "integers", "permuted"), ("randperm", "arange", "randint"),
    ("max_pool2d", "avg_pool2d"), ("MaxPool2d", "AvgPool2d"),
    ("relu", "sigmoid", "tanh", "softmax", "log_softmax"),
    ("ReLU", "Sigmoid", "Tanh", "LeakyReLU", "Softmax", "Identity"),
    ("eval", "train"), ("split", "chunk"), ("cat", "stack"), ("dot", "outer", "multiply", "matmul"),
    ("vstack", "hstack", "concatenate", "stack"), ("softmax", "sigmoid"),
    ("round", "float", "int"), ("save", "savez", "savetxt"), ("maximum", "minimum"),
    ("add", "subtract", "multiply", "divide"),
)  # fmt: skip
USUAL = ("np.exp", "np.log", "np.asarray", "np.atleast_2d", "np.array", "np.argmax")
METHODS = ("sum()", "mean()", "sum(axis=0)", "copy()", "argmax(axis=1)", "argmax(axis=-1)", "T",
           "flatten(1)", "item()", "detach()")  # fmt: skip


class Change(NamedTuple):
    """What stands in the place of a node, the key of the claim about it, and its detail."""

    new: Node
    key: str
    detail: str = ""

    def claim(self, code: str) -> str:
        """Return the claim about what was `code`."""
        return CLAIMS[self.key].format(code=code, detail=self.detail)


@dataclass(frozen=True)
class Scope:
    """What a function's lines may use."""

    names: tuple[str, ...]  # arguments and local variables
    attributes: tuple[str, ...]  # of self
    functions: tuple[str, ...]  # what the module calls, as text: "np.exp"
    arguments: tuple[str, ...]

    @property
    def variables(self) -> list[ast.expr]:
        """All names and attributes, as expressions."""
        return [expression(text) for text in (*self.names, *(f"self.{n}" for n in self.attributes))]


def scope_of(function: ast.FunctionDef, tree: ast.Module) -> Scope:
    """Return what the lines of `function`, within the module `tree`, may use."""
    arguments = [arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg)]
    stored = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and not loads(n)]
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and function in n.body]
    inside = [n for holder in (*classes, function) for n in ast.walk(holder)]
    own = [n.attr for n in inside if isinstance(n, ast.Attribute) and is_own(n) and not loads(n)]
    unary = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call) and len(n.args) == 1]
    called = [ast.unparse(function) for function in unary if is_dotted(function)]
    ours = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} - {function.name}
    safe = [n for n in (*called, *USUAL) if n in ours or n.startswith(("np.", "torch."))]
    names = [name for name in (*arguments, *stored) if name != "self"]
    return Scope(*(tuple(dict.fromkeys(each)) for each in (names, own, safe, arguments)))


def loads(node: Node) -> bool:
    """Whether an expression is read, not assigned to."""
    return isinstance(getattr(node, "ctx", LOAD), ast.Load)


def is_own(node: Node) -> bool:
    """Whether a node is an attribute of self."""
    return isinstance(node, ast.Attribute) and _is_name(node.value, "self")


def is_dotted(node: Node) -> bool:
    """Whether a node is a name, or an attribute of one."""
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_name(node.value))


def _is_name(node: Node, name: str = "") -> bool:
    return isinstance(node, ast.Name) and name in ("", node.id)


def is_range(node: ast.Call) -> bool:
    """Whether a call makes a range of numbers."""
    return _is_name(node.func, "range") and bool(node.args)


def expression(text: str) -> ast.expr:
    """Return the tree of an expression."""
    return ast.parse(text, mode="eval").body


def statements(node: Node, scope: Scope) -> Iterator[Change]:
    """`=` for `+=` and the like, another variable returned."""
    places = (ast.Name, ast.Attribute, ast.Subscript)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], places):
        for op, word in ((ast.Add(), "added to it"), (ast.Sub(), "subtracted from it")):
            yield Change(ast.AugAssign(node.targets[0], op, node.value), "= for +=", word)
        value, name = node.value, ast.unparse(node.targets[0])
        if isinstance(value, ast.BinOp) and ast.unparse(value.left) == name:
            yield Change(ast.AugAssign(node.targets[0], value.op, value.right), "new array")
    if isinstance(node, ast.AugAssign):
        target = expression(ast.unparse(node.target))
        sum_of_both = ast.BinOp(target, node.op, node.value)
        yield Change(ast.Assign([node.target], sum_of_both), "in place")
        yield Change(ast.Assign([node.target], node.value), "+= for =")
        for other in (ast.Add, ast.Sub, ast.Mult, ast.Div):
            if not isinstance(node.op, other):
                yield Change(ast.AugAssign(node.target, other(), node.value), "assignment")
    if isinstance(node, ast.Return) and node.value is not None:
        for name in scope.names:
            yield Change(ast.Return(ast.Name(name, LOAD)), "returned")


def selves(node: Node, scope: Scope) -> Iterator[Change]:
    """`self.` in front of what has no value of its own here, or gets one that has to be kept."""
    own = scope.names if loads(node) else scope.arguments
    if isinstance(node, ast.Name) and node.id in scope.attributes and node.id not in own:
        yield Change(ast.Attribute(ast.Name("self", LOAD), node.id, node.ctx), "self missing")


def near_names(node: Node, scope: Scope) -> Iterator[Change]:
    """A variable that is called nearly the same, as b1 and b2 are, or b1 and b1_grad."""
    if loads(node) and (isinstance(node, ast.Name) or is_own(node)):
        name = ast.unparse(node)
        for other in (*scope.names, *(f"self.{n}" for n in scope.attributes)):
            if _is_near(name, other):
                yield Change(expression(other), "name")


def _is_near(name: str, other: str) -> bool:
    short, long = sorted((name, other), key=len)
    if len(short) < len(long):
        return long.startswith(short)
    return len(name) > 1 and sum(a != b for a, b in zip(name, other, strict=True)) == 1


def names(node: Node, scope: Scope) -> Iterator[Change]:
    """Another variable, another attribute."""
    if loads(node) and (isinstance(node, ast.Name) or is_own(node)):
        for other in scope.variables:
            yield Change(other, "name")
    elif isinstance(node, (ast.BinOp, ast.Call)):
        for other in scope.variables:
            yield Change(other, "expression")
    elif is_own(node):
        for name in scope.attributes:
            yield Change(ast.Attribute(ast.Name("self", LOAD), name, ast.Store()), "name")


def transposes(node: Node, scope: Scope) -> Iterator[Change]:
    """A transpose more or less, and products whose sides stand the other way round."""
    if not (product := _product(node)):
        return
    left, right = product
    for one, two in ((True, False), (False, True), (True, True)):
        sides = [f"`{ast.unparse(side)}`" for side, turn in ((left, one), (right, two)) if turn]
        detail = f"{' and '.join(sides)} {'stand' if one and two else 'stands'}"
        new = _join(node, _turned(left, one), _turned(right, two))
        yield Change(new, "transpose", detail)
    for one, two in ((False, False), (True, False), (False, True), (True, True)):
        new = _join(node, _turned(right, one), _turned(left, two))
        yield Change(new, "order of the product")


def reshapes(node: Node, scope: Scope) -> Iterator[Change]:
    """A transpose for a `reshape`, before it or after it."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
        return
    if node.func.attr != "reshape":
        return
    given = [node.func.value, *node.args]
    array, *sizes = given[1:] if ast.unparse(given[0]) == "np" else given
    if len(sizes) == 1 and isinstance(sizes[0], ast.Tuple):
        sizes = sizes[0].elts
    for before, after in ((True, False), (False, True)):
        reshape = ast.Attribute(_turned(array, before), "reshape", LOAD)
        call = ast.Call(reshape, sizes[::-1] if after else sizes, [])
        yield Change(_turned(call, after), "reshaped")
    yield Change(_turned(array, True), "reshaped")


def _product(node: Node) -> tuple[ast.expr, ast.expr] | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return node.left, node.right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("dot", "matmul", "outer") and len(node.args) == 2:
            return node.args[0], node.args[1]
        if node.func.attr == "dot" and len(node.args) == 1:
            return node.func.value, node.args[0]
    return None


def _join(node: Node, left: ast.expr, right: ast.expr) -> ast.expr:
    if isinstance(node, ast.Call) and len(node.args) == 2:
        return ast.Call(node.func, [left, right], node.keywords)
    return ast.BinOp(left, ast.MatMult(), right)


def _turned(node: ast.expr, turn: bool) -> ast.expr:
    if not turn:
        return node
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.Attribute(node, "T", LOAD)


def constants(node: Node, scope: Scope) -> Iterator[Change]:
    """Other numbers and truth values, a variable for a fixed number or text."""
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool):
        yield Change(ast.Constant(not value), "opposite")
        return
    if isinstance(value, (int, float)):
        for other in _other_numbers(value):
            yield Change(ast.Constant(other), "number")
        yield Change(expression("np.e"), "number")


def fixed(node: Node, scope: Scope) -> Iterator[Change]:
    """A variable for a fixed number or text."""
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        for name in scope.names:
            what = "fixed number" if isinstance(value, int) else "fixed text"
            yield Change(ast.Name(name, LOAD), what)


def _other_numbers(value: float) -> list[float]:
    if isinstance(value, int):
        others: list[float] = [value + 1, value - 1, -value, 0, 1, -1, 2, 10, 100]
    else:
        around = (value * 10, value / 10, 2 * value, value / 2, value**2, abs(value) ** 0.5)
        others = [*(float(f"{number:.6g}") for number in around), 1.0]
    return [other for other in dict.fromkeys(others) if other != value]


def keywords(node: Node, scope: Scope) -> Iterator[Change]:
    """An argument more or less, or in another order."""
    if not isinstance(node, ast.Call):
        return
    for number, keyword in enumerate(node.keywords):
        left = node.keywords[:number] + node.keywords[number + 1 :]
        yield Change(ast.Call(node.func, node.args, left), "argument", ast.unparse(keyword))
    for number, argument in enumerate(node.args):
        rest = node.args[:number] + node.args[number + 1 :]
        yield Change(ast.Call(node.func, rest, node.keywords), "argument", ast.unparse(argument))


def exchanged(node: Node, scope: Scope) -> Iterator[Change]:
    """Two parts of a tuple, two arguments, or two loops of a list, in each other's places."""
    if isinstance(node, ast.Tuple):
        for parts in _exchanged(node.elts):
            yield Change(ast.Tuple(parts, node.ctx), "order of parts")
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        for loops in _exchanged(node.generators):
            yield Change(type(node)(node.elt, loops), "order of loops")
    if isinstance(node, ast.Call):
        first = 1 if ast.unparse(node.func) == "np.where" else 0  # a condition stays one
        for args in _exchanged(node.args[first:]):
            args = [*node.args[:first], *args]
            yield Change(ast.Call(node.func, args, node.keywords), "order of arguments")


def _exchanged(nodes: list[Part]) -> Iterator[list[Part]]:
    for second, first in ((n, m) for n in range(len(nodes)) for m in range(n)):
        swapped = list(nodes)
        swapped[first], swapped[second] = nodes[second], nodes[first]
        yield swapped


def more_arguments(node: Node, scope: Scope) -> Iterator[Change]:
    """A variable more in a call."""
    if isinstance(node, ast.Call) and len(node.args) < 3:
        for name in scope.names:
            more = [*node.args, ast.Name(name, LOAD)]
            yield Change(ast.Call(node.func, more, node.keywords), "argument missing")


def axes(node: Node, scope: Scope) -> Iterator[Change]:
    """Another axis, with or without `keepdims`."""
    if not isinstance(node, ast.Call):
        return
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    given = {k.arg: k for k in node.keywords if k.arg in ("axis", "dim", "keepdims")}
    axis = given.get("axis", given.get("dim"))
    along = ("sum", "mean", "max", "min", "argmax", "argmin", "prod", "softmax")
    if not axis and method not in along:
        return
    rest = [k for k in node.keywords if k.arg not in given]
    word = axis.arg if axis else "dim" if method == "softmax" else "axis"
    for value in (-1, 0, 1, None):
        for kept in (False, True):
            new = [] if value is None else [ast.keyword(word, ast.Constant(value))]
            new += [ast.keyword("keepdims", ast.Constant(True))] if kept else []
            said = (f"{word}={value}" if value is not None else "", kept)
            claim = _axis_claim(ast.unparse(axis) if axis else "", "keepdims" in given, *said)
            yield Change(ast.Call(node.func, node.args, rest + new), *claim)


def _axis_claim(said: str, keeps: bool, wanted: str, kept: bool) -> tuple[str, str]:
    if said == wanted:
        missing = "`keepdims=True` is missing" if kept and not keeps else "`keepdims` is too much"
        return "keepdims", missing
    also = "`keepdims=True` is missing and " if kept and not keeps else ""
    if not said:
        return "axis", f"{also}no axis is named, so all numbers are taken together,"
    return "axis", f"{also}`{said}` is {'the wrong axis' if wanted else 'too much'}"


OTHERS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult, ast.MatMult), ast.Sub: (ast.Add, ast.Mult, ast.Div),
    ast.Mult: (ast.MatMult, ast.Div, ast.Add, ast.Sub), ast.Div: (ast.Mult, ast.Sub),
    ast.MatMult: (ast.Mult,), ast.FloorDiv: (ast.Div, ast.Mod), ast.Mod: (ast.FloorDiv, ast.Div),
    ast.Pow: (ast.Mult,), ast.BitXor: (ast.Pow,),
}  # fmt: skip
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
ONE_WAY = (ast.Sub, ast.Div, ast.Pow, ast.Mod, ast.FloorDiv)


def signs(node: Node, scope: Scope) -> Iterator[Change]:
    """A minus that is missing where one can be forgotten."""
    if isinstance(node, ast.BinOp):
        for left, right in ((_minus(node.left), node.right), (node.left, _minus(node.right))):
            yield Change(ast.BinOp(left, node.op, right), "sign")
    if (
        isinstance(node, ast.Call) and node.args and not isinstance(node.args[0], ast.Constant)
        and not ast.unparse(node.func).endswith(("sqrt", "log", "abs", "norm"))
    ):  # fmt: skip
        args = [_minus(node.args[0]), *node.args[1:]]
        yield Change(ast.Call(node.func, args, node.keywords), "sign")
    if isinstance(node, ast.Return) and node.value is not None:
        yield Change(ast.Return(_minus(node.value)), "sign")


def operators(node: Node, scope: Scope) -> Iterator[Change]:
    """Other arithmetic, other comparisons, a minus too much."""
    if isinstance(node, ast.UnaryOp):
        yield Change(node.operand, "sign")
    if isinstance(node, ast.BinOp):
        for other in OTHERS.get(type(node.op), ()):
            if other in (ast.Mult, ast.Div) and ast.unparse(node.right) == "1":
                continue  # that would only take the 1 away
            key = "sign" if {ast.Add, ast.Sub} == {type(node.op), other} else "operator"
            yield Change(ast.BinOp(node.left, other(), node.right), key)
        if isinstance(node.op, ONE_WAY):
            yield Change(ast.BinOp(node.right, node.op, node.left), "sides")
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for op in COMPARISONS:
            if not isinstance(node.ops[0], op):
                yield Change(ast.Compare(node.left, [op()], node.comparators), "comparison")
    if isinstance(node, ast.BoolOp) and len(node.values) == 2:
        yield Change(ast.Compare(node.values[0], [ast.Eq()], [node.values[1]]), "comparison")


def powers(node: Node, scope: Scope) -> Iterator[Change]:
    """A power written as a product or as in mathematics; a larger one would fill the memory."""
    if not isinstance(node, ast.BinOp):
        return
    if isinstance(node.op, ast.Mult) and ast.unparse(node.right) == "2":
        yield Change(ast.BinOp(node.left, ast.Pow(), node.right), "operator")
    if isinstance(node.op, ast.BitXor) and isinstance(node.left, ast.BinOp):
        power = ast.BinOp(node.left.right, ast.Pow(), node.right)  # which binds more tightly
        yield Change(ast.BinOp(node.left.left, node.left.op, power), "operator")


def _minus(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), node)


def parentheses(node: Node, scope: Scope) -> Iterator[Change]:
    """The same steps in another order."""
    if isinstance(node, ast.BinOp) and isinstance(node.left, ast.Call) and node.left.args:
        call, inside = node.left, ast.BinOp(node.left.args[0], node.op, node.right)
        outer = ast.Call(call.func, [inside, *call.args[1:]], call.keywords)
        yield Change(outer, "parentheses")
    if isinstance(node, ast.BinOp) and isinstance(node.left, ast.BinOp):
        inner = ast.BinOp(node.left.right, node.op, node.right)
        yield Change(ast.BinOp(node.left.left, node.left.op, inner), "parentheses")
    if isinstance(node, ast.BinOp) and isinstance(node.right, ast.BinOp):
        inner = ast.BinOp(node.left, node.op, node.right.left)
        yield Change(ast.BinOp(inner, node.right.op, node.right.right), "parentheses")
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.BinOp):
        first = node.args[0]
        left, right = (
            ast.Call(node.func, [side, *node.args[1:]], node.keywords)
            for side in (first.left, first.right)
        )
        yield Change(ast.BinOp(left, first.op, first.right), "parentheses")
        yield Change(ast.BinOp(first.left, first.op, right), "parentheses")


def too_much(node: Node, scope: Scope) -> Iterator[Change]:
    """One side of an operation left out, a call left out, an index left out."""
    if isinstance(node, ast.BinOp):
        left, sign, right = _sides_and_sign(node)
        yield Change(node.left, "too much", f"{sign} {right}")
        yield Change(node.right, "too much", f"{left} {sign}")
        yield from _shorter(node)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and not _is_name(node.func.value, "np"):
            yield Change(node.func.value, "too much", f".{node.func.attr}(…)")
        if node.args:
            yield Change(node.args[0], "too much", ast.unparse(node.func))
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield Change(node.value, "too much", ".T")
    if isinstance(node, ast.Subscript) and loads(node):
        yield Change(node.value, "too much", f"[{ast.unparse(node.slice)}]")
    if isinstance(node, ast.IfExp):
        yield Change(node.body, "condition")
        yield Change(node.orelse, "condition")


def _sides_and_sign(node: ast.BinOp) -> tuple[str, str, str]:
    """Return the two sides of an operation as they are written there, and what is between them."""
    gap = ast.Name("_")
    start = ast.unparse(ast.BinOp(node.left, node.op, gap))[:-1]
    end = ast.unparse(ast.BinOp(gap, node.op, node.right))[1:]
    sign = ast.unparse(ast.BinOp(gap, node.op, gap))[1:-1]
    return start.removesuffix(sign), sign.strip(), end.removeprefix(sign)


def _shorter(node: ast.BinOp) -> Iterator[Change]:
    """Leave out more than the last of several factors or terms."""
    start, code = node.left, ast.unparse(node)
    while isinstance(start, ast.BinOp):
        start = start.left
        if code.startswith(text := ast.unparse(start)):
            yield Change(start, "too much", code.removeprefix(text).strip())


def slices(node: Node, scope: Scope) -> Iterator[Change]:
    """Slices and ranges that begin or end elsewhere."""
    if isinstance(node, ast.Slice):
        for end in _ends(node.lower, scope):
            yield Change(ast.Slice(end, node.upper, node.step), "ends of a slice")
        for end in _ends(node.upper, scope):
            yield Change(ast.Slice(node.lower, end, node.step), "ends of a slice")
        yield from _moved_windows(node, scope)
    if isinstance(node, ast.Call) and is_range(node):
        for number, argument in enumerate(node.args):
            for end in _ends(argument, scope):
                if end is not None:
                    args = [*node.args[:number], end, *node.args[number + 1 :]]
                    yield Change(ast.Call(node.func, args, []), "ends of a range")


def _moved_windows(node: ast.Slice, scope: Scope) -> Iterator[Change]:
    """The same window, `i:i + k`, but beginning at a multiple of `i`."""
    start, end = node.lower, node.upper
    if not (isinstance(start, ast.Name) and isinstance(end, ast.BinOp)):
        return
    if isinstance(end.left, ast.Name) and end.left.id == start.id:
        for name in scope.names:
            first = ast.BinOp(start, ast.Mult(), ast.Name(name, LOAD))
            last = ast.BinOp(first, end.op, end.right)
            yield Change(ast.Slice(first, last, node.step), "ends of a slice")


def _ends(node: ast.expr | None, scope: Scope) -> Iterator[ast.expr | None]:
    if node is None:
        return
    yield None
    for step in (ast.Constant(1), *(ast.Name(name, LOAD) for name in scope.names)):
        yield ast.BinOp(node, ast.Add(), step)
        yield ast.BinOp(node, ast.Sub(), step)
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right)


def functions(node: Node, scope: Scope) -> Iterator[Change]:
    """Another function or method in the place of one."""
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    for other in dict.fromkeys(other for kind in KINDS if name in kind for other in kind):
        if isinstance(node.func, ast.Attribute):
            new: ast.expr = ast.Attribute(node.func.value, other, LOAD)
        else:
            new = ast.Name(other, LOAD)
        if other != name:
            yield Change(ast.Call(new, node.args, node.keywords), "function", name)


def missing(node: Node, scope: Scope) -> Iterator[Change]:
    """A call, a factor or a term that is not there."""
    kinds = (ast.Name, ast.Attribute, ast.Call, ast.BinOp, ast.Subscript, ast.UnaryOp)
    if not isinstance(node, kinds) or not loads(node):
        return
    for function in scope.functions:
        yield Change(ast.Call(expression(function), [node], []), "step missing")
    for method in METHODS:
        call = expression(f"_.{method}")
        attribute = call.func if isinstance(call, ast.Call) else call
        assert isinstance(attribute, ast.Attribute)
        attribute.value = node
        yield Change(call, "step missing")
    yield from _more(node, scope)


def _more(node: ast.expr, scope: Scope) -> Iterator[Change]:
    numbers = [ast.Constant(number) for number in (100, 0.1, 1, 2)]
    yield Change(ast.BinOp(ast.Constant(1), ast.Sub(), node), "term missing")
    for factor in (*scope.variables, *numbers):
        rest = ast.BinOp(ast.Constant(1), ast.Sub(), factor)
        if getattr(factor, "value", 0) != 1:  # which could only change the type of the numbers
            yield Change(ast.BinOp(node, ast.Mult(), factor), "factor missing")
            yield Change(ast.BinOp(node, ast.Div(), factor), "division missing")
        yield Change(ast.BinOp(node, ast.Mult(), rest), "factor missing")
        yield Change(ast.BinOp(node, ast.Add(), factor), "term missing")
        yield Change(ast.BinOp(node, ast.Sub(), factor), "term missing")
        yield Change(ast.BinOp(factor, ast.Sub(), node), "term missing")
    for name in scope.names:
        length = ast.Call(ast.Name("len", LOAD), [ast.Name(name, LOAD)], [])
        yield Change(ast.BinOp(node, ast.Div(), length), "division missing")
        yield Change(ast.Subscript(node, ast.Name(name, LOAD), LOAD), "index missing")


Operator = Callable[[Node, Scope], Iterator[Change]]
OPERATORS: tuple[Operator, ...] = (
    statements, selves, axes, slices, too_much, fixed, operators, powers, signs,
    parentheses, reshapes, transposes, functions, exchanged, constants, keywords, near_names,
)  # fmt: skip
LATER: tuple[Operator, ...] = (names, more_arguments, missing)  # very large groups


Site = tuple[Node, str, int | None]


def at_site(site: Site) -> Node:
    """Return the node that stands at a site."""
    held = getattr(site[0], site[1])
    node: Node = held if site[2] is None else held[site[2]]
    return node


def put(site: Site, new: Node) -> None:
    """Let another node stand at a site; in an f-string, what is no text goes into braces."""
    if isinstance(site[0], ast.JoinedStr) and not isinstance(
        new, (ast.Constant, ast.FormattedValue)
    ):
        new = ast.copy_location(ast.FormattedValue(new, -1), new)  # type: ignore[arg-type]
    if site[2] is None:
        setattr(site[0], site[1], new)
    else:
        getattr(site[0], site[1])[site[2]] = new


def sites(node: Node) -> Iterator[Site]:
    """Yield every place of a tree that holds a node: parent, field, and number in a list."""
    for field, value in ast.iter_fields(node):
        if field in ("decorator_list", "returns", "annotation", "type_comment"):
            continue
        for number, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield node, field, number
                yield from sites(child)
