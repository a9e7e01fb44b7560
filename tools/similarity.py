"""Compare what the students of a class wrote: python -m tools.similarity marks/.

It reads what `python -m grading` left in that folder, and writes similar.html there. Only the
functions that students write are compared, and what is given in them is left out. Names, comments
and the order of functions make no difference. Right solutions of short exercises are alike by
themselves: the page says where to look, and proves nothing.
"""

import argparse
from collections.abc import Mapping, Sequence
from io import StringIO
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from copydetect import CodeFingerprint, compare_files
from copydetect.utils import highlight_overlap
from markupsafe import Markup

from grading.collect.source import functions_of
from grading.marking import STUDENTS
from grading.report import rendered
from grading.results import read_marks
from machine.files import atomic_write
from tools.student_edition import student_edition

SMALLEST, SURE = 25, 30  # characters of code (names count as one) that are and must be found
TARGET = "similar.html"


def own_code(source: Mapping[str, Any]) -> str:
    """Return the text of all functions that somebody wrote."""
    return "\n\n".join(text for _, (_, text) in sorted(source.items()))


def given_code() -> str:
    """Return what is given of these functions."""
    files = student_edition()
    return own_code(functions_of({name: files[f"helpers/{name}"] for name in STUDENTS}))


def similar(texts: Mapping[str, str], given: str, n: int) -> list[dict[str, Any]]:
    """Return the `n` most similar pairs of texts: names, shares in common, and code as HTML."""
    skipped = np.array([*fingerprint(given).hashes])
    prints = {name: fingerprint(text, skipped) for name, text in texts.items()}
    found = []
    for names in combinations(texts, 2):
        _, shares, places = compare_files(*(prints[name] for name in names))
        if max(shares) > 0:
            found.append((max(shares), names, places))
    return [
        {
            "names": names, "share": round(100 * share),
            "code": [_marked(texts[name], own) for name, own in zip(names, places, strict=True)],
        }
        for share, names, places in sorted(found, key=lambda each: -each[0])[:n]
    ]  # fmt: skip


def fingerprint(text: str, skipped: Sequence[int] | np.ndarray = ()) -> CodeFingerprint:
    """Return what copydetect knows a text by, without the hashes that are `skipped`."""
    window = SURE - SMALLEST + 1
    return CodeFingerprint("x.py", SMALLEST, window, skipped, language="python", fp=StringIO(text))


def _marked(text: str, places: np.ndarray) -> Markup:
    """Return code with what is alike marked; all of it is escaped."""
    html, _ = highlight_overlap(text, places, "<mark>", "</mark>", escape_html=True)
    return Markup(html)


def main() -> None:
    """Compare as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("marks", type=Path, help="the folder that python -m grading wrote")
    parser.add_argument("--pairs", type=int, default=50, help="how many are shown")
    options = parser.parse_args()
    texts = {page["slug"]: own_code(page["source"]) for page in read_marks(options.marks)}
    pairs = similar(
        {name: text for name, text in texts.items() if text}, given_code(), options.pairs
    )
    with atomic_write(options.marks / TARGET) as file:
        file.write(rendered("similar.html.jinja", pairs=pairs, n=len(texts)).encode())
    print(f"{len(pairs)} pairs of {len(texts)} students: open {options.marks / TARGET}")


if __name__ == "__main__":
    main()
