"""Overrides, late days, and what changed: from marks to what a student gets."""

import csv
import random
import sys
from datetime import UTC, datetime, timedelta

import pytest

from grading import __main__ as command
from grading import classroom
from grading.collect.people import Person
from grading.exam import read_exam
from grading.late import LateRules, read_late
from grading.results import ALL, COLUMNS, changes, overridden, page_of, read_marks
from tests.grading.downloads import draw_class
from tests.grading.test_exports import pages_of
from tests.grading.test_grading import few, table

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux")

__all__ = ["few"]
EXAM = read_exam()
DUE = datetime(2026, 12, 1, 23, 59, tzinfo=UTC)
HEAD = "[late]\ndue = 2026-12-01T23:59:00Z\n"


# Late


@pytest.mark.parametrize("seed", range(60))
def test_each_day_that_has_begun_costs_its_share(seed):
    """Against counting days one by one."""
    rng = random.Random(seed)
    rules = LateRules(DUE, rng.choice([0, 15]), rng.choice([0, 5, 10]), rng.choice([30, 100]),
                      rng.choice([0, 2]), {"Zoë": DUE + timedelta(days=3)})  # fmt: skip
    person = rng.choice([Person("Zoë"), Person("Ada")])
    due = DUE + timedelta(days=3) * (person.name == "Zoë")
    over = timedelta(minutes=rng.choice([-9, 0, 1, 14, 16, 1439, 1441, 5000, 20000]))
    days = 0
    while over > timedelta(minutes=rules.grace_minutes) and timedelta(days=days) < over:
        days += 1
    wanted = min(rules.most, rules.per_day * max(0, days - rules.free_days))
    lost, told = rules.judged(person, (due + over).isoformat(), is_late=False)
    assert lost == wanted
    assert bool(told) == (days > 0)


def test_late_without_a_time_is_told_and_costs_nothing():
    assert LateRules(DUE, per_day=10).judged(Person("A"), "", True)[0] == 0
    assert "handed in late" in LateRules().judged(Person("A"), "", True)[1]
    assert LateRules().judged(Person("A"), "", False) == (0, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [("[late]\nperday = 3", "no key of .late. called perday"), ("[lates]\n", "table called lates"),
     ("[late]\ndue = 2026-12-01T10:00:00", "time zone"), ("[late]\ndue = 3", "due is 3"),
     ("[late]\nper_day = -1", "per_day is -1"), ("[late]\nmost = inf", "most is inf"),
     ("[late]\nfree_days = true", "free_days is True"), ("[late", "c.toml"), ("late = 3", "c.toml"),
     ("[late.extensions]\nada = 3", "the extension of ada is 3")],
)  # fmt: skip
def test_a_wrong_table_is_told(tmp_path, text, message):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_late(tmp_path / "c.toml")


def test_a_right_table_is_read(tmp_path):
    text = f'{HEAD}per_day = 10\n[late.extensions]\n"a@b.org" = 2026-12-05T10:00:00+01:00\n'
    (tmp_path / "c.toml").write_text(text)
    rules = read_late(tmp_path / "c.toml")
    assert (rules.due, rules.per_day) == (DUE, 10)
    assert rules.due_for(Person(email="A@b.org")).day == 5


# Overrides


def override_table(path, *rows):
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


@pytest.mark.parametrize("seed", range(10))
def test_overrides_count_and_are_marked_as_such(seed, tmp_path):
    rng = random.Random(seed)
    students = draw_class(rng, 6)
    pages = pages_of(rng, students)
    rows, wanted = [], {page["id"]: dict(points_of(page)) for page in pages}
    for student in students:
        task = rng.choice(EXAM.tasks)
        points = rng.choice([0, task.maximum, task.maximum / 2])
        called = rng.choice([student.name, student.id, student.email, student.login])
        rows.append([called, task.name, f"{points}", "=ill"])
        wanted[student.id][task.name] = points
    override_table(tmp_path / "o.csv", *rows)
    for page in overridden(pages, tmp_path / "o.csv", EXAM):
        found = dict(points_of(page))
        assert found == {task.name: 0.0 for task in EXAM.tasks} | wanted[page["id"]]
        assert page["points"] == sum(found.values())
        assert [e["override"] for e in page["exercises"] if e.get("override")] == ["=ill"]
    override_table(tmp_path / "o.csv", [students[0].id, ALL, "40", "seen by hand"])
    first = overridden(pages, tmp_path / "o.csv", EXAM)[0]
    assert (first["points"], first["override"]) == (40, "seen by hand")


def points_of(page):
    return ((each["name"], each["points"]) for each in page["exercises"])


