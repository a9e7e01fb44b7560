"""What a committed notebook must be, over and above what nbval compares."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat

from tests.notebooks.sanitizers import sanitizer
from tools.digest import code_digest

# nbval passes a cell with one of these without looking, so every use needs a reason, given here as
# {(notebook, marker): reason}.
ALLOWED_MARKERS: dict[tuple[str, str], str] = {}

MARKER = re.compile(
    r"nbval[-_][-\w]+|raises[-_]exception|PYTEST_VALIDATE_IGNORE_OUTPUT", re.IGNORECASE
)
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/])/(home|root|Users|tmp|usr|var|opt|mnt|work|content|private)/\w|\b[A-Z]:\\\w"
)
MAX_LINES = 25


sanitize = sanitizer()


def notebook_faults(path: Path) -> list[str]:
    """Return everything that is wrong with the notebook at `path`, each in one sentence."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    faults = []
    if notebook.metadata.get("code_digest") != code_digest(notebook):
        faults.append("its code is not what `make notebooks` executed; execute it again")
    for number, cell in enumerate(cells, start=1):
        faults += [f"code cell {number} {fault}" for fault in _cell_faults(path, number, cell)]
    return faults


def _cell_faults(path: Path, number: int, cell: nbformat.NotebookNode) -> Iterator[str]:
    if cell.execution_count is None:
        yield "was never run: nbval would pass it whatever it prints"
    elif cell.execution_count != number:
        yield f"has execution count {cell.execution_count}: the notebook was not run from the top"
    if len(cell.source.splitlines()) > MAX_LINES:
        yield f"has more than {MAX_LINES} lines"
    for marker in MARKER.findall(f"{cell.source}\n{cell.metadata.get('tags', [])}"):
        if (path.name, marker.lower()) not in ALLOWED_MARKERS:
            yield f"has the marker {marker}, which is not on the allowed list"
    for output in cell.outputs:
        yield from _output_faults(output)
        for line in output.get("text", "").splitlines():
            if words := words_overlooked(line, sanitize):
                yield f"prints {line!r}, of which the sanitizers hide {', '.join(words)}"


def _output_faults(output: nbformat.NotebookNode) -> Iterator[str]:
    if output.output_type == "error":
        yield f"holds an error: {output.ename}"
    if output.get("name") == "stderr":
        yield f"holds stderr: {output.text[:60]!r}"
    data = output.get("data", {})
    texts = [output.get("text", ""), *(v for k, v in data.items() if not k.startswith("image/p"))]
    for found in ABSOLUTE_PATH.finditer("\n".join(map(str, texts))):
        yield f"prints an absolute path: {found.group()}…"
    if "image/png" in data and not output.metadata.get("image/png", {}).get("alt"):
        yield "shows a picture without alt text"


def words_overlooked(line: str, sanitize: Callable[[str], str]) -> list[str]:
    """Return the words of a printed line that could be others without nbval seeing it."""
    seen = sanitize(line)
    return [
        word.group()
        for word in re.finditer(r"[^\W\d_]{2,}", line)
        if sanitize(f"{line[: word.start()]}zzz{line[word.end() :]}") == seen
    ]
