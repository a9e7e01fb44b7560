"""Written answers: found, set, marked in a browser by keyboard, and added to what was earned."""

import itertools
import json
import random
import re
import sys
from functools import cache
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grading import __main__ as command
from grading import classroom
from grading.answers import ANSWER, questions, written_answers
from grading.exam import read_exam
from grading.report import write_reports
from grading.results import read_marks
from grading.typeset import LOOKS, typeset
from grading.written import (
    NOTHING,
    digest,
    exam_with,
    in_order,
    name_of,
    own_answer,
    read_written,
    with_written,
)
from tests.grading.test_grading import few, table
from tests.grading.test_report import HOSTILE, WIDTHS, chromium, drawn, opened, require_accessible
from tests.grading.test_results import made_up
from tools.student_edition import student_edition

__all__ = ["chromium", "few"]
EXAM = read_exam()
KEYS = [*questions()]
SENTENCES = ["The units are all equal, so one does the work of 64.",
             "Because the gradient $\\delta_1$ is zero in the first step.",
             "It does not learn, since the rate is too small."]  # fmt: skip
EVIL = [*HOSTILE, r"$\text{<img src=x onerror=alert(1)>}$", r"$\href{javascript:alert(1)}{x}$",
        "[x](javascript:alert(1))", "![x](http://example.org/x.png)", r"$$\style{color:red}{x}$$",
        "<http://example.org>", "# h\n\n<script>\nalert(1)\n</script>", "&lt;b&gt;",
        r"$\color{red\" onclick=\"alert(1)}{a}$", "</article></section><h1>x"]  # fmt: skip


# Found


shipped = cache(student_edition)


def edition():
    """The notebooks of the student edition, and the places for answers, by question."""
    found = {}
    for n, name in enumerate(["1_mlp_from_scratch", "2_cnn_pytorch"], start=1):
        notebook = json.loads(shipped()[f"notebooks/{name}.ipynb"])
        asked = ""
        for cell in notebook["cells"]:
            text = "".join(cell["source"])
            if match := re.search(r"\*\*Question (\d+)", text):
                asked = f"{n}.{match[1]}"
            if text == ANSWER:
                found[asked] = (notebook, cell)
    return found


def test_every_question_has_a_place_and_a_right_answer():
    assert list(edition()) == KEYS
    for question in questions().values():
        assert question.text.startswith("**Question")
        assert len(question.model) > 100
        assert "SOLUTION" not in question.model


@pytest.mark.parametrize("seed", range(20))
def test_answers_are_found_wherever_people_put_them(seed):
    """In the place, around it, in cells before or after it, in the question's own cell."""
    rng, places = random.Random(seed), edition()
    wanted = {}
    for key in rng.sample(KEYS, 6):
        notebook, cell = places[key]
        number = notebook["cells"].index(cell)
        text = rng.choice(SENTENCES)
        form = rng.choice(["place", "around", "before", "after", "question", "two"])
        new = {"cell_type": "markdown", "metadata": {}, "source": text}
        if form == "place":
            cell["source"] = text.splitlines(keepends=True)
        elif form == "around":
            cell["source"] = f"{ANSWER}\n\n{text}"
        elif form == "question":
            before = notebook["cells"][number - 1]
            before["source"] = "".join(before["source"]) + f"\n\n{text}"
        elif form == "two":
            cell["source"], text = text, f"{text}\n\nMore."
            notebook["cells"].insert(number + 1, new | {"source": "More."})
        else:
            notebook["cells"].insert(number + (form == "after"), new)
        wanted[key] = text
    notebooks = {f"{n}.ipynb": json.dumps(places[f"{n}.1"][0]).encode() for n in (1, 2)}
    answers = [each | {"html": ""} for each in written_answers(notebooks)]
    found = {key: own_answer({"answers": answers}, key)[0] for key in KEYS}
    assert {key: text for key, text in found.items() if text} == wanted


# Set


