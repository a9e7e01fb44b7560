"""The student's source text: what is in it, which functions are theirs, and it with a change."""

import ast
import inspect
import linecache
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache, cached_property
from types import CodeType, FunctionType
from typing import Any

DEFINITIONS = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign,
)  # fmt: skip


def plain_function(function: Any) -> FunctionType | None:
    """Return `function`, freed of decorators, or a method of a class; None for all else."""
    if isinstance(function, type):
        own = (value for value in vars(function).values() if isinstance(value, FunctionType))
        return next(own, None)
    return inspect.unwrap(function) if isinstance(function, FunctionType) else None


def made_anew(function: Any) -> Any:
    """Return `function` from its module made once more, so that nothing is left from earlier calls.

    Without a text of its module, it is returned as it is.
    """
    plain = plain_function(function)
    try:
        name = plain.__name__ if plain else ""
        return Source([function], [name]).made_again()[name]
    except Exception:  # the text may raise anything
        return function


def beside(function: Any, name: str, arguments: Sequence[str]) -> Any:
    """Return what the module of `function` calls `name`, if it takes these; None if not."""
    plain = plain_function(function)
    found = plain.__globals__.get(name) if plain else None
    own = plain_function(found)
    if plain is None or own is None or own.__globals__ is not plain.__globals__:
        return None
    return found if [*inspect.signature(own).parameters] == [*arguments] else None


def syntax_slip(function: Any) -> SyntaxError | None:
    """Return why Python can't read the file of `function` as it is now, None if it can."""
    plain = plain_function(function)
    try:
        ast.parse(_text(plain) if plain else "")
    except SyntaxError as error:
        error.filename = plain.__code__.co_filename if plain else None
        return error
    return None


def _text(function: FunctionType) -> str:
    return _read(function.__code__.co_filename, function.__globals__)


def _read(file: str, space: dict[str, Any] | None = None) -> str:
    linecache.checkcache(file)
    return "".join(linecache.getlines(file, space))


class Source:
    """The module of a student's functions, as text that can be changed and run again.

    `takes` are the names of those of its functions and classes that are wanted then.
    Raises ValueError if there is no text, or one that is newer than the functions.
    """

    def __init__(self, functions: Sequence[Any], takes: Sequence[str]) -> None:
        plain = [plain_function(function) for function in functions]
        if not plain or plain[0] is None or any(f is None for f in plain):
            raise ValueError("there is no function with a source text.")
        text = _text(plain[0])
        self.globals, self.file = plain[0].__globals__, plain[0].__code__.co_filename
        self.tree = ast.parse(text)
        compiled = set(_codes(compile(text, self.file, "exec")))
        if not all(f is not None and _signature(f.__code__) in compiled for f in plain):
            raise ValueError("the file was changed after it was loaded.")
        self.takes = takes
        self._rest = self._unchanged()  # now: later, a change may be in place in the tree

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """All functions and methods by name, say "MLP.forward"."""
        return dict(_functions(self.tree))

    def theirs(self, writes: Iterable[str], others: Collection[str]) -> dict[str, ast.FunctionDef]:
        """Return those functions that students write: the exercise's, and what these call.

        What comes with the course is typed in full; a helper that a student adds hardly ever is.
        The `others` are those of other exercises.
        """
        found: dict[str, ast.FunctionDef] = {}
        waiting = [name for name in writes if name in self.functions]
        while waiting:
            name = waiting.pop()
            found[name] = node = self.functions[name]
            for called in _called(node, name.rpartition(".")[0]):
                known = called in found or called in others or called not in self.functions
                if not known and not self.is_given(called):
                    waiting.append(called)
        return found

    def is_given(self, name: str) -> bool:
        """Whether a function comes with the course."""
        node = self.functions.get(name)
        return node is not None and node.returns is not None

    def run_again(self, changed: ast.FunctionDef, kept: Sequence[str] = ()) -> list[Any]:
        """Return what was taken of the module, once `changed`, a part of `tree`, is compiled anew.

        The module itself stays as it was, and so do the functions `kept`. Raises whatever running
        it raises.
        """
        space = dict(self.globals)
        exec(self._rest, space)
        space |= {name: self.globals[name] for name in kept if name in self.globals}
        top = next(node for node in self.tree.body if node is changed or _holds(node, changed))
        exec(compile(ast.Module([top], []), self.file, "exec"), space)
        return [space[name] for name in self.takes]

    def made_again(self) -> dict[str, Any]:
        """Return what the module defines, defined once more. Raises whatever that raises.

        Calls that stand alone are left out: they may train, or check, which would come back here.
        """
        space = {name: self.globals[name] for name in self.globals if name.startswith("__")}
        exec(self._definitions, space)
        return space

    @cached_property
    def _definitions(self) -> CodeType:
        nodes = [node for node in self.tree.body if isinstance(node, DEFINITIONS)]
        return compile(ast.Module([*nodes], []), self.file, "exec")

    def _unchanged(self) -> CodeType:
        """All functions, so that they call each other's changed forms, and the classes wanted."""
        nodes: list[ast.stmt] = [
            node
            for node in self.tree.body
            if isinstance(node, ast.FunctionDef)
            or (isinstance(node, ast.ClassDef) and node.name in self.takes)
        ]
        return compile(ast.Module(nodes, []), self.file, "exec")


def given_functions(file: str) -> frozenset[str]:
    """Return the functions of a file that say what they return: they come with the course."""
    return _said_to_return(_read(file))


@cache
def _said_to_return(text: str) -> frozenset[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return frozenset()
    return frozenset(name for name, node in _functions(tree) if node.returns is not None)


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in getattr(tree, "body", []):
        if isinstance(node, ast.FunctionDef):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")


def _called(node: ast.FunctionDef, of_class: str) -> Iterator[str]:
    """Yield the names of the functions and methods of its own that a function uses."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute) and of_class:
            yield f"{of_class}.{each.attr}"


def _holds(outer: ast.AST, inner: ast.AST) -> bool:
    return isinstance(outer, ast.ClassDef) and inner in outer.body


def _codes(code: CodeType) -> Iterator[tuple[Any, ...]]:
    yield _signature(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _signature(code: CodeType) -> tuple[Any, ...]:
    return code.co_name, code.co_code, code.co_firstlineno
