"""A class in which something goes wrong: whose fault it is, what is kept, and what is left over."""

import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

import psutil
import pytest

from grading import classroom
from grading.archives import HandIn
from grading.canary import require_hidden
from grading.classroom import Rules, Way, hand_ins, mark_class
from grading.exam import read_exam
from grading.marking import mark
from grading.sandbox import bubblewrap
from grading.sandbox import surroundings as surroundings_module
from grading.sandbox.cgroups import parent_group
from grading.sandbox.limits import MarkerError
from grading.sandbox.remote import Session
from grading.sandbox.surroundings import Surroundings
from tests.grading.hand_ins.catalogue import modules, solution
from tests.grading.test_grading import few, notebook, write_class
from tests.grading.test_hand_ins import LIMITS, ROOT, needs_sandbox, surroundings

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux"),
]

__all__ = ["few", "surroundings"]


@pytest.fixture(autouse=True)
def no_canary(monkeypatch):
    """Tests of the canary itself call it; for the others it is too slow."""
    monkeypatch.setattr(classroom, "require_hidden", lambda *_: None)


def marks_of(results):
    return {result["name"]: result["points"] for result in results}


@pytest.fixture
def two(tmp_path):
    return write_class(tmp_path / "class", {"ada": "the solution", "bob": "the solution"})


# What is kept


@needs_sandbox
def test_a_hand_in_that_was_away_for_a_moment_is_marked_the_next_time(
    two, tmp_path, few, surroundings, monkeypatch
):
    rules, out = Rules(read_exam(few), 1, surroundings), tmp_path / "results"
    away, sound = tmp_path / "away", classroom.require_sound

    def take_away(rules):
        if not away.exists():
            (two / "ada").rename(away)
        sound(rules)

    monkeypatch.setattr(classroom, "require_sound", take_away)
    found = mark_class(hand_ins(two), rules, out, Way())
    assert marks_of(found) == {"ada": None, "bob": 7}
    assert "No such file" in found[0]["problems"][0]
    away.rename(two / "ada")
    monkeypatch.setattr(classroom, "require_sound", sound)
    assert marks_of(mark_class(hand_ins(two), rules, out, Way())) == {"ada": 7, "bob": 7}


@needs_sandbox
def test_a_hand_in_that_changes_meanwhile_is_kept_as_what_it_was_when_marked(
    two, tmp_path, few, surroundings, monkeypatch
):
    rules, out = Rules(read_exam(few), 1, surroundings), tmp_path / "results"
    path, sound = two / "ada" / "helpers" / "mlp.py", classroom.require_sound
    right = path.read_bytes()

    def change(rules):
        path.write_bytes(b"")
        sound(rules)

    monkeypatch.setattr(classroom, "require_sound", change)
    assert marks_of(mark_class(hand_ins(two), rules, out, Way())) == {"ada": 0, "bob": 7}
    path.write_bytes(right)
    monkeypatch.setattr(classroom, "require_sound", sound)
    assert marks_of(mark_class(hand_ins(two), rules, out, Way())) == {"ada": 7, "bob": 7}


@needs_sandbox
@pytest.mark.parametrize("error", [MarkerError("no"), MemoryError(), RecursionError(), OSError(5)])
def test_a_failure_of_the_marker_stops_the_class_only_if_the_solution_fails_too(
    two, tmp_path, few, surroundings, monkeypatch, error
):
    def fail(hand_in, *rest):
        if hand_in.name in failing:
            raise error
        return mark(hand_in, *rest)

    monkeypatch.setattr(classroom, "mark", fail)
    rules, out, failing = Rules(read_exam(few), 1, surroundings), tmp_path / "results", {"ada"}
    assert marks_of(mark_class(hand_ins(two), rules, out, Way())) == {"ada": None, "bob": 7}
    failing.add("the solution")
    with pytest.raises(MarkerError, match="solution itself"):
        mark_class(hand_ins(two), rules, out, Way())
    failing.clear()
    assert marks_of(mark_class(hand_ins(two), rules, out, Way())) == {"ada": 7, "bob": 7}


