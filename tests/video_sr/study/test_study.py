"""A user study asks every pair once on random sides, keeps each answer, and ranks as Bradley and Terry do."""

import json
import shutil
import threading
import urllib.error
import urllib.request
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from video_sr.__main__ import app
from video_sr.study import pairs, ranking, server
from video_sr.study.pairs import Pair, Vote

METHODS = ("bicubic", "ours", "span")


@pytest.fixture
def shown(tmp_path):
    """Three methods with four scenes; a fifth scene is one method's alone."""
    for place, method in enumerate(METHODS):
        (tmp_path / method).mkdir()
        for scene in range(4 + (method == "ours")):
            Image.new("RGB", (16, 12), (80 * place, 50 * scene, 9)).save(tmp_path / method / f"{scene}.png")
    return pairs.from_folders({method: tmp_path / method for method in METHODS})


def test_every_pair_is_asked_once_on_either_side_and_in_another_order_each_time(shown):
    asked = pairs.questions(shown, [], np.random.default_rng(0))
    assert len(asked) == len({pair.asked for pair in asked}) == 4 * 3
    assert asked != pairs.questions(shown, [], np.random.default_rng(1))
    many = [pairs.questions(shown, [], np.random.default_rng(seed)) for seed in range(50)]
    lefts = Counter(pair.left for each in many for pair in each)
    assert all(150 < lefts[method] < 250 for method in METHODS)  # of 400 places each


def test_what_was_answered_is_not_asked_again_whatever_its_sides(shown, tmp_path):
    path = tmp_path / "votes.jsonl"
    pairs.keep(path, Vote("0", "span", "ours", "left"))
    pairs.keep(path, Vote("1", "ours", "span", "same"))
    votes = pairs.read_votes(path)
    assert votes == [Vote("0", "span", "ours", "left"), Vote("1", "ours", "span", "same")]
    left = {pair.asked for pair in pairs.questions(shown, votes, np.random.default_rng(0))}
    assert len(left) == 10
    assert ("0", frozenset(("ours", "span"))) not in left


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nothing", "line 2: is no vote"),
        ('{"scene": "0"}', "line 2: is no vote: expected chosen, left, right, scene"),
        (
            json.dumps({"scene": "0", "left": "a", "right": "b", "chosen": "both"}),
            "chosen must be one of left, right, same, got 'both'",
        ),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, told):
    path = tmp_path / "votes.jsonl"
    pairs.keep(path, Vote("0", "a", "b", "left"))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=told):
        pairs.read_votes(path)


def test_three_wins_of_four_are_odds_of_seven_to_three():
    """With half a win each way before the first vote, 3.5 to 1.5."""
    votes = [Vote(str(n), "a", "b", "left" if n else "right") for n in range(4)]
    first, second = ranking.ranking(votes)
    assert (first.method, first.won, first.num_votes) == ("a", 3, 4)
    assert first.strength - second.strength == pytest.approx(np.log(7 / 3))
    assert np.isnan([first.low, first.high]).all()


@pytest.mark.parametrize("num_scenes", [8, 12])
def test_intervals_of_equal_methods_miss_as_often_as_they_say(num_scenes):
    """500 studies of three equal methods; on each scene one likes them by a taste of its own."""
    rng = np.random.default_rng(0)
    taste = rng.normal(size=(500, num_scenes, 3))
    odds = np.exp(taste[..., :, None] - taste[..., None, :])
    upper = np.triu(rng.binomial(4, odds / (1 + odds)), 1)
    wins = (upper + np.swapaxes(np.triu(4 - upper, 1), -1, -2)).astype(float)
    missed = np.abs(ranking.bradley_terry(wins.sum(1))) > ranking.half_widths(wins)
    assert 0.01 < missed.mean() < 0.1


def test_fewer_than_eight_scenes_have_no_interval():
    votes = [Vote(str(n), "a", "b", "left" if n % 3 else "right") for n in range(8)]
    first = ranking.ranking(votes)[0]
    assert first.low < first.strength < first.high
    assert "95 % over scenes" in ranking.table(votes)
    assert "no interval: 7 scenes, 8 are needed" in ranking.table(votes[:7])
    assert "nan" not in ranking.table(votes[:7])
    always = ranking.ranking([Vote(str(n), "a", "b", "left") for n in range(8)])
    assert np.isnan(always[0].low)  # no scene left out makes a difference


