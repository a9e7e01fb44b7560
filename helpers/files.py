"""Writing files so that nobody ever finds half of one."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Give a temporary file beside `path` to write to, and move it into place when all went well.

    If the block raises, the temporary file is removed and whatever stood at `path` stays.
    Missing parent folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name is random because two processes may save the same file at once.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
