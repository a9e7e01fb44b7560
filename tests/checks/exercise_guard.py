"""Whether everything that belongs to an exercise is there, and nothing belongs to none.

It reads files and imports nothing, so that it can be asked about any copy of the project.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

REGION = re.compile(r"### BEGIN SOLUTION")
Task = dict[str, Any]


def exercise_faults(root: Path) -> list[str]:
    """Return what is missing or left over in the project at `root`, each in one sentence."""
    content = tomllib.loads((root / "checks" / "exercises.toml").read_text(encoding="utf-8"))
    tasks: list[Task] = content["exercise"]
    cells = [cell for path in sorted((root / "notebooks").glob("*.ipynb")) for cell in _code(path)]
    faults = [fault for task in tasks for fault in _missing(root, task, cells)]
    return faults + list(_left_over(root, tasks, cells))


def _missing(root: Path, task: Task, cells: list[str]) -> Iterator[str]:
    name, takes = task["name"], task["takes"]
    module, checks = f"helpers/{task['module']}.py", f"checks/{task['check']}.py"
    exercises = functions_with_solutions(root / module)
    for function in task.get("writes", takes):
        if function not in exercises:
            yield f"{name}: {module} has no {function} with a solution between markers."
        if not any(_shows(cell, function) for cell in cells):
            yield f"{name}: no notebook shows the source of {function}."
    if f"check_{name}" not in _functions(root / checks):
        yield f"{name}: {checks} has no check_{name}."
    call = f"check_{name}({', '.join(takes)})"
    if sum(call in cell.splitlines() for cell in cells) != 1:
        yield f"{name}: no notebook calls {call} in a line of its own, or more than one does."


def _left_over(root: Path, tasks: list[Task], cells: list[str]) -> Iterator[str]:
    listed = {
        (task["module"], name) for task in tasks for name in task.get("writes", task["takes"])
    }
    for path in sorted((root / "helpers").glob("*.py")):
        for function in functions_with_solutions(path):
            if (path.stem, function) not in listed:
                yield f"helpers/{path.name}: {function} is in no exercise of exercises.toml."
    names = {f"check_{task['name']}" for task in tasks}
    written = {name for path in (root / "checks").glob("*.py") for name in _functions(path)}
    called = {name for cell in cells for name in re.findall(r"\b(check_\w+)\(", cell)}
    for name in sorted(written | called):
        if name.startswith("check_") and name not in names:
            yield f"{name}: exercises.toml has no exercise {name.removeprefix('check_')}."


def _code(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def _shows(cell: str, function: str) -> bool:
    """Whether a cell shows a function's source, or that of the class around it."""
    shown = {
        n.strip() for call in re.findall(r"show_source\((.*?)\)", cell) for n in call.split(",")
    }
    return bool(shown & {function, function.partition(".")[0]})


def _functions(path: Path) -> dict[str, ast.FunctionDef]:
    """The functions of a module, those of classes with the name of their class."""
    if not path.exists():
        return {}
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        found |= {f"{prefix}{f.name}": f for f in inner if isinstance(f, ast.FunctionDef)}
    return found


def functions_with_solutions(path: Path) -> list[str]:
    """The functions of a module that hold a solution between markers."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [
        name
        for name, node in _functions(path).items()
        if any(REGION.search(line) for line in lines[node.lineno : node.end_lineno])
    ]