class Elements(HTMLParser):
    """Notes all elements and attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


HARMLESS = {"p", "strong", "em", "code", "pre", "ul", "ol", "li", "br", "hr", "blockquote"}
PIECES = st.sampled_from([
    "<", ">", "&lt;", "\"", "'", "$", "$$", "\\text{", "\\href{javascript:x}{", "\\style{x}{", "}",
    "\\unicode{x3c}", "<script>", "<img src=x onerror=y>", "[a](javascript:x)", "`", "```\n",
    "\n\n", "# ", "- ", "> ", "![a](http://x)", "\\frac", "x^2", "\\begin{matrix}", "&", "\\\\",
    "**", "_", "<a@b.c>", "[a]: http://x\n", "{", "\\color{red\"x=\"}",
])  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=60))
def test_whatever_is_written_becomes_text_and_formulas(text):
    for tag, attributes in Elements(typeset(text)).found:
        assert tag in HARMLESS or tag.startswith("m")
        allowed = LOOKS if tag.startswith("m") else {"class", "start"}
        assert set(attributes) <= allowed


def test_formulas_and_lists_are_set():
    html = typeset("As $\\frac{a}\n{b} < 1$:\n\n- **one**\n- `two`\n\n$$ x_1\n= y $$\n")
    tags = [tag for tag, _ in Elements(html).found]
    assert tags.count("math") == 2
    assert {"mfrac", "li", "strong", "code", "msub"} <= set(tags)
    assert "$" not in html


# Like ones together


@pytest.mark.parametrize("seed", range(5))
def test_like_answers_follow_each_other(seed):
    rng = random.Random(seed)
    texts = [" ".join(rng.sample(s.split(), len(s.split()) - 1)) for s in SENTENCES for _ in "abcd"]
    kinds = [n // 4 for n in range(12)]
    mixed = rng.sample(range(12), 12)
    order = in_order([texts[n] for n in mixed])
    assert sorted(n for n, _ in order) == list(range(12))
    found = [kinds[mixed[n]] for n, _ in order]
    assert len(list(itertools.groupby(found))) == 3
    assert in_order(["x"]) == [(0, 0.0)]
    assert [alike for _, alike in in_order(["学生", "学生"])][1] == pytest.approx(1)


# What marks add


def with_answers(pages, rng, share=0.8):
    """Draw answers for a class; hostile ones too."""
    for page in pages:
        page["answers"] = [
            {"notebook": "1.ipynb", "question": key, "text": text, "html": typeset(text)}
            for key in KEYS if rng.random() < share
            for text in [rng.choice([*SENTENCES, rng.choice(EVIL)]) + f" {page['key']}"]
        ]  # fmt: skip
    return pages


def drawn_marks(rng, pages, share=0.8, when=1):
    found = {"questions": {}, "marks": []}
    for key in KEYS[:5]:
        rubric = [{"text": "Clear.", "points": None}]
        found["questions"][key] = {"maximum": rng.choice([2, 3.5]), "rubric": rubric, "when": when}
        for page in pages:
            text, _ = own_answer(page, key)
            if text and rng.random() < share:
                points = rng.choice([0, 0.5, 1, 2])
                found["marks"].append({
                    "student": page["key"], "question": key, "answer": digest(text),
                    "points": points, "comments": [f"c{points}"], "when": when,
                })  # fmt: skip
    return found


@pytest.mark.parametrize("seed", range(5))
def test_marks_are_added_and_nothing_is_a_silent_zero(seed):
    rng = random.Random(seed)
    pages = with_answers(list(drawn(rng, EXAM, ["a", "b", "c"])), rng)
    written = drawn_marks(rng, pages)
    marks = {(m["student"], m["question"]): m for m in written["marks"]}
    changed = with_written(pages, [page["key"] for page in pages], written)
    exam = exam_with(EXAM, written)
    for before, after in zip(pages, changed, strict=True):
        assert after["exercises"][: len(before["exercises"])] == before["exercises"]
        added = {each["question"]: each for each in after["exercises"][len(before["exercises"]) :]}
        assert list(added) == KEYS[:5]
        n_open = 0
        for key, each in added.items():
            mark, text = marks.get((before["key"], key)), own_answer(before, key)[0]
            assert each["points"] == (mark["points"] if mark else 0)
            assert each["maximum"] == written["questions"][key]["maximum"]
            wanted = (
                mark["comments"][0] if mark else "It is not marked yet." if text else "No answer."
            )
            assert each["text"] == wanted
            n_open += bool(text and not mark)
        assert after["maximum"] == exam.maximum
        assert (f"{n_open} written answers are not marked yet." in after["problems"]) == (
            n_open > 0
        )
    assert with_written(pages, "abc", NOTHING) == [
        page | {"maximum": EXAM.maximum} for page in pages
    ]


def test_a_mark_counts_for_the_text_that_was_read():
    rng = random.Random(3)
    (page,) = with_answers(list(drawn(rng, EXAM, ["a"])), rng, share=1)
    written = drawn_marks(rng, [page], share=1)
    for answer in page["answers"]:
        answer["text"] += " Handed in again."
    (after,) = with_written([page], [page["key"]], written)
    assert "5 written answers are not marked yet." in after["problems"]


@pytest.mark.parametrize("turned", [False, True])
def test_files_of_several_people_become_one(tmp_path, turned):
    rng = random.Random(1)
    pages = with_answers(list(drawn(rng, EXAM, ["a", "b"])), rng, share=1)
    first, second = drawn_marks(rng, pages, when=5), drawn_marks(rng, pages, when=6)
    for name, content in {"1": first, "2": second}.items():
        (tmp_path / name).write_text(json.dumps(content))
    paths = [tmp_path / "1", tmp_path / "2"]
    found = read_written(paths[::-1] if turned else paths)
    newer = {(m["student"], m["question"]) for m in second["marks"]}
    for mark in found["marks"]:
        place = mark["student"], mark["question"]
        assert mark["when"] == (6 if place in newer else 5)
    assert len(found["marks"]) == len({(m["student"], m["question"]) for m in found["marks"]})


@pytest.mark.parametrize(
    ("change", "message"),
    [("['questions'].update({'9.9': told['questions']['1.1']})", "no question 9.9"),
     ("['questions']['1.1'].update(maximum=0)", "is worth 0"),
     ("['marks'][0].update(points=99)", "99 points; wanted 0 to"),
     ("['marks'][0].update(points=-1)", "-1 points"), ("['marks'][0].pop('points')", "points"),
     ("['marks'][0].update(comments=[3])", "no text"), (".pop('marks')", "marks"),
     ("['marks'][0].update(question='1.7')", "1.7")],
)  # fmt: skip
def test_a_wrong_file_is_named(tmp_path, change, message):
    rng = random.Random(1)
    told = drawn_marks(rng, with_answers(list(drawn(rng, EXAM, ["a"])), rng, share=1), share=1)
    exec(f"told{change}")  # what the cases say
    (tmp_path / "w.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=rf"w\.json is no file of the page.*{re.escape(message)}"):
        read_written([tmp_path / "w.json"])
    with pytest.raises(ValueError, match="nowhere is no file"):
        read_written([tmp_path / "nowhere"])


# The page


@pytest.fixture(scope="module")
def page_of_answers(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("answers"), random.Random(7)
    pages = with_answers(list(drawn(rng, EXAM, [*"abcdef", *HOSTILE])), rng)
    write_reports(pages, EXAM, folder)
    return folder, pages


@pytest.mark.parametrize(
    ("scheme", "width"), list(itertools.product(["light", "dark"], WIDTHS.values()))
)
def test_axe_finds_nothing_and_nothing_is_too_wide(chromium, page_of_answers, scheme, width):
    view = {"width": width, "height": 900}
    path = page_of_answers[0] / "answers.html"
    page = opened(chromium, path, color_scheme=scheme, viewport=view)
    page.fill("#sentence", "It names the cause.")
    page.press("#sentence", "Enter")
    require_accessible(page, width)


def test_hostile_answers_stay_text(chromium, page_of_answers):
    page = opened(chromium, page_of_answers[0] / "answers.html")
    page.evaluate("document.querySelectorAll('[hidden]').forEach((e) => { e.hidden = false })")
    assert page.locator("article").count() == sum(len(p["answers"]) for p in page_of_answers[1])
    assert page.locator("article math").count() > 0
    assert page.locator("article a, article img, article script, article h1").count() == 0
    assert page.title() == "Written answers"
    assert page.faults == []


def shown_student(page):
    return page.locator("article:not([hidden])").get_attribute("data-student")


def leave_fields(page):
    page.evaluate("document.activeElement.blur()")


def mark_by_keyboard(page, rng):
    """Mark answers of a question; return points and comments by student."""
    for sentence, worth in (("Half of it.", "0.5"), ("Good.", "")):
        page.fill("#sentence", sentence)
        page.fill("#worth", worth)
        page.press("#worth", "Tab")
        page.keyboard.press("Enter")
    leave_fields(page)
    wanted = {}
    for _ in range(3):
        points, letter = rng.choice([0, 1, 2]), rng.choice(["", "b"])
        page.keyboard.press(str(points))
        if letter:
            page.keyboard.press(letter)
        wanted[shown_student(page)] = (points, ["Good."] * bool(letter))
        page.keyboard.press("Enter")
    for keys in ("a.", "r"):  # a comment with points sets these, and half a point more; the same
        for key in keys:
            page.keyboard.press(key)
        wanted[shown_student(page)] = (1, ["Half of it."])
        page.keyboard.press("ArrowRight")
    page.keyboard.press("9")  # at most what the question is worth
    page.fill("#comment", "<b>Well</b> done.")
    leave_fields(page)
    return wanted | {shown_student(page): (3, ["<b>Well</b> done."])}


def test_points_by_keyboard_are_saved_and_shown_again(chromium, page_of_answers, tmp_path):
    folder, pages = page_of_answers
    page = opened(chromium, folder / "answers.html")
    wanted = mark_by_keyboard(page, random.Random(2))
    with page.expect_download() as download:
        page.keyboard.press("s")
    download.value.save_as(tmp_path / "written.json")
    written = read_written([tmp_path / "written.json"])
    assert {m["student"]: (m["points"], m["comments"]) for m in written["marks"]} == wanted
    after = with_written(pages, [page["key"] for page in pages], written)
    write_reports(after, exam_with(EXAM, written), tmp_path, written=written)
    again = opened(chromium, tmp_path / "answers.html")
    for _ in range(again.locator("section:not([hidden]) article").count()):
        points, _ = wanted.get(shown_student(again), ("", []))
        assert again.input_value("#points") == str(points)
        again.keyboard.press("ArrowRight")
    feedback = "".join(p.read_text("utf-8") for p in tmp_path.glob("students/*/feedback.html"))
    assert "&lt;b&gt;Well&lt;/b&gt; done." in feedback


def test_keys_do_nothing_in_fields_or_when_turned_off(chromium, page_of_answers):
    page = opened(chromium, page_of_answers[0] / "answers.html")
    page.focus("#sentence")
    page.keyboard.type("1 as u")
    assert page.input_value("#points") == ""
    assert page.input_value("#sentence") == "1 as u"
    page.uncheck("#keys")
    leave_fields(page)
    page.keyboard.press("1")
    assert page.input_value("#points") == ""


def test_what_was_not_saved_is_there_after_a_reload(chromium, page_of_answers):
    page = opened(chromium, page_of_answers[0] / "answers.html")
    page.on("dialog", lambda dialog: dialog.accept())
    page.select_option("#question", KEYS[1])
    leave_fields(page)
    page.keyboard.press("2")
    page.reload()
    page.select_option("#question", KEYS[1])
    assert page.input_value("#points") == "2"


# The whole way


@pytest.mark.skipif(sys.platform != "linux", reason="marking wants Linux")
def test_the_next_run_adds_them_everywhere(tmp_path, few, monkeypatch):
    text = "Because <b>all</b> are equal."

    def with_answer(hand_in, rules):
        answer = {"notebook": "1.ipynb", "question": "1.2", "text": text, "html": typeset(text)}
        return made_up(hand_in, rules) | {"answers": [answer]}

    monkeypatch.setattr(classroom, "run", with_answer)
    monkeypatch.setattr(classroom, "require_sound", lambda rules: None)
    for name in ("ada", "bob"):
        (tmp_path / "class" / name / "helpers").mkdir(parents=True)
        (tmp_path / "class" / name / "helpers" / "mlp.py").write_text("x")
    out = tmp_path / "marks"
    options = ["--out", str(out), "--config", str(few), "--unsafe", "--jobs", "1"]
    assert command.main([str(tmp_path / "class"), *options]) == 0
    before = {name: float(row["points"]) for name, row in table(out).items()}
    key = next(page["key"] for page in read_marks(out) if page["name"] == "ada")
    mark = {"student": key, "question": "1.2", "answer": digest(text), "points": 2.5,
            "comments": ["Nearly."], "when": 1}  # fmt: skip
    saved = {"questions": {"1.2": {"maximum": 4, "rubric": [], "when": 1}}, "marks": [mark]}
    (tmp_path / "w.json").write_text(json.dumps(saved))
    assert command.main(["--written", str(tmp_path / "w.json"), *options]) == 0
    after = table(out)
    assert {name: float(row["points"]) for name, row in after.items()} == {
        "ada": before["ada"] + 2.5, "bob": before["bob"],
    }  # fmt: skip
    assert after["ada"][name_of("1.2")] == "2.5"
    assert "1 written answers are not marked yet." in after["bob"]["problems"]
    assert "Nearly." in (out / "students" / "ada" / "feedback.md").read_text("utf-8")
    (out / "overrides.csv").write_text(
        f"student,exercise,points,reason\nbob,{name_of('1.2')},4,x\n"
    )
    assert command.main(options) == 0  # the file is kept
    assert float(table(out)["bob"]["points"]) == before["bob"] + 4
    assert after["ada"] == table(out)["ada"]
