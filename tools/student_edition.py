"""Write the student edition: the project with its solutions cut out.

python -m tools.student_edition        build/student/ and build/student.zip

What stands between ### BEGIN SOLUTION and ### END SOLUTION becomes a NotImplementedError that names
the exercise, or in a notebook's text a place for the answer. What stands between ### BEGIN HIDDEN
TESTS and ### END HIDDEN TESTS goes without a trace. The markers are those of nbgrader.
"""

import ast
import re
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
from nbconvert.preprocessors import ClearMetadataPreprocessor, ClearOutputPreprocessor

from grading.answers import ANSWER
from helpers.files import atomic_write
from helpers.notebook import YOURS_TO_WRITE

ROOT = Path(__file__).parent.parent
FOLDER = "digits-by-hand"  # in the zip

# All that students get, besides pages of their own. What is not on this list stays here.
SHIPPED = (
    ".gitignore",
    "LICENSE",
    "Makefile",
    "checks/*.py",
    "checks/*.toml",
    "environment.yml",
    "helpers/*.json",
    "helpers/*.py",
    "notebooks/*.ipynb",
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
HEADING = re.compile(r"(##|###) (?:(\d+) )?([^:]*)")

Files = dict[str, bytes]
Sections = dict[str, str]


class MarkerError(ValueError):
    """A marker stands where it cannot be obeyed."""


def student_edition(root: Path = ROOT) -> Files:
    """Return the content of every file of the edition by its path, made from the project at `root`.

    Raises MarkerError, which names the file and the line, for markers without their partner, in
    one another, outside of functions, or in the code of a notebook.
    """
    sections = sections_of_exercises(sorted((root / "notebooks").glob("*.ipynb")))
    paths = sorted({path for pattern in SHIPPED for path in root.glob(pattern)})
    files = {
        path.relative_to(root).as_posix(): _student_file(path, root, sections) for path in paths
    }
    pages = {path.name: path for path in root.glob(f"{PAGES}*.md")}
    own = {name.removeprefix(Path(PAGES).name): path.read_bytes() for name, path in pages.items()}
    return dict(sorted({**files, **own}.items()))


def _student_file(path: Path, root: Path, sections: Sections) -> bytes:
    name = path.relative_to(root).as_posix()
    text = path.read_bytes().decode()
    if path.suffix == ".ipynb":
        return _student_notebook(text, name).encode()
    if path.suffix == ".py":
        text = _student_module(text, name, sections)
    else:
        text = replace_regions(text, name, lambda *_: "")
    return text.encode()


def _student_module(text: str, name: str, sections: Sections) -> str:
    functions = list(_functions(ast.parse(text)))
    module = name.removesuffix(".py").replace("/", ".")

    def stub(region: str, kind: str, line: int) -> str:
        if kind != "SOLUTION":
            return ""
        inner = [title for title, first, last in functions if first < line < last]
        if not inner:
            raise MarkerError(f"{name}, line {line}: a solution outside of functions.")
        function = f"{module}.{inner[-1]}"
        section = sections.get(function, sections.get(function.rpartition(".")[0]))
        if section is None:
            raise MarkerError(f"{name}, line {line}: no notebook shows the source of {inner[-1]}.")
        indent = region[: len(region) - len(region.lstrip())]
        return _raise(inner[-1], section, name, indent)

    text = replace_regions(text, name, stub)
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise MarkerError(
            f"{name}: without its solutions it is no valid Python ({error}); a region must hold "
            "whole statements."
        ) from error
    return text


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, int, int]]:
    """Yield name, first and last line of each function, outer ones first."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if isinstance(node, ast.FunctionDef):
                yield f"{prefix}{node.name}", node.lineno, node.end_lineno or node.lineno
            yield from _functions(node, f"{prefix}{node.name}.")


def _raise(function: str, section: str, file: str, indent: str) -> str:
    """Return the statement that stands in a function until its exercise is done."""
    message = (
        f"Exercise {function} {YOURS_TO_WRITE}.\n",
        f"It is explained in {section}.\n",
        f"Put your code in {file}, save it, and run this again.",
    )
    lines = ["raise NotImplementedError(", *(f"    {line!r}" for line in message), ")"]
    return "".join(f"{indent}{line}\n" for line in lines)


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


def sections_of_exercises(notebooks: list[Path]) -> Sections:
    """Return the section in which the notebooks show the source code of a function or class.

    "helpers.mlp.MLP.forward" gives "notebook 1, section 1". The first place counts.
    """
    sections: Sections = {}
    for path in notebooks:
        section, origins = "", dict[str, str]()
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                section = _last_heading(cell.source, section)
                continue
            for name, origin in _shown(cell.source, origins):
                sections.setdefault(f"{origin}.{name}", f"notebook {path.name[0]}, {section}")
    return sections


def _shown(code: str, origins: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what `code` shows, each with its module; `origins` learns what it imports."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            origins |= {alias.name: node.module or "" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "show_source":
            for name in map(ast.unparse, node.args):
                yield name, origins.get(name.partition(".")[0], "")


def _last_heading(text: str, section: str) -> str:
    """Return the section in which `text`, that begins in `section`, ends."""
    for level, number, title in (m.groups() for m in map(HEADING.match, text.splitlines()) if m):
        heading = f"section {number}" if number else f'"{title}"'
        section = f"{section.partition(',')[0]}, {heading}" if level == "###" else heading
    return section


def write_edition(files: Files, target: Path) -> None:
    """Write `files` to the folder `target`, which is replaced as a whole, and to `target`.zip."""
    new, old = (target.with_name(f".{target.name}.{uuid.uuid4().hex}") for _ in range(2))
    try:
        for name, content in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(content)
        if target.exists():
            target.rename(old)
        new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
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
