"""How the checks speak: one short verdict a part and, where it is wrong, the likely cause in words.

A message says what was found, what was wanted, the likely cause in one sentence and one next step,
like those of Elm's and Rust's compilers. No traceback of a check ever reaches the student.
"""

import contextlib
import functools
import io
import itertools
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, NoReturn, ParamSpec

import numpy as np
from numpy.typing import NDArray

from checks.exercises import section_of

Array = NDArray[Any]
P = ParamSpec("P")

EXACT = 1e-12  # relative difference up to which only rounding of 64-bit numbers differs
SAME = 1e-6  # relative difference up to which a mistake explains what was found
CLOSE = 1e-4  # relative difference up to which a result is right


class Fault(NamedTuple):
    """A known mistake: its key for programs, the sentence that names it, and the next step.

    `wrong` is the function that a student would have written by that mistake; it tests the claim.
    """

    key: str
    likely: str
    step: str
    wrong: Callable[..., Any] | None = None


class Sample(NamedTuple):
    """What the student's function made of some inputs, and what was wanted."""

    found: Any
    wanted: Array
    inputs: tuple[Any, ...]


UNKNOWN = Fault(
    "unknown",
    "unknown; this is none of the usual mistakes.",
    "Take the smallest example that goes wrong, work it out on paper, and compare each line.",
)
UNFINISHED = Fault("unfinished", "", "")
RAISED = Fault("raised", "unknown; the line above is where Python stopped.", "")
NOTHING_RETURNED = Fault(
    "nothing returned", "the function ends without `return`.", "Return the result."
)
NOT_NUMBERS = Fault(
    "not numbers",
    "the result is not an array of numbers, so nothing can be compared.",
    "Print the result, and see which step last gave an array.",
)
ATTRIBUTE_MISSING = Fault(
    "attribute missing",
    "the network has nothing of this name.",
    "Use the names of the class docstring: W1, b1, W2, b2, and W1_grad to b2_grad.",
)
INPUT_CHANGED = Fault(
    "input changed",
    "the array that was passed in was changed in place, by `-=`, `*=`, `+=` or `[...] =`.",
    "Make a new array (`a = a - m`) so that the caller's array stays as it was.",
)


@dataclass(frozen=True)
class Verdict:
    """On one part of one exercise: passed or not, the cause's key if not, and the message."""

    exercise: str
    part: str
    passed: bool
    cause: str | None
    message: str

    @property
    def is_plain(self) -> bool:
        """Whether the message says "right" and nothing else."""
        return self.message == f"{self.part}: right"


class Report(list[Verdict]):
    """What one check found, in the order of its parts."""

    @property
    def passed(self) -> bool:
        """Whether there are verdicts and all of them passed."""
        return bool(self) and all(verdict.passed for verdict in self)

    @property
    def causes(self) -> list[str]:
        """The keys of the causes found, each once, the first one first."""
        return list(dict.fromkeys(verdict.cause for verdict in self if verdict.cause))

    def __str__(self) -> str:
        """Return all messages: plain rights in one line, nothing and no cause told twice."""
        lines: list[str] = []
        for plain, verdicts in itertools.groupby(self, lambda verdict: verdict.is_plain):
            if plain:
                lines.append(f"{', '.join(verdict.part for verdict in verdicts)}: right")
            else:
                lines += dict.fromkeys(self._message(verdict) for verdict in verdicts)
        return "\n".join(lines)

    def _message(self, verdict: Verdict) -> str:
        first = next(n for n, other in enumerate(self) if other.message == verdict.message)
        earlier = [other.cause for other in self[:first]]
        if verdict.cause in (None, UNKNOWN.key, RAISED.key) or verdict.cause not in earlier:
            return verdict.message
        title = verdict.message.partition("\n")[0]
        return f"{title}\n  Likely cause: as above."

    def _ipython_display_(self) -> None:
        """Show nothing: the check has printed its verdicts already."""


class Halt(Exception):  # noqa: N818  # not an error: the verdict says all there is to say
    """Ends a check with a last verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


class StudentError(Exception):
    """The student's code raised `error` in `call`; `place` is their own line."""

    def __init__(self, call: str, error: Exception) -> None:
        self.call, self.error, self.place = call, error, student_line(error)
        super().__init__(call)

    def __str__(self) -> str:
        reason = str(self.error).strip().partition("\n")[0]
        raised = f"{type(self.error).__name__}: {reason}".rstrip(": ")
        return f"{self.call} raised {raised}" + (f", at {self.place}" if self.place else "")


