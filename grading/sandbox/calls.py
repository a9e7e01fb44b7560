"""The filter of system calls for student code (BPF), as libseccomp makes it.

Allowed is what Linux 5.0 had, without what is listed here. All that came later does not exist
inside, and libraries fall back on what was there before: so a call that nobody here has heard of
yet is refused as well.
"""

import ctypes
import ctypes.util
import errno
import os
import tempfile
from functools import cache

LAST = 423  # the number of the last call of Linux 5.0; later ones have one number on all machines
# What needs no rights, and reaches other processes, the kernel's rarely trodden paths, or memory
# that no limit sees. (What needs rights is refused by the kernel: a worker has none.)
REFUSED = """
    acct add_key bpf chroot fanotify_init finit_module init_module io_setup kcmp kexec_file_load
    kexec_load keyctl lookup_dcookie mbind memfd_create migrate_pages modify_ldt mount move_pages
    mq_open msgget name_to_handle_at open_by_handle_at perf_event_open personality pivot_root
    process_vm_readv process_vm_writev ptrace quotactl request_key semget set_mempolicy setns shmget
    swapoff swapon syslog umount2 unshare uselib userfaultfd ustat vhangup vmsplice
""".split()  # noqa: SIM905
ALLOW, ERROR = 0x7FFF0000, 0x50000
MASKED_EQUAL, OPTIMIZE, BINARY_TREE = 7, 8, 2
NEW_NAMESPACES = 0x7E020000
MAP_SHARED, MAP_ANONYMOUS = 0x01, 0x20
# Calls that are allowed only where these bits of this argument are 0; one of the rows will do.
# Shared memory without a name is seen by no limit once it is unmapped.
CONDITIONS = {
    "clone": [(0, NEW_NAMESPACES)],
    "mmap": [(3, MAP_SHARED), (3, MAP_ANONYMOUS)],
}


class _Comparison(ctypes.Structure):
    _fields_ = [
        ("argument", ctypes.c_uint), ("how", ctypes.c_int),
        ("mask", ctypes.c_uint64), ("wanted", ctypes.c_uint64),
    ]  # fmt: skip


def libseccomp() -> ctypes.CDLL:
    """Return libseccomp. Raises OSError if it is missing."""
    library = ctypes.CDLL(ctypes.util.find_library("seccomp") or "libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_char_p
    return library


@cache
def filter_of_calls() -> bytes:
    """Return the program of the filter. Raises OSError if it cannot be made."""
    library = libseccomp()
    context = ctypes.c_void_p(library.seccomp_init(ERROR | errno.ENOSYS))
    library.seccomp_attr_set(context, OPTIMIZE, BINARY_TREE)  # older ones do without
    for number in range(LAST + 1):
        name = (library.seccomp_syscall_resolve_num_arch(0, number) or b"").decode()
        for rule in _rules(name) if name else ():
            action = ERROR | errno.EPERM if name in REFUSED else ALLOW
            if library.seccomp_rule_add_array(context, action, number, len(rule), rule):
                raise OSError(f"libseccomp has no rule for {name}")
    with tempfile.TemporaryFile() as file:
        if library.seccomp_export_bpf(context, file.fileno()):
            raise OSError("libseccomp gave no filter")
        library.seccomp_release(context)
        file.seek(0, os.SEEK_SET)
        return file.read()


def _rules(name: str) -> list[ctypes.Array[_Comparison]]:
    """Return the conditions for a call, of which each is a rule."""
    rows = CONDITIONS.get(name)
    if rows is None:
        return [(_Comparison * 0)()]
    return [(_Comparison * 1)(_Comparison(n, MASKED_EQUAL, mask, 0)) for n, mask in rows]
