"""What can be asked besides one sentence: several, pictures; and the page that answers are shown on."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import odd_videos
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import multimodal_ssl
from multimodal_ssl import __main__ as tool
from multimodal_ssl.search import contact_sheet, likeness, weights

TEXTS = ("a red square moving left", "a green ball")
ODD = "a <b>&\"'#?.mp4"


def run(*arguments: object):
    return CliRunner().invoke(tool.app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model, and an index of two films, one with a name that would break a page."""
    place = tmp_path_factory.mktemp("place")
    model = odd_videos.weights(place)
    odd_videos.film(place / "videos" / ODD, num_frames=40)
    odd_videos.film(place / "videos" / "b.mp4", first=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert run("index", "videos", "--model", model).exit_code == 0
    return place


@pytest.fixture(autouse=True)
def there(place, monkeypatch):
    monkeypatch.chdir(place)


def found(*arguments):
    done = run("search", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_several_sentences_are_answered_as_each_alone():
    assert found(*TEXTS, "--top", 2) == [found(text, "--top", 2) for text in TEXTS]
    table = run("search", *TEXTS, "--top", 2).stdout
    assert [line for line in table.splitlines() if line.endswith(":")] == [f"{text}:" for text in TEXTS]


def test_a_picture_is_seen_as_a_clip_in_which_nothing_moves(tmp_path):
    trained = weights.load("weights.safetensors")
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    matcher, question = likeness.ask_like(trained, tmp_path / "noise.png")
    still = torch.from_numpy(noise).expand(1, 4, 32, 32, 3).permute(0, 1, 4, 2, 3) / 255
    torch.testing.assert_close(question.units.vectors, matcher.clips(still).vectors)
    own = question.pooled(question.units, question.units)
    torch.testing.assert_close(own, torch.ones(1, 1))  # nothing is more like it than itself


def test_pictures_are_asked_beside_sentences_and_turned_upright(tmp_path):
    wide = Image.new("RGB", (64, 48), (200, 30, 30))
    wide.save(tmp_path / "a.png")
    turned = wide.rotate(90, expand=True)
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned clockwise
    turned.save(tmp_path / "b.jpg", exif=exif, quality=100)
    text, one, other = found(TEXTS[0], "--like", tmp_path / "a.png", "--like", tmp_path / "b.jpg")
    assert text["text"] == TEXTS[0]
    assert (one["like"], one["pooled_is"]) == (str(tmp_path / "a.png"), "means of places")
    assert "not trained for" in one["score_is"]
    assert [hit["start_s"] for hit in one["found"]] == [hit["start_s"] for hit in other["found"]]


class Page(HTMLParser):
    """Tags with their attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.said = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.said.append(data)


def test_a_page_shows_what_was_found_with_links_to_moments_and_needs_no_other_file(tmp_path):
    done = run("search", *TEXTS, "--html", tmp_path / "found.html", "--top", 3)
    assert done.exit_code == 0, done.output
    page = Page((tmp_path / "found.html").read_text())
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "section"),
        *("ol", "li", "a", "img", "br", "span", "p"),
    }
    links = [urlsplit(found["href"]) for tag, found in page.tags if tag == "a"]
    assert {Path(unquote(link.path)).name for link in links} == {ODD, "b.mp4"}
    assert all(Path(unquote(link.path)).is_file() for link in links)
    assert all(re.fullmatch(r"t=[\d.]+,[\d.]+", link.fragment) for link in links)
    pictures = [found["src"] for tag, found in page.tags if tag == "img"]
    assert len(pictures) == 2 * len(found(TEXTS[0], "--top", 3)["found"])
    assert all(base64.b64decode(each.partition(",")[2])[:2] == b"\xff\xd8" for each in pictures)
    assert ODD in "".join(page.said)
    assert re.search(r"\d:00:0\d\.\d\d to \d:00:0\d\.\d\d", "".join(page.said))


def test_what_is_asked_for_and_found_is_escaped_on_the_page(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    picture = str(tmp_path / "a.jpg")
    hit = {"video": '/a\udcff"<i>.mp4', "start_s": 0.0, "stop_s": 1.0, "score": 1.0, "picture": picture}
    report = {
        "text": "<script>alert(1)</script>", "model": "<i>", "score_is": "&", "windows": 1, "notes": ["<u>"],
        "found": [hit],
    }  # fmt: skip
    page = contact_sheet.page([report])
    assert page.encode()  # names that are not UTF-8 too
    assert not {"script", "i", "u"} & {tag for tag, _ in Page(page).tags}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert 'href="file:///a%FF%22%3Ci%3E.mp4#t=0,1"' in page


def test_python_asks_with_pictures_too(tmp_path):
    Image.new("RGB", (64, 48), (200, 30, 30)).save(tmp_path / "a.png")
    hits = multimodal_ssl.load("weights.safetensors", device="cpu").like(
        tmp_path / "a.png", "clip-index", top=2
    )
    told = found("--like", tmp_path / "a.png", "--top", 2)
    assert [hit.start_s for hit in hits] == [hit["start_s"] for hit in told["found"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "what is to be found? give a TEXT, or --like PICTURE"),
        ((TEXTS[0], "--html", "found.txt"), "must be a .html in a folder that is there"),
        ((TEXTS[0], "--html", "none/found.html"), "must be a .html in a folder that is there"),
        ((*TEXTS, "--explain", "why.png"), "--explain draws the phrases of one TEXT"),
        (("--like", "b.png", "--explain", "why.png"), "--explain draws the phrases of one TEXT"),
        (("--like", "none.png"), "none.png: no such file"),
        (("--like", "weights.json"), "weights.json: cannot be read as a picture"),
        ((TEXTS[0], "xyzzy"), "none of the words of 'xyzzy' has a vector"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(arguments, words):
    before = {*Path().iterdir()}
    done = run("search", *arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
    assert {*Path().iterdir()} == before
