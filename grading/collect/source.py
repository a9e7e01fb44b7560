"""The text of each function that a student wrote, to be shown beside what was found wrong."""

import ast
from collections.abc import Iterator, Mapping

from checks.exercises import load_tasks

MAX_LINES = 120
MAX_LENGTH = 8000


def functions_of(modules: Mapping[str, bytes]) -> dict[str, tuple[int, str]]:
    """Return first line and text of the functions to be written, as "mlp.MLP.forward".

    A module that Python cannot read has none. This runs where a crash harms nobody.
    """
    wanted = {f"{task.module}.{name}" for task in load_tasks() for name in task.writes}
    found = {}
    for file, content in modules.items():
        for name, function in _functions(content, f"{file.removesuffix('.py')}."):
            if name in wanted:  # of two that are called so, the later one counts
                text = "\n".join(_lines(content)[function.lineno - 1 : function.end_lineno])
                short = "\n".join(text[:MAX_LENGTH].splitlines()[:MAX_LINES])
                found[name] = (function.lineno, short)
    return found


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8-sig", "replace").replace("\r\n", "\n").split("\n")


def _functions(content: bytes, prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            inner = (each for each in node.body if isinstance(each, ast.FunctionDef))
            yield from ((f"{prefix}{node.name}.{each.name}", each) for each in inner)
