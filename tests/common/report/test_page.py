"""Laws of the page: it holds every claim, stands alone, and shows hostile text as text."""

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from common.claims import Claim
from common.kinds import Superior
from common.report import page, tables
from common.report.cards import Card, IntervalBar
from common.report.page import Fold, Panel, Picture, Section, Sound, TimedWord
from common.report.tables import Cell, Table

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
WAV = b"RIFF" + bytes(8)
BAR = IntervalBar(10.0, 20.0, 30.0, (0.0, 50.0), ((0.0, "0"),), "told")
HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=y>"


def claims(num):
    defaults = {
        "where": "",
        "paper": "",
        "reads": ("A",),
        "kind": Superior(),
        "unit": "dB",
        "scales": ("mini",),
    }
    return [Claim(id=f"c{i}", says=f"Sentence {i}.", margin=lambda arms: 0.0, **defaults) for i in range(num)]


def section(text="x"):
    table = Table(text, (text, text), [[Cell(text, text, text), Cell(text, "code", dots=(0, 0.5))]], text)
    return Section(
        slug=text,
        title=text,
        summary=text,
        tables=[table],
        figures=[Picture(text, PNG)],
        panels=[Panel(text, [Picture(text, PNG)], [Sound(text, WAV)], [table])],
        details=[table],
        folds=[Fold(title=text, notes=[text]), Fold(title="nothing")],
    )


def test_every_claim_is_on_the_page():
    rows = tables.claim_rows(claims(7), command=str)
    text = page.render("t", [Section(slug="s", title="s", summary="s", tables=tables.verdict_tables(rows))])
    assert [i for i in range(7) if f"Sentence {i}." in text] == list(range(7))
    assert text.count("not run") == 7


def test_hostile_text_is_escaped_everywhere():
    card = Card(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, replace(BAR, told=HOSTILE))
    text = page.render(HOSTILE, [section(HOSTILE), section(HOSTILE)], cards=[card], intro=HOSTILE)
    assert text.count("&lt;script&gt;") > 20
    assert "<script" not in text
    assert "<img src=x" not in text
    assert re.findall(r"<img (?!src=\"data:image/png;base64,)", text) == []


def test_commands_of_the_intro_are_code_and_nothing_in_it_is_markup():
    shown = page.render("Title", [], intro="Run `make <b>it</b>`, or <i>not</i>.")
    assert "Run <code>make &lt;b&gt;it&lt;/b&gt;</code>, or &lt;i&gt;not&lt;/i&gt;." in shown


def test_the_page_asks_the_network_for_nothing():
    text = page.render("t", [section()])
    assert re.findall(r"(?:src|href)=\"(?!data:|#)", text) == []
    assert "url(" not in text
    assert "http://" not in text.replace('http-equiv="', "")
    assert "https://" not in text


def test_what_is_long_is_folded_without_scripts_and_an_empty_fold_is_left_out():
    text = page.render("t", [section()])
    assert re.findall(r"<summary>(.*)</summary>", text) == ["x (1 row)", "x (1)"]
    assert text.count("<details>") == text.count("</details>") == 2


def test_a_fold_holds_whatever_a_section_can_show_and_its_script_too():
    words = [TimedWord("word", 0.5, 1.25)]
    fold = Fold(
        title="more",
        figures=[Picture("drawn", PNG)],
        panels=[Panel("heard", sounds=[Sound("said", WAV, words=words)])],
        tables=[Table("rows", ("a",), [[Cell("b")]])],
    )
    text = page.render("t", [Section(slug="s", title="s", summary="s", folds=[fold])])
    held = text[text.index("<summary>more (3)</summary>") :]
    assert all(shown in held for shown in ('alt="drawn"', "<audio", "data-start", "<summary>rows (1 row)"))
    assert "script-src 'sha256-" in text


@pytest.mark.parametrize(
    ("content", "kind"),
    [(PNG, "png"), (b"\xff\xd8\xff\xe0", "jpeg"), (b"<?xml version='1.0'?><svg/>", "svg+xml")],
)
def test_pictures_are_embedded(content, kind):
    assert Picture("p", content).data_uri.startswith(f"data:image/{kind};base64,")


def test_unknown_pictures_are_refused_by_name():
    with pytest.raises(ValueError, match=r"panel: pictures must be PNG, JPEG or SVG, got b'GIF89a'"):
        _ = Picture("panel", b"GIF89a").data_uri


def test_sounds_have_a_player_that_the_page_lets_play_and_no_other_source():
    text = page.render("t", [section(HOSTILE)])
    assert re.findall(r'<audio controls preload="metadata" src="(.{26})', text) == [
        "data:audio/wav;base64,UklG"
    ]
    assert "media-src data:;" in text
    assert text.count("<audio") == text.count("</audio>") == 1


@pytest.mark.parametrize(("content", "mime"), [(PNG, "audio/wav"), (WAV, "audio/ogg"), (WAV, 'x" onplay="y')])
def test_what_is_no_sound_is_refused_by_name(content, mime):
    with pytest.raises(ValueError, match=r"clip: sounds must be audio/wav or audio/ogg, got b'.+' as '.+'"):
        _ = Sound("clip", content, mime).data_uri


def test_dots_lie_where_their_values_say():
    assert re.findall(r'<circle cx="([\d.]+)"', page.render("t", [section()]))[:2] == ["4.0", "56.0"]


@pytest.mark.parametrize(
    ("content", "drawn"),
    [(b"<?xml version='1.0'?><svg/>", True), (b"<svg><image href='data:'/></svg>", False), (PNG, False)],
)
def test_only_what_is_drawn_may_be_inverted_on_a_dark_page(content, drawn):
    assert Picture("p", content).drawn == drawn
    text = page.render("t", [replace(section(), figures=[Picture("p", content)], panels=[])])
    assert ('<img class="drawn" src=' in text) == drawn


def test_only_the_pages_own_script_may_run_and_only_where_it_serves():
    words = [TimedWord(HOSTILE, 0.5, 1.25)]
    for panel in (
        Panel(HOSTILE, [Picture(HOSTILE, PNG)] * 2, compared=True),
        Panel(HOSTILE, sounds=[Sound(HOSTILE, WAV, words=words)]),
    ):
        text = page.render(HOSTILE, [replace(section(HOSTILE), panels=[panel])])
        (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in text
        assert text.count("<script") == 1
    assert 'data-start="0.5" data-stop="1.25"' in text
    assert "script-src" not in page.render("t", [section()])


def test_no_script_makes_markup_of_text():
    script = (page.FOLDER / "page.js.j2").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document.write|eval|https?:", script)
