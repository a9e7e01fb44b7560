"""Marks come back in the forms that course systems read, whatever the language and the names."""

import csv
import io
import json
import random
import re
import zipfile
from fractions import Fraction

import jsonschema
import pytest

from grading import exports
from grading.collect.people import read_table
from grading.exam import read_exam
from grading.exports import (
    classroom50,
    feedback_zip,
    fill_canvas,
    fill_moodle,
    gradescope,
    main,
    nbgrader_csv,
    prairielearn,
)
from grading.report import write_reports
from grading.results import DEFAULTS
from tests.grading.downloads import draw_class
from tests.grading.test_report import HOSTILE, drawn

EXAM = read_exam()
# The headings of Moodle's worksheet as its language packs say them.
HEADINGS = {
    "en": "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
          "Last modified (submission),Last modified (grade),Feedback comments",
    "de": "ID,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Bestwertung,Bewertung kann "
          "geändert werden,Zuletzt geändert (Abgabe),Zuletzt geändert (Bewertung),Feedback",
    "ja": "識別子,フルネーム,メールアドレス,ステータス,評点,最大評点,評点変更可,"
          "最終更新日時 (提出),最終更新日時 (評点),フィードバックコメント",
    "es": "Identificador,Nombre completo,Dirección de correo,Estado,Calificación,Calificación "
          "máxima,La calificación puede ser cambiada,Última modificación (entrega),"
          "Última modificación (calificación),Comentarios",
}  # fmt: skip
PARTICIPANT = {"en": "Participant ", "de": "Teilnehmer/in", "ja": "参加者", "es": "Participante "}


def pages_of(rng, students):
    """Draw the marks of a class, one of whom is to be looked at by hand."""
    found = list(drawn(rng, EXAM, [student.name for student in students]))
    for page, student in zip(found, students, strict=True):
        page |= {"id": student.id, "login": student.login, "email": student.email}
    found[0] |= {"points": None, "exercises": [], "problems": ["nothing was found"]}
    return [DEFAULTS | page | {"slug": page["key"]} for page in found]


def written(path, rows, comma=",", mark=False):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=comma).writerows(rows)
    path.write_bytes(text.getvalue().encode("utf-8-sig" if mark else "utf-8"))
    return read_table(path)


@pytest.mark.parametrize("language", HEADINGS)
@pytest.mark.parametrize("seed", range(5))
def test_the_worksheet_of_moodle_is_filled_in_any_language(language, seed, tmp_path):
    rng = random.Random(f"{language} {seed}")
    students = draw_class(rng, 8)
    pages, most = pages_of(rng, students), rng.choice(["100,00", "76.00", "84"])
    headings = HEADINGS[language].split(",")
    changes, hidden = rng.random() < 0.5, rng.random() < 0.3  # an ID number; no names
    rows = []
    for student in students:
        row = [f"{PARTICIPANT[language]}{student.id}", student.name, student.email, "No", "", most,
               "Yes", "-", "-", "x, y\nz"]  # fmt: skip
        rows.append(row[:2] + ["0042"] * changes + row[2:])
    headings[2:2] = ["ID"] * changes
    if hidden:
        rows, headings = [[r[0], *r[3:]] for r in rows], [headings[0], *headings[3:]]
    rng.shuffle(rows)
    sheet = written(tmp_path / "w.csv", [headings, *rows], rng.choice(",;\t"), seed % 2 == 0)
    before = [list(row) for row in sheet.rows]
    assert fill_moodle(sheet, pages) == 7
    (tmp_path / "new.csv").write_bytes(sheet.written())
    again = read_table(tmp_path / "new.csv")
    column = before[1].index(most) - 1
    assert again.has_mark == (seed % 2 == 0)
    for row, old in zip(again.rows, before, strict=True):
        assert row[:column] + row[column + 1 :] == old[:column] + old[column + 1 :]
    for page in pages[1:]:
        (row,) = (row for row in again.rows if row[0].endswith(page["id"]))
        given = float(row[column].replace(",", ".")) / float(most.replace(",", "."))
        assert given == pytest.approx(page["points"] / page["maximum"], abs=1e-4)
        assert "." not in row[column] or "," not in most
    assert next(row[column] for row in again.rows if row[0].endswith(pages[0]["id"])) == ""


