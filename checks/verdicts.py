"""How the checks speak: one short verdict for each part and, where it is wrong, the likely cause.

A message says what was found, what was wanted, the likely cause in one sentence and one next step,
like those of Elm's and Rust's compilers. No traceback of a check ever reaches the student.
"""

import html
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from checks.asking import Halt, StudentError
from checks.comparison import CLOSE, Array, closeness, compared, distance
from checks.errors import student_places
from checks.exercises import section_of
from checks.facts import (
    general_fact,
    nearly,
    not_finite,
    off,
    relation,
    rounded,
    rows_fact,
    where_it_went,
)
from checks.faults import (
    ATTRIBUTE_MISSING,
    IS_NONE,
    NOT_NUMBERS,
    NOTHING_RETURNED,
    RAISED,
    UNFINISHED,
    UNKNOWN,
    VAGUE,
    Fault,
    Sample,
    asked_why,
    fact,
    find_fault,
)


@dataclass(frozen=True)
class Verdict:
    """On one part of one exercise: passed or not, the cause's key if not, and what to say."""

    exercise: str
    part: str
    passed: bool
    cause: str | None
    note: str
    found: str = ""
    wanted: str = ""
    likely: str = ""
    step: str = ""
    heading: str = ""  # what the message calls the part, if not by its name
    off: float = float("inf")  # how far the numbers are from the right ones

    @property
    def title(self) -> str:
        """The first line."""
        return f"{self.heading or self.part}: {self.note}"

    @property
    def lines(self) -> list[tuple[str, str]]:
        """What follows the first line, each with what it tells."""
        told = {"Found": self.found, "Wanted": self.wanted, "Likely cause": self.likely,
                "Next step": self.step}  # fmt: skip
        return [(what, text) for what, text in told.items() if text]

    @property
    def message(self) -> str:
        """All of it, as plain text."""
        return "\n".join([self.title, *(f"  {what}: {text}" for what, text in self.lines)])

    def by(self, fault: Fault) -> "Verdict":
        """Return this verdict with another cause."""
        return replace(self, cause=fault.key, likely=fault.likely, step=fault.step or self.step)

    @property
    def is_plain(self) -> bool:
        """Whether the message says "right" and nothing else."""
        return self.passed and self.note == "right"


COLOURS = {"✓": "#1a7f37", "✗": "#b42318", "○": "#57606a"}  # on which white can be read
CHIP = "color:#fff;background:{};border-radius:3px;padding:0 .4em;margin-right:.4em"


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

    @property
    def wrong(self) -> list[str]:
        """The parts that did not pass."""
        return [verdict.part for verdict in self if not verdict.passed]

    def told(self) -> list[Verdict]:
        """Return what there is to say: plain rights as one verdict, nothing and no cause twice."""
        told: list[Verdict] = []
        for plain, group in itertools.groupby(self, lambda verdict: verdict.is_plain):
            verdicts = list(group)
            if plain:
                parts = ", ".join(verdict.part for verdict in verdicts)
                told.append(replace(verdicts[0], part=parts))
            else:
                told += {v.message: v for v in map(self._shortened, verdicts)}.values()
        return told

    def _shortened(self, verdict: Verdict) -> Verdict:
        first = next(n for n, other in enumerate(self) if other.message == verdict.message)
        earlier = [(other.cause, other.likely) for other in self[:first]]
        if verdict.cause in (None, *VAGUE) or (verdict.cause, verdict.likely) not in earlier:
            return verdict
        return replace(verdict, found="", wanted="", likely="as above.", step="")

    def __str__(self) -> str:
        """Return all messages as plain text."""
        return "\n".join(verdict.message for verdict in self.told())

    def as_html(self) -> str:
        """Return all messages for a notebook: colour and a sign for right, wrong and not done."""
        return "".join(_as_html(verdict) for verdict in self.told())

    def _ipython_display_(self) -> None:
        """Show nothing: the check has shown its verdicts already."""


def _as_html(verdict: Verdict) -> str:
    sign, word = ("✓", "right") if verdict.passed else ("✗", "wrong")
    if verdict.cause == UNFINISHED.key:
        sign, word = "○", "not done yet"
    chip = f'<span style="{CHIP.format(COLOURS[sign])}">{sign} {word}</span>'
    rows = "".join(
        f'<div style="margin-left:2em"><b>{what}:</b> {_code(text)}</div>'
        for what, text in verdict.lines
    )
    return f'<div style="margin:.2em 0">{chip}{_code(verdict.title)}{rows}</div>'


STUDENTS = re.compile(r"line (\d+) of (mlp|training|cnn)\.py")


def _link(line: re.Match[str]) -> str:
    # JupyterLab opens a file at the line that follows "#line=", and counts lines from 0.
    return f'<a href="../helpers/{line[2]}.py#line={int(line[1]) - 1}">{line[0]}</a>'


