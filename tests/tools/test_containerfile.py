"""What the Containerfile says fits the project; no engine is needed to see that."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "Containerfile").read_text("utf-8").replace("\\\n", "").splitlines()


def told(word):
    return [line.removeprefix(f"{word} ") for line in LINES if line.startswith(f"{word} ")]


def test_pip_installs_extras_that_there_are():
    (command,) = (line for line in told("RUN") if "pip install" in line)
    extras = re.search(r"\[(.*)\]", shlex.split(command)[-1])[1].split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(extras) <= set(project["optional-dependencies"])
    assert (ROOT / "requirements.txt").exists()


def test_python_is_one_that_the_project_takes():
    version = tuple(map(int, re.search(r"python:(\d+)\.(\d+)", told("FROM")[0]).groups()))
    assert (3, 11) <= version <= (3, 13)


def test_the_command_is_found_from_any_folder(tmp_path):
    (variable,), (command,) = told("ENV"), told("ENTRYPOINT")
    assert variable == f"PYTHONPATH={told('WORKDIR')[0]}"
    _, *words = json.loads(command)
    clean = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    run = subprocess.run(
        [sys.executable, *words, "--help"], cwd=tmp_path, env=clean, capture_output=True, text=True
    )
    assert "--roster" in run.stdout, run.stderr


def test_nothing_that_belongs_to_the_project_is_left_out():
    patterns = (ROOT / ".dockerignore").read_text("utf-8").split()
    for top in ("grading", "checks", "helpers", "notebooks", "pyproject.toml", "README.md"):
        assert not any(fnmatch(top, pattern) for pattern in patterns)
        assert (ROOT / top).exists()
