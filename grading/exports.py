"""Marks in the forms in which course systems take them back: python -m grading.exports marks/.

The facts are from these files of each system.
Moodle: mod/assign/gradingtable.php writes the grading worksheet; its feedback plugins read it and
the zip of feedback again (offline/importgradeslib.php, file/importziplib.php). The headings are
translated, so columns are found by what is in them.
Canvas: a gradebook has a column `Title (id)` for each assignment.
nbgrader: plugins/export.py. Gradescope: gradescope-autograders.readthedocs.io/en/latest/specs.
PrairieLearn: docs/externalGrading.md.
Classroom 50: foundation50/classroom50, schemas/result-v1.schema.json, wiki/Advanced-Autograding.md.
"""

import argparse
import json
import math
import os
import re
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from pathlib import Path

from checks.exercises import FILE
from grading.collect.people import Finder, Table, read_table
from grading.exam import Exam, read_exam
from grading.late import read_late
from grading.report import table
from grading.results import Page, person_of, read_marks
from machine.files import atomic_write

NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
TITLED = re.compile(r"(?P<title>.+) \(\d+\)")
NBGRADER = ("assignment duedate timestamp student_id last_name first_name email raw_score "
            "late_submission_penalty score max_score")  # fmt: skip


# Tables that a system gave, filled


def fill_moodle(worksheet: Table, pages: Sequence[Page]) -> int:
    """Write points into Moodle's grading worksheet, left of the maximum; return how many.

    Raises ValueError if no column has the maximum, the same number in each row.
    """
    headings, *rows = worksheet.rows
    columns = {n: {row[n] for row in rows if len(row) > n} for n in range(1, len(headings))}
    most = [n for n, cells in columns.items() if len(cells) == 1 and _all_numbers(cells)]
    if not most:
        raise ValueError("no column has the maximum grade; wanted a grading worksheet of Moodle")
    numbers = [re.search(r"\d*$", row[0]) for row in rows]
    known = [
        [number[0] if number else "", *row[1 : most[-1] - 1]]
        for number, row in zip(numbers, rows, strict=True)
    ]
    return _filled(rows, known, most[-1] - 1, rows[0][most[-1]], pages)


def fill_canvas(gradebook: Table, pages: Sequence[Page], title: str = "") -> int:
    """Write points into an assignment's column of Canvas' gradebook; return how many.

    Raises ValueError unless there is one assignment of that title.
    """
    headings, *rows = gradebook.rows
    found = {n: match["title"] for n, h in enumerate(headings) if (match := TITLED.fullmatch(h))}
    columns = [n for n, told in found.items() if title in (told, headings[n], "")]
    if len(columns) != 1:
        raise ValueError(f"which assignment? Wanted --title, one of {sorted(found.values())}")
    students = [row for row in rows if row[1:2] and row[1].isdigit()]
    others = (row[columns[0]] for row in rows if row not in students and len(row) > columns[0])
    maximum = next((cell for cell in others if _all_numbers({cell})), "")
    known = [row[: min(found)] for row in students]
    return _filled(students, known, columns[0], maximum, pages)


def _all_numbers(cells: set[str]) -> bool:
    return all(NUMBER.fullmatch(cell.strip()) for cell in cells)


def _filled(
    rows: Sequence[list[str]], known: Sequence[Sequence[str]], column: int, maximum: str,
    pages: Sequence[Page],
) -> int:  # fmt: skip
    """Write the points of each page into the row that is theirs, in parts of that maximum."""
    finder, n_filled = Finder(known), 0
    for page in pages:
        number = finder.find(person_of(page))
        if number is None or page["points"] is None:
            continue
        most = float(maximum.replace(",", ".")) if maximum else page["maximum"]
        points = f"{round(page['points'] * most / page['maximum'], 2):g}"
        rows[number][column] = points.replace(".", ",") if "," in maximum else points
        n_filled += 1
    return n_filled


# Files of our own


def nbgrader_csv(pages: Sequence[Page], assignment: str, due: str) -> str:
    """Return what nbgrader's export would write."""
    rows = [NBGRADER.split()]
    for page in pages:
        if page["points"] is not None:
            first, _, last = page["name"].rpartition(" ")
            earned = page["points"] + page["deduction"]
            who = [page["id"] or page["login"] or page["name"], last, first, page["email"]]
            points = (earned, page["deduction"], page["points"], page["maximum"])
            told = [assignment, due, page["submitted"]]
            rows.append([*told, *who, *(f"{value:g}" for value in points)])
    return table(rows)


def feedback_zip(pages: Sequence[Page], folder: Path) -> bytes:
    """Return the pages of students in the folders in which Moodle takes them back."""
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for page in (page for page in pages if page["id"]):
            name = re.sub(r"[\\/:*?\"<>|_\x00-\x1f]+", " ", page["name"]).strip(". ") or "student"
            path = f"{name}_{page['id']}_assignsubmission_file_/feedback.html"
            content = (folder / "students" / page["slug"] / "feedback.html").read_bytes()
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


# What an autograder answers, for a single student


