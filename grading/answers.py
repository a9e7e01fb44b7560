"""What students wrote in their notebooks, for a person to mark."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
# What stands in a student's notebook where an answer belongs.
ANSWER = "*Your answer: double-click here, and put a few sentences in place of these.*"
MAX_ANSWERS = 40
MAX_LENGTH = 10_000


def written_answers(notebooks: Mapping[str, bytes]) -> list[dict[str, str]]:
    """Return notebook, question and text of all Markdown cells that the student wrote or changed.

    The question is the cell before, if it is one; a place for an answer that was left as it came is
    passed over.
    """
    answers = []
    for name, content in sorted(notebooks.items()):
        question = ""
        for cell in markdown_cells(content):
            text = source_of(cell).strip()
            if text and text != ANSWER and text not in course_texts():
                answers.append({"notebook": name, "question": question, "text": text[:MAX_LENGTH]})
            question = text[:MAX_LENGTH] if text.startswith("**Question") else ""
    return answers[:MAX_ANSWERS]


def markdown_cells(content: bytes) -> list[dict[str, Any]]:
    """Return the Markdown cells of a notebook, none if it cannot be read."""
    try:
        cells = json.loads(content.decode("utf-8", "replace"))["cells"]
        return [cell for cell in cells if cell["cell_type"] == "markdown" and source_of(cell)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def source_of(cell: Mapping[str, Any]) -> str:
    """Return the text of a cell, "" if there is none."""
    source = cell.get("source")
    lines = source if isinstance(source, list) else [source]
    return "".join(line for line in lines if isinstance(line, str))


@cache
def course_texts() -> frozenset[str]:
    """Return the texts of all Markdown cells that come with the course."""
    cells = [
        cell for path in NOTEBOOKS.glob("*.ipynb") for cell in markdown_cells(path.read_bytes())
    ]
    return frozenset(source_of(cell).strip() for cell in cells)
