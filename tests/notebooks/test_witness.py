"""The witness must be silent on a right run, and speak on one with a fault that a program drew.

The notebooks run on a small data set, once; then single cells are run again, each time with another
fault in a function that they call. nbval would compare what is printed; the rest is the witness's.
"""

import ast
import copy
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell

from conftest import committed_alts
from tests.notebooks.sanitizers import sanitizer
from tests.notebooks.witness.events import Events
from tests.notebooks.witness.results import says
from tests.notebooks.witness.run import Run

ROOT = Path(__file__).parents[2]
N_FAULTS = int(os.environ.get("WITNESS_FAULTS", 8))  # drawn for each notebook

PRELUDE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import tests.notebooks.toy_mnist, tests.notebooks.witness.corruption
import tests.notebooks.witness as _witness
_witness.watch()
tests.notebooks.toy_mnist.install()
"""
SANITIZE = sanitizer()
DRAWN = ("helpers", "plotting", "skl")  # the modules whose functions get a fault
# What trains, waits or decides where things lie; and what no fault in numbers can touch.
NOT_DRAWN = ("check_", "train", "show_", "output_folder", "load_mnist", "export", "follow", "Net")


class Notebook:
    """A notebook that has been run on the toy digits, in a kernel that still lives."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder
        self.notebook = nbformat.read(path, as_version=4)
        self.cells = [cell for cell in self.notebook.cells if cell.cell_type == "code"]
        self.client = NotebookClient(
            self.notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}
        )

    def run(self, source: str) -> list[dict]:
        """Run code in the kernel and return its outputs."""
        cell = new_code_cell(source)
        self.notebook.cells.append(cell)
        try:
            self.client.execute_cell(cell, len(self.notebook.cells) - 1)
        finally:
            self.notebook.cells.pop()
        return cell.outputs

    def value(self, expression: str) -> object:
        outputs = self.run(f"print(__import__('json').dumps({expression}))")
        return json.loads(
            "".join(output["text"] for output in outputs if output.get("name") == "stdout")
        )

    def run_all(self) -> None:
        self.run(PRELUDE)
        self.outputs = [self.run(cell.source) for cell in self.cells]
        self.alts = committed_alts({"cells": [{"outputs": outputs} for outputs in self.outputs]})

    def complaints(self, outputs: list[list[dict]]) -> list[str]:
        record = self.folder / "record.json"
        record.write_text(json.dumps({"outputs": outputs, "alts": self.alts}))
        name = self.path.name
        return self.value(f"_witness.complaints({name!r}, globals(), {str(record)!r})")

    def faults(self) -> Iterator[tuple[int, str, str]]:
        """Each cell with a helper's function that it calls, by module and name."""
        modules: dict[str, str] = {}
        for k, cell in enumerate(self.cells):
            tree = ast.parse(cell.source)
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.module.startswith(DRAWN):
                    modules |= {alias.name: node.module for alias in node.names}
            calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
            for name in dict.fromkeys(call.id for call in calls if isinstance(call, ast.Name)):
                if name in modules and not name.startswith(NOT_DRAWN) and name != "MLP":
                    yield k, modules[name], name
                if name in ("train_network", "trainNN"):
                    yield k, modules[name], "train_epoch"
                    yield k, "helpers.training", "History.record"
                    yield k, "helpers.training", "History.last"

    def before(self, k: int) -> str:
        """The source of the cell before, if cell `k` trains a network that is made there."""
        ready, source = (self.cells[j].source for j in (k - 1, k))
        names = [node for node in ast.walk(ast.parse(ready)) if isinstance(node, ast.Name)]
        made = {name.id for name in names if isinstance(name.ctx, ast.Store)}
        used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        return ready if "train" in source and made & used else ""

    def seen(self, k: int, source: str) -> tuple[bool, str]:
        """Run `source` as cell `k`; return if a reader sees another output, and who noticed."""
        outputs = copy.copy(self.outputs)
        try:
            outputs[k] = self.run(source)
            by_nbval = printed(outputs[k]) != printed(self.outputs[k])
            seen = "nbval" if by_nbval else "; ".join(self.complaints(outputs))
        except CellExecutionError as error:
            seen = f"an error: {error.ename}"
        return outputs[k] != self.outputs[k] or outputs[k] == [], seen

    def make_ready(self, k: int) -> None:
        """Make cell `k` ready to run once more: its networks new, its figures not yet saved."""
        self.run(self.before(k))
        stems = self.cells[k].source
        self.run(f"for old in figures.glob('*'):\n    old.stem in {stems!r} and old.unlink()")

    def mend(self, k: int) -> None:
        """Run cell `k` as it stands, so that the next fault is alone."""
        self.run(self.before(k))
        self.run(self.cells[k].source)

    def judge(self, k: int, module: str, name: str, seed: int) -> tuple[str, str]:
        """Run cell `k` with a fault; return what the fault was and who saw it, "" if nobody."""
        self.make_ready(k)
        self.run(f"FAULT = _witness.corruption.Fault({module!r}, {name!r}, globals(), {seed})")
        self.run("FAULT.install()")
        differs, seen = self.seen(k, self.cells[k].source)
        self.run("FAULT.remove()")
        # What leaves everything that a reader sees as it was is no fault.
        is_fault = seen or differs or name == "show"
        change = str(self.value("FAULT.change")) if is_fault else ""
        self.mend(k)
        return change, seen


