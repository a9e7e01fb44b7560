"""The guard must see each fault that nbval overlooks; the committed notebooks must have none."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.notebook_guard import notebook_faults

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def faults_of(tmp_path: Path, *cells: nbformat.NotebookNode) -> str:
    path = tmp_path / "n.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_alternate_prose_and_short_cells(path):
    cells = nbformat.read(path, as_version=4).cells
    lengths = sorted(len(c.source.splitlines()) for c in cells if c.cell_type == "code")
    n_prose = sum(c.cell_type == "markdown" for c in cells)
    assert lengths[len(lengths) // 2] <= 6
    assert 0.75 <= n_prose / len(lengths) <= 1.5
