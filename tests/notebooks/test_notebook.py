"""What surrounds the notebooks: where results go, what is imported, how they are executed."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import tools.execute_notebooks as execute_notebooks
from helpers.mlp import MLP, sigmoid
from helpers.notebook import ROOT, guess, output_folder, reveal, show_source

PICTURE = """
from pathlib import Path
from matplotlib.figure import Figure
from tqdm.auto import tqdm
from plotting.figures import show

for _ in tqdm(range(3)):
    pass
figure = Figure((1, 1))
figure.set_label("a <picture> & its text")
show(figure, "picture", Path("figures"))
"""


def python(code: str, folder: Path) -> str:
    """What a fresh Python, started in `folder`, prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_helpers_can_be_imported_from_any_folder(tmp_path):
    assert Path(python("import helpers; print(helpers.__file__)", tmp_path).strip()).is_file()


def test_notebook_1_needs_no_torch_before_its_autograd_check():
    modules = "bands, evaluation, mlp, mnist, notebook, training"
    code = f"import checks, plotting.figures, sys; from helpers import {modules}"
    code += "; print('torch' in sys.modules)"
    assert python(code, ROOT).strip() == "False"


def test_results_on_the_stand_in_never_replace_those_on_mnist(monkeypatch):
    monkeypatch.delenv("DIGITS_OUTPUT")
    assert output_folder("figures", "MNIST") == ROOT / "figures"
    assert output_folder("figures", "stand-in") == ROOT / "build" / "stand-in" / "figures"


def test_tests_leave_their_results_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("DIGITS_OUTPUT", str(tmp_path))
    for source in ("MNIST", "stand-in"):
        assert tmp_path in output_folder("weights", source).parents


def test_source_is_shown_as_code_in_the_left_margin(monkeypatch):
    import helpers.notebook

    shown = []
    monkeypatch.setattr(helpers.notebook, "display", shown.append)
    show_source(sigmoid, MLP.reset_grad)
    text = shown[0].data
    assert text.startswith("```python\ndef sigmoid(a")
    assert "\n\ndef reset_grad(self)" in text
    assert "SOLUTION" not in text  # the marks of the student edition
    assert '"""\n    return 0.5' in text
    assert text.endswith("\n```")


@pytest.mark.parametrize("choices", [None, ("yes", "no")])
def test_a_guess_is_kept_when_its_cell_runs_again_and_shown_beside_the_result(choices, capsys):
    question = f"Does it learn, of {choices}?"
    guess(question, choices).widget.value = "no"
    reveal(guess(question, choices), "yes")
    assert capsys.readouterr().out.endswith("Your guess: no\nThe result: yes\n")


@pytest.mark.parametrize("choices", [None, ("yes", "no")])
def test_an_empty_guess_is_fine_and_one_can_be_given_without_widgets(choices, capsys):
    reveal(guess(f"Empty, of {choices}?", choices), "yes")
    reveal(guess(f"Written, of {choices}?", choices, answer="no"), "yes")
    printed = capsys.readouterr().out
    assert "Your guess: none\nThe result: yes\n" in printed
    assert printed.endswith("Your guess: no\nThe result: yes\n")


def test_a_question_stands_on_the_page_as_text(run_tool):
    run_tool("from helpers.notebook import guess\nasked = guess('A < B?', ['yes', 'no'])")
    output = nbformat.read("build/n.ipynb", as_version=4).cells[0].outputs[0]
    assert output.data == {"text/plain": "Your guess: A < B? (yes, no)"}


@pytest.fixture
def run_tool(tmp_path, monkeypatch):
    """Executes a notebook of one cell by the command-line tool, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(source: str, *options: str) -> Path:
        path = Path("n.ipynb")
        nbformat.write(new_notebook(cells=[new_code_cell(source)]), path)
        monkeypatch.setattr(sys, "argv", ["execute_notebooks.py", *options, str(path)])
        execute_notebooks.main()
        return path

    return run


def test_executed_copies_hold_pictures_with_alt_text_and_settled_bars(run_tool):
    source_file = run_tool(PICTURE)
    executed = nbformat.read(Path("build") / source_file, as_version=4)
    bar, picture = executed.cells[0].outputs
    assert bar.data["text/plain"].startswith("100%|██████████| 3/3 [")
    assert list(bar.data) == ["text/plain"]
    assert "widgets" not in executed.metadata
    assert picture.metadata["image/png"]["alt"] == "a <picture> & its text"
    assert 'alt="a &lt;picture&gt; &amp; its text"' in Path("build/n.html").read_text("utf-8")
    assert nbformat.read(source_file, as_version=4).cells[0].execution_count is None


def test_in_place_execution_changes_the_notebook_itself(run_tool):
    cell = nbformat.read(run_tool("print(6 * 7)", "--inplace"), as_version=4).cells[0]
    assert (cell.execution_count, cell.outputs[0].text) == (1, "42\n")
    assert not Path("build").exists()


def test_a_failing_cell_ends_the_command_with_its_error(run_tool, capfd):
    with pytest.raises(SystemExit, match="1"):
        run_tool("1 / 0")
    error = capfd.readouterr().err
    assert re.search(r"n\.ipynb stopped at a cell that failed:[\s\S]*ZeroDiv", error)
    assert not Path("build").exists()


def test_copies_are_executed_at_once_and_one_that_fails_leaves_the_other(run_tool, tmp_path):
    """Each waits for a file of the other; the second fails then."""
    wait = "import time\nwhile not {}.exists():\n    time.sleep(0.1)"
    first, second = tmp_path / "first", tmp_path / "second"
    nbformat.write(new_notebook(cells=[new_code_cell(f"""
from pathlib import Path
Path({str(second)!r}).touch()
{wait.format(f"Path({str(first)!r})")}
1 / 0""")]), "other.ipynb")  # fmt: skip
    with pytest.raises(SystemExit):
        run_tool(f"""
from pathlib import Path
Path({str(first)!r}).touch()
{wait.format(f"Path({str(second)!r})")}""", "other.ipynb")  # fmt: skip
    assert sorted(path.name for path in Path("build").iterdir()) == ["n.html", "n.ipynb"]
