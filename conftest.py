"""How pytest treats the notebooks: strictly, with a guard of the committed record and a witness."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import nbval.plugin
import pytest
from nbval.plugin import IPyNbCell

from tests.notebooks.notebook_guard import notebook_faults
from tests.notebooks.other_arithmetic import nudge_initial_weights
from tests.notebooks.patient_kernel import PatientKernel
from tests.notebooks.sanitizers import sanitizer_file

ROOT = Path(__file__).parent
LONGEST = (
    "notebooks/",
    "tests/checks/test_mutants.py",
    "tests/notebooks/test_witness.py",
    "tests/notebooks/test_faults.py",
    "tests/test_older_cpu.py",
    "tests/tools/",
    "tests/playground/test_playground_browser.py",
)
FOLDER = pytest.StashKey[tempfile.TemporaryDirectory]()

# A GPU rounds otherwise, and replays steps that the witness has to see.
os.environ.setdefault("DIGITS_DEVICE", "cpu")

# A slow example on a crowded machine is no failure.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


class NotebookGuard(pytest.Item):
    """Fails if the committed notebook would let nbval overlook something."""

    def runtest(self) -> None:
        faults = notebook_faults(self.path)
        assert not faults, "\n".join(faults)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], **_: object) -> str:
        return f"{self.path.name} is not a clean record of a run:\n{excinfo.value}"


class GuardedNotebook(pytest.File):
    def collect(self) -> Iterator[NotebookGuard]:
        yield NotebookGuard.from_parent(self, name="guard")


class Witness(pytest.Item):
    """Fails if something in the run, now over, was wrong in a way that words don't tell."""

    def runtest(self) -> None:
        cells = [cell for cell in self.session.items if isinstance(cell, IPyNbCell)]
        outputs = [getattr(c, "test_outputs", []) for c in cells if c.parent is self.parent]
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder, "record.json")
            content = {"outputs": outputs, "alts": committed_alts(self.parent.nb)}
            record.write_text(json.dumps(content), encoding="utf-8")
            question = f"_witness.complaints({self.path.name!r}, globals(), {str(record)!r})"
            setup = "import tests.notebooks.witness as _witness"
            found = self.parent.kernel.ask(question, setup)
        assert not found, "\n".join(found)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], **_: object) -> str:
        return f"The run of {self.path.name} is not what it seems:\n{excinfo.value}"


def committed_alts(notebook: dict) -> list[str]:
    """Return the alt texts of a notebook's pictures, in order."""
    return [
        output["metadata"]["image/png"]["alt"]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> GuardedNotebook | None:
    if parent.config.option.nbval and file_path.suffix == ".ipynb":
        return GuardedNotebook.from_parent(parent, path=file_path)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put a witness after the last cell of each of the two notebooks; put the longest first."""
    for notebook in dict.fromkeys(item.parent for item in items if isinstance(item, IPyNbCell)):
        if notebook.path.parent == ROOT / "notebooks":
            last = max(k for k, item in enumerate(items) if item.parent is notebook)
            items.insert(last + 1, Witness.from_parent(notebook, name="witness"))
    items.sort(key=turn_of)


def turn_of(item: pytest.Item) -> int:
    """Return when a test begins: those of long files before all others."""
    place = item.path.relative_to(ROOT).as_posix()
    return next((k for k, start in enumerate(LONGEST) if place.startswith(start)), len(LONGEST))


def pytest_configure(config: pytest.Config) -> None:
    if config.option.nbval_lax:
        raise pytest.UsageError("--nbval-lax executes without checking; use --nbval.")
    nbval.plugin.RunningKernel = PatientKernel
    nudge_initial_weights()
    folder = config.stash[FOLDER] = tempfile.TemporaryDirectory()
    # Notebooks under test leave their figures and weights where they replace nothing, and find
    # nothing there from the test before.
    os.environ.setdefault("DIGITS_OUTPUT", str(Path(folder.name, "results")))
    if config.option.nbval_sanitize_with is None:
        config.option.nbval_sanitize_with = str(Path(folder.name, "sanitizers.cfg"))
        Path(config.option.nbval_sanitize_with).write_text(sanitizer_file(), encoding="ascii")


def pytest_unconfigure(config: pytest.Config) -> None:
    if FOLDER in config.stash:
        config.stash[FOLDER].cleanup()
