"""Workers: in the sandbox or, if asked for, without."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from grading.sandbox.bubblewrap import Place, in_sandbox, without_sandbox
from grading.sandbox.limits import Limits, MarkerError
from grading.sandbox.processes import ForkServer, WorkerProcess, can_nest


class Surroundings:
    """Where workers run: in the sandbox, without `hidden` folders, or, if asked for, without."""

    def __init__(self, *, sandboxed: bool = True, hidden: Sequence[Path] = ()) -> None:
        self.sandboxed, self.hidden = sandboxed, tuple(hidden)
        self.servers: dict[tuple[object, ...], ForkServer] = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"servers": {}}  # elsewhere they cannot be talked to

    @contextlib.contextmanager
    def worker(
        self, libraries: Sequence[str], limits: Limits, shown: Mapping[Path, str] | None = None
    ) -> Iterator[WorkerProcess]:
        """Give a new worker with `libraries` at hand, and folders `shown` in its own by name."""
        with contextlib.ExitStack() as stack:
            if self.sandboxed and can_nest():
                process = self._fork(libraries, limits, shown or {})
            else:
                server = ForkServer(self._place(stack, limits, shown))
                stack.callback(server.close)
                process = server.fork(limits)
            yield stack.enter_context(contextlib.closing(process))

    def prepare(
        self, libraries: Sequence[str], limits: Limits, shown: Mapping[Path, str] | None = None
    ) -> ForkServer:
        """Return the server that forks such workers, a new one if there is none or it has ended."""
        use = (tuple(libraries), limits.scratch_mb, tuple((shown or {}).items()))
        server = self.servers.get(use)
        if server is None or server.has_ended():
            place = in_sandbox(limits, libraries, shown, self.hidden)
            server = self.servers[use] = ForkServer(place)
        return server

    def _fork(
        self, libraries: Sequence[str], limits: Limits, shown: Mapping[Path, str]
    ) -> WorkerProcess:
        """Return a worker. Raises MarkerError if even a new server gives none."""
        server = self.prepare(libraries, limits, shown)
        try:
            return server.fork(limits)
        except MarkerError:
            server.close()
            self.servers = {use: kept for use, kept in self.servers.items() if kept is not server}
        return self.prepare(libraries, limits, shown).fork(limits)

    def close(self) -> None:
        """End the servers."""
        while self.servers:
            self.servers.popitem()[1].close()

    def _place(
        self, stack: contextlib.ExitStack, limits: Limits, shown: Mapping[Path, str] | None
    ) -> Place:
        """Return a place for a single worker."""
        if self.sandboxed:
            return in_sandbox(limits, (), shown, self.hidden, nested=False)
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        return without_sandbox(Path(stack.enter_context(folder)), shown)
