"""Marking a class: what it leaves behind, what it survives, and when it refuses."""

import base64
import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from unittest import mock

import numpy as np
import psutil
import pytest

from checks.verdicts import Report, Verdict
from grading import __main__ as command
from grading import classroom, marking
from grading.answers import ANSWER, written_answers
from grading.archives import HandIn
from grading.classroom import Rules, Way, hand_ins, mark_class
from grading.exam import read_exam, score_of
from grading.marking import judge, mark
from grading.notebooks import execute_notebooks
from grading.report import safe_cell, slugs, write_reports
from grading.sandbox import protocol
from grading.sandbox.limits import Budget
from grading.sandbox.surroundings import Surroundings
from tests.checks.mutants import student_module
from tests.grading.hand_ins.catalogue import CASES, Case, modules, solution
from tests.grading.test_hand_ins import (
    LIMITS,
    REASON,
    ROOT,
    deserved,
    marked,
    needs_sandbox,
    surroundings,
)
from tools.student_edition import student_edition

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux")

__all__ = ["surroundings"]
CASE = {case.name: case for case in CASES}
FEW = ("sigmoid", "softmax")


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    """A config with two exercises and short limits."""
    text = (ROOT / "checks" / "exercises.toml").read_text("utf-8")
    head, *exercises = text.split("[[exercise]]")
    head = re.sub(r"call_seconds = \d+ ", "call_seconds = 2 ", head)
    kept = [each for each in exercises if re.search(r'name = "(\w+)"', each)[1] in FEW]
    path = tmp_path_factory.mktemp("config") / "few.toml"
    path.write_text("[[exercise]]".join([head, *kept]), "utf-8")
    return path


def write_class(folder, names):
    for name, case in names.items():
        path = folder / name / "helpers"
        path.mkdir(parents=True)
        for file, content in CASE[case].files.items():
            (path / file).write_bytes(content)
    return folder


CLASS = {
    "ada": "the solution",
    "bob <script>alert(1)": "returns NaN",
    "=HYPERLINK(0)": "syntax error",
    "Ωμέγα 学生": "endless loop",
    "zoe": "prints and warns and logs",
}


@pytest.fixture(scope="session")
def small_class(tmp_path_factory):
    folder = write_class(tmp_path_factory.mktemp("class"), CLASS)
    (folder / "letter.zip").write_text("Dear grader")
    return folder


@pytest.fixture(scope="session")
def marks(tmp_path_factory, few, small_class):
    """What the command leaves behind for a small class."""
    if REASON:
        pytest.skip(f"NO SANDBOX, so NOT TESTED: {REASON}")
    out = tmp_path_factory.mktemp("marks")
    options = ["--out", str(out), "--config", str(few), "--seed", "3", "--jobs", "1"]
    assert command.main([str(small_class), *options]) == 1  # one is to be looked at by hand
    return out


