"""The report in a real browser: searched, sorted and filtered, legible, and no name does harm."""

import itertools
import random
import re
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from grading.collect.source import functions_of
from grading.exam import read_exam
from grading.interview import questions_for
from grading.marking import STUDENTS
from grading.report import mistakes, write_reports
from tests.grading.downloads import draw_class
from tests.grading.hand_ins.catalogue import solution
from tests.playground import test_playground_browser as playground

chromium = playground.browser  # a fixture
HOSTILE = [
    "<script>document.title = 'taken'</script>", "\" onmouseover=\"document.title='taken'",
    "<img src=x onerror=\"document.title='taken'\">", "{{ 7 * 7 }}", "</title><h1>x", "`</pre>`",
    "x" * 251,
]  # fmt: skip


def drawn(rng, exam, names):
    """Draw what marking finds for a class."""
    for number, name in enumerate(names):
        exercises = []
        for task in exam.tasks:
            is_right = rng.random() < 0.7
            cause = None if is_right else f"cause {rng.randrange(4)}"
            parts = {part: points * is_right for part, points in task.points.items()}
            likely = f"the `{cause}` in {task.name}, says {rng.choice([name, 'nobody'])}."
            verdict = {
                "exercise": task.name, "part": "a batch", "passed": is_right, "cause": cause,
                "note": "", "found": f"0.1 {name}", "wanted": "0.2", "likely": likely, "step": "",
            }  # fmt: skip
            exercises.append({
                "name": task.name, "points": sum(parts.values()), "maximum": task.maximum,
                "parts": parts, "cause": cause, "text": likely, "verdicts": [verdict],
            })  # fmt: skip
        functions = {f"{t.module}.{w}": (7, f"def f():\n    return {name!r}") for t in exam.tasks
                     for w in t.writes}  # fmt: skip
        yield {
            "name": name, "key": f"k{number}", "seed": 1, "maximum": exam.maximum,
            "points": sum(each["points"] for each in exercises), "exercises": exercises,
            "problems": [], "seconds": {}, "source": functions, "id": str(number),
        }  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A class of some with ordinary names, some with hostile ones, one that nobody could mark."""
    folder, rng = tmp_path_factory.mktemp("report"), random.Random(4)
    names = [student.name for student in draw_class(rng, 12)]
    pages = list(drawn(rng, read_exam(), [*names, *HOSTILE]))
    pages[3] |= {"points": None, "exercises": [], "problems": ["nothing <b>was</b> found"]}
    pages[4] |= {"late": "It was late.", "deduction": 2.0, "override": "ill"}
    pages[5] |= {"points": 7.0}  # as a text it would come after 60
    changed = [[name, "sigmoid", "1", "2"] for name in HOSTILE]
    write_reports(pages, read_exam(), folder, changed, HOSTILE)
    return folder, pages


def opened(chromium: Browser, path, **context) -> Page:
    page = chromium.new_context(**context).new_page()
    page.set_default_timeout(playground.SLOW)
    faults = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(path.as_uri())
    page.faults = faults
    return page


def require_accessible(page: Page, width: int) -> None:
    """See that axe finds nothing, that nothing is too wide, and that no script failed."""
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.faults == []


def shown(page: Page) -> list[str]:
    return page.locator("#students tbody tr:visible th").all_inner_texts()


def students_page(folder):
    return next(folder.glob("students/*script*/feedback.html"))


WIDTHS = {"phone": 360, "laptop": 1280}


@pytest.mark.parametrize("kind", ["report", "interviews", "student"])
@pytest.mark.parametrize(
    ("scheme", "width"), list(itertools.product(["light", "dark"], WIDTHS.values()))
)
def test_axe_finds_nothing_and_nothing_is_too_wide(chromium, report, kind, scheme, width):
    path = students_page(report[0]) if kind == "student" else report[0] / f"{kind}.html"
    view = {"width": width, "height": 900}
    page = opened(chromium, path, color_scheme=scheme, viewport=view)
    require_accessible(page, width)


def test_names_stay_text(chromium, report):
    folder, _ = report
    pages = [folder / "report.html", folder / "interviews.html"]
    for path in (*pages, *folder.glob("students/*/feedback.html")):
        text = path.read_text("utf-8")
        assert len(re.findall(r"<(?:img|h1)\b", text)) == 1  # our own heading
    page = opened(chromium, folder / "report.html")
    for name in HOSTILE:
        assert page.get_by_text(name).count() >= 1
    page.locator("th", has_text="onmouseover").first.hover()
    assert page.title() == "Marks of the class"
    assert page.faults == []


def test_search_finds_names_and_numbers(chromium, report):
    page = opened(chromium, report[0] / "report.html")
    for n, each in enumerate(report[1][:5]):
        page.fill("#search", each["name"])
        assert any(each["name"] in text for text in shown(page)), n
        assert all(each["name"].split()[0].lower() in text.lower() for text in shown(page))
    page.fill("#search", "nobody is called so")
    assert shown(page) == []
    assert page.inner_text("#count") == f"0 of {len(report[1])} shown"


def test_every_column_sorts_up_and_down(chromium, report):
    page = opened(chromium, report[0] / "report.html")
    for button in page.locator("#students thead button").all()[1:]:
        for order in ("ascending", "descending"):
            button.click()
            column = button.evaluate("(b) => b.closest('th').cellIndex")
            cells = page.locator(f"#students tbody tr td:nth-child({column + 1})")
            values = [float(cell) for cell in cells.evaluate_all("cs => cs.map(c => c.dataset.v)")]
            assert values == sorted(values, reverse=order == "descending")
            assert button.locator("xpath=..").get_attribute("aria-sort") == order


def test_filters_show_those_and_nobody_else(chromium, report):
    page, (_, pages) = opened(chromium, report[0] / "report.html"), report
    page.fill("#low", "30")
    page.fill("#high", "60")
    found = {each["id"] for each in pages if each["points"] and 30 <= each["points"] <= 60}
    assert {text.split()[-1] for text in shown(page) if "late" not in text} >= found - {"4"}
    assert len(shown(page)) == len(found)
    page.fill("#low", "")
    page.fill("#high", "")
    page.locator("button[data-mistake]").first.evaluate("(b) => b.click()")
    label = page.locator("#mistake option:checked").inner_text()
    exercise, cause = label.split(": ")
    made = [each for each in pages if any(
        e["name"] == exercise and e["cause"] == cause for e in each["exercises"])]  # fmt: skip
    assert len(shown(page)) == len(made) > 0
    page.select_option("#mistake", "")
    page.select_option("#exercise", label="softmax")
    lost = [p for p in pages if all(e["name"] != "softmax" or e["points"] < e["maximum"]
                                    for e in p["exercises"])]  # fmt: skip
    assert len(shown(page)) == len(lost)


def test_each_mistake_leads_to_those_who_made_it(chromium, report):
    page, (_, pages) = opened(chromium, report[0] / "report.html"), report
    details = page.locator("details:has(button[data-mistake])")
    told = details.locator("strong").all_inner_texts()
    for n, text in enumerate(told[:10]):
        assert text == f"{details.nth(n).locator('a').count()} of {len(pages)}"
    exercises = [
        text.split(":")[0].count(",") for text in details.locator("summary").all_inner_texts()
    ]
    assert sum(int(t.split()[0]) * n for t, n in zip(told, exercises, strict=True)) == sum(
        e["cause"] is not None for p in pages for e in p["exercises"]
    )


def test_what_the_same_students_were_told_in_several_exercises_is_one_mistake():
    def page(key, names):
        verdicts = [{"cause": "missing", "likely": "the file is missing."}]
        made = {"points": 0, "maximum": 1, "cause": "missing", "verdicts": verdicts}
        return {"key": key, "exercises": [made | {"name": name} for name in names]}

    pages = [page("ada", ["net", "convolve"]), page("bob", ["net", "convolve", "sigmoid"])]
    found = {tuple(row["exercises"]): len(row["pages"]) for row in mistakes(pages, read_exam())}
    assert found == {("net", "convolve"): 2, ("sigmoid",): 1}


def test_a_students_page_begins_with_what_cost_most(chromium, report):
    page = opened(chromium, students_page(report[0]))
    lost = [float(re.search(r"([\d.]+) lost", t)[1]) for t in page.locator("h3").all_inner_texts()]
    assert lost == sorted(lost, reverse=True)
    assert page.locator("section.card pre").count() >= len(lost)
    assert "7def f():" in page.locator("section.card pre").first.text_content()
    assert page.locator("details[open]").count() == 0


def test_a_thousand_students_are_a_small_page(tmp_path, chromium):
    exam, rng = read_exam(), random.Random(2)
    names = [f"student {n}" for n in range(1000)]
    write_reports(list(drawn(rng, replace(exam), names)), exam, tmp_path)
    path = tmp_path / "report.html"
    assert path.stat().st_size < 5 << 20
    page = opened(chromium, path)
    assert page.inner_text("#count") == "1000 of 1000 shown"
    assert page.evaluate("document.querySelectorAll('*').length") < 60_000


def test_questions_are_on_the_students_own_lines_and_the_same_each_time(report):
    right = drawn(random.Random(1), read_exam(), ["a", "b"])
    for page in [*report[1], *right]:
        asked = questions_for(page | {"key": page["name"]})
        assert asked == questions_for(page | {"key": page["name"]})
        assert len({each["function"] for each in asked}) == len(asked) <= 3
        for each in filter(lambda each: each["line"], asked):
            first, text = page["source"][each["function"]]
            assert text.split("\n")[each["number"] - first].strip() == each["line"]
    lost = {"name": "net", "points": 0, "maximum": 3}
    for cause in ("not loaded", "unfinished", "another"):
        verdict = {"passed": False, "cause": cause, "part": "net", "found": "nothing."}
        page = {"key": "x", "source": {}, "exercises": [lost | {"verdicts": [verdict]}]}
        assert len(questions_for(page)) == (cause == "another")


def test_the_solution_gives_three_different_questions():
    modules = {name: solution(name.removesuffix(".py")).encode() for name in STUDENTS}
    page = {"source": functions_of(modules), "exercises": []}
    asked = [questions_for(page | {"key": str(n)}) for n in range(50)]
    assert all(len({each["question"] for each in three}) == 3 for three in asked)
    assert len({each["line"] for three in asked for each in three}) > 30
    assert not any('"""' in each["line"] for three in asked for each in three)
