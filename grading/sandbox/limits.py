"""What a hand-in may use, and the error for surroundings that cannot hold it to that."""

import math
import threading
from dataclasses import dataclass, fields

WALL_FACTOR = 15  # how much longer than its limit a call may take if others use all cores
HAND_IN_WALL_FACTOR = 5  # likewise for a whole hand-in; beyond that, a person has to look at it


class MarkerError(BaseException):
    """The marker's own surroundings are broken: no marks may be given.

    It is no Exception, so that no check takes it for a mistake of a student.
    """


@dataclass(frozen=True)
class Limits:
    """What a hand-in may use. Raises ValueError for what is no limit.

    Seconds count while a worker runs or sleeps, not while it waits for a free core: a crowded
    machine costs nobody a mark. If its processes compute on several cores, these add up.
    """

    call_seconds: float = 20.0
    hand_in_seconds: float = 120.0
    cpu_seconds: int = 90
    memory_mb: int = 2048
    processes: int = 64
    files: int = 256
    scratch_mb: int = 64
    notebook_seconds: float = 1200.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kinds = (int,) if field.type is int else (int, float)
            # What is beyond a day or a terabyte limits nothing.
            if type(value) not in kinds or not (math.isfinite(value) and 0 < value <= 1 << 20):
                raise ValueError(
                    f"The limit {field.name} is {value!r}; wanted a number above 0, at most "
                    f"{1 << 20:,}{', without a fraction' if kinds == (int,) else ''}."
                )

    def of_the_system(self) -> dict[str, int]:
        """Return the limits for `setrlimit` by name."""
        memory = self.memory_mb << 20
        return {
            "RLIMIT_CPU": self.cpu_seconds,
            "RLIMIT_DATA": memory,
            # Libraries are mapped, not used: PyTorch with CUDA alone takes several GB of addresses.
            "RLIMIT_AS": memory + (16 << 30),
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_NOFILE": self.files,
            "RLIMIT_FSIZE": self.scratch_mb << 20,
            "RLIMIT_CORE": 0,
            "RLIMIT_MSGQUEUE": 0,
        }


class Budget:
    """The seconds of a whole hand-in, of which no part can use up what is reserved for the others.

    Half of them are reserved, the same for each part; the other half is for whoever needs it.
    """

    def __init__(self, seconds: float, n_parts: int) -> None:
        self.seconds, self.used, self.lock = seconds, 0.0, threading.Lock()
        self.reserve, self.n_left = seconds / 2 / max(1, n_parts), n_parts
        self.end = seconds

    def begin_part(self) -> None:
        """Set how much may be used until the end of the next part."""
        self.n_left -= 1
        self.end = self.seconds - self.reserve * self.n_left

    def begin_again(self) -> None:
        """Set how much may be used for the same part once more: no more than its reserve."""
        self.end = min(self.end, self.used + self.reserve)

    @property
    def left(self) -> float:
        """The seconds that this part still has."""
        return self.end - self.used