def gradescope(page: Page, exam: Exam) -> Page:
    """Return what Gradescope reads from /autograder/results/results.json."""
    tests = [
        {
            "name": each["name"], "score": each["points"], "max_score": each["maximum"],
            "status": "passed" if each["points"] >= each["maximum"] else "failed",
            "output": each["text"], "output_format": "text", "visibility": "visible",
        }
        for each in page["exercises"]
    ]  # fmt: skip
    return {
        "score": page["points"] or 0.0, "output": _notes(page), "output_format": "text",
        "visibility": "visible", "stdout_visibility": "hidden", "tests": tests,
    }  # fmt: skip


def prairielearn(page: Page, exam: Exam) -> Page:
    """Return what PrairieLearn reads from /grade/results/results.json."""
    if page["points"] is None:
        return {"gradable": False, "format_errors": page["problems"]}
    tests = [
        {
            "name": each["name"], "points": each["points"], "max_points": each["maximum"],
            "output": each["text"],
        }
        for each in page["exercises"]
    ]  # fmt: skip
    score = min(1.0, page["points"] / page["maximum"])
    return {"gradable": True, "score": score, "message": _notes(page), "tests": tests}


def classroom50(page: Page, exam: Exam, told: Mapping[str, str] = os.environ) -> Page:
    """Return what Classroom 50 reads from result.json: whole points, all multiplied if need be.

    Raises ValueError if its runner has not told what the hand-in is.
    """
    names = {
        "classroom": "CLASSROOM", "assignment": "ASSIGNMENT", "assignment_type": "ASSIGNMENT_TYPE",
        "owner": "OWNER", "submission": "SUBMISSION_TAG", "commit": "COMMIT_URL",
        "release": "RELEASE_URL",
    }  # fmt: skip
    if missing := [name for name in names.values() if not told.get(name)]:
        raise ValueError(f"the runner of Classroom 50 sets {', '.join(missing)}; nobody has.")
    worth = [points for task in exam.tasks for points in task.points.values()]
    worth += [each[key] for each in page["exercises"] for key in ("points", "maximum")]
    factor = math.lcm(*(Fraction(p).limit_denominator(100).denominator for p in worth))
    tests = [
        {
            "test-name": each["name"], "passed": each["points"] >= each["maximum"],
            "score": round(factor * each["points"]), "max-score": round(factor * each["maximum"]),
            "output": each["text"],
        }
        for each in page["exercises"]
    ]  # fmt: skip
    return {
        "schema": "classroom50/result/v1", **{key: told[name] for key, name in names.items()},
        "review": told.get("REVIEW_URL") or told["COMMIT_URL"],
        "datetime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "score": round(factor * (page["points"] or 0)),
        "max-score": round(factor * page["maximum"]),
        "tests": tests,
    }  # fmt: skip


def _notes(page: Page) -> str:
    reasons = [page["late"], page["override"], *page["problems"]]
    return "\n".join(filter(None, reasons))


ANSWERS: dict[str, Callable[[Page, Exam], Page]] = {
    "gradescope": gradescope, "prairielearn": prairielearn, "classroom50": classroom50,
}  # fmt: skip


# The command line


def main(arguments: list[str] | None = None) -> int:
    """Write what the command line asks for; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _export(options)
    except (ValueError, OSError) as error:
        print(f"Cannot export: {error}", file=sys.stderr)
        return 2


def _export(options: argparse.Namespace) -> int:
    pages, folder = read_marks(options.marks), options.marks / "give-back"
    if not pages:
        raise ValueError(f"{options.marks} holds no marks; run python -m grading first.")
    if options.answer:
        if len(pages) != 1:
            raise ValueError(f"{options.marks} holds {len(pages)} hand-ins; wanted a single one.")
        answer = ANSWERS[options.answer](pages[0], read_exam(options.config))
        _write(options.to or folder / "results.json", json.dumps(answer, indent=1).encode())
        return 0
    for path, fill in ((options.moodle, fill_moodle), (options.canvas, fill_canvas)):
        if path:
            given = read_table(path)
            extra = [options.title] if fill is fill_canvas else []
            n = fill(given, pages, *extra)
            _write(folder / path.name, given.written())
            print(f"{n} of {len(pages)} students were found in {path.name}.")
    due = read_late(options.config).due
    title = options.title or "digits-by-hand"
    text = nbgrader_csv(pages, title, due.isoformat() if due else "")
    _write(folder / "nbgrader.csv", text.encode())
    _write(folder / "feedback.zip", feedback_zip(pages, options.marks))
    print(f"Written to {folder}.")
    return 0


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as file:
        file.write(content)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m grading.exports", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("marks", type=Path, help="the folder that python -m grading wrote")
    parser.add_argument("--moodle", type=Path, help="a grading worksheet to fill")
    parser.add_argument("--canvas", type=Path, help="a gradebook to fill")
    parser.add_argument("--title", default="", help="of the assignment")
    parser.add_argument("--answer", choices=list(ANSWERS), help="write an autograder's answer")
    parser.add_argument("--to", type=Path, help="where the answer goes")
    parser.add_argument("--config", type=Path, default=FILE, help="points and limits (TOML)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
