"""The page to play with in a real browser: drawing, reading, and what people see of it."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from helpers.cnn import predict_probabilities
from helpers.mlp import MLP
from helpers.mnist import load_mnist
from helpers.notebook import ROOT
from playground.export import assemble, export_playground, export_weights
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
    wanted = faults.append
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: request.url.startswith("blob:") or wanted(request.url))
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
    page.locator("#paper").scroll_into_view_if_needed()
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


def tells(page: Page, place: str, *words: str) -> None:
    """Wait until the element of this id has all the words."""
    page.wait_for_function(
        "([id, words]) => words.every((w) => document.getElementById(id).textContent.includes(w))",
        arg=[place, list(words)],
    )


def says(page: Page, *words: str) -> None:
    """Wait until the status has all the words."""
    tells(page, "status", *words)


def frame(page: Page) -> None:
    """Wait until what was drawn is shown."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def beliefs(page: Page) -> np.ndarray:
    """The lengths of the bars, (2, 10): of the MLP and of the CNN, once they are drawn."""
    frame(page)
    length = "bar => Number(bar.style.transform.match(/\\((.*)\\)/)[1])"
    found = page.eval_on_selector_all("#beliefs .bar b", f"bars => bars.map({length})")
    return np.reshape(found, (10, 2)).T


def test_at_first_it_asks_for_a_digit(page):
    says(page, "Draw a digit.")
    assert page.locator("#hint").is_visible()
    assert not beliefs(page).any()


@pytest.mark.parametrize("tab", ["Backward", "Convolution", "Break it"])
def test_a_view_that_explains_brings_an_example_but_keeps_a_drawing(page, tab):
    page.get_by_role("tab", name=tab).click()
    says(page, "Both read a 3")
    page.get_by_role("button", name="Clear").click()
    says(page, "Draw a digit.")
    page.get_by_role("tab", name="Read").click()
    page.get_by_role("button", name="Load a 7").click()
    page.get_by_role("tab", name=tab).click()
    says(page, "read a 7")


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
        page.get_by_role("button", name=re.compile(f"Load an? {digit}")).press("Enter")
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


def test_the_record_cnn_stands_beside_the_notebooks_and_takes_its_place(page):
    page.get_by_role("button", name="Load a 7").click()
    says(page, "read a 7")
    x = as_mnist(array(reference()["samples"][7]).reshape(28, 28)).reshape(1, -1)
    plain, record = (predict_probabilities(reference_cnn(k), x)[0] for k in ("cnn", "record"))
    use = page.get_by_role("button", name="Let that one read")
    for in_use, beside, name in ((plain, record, "recipe"), (record, plain, "Notebook 2")):
        np.testing.assert_allclose(beliefs(page)[1], in_use, atol=1e-4)
        share = re.search(r"a 7 \((.*) %\)", page.locator("#record-says").inner_text())
        assert share
        assert float(share[1].strip("<>")) == pytest.approx(100 * beside[7], abs=1)
        assert name in page.locator("#record-name").inner_text()
        use.click()
    np.testing.assert_allclose(beliefs(page)[1], plain, atol=1e-4)
    use.click()
    says(page, "Both read a 7")
    assert "Unsure" not in page.locator("#status").inner_text()  # 88 % is sure for this one
    page.get_by_role("tab", name="Break it").click()
    page.get_by_role("button", name="Cut the unit").click()
    page.get_by_role("tab", name="Read").click()
    assert page.locator("#record").is_hidden()
    page.get_by_role("button", name="Restore", exact=True).click()
    np.testing.assert_allclose(beliefs(page)[1], plain, atol=1e-4)


SIZES = [(320, 800), (760, 1000), (1280, 800), (740, 360)]  # the last: a phone on its side
# Colours don't depend on the width, only on what a narrow or a wide page shows.
LOOKS = [*(("light", size) for size in SIZES), ("dark", SIZES[0]), ("dark", SIZES[2])]


