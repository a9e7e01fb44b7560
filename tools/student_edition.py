"""Write the student edition: the project with its solutions cut out.

python -m tools.student_edition        build/student/ and build/student.zip

What stands between ### BEGIN SOLUTION and ### END SOLUTION becomes a NotImplementedError that names
the exercise, or in a notebook's text a place for the answer. What stands between ### BEGIN HIDDEN
TESTS and ### END HIDDEN TESTS goes without a trace. The markers are those of nbgrader.
"""

import ast
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent

import nbformat
from nbconvert.preprocessors import ClearMetadataPreprocessor, ClearOutputPreprocessor

from checks.exercises import Task, load_tasks
from grading.answers import ANSWER
from helpers.notebook import YOURS_TO_WRITE
from machine.files import atomic_write

ROOT = Path(__file__).parent.parent
FOLDER = "digits-by-hand"  # in the zip

# All that students get, besides pages of their own. What is not on this list stays here.
SHIPPED = (
    ".devcontainer/*.json",
    ".gitignore",
    "LICENSE",
    "Makefile",
    "checks/*.py",
    "checks/*.toml",
    "environment.yml",
    "helpers/*.json",
    "helpers/*.py",
    "light.txt",
    "machine/*.py",
    "notebooks/*.ipynb",
    "playground/*.json",
    "playground/*.py",
    "playground/page/*",
    "plotting/*.py",
    "pyproject.toml",
    "requirements.txt",
    "tools/__init__.py",
    "tools/digest.py",
    "tools/execute_notebooks.py",
    "tools/hand_in.py",
    "tools/page.css",
    "tools/page.py",
)
PAGES = "tools/STUDENT_"  # STUDENT_README.md is their README.md, and so on

MARKER = re.compile(r"### (BEGIN|END) (SOLUTION|HIDDEN TESTS)\b")

Files = dict[str, bytes]
Places = dict[tuple[str, str], str]  # where an exercise is explained, by its file and function


class MarkerError(ValueError):
    """A marker stands where it cannot be obeyed."""


def student_edition(root: Path = ROOT) -> Files:
    """Return the content of every file of the edition by its path, made from the project at `root`.

    Raises MarkerError, which names the file and the line, for markers without their partner, in
    one another, outside of functions, or in the code of a notebook.
    """
    places = {
        (f"helpers/{task.module}.py", function): _place(task)
        for task in reversed(load_tasks(root / "checks" / "exercises.toml"))  # the first one counts
        for function in task.writes
    }
    own = Path(PAGES).name
    files = {path.name.removeprefix(own): path.read_bytes() for path in root.glob(f"{PAGES}*.md")}
    for path in (path for pattern in SHIPPED for path in root.glob(pattern)):
        name, text = path.relative_to(root).as_posix(), path.read_bytes().decode()
        if path.suffix == ".ipynb":
            text = _student_notebook(text, name)
        elif path.suffix == ".py":
            text = _student_module(text, name, places)
        else:
            text = replace_regions(text, name, lambda *_: "")
        files[name] = text.encode()
    return dict(sorted(files.items()))


def _place(task: Task) -> str:
    """Return where an exercise is explained, the notebook first."""
    section, _, notebook = task.section.partition(" of ")
    return f"{notebook or 'notebook 1'}, {section}"


def _student_module(text: str, name: str, places: Places) -> str:
    tree = ast.parse(text)

    def stub(region: str, kind: str, line: int) -> str:
        if kind != "SOLUTION":
            return ""
        function = _function_at(line, tree)
        if not function:
            raise MarkerError(f"{name}, line {line}: a solution outside of functions.")
        if (name, function) not in places:
            raise MarkerError(f"{name}, line {line}: {function} is written in no exercise.")
        return indent(_stub(function, places[name, function], name), region.partition("#")[0])

    text = replace_regions(text, name, stub)
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise MarkerError(
            f"{name}: without its solutions it is no valid Python ({error}); a region must hold "
            "whole statements."
        ) from error
    return text


def _function_at(line: int, tree: ast.Module) -> str:
    """Return the name of the function around a line, after those of its classes; or ""."""
    return ".".join(
        node.name
        for node in ast.walk(tree)  # outer ones first
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and node.lineno < line <= (node.end_lineno or 0)
    )


def _stub(function: str, place: str, file: str) -> str:
    """Return the statement that stands in a function until its exercise is done."""
    message = (
        f"Exercise {function} {YOURS_TO_WRITE}.\n",
        f"It is explained in {place}.\n",
        f"Put your code in {file}, save it, and run this again.",
    )
    lines = ["raise NotImplementedError(", *(f"    {line!r}" for line in message), ")"]
    return "\n".join(lines) + "\n"


def _student_notebook(text: str, name: str) -> str:
    notebook = nbformat.reads(text, as_version=4)
    for number, cell in enumerate(notebook.cells, start=1):
        where = f"{name}, cell {number}"
        if cell.cell_type == "markdown":
            cell.source = replace_regions(cell.source, where, lambda *_: ANSWER)
        elif MARKER.search(cell.source):
            raise MarkerError(f"{where}: a marker in code; solutions belong in helpers/.")
    keep = {"preserve_nb_metadata_mask": {"kernelspec", "language_info"}}
    for clear in (ClearOutputPreprocessor(), ClearMetadataPreprocessor(**keep)):
        notebook, _ = clear.preprocess(notebook, {})
    return nbformat.writes(notebook) + "\n"


def replace_regions(text: str, name: str, stub: Callable[[str, str, int], str]) -> str:
    """Return `text` with `stub(region, kind, line)` in place of each marked region.

    Regions are whole lines and include their markers. `kind` is "SOLUTION" or "HIDDEN TESTS",
    `line` the number of the first line. Raises MarkerError for markers that are not in pairs.
    """
    kept, region, opened, first = "", "", None, 0
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        marker = MARKER.search(line)
        if marker and marker.groups() != (("END", opened) if opened else ("BEGIN", marker[2])):
            raise MarkerError(f"{name}, line {number}: {marker[0]} where none can be.")
        if marker and not opened:
            opened, first = marker[2], number
        if opened:
            region += line
        else:
            kept += line
        if marker and marker[1] == "END":
            kept, region, opened = kept + stub(region, marker[2], first), "", None
    if opened:
        raise MarkerError(f"{name}, line {first}: ### BEGIN {opened} has no end.")
    return kept


def write_edition(files: Files, target: Path) -> None:
    """Write `files` to the folder `target`, which is replaced as a whole, and to `target`.zip."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        for name, content in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(content)
        if target.exists():
            target.rename(old)
        new.rename(target)
    with atomic_write(target.with_suffix(".zip")) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            # The same date always, so that the same edition is the same file.
            entry = zipfile.ZipInfo(f"{FOLDER}/{name}")
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)


def main() -> None:
    files = student_edition()
    write_edition(files, ROOT / "build" / "student")
    print(f"wrote {len(files)} files to build/student/ and build/student.zip")


if __name__ == "__main__":
    main()
