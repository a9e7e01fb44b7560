"""What a cell needs beside its subject: where results go, code on the page, guesses first."""

import inspect
import os
import re
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from textwrap import dedent
from types import TracebackType
from typing import Any

import ipywidgets as widgets
from IPython import get_ipython
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import Markdown, display

ROOT = Path(__file__).parent.parent
SOLUTION_MARK = re.compile(r" *### (BEGIN|END) SOLUTION\n")
YOURS_TO_WRITE = "is yours to write"  # in every message of an exercise that is not done yet


def output_folder(kind: str, source: str) -> Path:
    """Return the folder for results of a `kind` ("figures", "weights") on the data set `source`.

    Results on the stand-in go to build/, so that they never replace those on MNIST. The environment
    variable DIGITS_OUTPUT moves everything elsewhere; the tests use it.
    """
    root = Path(os.environ.get("DIGITS_OUTPUT", ROOT))
    return root / kind if source == "MNIST" else root / "build" / source / kind


def show_source(*functions: Callable[..., Any]) -> None:
    """Display the source code of `functions` in the page, without the marks of solutions."""
    code = "\n\n".join(dedent(inspect.getsource(function)) for function in functions)
    display(Markdown(f"```python\n{SOLUTION_MARK.sub('', code)}```"))


class Guess:
    """A question that is asked before its result is seen, and what was guessed."""

    def __init__(self, question: str, choices: Sequence[str] | None, answer: str) -> None:
        self.question, self.choices = question, choices
        value = answer or KEPT.get(question)
        if choices:
            value = value if value in choices else None
            kind, settings = widgets.RadioButtons, {"options": choices, "value": value}
        else:
            kind, settings = widgets.Text, {"value": value or "", "placeholder": "your guess"}
        self.widget = kind(layout={"width": "max-content"}, **settings)
        self.widget.observe(lambda change: KEPT.update({question: change["new"]}), "value")
        KEPT[question] = self.widget.value

    @property
    def answer(self) -> str:
        """What was guessed, "" for nothing."""
        return self.widget.value or ""

    def __str__(self) -> str:
        choices = f" ({', '.join(self.choices)})" if self.choices else ""
        return f"Your guess: {self.question}{choices}"


KEPT: dict[str, str | None] = {}  # the guesses by question, so that a cell may be run twice


def guess(question: str, choices: Sequence[str] | None = None, answer: str = "") -> Guess:
    """Ask for a guess, to be shown beside the result by `reveal`; nothing is a fine guess too.

    Shows buttons for `choices`, or a line to write on. Where no widgets can be drawn the question
    stands as plain text, and the guess can be given as `answer`.
    """
    asked = Guess(question, choices, answer)
    label = widgets.HTML(f"<b>Your guess:</b> {escape(question)}")
    box = widgets.VBox([label, asked.widget])
    # A front end draws the richest of these that it can.
    display(box._repr_mimebundle_() | {"text/plain": str(asked)}, raw=True)
    return asked


def reveal(asked: Guess, result: str) -> None:
    """Print the guess that `guess` returned beside the result."""
    print(f"Your guess: {asked.answer or 'none'}")
    print(f"The result: {result}")


def follow_changes() -> None:
    """Let the notebook notice what is changed in helpers/, and say kindly what is still to do.

    Before each cell IPython's autoreload loads changed modules again.
    """
    if shell := get_ipython():
        shell.run_line_magic("reload_ext", "autoreload")
        shell.run_line_magic("autoreload", "2")
        shell.set_custom_exc((NotImplementedError,), _show_unfinished)


def _show_unfinished(
    shell: InteractiveShell,
    kind: type[NotImplementedError],
    error: NotImplementedError,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> None:
    """Show an exercise that is not done yet by its message alone, other errors as ever."""
    if YOURS_TO_WRITE in str(error):
        error._render_traceback_ = str(error).splitlines  # type: ignore[attr-defined]  # IPython's
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