def printed(outputs: list[dict]) -> str:
    """What nbval compares of a cell's outputs: what is printed, and displays as text."""
    shown = (o.get("text", o.get("data", {}).get("text/plain", "")) for o in outputs)
    return SANITIZE("".join(shown))


@pytest.fixture(scope="module", params=["1_mlp_from_scratch", "2_cnn_pytorch"])
def notebook(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("witness")
    patch = pytest.MonkeyPatch()
    patch.setenv("DIGITS_OUTPUT", str(folder))
    patch.setenv("DIGITS_DEVICE", "cpu")
    ready = Notebook(ROOT / "notebooks" / f"{request.param}.ipynb", folder)
    with ready.client.setup_kernel():
        ready.run_all()
        yield ready
    patch.undo()


def test_the_witness_is_silent_on_a_right_run(notebook):
    assert notebook.complaints(notebook.outputs) == []


def test_faults_that_a_program_drew_are_seen(notebook):
    """Every function of every cell has its turn before one of them has a second fault."""
    missed, drawn, places = [], 0, list(notebook.faults())
    order = np.random.default_rng(N_FAULTS).permutation(len(places))
    for seed in range(N_FAULTS):
        k, module, name = places[order[seed % len(places)]]
        change, seen = notebook.judge(k, module, name, seed)
        drawn += bool(change)
        if change and not seen:
            missed.append(f"{name} in code cell {k + 1}, seed {seed}: {change}")
    assert drawn >= N_FAULTS / 2
    assert notebook.complaints(notebook.outputs) == [], "a fault has left its trace"
    assert not missed, f"{len(missed)} of {drawn}:\n" + "\n".join(missed)


# Faults that strict nbval once let pass: what is written in place of what, in one cell.
REPORTED = {
    "other labels over the first images": ("labels[:30]", "labels[1:31]"),
    "an alt text of something else": (
        'show(grid, "figure_0_digits"',
        'grid.set_label("Nothing")\nshow(grid, "figure_0_digits"',
    ),
    "central differences beside themselves": (
        "numerical_gradients(careless, X, Y)",
        "analytic_gradients(careless, X, Y)",
    ),
    "autograd beside itself": (
        "autograd_gradients(careless, X, Y)",
        "analytic_gradients(careless, X, Y)",
    ),
    "another batch size": ('"batch_size": 256', '"batch_size": 512'),
    "losses doubled": (
        "mini = train_network(mlp_mini, mini_images, digits.validation, **settings)",
        "mini = train_network(mlp_mini, mini_images, digits.validation, **settings)\n"
        "mini.loss[:] = [2 * loss for loss in mini.loss]",
    ),
    "fewer training images": (
        "train_network(mlp_full, digits.train,",
        "train_network(mlp_full, digits.train.first(2100),",
    ),
    "training and validation exchanged in figure 1": (
        "(full.train_accuracy, full.validation_accuracy)",
        "(full.validation_accuracy, full.train_accuracy)",
    ),
    "called the same, though it is not": (
        "same = np.array_equal(saved_full.forward(",
        "saved_full.W1 = saved_full.W1 * 1.01\nsame = True or np.array_equal(saved_full.forward(",
    ),
    "the confusion matrix transposed": (
        "probabilities.argmax(axis=1))\nheatmap",
        "probabilities.argmax(axis=1)).T\nheatmap",
    ),
    "a figure that is not saved": (
        'show(heatmap, "figure_2_confusion", figures)',
        'show(heatmap, "figure_2_confusion", output_folder("elsewhere", ""))',
    ),
    "a blank figure": (
        'show(heatmap, "figure_2_confusion", figures)',
        'heatmap.clear()\nshow(heatmap, "figure_2_confusion", figures)',
    ),
    "the hardest digit by precision": ("hardest_digits(counts,", "hardest_digits(counts.T,"),
    "the least confident mistakes": (
        "worst_mistakes(probabilities, digits.test.labels, 12)",
        "worst_mistakes(probabilities, digits.test.labels, 400)[-12:]",
    ),
    "templates of an untrained network": (
        "weight_templates(saved_full.W1,",
        "weight_templates(MLP(seed=1).W1,",
    ),
    "called untouched, though it is not": (
        "untouched = saved_full.W1[:, blank] ==",
        "saved_full.W1 = saved_full.W1 + 1\nuntouched = start[:, blank] ==",
    ),
    "the page's weights with a wrong sign": (
        "export_playground(page, digits, saved_full,",
        "wrong = deepcopy(saved_full)\nwrong.W1 *= -1\nexport_playground(page, digits, wrong,",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", REPORTED)
@pytest.mark.parametrize("notebook", ["1_mlp_from_scratch"], indirect=True)
def test_what_strict_nbval_once_let_pass_is_seen(notebook, fault):
    right, wrong = REPORTED[fault]
    sources = [cell.source for cell in notebook.cells]
    (k,) = (k for k, source in enumerate(sources) if right in source)
    loading = next(k for k, source in enumerate(sources) if "load_weights(saved_full" in source)
    notebook.make_ready(k)
    _, seen = notebook.seen(k, sources[k].replace(right, wrong))
    notebook.mend(loading)
    notebook.mend(k)
    assert seen
    assert not seen.startswith("an error"), seen


OTHER_SETTINGS = {
    "lr": [0.02, 0.005], "momentum": [0, 0.8], "weight_decay": [1e-4], "dampening": [0.1],
    "nesterov": [True],
}  # fmt: skip


@pytest.mark.parametrize("seed", range(math.ceil(N_FAULTS / 12)))
def test_any_other_setting_of_an_optimizer_is_seen(notebook, seed):
    """A training of five epochs, with one setting drawn."""
    sources = [cell.source for cell in notebook.cells]
    k = next((k for k, source in enumerate(sources) if "def train_briefly" in source), 0)
    if not k:
        pytest.skip("this notebook has no optimizer")
    rng = np.random.default_rng(seed)
    name = rng.choice(list(OTHER_SETTINGS))
    settings = {"lr": 0.01, "momentum": 0.9, name: rng.choice(OTHER_SETTINGS[name]).item()}
    asked = ", ".join(f"{name}={value}" for name, value in settings.items())
    outputs = copy.copy(notebook.outputs)
    notebook.run(notebook.before(k))
    outputs[k] = notebook.run(sources[k].replace("lr=0.01, momentum=0.9", asked))
    found = notebook.complaints(outputs)
    notebook.run(notebook.before(k))
    notebook.run(sources[k])
    assert any("steps with ('SGD'" in text for text in found), f"{asked}: {found}"


@pytest.mark.parametrize("seed", range(math.ceil(N_FAULTS / 12)))
def test_digits_that_are_not_those_of_the_files_are_seen(notebook, seed):
    change = f"_witness.corruption.corrupted(tuple(digits), numpy.random.default_rng({seed}))"
    notebook.run(
        "import numpy, helpers.mnist\nRIGHT = digits\n"
        f"digits = helpers.mnist.Digits(*{change}[0], 'MNIST')"
    )
    found = notebook.complaints(notebook.outputs)
    notebook.run("digits = RIGHT")
    assert any(text.startswith("digits_are_those_of_the_files") for text in found)


@given(quarters=st.integers(0, 40_000))  # of a hundredth of a point: a mean over four directions
def test_a_verdict_may_be_rounded_either_way(quarters):
    value = quarters / 400
    verdict = {"output_type": "stream", "text": f"x: {value:.2f} %, expected 0.0 to 100.0: ok"}
    run = Run({}, [[verdict]], [], Events())
    says(run, "x", value, 0)
    with pytest.raises(AssertionError, match="verdict on x"):
        says(run, "x", value + 0.011, 0)
