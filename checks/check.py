"""A check: a generator of verdicts on a student's functions, and what becomes of them."""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, ParamSpec
from unittest import mock

from checks.asking import Halt, StudentError
from checks.diagnosis import diagnosed
from checks.errors import explain, judging
from checks.exercises import Task, load_tasks
from checks.faults import UNKNOWN, Fault
from checks.source import syntax_slip
from checks.verdicts import Exercise, Report, Verdict

P = ParamSpec("P")
Part = Callable[[], Iterable[Any]]  # verdicts or parts, judged alone: an exception is a verdict too
Body = Callable[P, Iterator[Verdict | Part]]


class Check(Generic[P]):
    """A check of `exercise`, made of a generator of verdicts and parts.

    Whatever the student's code raises, and whatever it returns, ends in a verdict. Unless it
    `goes_on`, a check ends with the first part that is wrong: later parts would go wrong by it.
    """

    def __init__(
        self, body: Body[P], exercise: Exercise, goes_on: bool, stand_ins: dict[str, Any]
    ) -> None:
        self.body, self.exercise, self.goes_on = body, exercise, goes_on
        self.stand_ins = stand_ins  # right functions, for exercises that build on this one
        functools.update_wrapper(self, body)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Report:
        """Show the verdicts, and return them."""
        report = self.verdicts(*args, **kwargs)
        _show(report)
        return report

    def verdicts(self, *args: P.args, **kwargs: P.kwargs) -> Report:
        """Return the verdicts with their causes, and show nothing."""
        if slip := next(filter(None, map(syntax_slip, args)), None):
            return Report([_not_readable(self.exercise, slip)])
        with judging(self.task.writes), _on_one_core():
            began = time.process_time()
            report = self.run(*args, **kwargs)
            return report if report.passed else diagnosed(self, report, args, kwargs, began)

    @property
    def task(self) -> Task:
        """The exercise, as exercises.toml explains it."""
        return next(task for task in load_tasks() if task.name == self.exercise.task)

    def run(self, *args: P.args, **kwargs: P.kwargs) -> Report:
        """Return the verdicts up to the first wrong one, as the check alone finds them."""
        return self.until_wrong(self.goes_on, *args, **kwargs)

    def until_wrong(self, goes_on: bool, *args: P.args, **kwargs: P.kwargs) -> Report:
        """Return the verdicts up to the first wrong one, or all if it `goes_on`."""
        report = Report()
        for verdict in self._verdicts(lambda: self.body(*args, **kwargs)):
            report.append(verdict)
            if not (verdict.passed or goes_on):
                break
        return report

    def every_part(self, *args: P.args, **kwargs: P.kwargs) -> Report:
        """Return the verdicts on all parts, also on those after a wrong one, and show nothing."""
        with judging(self.task.writes), _on_one_core():
            return self.until_wrong(True, *args, **kwargs)

    def _verdicts(self, part: Part) -> Iterator[Verdict]:
        """Yield the verdicts of a part, and of the parts within."""
        try:
            for item in part():
                if isinstance(item, Verdict):
                    yield item
                else:
                    yield from self._verdicts(item)
        except Halt as halt:
            yield halt.verdict
        except NotImplementedError as error:
            yield self.exercise.unfinished(error)
        except StudentError as error:
            yield self.exercise.error(error)
        except Exception as error:
            yield _unreadable(self.exercise, error)


def check(
    exercise: Exercise, *, goes_on: bool = False, stand_ins: dict[str, Any] | None = None
) -> Callable[[Body[P]], Check[P]]:
    """Make a Check of a generator of verdicts and parts.

    `stand_ins` do right what the exercise's functions, by name, should do.
    """
    return lambda body: Check(body, exercise, goes_on, stand_ins or {})


@contextlib.contextmanager
def _on_one_core() -> Iterator[None]:
    """Let PyTorch compute on one thread of the CPU in the block, as suits small arrays.

    On a GPU a step may be replayed, and nobody could watch it.
    """
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    try:
        if torch:
            torch.set_num_threads(1)
        with mock.patch.dict(os.environ, DIGITS_DEVICE="cpu"):
            yield
    finally:
        if torch:
            torch.set_num_threads(before)


def _show(report: Report) -> None:
    """Show a report in the page of a notebook, or print it."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):
        shown = {"text/plain": str(report), "text/html": report.as_html()}
        sys.modules["IPython"].display.display(shown, raw=True)
    else:
        print(report)


def _not_readable(exercise: Exercise, slip: SyntaxError) -> Verdict:
    name = str(slip.filename).replace("\\", "/").rpartition("/")[2]
    fault = Fault(
        "syntax", "a slip in the spelling of this line or the one before: a colon, a parenthesis, "
        "a quote or the indentation.", "Mend that line, save the file, and run this cell again.",
    )  # fmt: skip
    line = (slip.text or "").strip()
    found = f"Python can't read line {slip.lineno} of {name}: `{line}` ({slip.msg})."
    return exercise.wrong(exercise.name, found, "valid Python.", fault, "not judged")


def _unreadable(exercise: Exercise, error: Exception) -> Verdict:
    wanted = f"what the docstring of {exercise.name} promises."
    if isinstance(error, AttributeError) and error.name:  # as of a class without forward
        told = explain(error)
        fault = Fault(told.key, told.likely, "Define it, with the name of the docstring.")
        return exercise.wrong(exercise.name, f"no `{error.name}`.", wanted, fault)
    found = f"a result that the check cannot read ({type(error).__name__}: {error})."
    told = explain(error)
    fault = Fault(told.key, told.likely, told.step) if told.likely else UNKNOWN
    return exercise.wrong(exercise.name, found, wanted, fault)
