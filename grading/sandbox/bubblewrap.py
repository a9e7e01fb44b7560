"""The sandbox in which workers run: bubblewrap, namespaces and resource limits of the system.

Inside are Python, its libraries and the worker, all read-only; scratch space in memory, of bounded
size, that vanishes with it; no network, no other process, no environment, no home. A worker is user
1000 in a user namespace of its own. Where root marks, that is a user whom nobody else is, so that
the limit on processes holds.
"""

import os
import secrets
import site
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grading.sandbox.limits import Limits

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
CODE = [HERE / name for name in ("forkserver.py", "worker.py", "protocol.py", "torch_stand_ins.py")]
INSIDE = Path("/marker")
FOLDER = "/hand-in"
SCRATCH = "/tmp"
FIRST_USER, N_USERS = 0x70000000, 0x0FFFFFFF  # users that no system hands out
USER = 1000
SYSTEM = ("bin", "sbin", "lib", "lib64")
# Packages of this project that may be installed among the libraries.
INSTALLED = ("helpers", "machine", "checks", "plotting", "playground", "grading", "tests")


@dataclass(frozen=True)
class Place:
    """How to start the first program there, and what workers find."""

    command: list[str]
    environment: dict[str, str]
    scratch: str
    user: int = 0  # that a worker becomes, if it isn't that user yet
    is_sandbox: bool = False


def in_sandbox(
    limits: Limits,
    libraries: Sequence[str] = (),
    shown: Mapping[Path, str] | None = None,
    hidden: Sequence[Path] = (),
    *,
    nested: bool = True,
) -> Place:
    """Return the way to start a sandbox, with `libraries` loaded, in which workers are forked.

    If `nested`, each has namespaces and scratch folders of its own; else it is for one worker.
    Folders `shown` lie in that of the hand-in; `hidden` ones are not seen, wherever they are.
    """
    root, n_bytes = os.getuid() == 0, str(limits.scratch_mb << 20)
    command = [*(_namespace_for_root() if root else ()), "bwrap", *_namespaces(root, nested)]
    command += ["--as-pid-1", "--die-with-parent", "--new-session", "--clearenv"]
    command += ["--hostname", "sandbox", "--proc", "/proc", "--dev", "/dev"]
    # Memory shared by way of /dev/zero is seen by no limit once it is unmapped.
    command += ["--dev-bind", "/dev/null", "/dev/zero"]
    for folder in (FOLDER, SCRATCH, "/dev/shm"):  # first, for Python may lie below one of them
        empty = ["--dir"] if nested else ["--perms", "1777", "--size", n_bytes, "--tmpfs"]
        command += [*empty, folder]
    command += _contents(shown or {}, hidden)
    command += [part for pair in _environment(SCRATCH).items() for part in ("--setenv", *pair)]
    command += ["--", sys.executable, "-s", str(INSIDE / "forkserver.py"), FOLDER]
    command += [n_bytes if nested else "0", *libraries]
    return Place(command, {}, SCRATCH, USER if root else 0, is_sandbox=True)


def _contents(shown: Mapping[Path, str], hidden: Iterable[Path]) -> list[str]:
    """Return the flags for all that lies in the sandbox, read-only."""
    flags = _folders(hidden)
    flags += _bind(HERE / "passwd", Path("/etc/passwd"))
    flags += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for path in CODE:
        flags += _bind(path, INSIDE / path.name)
    for path, name in shown.items():
        flags += _bind(path, Path(FOLDER, name))
    return [*flags, "--remount-ro", "/dev", "--remount-ro", "/"]


