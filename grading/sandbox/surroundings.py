"""Workers: in the sandbox or, if asked for, without."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from grading.sandbox.bubblewrap import Place, bytecode_folder, in_sandbox, without_sandbox
from grading.sandbox.limits import Limits
from grading.sandbox.processes import ForkServer, WorkerProcess, can_nest, fork_sandboxed


class Surroundings:
    """Where workers run: in the sandbox or, if asked for, without."""

    def __init__(self, *, sandboxed: bool = True) -> None:
        self.sandboxed = sandboxed

    @contextlib.contextmanager
    def worker(
        self, libraries: Sequence[str], limits: Limits, shown: Mapping[Path, str] | None = None
    ) -> Iterator[WorkerProcess]:
        """Give a new worker with `libraries` at hand, and folders `shown` in its own by name."""
        with contextlib.ExitStack() as stack:
            if self.sandboxed and not shown and can_nest():
                process = fork_sandboxed(libraries, limits)
            else:
                server = ForkServer(self._place(stack, limits, shown))
                stack.callback(server.close)
                process = server.fork()
            yield stack.enter_context(contextlib.closing(process))

    def _place(
        self, stack: contextlib.ExitStack, limits: Limits, shown: Mapping[Path, str] | None
    ) -> Place:
        """Return a place for a single worker."""
        if self.sandboxed:
            return in_sandbox(limits, bytecode_folder(), shown=shown, nested=False)
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        return without_sandbox(Path(stack.enter_context(folder)), bytecode_folder(), shown)