def _code(text: str) -> str:
    """Return text as HTML: code between backticks, links that open the student's file there."""
    linked = STUDENTS.sub(_link, html.escape(text))
    parts = linked.split("`")
    if len(parts) % 2 == 0:
        return linked
    return "".join(f"<code>{p}</code>" if n % 2 else p for n, p in enumerate(parts))


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
        return Verdict(self.name, part, True, None, note)

    def wrong(
        self, part: str, found: str, wanted: str, fault: Fault = UNKNOWN, note: str = "wrong"
    ) -> Verdict:
        """Return the verdict that `part` is wrong, with the likely cause."""
        return Verdict(
            self.name, part, False, fault.key, note, found, wanted, fault.likely, fault.step
        )

    def halt(self, part: str, found: str, wanted: str, fault: Fault = UNKNOWN) -> NoReturn:
        """End the check with a wrong verdict."""
        raise Halt(self.wrong(part, found, wanted, fault))

    def unfinished(self, error: NotImplementedError) -> Verdict:
        """Return the verdict that the exercise, or one that it builds on, is still to be done."""
        own = student_places(error)
        name = own[-1].function.rpartition(".")[2] if own else self.name
        builds = "" if name in self.name else f" {self.name} builds on it."
        told = " ".join(str(error).split())
        step = told or f"write {name}, then run this check again. (See {section_of(self.task)}.)"
        found = f"{name} still holds `raise NotImplementedError`.{builds}"
        return Verdict(
            self.name, self.name, False, UNFINISHED.key, "not done yet", found, step=step
        )

    def error(self, error: StudentError, fault: Fault = RAISED) -> Verdict:
        """Return the verdict on an exception of the student's code."""
        if not asked_why():
            return self.wrong(error.call, "an exception.", "a result.", fault)
        told = error.explanation
        if fault.key == RAISED.key and told.likely:
            fault = Fault(told.key, told.likely, told.step)
        found = f"{error}." + (f" There, {told.facts}" if told.facts else "")
        fault = fault._replace(step=fault.step or told.step)
        return self.wrong(error.call, found, "a result, no exception.", fault)

    def numbers(self, part: str, value: Any) -> Array:
        """Return `value` as an array of numbers; end the check if it isn't one."""
        if value is None:
            self.halt(part, "None.", "an array of numbers.", NOTHING_RETURNED)
        try:
            if _holds_itself(value):
                raise ValueError(part)  # NumPy would look for its end for ever
            array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        except (ValueError, TypeError, RuntimeError):
            array = np.asarray(None)
        if array.dtype.kind not in "biuf":
            self.halt(part, f"a {type(value).__name__}.", "an array of numbers.", NOT_NUMBERS)
        return array

    def attribute(self, network: Any, name: str) -> Array:
        """Return a copy of an array of the student's network; end the check if there is none."""
        value = getattr(network, name, None)
        if value is None and hasattr(network, name):
            self.halt(name, "None.", "an array.", IS_NONE)
        if value is None:
            self.halt(name, f"no {name} in the network.", f"{name}, an array.", ATTRIBUTE_MISSING)
        return self.numbers(name, value).copy()

    def judge(
        self, part: str, samples: Sequence[Sample], faults: Iterable[Fault] = (), near: float = 0,
        close: float = CLOSE, facts: Iterable[Fault] = (),
    ) -> Verdict:  # fmt: skip
        """Compare what was found with what was wanted; see which fault explains all samples.

        Numbers up to `near` apart count as equal; `close` is the largest relative difference. The
        `wrong` of one of the `facts` says whether it holds of a result and its inputs.
        """
        samples = [sample._replace(found=self.numbers(part, sample.found)) for sample in samples]
        differences = [distance(sample.found, sample.wanted, near) for sample in samples]
        worst = max(differences)
        if worst < close:
            return self.right(part, "right" if near else closeness(worst))
        if not asked_why():
            found, wanted = "another result.", "the right one."
            return replace(self.wrong(part, found, wanted), off=off(samples))
        known = find_fault(samples, faults, near) or relation(samples) or nearly(samples, worst)
        known = known or fact(samples, facts) or rows_fact(samples) or general_fact(samples)
        known = known or rounded(samples, worst) or where_it_went(samples) or not_finite(samples)
        shown = next(s for s, d in zip(samples, differences, strict=True) if not d < close)
        found, wanted = compared(shown.found, shown.wanted)
        return self.wrong(part, found, wanted, known or UNKNOWN, closeness(worst))


def _holds_itself(value: Any, above: tuple[int, ...] = ()) -> bool:
    """Whether a list is its own entry, or one of its entries is, and so on."""
    if not isinstance(value, (list, tuple)):
        return False
    within = (*above, id(value))
    return id(value) in above or any(_holds_itself(part, within) for part in value)
