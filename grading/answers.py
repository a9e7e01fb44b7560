"""What students wrote in their notebooks, and the questions that they answered."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
# What stands in a student's notebook where an answer belongs.
ANSWER = "*Your answer: double-click here, and put a few sentences in place of these.*"
ASKED = re.compile(r"\*\*Question (\d+)\.\*\* .*", re.DOTALL)
MARKER = re.compile(r"<!-- ### \w+ SOLUTION -->|\*\*Answer\.\*\*")
MAX_ANSWERS = 40
MAX_LENGTH = 10_000


@dataclass(frozen=True)
class Question:
    """A written question of the course, the fourth one of notebook 1 being "1.4"."""

    key: str
    text: str
    model: str  # the answer of the solution


def written_answers(notebooks: Mapping[str, bytes]) -> list[dict[str, str]]:
    """Return notebook, question and text of all Markdown cells that the student wrote or changed.

    The question is a key of `questions`, "" if it is none: that of the cell itself, or the last one
    before it without a text of the course in between. Places that were left as they came are
    passed over.
    """
    answers = []
    for name, content in sorted(notebooks.items()):
        asked = ""
        for cell in markdown_cells(content):
            text = source_of(cell).strip()
            question = next((each for each in questions().values() if each.text in text), None)
            if question:
                asked, text = question.key, text.partition(question.text)[2]
            elif text in course_texts():
                asked, text = "", ""
            if text := text.replace(ANSWER, "").strip():
                answers.append({"notebook": name, "question": asked, "text": text[:MAX_LENGTH]})
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
def course_texts() -> dict[str, str]:
    """Return the texts of all Markdown cells that come with the course, each with the next one."""
    found: dict[str, str] = {}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        texts = [source_of(cell).strip() for cell in markdown_cells(path.read_bytes())]
        found |= dict(zip(texts, [*texts[1:], ""], strict=True))
    return found


@cache
def questions() -> dict[str, Question]:
    """Return the course's written questions by key, in order."""
    return {question.key: question for question in _questions()}


def _questions() -> Iterator[Question]:
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in markdown_cells(path.read_bytes()):
            text = source_of(cell).strip()
            if match := ASKED.search(text):
                model = MARKER.sub("", course_texts()[text]).strip()
                yield Question(f"{path.stem.partition('_')[0]}.{match[1]}", match[0], model)
