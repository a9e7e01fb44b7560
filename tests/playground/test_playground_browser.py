"""The page to play with in a real browser: drawing, reading, and what people see of it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from helpers.cnn import predict_probabilities
from helpers.mlp import MLP
from helpers.mnist import load_mnist
from playground.export import assemble, export_playground
from playground.handwriting import as_mnist
from tests.playground.playground_reference import (
    PAGE,
    array,
    networks_text,
    reference,
    reference_cnn,
    reference_mlp,
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
THREE = [(80, 80), (115, 52), (160, 52), (188, 85), (170, 120), (125, 135), (170, 148), (198, 180),
         (180, 220), (130, 232), (80, 205)]  # fmt: skip
SLOW = 120_000  # milliseconds: a crowded machine is no failure


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = next(filter(None, map(shutil.which, BROWSERS)), own)
        if not Path(found).exists():
            pytest.skip(
                "no browser: install Debian's package chromium, or run: playwright install chromium"
            )
        browser = playwright.chromium.launch(executable_path=found, timeout=SLOW)
        yield browser
        browser.close()


def open_page(browser: Browser, path: Path = PAGE, **context) -> Page:
    """A page that remembers in `faults` what went wrong, and all that it wanted to load."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(SLOW)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url))
    page.goto(path.as_uri())
    assert faults.pop(0) == path.as_uri()
    page.faults = faults  # type: ignore[attr-defined]
    return page


@pytest.fixture
def page(browser) -> Iterator[Page]:
    page = open_page(browser)
    yield page
    assert page.faults == []  # type: ignore[attr-defined]
    page.context.close()