@pytest.mark.parametrize(
    ("row", "message"),
    [(["nobody", "sigmoid", "1", "x"], "line 2: no single student is called 'nobody'"),
     (["{}", "sigmoids", "1", "x"], "no exercise is called 'sigmoids'"),
     (["{}", "sigmoid", "99", "x"], "sigmoid has 99 points; wanted 0 to 3"),
     (["{}", "sigmoid", "nan", "x"], "wanted 0 to 3"),
     (["{}", "sigmoid", "1", ""], "wants a reason"),
     (["{}", "sigmoid", "two", "x"], "could not convert"), (["{}", "sigmoid"], "line 2")],
)  # fmt: skip
def test_a_wrong_override_is_told_by_its_line(row, message, tmp_path):
    pages = pages_of(random.Random(1), draw_class(random.Random(1), 3))
    override_table(tmp_path / "o.csv", [cell.format(pages[1]["id"]) for cell in row])
    with pytest.raises(ValueError, match=message):
        overridden(pages, tmp_path / "o.csv", EXAM)


def test_late_days_cost_no_more_than_there_is():
    rules = LateRules(DUE, per_day=30)
    result = pages_of(random.Random(2), draw_class(random.Random(2), 2))[1]
    record = {
        "person": {"name": "A", "id": "", "email": "", "login": ""}, "key": "a", "late": False,
        "submitted": (DUE + timedelta(days=9)).isoformat(), "problems": [], "source": {},
    }  # fmt: skip
    page = page_of(result, record, rules)
    assert (page["points"], page["deduction"]) == (0, result["maximum"])
    assert "100 % are lost" in page["late"]


# From run to run


@pytest.mark.parametrize("seed", range(10))
def test_all_changes_are_listed_and_no_others(seed):
    rng = random.Random(seed)
    before = pages_of(rng, draw_class(rng, 6))
    now = [page | {"exercises": [dict(each) for each in page["exercises"]]} for page in before]
    wanted = set()
    for page in rng.sample(now[1:], 3):
        each = rng.choice(page["exercises"])
        each["points"], old = each["points"] + 1, each["points"]
        wanted.add((page["name"], each["name"], f"{old:g}", f"{old + 1:g}"))
    assert set(changes(before, now)) == wanted


def made_up(hand_in, rules):
    points = float(len(hand_in.modules["mlp.py"]) % 4)
    exercises = [{"name": task.name, "points": min(points, task.maximum), "text": "",
                  "maximum": task.maximum, "cause": None, "parts": {}, "verdicts": []}
                 for task in rules.exam.tasks]  # fmt: skip
    return {"name": hand_in.name, "seed": rules.seed, "problems": [], "points": points,
            "maximum": rules.exam.maximum, "exercises": exercises, "answers": [],
            "seconds": {}, "key": hand_in.key, "ticket": rules.key(hand_in)}  # fmt: skip


def test_one_marked_again_changes_its_row_and_overrides_survive(tmp_path, few, monkeypatch):
    """The whole way by the command line; only marking itself is made up."""
    monkeypatch.setattr(classroom, "run", made_up)
    monkeypatch.setattr(classroom, "require_sound", lambda rules: None)
    for name, text in {"ada": "x", "bob": "xx", "zoe": "xxx"}.items():
        (tmp_path / "class" / name / "helpers").mkdir(parents=True)
        (tmp_path / "class" / name / "helpers" / "mlp.py").write_text(text)
    out, roster = tmp_path / "marks", tmp_path / "roster.csv"
    roster.write_text("name,email\nada,a@b.org\nbob,b@b.org\nEve Adams,e@b.org\n")
    options = ["--out", str(out), "--config", str(few), "--unsafe", "--jobs", "1"]
    assert command.main([str(tmp_path / "class"), *options, "--roster", str(roster)]) == 0
    first = table(out)
    assert {name: row["points"] for name, row in first.items()} == {
        "ada": "2",
        "bob": "4",
        "zoe": "6",
    }
    assert first["ada"]["email"] == "a@b.org"
    assert "Eve Adams" in (out / "report.html").read_text("utf-8")
    roster.write_text(roster.read_text().replace("b@b.org", "new@b.org"))
    assert command.main([*options, "--roster", str(roster)]) == 0  # a new list, and no download
    override_table(out / "overrides.csv", ["bob", "sigmoid", "3", "seen"])
    (tmp_path / "class" / "ada" / "helpers" / "mlp.py").write_text("yyyyyyy")
    assert command.main([str(tmp_path / "class" / "ada"), *options]) == 0
    again = table(out)
    assert {name: row["points"] for name, row in again.items()} == {
        "ada": "6",
        "bob": "5",
        "zoe": "6",
    }
    assert again["zoe"] == first["zoe"]
    assert again["bob"]["email"] == "new@b.org"  # the list of the course is kept
    assert "1 of the roster handed nothing in" in (out / "report.html").read_text("utf-8")
    with (out / "changes.csv").open(encoding="utf-8-sig", newline="") as file:
        told = {(row["student"], row["exercise"], row["now"]) for row in csv.DictReader(file)}
    assert told == {("ada", "all", "6"), ("ada", "sigmoid", "3"), ("ada", "softmax", "3"),
                    ("bob", "all", "5"), ("bob", "sigmoid", "3")}  # fmt: skip
    assert command.main([str(tmp_path / "class" / "zoe"), *options]) == 0
    assert table(out)["bob"]["points"] == "5"
    marked = {page["name"]: page for page in read_marks(out)}
    assert [e.get("override") for e in marked["bob"]["exercises"]] == ["seen", None]