@pytest.mark.parametrize("seed", range(10))
def test_the_gradebook_of_canvas_is_filled_in_the_right_column(seed, tmp_path):
    rng = random.Random(seed)
    students = draw_class(rng, 8)
    pages = pages_of(rng, students)
    titles = ["Digits (by hand) (77)", "Essay (78)", "Current Score"]
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *titles]
    rows = [["    Points Possible", "", "", "", "", "84", "10", "(read only)"]]
    for student in rng.sample(students, 8):
        words = student.name.split()
        name = ", ".join([words[-1], " ".join(words[:-1])]) if words[1:] else student.name
        rows.append([name, student.id, "", student.login, "A", "", "9", "90"])
    book = written(tmp_path / "g.csv", [head, *rows])
    with pytest.raises(ValueError, match="which assignment"):
        fill_canvas(book, pages)
    assert fill_canvas(book, pages, "Digits (by hand)") == 7
    for page in pages[1:]:
        (row,) = (row for row in book.rows if row[1] == page["id"])
        assert float(row[5]) == pytest.approx(page["points"], abs=0.01)
    assert all(row[6:] == ["9", "90"] for row in book.rows[2:])


def test_what_is_no_worksheet_is_told(tmp_path):
    sheet = written(tmp_path / "w.csv", [["a", "b"], ["1", "x"]])
    with pytest.raises(ValueError, match="maximum grade"):
        fill_moodle(sheet, [])


def test_the_table_of_nbgrader_has_its_columns_and_no_formulas():
    pages = pages_of(random.Random(1), draw_class(random.Random(1), 3))
    pages[1] |= {"name": "=cmd() Doe", "deduction": 2.5, "id": ""}
    text = nbgrader_csv(pages, "digits", "2026-12-01")
    assert text[0] == "\ufeff"
    first, second = csv.DictReader(io.StringIO(text[1:]))
    assert list(first) == exports.NBGRADER.split()
    assert (first["first_name"], first["last_name"]) == ("'=cmd()", "Doe")
    assert float(first["raw_score"]) - 2.5 == float(first["score"]) == pages[1]["points"]
    assert second["student_id"] == pages[2]["id"]


MOODLES = re.compile(r"[^/_]+_(\d+)_assignsubmission_file_/[^/]+")


def test_the_zip_of_feedback_has_the_folders_of_moodle(tmp_path):
    rng = random.Random(3)
    names = [*(s.name for s in draw_class(rng, 5)), *HOSTILE, "a_b/c", "..", ""]
    pages = [DEFAULTS | page | {"slug": page["key"]} for page in drawn(rng, EXAM, names)]
    write_reports(pages, EXAM, tmp_path)
    pages = json.loads((tmp_path / "marks.json").read_text("utf-8"))
    with zipfile.ZipFile(io.BytesIO(feedback_zip(pages, tmp_path))) as archive:
        ids = [MOODLES.fullmatch(name)[1] for name in archive.namelist()]
        assert ids == [page["id"] for page in pages]
        for name, page in zip(archive.namelist(), pages, strict=True):
            slug = tmp_path / "students" / page["slug"] / "feedback.html"
            assert archive.read(name) == slug.read_bytes()


# What autograders answer. The rules are those of the pages that grading/exports.py names.

TEXT, NUMBER, POINTS = {"type": "string"}, {"type": "number", "minimum": 0}, {
    "type": "integer", "minimum": 0}  # fmt: skip
FORMATS = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
VISIBLE = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}


def closed(required, **properties):
    return {
        "type": "object", "additionalProperties": False, "properties": properties,
        "required": required.split(),
    }  # fmt: skip


