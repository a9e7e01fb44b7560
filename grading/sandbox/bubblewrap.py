"""The sandbox in which workers run: bubblewrap, namespaces and resource limits of the system.

Inside are Python, its libraries and the worker, all read-only; scratch space in memory, of bounded
size, that vanishes with it; no network, no other process, no environment, no home. Started by root,
a worker becomes a user that nobody else is, so that the limit on processes holds as well.
"""

import errno
import importlib.util
import os
import platform
import site
import struct
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from grading.sandbox.limits import Limits

HERE = Path(__file__).parent
CODE = [HERE / name for name in ("forkserver.py", "worker.py", "protocol.py", "torch_stand_ins.py")]
INSIDE = Path("/marker")
FOLDER = "/hand-in"
SCRATCH = "/tmp"
# The machine's number, and those of its calls clone, unshare, and the first of three for keyrings.
CALLS = {"x86_64": (0xC000003E, 56, 272, 248), "aarch64": (0xC00000B7, 220, 97, 217)}
CLONE3 = 435
FIRST_USER = 0x70000000  # users that no system hands out, one for each process of the marker
BYTECODE = "import numpy, tqdm.auto, threadpoolctl, forkserver, torch, torch_stand_ins"


@dataclass(frozen=True)
class Place:
    """How to start the first program there, and what workers find."""

    command: list[str]
    environment: dict[str, str]
    scratch: str
    user: int = 0
    files: tuple[int, ...] = ()  # open ones that the command reads

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            os.close(file)


def filter_of_calls() -> int:
    """Return an open file with a filter of system calls (BPF) for bwrap, 0 if we have none.

    It refuses new user namespaces, in which mounts of any size could be made, and the kernel's
    keyrings, which are no namespace's and could hold a word for the next hand-in.
    """
    if platform.machine() not in CALLS:
        return 0
    machine, clone, unshare, keys = CALLS[platform.machine()]
    load, equal, at_least, has, give = 0x20, 0x15, 0x35, 0x45, 0x06
    program = (
        (load, 0, 0, 4), (equal, 0, 11, machine),  # the machine: another one is refused
        (load, 0, 0, 0), (at_least, 9, 0, 1 << 30), (equal, 9, 0, CLONE3),  # the call's number
        (at_least, 0, 1, keys), (at_least, 0, 6, keys + 3),
        (equal, 2, 0, clone), (equal, 1, 0, unshare), (give, 0, 0, 0x7FFF0000),
        (load, 0, 0, 16), (has, 1, 0, 0x10000000), (give, 0, 0, 0x7FFF0000),  # CLONE_NEWUSER
        (give, 0, 0, 0x50000 | errno.EPERM),
        (give, 0, 0, 0x50000 | errno.ENOSYS),  # of clone3, so that the C library takes clone
    )  # fmt: skip
    file = os.memfd_create("seccomp")
    os.write(file, b"".join(struct.pack("<HBBI", *step) for step in program))
    os.lseek(file, 0, os.SEEK_SET)
    return file


def in_sandbox(
    limits: Limits,
    bytecode: Path | None,
    libraries: Sequence[str] = (),
    shown: Mapping[Path, str] | None = None,
    *,
    nested: bool = True,
) -> Place:
    """Return the way to start a sandbox, with `libraries` loaded, in which workers are forked.

    If `nested`, each has namespaces and scratch folders of its own; else it is for one worker.
    Folders `shown` lie in that of the hand-in.
    """
    root, n_bytes = os.getuid() == 0, str(limits.scratch_mb << 20)
    command = ["bwrap", *_namespaces(root, nested), "--die-with-parent", "--new-session"]
    command += ["--clearenv", "--hostname", "sandbox", "--proc", "/proc", "--dev", "/dev"]
    for folder in (FOLDER, SCRATCH, "/dev/shm"):  # first, for Python may lie below one of them
        empty = ["--dir"] if nested else ["--perms", "1777", "--size", n_bytes, "--tmpfs"]
        command += [*empty, folder]
    command += _contents(bytecode, shown or {})
    if rules := filter_of_calls():
        command += ["--seccomp", str(rules)]
    environment = _environment(SCRATCH, str(INSIDE / "bytecode") if bytecode else None)
    command += _each("--setenv", environment.items())
    command += ["--", sys.executable, "-s", str(INSIDE / "forkserver.py"), FOLDER]
    user = user_of_its_own() if root else 0
    command += [n_bytes if nested else "0", *libraries]
    return Place(command, {}, SCRATCH, user, (rules,) if rules else ())


def _contents(bytecode: Path | None, shown: Mapping[Path, str]) -> list[str]:
    """Return the flags for all that lies in the sandbox, read-only."""
    flags = [*_system_folders(), *_python_folders()]
    for path in CODE:
        flags += _bind(path, INSIDE / path.name)
    if bytecode:
        flags += _bind(bytecode, INSIDE / "bytecode")
    for path, name in shown.items():
        flags += _bind(path, Path(FOLDER, name))
    return [*flags, "--remount-ro", "/dev", "--remount-ro", "/"]