@pytest.mark.parametrize(("scheme", "size"), LOOKS, ids=str)
def test_everything_fits_its_width_and_has_a_name(browser, size, scheme):
    width, height = size
    context = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    page = open_page(browser, reduced_motion="reduce", **context)
    page.get_by_role("button", name="Load a 7").click()
    for tab in page.get_by_role("tab").all():
        tab.click()
        says(page, "read a 7")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        nameless = "[role=img]:not([aria-label]), button:empty, canvas[tabindex]:not([aria-label])"
        assert page.locator(nameless).count() == 0
        fields = page.locator("input, select").all()
        assert all(field.evaluate("(e) => e.labels.length || e.ariaLabel") for field in fields)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    moving = "getComputedStyle(document.querySelector('.bar b')).transitionDuration"
    assert page.evaluate(moving) == "0s"
    assert page.faults == []


def test_tabs_are_chosen_by_keyboard_and_by_the_address(browser, page):
    first = page.get_by_role("tab", name="Read")
    first.focus()
    names = [first.inner_text()]
    while names[-1] != names[0] or len(names) == 1:
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.ariaSelected") == "true"
        assert page.get_by_role("tabpanel").count() == 1
        names.append(page.evaluate("document.activeElement.textContent"))
    assert len(names) == page.get_by_role("tab").count() + 1
    for name in names[:-1]:
        page.goto(f"{PAGE.as_uri()}#{name.lower().replace(' ', '-')}")
        assert page.get_by_role("tabpanel", name=name).is_visible()
    page.faults.clear()


# Learn


def fact(page: Page, name: str) -> float:
    """A number among those that the training shows; NaN where it shows none."""
    shown = page.locator("#learn-facts div", has_text=name).locator("dd").first.inner_text()
    return float(shown.rstrip(" %").replace("–", "nan"))


def wait_for_fact(page: Page, name: str, least: float) -> None:
    page.wait_for_function(
        """([name, least]) => [...document.querySelectorAll('#learn-facts div')].some((fact) =>
            fact.innerText.startsWith(name) &&
            parseFloat(fact.innerText.split("\\n")[1]) >= least)""",
        arg=[name, least],
    )


def test_a_network_learns_step_by_step_and_at_a_run(page):
    page.get_by_role("tab", name="Learn").click()
    page.wait_for_selector("#learn-templates .unit")
    page.get_by_role("button", name="One step").click()
    wait_for_fact(page, "Steps", 1)
    tells(page, "learn-status", "After 1 step", "%")
    page.get_by_role("button", name="Start").click()
    wait_for_fact(page, "New images right", 50)
    assert page.locator("#learn-status").inner_text() == ""  # what it told of one step is over
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Start").wait_for()
    steps = fact(page, "Steps")
    tells(page, "learn-status", f"After {steps:.0f} steps", "%")
    assert fact(page, "Steps") == steps >= 20
    page.get_by_role("button", name="Let it read my drawing").click()
    assert f"after {steps:.0f} steps" in page.locator("#other").inner_text()
    page.get_by_role("button", name="Restore").click()
    assert page.locator("#other").is_hidden()


@pytest.mark.parametrize("units", [1, 16, 128])
def test_a_network_of_any_size_learns_and_reads(page, units):
    page.goto(f"{PAGE.as_uri()}#learn")
    page.wait_for_selector("#learn-templates .unit")
    page.locator("#learn-units").fill(str(units))
    page.locator("#learn-units").press("Tab")
    page.wait_for_function(
        f"() => document.querySelectorAll('#learn-templates .unit').length === {units}"
    )
    page.get_by_role("button", name="One step").click()
    wait_for_fact(page, "Steps", 1)
    page.get_by_role("button", name="Let it read my drawing").click()
    page.get_by_role("tab", name="Read").click()
    page.get_by_role("button", name="Load a 7").click()
    says(page, "read")
    assert page.locator("#templates .unit").count() == units
    for tab in page.get_by_role("tab").all():
        tab.click()
        frame(page)
    page.faults[:] = [fault for fault in page.faults if not fault.startswith("file:")]


