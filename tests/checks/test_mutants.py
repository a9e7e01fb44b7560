"""Plausible mistakes are caught, nearly all are named rightly, and what is right passes."""

import json
import os
import pickle
import re
import subprocess
import sys
import time
from collections import Counter
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from checks.edits import CLAIMS
from checks.spies import Spy
from checks.verdicts import Report
from tests.checks.mutants import (
    ALL as MUTANTS,
)
from tests.checks.mutants import (
    FORMS,
    SECOND_NOTEBOOK,
    TASKS,
    Mutant,
    run_check,
    student_module,
)
from tests.checks.test_fault_rows import ROWS

N_SEEDS = int(os.environ.get("CHECK_SEEDS", 60))  # for which each right solution has to pass
FIRST_FORMS = ("plain", "loops", "einsum")
SECOND_FORMS = (*9 * ("cnn_plain",), "cnn_sequential")  # a DataLoader takes its time
SOME = [mutant for mutant in MUTANTS if mutant.exercise in ("update_grad", "train_network")][::4]


@cache
def report_of(mutant: Mutant) -> Report:
    return mutant.report()


@cache
def right_form(name: str):
    return student_module((FORMS / f"{name}.py").read_text(encoding="utf-8"), name)


def forms_of(exercise):
    return SECOND_FORMS if exercise in SECOND_NOTEBOOK else FIRST_FORMS


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Mutants that ignore where to save do it where it doesn't matter."""
    monkeypatch.chdir(tmp_path)


def test_there_are_mutants_of_every_exercise():
    assert len(MUTANTS) >= 60
    assert len({(mutant.exercise, mutant.name) for mutant in MUTANTS}) == len(MUTANTS)
    rows = [name for name, _, _ in ROWS if name in TASKS]
    assert min(Counter([*rows, *(mutant.exercise for mutant in MUTANTS)]).values()) >= 6
    assert {*rows, *(mutant.exercise for mutant in MUTANTS)} == set(TASKS)


@pytest.mark.parametrize("exercise", TASKS)
def test_all_mutants_are_caught(exercise):
    survivors = [m.name for m in MUTANTS if m.exercise == exercise and report_of(m).passed]
    assert not survivors


def test_nine_in_ten_mutants_are_named_rightly():
    named = [mutant for mutant in MUTANTS if report_of(mutant).causes == [mutant.cause]]
    misnamed = {m.name: report_of(m).causes for m in MUTANTS if m not in named}
    assert len(named) >= 0.9 * len(MUTANTS), misnamed


def test_other_numbers_give_the_same_names():
    for mutant in SOME:
        assert mutant.report(seed=11).causes == report_of(mutant).causes, mutant.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.exercise}-{mutant.name}")
def test_messages_say_what_was_found_and_what_to_do(mutant):
    text = str(report_of(mutant))
    for line in ("  Found: ", "  Wanted: ", "  Likely cause: ", "  Next step: "):
        assert line in text
    assert "Traceback" not in text
    assert "verdicts.py" not in text
    assert "checks" not in text.replace("check_", "")
    assert max(map(len, text.splitlines())) < 400


@pytest.mark.parametrize("exercise", TASKS)
def test_right_solutions_pass_whatever_the_seed(exercise):
    """Seeds also choose the sizes of the layers; they are shared among the forms."""
    forms = forms_of(exercise)
    for seed in range(N_SEEDS):
        module = right_form(forms[seed % len(forms)])
        report = run_check(exercise, module, seed=seed)
        assert report.passed, f"seed {seed}, {module}:\n{report}"


@pytest.mark.parametrize("exercise", TASKS)
def test_reference_passes_and_is_quick(exercise, reference):
    run_check(exercise, reference)  # imports are not counted
    start = time.process_time()
    report = run_check(exercise, reference, seed=1)
    assert report.passed, report
    assert time.process_time() - start < 2


@pytest.fixture
def reference():
    """The functions and classes that the notebooks are made of."""
    from helpers import cnn, mlp, training

    names = vars(training) | vars(mlp) | {"Net": cnn.Net, "trainNN": cnn.trainNN}
    return SimpleNamespace(
        **names
        | {"test_accuracy": cnn.test_accuracy, "evaluate": cnn.evaluate, "convolve": cnn.convolve}
    )


@pytest.mark.parametrize(
    "change",
    [
        "np.sin(3 * {})",
        "np.cos({}) - 0.3",
        "np.sqrt(np.abs({}) + 2)",
        "np.sort(np.sin({}), axis=-1)",
    ],
)
@pytest.mark.parametrize("parameter", ["W1", "b2"])
def test_a_strange_gradient_has_no_known_cause(change, parameter):
    lines = {"W1": "delta1.T @ x", "b2": "delta2.sum(axis=0)"}
    new = f"self.{parameter}_grad += " + change.format(f"({lines[parameter]})")
    edit = (f"self.{parameter}_grad += {lines[parameter]}", new)
    report = Mutant("update_grad", "strange", "unknown", (edit,)).report()
    wrong = [verdict.part for verdict in report if not verdict.passed]
    assert {part.partition(",")[0] for part in wrong} == {f"{parameter}_grad"}
    assert report.causes == ["unknown"]
    assert "Likely cause: unknown" in str(report)


