"""A canary: before anything is marked, it looks for the solution from inside of the sandbox.

It must find nothing, else no marks are given. It knows all paths that students must not see, and
lines of the solution; it looks for these in whatever is not a library, and in libraries for files
that are called as ours are.
"""

import sys
from pathlib import Path

from grading.sandbox.bubblewrap import PROJECT, seen_folders
from grading.sandbox.limits import Limits, MarkerError
from grading.sandbox.remote import Session
from grading.sandbox.surroundings import Surroundings

SECRET_ROOMS = ("checks", "grading", "helpers", "notebooks", "tests")
SECRET_KINDS = (".py", ".toml", ".ipynb")
SECRET_MODULES = ("mlp", "training", "cnn")
SECRET_NAMES = (*SECRET_MODULES, "exercises", "1_mlp_from_scratch", "2_cnn_pytorch")
LIBRARIES = ["numpy"]
N_LINES = 8  # of each module, the longest
N_PATHS = 50  # in each folder that is hidden
LOOK = """
import os

KINDS = (".py", ".pyc", ".ipynb", ".toml", ".txt", ".md")
PASSED_OVER = ("/proc", "/sys", "/dev", "/hand-in", "/marker")


def look(paths, names, lines, libraries):
    for path in paths:
        if os.path.lexists(path):
            raise FileExistsError(path)
    wanted = [line.encode() for line in lines]
    for folder, folders, files in os.walk("/"):
        folders[:] = [n for n in folders if os.path.join(folder, n) not in PASSED_OVER]
        is_library = any(folder.startswith(each) for each in libraries)
        for name in files:
            path, (stem, kind) = os.path.join(folder, name), os.path.splitext(name)
            if kind in KINDS and (not is_library or stem.split(".")[0] in names):
                if holds(path, wanted):
                    raise FileExistsError(path)


def holds(path, wanted):
    try:
        with open(path, "rb") as file:
            content = file.read(1 << 22)
    except OSError:
        return False
    return any(line in content for line in wanted)
"""


def require_hidden(surroundings: Surroundings, project: Path = PROJECT) -> None:
    """Raise MarkerError if something that students must not see is seen in the sandbox."""
    libraries = [str(path) for path in seen_folders() if path.name.startswith("lib")]
    rooms = [path for room in SECRET_ROOMS for path in (project / room).rglob("*")]
    secret = [path for path in rooms if path.suffix in SECRET_KINDS]
    secret += [path for folder in surroundings.hidden for path in _some_in(folder)]
    with surroundings.worker(LIBRARIES, Limits()) as process:
        files = {"helpers/__init__.py": b"", "helpers/mlp.py": LOOK.encode()}
        session = Session(process, files, LIBRARIES, Limits())
        try:
            look = session.load("mlp", "look")
            look([*map(str, secret)], [*SECRET_NAMES], secret_lines(project), libraries)
        except FileExistsError as error:
            raise MarkerError(
                f"In the sandbox, students could read {error}. Move it, or Python, elsewhere."
            ) from error
        except Exception as error:
            raise MarkerError(f"Whether students see the solution is not known: {error}") from error


def _some_in(folder: Path) -> list[Path]:
    """Return some of what lies in a folder, but for folders on the way to Python."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in inside if not Path(sys.prefix).is_relative_to(path)][:N_PATHS]


def secret_lines(project: Path) -> list[str]:
    """Return the longest lines of code of the solution."""
    found: list[str] = []
    for module in SECRET_MODULES:
        text = (project / "helpers" / f"{module}.py").read_text(encoding="utf-8")
        parts = text.split("### BEGIN SOLUTION")[1:]
        lines = [line.strip() for part in parts for line in part.split("### END")[0].splitlines()]
        found += sorted(lines, key=len)[-N_LINES:]
    return [line for line in found if len(line) > 20]