def test_a_network_that_diverged_says_so_and_reads_nothing(page):
    page.goto(f"{PAGE.as_uri()}#learn")
    page.wait_for_selector("#learn-templates .unit")
    page.get_by_label("Learning rate").fill("1e38")
    page.get_by_role("button", name="Start").click()
    tells(page, "learn-status", "no number any more")
    page.get_by_role("button", name="Let it read my drawing").click()
    tells(page, "learn-status", "can’t read")
    assert page.locator("#other").is_hidden()
    page.faults[:] = [fault for fault in page.faults if not fault.startswith("file:")]


def test_reports_that_come_in_one_frame_are_shown_once(page):
    shown = page.evaluate("""() => new Promise((done) => {
        let count = 0;
        const show = oncePerFrame(() => { count += 1; });
        for (let k = 0; k < 5; k++) show();
        requestAnimationFrame(() => { show(); requestAnimationFrame(() => done(count)); });
    })""")
    assert shown == 2


def test_the_rate_has_to_be_a_number(page):
    page.goto(f"{PAGE.as_uri()}#learn")
    page.wait_for_selector("#learn-templates .unit")
    page.get_by_label("Learning rate").fill("-1")
    page.get_by_role("button", name="One step").click()
    assert page.evaluate("document.activeElement.id") == "learn-rate"
    page.faults[:] = [fault for fault in page.faults if not fault.startswith("file:")]


# Backward, Convolution, Break it


def number(text: str) -> float:
    """The number after the last colon, as the page writes it."""
    return float(text.rpartition(": ")[2].replace("−", "-"))


@pytest.mark.parametrize("digit", [3, 7])
def test_a_number_on_the_way_back_is_chosen_by_keyboard_and_explained(page, digit):
    page.get_by_role("button", name="Load a 7").click()
    page.get_by_role("tab", name="Backward").click()
    page.locator("#truth").select_option(str(digit))
    mlp, x = reference_mlp(), as_mnist(array(reference()["samples"][7]).reshape(28, 28)).ravel()
    mlp.forward(x)
    mlp.update_grad(np.eye(10)[digit])
    page.locator("[data-quantity=delta1] canvas").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):  # the first chooses number 0
        page.keyboard.press(key)
    name = page.locator("#back-explanation .name")
    assert name.inner_text().startswith("δ1[17]")
    assert number(name.inner_text()) == pytest.approx(mlp.b1_grad[17], rel=1e-2)
    assert page.locator("#back-explanation tbody tr").count() == 10
    page.locator("[data-quantity=slopesW2] canvas").click()
    assert page.locator("#back-explanation tbody tr").count() == 2
    assert page.locator(".mark:visible").count() == 1


PHONES = [(844, 390), (390, 844)]


