"""Control groups, version 2, of which each worker gets one where the system lets us make them.

The kernel then counts all memory of all its processes, of whatever kind, and ends them together.
"""

import os
import time
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

from grading.sandbox.limits import Limits

END_SECONDS = 5.0
RUN = f"digits-{os.getpid()}"  # also in processes that are forked later
_numbers = count()


@cache
def parent_group() -> Path | None:
    """Return the group, ours or one above, in which we can make groups, if any.

    Best is one whose groups can have limits; but the kernel counts computing in all of them.
    """
    try:
        lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        mounts = [line for line in lines if line[line.index("-") + 1] == "cgroup2"]
        groups = Path("/proc/self/cgroup").read_text().splitlines()
        own = next(group[3:] for group in groups if group.startswith("0::"))
        top = Path(mounts[0][4])
        path = top / Path(own).relative_to(mounts[0][3])
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    above = [each for each in (path, *path.parents) if each.is_relative_to(top)]
    ours = [each for each in above if _is_ours(each)]
    return next((each for each in ours if has_limits(each)), (*ours, None)[0])


def _is_ours(path: Path) -> bool:
    """Whether groups can be made here, and processes of ours moved into them."""
    return all(os.access(place, os.W_OK) for place in (path, path / "cgroup.procs"))


def has_limits(path: Path | None) -> bool:
    """Whether the groups made in this one have limits on memory and processes."""
    with suppress(OSError):
        return path is not None and {"memory", "pids"} <= set(
            (path / "cgroup.subtree_control").read_text().split()
        )
    return False


class Group:
    """A control group for the processes of one worker. Raises OSError if it cannot be made."""

    def __init__(self, parent: Path, limits: Limits) -> None:
        self.path = parent / f"{RUN}-{os.getpid()}-{next(_numbers)}"
        self.path.mkdir()
        self.limits_memory = self._limit("memory.max", limits.memory_mb << 20)
        self._limit("memory.oom.group", 1)
        self._limit("memory.swap.max", 0)
        self._limit("pids.max", limits.processes + 1)  # with the first of its namespace
        try:
            # Whoever has this open can move itself into the group, even from a sandbox.
            self.entrance = os.open(self.path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            self.path.rmdir()
            raise

    def cpu_seconds(self) -> float:
        """Return the time that all its processes have computed, of those that ended as well."""
        return self._read("cpu.stat", "usage_usec") / 1e6

    def is_out_of_memory(self) -> bool:
        """Whether the kernel has ended a process for want of memory."""
        return self._read("memory.events", "oom_kill") > 0

    def close(self) -> None:
        """End all its processes, and the group."""
        os.close(self.entrance)
        with suppress(OSError):  # before Linux 5.14 the worker's namespace alone ends them
            (self.path / "cgroup.kill").write_text("1")
        end = time.monotonic() + END_SECONDS
        while time.monotonic() < end:
            with suppress(OSError):  # until the kernel has buried the last
                return self.path.rmdir()
            time.sleep(0.002)

    def _limit(self, name: str, value: int) -> bool:
        """Set a limit, and return whether there is such a one here."""
        with suppress(OSError):
            (self.path / name).write_text(str(value))
            return True
        return False

    def _read(self, name: str, key: str) -> int:
        with suppress(OSError):
            rows = (line.split() for line in (self.path / name).read_text().splitlines())
            return next((int(row[1]) for row in rows if row[0] == key), 0)
        return 0
