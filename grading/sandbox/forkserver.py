"""The first program in a sandbox: it loads libraries once, and forks a worker whenever asked.

Importing PyTorch takes longer than all calls of a hand-in together. What a worker inherits is the
libraries as they were before any student's code ran. Three processes make one:

    guard    kills what is left as soon as the marker hangs up or the worker ends, and says how
    first    with it the kernel ends all other processes of its namespace
    worker   runs the student's code

    python forkserver.py FOLDER BYTES LIBRARY ...    is asked on standard input, a Unix socket

Workers get namespaces of their own, and scratch space of so many BYTES, unless these are 0. Where
other folders are mounted below that, as Python may be, they are found there as before.

None of these processes lets another one of its user look into it, until a worker is one.
"""

import contextlib
import fcntl
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
from typing import NoReturn

from worker import Channel, Worker, call

NEW_NAMESPACES = 0x20000 | 0x8000000 | 0x20000000 | 0x40000000  # mounts, IPC, processes, network
ALL_BELOW = 0x4000
BIND, PRIVATE = 0x1000 | ALL_BELOW, 0x40000 | ALL_BELOW
NO_SUID, NO_DEV, NO_EXEC = 0x2, 0x4, 0x8
FILE_BYTES = 4096  # an empty file takes memory, too: there may be one for so many bytes of space
DIE_WITH_PARENT, DUMPABLE = 1, 4  # options of prctl
SET_FLAGS, IS_UP = 0x8914, 1  # of a network interface
MANY_FILES = 1 << 20
# Files that come with a request: the guard's line to the marker, the worker's pipes, and the
# entrance of its control group, or of nowhere.
N_FILES = 4


def main(folder: str, n_bytes: int, libraries: list[str]) -> None:
    """Fork a worker for each request, until the marker hangs up."""
    os.umask(0o022)
    set_option(DUMPABLE, 0)
    for library in libraries:
        importlib.import_module(library)
    gc.freeze()  # so that no collection touches, and thereby copies, what all workers share
    control = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guards that ended need no looking after
    while True:
        request, files, _, _ = socket.recv_fds(control, 1, N_FILES)
        if not request:
            return
        try:
            child = os.fork()
        except OSError:
            child = -1  # the marker will find the line dead
        if child == 0:
            control.close()
            guard(folder, n_bytes, *files)
        for file in files:
            os.close(file)


def guard(folder: str, n_bytes: int, line: int, source: int, target: int, group: int) -> NoReturn:
    """Start a worker, wait, and leave nothing behind."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if n_bytes:
        call("unshare", NEW_NAMESPACES)
        raise_loopback()
    ended, not_ended = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(line)
        os.write(group, b"0")  # into which it moves, and with it all that it will start
        os.close(group)
        first_process(folder, n_bytes, source, target)
    for file in (not_ended, source, target, group):
        os.close(file)
    marker = socket.socket(fileno=line)
    marker.send(f"{os.getpid()}\n".encode())
    select.select([line, ended], [], [])
    os.kill(first, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    with contextlib.suppress(OSError):  # the marker may be gone
        marker.send(str(code).encode())
    os.killpg(0, signal.SIGKILL)  # without a namespace of processes some may be left
    os._exit(0)


def first_process(folder: str, n_bytes: int, source: int, target: int) -> NoReturn:
    """Be the first process, which looks after orphans, and end with the worker."""
    set_option(DIE_WITH_PARENT, signal.SIGKILL)
    if n_bytes:
        mount_anew(folder, n_bytes)
    worker = os.fork()
    if worker == 0:
        if n_bytes:
            os.setsid()
        os.dup2(source, 0)
        os.dup2(target, 1)
        os.closerange(3, MANY_FILES)
        set_option(DUMPABLE, 1)
        Worker(Channel(), folder).serve()
    os.close(source)
    os.close(target)
    while True:
        process, status = os.wait()
        if process == worker:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def mount_anew(folder: str, n_bytes: int) -> None:
    """Mount empty scratch space, and this namespace's processes and terminals, over the old."""
    mount(None, "/", None, PRIVATE)
    for scratch in (folder, "/tmp", "/dev/shm"):
        kept = [
            (path, os.path.isdir(path), os.open(path, os.O_PATH)) for path in mounted_below(scratch)
        ]
        options = f"size={n_bytes},nr_inodes={n_bytes // FILE_BYTES},mode=1777"
        mount("tmpfs", scratch, "tmpfs", NO_SUID | NO_DEV, options)
        for path, is_folder, file in kept:
            os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
            if not is_folder:
                os.mknod(path)
            mount(f"/proc/self/fd/{file}", path, None, BIND)
    mount("devpts", "/dev/pts", "devpts", NO_SUID | NO_EXEC, "newinstance,ptmxmode=0666,mode=0620")
    mount("proc", "/proc", "proc", NO_SUID | NO_DEV | NO_EXEC)


def set_option(option: int, value: int) -> None:
    """Set an option of this process. Raises OSError."""
    if sys.platform == "linux":
        call("prctl", option, value, 0, 0, 0)


def mounted_below(folder: str) -> list[str]:
    """Return the outermost mount points below a folder."""
    found: list[str] = []
    with open("/proc/self/mountinfo") as mounts:
        for path in sorted(line.split()[4] for line in mounts):
            if path.startswith(f"{folder}/") and not path.startswith(tuple(f"{p}/" for p in found)):
                found.append(path)
    return found


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mount as the system call does. Raises OSError."""
    names = [name and name.encode() for name in (source, target, kind)]
    call("mount", *names, flags, options.encode())


def raise_loopback() -> None:
    """Let processes talk to each other by local addresses, as a notebook and its kernel do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh", b"lo", IS_UP))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
