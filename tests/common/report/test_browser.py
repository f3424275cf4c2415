"""The report of the published runs in a real browser: needs the extra `browser` and a Chromium on the path."""

import shutil
from pathlib import Path

import pytest

from common import papers
from common.report import build

pytestmark = pytest.mark.slow
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNS_ROOT", str(tmp_path_factory.mktemp("runs")))
        return build.write_page(list(papers.papers().values()))


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is on the path")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, report):
    """Opens the report at a size; complaints of the console and what was asked of the network are kept."""
    opened = []

    def go(width, height, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        opened.append(page)
        page.told, page.asked = [], []
        page.on("console", lambda message: page.told.append(message.text))
        page.on("pageerror", lambda error: page.told.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(Path(report).as_uri())
        return page

    yield go
    for page in opened:
        page.close()


def test_the_first_screen_holds_the_four_headlines(visit):
    cards = visit(1280, 900).locator(".card")
    assert cards.count() == len(list(papers.papers().values()))
    boxes = [cards.nth(i).bounding_box() for i in range(cards.count())]
    assert max(box["y"] + box["height"] for box in boxes) <= 900


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_the_page_is_never_wider_than_the_screen(visit, width):
    page = visit(width, 844)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_is_asked_of_the_network_and_nothing_complains(visit, report):
    page = visit(1280, 900)
    assert [url for url in page.asked if not url.startswith("data:")] == [Path(report).as_uri()]
    assert page.told == []


def test_every_picture_and_sound_can_be_shown(visit):
    page = visit(1280, 900)
    page.wait_for_load_state("load")
    broken = page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)")
    assert broken == []
    assert page.evaluate("[...document.images].every(i => i.alt.length > 0)")


def test_cards_lead_to_their_papers_by_keyboard(visit):
    page = visit(1280, 900)
    for number, paper in enumerate(list(papers.papers().values()), 1):
        page.goto(page.url.partition("#")[0])
        page.reload()
        for _ in range(number):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == f"#{paper.slug}"


CONTRAST = """
() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => numbers(colour).slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll("p, h1, h2, h3, th, td, span, code, figcaption, summary, li, a")]
    .filter(element => element.textContent.trim())
    .map(element => {
      const [a, b] = [getComputedStyle(element).color, behind(element)].map(light).sort((x, y) => y - x);
      return [(a + .05) / (b + .05), element.tagName + " " + element.textContent.trim().slice(0, 40)];
    }).filter(([ratio]) => ratio < 4.5);
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(visit, scheme):
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    assert visit(1280, 900, scheme).evaluate(CONTRAST) == []


# ---- pictures over one another, words that are heard, pages of runs


PIXEL = """
() => [...document.querySelectorAll(".wipe img + img")].map(image => getComputedStyle(image).clipPath)
"""


def test_what_is_folded_opens_by_keyboard(visit):
    page = visit(1280, 900)
    summary = page.locator("summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("details[open]").count() == 1
    assert page.locator("details[open] table").first.is_visible()


def test_pictures_lie_over_one_another_with_a_line_that_the_keyboard_moves(visit):
    page = visit(1280, 900)
    panel = page.locator(".compare").first
    assert page.locator(".compare").count() >= 3
    slider = panel.get_by_role("slider")
    before = page.evaluate(PIXEL)[0]
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert slider.input_value() == "60"
    assert page.evaluate(PIXEL)[0] != before
    left = panel.get_by_role("combobox").first
    left.select_option(label="truth")
    truth = page.locator('.panel img[alt$=": truth"]').first
    assert panel.locator(".wipe img").nth(1).get_attribute("src") == truth.get_attribute("src")


def test_every_run_has_a_page_that_can_be_read_and_whose_files_are_there(visit, report):
    links = {a for a in visit(1280, 900).evaluate("[...document.links].map(a => a.href)") if "/runs/" in a}
    assert len(links) > 50
    page = visit(390, 844)
    for link in sorted(links)[::20]:
        page.goto(link)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        files = page.evaluate("[...document.querySelectorAll('a[download]')].map(a => a.href)")
        assert len(files) == 2
        assert all(Path(file.removeprefix("file://")).is_file() for file in files)
        page.get_by_role("link").first.click()
        assert page.url.partition("#")[0] == Path(report).as_uri()
    assert page.told == []
