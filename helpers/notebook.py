"""What a cell needs beside its subject: where results go, code on the page, guesses first."""

import inspect
import os
import re
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from textwrap import dedent
from types import TracebackType
from typing import Any, NamedTuple

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


class Guess(NamedTuple):
    """What was guessed before the result was seen; the widget's value, empty for nothing."""

    widget: widgets.RadioButtons | widgets.Text


KEPT: dict[str, str | None] = {}  # the guesses by question, so that a cell may be run twice


def guess(question: str, choices: Sequence[str] | None = None, answer: str = "") -> Guess:
    """Ask for a guess, to be shown beside the result by `reveal`; nothing is a fine guess too.

    Shows buttons for `choices`, or a line to write on. Where no widgets can be drawn the question
    stands as plain text, and the guess can be given as `answer`.
    """
    value = answer or KEPT.get(question)
    if choices:
        widget = widgets.RadioButtons(options=choices, value=value if value in choices else None)
    else:
        widget = widgets.Text(value or "", placeholder="your guess")
    widget.layout.width = "max-content"
    widget.observe(lambda change: KEPT.update({question: change["new"]}), "value")
    KEPT[question] = widget.value
    box = widgets.VBox([widgets.HTML(f"<b>Your guess:</b> {escape(question)}"), widget])
    text = f"Your guess: {question}" + (f" ({', '.join(choices)})" if choices else "")
    # A front end draws the richest of these that it can.
    display(box._repr_mimebundle_() | {"text/plain": text}, raw=True)
    return Guess(widget)


def reveal(asked: Guess, result: str) -> None:
    """Print the guess that `guess` returned beside the result."""
    print(f"Your guess: {asked.widget.value or 'none'}")
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