def test_whatever_reading_raises_is_told(two, tmp_path, few, surroundings, monkeypatch):
    def fail(path):
        if path.name == "ada":
            raise RecursionError("deep")
        return fetch(path)

    fetch = classroom.fetch
    monkeypatch.setattr(classroom, "fetch", fail)
    monkeypatch.setattr(classroom, "require_sound", lambda rules: None)
    monkeypatch.setattr(classroom, "run", lambda hand_in, rules: {
        "name": hand_in.name, "points": 1, "ticket": rules.key(hand_in)
    })  # fmt: skip
    rules = Rules(read_exam(few), 1, surroundings)
    found = mark_class(hand_ins(two), rules, tmp_path / "results", Way())
    assert marks_of(found) == {"ada": None, "bob": 1}


# Time


@needs_sandbox
def test_endless_functions_take_no_time_from_other_exercises(surroundings):
    endless = "\n\ndef sigmoid(a):\n    while True:\n        pass\n\n\nsoftmax = sigmoid\n"
    hand_in = HandIn("ada", modules(mlp=solution("mlp") + endless))
    exam = read_exam()
    kept = [task for task in exam.tasks if task.name in ("sigmoid", "softmax", "cross_entropy")]
    limits = replace(LIMITS, call_seconds=2, hand_in_seconds=6)
    exam = replace(exam, tasks=tuple(kept), limits=limits)
    found = mark(hand_in, exam, 1, surroundings)
    points = {each["name"]: each["points"] for each in found["exercises"]}
    assert points == {"sigmoid": 0, "softmax": 0, "cross_entropy": 4}


@needs_sandbox
def test_computing_beside_calls_takes_no_time_from_other_exercises(surroundings):
    spinning = """

def sigmoid(a):
    import os, time
    source, target = os.pipe()
    if os.fork() == 0:
        while True:
            if time.process_time() > 2:
                os.write(target, b"!")
    os.read(source, 1)
    return 0.5 * (1 + np.tanh(0.5 * a))
"""
    exam = read_exam()
    kept = [task for task in exam.tasks if task.name in ("sigmoid", "softmax", "cross_entropy")]
    limits = replace(LIMITS, call_seconds=100, hand_in_seconds=6)
    exam = replace(exam, tasks=tuple(kept), limits=limits)
    found = mark(HandIn("ada", modules(mlp=solution("mlp") + spinning)), exam, 1, surroundings)
    points = {each["name"]: each["points"] for each in found["exercises"]}
    assert points == {"sigmoid": 0, "softmax": 4, "cross_entropy": 4}


@needs_sandbox
def test_quick_answers_count_as_well(surroundings):
    slow = "import time\n\n\ndef sigmoid(a):\n    time.sleep(0.05)\n    return 0\n"
    with surroundings.worker(["numpy"], LIMITS) as process:
        files = {"helpers/__init__.py": b"", "helpers/mlp.py": slow.encode()}
        session = Session(process, files, ["numpy"], LIMITS)
        sigmoid, n_calls = session.load("mlp", "sigmoid"), 5
        for _ in range(n_calls):
            sigmoid(1.0)
        assert session.budget.used > n_calls * 0.04


# What can be seen


@needs_sandbox
def test_the_canary_sees_nothing_even_where_the_project_lies_among_libraries(monkeypatch, tmp_path):
    seen = bubblewrap.seen_folders
    for room in ("helpers", "checks", "notebooks"):
        shutil.copytree(ROOT / room, tmp_path / "libraries" / "app" / room)
    monkeypatch.setattr(bubblewrap, "PROJECT", tmp_path / "libraries" / "app")
    monkeypatch.setattr(bubblewrap, "seen_folders", lambda: [*seen(), tmp_path / "libraries"])
    require_hidden(Surroundings(), tmp_path / "libraries" / "app")


@needs_sandbox
@pytest.mark.parametrize("shown", ["project", "copy", "hand-ins"])
def test_the_canary_sees_what_is_there(monkeypatch, tmp_path, shown):
    seen, hidden, folder = bubblewrap.seen_folders, (), tmp_path / "lecture"
    folder.mkdir()
    (folder / "notes.py").write_text(solution("mlp") if shown == "copy" else "")
    if shown == "hand-ins":
        hidden = (folder,)
    monkeypatch.setattr(bubblewrap, "PROJECT", tmp_path / "elsewhere")
    more = [ROOT] if shown == "project" else [folder]
    monkeypatch.setattr(bubblewrap, "seen_folders", lambda: [*seen(), *more])
    place = Surroundings(hidden=hidden)
    if hidden:
        monkeypatch.setattr(bubblewrap, "_masks", lambda *_: [])
    with pytest.raises(MarkerError, match="students could read"):
        require_hidden(place)