def places(page: Page, points: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """Where on the screen the points of the paper, 280 by 280, are."""
    box = page.locator("#paper").bounding_box()
    assert box is not None
    scale = box["width"] / 280
    return [(box["x"] + x * scale, box["y"] + y * scale) for x, y in points]


def draw(page: Page, points: list[tuple[int, int]]) -> None:
    """One stroke of the mouse."""
    first, *rest = places(page, points)
    page.mouse.move(*first)
    page.mouse.down()
    for place in rest:
        page.mouse.move(*place, steps=3)
    page.mouse.up()


def says(page: Page, *words: str) -> None:
    """Wait until the status has all the words."""
    page.wait_for_function(
        "words => words.every((w) => document.getElementById('status').textContent.includes(w))",
        arg=list(words),
    )


def beliefs(page: Page) -> np.ndarray:
    """The lengths of the bars, (2, 10): of the MLP and of the CNN, once they are drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    length = "bar => Number(bar.style.transform.match(/\\((.*)\\)/)[1])"
    found = page.eval_on_selector_all("td .bar b", f"bars => bars.map({length})")
    return np.reshape(found, (10, 2)).T


def test_at_first_it_asks_for_a_digit(page):
    says(page, "Draw a digit.")
    assert page.locator("#hint").is_visible()
    assert not beliefs(page).any()


def test_a_digit_drawn_with_the_mouse_is_read_and_cleared(page):
    draw(page, THREE)
    says(page, "Both read a 3")
    assert page.locator("#mlp-says").inner_text() == page.locator("#cnn-says").inner_text() == "3"
    assert beliefs(page).argmax(axis=1).tolist() == [3, 3]
    assert page.locator(".unit.decides").count() == page.locator("#deciders li:visible").count() > 0
    page.get_by_role("button", name="Clear").click()
    says(page, "Draw a digit.")
    assert not beliefs(page).any()
    assert page.locator("#deciders").is_hidden()


def test_a_digit_drawn_with_a_finger_is_read(browser):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = open_page(browser, **phone)
    finger = page.context.new_cdp_session(page)
    kinds = ["touchStart"] + ["touchMove"] * (len(THREE) - 1)
    for kind, (x, y) in zip(kinds, places(page, THREE), strict=True):
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    says(page, "Both read a 3")
    assert page.evaluate("scrollY") == 0
    assert page.faults == []


def test_a_digit_drawn_with_the_keyboard_is_read(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "paper"
    for key in ["ArrowUp"] * 8 + ["Space"] + ["ArrowDown"] * 16 + ["Space"]:
        page.keyboard.press(key)
    says(page, "Both read a 1")
    page.keyboard.press("Escape")
    says(page, "Draw a digit.")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "clear"


def test_samples_are_seen_as_they_are(page):
    for digit, sample in enumerate(reference()["samples"]):
        page.get_by_role("button", name=f"Load a {digit}").press("Enter")
        says(page, "read")
        beliefs(page)
        seen = page.evaluate("Array.from(asMnist(readPaper()))")
        wanted = as_mnist(array(sample).reshape(28, 28)).ravel()
        np.testing.assert_allclose(seen, wanted, atol=1e-6)


def test_1000_predictions_are_those_of_python(page):
    images = load_mnist().test.images[:1000]
    both = "x => [runMlp(mlp, x).probabilities, runCnn(cnn, x).probabilities]"
    found = page.evaluate(f"xs => JSON.parse(xs).map({both})", json.dumps(images.tolist()))
    wanted = [reference_mlp().forward(images), predict_probabilities(reference_cnn(), images)]
    np.testing.assert_allclose(found, np.stack(wanted, axis=1), rtol=0, atol=1e-4)


@pytest.mark.parametrize("ink", ["0, 0, 280, 280", "140, 140, 1, 1"], ids=["all black", "one dot"])
def test_odd_drawings_give_sane_beliefs(page, ink):
    page.evaluate(f"() => {{ ink.fillRect({ink}); changed(); }}")
    says(page, "read")
    np.testing.assert_allclose(beliefs(page).sum(axis=1), 1, atol=1e-6)


def test_a_tiny_digit_in_the_corner_is_read_as_a_large_one(page):
    page.get_by_role("button", name="Load a 7").click()
    says(page, "Both read a 7")
    large = beliefs(page)
    # A tenth of the size: one pixel of the paper for each of the sample.
    page.evaluate("""() => {
        clear();
        const tiny = new ImageData(28, 28);
        samples[7].values.forEach((value, k) => (tiny.data[4 * k + 3] = 255 * value));
        ink.putImageData(tiny, 252, 252);
        changed();
    }""")
    np.testing.assert_allclose(beliefs(page), large, atol=1e-4)


def test_the_mlp_alone_is_a_whole_page(browser, tmp_path):
    content = json.loads(networks_text(PAGE.read_text(encoding="utf-8"))) | {"cnn": None}
    (tmp_path / "page.html").write_text(assemble(json.dumps(content)), encoding="utf-8")
    page = open_page(browser, tmp_path / "page.html")
    draw(page, THREE)
    says(page, "The MLP reads a 3")
    assert page.locator("td.cnn:visible").count() == 0
    assert "Notebook 2" in page.locator("section.cnn").inner_text()
    assert page.faults == []


@pytest.mark.parametrize("n_hidden", [16, 128])
def test_an_mlp_of_any_size_is_shown_and_computed(browser, tmp_path, n_hidden):
    mlp = MLP(n_hidden=n_hidden, seed=1)
    export_playground(tmp_path / "page.html", load_mnist(), mlp, reference_cnn())
    page = open_page(browser, tmp_path / "page.html")
    draw(page, THREE)
    says(page, "read")
    assert page.locator("#cnn-says").inner_text() == "3"
    assert page.locator(".unit").count() == n_hidden
    seen = page.evaluate("Array.from(asMnist(readPaper()))")
    np.testing.assert_allclose(beliefs(page)[0], mlp.forward(seen), rtol=0, atol=1e-4)
    assert page.faults == []


@pytest.mark.parametrize("width", [320, 760, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_fits_its_width_and_has_a_name(browser, width, scheme):
    context = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    page = open_page(browser, reduced_motion="reduce", **context)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    nameless = "[role=img]:not([aria-label]), button:empty, canvas[tabindex]:not([aria-label])"
    assert page.locator(nameless).count() == 0
    moving = "getComputedStyle(document.querySelector('.bar b')).transitionDuration"
    assert page.evaluate(moving) == "0s"
    assert page.faults == []
