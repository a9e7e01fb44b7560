"""The ways to start: their files hold what the words say, and the commands in them work."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from checks.exercises import load_tasks
from tools.student_edition import student_edition, write_edition

ROOT = Path(__file__).parents[2]
INSTALL = (ROOT / "INSTALL.md").read_text(encoding="utf-8")
LIGHT = """
import runpy, sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *rest):
        missing = ("torch", "scipy", "sklearn", "pandas")
        return None if name in missing else self.finder.find_spec(name, *rest)
sys.meta_path[:] = map(Without, sys.meta_path)
"""


def run(code: str, folder: Path) -> str:
    """What Python prints, and its status of exit, in a folder."""
    environment = {**os.environ, "DIGITS_OUTPUT": str(folder / "build")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    return f"{done.stdout}{done.stderr}\nexit {done.returncode}"


def lines(name: str) -> list[str]:
    """What a file says, without comments."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_light_install_is_a_part_of_the_whole_one_without_pytorch():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    whole = {Requirement(text).name for text in project["dependencies"]}
    light = set(lines("light.txt"))
    assert light - whole == {"jupyterlab"}  # which jupyter, in the whole one, stands for
    assert not light & {"torch", "torchvision", "scipy", "scikit-learn"}


def test_the_light_install_says_what_the_stand_in_needs(tmp_path):
    program = """
import os
os.environ["MNIST_MIRROR"] = "stand-in"
from helpers.mnist import DataError, load_mnist
try:
    load_mnist(folder="data")
except DataError as error:
    print(error)
"""
    (tmp_path / "helpers").symlink_to(ROOT / "helpers")
    assert "pip install scikit-learn" in run(LIGHT + program, tmp_path)


def test_without_pytorch_the_checks_of_notebook_1_run_and_those_of_notebook_2_are_left_out():
    printed = run(LIGHT + "runpy.run_module('checks', run_name='__main__')", ROOT)
    without = sum(task.module == "cnn" for task in load_tasks())
    assert printed.count("Left out: it needs PyTorch") == without
    assert f"{len(load_tasks()) - without} of {len(load_tasks())} exercises are right." in printed


def test_without_pytorch_the_page_is_made_with_the_perceptron_alone(tmp_path):
    program = """
from helpers.mlp import MLP
from helpers.mnist import load_mnist
from playground.export import export_playground, saved_cnn
export_playground(r"{page}", load_mnist(), MLP(), saved_cnn(r"{page}"))
"""
    code = LIGHT + program.format(page=tmp_path / "page.html")
    assert run(code, ROOT).strip() == "exit 0"
    assert '"cnn": null' in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["INSTALL.md", "tools/STUDENT_README.md"])
def test_the_light_install_is_one_line_on_every_system(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    shells = dict(re.findall(r"```(sh|powershell)\n(.*light\.txt.*)\n```", text))
    assert shells.keys() == {"sh", "powershell"}
    for line in shells.values():
        assert "pip install -c requirements.txt -r light.txt" in line
        assert line.endswith("jupyter lab")  # in the project's folder: its left bar shows helpers/


def test_the_student_edition_brings_the_files_that_its_readme_names(tmp_path):
    write_edition(student_edition(), tmp_path / "student")
    readme = (tmp_path / "student" / "README.md").read_text(encoding="utf-8")
    assert "jupyter lab notebooks" not in readme  # which would hide helpers/
    for name in ("light.txt", "requirements.txt", "environment.yml"):
        assert name in readme
        assert (tmp_path / "student" / name).is_file()


def test_the_container_is_set_up_as_the_readme_says():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    program, target = container["postCreateCommand"].split()
    assert program == "make"
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    interpreter = container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert interpreter == "${containerWorkspaceFolder}/.venv/bin/python"
    assert "BIN := .venv/bin" in makefile
    for name in container["customizations"]["codespaces"]["openFiles"]:
        assert (ROOT / name).is_file()


def test_make_lets_python_keep_compiled_modules_whatever_the_surroundings_say():
    rule = "said:\n\t@$(PYTHON) -c 'import sys; print(sys.dont_write_bytecode)'"
    command = ["make", "--no-print-directory", f"--eval={rule}", f"PYTHON={sys.executable}", "said"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert told.stdout == "False\n", told.stderr


def test_binder_installs_the_light_way_from_files_that_exist():
    options = dict(line.split() for line in lines("binder/requirements.txt"))
    assert options.keys() == {"--constraint", "--requirement"}
    for name in options.values():
        assert (ROOT / "binder" / name).is_file()
    assert os.access(ROOT / "binder" / "postBuild", os.X_OK)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (version,) = lines("binder/runtime.txt")
    assert re.fullmatch(r"python-3\.\d+", version)
    assert Requirement(f"python{project['requires-python']}").specifier.contains(
        version.removeprefix("python-") + ".0"
    )


def test_the_cell_for_colab_brings_the_project_from_its_address(tmp_path):
    """The cell of INSTALL.md, in IPython as in Colab, with a repository of this computer."""
    found = re.search(r"```\n((?: *!git clone.*\n)(?:.*\n)*?) *```", INSTALL)
    assert found
    cell = "\n".join(line.strip() for line in found[1].splitlines())
    (address,) = re.findall(r"https://\S+", cell)
    subprocess.run(["git", "init", "--quiet", tmp_path / "made"], check=True)
    for folder in ("helpers", "notebooks"):
        (tmp_path / "made" / folder).mkdir()
        (tmp_path / "made" / folder / "here.py").write_text("place = 'here'\n")
    git = ["git", "-C", tmp_path / "made", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "x"], check=True)
    cell = cell.replace(address, (tmp_path / "made").as_uri())
    code = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell({cell!r}).raise_error()
import sys; sys.path.insert(0, "..")
from helpers.here import place
print("from", place)
"""
    assert "from here" in run(code, tmp_path)
