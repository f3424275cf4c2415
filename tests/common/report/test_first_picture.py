"""Laws of the first page's picture: it carries what it was drawn from, fits a page, and is told in words."""

import io
import re
from dataclasses import replace

import pytest
from PIL import Image

from common import papers
from common.report import build, first_picture
from common.report.cards import IntervalBar
from common.report.first_picture import Headline
from common.report.page import Picture


def jpeg(grey):
    held = io.BytesIO()
    Image.new("RGB", (32, 22), (grey,) * 3).save(held, "jpeg")
    return held.getvalue()


BAR = IntervalBar(20, 30, 40, (50, 100), ((50, "0"),), "+1.00 dB [+0.5, +2]; upheld above 0 dB")
SHOWN = [Headline("x16 <video>", "refuted", BAR), Headline("speech", "not run", None)]
FRAMES = [Picture("what goes in", jpeg(9)), Picture("the truth", jpeg(200))]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    path = tmp_path_factory.mktemp("drawn") / "picture.png"
    path.write_bytes(first_picture.draw(SHOWN, FRAMES))
    return path


def test_the_picture_says_what_it_was_drawn_from_and_fits_a_page(drawn):
    assert first_picture.digest_in(drawn) == first_picture.digest(SHOWN, FRAMES) != ""
    assert drawn.stat().st_size < 300_000
    with Image.open(drawn) as picture:
        assert picture.width >= first_picture.SHOWN_PX
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)  # on a dark page as well


@pytest.mark.parametrize(
    ("headlines", "frames"),
    [
        ([SHOWN[1], SHOWN[0]], FRAMES),
        ([replace(SHOWN[0], word="upheld"), SHOWN[1]], FRAMES),
        ([replace(SHOWN[0], bar=replace(BAR, told="+1.01 dB")), SHOWN[1]], FRAMES),
        (SHOWN, FRAMES[:1]),
        (SHOWN, [FRAMES[0], Picture("the truth", jpeg(100))]),
    ],
)
def test_whatever_is_shown_otherwise_makes_a_picture_stale(headlines, frames):
    assert first_picture.digest(headlines, frames) != first_picture.digest(SHOWN, FRAMES)


def test_no_picture_is_a_stale_one(tmp_path):
    assert first_picture.digest_in(tmp_path / "none.png") == ""


def test_words_say_all_that_is_to_be_seen_and_stay_words():
    markup = first_picture.markup(SHOWN, FRAMES, "a.png")
    for words in (
        "x16 &lt;video&gt; refuted (+1.00 dB [+0.5, +2]",
        "speech not run",
        "what goes in, the truth",
    ):
        assert words in markup
    assert re.fullmatch(r'<img src="a\.png" width="\d+" alt="[^"<>]+">', markup)


def test_verify_names_a_stale_picture_and_renew_draws_it(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text(
        "<!-- generated: verdicts -->\n<!-- end -->\n<!-- generated: picture -->\n<!-- end -->\n"
    )
    (tmp_path / "evidence.md").write_text("<!-- generated: power -->\n<!-- end -->\n")
    monkeypatch.setattr(build, "README", tmp_path / "README.md")
    monkeypatch.setattr(build, "EVIDENCE", tmp_path / "evidence.md")
    none = []
    assert any("picture is stale" in sentence for sentence in build.stale_tables(none))
    assert tmp_path / build.FIRST_PICTURE in build.renew_tables(none)
    assert build.stale_tables(none) == []


def test_the_committed_picture_is_small_and_shows_every_paper():
    path = build.README.parent / build.FIRST_PICTURE
    assert path.stat().st_size <= 300_000
    (alt,) = re.findall(rf'<img src="{build.FIRST_PICTURE}"[^>]* alt="([^"]+)"', build.README.read_text())
    assert all(paper.report.topic in alt for paper in papers.papers().values())