def test_strengths_that_made_the_votes_are_found_again():
    strengths = np.array([0.8, 0.1, -0.9])
    odds = np.exp(strengths[:, None] - strengths)
    wins = 4000 * odds / (1 + odds) * (1 - np.eye(3))
    assert ranking.bradley_terry(wins) == pytest.approx(strengths, abs=1e-3)


def test_who_always_wins_is_finite_and_equal_votes_are_no_ranking():
    always = ranking.ranking([Vote(str(n), "a", "b", "left") for n in range(5)])
    assert np.isfinite([row.strength for row in always]).all()
    same = ranking.ranking([Vote(str(n), "a", "b", "same") for n in range(5)])
    assert [row.strength for row in same] == pytest.approx([0, 0])
    assert np.isnan(ranking.ranking([Vote("0", "a", "b", "left")])[0].low)


@pytest.fixture
def running(shown, tmp_path):
    asked = [Pair("0", "ours", "span"), Pair("1", "bicubic", "ours")]
    study = server.Study(shown, asked, tmp_path / "votes.jsonl")
    with server.serve(study, 0) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield study, f"http://{server.HOST}:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def ask(url, body=None, **headers):
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_page_asks_keeps_and_names_no_method(running):
    study, url = running
    status, page = ask(url)
    assert status == 200
    assert not any(method.encode() in page for method in METHODS)
    assert json.loads(ask(f"{url}/next")[1]) == {"number": 0, "left": 2}
    assert ask(f"{url}/picture/0/left")[1] == study.shown["ours"]["0"].read_bytes()
    assert ask(f"{url}/vote", {"number": 0, "chosen": "right"}) == (200, b"kept")
    assert ask(f"{url}/vote", {"number": 0, "chosen": "left"})[0] == 400  # answered already
    assert ask(f"{url}/vote", {"number": 1, "chosen": "up"})[0] == 400
    assert ask(f"{url}/vote", {"number": 1, "chosen": "same"})[0] == 200
    assert json.loads(ask(f"{url}/next")[1]) == {"number": None, "left": 0}
    assert [vote.chosen for vote in pairs.read_votes(study.votes)] == ["right", "same"]


def test_other_sites_and_other_paths_get_nothing(running):
    study, url = running
    assert ask(f"{url}/vote", {"number": 0, "chosen": "left"}, Origin="http://elsewhere.org")[0] == 403
    assert ask(url, Host="elsewhere.org")[0] == 403
    for path in ("/picture/0/../../votes.jsonl", "/picture/9/left", "/picture/0/up", "/votes.jsonl"):
        assert ask(url + path)[0] == 404
    assert not study.votes.exists()


def test_published_pictures_are_there_to_be_asked_about():
    from video_sr import paper

    shown = pairs.published(paper.PAPER.folder, "mini")
    assert {"BICUBIC", "WIDE", "EVESRNET", "SPAN_TWICE"} <= set(shown)
    assert all(path.exists() for pictures in shown.values() for path in pictures.values())


def test_the_command_ranks_and_refuses_what_is_no_study(tmp_path):
    votes = tmp_path / "votes.jsonl"
    for scene in range(3):
        pairs.keep(votes, Vote(str(scene), "ours", "bicubic", "left"))
    done = CliRunner().invoke(app, ["study", "--votes", str(votes), "--rank"])
    assert done.stdout.splitlines()[0].split()[0] == "ours"
    assert "3 of 3 votes" in done.stdout
    for words, told in (
        (["--votes", str(tmp_path / "none.jsonl"), "--rank"], "there are no votes to rank by"),
        (["--method", "a", "--votes", str(votes)], "--method must be NAME=FOLDER"),
        (["--method", f"a={tmp_path}", "--votes", str(votes)], "a study compares two methods or more, got a"),
    ):
        done = CliRunner().invoke(app, ["study", *words])
        assert (done.exit_code, told in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
def test_arrow_keys_vote_in_a_browser(running):
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium is on the path")
    study, url = running
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        told = []
        page.on("console", lambda message: told.append(message.text))
        page.goto(url)
        page.get_by_text("2 to go").wait_for()
        page.keyboard.press("ArrowRight")
        page.get_by_text("1 to go").wait_for()
        assert page.evaluate("[...document.images].every(i => i.naturalWidth == 16)")
        page.locator("#left").click()
        page.get_by_text("That was all").wait_for()
        browser.close()
    assert [vote.chosen for vote in pairs.read_votes(study.votes)] == ["right", "left"]
    assert [line for line in told if "favicon" not in line] == []