@dataclass(frozen=True)
class Exercise:
    """An exercise of exercises.toml, and what messages call it; makes its verdicts."""

    task: str
    title: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.title or self.task

    def right(self, part: str, note: str = "right") -> Verdict:
        """Return the verdict that `part` passed."""
        return Verdict(self.name, part, True, None, f"{part}: {note}")

    def wrong(
        self, part: str, found: str, wanted: str, fault: Fault = UNKNOWN, note: str = "wrong"
    ) -> Verdict:
        """Return the verdict that `part` is wrong, with the likely cause."""
        lines = [
            f"{part}: {note}",
            f"  Found: {found}",
            f"  Wanted: {wanted}",
            f"  Likely cause: {fault.likely}",
            f"  Next step: {fault.step}",
        ]
        return Verdict(self.name, part, False, fault.key, "\n".join(lines))

    def halt(self, part: str, found: str, wanted: str, fault: Fault = UNKNOWN) -> NoReturn:
        """End the check with a wrong verdict."""
        raise Halt(self.wrong(part, found, wanted, fault))

    def unfinished(self, error: NotImplementedError) -> Verdict:
        """Return the verdict that the exercise, or one that it builds on, is still to be done."""
        frames = student_frames(error)
        name = frames[-1].name if frames else self.name
        builds = "" if name in self.name else f" {self.name} builds on it."
        told = " ".join(str(error).split())
        step = told or f"write {name}, then run this check again. (See {section_of(self.task)}.)"
        text = (
            f"{self.name}: not done yet\n"
            f"  Found: {name} still holds `raise NotImplementedError`.{builds}\n"
            f"  Next step: {step}"
        )
        return Verdict(self.name, self.name, False, UNFINISHED.key, text)

    def error(self, error: StudentError, fault: Fault = RAISED) -> Verdict:
        """Return the verdict on an exception of the student's code."""
        step = fault.step or _next_step(error.error, self.name)
        return self.wrong(
            error.call, f"{error}.", "a result, no exception.", fault._replace(step=step)
        )

    def numbers(self, part: str, value: Any) -> Array:  # noqa: ANN401  # a student's result
        """Return `value` as an array of numbers; end the check if it isn't one."""
        if value is None:
            self.halt(part, "None.", "an array of numbers.", NOTHING_RETURNED)
        try:
            array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        except (ValueError, TypeError, RuntimeError):
            array = np.asarray(None)
        if array.dtype.kind not in "biuf":
            self.halt(part, f"a {type(value).__name__}.", "an array of numbers.", NOT_NUMBERS)
        return array

    def attribute(self, network: Any, name: str) -> Array:  # noqa: ANN401
        """Return a copy of an array of the student's network; end the check if there is none."""
        value = getattr(network, name, None)
        if value is None:
            self.halt(name, f"no {name} in the network.", f"{name}, an array.", ATTRIBUTE_MISSING)
        return self.numbers(name, value).copy()

    def judge(
        self, part: str, samples: Sequence[Sample], faults: Iterable[Fault] = (), near: float = 0
    ) -> Verdict:
        """Compare what was found with what was wanted; see which fault explains all samples.

        Numbers up to `near` apart count as equal.
        """
        samples = [sample._replace(found=self.numbers(part, sample.found)) for sample in samples]
        differences = [distance(sample.found, sample.wanted, near) for sample in samples]
        worst = max(differences)
        if worst < CLOSE:
            return self.right(part, "right" if near else closeness(worst))
        fault = find_fault(samples, faults, near) or UNKNOWN
        shown = next(s for s, d in zip(samples, differences, strict=True) if not d < CLOSE)
        return self.wrong(
            part, describe(shown.found), describe(shown.wanted), fault, closeness(worst)
        )


def find_fault(samples: Iterable[Sample], faults: Iterable[Fault], near: float = 0) -> Fault | None:
    """Return the first fault whose wrong function gives what was found in all samples, or None."""
    samples = list(samples)
    return next((f for f in faults if all(_gives(f, sample, near) for sample in samples)), None)


def _gives(fault: Fault, sample: Sample, near: float) -> bool:
    # A fault whose shapes don't fit these inputs cannot have done it.
    with np.errstate(all="ignore"), contextlib.suppress(ValueError, RuntimeError, IndexError):
        assert fault.wrong is not None
        return distance(sample.found, np.asarray(fault.wrong(*sample.inputs)), near) < SAME
    return False


def _next_step(error: Exception, exercise: str) -> str:
    if isinstance(error, (NameError, AttributeError)):
        return "See how that name is spelled where it gets its value, and whether that comes first."
    if isinstance(error, (ValueError, TypeError, IndexError, RuntimeError)):
        return (
            "Print the shapes of the arrays just before that line, and compare them with the "
            f"docstring of {exercise}."
        )
    return "Run that line by itself, with the smallest example that you can think of."


