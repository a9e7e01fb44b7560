"""Proof that strict nbval catches what it is there for.

Each fault is put into a copy of the project, and nbval must go red there, at a cell.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grading.marking import PACKAGES

ROOT = Path(__file__).parents[2]

# What is wrong: the file, the text that is right, the text that takes its place.
FAULTS = {
    "wrong sign in update_grad": (
        "mlp.py",
        "self.W2_grad += weight_gradient(delta2, z1)",
        "self.W2_grad -= weight_gradient(delta2, z1)",
    ),
    "images shuffled without their labels": (
        "training.py",
        "network.update_grad(targets[batch])",
        "network.update_grad(targets[start : start + len(batch)])",
    ),
}


def copy_project(target: Path) -> None:
    for name in (*PACKAGES, "notebooks", "tests", "tools"):
        shutil.copytree(ROOT / name, target / name)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, target)
    # The data set as it was loaded here, so that no copy has to fetch or draw it again.
    shutil.copytree(ROOT / "data", target / "data")


def run_nbval(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--nbval", "-x", "-p", "no:cacheprovider"]
    environment = os.environ | {"DIGITS_OUTPUT": str(project / "out"), "PYTHONPATH": str(project)}
    return subprocess.run(
        [*command, "--color=no", "notebooks/1_mlp_from_scratch.ipynb"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_nbval_goes_red(fault, tmp_path):
    file, right, wrong = FAULTS[fault]
    copy_project(tmp_path)
    path = tmp_path / "helpers" / file
    source = path.read_text(encoding="utf-8")
    assert source.count(right) == 1
    path.write_text(source.replace(right, wrong), encoding="utf-8")
    result = run_nbval(tmp_path)
    assert result.returncode == 1, result.stdout
    assert re.search(r"^FAILED notebooks/.*::Cell \d+", result.stdout, re.MULTILINE), result.stdout
    assert "Cell outputs differ" in result.stdout  # red by a verdict, not by a crash