def test_two_mistakes_at_once_are_both_named():
    edits = (
        ("self.W2_grad += delta2.T @ z1", "self.W2_grad = z1.T @ delta2"),
        ("delta1 = (delta2 @ self.W2) * z1 * (1 - z1)", "delta1 = delta2 @ self.W2"),
    )
    report = Mutant("update_grad", "two", "", edits).report()
    assert report.causes == ["slope left out", "transposed"]
    assert "`=` stands where" in str(report)  # the third one, of the same line


# Student code that runs elsewhere: whatever goes to it or comes back is a copy.


class Remote:
    """Stands in for an object that lives in another process."""

    def __init__(self, target):
        object.__setattr__(self, "target", target)

    def __getattr__(self, name):
        value = getattr(self.target, name)
        return remote(value) if callable(value) else pickle.loads(pickle.dumps(value))

    def __setattr__(self, name, value):
        setattr(self.target, name, pickle.loads(pickle.dumps(value)))


def remote(function):
    def call(*args, **kwargs):
        sent, options = pickle.loads(pickle.dumps((args, kwargs)))
        result = function(*sent, **options)
        for mine, theirs in zip(args, sent, strict=True):
            if isinstance(mine, Spy):
                mine.__dict__.update(theirs.__dict__)
        return Remote(result) if hasattr(result, "forward") else pickle.loads(pickle.dumps(result))

    return call


class RemoteModule:
    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        return remote(getattr(self.module, name))


# What is done to a copy, and what only the text or the frames of the student's code tell.
UNSEEN = {
    "input changed", "shared array", "unknown attribute", "indentation", "kept between calls",
    "kept zeros", "layout", "many images", "no copy", "images left out",
    *CLAIMS,
}  # fmt: skip
REMOTE = [name for name in TASKS if name != "net"]


@pytest.mark.parametrize("exercise", REMOTE)
def test_student_code_may_run_in_another_process(exercise):
    assert run_check(exercise, RemoteModule(right_form(forms_of(exercise)[0]))).passed
    for mutant in [m for m in MUTANTS if m.exercise == exercise and m.cause not in UNSEEN][:6]:
        module = RemoteModule(student_module(mutant.source(), mutant.name))
        assert run_check(exercise, module).causes == report_of(mutant).causes, mutant.name


def test_first_notebook_waits_for_pytorch_until_it_is_needed():
    code = (
        "import sys; import checks; from helpers import mlp; checks.check_softmax(mlp.softmax);"
        "checks.check_initialization(mlp.MLP); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=FORMS.parents[2]).returncode == 0


def test_checks_hold_no_line_of_the_solution():
    """Lines of the reference that compute something must not stand in what students get."""
    helpers = FORMS.parents[2] / "helpers"
    shipped = helpers.with_name("checks").glob("*.py")
    text = {line.strip() for file in shipped for line in file.read_text("utf-8").splitlines()}
    solution = {
        line.strip()
        for name in ("mlp.py", "training.py", "cnn.py")
        for line in (helpers / name).read_text("utf-8").splitlines()
        if any(sign in line for sign in ("@ ", "exp(", ".sum(", "relu(", "max_pool", ".mean("))
    }
    assert len(solution) > 15
    assert not text & solution


def test_messages_lead_to_headings_that_exist():
    notebook = FORMS.parents[2] / "notebooks" / "1_mlp_from_scratch.ipynb"
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    page = "".join(line for cell in cells for line in cell["source"] if line.startswith("#"))
    texts = [str(report_of(mutant)) for mutant in MUTANTS] + [fault.step for _, fault, _ in ROWS]
    quoted = {title for text in texts for title in re.findall(r'[Ll]ook at "([^"]+)"', text)}
    assert len(quoted) == 2
    assert all(title in page for title in quoted)


@pytest.mark.parametrize("value", [None, "text", [[1], [1, 2]], object(), np.float32(2), {}, ()])
@pytest.mark.parametrize("exercise", ["sigmoid", "softmax", "cross_entropy", "one_hot_encode",
                                      "accuracy", "train_network", "test_network", "trainNN",
                                      "evaluation"])  # fmt: skip
def test_any_result_ends_in_a_verdict(exercise, value):
    names = TASKS[exercise].takes
    module = type("Module", (), {name: staticmethod(lambda *_, **__: value) for name in names})
    report = run_check(exercise, module)
    assert not report.passed
    assert "Found: " in str(report)
