"""The guard must see each fault that nbval overlooks; the committed notebooks must have none."""

import re
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
    new_raw_cell,
)

from tests.notebooks.notebook_guard import notebook_faults, words_overlooked
from tests.notebooks.sanitizers import sanitizer
from tools.digest import code_digest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def faults_of(tmp_path: Path, *cells: nbformat.NotebookNode) -> str:
    path = tmp_path / "n.ipynb"
    notebook = new_notebook(cells=list(cells))
    notebook.metadata["code_digest"] = code_digest(notebook)
    nbformat.write(notebook, path)
    return "\n".join(notebook_faults(path))


def cell(source: str = "1", count: int | None = 1, outputs=(), **metadata):
    return new_code_cell(source, execution_count=count, outputs=list(outputs), metadata=metadata)


def stream(text: str, name: str = "stdout"):
    return new_output("stream", name=name, text=text)


PICTURE = {"image/png": "iVBORw0KGgo="}


def test_a_clean_record_has_no_faults(tmp_path):
    picture = new_output("display_data", data=PICTURE, metadata={"image/png": {"alt": "a digit"}})
    output = stream("12 km/h, 3/4, weights/mlp_W1.npy, https://example.org/home/x\n")
    assert faults_of(tmp_path, cell(outputs=[output]), cell(count=2, outputs=[picture])) == ""


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (cell(count=None), "never run"),
        (cell(count=2), "execution count 2"),
        (cell("\n".join("abcdefghijklmnopqrstuvwxyz")), "more than 25 lines"),
        (cell("# NBVAL_SKIP\n1"), "marker NBVAL_SKIP"),
        (cell("#NBVAL_IGNORE_OUTPUT"), "marker NBVAL_IGNORE_OUTPUT"),
        (cell(tags=["nbval-ignore-output"]), "marker nbval-ignore-output"),
        (cell(tags=["raises-exception"]), "marker raises-exception"),
        (cell(outputs=[stream("careful", "stderr")]), "holds stderr: 'careful'"),
        (cell(outputs=[new_output("error", ename="ValueError")]), "holds an error: ValueError"),
        (cell(outputs=[stream("saved to /home/ada/x.npy")]), "absolute path: /home/a"),
        (cell(outputs=[stream(r"saved to C:\Users\ada")]), r"absolute path: C:\U"),
        (cell(outputs=[new_output("display_data", data=PICTURE)]), "without alt text"),
    ],
)
def test_each_fault_is_seen(tmp_path, bad, fault):
    assert fault in faults_of(tmp_path, bad)


def moved(cells, a, b, letter):
    cells.insert(b, cells.pop(a))


def turned_to_raw(cells, a, b, letter):
    cells[a] = new_raw_cell(cells[a].source)


def turned_to_prose(cells, a, b, letter):
    cells[a] = new_markdown_cell(cells[a].source)


def edited(cells, a, b, letter):
    k = b % (len(cells[a].source) + 1)
    cells[a].source = cells[a].source[:k] + letter + cells[a].source[k:]


def said_twice(cells, a, b, letter):
    cells.insert(a, new_code_cell(cells[a].source))


def left_out(cells, a, b, letter):
    del cells[a]


CHANGES = [moved, turned_to_raw, turned_to_prose, edited, said_twice, left_out]


@given(
    path=st.sampled_from(NOTEBOOKS), change=st.sampled_from(CHANGES), a=st.integers(0, 200),
    b=st.integers(0, 200), letter=st.sampled_from("1x# ="),
)  # fmt: skip
def test_code_that_was_not_executed_as_it_stands_is_seen(
    tmp_path_factory, path, change, a, b, letter
):
    """One change to the code, with the counts renumbered as if it had been run."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    before = [cell.source for cell in code]
    change(code, a % len(code), b % len(code), letter)
    prose = [cell for cell in notebook.cells if cell.cell_type != "code"]
    notebook.cells = [*prose, *code]
    for count, cell in enumerate((c for c in code if c.cell_type == "code"), start=1):
        cell.execution_count = count
    changed = tmp_path_factory.getbasetemp() / path.name
    nbformat.write(notebook, changed)
    kept = [cell.source for cell in code] == before and all(c.cell_type == "code" for c in code)
    assert kept or "not what `make notebooks` executed" in notebook_faults(changed)[0]


LINES = [
    line
    for path in NOTEBOOKS
    for cell in nbformat.read(path, as_version=4).cells
    for output in cell.get("outputs", [])
    for line in output.get("text", "").splitlines()
    if re.search(r"[a-z]{2}", line)
]


@given(line=st.sampled_from(LINES), data=st.data())
def test_a_sanitizer_that_hides_words_is_seen(line, data):
    """A replacement that takes any words between two places of a line."""
    words = [match.span() for match in re.finditer(r"[^\W\d_]{2,}", line)]
    first, last = sorted(data.draw(st.tuples(*2 * [st.integers(0, len(words) - 1)])))
    start, end = words[first][0], words[last][1]
    wild = data.draw(st.sampled_from([r".*", r"[\w\W]+", r"[^\n]*", r".+?"]))
    pattern = re.escape(line[:start]) + wild + re.escape(line[end:]) + "$"
    hidden = words_overlooked(line, lambda text: re.sub(pattern, "HIDDEN", text))
    assert hidden == [line[a:b] for a, b in words[first : last + 1]]
    assert words_overlooked(line, sanitizer()) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_alternate_prose_and_short_cells(path):
    cells = nbformat.read(path, as_version=4).cells
    lengths = sorted(len(c.source.splitlines()) for c in cells if c.cell_type == "code")
    n_prose = sum(c.cell_type == "markdown" for c in cells)
    assert lengths[len(lengths) // 2] <= 6
    assert 0.75 <= n_prose / len(lengths) <= 1.5
