"""What a hand-in may use, and the error for surroundings that cannot hold it to that."""

from dataclasses import dataclass


class MarkerError(BaseException):
    """The marker's own surroundings are broken: no marks may be given.

    It is no Exception, so that no check takes it for a mistake of a student.
    """


@dataclass(frozen=True)
class Limits:
    """What a hand-in may use. Seconds count while a worker runs or sleeps, not while it waits
    for a free core: a crowded machine costs nobody a mark."""

    call_seconds: float = 20.0
    hand_in_seconds: float = 120.0
    cpu_seconds: int = 90
    memory_mb: int = 2048
    processes: int = 64
    files: int = 256
    scratch_mb: int = 64
    notebook_seconds: float = 1200.0

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
        }
