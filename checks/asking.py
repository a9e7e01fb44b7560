"""Calling a student's function: whatever happens in it ends in a result or in a StudentError."""

import contextlib
import io
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np

from checks.errors import Explanation, TooLong, explain, raised_by_library, said, student_line

SECONDS = 20.0  # for one call of a student's function, which takes milliseconds if it is right
PAUSE = 0.02  # seconds of computing between two interruptions, in which a call can be left
_limit: list[float | None] = [SECONDS]
_guarded, _timing = [False], [False]  # whether a block is guarded, and a call is being timed
_begun, _last = [0.0, 0.0], [0.0]  # a call's beginning, in seconds of computing and by the clock


class Halt(Exception):  # noqa: N818  # not an error: the verdict says all there is to say
    """Ends a check with a last verdict."""

    def __init__(self, verdict: Any) -> None:  # a Verdict, which stands on this
        super().__init__(str(verdict))
        self.verdict = verdict


class StudentError(Exception):
    """The student's code raised `error` in `call`."""

    def __init__(self, call: str, error: BaseException) -> None:
        self.call, self.error, self.limit = call, error, _limit[0]
        super().__init__(call)

    @property
    def explanation(self) -> Explanation:
        """What the error means."""
        return explain(self.error)

    def __str__(self) -> str:
        """Say what happened, and where in the student's own code."""
        place = student_line(self.error)
        at = f", at {place}" if place else ""
        if isinstance(self.error, TooLong):
            return f"{self.call} did not come to its end within {self.limit:g} seconds{at}"
        if isinstance(self.error, SystemExit):
            return f"{self.call} ended the program by `exit`{at}"
        if isinstance(self.error, KeyboardInterrupt):
            return f"{self.call} was stopped by hand{at}"
        return f"{self.call} raised {said(self.error)}{at}"


def ask(call: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call the student's function; `call` names the call in messages.

    Raises NotImplementedError as it comes, anything else as a StudentError.
    """
    outer = _timing[0]
    try:
        with contextlib.nullcontext() if _guarded[0] else guarded():
            return _timed(function, *args, **kwargs)
    except Halt:
        raise
    except (Exception, SystemExit, KeyboardInterrupt, TooLong) as error:
        if isinstance(error, NotImplementedError) and not raised_by_library(error):
            raise
        raise StudentError(call, error) from error
    finally:
        _timing[0] = outer  # also if an alarm came just when the call had ended


def _timed(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function, and let `_stop` end it if it takes too long."""
    outer = _timing[0]
    if not outer:  # the time of a call within a call counts with that
        _begun[:] = time.process_time(), time.monotonic()  # first: an alarm may come at any time
    try:
        _timing[0] = True
        return function(*args, **kwargs)
    finally:
        _timing[0] = outer


@contextlib.contextmanager
def limited_to(seconds: float | None) -> Iterator[None]:
    """Give each call of a student's function so much time within the block, any if None."""
    _limit[0], before = seconds, _limit[0]
    try:
        yield
    finally:
        _limit[0] = before


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Ignore warnings and watch the time of all calls in the block, as one call needs it."""
    before, _guarded[0] = _guarded[0], True
    with warnings.catch_warnings(), np.errstate(all="ignore"), _alarms():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            _guarded[0] = before


@contextlib.contextmanager
def _alarms() -> Iterator[None]:
    """Call `_stop` again and again in the block; Windows has no such timer.

    Once isn't enough: what is raised where Python ignores it, as in a __del__, is lost.
    """
    here = threading.current_thread() is threading.main_thread()
    if not (here and _limit[0] and hasattr(signal, "setitimer")) or _is_running():
        yield
        return
    before, _last[0] = signal.signal(signal.SIGALRM, _stop), -PAUSE
    signal.setitimer(signal.ITIMER_REAL, _limit[0], 0.05)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _is_running() -> bool:
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _stop(number: int, frame: FrameType | None) -> None:
    if not _timing[0]:
        return
    now, limit = time.process_time(), _limit[0] or SECONDS
    waits = now - _begun[0] < limit / 2 and time.monotonic() - _begun[1] < 4 * limit
    if waits or now - _last[0] < PAUSE:  # on a busy machine, a right call waits for its turn
        return
    _last[0] = now
    raise TooLong


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow what is printed or displayed in the block, progress bars included."""
    if "IPython" in sys.modules:
        from IPython.utils.capture import capture_output

        with capture_output():
            yield
    else:
        nowhere = io.StringIO()
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            yield