def without_sandbox(
    scratch: Path, bytecode: Path | None, shown: Mapping[Path, str] | None = None
) -> Place:
    """Return the way to start a worker with limits alone, which keeps out nobody who wants in."""
    folder = scratch / "hand-in"
    folder.mkdir()
    for path, name in (shown or {}).items():
        (folder / name).symlink_to(path)
    environment = _environment(str(scratch), str(bytecode) if bytecode else None)
    command = [sys.executable, "-s", str(HERE / "forkserver.py"), str(folder), "0"]
    return Place(command, environment, str(scratch))


def _namespaces(root: bool, nested: bool) -> list[str]:
    """Return the flags for all namespaces; root needs no user namespace, and gives up its rights.

    Of those are kept the ones to make a worker's namespaces and to become another user.
    """
    may = ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"] if nested else []
    if root:
        flags = ["ipc", "pid", "net", "uts", "cgroup-try"]
        may += ["CAP_SETUID", "CAP_SETGID"]
    else:
        flags = ["all", "user"]
    never_again = ["--disable-userns"] if not root and _knows_disable() else []
    rights = [part for right in may for part in ("--cap-add", right)]
    return [*(f"--unshare-{flag}" for flag in flags), *never_again, "--cap-drop", "ALL", *rights]


@cache
def _knows_disable() -> bool:
    text = subprocess.run(["bwrap", "--help"], capture_output=True, text=True, check=False)
    return "--disable-userns" in text.stdout + text.stderr


def _system_folders() -> list[str]:
    arguments = ["--ro-bind", "/usr", "/usr"]
    for path in map(Path, ("/bin", "/lib", "/lib64", "/sbin")):
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            arguments += ["--ro-bind", str(path), str(path)]
    return [*arguments, "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]


def _python_folders() -> list[str]:
    """Return Python's folders, read-only; an installed copy of the project is hidden."""
    real = str(Path(sys.executable).resolve().parents[1])
    candidates = dict.fromkeys((sys.base_prefix, real, sys.prefix))
    prefixes = [prefix for prefix in candidates if not prefix.startswith("/usr")]
    arguments = [part for prefix in prefixes for part in _bind(Path(prefix), Path(prefix))]
    for folder in site.getsitepackages():
        for name in ("helpers", "checks", "plotting", "playground", "grading", "tests"):
            if Path(folder, name).is_dir():
                arguments += ["--tmpfs", str(Path(folder, name))]
    return arguments


def _bind(source: Path, target: Path) -> list[str]:
    """Return the flags for a read-only view; folders on the way must let everybody through."""
    parents = [
        parent for parent in reversed(target.parents) if str(parent) not in ("/", SCRATCH, FOLDER)
    ]
    flags = [part for parent in parents for part in ("--perms", "0755", "--dir", str(parent))]
    return [*flags, "--ro-bind", str(source), str(target)]


def _environment(home: str, bytecode: str | None) -> dict[str, str]:
    """Return all that the worker knows of its surroundings."""
    variables = {
        "HOME": home, "TMPDIR": home, "DIGITS_OUTPUT": f"{home}/out",
        "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin",
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        "DIGITS_DEVICE": "cpu", "MPLBACKEND": "Agg", "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    return variables | ({"PYTHONPYCACHEPREFIX": bytecode} if bytecode else {})


def _each(flag: str, values: Iterable[tuple[str, str]]) -> list[str]:
    return [part for pair in values for part in (flag, *pair)]


def user_of_its_own() -> int:
    """Return the number of a user that nobody else is, of those that there are in a container."""
    n_users = int(Path("/proc/self/uid_map").read_text("ascii").split()[2])
    user = FIRST_USER + os.getpid()
    return user if user < n_users else n_users // 2 + os.getpid() % (n_users // 2)


@cache
def bytecode_folder() -> Path | None:
    """Return a folder with the libraries' bytecode, None if it lies beside them as usual.

    A sandbox cannot write it, and compiling PyTorch anew for each hand-in takes seconds.
    """
    library = importlib.util.find_spec("torch")
    if library is None or library.origin is None:
        return None
    if sys.pycache_prefix is None and _compiled(library.origin):
        return None
    folder = HERE.parents[1] / "build" / f"bytecode-{version('torch')}-{version('numpy')}"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"PYTHONPYCACHEPREFIX": str(folder), "PYTHONPATH": str(HERE)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-c", BYTECODE]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        (folder / "complete").touch()
    return folder


def _compiled(source: str) -> bool:
    return Path(importlib.util.cache_from_source(source)).exists()
