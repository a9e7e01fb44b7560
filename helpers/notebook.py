"""Where a notebook leaves its results, and how it shows the code that it explains."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

from IPython.display import Markdown, display

ROOT = Path(__file__).parent.parent


def output_folder(kind: str, source: str) -> Path:
    """Return the folder for results of a `kind` ("figures", "weights") on the data set `source`.

    Results on the stand-in go to build/, so that they never replace those on MNIST. The environment
    variable DIGITS_OUTPUT moves everything elsewhere; the tests use it.
    """
    root = Path(os.environ.get("DIGITS_OUTPUT", ROOT))
    return root / kind if source == "MNIST" else root / "build" / source / kind


def show_source(*functions: Callable[..., Any]) -> None:
    """Display the source code of `functions` in the page."""
    code = "\n\n".join(dedent(inspect.getsource(function)) for function in functions)
    display(Markdown(f"```python\n{code}```"))
