"""The page of `score --html`: one file that holds everything, escapes names, and slides one picture over another."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from video_sr.__main__ import app
from video_sr.score_shown import MOST_SHOWN

ODD = "a<script>alert(1)</script>&b"


def write(folder, error=0):
    frames = np.random.default_rng(0).integers(0, 240, (2, 48, 64, 3), np.uint8) + np.uint8(error)
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{index}.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The page of 14 sequences, the first with a name that is markup."""
    folder = tmp_path_factory.mktemp("scored")
    for name in (ODD.replace("/", "∕"), *(f"b{n:02d}" for n in range(13))):
        write(folder / "sr" / name, 2)
        write(folder / "hr" / name)
    page = folder / "scores.html"
    words = ["score", "--sr", folder / "sr", "--hr", folder / "hr", "--html", page, "--peer", "bicubic"]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return page


def test_it_holds_everything_and_escapes_names(made):
    text = made.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert text.count("<script>") == 1
    assert "a&lt;script&gt;" in text
    assert text.count("<section>") == MOST_SHOWN
    assert "2 more sequence(s) are in the table alone" in text
    assert text.count('src="data:image/jpeg') == 3 * MOST_SHOWN
    assert "42.11" in text
    rows = re.findall(r"<tr>(.*?)</tr>", text.split("<h2>Beside peers</h2>")[1].split("</table>")[0])
    assert [re.findall(r">(.*?)</t", row)[0] for row in rows] == ["method", "SR", "bicubic"]
    assert "<td>42.11</td>" in rows[1]


def test_a_page_that_cannot_be_written_is_refused_before_scoring(tmp_path):
    (tmp_path / "p.html").mkdir()
    for name, told in (
        ("p.pdf", "the page must be a .html in a folder that is there"),
        ("p.html", "p.html: is a folder; name a file for the page, such as"),
    ):
        done = CliRunner().invoke(app, ["score", "--sr", "a", "--hr", "b", "--html", str(tmp_path / name)])
        assert (done.exit_code, told in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
def test_arrow_keys_move_the_slider_and_choices_change_pictures(made):
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium is on the path")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        asked, told = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: told.append(message.text))
        page.goto(made.as_uri())
        section = page.locator("section").first
        slider, stage = section.locator("input"), section.locator(".stage")
        slider.focus()
        page.keyboard.press("ArrowLeft")
        assert stage.evaluate("e => e.style.getPropertyValue('--cut')") == "49%"
        section.locator("select").nth(1).select_option("1")
        shown = stage.locator("img:visible")
        assert [shown.nth(n).get_attribute("alt").split(",")[0] for n in range(2)] == ["original", "bicubic"]
        section.locator("select").nth(0).select_option("1")
        assert stage.locator("img:visible").count() == 1
        assert [url for url in asked if not url.startswith("data:")] == [made.as_uri()]
        assert told == []
        browser.close()
