"""The processes in which workers run, from outside: starting, watching, and ending them."""

import atexit
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from functools import cache
from pathlib import Path

import psutil

from grading.sandbox.bubblewrap import Place, bytecode_folder, in_sandbox
from grading.sandbox.limits import Limits, MarkerError

START_SECONDS = 60.0
END_SECONDS = 10.0
WALL_FACTOR = 15  # how much longer than a limit it may take if the worker waits for a core
CREDENTIALS = struct.Struct("3i")  # process, user, group: as the kernel sends them


class ForkServer:
    """A process, in a sandbox or not, that forks workers; see forkserver.py.

    Raises MarkerError if it cannot be started.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        try:
            self.errors = tempfile.TemporaryFile()  # noqa: SIM115
            self.control, theirs = socket.socketpair()
            with theirs, closing(place):
                self.process = subprocess.Popen(
                    place.command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL,
                    stderr=self.errors, env=place.environment, start_new_session=True, cwd="/",
                    pass_fds=place.files,
                )  # fmt: skip
        except OSError as error:
            raise MarkerError(f"A worker could not be started: {error}") from error

    def fork(self) -> "WorkerProcess":
        """Return a new worker. Raises MarkerError if there is none."""
        with ExitStack() as given:
            try:
                source, their_target = os.pipe()
                their_source, target = os.pipe()
                line, theirs = socket.socketpair()
                given.callback(theirs.close)
                given.callback(os.close, their_source)
                given.callback(os.close, their_target)
                if sys.platform == "linux":
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
                files = [theirs.fileno(), their_source, their_target]
                socket.send_fds(self.control, [b"!"], files)
            except OSError as error:
                raise MarkerError(f"A worker did not start: {error} {self.last_words()}") from error
        return WorkerProcess(self, line, source, target)

    def last_words(self) -> str:
        """Return the end of what it wrote to its standard error."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()[-500:]

    def close(self) -> None:
        """End it and, in a sandbox, all its workers."""
        self.control.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_SECONDS)  # it sees that, and ends when all its processes have
        self.process.kill()
        self.process.wait()


class WorkerProcess:
    """A worker's process: `source` and `target` are the pipes from and to it.

    Raises MarkerError if it does not start.
    """

    def __init__(self, server: ForkServer, line: socket.socket, source: int, target: int) -> None:
        self.server, self.place = server, server.place
        self.line, self.source, self.target = line, source, target
        self.status = ""
        os.set_blocking(source, False)
        os.set_blocking(target, False)
        line.settimeout(START_SECONDS)
        try:
            self.guard = psutil.Process(self._number())
        except (OSError, psutil.Error) as error:
            self.close()
            raise MarkerError(f"A worker did not start: {error} {server.last_words()}") from error

    def _number(self) -> int:
        """Return the guard's number outside of its namespace, which the kernel adds if asked."""
        told, extra, _, _ = self.line.recvmsg(32, socket.CMSG_SPACE(CREDENTIALS.size))
        if not told:
            raise ConnectionError("its process has ended.")
        number, _, self.status = told.decode().partition("\n")
        return CREDENTIALS.unpack(extra[0][2])[0] if extra else int(number)

    def family(self) -> list[psutil.Process]:
        """Return the worker and all that it started."""
        try:
            return self.guard.children(recursive=True)[1:]  # but for the first of its namespace
        except psutil.NoSuchProcess:
            return []

    def memory(self) -> int:
        """Return the bytes in memory of the worker and all that it started."""
        return sum(map(_bytes, self.family()))

    def exit_status(self) -> str:
        """Wait for the end, and return how it came."""
        self.line.settimeout(END_SECONDS)
        with suppress(OSError):
            self.status = self.status or self.line.recv(32).decode()
        return self.status or "unknown"

    def hang_up(self) -> None:
        """Let the worker know that nothing more will come, upon which it ends."""
        os.close(self.target)
        self.target = -1

    def close(self) -> None:
        """End the worker and all that it started."""
        if self.line.fileno() < 0:
            return
        self.line.settimeout(END_SECONDS)
        try:
            self.line.shutdown(socket.SHUT_WR)  # the guard sees that
            while self.line.recv(32):
                pass  # it holds the other end until it has done its work
        except OSError:
            self.server.close()
        self.line.close()
        for pipe in (self.source, self.target):
            with suppress(OSError):
                os.close(pipe)


class Clock:
    """Time that a worker had: what it and the marker wait for a free core is not counted."""

    def __init__(self, process: WorkerProcess) -> None:
        self.process, self.worker = process, 0
        self.limit = self.begun = self.counted = 0.0
        self.waited: float | None = None

    def find_worker(self) -> None:
        """Note which process runs the student's code."""
        self.worker = next((process.pid for process in self.process.family()), 0)

    def start(self, limit: float) -> None:
        """Begin to count; over after `limit` seconds."""
        self.limit, self.begun, self.waited, self.counted = limit, time.monotonic(), None, 0.0

    def is_over(self) -> bool:
        """Count, and say whether the time is up, or has been for long by the clock on the wall.

        Answers so quick that nobody looks count for nothing.
        """
        wall = time.monotonic() - self.begun
        waiting = _runqueue("self") + _runqueue(str(self.worker))
        self.waited = waiting if self.waited is None else self.waited
        self.counted = wall - (waiting - self.waited)
        return wall > self.limit * WALL_FACTOR or self.counted > self.limit


def _bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _runqueue(pid: str) -> float:
    """Return the seconds that a process has waited for a core, 0 where the system doesn't tell."""
    try:
        return int(Path("/proc", pid, "schedstat").read_text("ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class _Servers(threading.local):
    """The fork servers of a thread, with which bubblewrap ends them."""

    def __init__(self) -> None:
        self.by_use: dict[tuple[tuple[str, ...], int], ForkServer] = {}


_servers = _Servers()


def fork_sandboxed(libraries: Sequence[str], limits: Limits) -> WorkerProcess:
    """Return a new worker with these libraries loaded, of a server that is made when first wanted.

    Raises MarkerError if even a new server gives none.
    """
    use = (tuple(libraries), limits.scratch_mb)
    if server := _servers.by_use.get(use):
        try:
            return server.fork()
        except MarkerError:
            server.close()
    _servers.by_use[use] = ForkServer(in_sandbox(limits, bytecode_folder(), libraries))
    return _servers.by_use[use].fork()


@atexit.register
def close_servers() -> None:
    """End the fork servers of this thread."""
    while _servers.by_use:
        _servers.by_use.popitem()[1].close()


def why_unavailable() -> str:
    """Return why no sandbox can be had here, "" if it can."""
    if not sys.platform.startswith("linux"):
        return "bubblewrap and its namespaces are Linux's alone"
    if shutil.which("bwrap") is None:
        return "bwrap was not found: on Debian and Ubuntu, apt-get install bubblewrap"
    return "" if can_nest() else why_failing(nested=False)


@cache
def can_nest() -> bool:
    """Whether a sandbox may make namespaces for each worker; some systems forbid that."""
    return not why_failing(nested=True)


def why_failing(*, nested: bool) -> str:
    """Return why a worker did not come to life and to a good end in a sandbox, "" if one did."""
    place = in_sandbox(Limits(), None, nested=nested)
    try:
        with closing(ForkServer(place)) as server, closing(server.fork()) as worker:
            worker.hang_up()
            status = worker.exit_status()
            return "" if status == "0" else f"a worker ended with {status}. {server.last_words()}"
    except MarkerError as error:
        return str(error)
