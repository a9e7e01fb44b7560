"""The zip file for Gradescope: its scripts, run as Gradescope runs them."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.grading.test_hand_ins import needs_sandbox
from tools.autograder import write_autograder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def autograder(tmp_path) -> Path:
    """A folder like /autograder, with this environment in place of one that is installed."""
    write_autograder(tmp_path / "autograder.zip")
    source = tmp_path / "autograder" / "source"
    with zipfile.ZipFile(tmp_path / "autograder.zip") as archive:
        archive.extractall(source)
    (source / "project" / ".venv").symlink_to(ROOT / ".venv")
    (source.parent / "results").mkdir()
    return source.parent


def run(autograder: Path) -> dict:
    environment = os.environ | {"AUTOGRADER": str(autograder), "OMP_NUM_THREADS": "1"}
    script = autograder / "source" / "run_autograder"
    subprocess.run(["bash", script], env=environment, check=True, timeout=500)
    return json.loads((autograder / "results" / "results.json").read_text(encoding="utf-8"))


def test_the_scripts_are_bash_and_can_be_run(tmp_path):
    write_autograder(tmp_path / "autograder.zip", unsafe=True)
    with zipfile.ZipFile(tmp_path / "autograder.zip") as archive:
        for name in ("setup.sh", "run_autograder"):
            assert archive.getinfo(name).external_attr >> 16 & 0o111
            subprocess.run(["bash", "-n"], input=archive.read(name), check=True)
        assert b"--unsafe" in archive.read("run_autograder")
        assert not any("tests/" in name or "data/" in name for name in archive.namelist())


@needs_sandbox
def test_a_right_hand_in_gets_all_and_an_empty_one_is_looked_at_by_hand(autograder):
    helpers = autograder / "submission" / "helpers"
    shutil.copytree(ROOT / "helpers", helpers, ignore=shutil.ignore_patterns("__pycache__"))
    right = run(autograder)
    assert right["score"] == sum(test["max_score"] for test in right["tests"]) > 0
    shutil.rmtree(helpers)
    (autograder / "submission" / "notes.txt").write_text("nothing", encoding="utf-8")
    assert "by hand" in json.dumps(run(autograder))
