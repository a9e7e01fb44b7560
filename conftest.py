"""How pytest treats the notebooks: strictly, and with an item that guards the committed record."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.notebook_guard import notebook_faults
from tests.sanitizers import sanitizer_file

ROOT = Path(__file__).parent
SANITIZERS = pytest.StashKey[tempfile.TemporaryDirectory]()

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


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> GuardedNotebook | None:
    if parent.config.option.nbval and file_path.suffix == ".ipynb":
        return GuardedNotebook.from_parent(parent, path=file_path)
    return None


def pytest_configure(config: pytest.Config) -> None:
    if config.option.nbval_lax:
        raise pytest.UsageError("--nbval-lax executes without checking; use --nbval.")
    # Notebooks under test leave their figures and weights where they replace nothing.
    os.environ.setdefault("DIGITS_OUTPUT", str(ROOT / "build" / "test"))
    if config.option.nbval_sanitize_with is None:
        folder = config.stash[SANITIZERS] = tempfile.TemporaryDirectory()
        config.option.nbval_sanitize_with = str(Path(folder.name, "sanitizers.cfg"))
        Path(config.option.nbval_sanitize_with).write_text(sanitizer_file(), encoding="ascii")


def pytest_unconfigure(config: pytest.Config) -> None:
    if SANITIZERS in config.stash:
        config.stash[SANITIZERS].cleanup()