GRADESCOPE = closed(
    "tests",
    score=NUMBER, execution_time=NUMBER, output=TEXT, output_format=FORMATS, visibility=VISIBLE,
    test_output_format=FORMATS, test_name_format=FORMATS, stdout_visibility=VISIBLE,
    extra_data={"type": "object"}, leaderboard={"type": "array"},
    tests={"type": "array", "items": closed(
        "", score=NUMBER, max_score=NUMBER, status={"enum": ["passed", "failed"]}, name=TEXT,
        name_format=FORMATS, number=TEXT, output=TEXT, output_format=FORMATS,
        tags={"type": "array"}, visibility=VISIBLE, extra_data={"type": "object"},
    )},
)  # fmt: skip
PRAIRIELEARN = {
    "type": "object",
    "properties": {
        "gradable": {"type": "boolean"}, "score": {"type": "number", "minimum": 0, "maximum": 1},
        "message": TEXT, "output": TEXT,
        "format_errors": {"anyOf": [TEXT, {"type": "array", "items": TEXT}]},
        "tests": {"type": "array", "items": closed(
            "name points max_points", name=TEXT, description=TEXT, points=NUMBER,
            max_points=NUMBER, message=TEXT, output=TEXT, images={"type": "array"},
        )},
    },
    "if": {"properties": {"gradable": {"const": False}}, "required": ["gradable"]},
    "else": {"required": ["score"]},
}  # fmt: skip
SOME = {"type": "string", "minLength": 1}
CLASSROOM50 = closed(
    "schema classroom assignment assignment_type owner submission commit release review datetime "
    "score max-score tests",
    schema={"const": "classroom50/result/v1"}, classroom=SOME, assignment=SOME, owner=SOME,
    assignment_type={"enum": ["individual", "group"]}, commit=SOME, release=SOME, review=SOME,
    submission={"type": "string", "pattern": "^submit/"},
    datetime={"type": "string",
              "pattern": r"^\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$"},
    score=POINTS, tests={"type": "array", "items": {
        "type": "object", "required": ["test-name", "passed", "score", "max-score"],
        "properties": {"test-name": SOME, "passed": {"type": "boolean"}, "score": POINTS,
                       "max-score": POINTS},
    }}, **{"max-score": POINTS},
)  # fmt: skip
RUNNER = {
    "CLASSROOM": "ml", "ASSIGNMENT": "digits", "ASSIGNMENT_TYPE": "individual", "OWNER": "ada",
    "SUBMISSION_TAG": "submit/2026-06-01T14-32-05Z-a1b2c3d", "COMMIT_URL": "https://x/1",
    "RELEASE_URL": "https://x/2",
}  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_answers_of_autograders_fit_what_is_published(seed):
    rng = random.Random(seed)
    for page in pages_of(rng, draw_class(rng, 4)):
        for each in page["exercises"]:
            each["points"] = rng.choice([0.0, each["maximum"], each["maximum"] / 2])
        if page["points"] is not None:
            page["points"] = sum(each["points"] for each in page["exercises"])
        first, second = gradescope(page, EXAM), prairielearn(page, EXAM)
        third = classroom50(page, EXAM, RUNNER)
        for answer, schema in ((first, GRADESCOPE), (second, PRAIRIELEARN), (third, CLASSROOM50)):
            jsonschema.validate(json.loads(json.dumps(answer)), schema)
        assert sum(test["score"] for test in first["tests"]) == first["score"]
        assert third["score"] <= third["max-score"]
        assert all(test["score"] <= test["max-score"] for test in third["tests"])
        if page["points"] is None:
            assert second["gradable"] is False
            continue
        share = Fraction(page["points"]) / Fraction(page["maximum"])
        assert second["score"] == pytest.approx(float(share))
        # Points that are halves of halves are rounded, each by half a point of the doubled ones.
        assert abs(third["score"] - share * third["max-score"]) <= 0.5


def test_without_its_runner_classroom_50_gets_no_answer():
    page = pages_of(random.Random(0), draw_class(random.Random(0), 2))[1]
    with pytest.raises(ValueError, match="COMMIT_URL"):
        classroom50(page, EXAM, {**RUNNER, "COMMIT_URL": ""})


def test_the_command_writes_all_of_it(tmp_path, capsys):
    rng = random.Random(9)
    students = draw_class(rng, 5)
    write_reports(pages_of(rng, students), EXAM, tmp_path)
    rows = [[f"Participant {s.id}", s.name, "No", "", "84.00", "Yes"] for s in students]
    written(tmp_path / "w.csv", [["Identifier", "Name", "Status", "Grade", "Max", "?"], *rows])
    assert main([str(tmp_path), "--moodle", str(tmp_path / "w.csv")]) == 0
    assert "4 of 5 students were found in w.csv" in capsys.readouterr().out
    found = {path.name for path in (tmp_path / "give-back").iterdir()}
    assert found == {"w.csv", "nbgrader.csv", "feedback.zip"}
    assert main([str(tmp_path), "--answer", "gradescope"]) == 2
    assert "wanted a single one" in capsys.readouterr().err
    assert main([str(tmp_path / "nothing")]) == 2
    write_reports(pages_of(rng, students)[1:2], EXAM, tmp_path)
    target = tmp_path / "results" / "results.json"
    assert main([str(tmp_path), "--answer", "gradescope", "--to", str(target)]) == 0
    jsonschema.validate(json.loads(target.read_text()), GRADESCOPE)