def _folders(hidden: Iterable[Path]) -> list[str]:
    """Return the flags for the folders of the system and Python, without what lies hidden in them.

    What is further inside comes later: libraries are seen in a project that is hidden.
    """
    links = {path: path.readlink() for path in (Path("/", n) for n in SYSTEM) if path.is_symlink()}
    seen = [path for path in seen_folders() if path not in links and path.is_dir()]
    masks = _masks(seen, [PROJECT, *hidden])
    steps = [(len(p.parts), 0, p) for p in masks] + [(len(p.parts), 1, p) for p in {*seen}]
    flags = [part for path, to in links.items() for part in ("--symlink", str(to), str(path))]
    for _, is_seen, path in sorted(steps):
        flags += _bind(path, path) if is_seen else ["--tmpfs", str(path)]
    for prefix in {sys.prefix, sys.base_prefix}:
        if Path(prefix, "pyvenv.cfg").is_file():
            flags += _bind(Path(prefix, "pyvenv.cfg"), Path(prefix, "pyvenv.cfg"))
    return flags


def _masks(seen: Iterable[Path], hidden: Iterable[Path]) -> list[Path]:
    """Return the folders that would be seen and must not be."""
    installed = [Path(folder, name) for folder in site.getsitepackages() for name in INSTALLED]
    folders = {path.resolve() for path in hidden}.union(installed)
    return [p for p in folders if p.is_dir() and any(p.is_relative_to(each) for each in seen)]


def seen_folders() -> list[Path]:
    """Return the folders of programs and libraries."""
    real = Path(sys.executable).resolve().parents[1]
    prefixes = {Path(prefix) for prefix in (sys.base_prefix, sys.prefix)} | {real}
    system = [Path(top, name) for top in ("/", "/usr", "/usr/local") for name in SYSTEM]
    python = [prefix / name for prefix in prefixes for name in ("bin", "lib")]
    return [*system, *python, *map(Path, site.getsitepackages())]


def without_sandbox(scratch: Path, shown: Mapping[Path, str] | None = None) -> Place:
    """Return the way to start a worker with limits alone, which keeps out nobody who wants in."""
    folder = scratch / "hand-in"
    folder.mkdir()
    for path, name in (shown or {}).items():
        (folder / name).symlink_to(path)
    command = [sys.executable, "-s", str(HERE / "forkserver.py"), str(folder), "0"]
    return Place(command, _environment(str(scratch)), str(scratch))


def _namespaces(root: bool, nested: bool) -> list[str]:
    """Return the flags for all namespaces but root's of users, and for the rights in them.

    Of those are kept the ones to make a worker's namespaces, and to give up all rights.
    """
    may = ["SETPCAP", *(["SYS_ADMIN", "NET_ADMIN"] if nested else [])]
    kinds = ["ipc", "pid", "net", "uts", "cgroup-try"]
    flags = [f"--unshare-{kind}" for kind in (kinds if root else ["user", *kinds])]
    if root:
        may += ["SETUID", "SETGID"]
    else:
        flags += ["--uid", str(USER), "--gid", str(USER)]
    return [*flags, "--cap-drop", "ALL", *(p for r in may for p in ("--cap-add", f"CAP_{r}"))]


def _namespace_for_root() -> list[str]:
    return [sys.executable, "-I", "-S", str(HERE / "user_namespace.py"), str(user_of_its_own())]


def _bind(source: Path, target: Path) -> list[str]:
    """Return the flags for a read-only view; folders on the way must let everybody through."""
    parents = [
        parent for parent in reversed(target.parents) if str(parent) not in ("/", SCRATCH, FOLDER)
    ]
    flags = [part for parent in parents for part in ("--perms", "0755", "--dir", str(parent))]
    return [*flags, "--ro-bind", str(source), str(target)]


def _environment(home: str) -> dict[str, str]:
    """Return all that the worker knows of its surroundings."""
    return {
        "HOME": home, "TMPDIR": home, "DIGITS_OUTPUT": f"{home}/out",
        "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin",
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        "DIGITS_DEVICE": "cpu", "MPLBACKEND": "Agg", "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


def user_of_its_own() -> int:
    """Return the number of a user that nobody else is, of those that there are in a container."""
    n_users = int(Path("/proc/self/uid_map").read_text("ascii").split()[2])
    if n_users > FIRST_USER + N_USERS:
        return FIRST_USER + secrets.randbelow(N_USERS)
    return n_users // 2 + secrets.randbelow(n_users // 2)