LOOKS_AROUND = """
import ctypes, os

PTRACE_ATTACH = 16


def look():
    reached = 0
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in (os.getpid(), os.getppid()):
            for part in ("mem", "environ", "maps", "fd"):
                try:
                    path = f"/proc/{name}/{part}"
                    reached += bool(os.listdir(path) if part == "fd" else open(path, "rb"))
                except OSError:
                    pass
            reached += ctypes.CDLL(None).ptrace(PTRACE_ATTACH, int(name), 0, 0) != -1
    return reached
"""


@needs_sandbox
@pytest.mark.parametrize("nested", [True, False])
def test_no_process_of_the_sandbox_can_be_looked_into(nested, monkeypatch):
    monkeypatch.setattr(surroundings_module, "can_nest", lambda: nested)
    with Surroundings().worker(["numpy"], LIMITS) as process:
        files = {"helpers/__init__.py": b"", "helpers/mlp.py": LOOKS_AROUND.encode()}
        assert Session(process, files, ["numpy"], LIMITS).load("mlp", "look")() == 0


# Stopping


def hears_ctrl_c():
    """Undo that a shell which runs the tests in the background lets them ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What is running then: so many processes with this in their command.
STATES = {
    "reading": ("-m grading", 1),
    "marking": ("forkserver.py", 8),
    "notebooks": ("ipykernel", 2),
}


def write_patient_class(folder, state):
    """Write hand-ins that keep a marker in this state."""
    name = "sleeps for ever" if state == "marking" else "the solution"
    write_class(folder, dict.fromkeys(["ada", "bob"], name))
    large = 10**7 * b" " if state == "reading" else notebook("import time\ntime.sleep(1e6)")
    for number in range(6 if state != "marking" else 0):
        for student in ("ada", "bob"):
            (folder / student / f"{number}.ipynb").write_bytes(large)
    return folder


@needs_sandbox
@pytest.mark.parametrize(
    ("state", "how"),
    [("marking", signal.SIGINT), ("marking", signal.SIGTERM), ("marking", signal.SIGKILL),
     ("reading", signal.SIGINT), ("reading", signal.SIGKILL),
     ("notebooks", signal.SIGINT), ("notebooks", signal.SIGKILL)],
)  # fmt: skip
def test_a_run_that_is_stopped_leaves_nothing_behind(tmp_path, few, state, how):
    folder = write_patient_class(tmp_path / "class", state)
    text = few.read_text("utf-8").replace("call_seconds = 2 ", "call_seconds = 600 ")
    (tmp_path / "patient.toml").write_text(text, "utf-8")
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    command = [sys.executable, "-m", "grading", str(folder), "--out", str(out), "--jobs", "2"]
    command += ["--config", str(tmp_path / "patient.toml")]
    command += ["--notebooks"] if state == "notebooks" else []
    process = psutil.Popen(
        ["env", f"TMPDIR={scratch}", *command],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        preexec_fn=hears_ctrl_c,
    )

    said, n = STATES[state]

    def is_one(child):
        with suppress(psutil.Error):
            return said in " ".join(child.cmdline())

    while sum(map(bool, map(is_one, process.children(recursive=True)))) < n or not list(
        scratch.iterdir()
    ):
        assert process.poll() is None
        time.sleep(0.05)
    family = process.children(recursive=True)
    begun = time.monotonic()
    process.send_signal(how)
    assert process.wait(timeout=60) != 0
    print(f"{state}, {how.name}: ended after {time.monotonic() - begun:.2f} s")  # shown by -rP
    assert not psutil.wait_procs(family, timeout=60)[1]
    assert is_soon(lambda: not list(scratch.iterdir()))
    groups = parent_group() or tmp_path
    assert is_soon(lambda: not list(groups.glob(f"digits-{process.pid}-*")))


def is_soon(condition):
    """Say whether a condition comes true; the last process of a run that was killed may be late."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def test_names_that_look_the_same_are_told_apart(tmp_path, few, surroundings):
    names = ["a\x01.zip", "a\x02.zip", "a.zip", "a.ZIP", "b.zip"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a").mkdir()
    tickets = classroom.tickets_for(hand_ins(tmp_path), Rules(read_exam(few), 1, surroundings))
    found = [ticket.name for ticket in tickets]
    assert len({name.casefold() for name in found}) == len(found) - 1 == len(names)
    assert "b" in found
