"""Workers come from one fork server, and know nothing of each other."""

import errno
import sys
from contextlib import contextmanager
from dataclasses import replace

import psutil
import pytest

from grading.crew import Bounds, alone
from grading.marking import LIBRARIES
from grading.sandbox import processes
from grading.sandbox.calls import LAST, REFUSED, libseccomp
from grading.sandbox.processes import why_failing
from grading.sandbox.remote import Ended, Session
from grading.sandbox.surroundings import Surroundings
from tests.grading.test_hand_ins import LIMITS, REASON, needs_sandbox

pytestmark = [needs_sandbox, pytest.mark.skipif(sys.platform != "linux", reason="wants Linux")]

KEYS = 0 if REASON else libseccomp().seccomp_syscall_resolve_name(b"add_key")
PLACES = ("/tmp/note", "/dev/shm/note", "note", "/hand-in/note")
STUDENT = f"""
import ctypes, os, socket, subprocess, time

C = ctypes.CDLL(None)
SHARED = 54321
opened = []


def leave():
    for path in {PLACES}:
        with open(path, "w") as file:
            file.write("for the next one")
    opened.append(socket.socket(socket.AF_UNIX))
    opened[0].bind("\\0note")
    opened[0].listen()
    opened.append(os.openpty())
    assert C.shmget(SHARED, 4096, 0o1666) == -1
    os.environ["NOTE"] = "for the next one"
    subprocess.Popen(["/usr/bin/sleep", "54321"], start_new_session=True)
    return found()


def found():
    n_found = sum(os.path.exists(path) for path in {PLACES}) + ("NOTE" in os.environ)
    n_found += socket.socket(socket.AF_UNIX).connect_ex("\\0note") == 0
    n_found += sum(name.isdigit() for name in os.listdir("/dev/pts"))
    return n_found + sum(name.isdigit() for name in os.listdir("/proc")) - 2


def rights():
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status"))
    return [int(status[f"Cap{{k}}"], 16) for k in ("Inh", "Prm", "Eff", "Bnd", "Amb")].count(0)


def new_namespaces():
    return [C.unshare(kind) for kind in (0x20000, 0x10000000, 0x20000000)].count(-1)


def keyrings():
    made = C.syscall({KEYS}, b"user", b"note", b"x", 1, -4)
    return [made, C.syscall({KEYS} + 2, 0, -4, 0)].count(-1)


def errors_of(numbers):
    c = ctypes.CDLL(None, use_errno=True)
    return [c.syscall(n, 0, 0, 0, 0, 0, 0) == -1 and ctypes.get_errno() for n in numbers]


def wait():
    time.sleep(54321)
"""


@contextmanager
def new_session():
    libraries = LIBRARIES["numpy"]
    with Surroundings().worker(libraries, LIMITS) as process:
        files = {"helpers/__init__.py": b"", "helpers/mlp.py": STUDENT.encode()}
        yield Session(process, files, libraries, LIMITS)


def call(session, name):
    return session.load("mlp", name)()


def test_nothing_reaches_a_worker_from_another_one_before_or_beside_it():
    with new_session() as session:
        assert call(session, "leave") == len(PLACES) + 4
        with new_session() as beside:
            assert call(beside, "found") == 0
    with new_session() as session:
        assert call(session, "found") == 0


def test_a_worker_has_no_rights_and_cannot_get_any():
    with new_session() as session:
        assert call(session, "rights") == 5
        assert call(session, "new_namespaces") == 3


def test_a_worker_has_no_keyrings():
    with new_session() as session:
        assert call(session, "keyrings") == 2


def test_calls_of_the_kernel_that_are_new_or_refused_do_nothing():
    """As io_uring, memfd_secret and clone3 are new; perf_event_open, bpf and ptrace refused."""
    resolve = libseccomp().seccomp_syscall_resolve_name
    refused = [number for name in REFUSED if (number := resolve(name.encode())) >= 0]
    new = range(LAST + 1, LAST + 100)
    with new_session() as session:
        errors = session.load("mlp", "errors_of")
        assert errors(refused) == len(refused) * [errno.EPERM]
        assert errors([*new]) == len(new) * [errno.ENOSYS]


def test_with_a_worker_all_that_it_started_ends():
    with new_session() as session:
        call(session, "leave")
        family = [session.process.guard, *session.process.guard.children(recursive=True)]
    assert len(family) == 4
    assert not psutil.wait_procs(family, timeout=60)[1]


def test_without_its_guard_a_worker_ends():
    with new_session() as session:
        family = session.process.guard.children(recursive=True)
        session.process.guard.kill()
        assert not psutil.wait_procs(family, timeout=60)[1]
        with pytest.raises(Ended):
            call(session, "found")


def test_a_fork_server_that_was_killed_is_replaced():
    with new_session() as session:
        server = session.process.server
        server.process.kill()
        with pytest.raises(Ended):
            call(session, "wait")
    with new_session() as session:
        assert call(session, "found") == 0
        assert session.process.server is not server


def test_a_system_that_forbids_nesting_is_noticed(monkeypatch):
    def without_rights(*args, **kwargs):
        place = in_sandbox(*args, **kwargs)
        return replace(place, command=[p.replace("SYS_ADMIN", "SYS_TIME") for p in place.command])

    in_sandbox = processes.in_sandbox
    assert why_failing(nested=True) == ""
    monkeypatch.setattr(processes, "in_sandbox", without_rights)
    assert "not permitted" in why_failing(nested=True)


@pytest.mark.parametrize(("setting", "is_told"), [("1\n", True), ("0\n", False), (None, False)])
def test_where_apparmor_is_in_the_way_it_is_named(monkeypatch, tmp_path, setting, is_told):
    if setting is not None:
        (tmp_path / "kernel").mkdir()
        place = tmp_path / "kernel" / "apparmor_restrict_unprivileged_userns"
        place.write_text(setting, encoding="ascii")
    monkeypatch.setattr(processes, "SYSTEM", tmp_path)
    monkeypatch.setattr(processes, "can_nest", lambda: False)
    monkeypatch.setattr(processes, "why_failing", lambda nested: "bwrap: Permission denied")
    told = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    assert processes.why_unavailable().startswith("bwrap: Permission denied")
    assert (told in processes.why_unavailable()) == is_told


def test_a_process_that_is_forked_later_uses_the_server_that_is_there():
    surroundings = Surroundings()
    server = surroundings.prepare((), LIMITS)
    found = alone(lambda: repr(surroundings.prepare((), LIMITS) is server).encode(), Bounds(60))
    surroundings.close()
    assert found == b"True"
