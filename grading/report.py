"""What the marker leaves behind: marks.csv, report.html, and a page for each student.

All text of students is escaped where it stands: in HTML by the template, in CSV so that no
spreadsheet takes it for a formula, in Markdown as quoted blocks.
"""

import base64
import csv
import hashlib
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import mean, median
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from checks.exercises import Task
from grading.answers import questions
from grading.exam import Exam
from grading.interview import questions_for
from grading.results import DEFAULTS, Page
from grading.typeset import typeset
from grading.written import MAXIMUM, NOTHING, Written, answers_by_question
from grading.written import digest as digest_of
from machine.files import atomic_write

Result = dict[str, Any]
HERE = Path(__file__).parent
BINS = 10
BY_HAND = "by hand"
SLUG_BYTES = 120
HASH = re.compile(r"-[0-9a-f]{8}$")  # so that nobody is called like another one's page


def write_reports(
    results: Sequence[Result], exam: Exam, folder: Path,
    changed: Sequence[Sequence[str]] = (), missing: Sequence[str] = (), written: Written = NOTHING,
) -> None:  # fmt: skip
    """Write the class's marks and pages into `folder`. Raises OSError if that cannot be done."""
    filled = [DEFAULTS | {"key": result["name"]} | result for result in results]
    pages = [page | {"slug": slug} for page, slug in zip(filled, slugs(filled), strict=True)]
    _write(folder / "marks.csv", marks_csv(pages, exam))
    _write(folder / "marks.json", json.dumps(pages, indent=1))
    rows = [["student", "exercise", "before", "now"], *changed]
    _write(folder / "changes.csv", table(rows))
    _write(folder / "report.html", index_html(pages, exam, changed, missing))
    asked_of = [(page, questions_for(page)) for page in pages]
    _write(folder / "interviews.html", rendered("interviews.html.jinja", pages=asked_of))
    if answers := answers_by_question(pages):
        _write(
            folder / "answers.html",
            answers_html(answers, written, digest_of(str(folder.resolve()))),
        )
    for page in pages:
        _write(folder / "students" / page["slug"] / "feedback.md", feedback(page))
        _write(folder / "students" / page["slug"] / "feedback.html", student_html(page, exam))


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


def marks_csv(pages: Sequence[Page], exam: Exam) -> str:
    """Return a table with a row for each student."""
    names = [task.name for task in exam.tasks]
    identity = ["id", "email", "login"]
    rows = [["student", *identity, "points", "maximum", *names, "deduction", "late", "problems"]]
    for page in pages:
        points = {each["name"]: number(each["points"]) for each in page["exercises"]}
        cells = [number(page["points"]), number(page["maximum"])]
        cells += [points.get(name, BY_HAND) for name in names]
        told = [number(page["deduction"]), page["late"], " ".join(page["problems"])]
        rows.append([page["name"], *(page[key] for key in identity), *cells, *told])
    return table(rows)


def table(rows: Iterable[Iterable[str]]) -> str:
    """Return a CSV file that spreadsheets open rightly: marked as UTF-8, without formulas."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(map(safe_cell, row) for row in rows)
    return f"\N{ZERO WIDTH NO-BREAK SPACE}{text.getvalue()}"


def safe_cell(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula, whatever it cuts cells at."""
    start = "'" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else ""
    return start + text[:1] + re.sub(r"([;,|\t\r\n])(?=\s*[=+@-])", r"\1'", text[1:])


# feedback.md


def feedback(page: Result) -> str:
    """Return what a student reads: each exercise's verdicts, as in the notebook, and points."""
    lines = [f"# Feedback for {_inline(page['name'])}", ""]
    lines += [f"**{number(page['points'])} of {number(page['maximum'])} points**", ""]
    reasons = [page["late"], page["override"] and f"Marked by hand: {page['override']}"]
    for problem in (*filter(None, reasons), *page["problems"]):
        lines += [f"- {_inline(problem)}"]
    for each in page["exercises"]:
        lines += [
            "",
            f"## {each['name']}: {number(each['points'])} of {number(each['maximum'])}",
            "",
        ]
        if each.get("override"):
            lines += [f"Marked by hand: {_inline(each['override'])}", ""]
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


# Pages