@pytest.mark.parametrize("size", [(1280, 800), *PHONES], ids=str)
@pytest.mark.parametrize("tab", ["Backward", "Convolution"])
def test_what_is_chosen_and_its_explanation_are_both_in_sight(browser, size, tab):
    width, height = size
    touch = size in PHONES
    context = {"viewport": {"width": width, "height": height}, "has_touch": touch}
    page = open_page(browser, is_mobile=touch, **context)
    page.get_by_role("tab", name=tab).click()
    says(page, "read a 3")
    view = page.get_by_role("tabpanel")
    numbers = view.locator(".numbers canvas")
    for at in {0, numbers.count() // 2, numbers.count() - 1}:
        numbers.nth(at).scroll_into_view_if_needed()
        (numbers.nth(at).tap if touch else numbers.nth(at).click)()
        frame(page)
        boxes = [view.locator(of).bounding_box() for of in (".mark:visible", ".explanation")]
        (_, mark), (top, bottom) = ((box["y"], box["y"] + box["height"]) for box in boxes if box)
        assert 0 < mark <= top < bottom <= height + 1
        name = view.locator(".explanation .name").inner_text()
        right = view.get_by_role("button", name="right of it")
        assert right.is_visible() == touch
        if touch:
            right.tap()
            assert view.locator(".explanation .name").inner_text() != name
            assert view.locator(".mark:visible").count() == 1
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.faults == []
    page.context.close()


def test_one_step_fools_either_network(page):
    page.get_by_role("button", name="Load a 7").click()
    page.get_by_role("tab", name="Backward").click()
    for network in ("mlp", "cnn"):
        page.locator("#fooled").select_option(network)
        page.locator("#target").select_option("3")
        page.get_by_role("button", name="Find the smallest step").click()
        tells(page, "fooling", "step")
        text = page.locator("#fooling").inner_text()
        assert re.search("Before the step it reads a 7 .* after it a 3", text)


def test_the_step_that_is_found_is_shown_however_large(page):
    page.get_by_role("tab", name="Backward").click()
    told = page.evaluate("""() => samples.flatMap(({values}) => {
        imageShown = values;
        return Array.from({length: 10}, (_, digit) => {
            target.selectedIndex = digit;
            findSmallestStep();
            return byId("fooling").textContent;
        });
    })""")
    for at, text in enumerate(told):
        digit = at % 10
        assert re.search(f"after it an? {digit} |No single step makes it read an? {digit}", text)
    sizes = page.evaluate("[stepSize.max, smallestStep([0], [-1], 1, ([x]) => Number(x > 0.995))]")
    assert float(sizes[0]) >= sizes[1] > 0.9


@pytest.mark.parametrize("place", [(0, 2, 0), (1, 11, 9)])
def test_a_pixel_of_a_map_is_explained(page, place):
    layer, map_, steps_right = place
    page.get_by_role("button", name="Load a 7").click()
    page.get_by_role("tab", name="Convolution").click()
    page.locator("#places .layer").nth(layer).locator("canvas[tabindex]").nth(map_).focus()
    for _ in range(steps_right + 1):
        page.keyboard.press("ArrowRight")
    x = as_mnist(array(reference()["samples"][7]).reshape(28, 28))
    net = reference_cnn().layers
    below = torch.from_numpy(x)[None, None]
    maps = [net.conv1(below), net.conv2(net.relu1(net.pool1(net.conv1(below))))][layer][0, map_]
    column = min(steps_right, maps.shape[1] - 1)  # an arrow does not leave the map
    name = page.locator("#place .name").inner_text()
    assert name.endswith(f"map {map_}, row 0, column {column}: {name.rpartition(': ')[2]}")
    assert number(name) == pytest.approx(maps[0, column].item(), rel=1e-2, abs=1e-4)
    assert page.locator("#window .square").count() == 3
    assert page.locator("#through option").count() == [1, 6][layer]
    last = str([0, 5][layer])
    page.locator("#through").select_option(last)
    assert page.locator("#window td").count() == 75


def test_what_is_broken_is_seen_counted_and_restored(page):
    page.get_by_role("button", name="Load a 7").click()
    page.get_by_role("tab", name="Break it").click()
    bars = "bars => bars.map((bar) => bar.style.transform)"
    columns = [f"#broken td.{name} .bar b" for name in ("mlp.whole", "mlp.now")]
    before, now = (page.eval_on_selector_all(column, bars) for column in columns)
    assert before == now
    for name in ("Cut the unit", "Set its bias to 0", "Add the noise"):
        page.get_by_role("button", name=name).click()
        frame(page)
    before, now = (page.eval_on_selector_all(column, bars) for column in columns)
    assert before != now
    assert page.locator("#damage li").count() == 3
    page.get_by_role("button", name="Count what they read right").click()
    tells(page, "judgement", "CNN")
    counts = re.findall(r"(\d+) right \((\d+) before", page.locator("#judgement").inner_text())
    validation = load_mnist().validation.first(200)
    right = (reference_mlp().forward(validation.images).argmax(axis=1) == validation.labels).sum()
    assert int(counts[0][1]) == pytest.approx(right, abs=1)  # the page holds 8 bits a pixel
    assert counts[0][0] != counts[0][1]
    assert counts[1][0] == counts[1][1]
    page.get_by_role("button", name="Restore all").click()
    frame(page)
    before, now = (page.eval_on_selector_all(column, bars) for column in columns)
    assert before == now
    assert page.locator("#damage li").count() == 0


# The drawing, and what is brought and taken away


def paper_ink(page: Page) -> float:
    """How much ink lies on the paper."""
    beliefs(page)
    return page.evaluate("readPaper().pixels.reduce((a, b) => a + b)")


def test_a_tap_draws_a_dot_as_wide_as_the_pen_and_is_undone(page):
    found = []
    for width in (10, 40):
        page.locator("#pen-width").fill(str(width))
        draw(page, [(140, 140)])
        found.append(paper_ink(page))
        page.get_by_role("button", name="Undo").click()
        assert paper_ink(page) == 0
    assert found == pytest.approx([np.pi * 5**2, np.pi * 20**2], rel=0.05)


def test_each_change_is_undone_in_turn(page):
    inks = [0.0]
    for change in ("draw", "Load a 3", "draw", "Clear"):
        if change == "draw":
            draw(page, [(40, 40), (200, 60)])
        else:
            page.get_by_role("button", name=change).click()
        inks.append(paper_ink(page))
    page.locator("#paper").focus()
    for before in inks[-2::-1]:
        page.keyboard.press("Control+z")
        assert paper_ink(page) == pytest.approx(before)


def test_without_centring_the_networks_see_the_paper_as_it_is(page):
    page.get_by_role("button", name="Load a 7").click()
    page.get_by_label("Scale and centre it").uncheck()
    beliefs(page)
    shown = page.evaluate("Array.from(context(byId('seen')).getImageData(0, 0, 28, 28).data)")
    np.testing.assert_allclose(
        np.array(shown[::4]) / 255, array(reference()["samples"][7]), atol=0.01
    )
    page.get_by_role("button", name="Clear").click()
    draw(page, [(20, 20), (20, 60)])
    corner = page.evaluate("Array.from(asItLies(readPaper()))")
    assert np.reshape(corner, (28, 28))[10:].sum() == 0


def test_the_drawing_is_saved_as_the_networks_see_it(page, tmp_path):
    page.get_by_role("button", name="Load a 5").click()
    beliefs(page)
    page.get_by_text("Your own photo or weights").click()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save the drawing").click()
    saving.value.save_as(tmp_path / "digit.png")
    saved = np.asarray(Image.open(tmp_path / "digit.png").convert("L")).ravel() / 255
    seen = page.evaluate("Array.from(asMnist(readPaper()))")
    np.testing.assert_allclose(saved, seen, atol=0.6 / 255)
    page.faults[:] = [fault for fault in page.faults if not fault.startswith("blob:")]


def test_a_photo_is_read_like_the_drawing_it_shows(page, tmp_path):
    picture = np.kron(array(reference()["samples"][4]).reshape(28, 28), np.ones((30, 30)))
    grey = (0.8 - 0.6 * picture) * np.linspace(1, 0.7, 840)
    Image.fromarray((255 * grey).astype(np.uint8)).save(tmp_path / "photo.jpg")
    page.locator("#photo").set_input_files(tmp_path / "photo.jpg")
    says(page, "Both read a 4")
    Image.new("L", (50, 50), 130).save(tmp_path / "empty.png")
    page.locator("#photo").set_input_files(tmp_path / "empty.png")
    says(page, "empty.png", "no ink")
    (tmp_path / "text.png").write_text("no picture")
    page.locator("#photo").set_input_files(tmp_path / "text.png")
    says(page, "text.png can’t be used")


def test_what_went_wrong_stays_to_be_read(page, tmp_path):
    (tmp_path / "wrong.json").write_text("{}")
    page.get_by_role("button", name="Load a 2").click()
    frame(page)
    page.locator("#weights").set_input_files(tmp_path / "wrong.json")
    says(page, "wrong.json can’t be used")
    page.wait_for_timeout(1000)  # longer than the page waits before it tells what it reads
    says(page, "wrong.json can’t be used")
    page.get_by_role("button", name="Load a 7").click()
    says(page, "read a 7")


@pytest.mark.parametrize("units", [16, 128])
def test_weights_of_a_student_are_loaded_into_the_page(page, tmp_path, units):
    mlp = MLP(n_hidden=units, seed=units)
    export_weights(tmp_path / "mine.json", mlp)
    page.locator("#weights").set_input_files(tmp_path / "mine.json")
    tells(page, "other", "mine.json")
    page.get_by_role("button", name="Load a 2").click()
    x = as_mnist(array(reference()["samples"][2]).reshape(28, 28)).ravel()
    np.testing.assert_allclose(beliefs(page)[0], mlp.forward(x), atol=1e-5)
    assert page.locator("#templates .unit").count() == units
    (tmp_path / "wrong.json").write_text('{"mlp": {"W1": 3}}')
    page.locator("#weights").set_input_files(tmp_path / "wrong.json")
    says(page, "wrong.json can’t be used. W1 has shape none")
    (tmp_path / "mine.pth").write_bytes(b"\x80\x02PK")
    page.locator("#weights").set_input_files(tmp_path / "mine.pth")
    says(page, "mine.pth can’t be used. It is no JSON; wanted a file written by export_weights.")
    page.get_by_role("button", name="Restore").first.click()
    beliefs(page)
    assert page.locator("#templates .unit").count() == 64


def test_the_code_that_the_page_shows_exports_what_the_notebooks_have(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"saved_full": reference_mlp(), "myNet_full_loaded": reference_cnn()}
    for place, number in (("export-mlp", 1), ("export-cnn", 2)):
        code = page.locator(f"#{place}").text_content()
        (notebook,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        name = list(names)[number - 1]
        assert name in code
        assert name in notebook.read_text(encoding="utf-8")
        exec(code, names)
        page.locator("#weights").set_input_files(tmp_path / "mine.json")
        tells(page, "other", "mine.json")


@pytest.mark.parametrize("drawn", [THREE, [(60, 60), (60, 200), (200, 200), (200, 60), (60, 140)]])
def test_little_belief_is_called_unsure(page, drawn):
    draw(page, drawn)
    says(page, "read")
    sure = reference()["sure"]
    least = [sure["mlp"], sure["cnn"]]
    is_unsure = bool((beliefs(page).max(axis=1) < least).any())
    page.wait_for_function(
        "wanted => document.getElementById('status').textContent.includes('Unsure') === wanted",
        arg=is_unsure,
    )


def test_classes_with_names_are_called_by_them(browser, tmp_path):
    content = json.loads(networks_text(PAGE.read_text(encoding="utf-8")))
    names = ["T-shirt/top", "Ankle boot", *(f"long name {k}" for k in range(8))]
    content["classes"] = {"noun": "article", "names": names}
    (tmp_path / "page.html").write_text(assemble(json.dumps(content)), encoding="utf-8")
    page = open_page(browser, tmp_path / "page.html", viewport={"width": 320, "height": 800})
    assert page.get_by_role("heading", level=1).inner_text() == "Draw an article"
    page.get_by_role("button", name="Load an Ankle boot").click()
    says(page, "Both read an Ankle boot")
    for tab in page.get_by_role("tab").all():
        tab.click()
        frame(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.faults == []
