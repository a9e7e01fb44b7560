"""One list of exercises: whatever is forgotten when one is added is named; so is a misspelt key."""

import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell

from checks.exercises import KEYS, load_tasks
from tests.checks.exercise_guard import exercise_faults

ROOT = Path(__file__).parents[2]

FUNCTION = '''

def trial_of_the_recipe(found: float, wanted: float) -> float:
    """Return the square of the difference."""
    ### BEGIN SOLUTION
    return (found - wanted) ** 2
    ### END SOLUTION
'''
ENTRY = """
[[exercise]]
name = "trial_of_the_recipe"
section = "section 1"
module = "training"
takes = ["trial_of_the_recipe"]
check = "training"
points = { "check" = 1 }
"""
CHECK = "\n\ndef check_trial_of_the_recipe(trial_of_the_recipe, seed=0):\n    return None\n"


def append(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(path.read_text("utf-8") + text, encoding="utf-8") and None


def show_and_check(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    for source in (
        "show_source(trial_of_the_recipe)",
        "check_trial_of_the_recipe(trial_of_the_recipe)",
    ):
        notebook.cells.append(new_code_cell(source))
    nbformat.write(notebook, path)


# The four files that CONTRIBUTING.md names, and what is done to each.
STEPS = {
    "helpers/training.py": append(FUNCTION),
    "checks/exercises.toml": append(ENTRY),
    "checks/training.py": append(CHECK),
    "notebooks/1_mlp_from_scratch.ipynb": show_and_check,
}


@pytest.fixture
def project(tmp_path):
    for name in ("helpers", "checks", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def test_everything_is_there_and_nothing_left_over():
    assert exercise_faults(ROOT) == []


def test_an_exercise_is_added_in_four_files(project):
    for name, change in STEPS.items():
        change(project / name)
    assert exercise_faults(project) == []
    assert load_tasks(project / "checks" / "exercises.toml")[-1].maximum == 1


@pytest.mark.parametrize("forgotten", STEPS)
def test_what_is_forgotten_is_named(project, forgotten):
    for name, change in STEPS.items():
        if name != forgotten:
            change(project / name)
    faults = exercise_faults(project)
    assert faults
    file = forgotten.rpartition("/")[2]
    assert any("trial_of_the_recipe" in fault for fault in faults)
    assert any(file.partition(".ipynb")[0] in fault or "notebook" in fault for fault in faults)


@given(key=st.sampled_from(sorted(KEYS)), cut=st.integers(1, 3))
def test_a_misspelt_key_is_refused_by_name(tmp_path_factory, key, cut):
    path = tmp_path_factory.mktemp("list") / "exercises.toml"
    wrong = key[:-cut] + "x"
    path.write_text(ENTRY.replace("check =", f"{wrong} = 1\ncheck =", 1), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"trial_of_the_recipe: there is no key {wrong}; wanted"):
        load_tasks(path)