def index_html(
    pages: Sequence[Page], exam: Exam, changed: Sequence[object], missing: Sequence[str]
) -> str:
    """Return the overview of the class: its mistakes, and the matrix of students and exercises."""
    marked = [page["points"] for page in pages if page["points"] is not None]
    found = mistakes(pages, exam)
    made: dict[str, list[int]] = {page["key"]: [] for page in pages}
    for n, mistake in enumerate(found):
        for page in mistake["pages"]:
            made[page["key"]].append(n)
    return rendered(
        "report.html.jinja", pages=pages, exam=exam, changed=changed, missing=missing, made=made,
        mistakes=found, **_script("report.js"),
        rows=[(page, {each["name"]: each for each in page["exercises"]}) for page in pages],
        bins=histogram(marked, exam.maximum), mean=mean(marked) if marked else 0,
        median=median(marked) if marked else 0, seeds=sorted({page["seed"] for page in pages}),
        tasks=[overview(task.name, task.maximum, pages) for task in exam.tasks],
    )  # fmt: skip


def answers_html(answers: Mapping[str, Sequence[Result]], written: Written, key: str) -> str:
    """Return the page on which a person marks written answers; `key` is another one elsewhere."""
    given = written | {"maximum": MAXIMUM, "key": key}
    return rendered(
        "answers.html.jinja", answers=answers, asked=asked(), given=given, **_script("answers.js")
    )


@cache
def asked() -> dict[str, dict[str, Markup]]:
    """Return the course's written questions and the solution's answers, as HTML."""
    return {
        key: {"text": Markup(typeset(each.text)), "model": Markup(typeset(each.model))}
        for key, each in questions().items()
    }


def _script(name: str) -> dict[str, str]:
    """Return a script, and the digest by which a page allows it and no other."""
    script = (HERE / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {"script": Markup(script), "digest": digest}


def student_html(page: Page, exam: Exam) -> str:
    """Return what a student gets: what cost most first, and their own lines beside it."""
    tasks = {task.name: task for task in exam.tasks}
    blank = {"question": "", "answer": "", "override": "", "assumed": ""}
    exercises = [blank | each for each in page["exercises"]]
    lost = [each for each in exercises if each["points"] < each["maximum"]]
    right = [each for each in exercises if each["points"] >= each["maximum"]]
    marked = {each["question"] for each in exercises} - {""}
    lost.sort(key=lambda each: each["points"] - each["maximum"])
    return rendered(
        "student.html.jinja", page=page, lost=lost, right=right, asked=asked(),
        others=[each for each in page["answers"] if each["question"] not in marked],
        code={name: own_code(page, task) for name, task in tasks.items()},
    )  # fmt: skip


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    style = Markup((HERE / "report.css").read_text(encoding="utf-8"))
    environment.globals["style"] = style
    environment.filters |= {"number": number, "code": with_code}
    return environment


def rendered(template: str, **values: Any) -> str:
    """Return a page made from a template of this folder; texts in `values` are escaped."""
    return _environment().get_template(template).render(**values)


def with_code(text: str) -> Markup:
    """Return text as HTML, with what stands between backticks as code."""
    parts = str(escape(text)).split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup(f"<code>{part}</code>" if n % 2 else part) for n, part in enumerate(parts)
    )


def own_code(page: Page, task: Task) -> list[list[tuple[int, str]]]:
    """Return the numbered lines of each function that the student wrote for an exercise."""
    found = (page["source"].get(f"{task.module}.{name}") for name in task.writes)
    return [list(enumerate(each[1].split("\n"), each[0])) for each in found if each]


def mistakes(pages: Sequence[Page], exam: Exam) -> list[dict[str, Any]]:
    """Return each mistake in a sentence, and the pages of those who made it; frequent ones first.

    The sentence is the one that most of them were told.
    """
    made: dict[tuple[str, str], list[tuple[str, Page]]] = {}
    for page in pages:
        for each in page["exercises"]:
            if each["cause"] and each["points"] < each["maximum"]:
                wrong = (v for v in each["verdicts"] if v["cause"] == each["cause"])
                told = next((v["likely"] for v in wrong), "") or f"{each['cause']}."
                made.setdefault((each["name"], each["cause"]), []).append((told, page))
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for (name, cause), found in made.items():
        sentence = Counter(told for told, _ in found).most_common(1)[0][0]
        by = [page for _, page in found]
        # What the same students were told in several exercises is one mistake, as a missing file.
        row = rows.setdefault(
            (cause, sentence, *(page["key"] for page in by)),
            {"exercises": [], "cause": cause, "pages": by, "sentence": sentence},
        )
        row["exercises"].append(name)
    return sorted(rows.values(), key=lambda row: -len(row["pages"]))


def histogram(points: Sequence[float], maximum: float) -> list[dict[str, Any]]:
    """Return how many have how many points, in ten bins, with the height of each bar."""
    counts = Counter(min(int(BINS * value / maximum), BINS - 1) for value in points)
    tallest = max(counts.values(), default=1)
    return [
        {
            "low": number(round(n * maximum / BINS, 1)), "n": counts[n],
            "high": number(round((n + 1) * maximum / BINS, 1)),
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
