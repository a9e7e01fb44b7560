"""What the marker leaves behind: marks.csv, report.html and a feedback.md for each student.

All text of students is escaped where it stands: in HTML by the template, in CSV so that no
spreadsheet takes it for a formula, in Markdown as quoted blocks.
"""

import csv
import hashlib
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from grading.exam import Exam
from helpers.files import atomic_write

Result = dict[str, Any]
TEMPLATES = Path(__file__).parent
BINS = 10
BY_HAND = "by hand"
SLUG_BYTES = 120
HASH = re.compile(r"-[0-9a-f]{8}$")  # so that nobody is called like another one's page


def write_reports(results: Sequence[Result], exam: Exam, folder: Path) -> None:
    """Write the class's marks and pages into `folder`. Raises OSError if that cannot be done."""
    pages = [page | {"slug": slug} for page, slug in zip(results, slugs(results), strict=True)]
    _write(folder / "marks.csv", marks_csv(pages, exam))
    _write(folder / "report.html", report_html(pages, exam))
    for page in pages:
        _write(folder / "students" / page["slug"] / "feedback.md", feedback(page))


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def slugs(results: Sequence[Result]) -> list[str]:
    """Return a name for each student that is safe in paths and addresses, each another one."""
    safe = [re.sub(r"[^\w-]+", "_", result["name"]).encode()[:SLUG_BYTES] for result in results]
    names = [name.decode(errors="ignore").strip("_") or "_" for name in safe]
    times = Counter(map(_alike, names))
    return [
        f"{name}-{_hash(result['name'])}" if times[_alike(name)] > 1 or HASH.search(name) else name
        for name, result in zip(names, results, strict=True)
    ]


def _alike(name: str) -> str:
    """Return what is the same for two names that some file system takes for one."""
    return unicodedata.normalize("NFKC", name).casefold()


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]


def number(points: float | None) -> str:
    """Return points as people write them: 3, 2.5, or a word where there are none."""
    return BY_HAND if points is None else f"{points:g}"


# marks.csv


def marks_csv(pages: Sequence[Result], exam: Exam) -> str:
    """Return a table with a row for each student."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    names = [task.name for task in exam.tasks]
    writer.writerow(["student", "points", "maximum", *names, "problems"])
    for page in pages:
        points = {each["name"]: number(each["points"]) for each in page["exercises"]}
        cells = [number(page["points"]), number(page["maximum"])]
        cells += [points.get(name, BY_HAND) for name in names]
        writer.writerow([safe_cell(page["name"]), *cells, safe_cell(" ".join(page["problems"]))])
    return text.getvalue()


def safe_cell(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula, whatever it cuts cells at."""
    start = "'" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else ""
    return start + text[:1] + re.sub(r"([;,|\t\r\n])(?=\s*[=+@-])", r"\1'", text[1:])


# feedback.md


def feedback(page: Result) -> str:
    """Return what a student reads: each exercise's verdicts, as in the notebook, and points."""
    lines = [f"# Feedback for {_inline(page['name'])}", ""]
    lines += [f"**{number(page['points'])} of {number(page['maximum'])} points**", ""]
    for problem in page["problems"]:
        lines += [f"- {_inline(problem)}"]
    for each in page["exercises"]:
        lines += [
            "",
            f"## {each['name']}: {number(each['points'])} of {number(each['maximum'])}",
            "",
        ]
        lines += _block(each["text"])
    for notebook in page.get("notebooks", ()):
        lines += ["", f"## {_inline(notebook['name'])}, executed again", ""]
        lines += _block("\n".join(notebook["lines"]))
    return "\n".join(lines) + "\n"


def _block(text: str) -> list[str]:
    """Return lines of a code block; being indented, none of them can end it."""
    return [f"    {line}" for line in text.splitlines()]


def _inline(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#!|&])", r"\\\1", text.replace("\n", " "))


# report.html


def report_html(pages: Sequence[Result], exam: Exam) -> str:
    """Return the overview of the class and a page for each student, in one file."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = number
    marked = [page["points"] for page in pages if page["points"] is not None]
    return environment.get_template("report.html.jinja").render(
        pages=pages, exam=exam, bins=histogram(marked, exam.maximum),
        mean=mean(marked) if marked else 0, median=median(marked) if marked else 0,
        tasks=[overview(task.name, task.maximum, pages) for task in exam.tasks],
        seeds=sorted({page["seed"] for page in pages}),
        seconds=_seconds(pages),
    )  # fmt: skip


def histogram(points: Sequence[float], maximum: float) -> list[dict[str, Any]]:
    """Return how many have how many points, in ten bins, with the height of each bar."""
    counts = Counter(min(int(BINS * value / maximum), BINS - 1) for value in points)
    tallest = max(counts.values(), default=1)
    return [
        {
            "low": number(round(n * maximum / BINS, 2)), "n": counts[n],
            "high": number(round((n + 1) * maximum / BINS, 2)),
            "height": round(100 * counts[n] / tallest, 1),
        }
        for n in range(BINS)
    ]  # fmt: skip


def overview(name: str, maximum: float, pages: Sequence[Result]) -> dict[str, Any]:
    """Return how the class did in an exercise: points, and how many made which mistake."""
    exercises = [each for page in pages for each in page["exercises"] if each["name"] == name]
    causes = Counter(each["cause"] for each in exercises if each["cause"])
    points = [each["points"] for each in exercises]
    return {
        "name": name, "maximum": maximum, "mean": mean(points) if points else 0,
        "right": sum(each["points"] == maximum for each in exercises), "n": len(exercises),
        "bins": histogram(points, maximum), "causes": causes.most_common(),
    }  # fmt: skip


def _seconds(pages: Sequence[Result]) -> dict[str, float]:
    seconds = [page["seconds"] for page in pages if page["seconds"]]
    total = sum(each["all"] for each in seconds)
    starting = sum(each["starting"] for each in seconds)
    return {
        "mean": total / max(1, len(seconds)),
        "starting": 100 * starting / total if total else 0,
    }
