"""The pages that `make run` writes, in a real browser: without a network, legible, accessible."""

import re
from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Browser, Page

from tests.playground import test_playground_browser as playground
from tools.page import to_html

ROOT = Path(__file__).parents[2]
chromium = playground.browser  # a fixture
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def written(request, tmp_path_factory) -> Path:
    notebook = nbformat.read(request.param, as_version=4)
    path = tmp_path_factory.mktemp("build") / f"{request.param.stem}.html"
    path.write_text(to_html(notebook, request.param.stem), encoding="utf-8")
    return path


def opened(chromium: Browser, path: Path, **context) -> tuple[Page, list[str]]:
    page = chromium.new_context(**context).new_page()
    page.set_default_timeout(playground.SLOW)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page, asked


def test_no_page_wants_a_network(chromium, written):
    _, asked = opened(chromium, written)
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


# Of the thousands of words in colour, the first few of each kind are left; the others lose theirs.
FEW_WORDS = """() => {
    const seen = {};
    for (const word of document.querySelectorAll("pre span:not(:has(*))")) {
        seen[word.className] = (seen[word.className] ?? 0) + 1;
        if (seen[word.className] > 3) word.replaceWith(word.textContent);
    }
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium, written, scheme):
    page, _ = opened(
        chromium, written, color_scheme=scheme, viewport={"width": 1200, "height": 900}
    )
    page.evaluate(FEW_WORDS)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_light_and_dark_are_different(chromium, written):
    colours = {
        opened(chromium, written, color_scheme=scheme)[0].evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    }
    assert len(colours) == 2


def test_formulas_are_set_and_code_is_of_fixed_width(chromium, written):
    page, _ = opened(chromium, written)
    formulas = re.findall(r"\$\$|\\frac|\\begin", page.inner_text("main"))
    assert formulas == []
    assert page.locator("math").count() > 0
    width = (
        "(text) => {const s = document.createElement('code'); s.textContent = text;"
        "document.querySelector('pre').append(s); const w = s.offsetWidth; s.remove(); return w}"
    )
    assert page.evaluate(width, "iiii") == page.evaluate(width, "MMMM") > 0


def test_lines_hold_at_most_80_characters(chromium, written):
    page, _ = opened(chromium, written, viewport={"width": 2500, "height": 900})
    for kind in ("pre", "p"):
        widths = page.evaluate(
            "(kind) => [...document.querySelectorAll(kind)].map((e) => {"
            "const s = document.createElement('span'); s.textContent = '0'.repeat(80);"
            "e.append(s); s.style.whiteSpace = 'nowrap'; s.style.position = 'absolute';"
            "const w = [parseFloat(getComputedStyle(e).width), s.offsetWidth];"
            "s.remove(); return w})",
            kind,
        )
        assert widths
        assert all(have <= limit + 1 for have, limit in widths)


names = st.sampled_from([r"\delta_2", "W_1", r"\hat y", "x^\\top", r"\sigma(a)", r"\tfrac12"])
formulas = st.recursive(
    names,
    lambda inner: (
        st.builds(r"\frac{{{}}}{{{}}}".format, inner, inner)
        | st.builds(r"\sum_i {} + {}".format, inner, inner)
        | st.builds(r"\begin{{pmatrix}} {} & {} \\ 0 & 1 \end{{pmatrix}}".format, inner, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=20)
@given(st.lists(st.tuples(formulas, st.booleans()), min_size=1, max_size=9))
def test_any_formula_becomes_mathml(drawn):
    texts = [
        f"a\n\n$${formula}$$\n\nb" if block else f"a ${formula}$ b" for formula, block in drawn
    ]
    cells = [new_markdown_cell(text) for text in texts]
    page = to_html(new_notebook(cells=cells), "t").partition("</head>")[2]
    assert page.count("<math") == page.count("</math>") == len(drawn)
    shown = re.findall(r"<math[^>]*>", page)
    assert ['display="block"' in each for each in shown] == [block for _, block in drawn]
    assert "$" not in page


def test_pictures_keep_their_alt_text_and_titles_are_escaped():
    data = {"image/png": "aGk="}
    metadata = {"image/png": {"alt": 'a "picture" <b>'}}
    output = new_output("display_data", data=data, metadata=metadata)
    page = to_html(new_notebook(cells=[new_code_cell("1", outputs=[output])]), "A < B")
    parsed = BeautifulSoup(page, "html.parser")
    assert parsed.img["alt"] == 'a "picture" <b>'
    assert parsed.title.text == "A < B"
