"""The static site: its links lead somewhere, it needs no network, and everyone can read it."""

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup

from tests.playground import test_playground_browser as playground

pytest.importorskip("sphinx")
import tools.site  # which needs Sphinx

ROOT = Path(__file__).parents[2]
chromium = playground.browser  # a fixture
NOTEBOOKS = [f"notebooks/{path.stem}.html" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
REFERENCES = (("a", "href"), ("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "site"
    subprocess.run([sys.executable, "-m", "tools.site", folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[str, BeautifulSoup]:
    """All pages that Sphinx made, by their paths."""
    paths = {path.relative_to(site).as_posix(): path for path in site.rglob("*.html")}
    assert paths.pop("figures/playground.html").is_file()
    return {name: BeautifulSoup(path.read_text(), "html.parser") for name, path in paths.items()}


def references(page: BeautifulSoup):
    """What a page refers to, with the kind of element that does."""
    for kind, attribute in REFERENCES:
        for element in page.find_all(kind, **{attribute: True}):
            yield kind, element[attribute]


def test_every_link_within_the_site_leads_to_a_place_that_exists(site, pages):
    lost = []
    for name, page in pages.items():
        for _, reference in references(page):
            target = urlsplit(reference)
            if target.scheme or target.netloc:
                continue
            path = (site / name).parent / unquote(target.path) if target.path else site / name
            other = pages.get(path.resolve().relative_to(site.resolve()).as_posix())
            place = unquote(target.fragment)
            if not path.exists() or (place and other and not other.find(id=place)):
                lost.append((name, reference))
    assert lost == []


def test_nothing_is_loaded_from_a_network(pages):
    for name, page in pages.items():
        loaded = [reference for kind, reference in references(page) if kind != "a"]
        assert [r for r in loaded if urlsplit(r).netloc] == [], name


def test_the_notebooks_have_their_formulas_set_and_alt_texts(pages):
    for name in NOTEBOOKS:
        page = pages[name]
        assert page.find("math")
        for code in page.find_all(["pre", "code", "script"]):
            code.extract()
        assert "$" not in page.main.text if page.main else page.text
        pictures = page.find_all("img")
        assert len(pictures) > 5
        assert all(len(picture.get("alt", "")) > 30 for picture in pictures)


def test_every_public_function_of_the_helpers_is_described(pages):
    for path in (ROOT / "helpers").glob("[!_]*.py"):
        module = import_module(f"helpers.{path.stem}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                described = pages["api.html"].find(id=f"{module.__name__}.{name}")
                assert described, name
                assert described.find_next_sibling("dd").text.strip()


def test_formulas_in_docstrings_keep_their_lines(pages):
    blocks = [block.text for block in pages["api.html"].find_all("pre")]
    lines = inspect.getdoc(import_module("helpers.mlp")).splitlines()
    formulas = [line.strip() for line in lines if line.startswith("    ")]
    assert len(formulas) > 3
    for formula in formulas:
        assert any(formula in block.splitlines() for block in blocks), formula


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        ("index.html", 1280, "light"),
        ("index.html", 390, "dark"),
        (NOTEBOOKS[0], 390, "light"),
        ("INSTRUCTOR.html", 390, "light"),
        ("search.html", 1280, "dark"),
    ],
)
def test_axe_finds_nothing_and_the_page_fits_its_width(chromium, site, name, width, scheme):
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    page.set_default_timeout(playground.SLOW)
    page.goto((site / name).as_uri())
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.parametrize(
    ("repository", "wanted"),
    [
        (None, "a [b](INSTALL.md#x) ![c](d.png) e"),
        ("o/r", "a [b](INSTALL.md#x) ![c](d.png) [e]({}/f)"),
    ],
)
def test_links_to_files_that_the_site_lacks_lead_to_the_repository(monkeypatch, repository, wanted):
    monkeypatch.setattr(tools.site, "REPOSITORY", repository)
    text = "a [b](INSTALL.md#x) ![c](d.png) [e](f)"
    assert tools.site._linked(text) == wanted.format(tools.site.BLOB)