def table(out):
    with (out / "marks.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_the_table_holds_the_points(marks):
    points = {name: row["points"] for name, row in table(marks).items()}
    assert points == {
        "ada": "7", "bob <script>alert(1)": "4", "'=HYPERLINK(0)": "0",
        "Ωμέγα 学生": "4", "zoe": "7", "letter": "by hand",
    }  # fmt: skip
    assert "not a zip file" in table(marks)["letter"]["problems"]


def test_the_report_is_one_file_without_scripts_of_students(marks):
    page = (marks / "report.html").read_text("utf-8")
    ours = (ROOT / "grading" / "report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(ours.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'\"" in page
    assert "<script" not in page.replace(f"<script>{ours}</script>", "")
    assert "&lt;script&gt;" in page
    links = set(re.findall(r"(?:src|href)=[\"']([^\"']*)", page))
    within = {link for link in links if link.startswith("#")}
    assert all(f'id="{link[1:]}"' in page for link in within)
    others = {(marks / link).resolve() for link in links - within}
    assert others == set(marks.glob("students/*/*.html"))
    assert page.count("<svg") == 1 + len(FEW)
    assert "1 × not loaded" in page or "2 × not loaded" in page
    assert all(f'id="{slug}"' in page for slug in ("ada", "zoe"))


def test_feedback_holds_the_very_verdicts(marks):
    feedback = (marks / "students" / "zoe" / "feedback.md").read_text("utf-8")
    assert "**7 of 7 points**" in feedback
    assert "    a row: exact, relative difference" in feedback
    wrong = next(marks.glob("students/bob*/feedback.md")).read_text("utf-8")
    assert "  Likely cause: " in wrong
    assert "<script" not in wrong.replace("\\<script", "")


def test_a_second_run_marks_nothing_again(marks, small_class, few, monkeypatch):
    monkeypatch.setattr(classroom, "run", None)
    before = (marks / "marks.csv").read_bytes()
    assert command.main([str(small_class), "--out", str(marks), "--config", str(few)]) == 1
    assert (marks / "marks.csv").read_bytes() == before


@needs_sandbox
def test_a_killed_run_goes_on_where_it_was(tmp_path, few):
    folder = write_class(tmp_path / "class", {f"s{n}": "the solution" for n in range(8)})
    out = tmp_path / "marks"
    options = [sys.executable, "-m", "grading", str(folder), "--out", str(out)]
    options += ["--config", str(few), "--jobs", "2"]
    process = psutil.Popen(options, cwd=ROOT, stderr=subprocess.DEVNULL)
    results = out / "results"
    while len(list(results.glob("*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    family = process.children(recursive=True)
    process.kill()
    process.wait()
    assert not psutil.wait_procs(family, timeout=120)[1]  # nothing is left running
    done = {path: path.stat().st_mtime_ns for path in results.glob("*.json")}
    assert 2 <= len(done) < 8
    assert not (out / "marks.csv").exists()
    subprocess.run(options, cwd=ROOT, check=True, capture_output=True)
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    assert len(list(results.glob("*.json"))) == 8
    assert {row["points"] for row in table(out).values()} == {"7"}


@needs_sandbox
def test_same_hand_in_and_seed_give_the_same_marks(surroundings):
    case = replace(CASE["returns NaN"], tasks=("sigmoid", "one_hot_encode"))
    first, again, other = (marked(case, surroundings, seed) for seed in (5, 5, 6))
    for result in (first, again, other):
        del result["seconds"]
    assert first == again
    assert first["points"] == other["points"]
    assert first["exercises"] != other["exercises"]  # other numbers


def test_without_a_sandbox_right_work_is_marked_if_asked(surroundings):
    without = Surroundings(sandboxed=False)
    for name in ("the solution", "prints and warns and logs", "returns NaN", "sys.exit"):
        case = replace(CASE[name], tasks=("sigmoid", "saving"))
        result = marked(case, without)
        assert {e["name"]: e["points"] for e in result["exercises"]} == deserved(case, result)


EMPTY = "def softmax(a):\n    raise NotImplementedError('softmax: write it')\n"
MISSPELLED = "def softmax(a):\n    return a / quotient\n"
IN_LIBRARY = "import json\n\n\ndef softmax(a):\n    return json.loads(str(a.tolist()) + '?')\n"
WHOLE_BATCH = "import numpy as np\n\n\ndef softmax(a):\n    return np.exp(a) / np.exp(a).sum()\n"


@needs_sandbox
@pytest.mark.parametrize("source", [EMPTY, MISSPELLED, IN_LIBRARY, WHOLE_BATCH])
def test_verdicts_are_the_same_as_in_the_students_own_process(source, surroundings):
    case = Case("x", {"mlp.py": source.encode()}, (), ("softmax",))
    (exercise,) = marked(case, surroundings)["exercises"]
    (task,) = (task for task in read_exam().tasks if task.name == "softmax")
    own = judge(task, vars(student_module(source, "mlp")), 7)
    assert exercise["text"] == str(own)


@needs_sandbox
@pytest.mark.parametrize(
    ("source", "told"),
    [("def f(:\n", "SyntaxError: invalid syntax, at line 1 of mlp.py: `def f(:`"),
     ("import numpie\n", "No module named 'numpie', at line 1 of mlp.py: `import numpie`"),
     ("\n\nx = 1 / 0\n", "ZeroDivisionError: division by zero, at line 3 of mlp.py: `x = 1 / 0`"),
     ("from helpers.training import accuracy\n", "helpers/mlp.py has no softmax"),
     ("", "helpers/mlp.py has no softmax")],
)  # fmt: skip
@pytest.mark.parametrize(
    "tasks", [("softmax",), ("one_hot_encode", "softmax"), ("softmax", "accuracy")]
)
def test_feedback_says_why_a_module_cannot_be_imported(source, told, tasks, surroundings):
    result = marked(Case("x", modules(mlp=source), ("softmax",), tasks), surroundings)
    found = {each["name"]: each for each in result["exercises"]}
    assert told in found["softmax"]["text"]
    assert found["softmax"]["cause"] == "not loaded"
    assert {name: each["points"] for name, each in found.items()} == deserved(
        Case("x", {}, ("softmax",)), result
    )


# Refusing


def refused(tmp_path, few, capsys, *options):
    folder = write_class(tmp_path / "class", {"ada": "the solution"})
    out = tmp_path / "marks"
    code = command.main(
        [str(folder), "--out", str(out), "--config", str(few), "--jobs", "1", *options]
    )
    assert not (out / "marks.csv").exists()
    assert "no marks were given" in capsys.readouterr().err
    return code == 3


def test_no_sandbox_no_marks(tmp_path, few, capsys, monkeypatch):
    monkeypatch.setattr(command, "why_unavailable", lambda: "bwrap was not found")
    assert refused(tmp_path, few, capsys)


@pytest.mark.parametrize("broken", ["numpy", "torch"])
def test_a_missing_library_gives_no_marks(tmp_path, few, capsys, monkeypatch, broken):
    monkeypatch.setitem(marking.LIBRARIES, "numpy", [f"{broken}_that_is_missing"])
    assert refused(tmp_path, few, capsys, "--unsafe")


def test_a_full_disk_gives_no_marks(tmp_path, few, capsys, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(classroom, "atomic_write", full)
    assert refused(tmp_path, few, capsys, "--unsafe")


def test_a_solution_that_fails_gives_no_marks(tmp_path, few, capsys, monkeypatch):
    (tmp_path / "helpers").mkdir()
    for path in marking.HELPERS.glob("*.py"):
        (tmp_path / "helpers" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "helpers" / "mlp.py").write_bytes(modules(mlp="")["mlp.py"])
    monkeypatch.setattr(classroom, "HELPERS", tmp_path / "helpers")
    assert refused(tmp_path, few, capsys, "--unsafe")


def test_a_mistake_of_the_marker_is_no_mark_and_the_class_goes_on(tmp_path, monkeypatch):
    folder = write_class(tmp_path, {"ada": "the solution", "bob": "the solution"})

    def fail(hand_in, *_):
        if hand_in.name == "ada":
            raise ZeroDivisionError
        return mark(hand_in, replace(read_exam(), tasks=()), 1, Surroundings())

    monkeypatch.setattr(classroom, "mark", fail)
    monkeypatch.setattr(classroom, "require_sound", lambda rules: None)
    rules = Rules(read_exam(), 1, Surroundings())
    results = mark_class(hand_ins(folder), rules, tmp_path / "out", Way())
    assert [result["points"] for result in results] == [None, 0]
    assert "mark by hand" in results[0]["problems"][-1]
    write_reports(results, read_exam(), tmp_path / "out")
    assert table(tmp_path / "out")["ada"]["points"] == "by hand"


# Parts


def test_points_are_for_parts_that_are_there_and_right():
    task = next(task for task in read_exam().tasks if task.name == "sigmoid")
    right, wrong = (Verdict("sigmoid", "three axes", ok, None, "") for ok in (True, False))
    another = Verdict("sigmoid", "a row", False, None, "")
    assert task.maximum == sum(score_of(task, Report([right])).values()) + 1
    assert sum(score_of(task, Report([wrong])).values()) == 0
    assert sum(score_of(task, Report([another, right])).values()) == 1
    assert sum(score_of(task, Report()).values()) == 0


SIGMOID = "[[exercise]]\nname='sigmoid'\nsection='1'\ntakes=['sigmoid']\ncheck='formulas'\n"
ENTRY = "[[exercise]]\nname='x'\nsection='1'\ntakes=[]\ncheck='forward'\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [("[[exercise]]\nname = 'x'", "no list of exercises"), ("x = ", "no list of exercises"),
     (f"[limits]\nhours = 1\n{ENTRY}module='mlp'\npoints={{}}", "hours"),
     (f"{ENTRY}module='os'\npoints={{}}", "module is 'os'"),
     (f"{ENTRY}module='mlp'\npoints={{all=1}}", "'all' is no part"),
     (f"{ENTRY}module='mlp'\npoints={{check=1}}", "no exercise is called 'x'"),
     (f"{SIGMOID}module='mlp'\npoints={{}}", "sigmoid is worth 0"),
     (f"{SIGMOID}module='mlp'\npoints={{check=inf}}", "sigmoid is worth inf"),
     (f"{SIGMOID}module='cnn'\npoints={{check=1}}", "wanted 'mlp'"),
     (2 * f"{SIGMOID}module='mlp'\npoints={{check=1}}\n", "sigmoid is there more than once"),
     (f"[limits]\ncall_seconds=inf\n{SIGMOID}module='mlp'\npoints={{check=1}}", "call_seconds"),
     (f"[limits]\nmemory_mb=-1\n{SIGMOID}module='mlp'\npoints={{check=1}}", "memory_mb is -1"),
     (f"[limits]\nfiles=2.5\n{SIGMOID}module='mlp'\npoints={{check=1}}", "without a fraction"),
     (f"limits=3\n{SIGMOID}module='mlp'\npoints={{check=1}}", "c.toml"),
     ("exercise=[]", "no exercise")],
)  # fmt: skip
def test_a_wrong_config_is_told(tmp_path, text, message):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_exam(tmp_path / "c.toml")


def test_slugs_differ_where_names_do():
    names = ["a b", "a_b", "A b", "../x", "学生", "", "a" * 300, "é", "e\u0301", "\U0001f393" * 70]
    names += ["\U00020000" * 70, "\U00020000" * 71, "b\x01", "b\x02"]
    names += [slugs([{"name": name} for name in names])[0]]  # somebody who is called like a page
    found = slugs([{"name": name} for name in names])
    assert all(len(slug.encode()) <= 200 for slug in found)
    assert len({slug.casefold() for slug in found}) == len(names)
    assert all(re.fullmatch(r"[\w-]+", slug) for slug in found)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_formulas_are_text_in_the_table(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("separator", ";,|\t\n")
def test_formulas_are_text_whatever_cells_are_cut_at(separator):
    cells = safe_cell(f"a{separator}=cmd|'/c calc'!A1{separator} +1").split(separator)
    assert not any(cell.lstrip().startswith(tuple("=+-@")) for cell in cells)


def test_answers_are_carried_over_with_their_questions():
    edition = json.loads(student_edition()["notebooks/1_mlp_from_scratch.ipynb"])
    places = [cell for cell in edition["cells"] if "".join(cell["source"]) == ANSWER]
    assert len(places) >= 2
    assert written_answers({"1.ipynb": json.dumps(edition).encode()}) == []
    places[1]["source"] = ["At the 9,\n", "I think."]
    edition["cells"].append({"cell_type": "markdown", "metadata": {}, "source": "My own thoughts"})
    first, second = written_answers({"1.ipynb": json.dumps(edition).encode()})
    assert first["question"] == "1.2"
    assert first["text"] == "At the 9,\nI think."
    assert (second["question"], second["text"]) == ("", "My own thoughts")


def test_notebooks_that_cannot_be_read_hold_no_answers():
    cell = b'{"cells": [{"cell_type": "markdown", "source": %s}]}'
    odd = [cell % source for source in (b"null", b"3", b"[3, null]", b"{}", b'[["x"]]')]
    for content in (b"[" * 10**5, b"", b"{}", b'{"cells": [{}]}', b'{"cells": 3}', b"\xff", *odd):
        assert written_answers({"1.ipynb": content}) == []


# The protocol


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2.5, "é", [1, [2]], (1, 2), {"a": [1]}, b"\0x", np.dtype("float64"), np.float32,
     np.arange(6.0).reshape(2, 3), np.float32(2), np.array([], dtype="<i8"), np.array(True)],
)  # fmt: skip
def test_what_is_sent_arrives(value):
    frame = protocol.pack({"v": value})
    header, body = protocol.lengths(frame[:8])
    found = protocol.unpack(frame[8 : 8 + header], frame[8 + header :][:body])["v"]
    assert type(found) is type(value) or isinstance(value, np.generic)
    if isinstance(value, (np.ndarray, np.generic)):
        np.testing.assert_array_equal(found, value)
    else:
        assert found == value


@pytest.mark.parametrize(
    ("header", "body"),
    [(b"", b""), (b"[" * 9999, b""), (b'{"array": ["<f8", [2], 0, 8]}', bytes(8)),
     (b'{"array": ["<f8", [-1, -1], 0, 8]}', bytes(8)), (b'{"array": ["|O", [1], 0, 8]}', bytes(8)),
     (b'{"array": ["<f8", [1], 8, 8]}', bytes(8)), (b'{"array": ["<f8", [1], -8, 8]}', bytes(8)),
     (b'{"array": ["<f8", [1.0], 0, 8]}', bytes(8)), (b'{"array": 3}', b""), (b'{"a": 1}', b""),
     (b'{"bytes": [0, 9]}', bytes(8)), (b'{"a": 1, "b": 2}', b""), (b'{"other": 1}', b""),
     (b'{"array": ["<f8", [0, 9999999999999], 0, 0]}', b""),
     (b'[{"array": ["|u1", [8], 0, 8]}, {"array": ["|u1", [8], 0, 8]}]', bytes(8)),
     (b"\xff", b""), (b"9" * 5000, b"")],
)  # fmt: skip
def test_what_is_no_frame_is_refused(header, body):
    with pytest.raises(protocol.ProtocolError):
        protocol.unpack(header, body)


def test_bools_are_true_or_false_whatever_their_byte():
    found = protocol.unpack(b'{"array": ["|b1", [3], 0, 3]}', b"\0\1\xff")
    assert found.view(np.uint8).tolist() == [0, 1, 1]


def test_frames_are_bounded():
    with pytest.raises(protocol.ProtocolError, match="bytes"):
        protocol.lengths(protocol.PREFIX.pack(8, protocol.MAX_BODY + 1))
    with pytest.raises(protocol.ProtocolError, match="too large"):
        protocol.pack(np.zeros(protocol.MAX_BODY // 8 + 1))


def test_hand_in_without_files_is_marked_with_nothing(surroundings):
    exam = replace(read_exam(), limits=LIMITS)
    result = mark(HandIn("nobody"), exam, 1, surroundings)
    assert (result["points"], result["seconds"]["workers"]) == (0, 0)


# Notebooks, executed again


def notebook(*cells):
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [code | {"source": cell} for cell in cells]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}).encode()


UNTRAINED = """\
import sys
sys.path.insert(0, "..")
from helpers.mlp import MLP, save_weights
from helpers.mnist import load_mnist
from helpers.notebook import output_folder
save_weights(MLP(seed=0), output_folder("weights", load_mnist().source) / "mlp_full")
print("MLP full, test accuracy: 97.20 %, expected 96.7 to 97.6: ok")"""


@needs_sandbox
def test_notebooks_are_judged_by_the_networks_that_they_save(surroundings):
    files = CASE["the solution"].files
    notebooks = {"1.ipynb": notebook(UNTRAINED), "2.ipynb": notebook("1 / 0"), "3.ipynb": b"[]"}
    hand_in = HandIn("ada", dict(files), notebooks)
    limits = replace(LIMITS, notebook_seconds=120)
    first, second, third = execute_notebooks(hand_in, limits, surroundings)
    assert first["lines"][0] == "It ran to its end."
    assert re.fullmatch(r"MLP full, test accuracy: .* %, expected .*: TOO LOW", first["lines"][1])
    assert "ZeroDivisionError" in second["lines"][0]
    assert "Error" in third["lines"][0]


@needs_sandbox
def test_a_notebook_that_never_ends_costs_that_notebook_alone(surroundings):
    files, never = CASE["the solution"].files, "import time\ntime.sleep(1e6)"
    hand_in = HandIn("ada", dict(files), {"1.ipynb": notebook(never), "2.ipynb": b"[]"})
    limits = replace(LIMITS, notebook_seconds=4)
    first, second = execute_notebooks(hand_in, limits, surroundings)
    assert "Time" in first["lines"][0]
    assert "Time" not in second["lines"][0]


@needs_sandbox
def test_all_notebooks_together_have_twice_the_time_of_one(surroundings):
    never = notebook("import time\ntime.sleep(1e6)")
    notebooks = {f"{n}.ipynb": never for n in range(40)}
    hand_in = HandIn("ada", dict(CASE["the solution"].files), notebooks)
    budgets = []

    def budget(*args):
        budgets.append(Budget(*args))
        return budgets[0]

    with mock.patch("grading.notebooks.Budget", budget):
        found = execute_notebooks(hand_in, replace(LIMITS, notebook_seconds=2), surroundings)
    assert len(found) == 40
    assert all("TimeLimit" in each["lines"][0] for each in found)
    assert budgets[0].used < 2 * 2 + 40 * 0.5  # each may exceed its part by a look of the watch


@pytest.mark.parametrize("kind", sorted(classroom.KINDS))
def test_marks_are_kept_for_the_very_same_project_only(tmp_path, kind):
    """One byte more in any file that marks may depend on, or another library, is another key."""
    for room in classroom.ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("page"))
    before = classroom.digest_of(tmp_path, ["1"])
    assert classroom.digest_of(tmp_path, ["1"]) == before
    assert classroom.digest_of(tmp_path, ["2"]) != before
    files = [path for path in tmp_path.rglob("*") if path.suffix == kind]
    assert files
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        assert classroom.digest_of(tmp_path, ["1"]) != before, path
        path.write_bytes(content)


FEW_STEPS = """

def train_network(network, train, validation, learning_rate, n_epochs, batch_size, seed):
    history = History()
    for _ in range({n}):
        batch = train[0][:batch_size], one_hot_encode(train[1][:batch_size])
        network.reset_grad()
        network.update_grad(*batch)
        network.update_params(learning_rate)
    for _ in range(n_epochs):
        history.record({loss}, test_network(network, *train), test_network(network, *validation))
    return history
"""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", range(3))
@pytest.mark.parametrize("loss", ["0.0", "float('nan')"])
def test_a_training_with_hardly_a_step_is_judged_without_a_warning(n, loss):
    (task,) = (task for task in read_exam().tasks if task.name == "train_network")
    source = solution("training") + FEW_STEPS.format(n=n, loss=loss)
    for seed in range(3):
        report = judge(task, vars(student_module(source, "training")), seed)
        assert not report.passed
        assert not any("cannot read" in each.found for each in report), str(report)
        assert not any(each.cause == "total loss" for each in report), str(report)
