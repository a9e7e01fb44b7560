"""The processes in which workers run, from outside: starting, measuring, and ending them."""

import atexit
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from functools import cache
from pathlib import Path

import psutil

from grading.sandbox.bubblewrap import Place, in_sandbox
from grading.sandbox.calls import filter_of_calls
from grading.sandbox.cgroups import Group, has_limits, parent_group
from grading.sandbox.limits import Limits, MarkerError

START_SECONDS = 60.0
END_SECONDS = 2.0
CHILDREN = Path("/proc/thread-self/children")
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
            with theirs:
                self.process = subprocess.Popen(
                    place.command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL,
                    stderr=self.errors, env=place.environment, start_new_session=True, cwd="/",
                )  # fmt: skip
        except OSError as error:
            raise MarkerError(f"A worker could not be started: {error}") from error
        self.owner = os.getpid()
        atexit.register(self.close)

    def has_ended(self) -> bool:
        """Whether it can give no more workers, as far as this process can know.

        Only its parent may ask the system; of others, which were forked from that, Popen thinks
        that it has ended.
        """
        return os.getpid() == self.owner and self.process.poll() is not None

    def fork(self, limits: Limits) -> "WorkerProcess":
        """Return a new worker. Raises MarkerError if there is none."""
        with ExitStack() as given:
            try:
                parent = parent_group() if self.place.is_sandbox else None
                group = Group(parent, limits) if parent else None
                source, their_target = os.pipe()
                their_source, target = os.pipe()
                line, theirs = socket.socketpair()
                nowhere = os.open(os.devnull, os.O_WRONLY)
                given.callback(theirs.close)
                for file in (their_source, their_target, nowhere):
                    given.callback(os.close, file)
                if sys.platform == "linux":
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
                entrance = group.entrance if group else nowhere
                files = [theirs.fileno(), their_source, their_target, entrance]
                socket.send_fds(self.control, [b"!"], files)
            except OSError as error:
                raise MarkerError(f"A worker did not start: {error} {self.last_words()}") from error
        return WorkerProcess(self, line, source, target, group)

    def last_words(self) -> str:
        """Return the end of what it wrote to its standard error."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()[-500:]

    def close(self) -> None:
        """End it and, in a sandbox, all its workers."""
        atexit.unregister(self.close)
        with suppress(OSError):
            self.control.shutdown(socket.SHUT_RDWR)  # it sees that, even if others hold this end
        self.control.close()
        self.process.kill()  # and with it, the kernel ends whatever is in its sandbox
        self.process.wait()


class WorkerProcess:
    """A worker's process: `source` and `target` are the pipes from and to it.

    Raises MarkerError if it does not start.
    """

    def __init__(
        self, server: ForkServer, line: socket.socket, source: int, target: int, group: Group | None
    ) -> None:
        self.server, self.place, self.group = server, server.place, group
        self.line, self.source, self.target = line, source, target
        self.status, self.closed = "", threading.Event()
        self.watch: threading.Thread | None = None
        self.computed = self.of_living = 0.0  # seconds
        self.own: dict[int, float] = {}
        self.queues: list[int] = []  # files that tell how long it waits for a core
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
        """Return the first process of the worker's namespace, the worker, and all others."""
        with suppress(psutil.NoSuchProcess):
            if not CHILDREN.exists():  # a kernel without this list; then all processes are read
                return list(self.guard.children(recursive=True))
            return list(_below(self.guard))
        return []

    def is_too_large(self, limits: Limits) -> bool:
        """Whether all that it started has more memory than allowed."""
        if self.group and self.group.limits_memory:
            return self.group.is_out_of_memory()
        family, limit = self.family()[1:], limits.memory_mb << 20
        if sum(_bytes(each, "rss") for each in family) <= limit:  # quick, and never too low
            return False
        return sum(_bytes(each, "pss") for each in family) > limit

    def cpu_seconds(self) -> float:
        """Return how long all its processes have computed until now.

        Without a control group, of those that ended and for which nobody waited counts only what
        was seen. It is never too much.
        """
        if self.group:
            return self.group.cpu_seconds()
        times = {each.pid: _cpu_times(each) for each in self.family()}
        own = {number: sum(seconds[:2]) for number, seconds in times.items()}
        of_living = sum(map(sum, times.values()))
        fresh = sum(max(0.0, now - self.own.get(number, 0.0)) for number, now in own.items())
        self.computed += max(fresh, of_living - self.of_living)
        self.own, self.of_living = own, of_living
        return self.computed

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

    def end(self) -> None:
        """Have the guard end the worker and all that it started."""
        with suppress(OSError):
            self.line.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the worker, all that it started, and the watch; give back what it used."""
        if self.line.fileno() < 0:
            return
        self.closed.set()
        if self.watch:
            self.watch.join()
        self.line.settimeout(END_SECONDS)
        self.end()
        try:
            while self.line.recv(32):
                pass  # it holds the other end until it has done its work
        except OSError:
            self.server.close()
        self.line.close()
        for file in (self.source, self.target, *self.queues):
            with suppress(OSError):
                os.close(file)
        if self.group:
            self.group.close()


def _below(process: psutil.Process) -> Iterator[psutil.Process]:
    """Yield what a process has started, and what these have."""
    waiting = [process.pid]
    while waiting:
        for number in _children(waiting.pop()):
            waiting.append(number)
            with suppress(psutil.NoSuchProcess):
                yield psutil.Process(number)


def _children(number: int) -> list[int]:
    """Return the numbers of the children of all threads of a process, none if it has ended."""
    found: list[int] = []
    with suppress(OSError):
        for path in Path("/proc", str(number), "task").glob("*/children"):
            with suppress(OSError):
                found += map(int, path.read_text().split())
    return found


def _bytes(process: psutil.Process, kind: str) -> int:
    """Return the memory of a process, its share of what it shares alone if `kind` is "pss"."""
    with suppress(psutil.NoSuchProcess):
        with suppress(psutil.AccessDenied):  # student code can forbid the look at its shares
            if kind == "pss":
                return int(process.memory_full_info().pss)
        return int(process.memory_info().rss)
    return 0


def _cpu_times(process: psutil.Process) -> tuple[float, ...]:
    """Return the seconds that it has computed itself, twice, and those that its children had."""
    with suppress(psutil.Error, OSError):
        return tuple(process.cpu_times()[:4])
    return (0.0,)


def why_unavailable() -> str:
    """Return why no sandbox can be had here, "" if it can."""
    if not sys.platform.startswith("linux"):
        return "bubblewrap and its namespaces are Linux's alone"
    if shutil.which("bwrap") is None:
        return "bwrap was not found: on Debian and Ubuntu, apt-get install bubblewrap"
    try:
        filter_of_calls()
    except (OSError, AttributeError) as error:
        return (
            f"libseccomp was not found: on Debian and Ubuntu, apt-get install libseccomp2 ({error})"
        )
    reason = "" if can_nest() else why_failing(nested=False)
    return reason and f"{reason} {forbidden_by_apparmor()}".strip()


SYSTEM, RESTRICTION = Path("/proc/sys"), "kernel.apparmor_restrict_unprivileged_userns"


def forbidden_by_apparmor() -> str:
    """Return what to do about Ubuntu's ban on user namespaces, "" where there is none.

    Source: Ubuntu's notes on restricted unprivileged user namespaces, since its version 23.10.
    """
    with suppress(OSError):
        if (SYSTEM / RESTRICTION.replace(".", "/")).read_text("ascii").strip() == "1":
            return (
                "AppArmor keeps ordinary users from making namespaces here, as Ubuntu sets it. "
                f"Lift that until the next start by: sudo sysctl -w {RESTRICTION}=0"
            )
    return ""


@cache
def can_nest() -> bool:
    """Whether a sandbox may make namespaces for each worker; some systems forbid that."""
    return not why_failing(nested=True)


def why_failing(*, nested: bool) -> str:
    """Return why a worker did not come to life and to a good end in a sandbox, "" if one did."""
    place = in_sandbox(Limits(), nested=nested)
    try:
        with closing(ForkServer(place)) as server, closing(server.fork(Limits())) as worker:
            worker.hang_up()
            status = worker.exit_status()
            return "" if status == "0" else f"a worker ended with {status}. {server.last_words()}"
    except MarkerError as error:
        return str(error)


def limits_told() -> list[str]:
    """Return sentences on what holds workers to their limits here, and what doesn't."""
    told = []
    if not has_limits(parent_group()):
        told.append(
            "No control group (version 2) with limits can be made here: memory is looked at ten "
            "times a second."
        )
    if not parent_group():
        told.append("What children compute that end at once and unawaited is not counted, either.")
    if not can_nest():
        told.append(
            "Namespaces cannot be nested here: each worker starts a sandbox of its own, and the "
            "number of its files is not limited."
        )
    return [*told, "INSTRUCTOR.md tells what that leaves open."] if told else []