def distance(found: Array, wanted: Array, near: float = 0) -> float:
    """Return max|found - wanted| / max(|found|, |wanted|); infinity if shapes or NaNs differ.

    It is 0 if no two numbers are more than `near` apart.
    """
    if found.shape != wanted.shape:
        return float("inf")
    found, wanted = found.astype(float), wanted.astype(float)
    finite = np.isfinite(wanted)
    if not np.array_equal(found[~finite], wanted[~finite], equal_nan=True):
        return float("inf")
    found, wanted = found[finite], wanted[finite]
    if not np.isfinite(found).all():
        return float("inf")
    scale = max(np.abs(found).max(initial=0), np.abs(wanted).max(initial=0))
    apart = np.abs(found - wanted).max(initial=0)
    return float(apart / scale) if apart > near else 0.0


def gradient_verdict(difference: float) -> str:
    """Put a relative difference into a word: right, close, suspicious or wrong (NaN is wrong)."""
    for limit, word in ((1e-7, "right"), (1e-4, "close"), (1e-2, "suspicious")):
        if difference < limit:
            return word
    return "wrong"


def closeness(difference: float) -> str:
    """Say how close two arrays are: "exact, relative difference 2.1e-16, right"."""
    if not np.isfinite(difference):
        return "wrong"
    word = "exact" if difference < EXACT else "approximate" if difference < CLOSE else "different"
    return f"{word}, relative difference {difference:.1e}, {gradient_verdict(difference)}"


def describe(values: Array) -> str:
    """Show an array in a line: its first numbers, and its shape unless it is a single number."""
    flat = values.ravel()
    if values.ndim == 0:
        return f"{flat[0]:.6g}."
    numbers = ", ".join(f"{number:.4g}" for number in flat[:4])
    return f"{numbers}{', …' if flat.size > 4 else ''} in the shape {values.shape}."


def ask(call: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """Call the student's function; `call` names the call in messages.

    Raises NotImplementedError as it comes, any other exception as a StudentError.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return function(*args, **kwargs)
        except Halt:
            raise
        except Exception as error:
            if isinstance(error, NotImplementedError) and not _from_library(error):
                raise
            raise StudentError(call, error) from error


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


def _from_library(error: Exception) -> bool:
    """Whether a library raised `error`, in a frame of its own or in compiled code."""
    own = student_frames(error)
    if not own:
        return False
    last = _frames(error)[-1]
    return own[-1] != last or bool(last.line and type(error).__name__ not in last.line)


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return all frames of `error`.

    A stand-in for student code in another process may set `error.frames` to those over there.
    """
    told: list[traceback.FrameSummary] | None = getattr(error, "frames", None)
    return list(traceback.extract_tb(error.__traceback__)) if told is None else told


def student_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of `error` that are neither the checks' nor a library's."""
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    return [
        frame
        for frame in _frames(error)
        if not any(frame.filename.startswith(library) for library in libraries)
        and not _is_ours(frame.filename)
    ]


def _is_ours(filename: str) -> bool:
    return Path(filename).parent == Path(__file__).parent


def student_line(error: BaseException) -> str:
    """Say where in the student's own code `error` arose, "" if that isn't known."""
    frames = student_frames(error)
    if not frames:
        return ""
    filename, number = frames[-1].filename, frames[-1].lineno or 0
    code = (frames[-1].line or "").strip()
    cell = "ipykernel" in filename or filename.startswith("<")
    place = "the cell" if cell else Path(filename).name
    return f"line {number} of {place}" + (f": `{code}`" if code else "")


Part = Callable[[], Iterable[Any]]  # verdicts or parts, judged alone: an exception is a verdict too
Body = Callable[P, Iterator[Verdict | Part]]


class Check(Generic[P]):
    """A check of `exercise`, made of a generator of verdicts and parts.

    Whatever the student's code raises, and whatever it returns, ends in a verdict. Unless it
    `goes_on`, a check ends with the first part that is wrong: later parts would go wrong by it.
    """

    def __init__(self, body: Body[P], exercise: Exercise, goes_on: bool) -> None:
        self.body, self.exercise, self.goes_on = body, exercise, goes_on
        functools.update_wrapper(self, body)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Report:
        """Print the verdicts, and return them."""
        report = Report()
        for verdict in self._verdicts(lambda: self.body(*args, **kwargs)):
            report.append(verdict)
            if not (verdict.passed or self.goes_on):
                break
        print(report)
        return report

    def every_part(self, *args: P.args, **kwargs: P.kwargs) -> Report:
        """Return the verdicts on all parts, also on those after a wrong one, and print nothing."""
        return Report(self._verdicts(lambda: self.body(*args, **kwargs)))

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


def check(exercise: Exercise, *, goes_on: bool = False) -> Callable[[Body[P]], Check[P]]:
    """Make a Check of a generator of verdicts and parts."""
    return lambda body: Check(body, exercise, goes_on)


def _unreadable(exercise: Exercise, error: Exception) -> Verdict:
    return exercise.wrong(
        exercise.name,
        f"a result that the check cannot read ({type(error).__name__}: {error}).",
        f"what the docstring of {exercise.name} promises.",
    )
