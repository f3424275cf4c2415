"""A user study asks every pair once on random sides, keeps each answer, and ranks as Bradley and Terry do."""

import io
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
    first, second = ranking.ranking([Vote(str(n), "a", "b", "left") for n in range(5)])
    assert first.strength - second.strength == pytest.approx(np.log(5.5 / 0.5))
    same = ranking.ranking([Vote(str(n), "a", "b", "same") for n in range(5)])
    assert [row.strength for row in same] == pytest.approx([0, 0])
    assert [row.won for row in same] == [2.5, 2.5]


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
    for path in ("", "/next", "/picture/0/left"):
        with urllib.request.urlopen(url + path) as answer:
            told = answer.read() + str(answer.headers).encode()
        assert not any(method.encode() in told for method in METHODS), path
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
    Image.new("RGB", (16, 12)).save(tmp_path / "0.png")
    for words, told in (
        (["--votes", str(tmp_path / "none.jsonl"), "--rank"], "none.jsonl: there are no votes to rank by"),
        (["--method", "a", "--votes", str(votes)], "--method must be NAME=FOLDER"),
        (["--method", f"a={tmp_path}", "--votes", str(votes)], "a study compares two methods or more, got a"),
    ):
        done = CliRunner().invoke(app, ["study", *words])
        assert (done.exit_code, told in done.stderr) == (2, True), done.stderr


@pytest.fixture
def refused(shown, tmp_path):
    """Runs the command with the fixture's methods, named anew if asked, and returns what it says on stderr."""

    def run(*words):
        methods = [f"--method={method}={tmp_path / method}" for method in METHODS]
        done = CliRunner().invoke(app, ["study", "--votes", str(tmp_path / "votes.jsonl"), *methods, *words])
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        return done.stderr

    return run


def test_votes_that_are_no_file_of_text_are_refused(refused, tmp_path):
    assert f"{tmp_path}: is a folder; votes are kept in a file" in refused("--votes", str(tmp_path))
    (tmp_path / "votes.jsonl").write_bytes(b"\xff\xfe{")
    assert "votes.jsonl: holds no votes, for it is no text" in refused("--rank")
    pairs_line = {"scene": "0", "left": "a", "right": "a", "chosen": "left"}
    (tmp_path / "votes.jsonl").write_text(json.dumps(pairs_line))
    assert "line 1: is no vote: left and right must be two methods, got 'a' twice" in refused("--rank")


def test_methods_and_pictures_that_are_there_twice_or_differ_in_size_are_refused(refused, tmp_path):
    assert f"--method ours is there twice, {tmp_path / 'ours'} and {tmp_path}; rename one" in refused(
        f"--method=ours={tmp_path}"
    )
    assert "holds no pictures (.png," in refused(f"--method=none={tmp_path}")
    Image.new("RGB", (12, 12)).save(tmp_path / "span" / "1.bmp")
    assert "picture 1 is there twice, 1.bmp and 1.png; keep one" in refused()
    (tmp_path / "span" / "1.png").unlink()
    assert "pictures of 1 must be of one size" in (told := refused())
    assert "got bicubic 16x12, ours 16x12, span 12x12" in told
    (tmp_path / "span" / "1.bmp").write_bytes(b"no picture")
    assert "1.bmp: cannot be read as a picture" in refused()


def test_a_port_that_is_taken_is_named(refused, running):
    port = running[1].rpartition(":")[2]
    assert f"port {port} cannot be had" in refused("--port", port)


def test_when_all_is_answered_the_ranking_is_shown_and_nothing_is_served(shown, tmp_path):
    votes = tmp_path / "votes.jsonl"
    for pair in pairs.questions(shown, [], np.random.default_rng(0)):
        pairs.keep(votes, Vote(pair.scene, *sorted((pair.left, pair.right)), "left"))
    words = [f"--method={method}={tmp_path / method}" for method in METHODS]
    done = CliRunner().invoke(app, ["study", "--votes", str(votes), *words])
    assert (done.exit_code, done.stdout.split()[0]) == (0, "bicubic")
    assert "every pair was answered" in done.stderr


@pytest.mark.parametrize("suffix", [".tif", ".bmp", ".webp", ".JPEG"])
def test_pictures_that_browsers_do_not_show_are_sent_as_png(tmp_path, suffix):
    for method in ("a", "b"):
        (tmp_path / method).mkdir()
        Image.new("RGB", (16, 12), (9, 200, 90)).save(tmp_path / method / f"0{suffix}")
    shown = pairs.from_folders({"a": tmp_path / "a", "b": tmp_path / "b"})
    sent = server.Study(shown, [Pair("0", "a", "b")], tmp_path / "votes.jsonl").picture(0, "left")
    assert sent.startswith(b"\xff\xd8\xff" if suffix == ".JPEG" else b"\x89PNG")
    with Image.open(io.BytesIO(sent)) as picture:
        assert picture.size == (16, 12)


def test_an_answer_that_cannot_be_kept_is_told(running):
    study, url = running
    study.votes = study.votes.parent / "gone" / "votes.jsonl"
    status, told = ask(f"{url}/vote", {"number": 0, "chosen": "left"})
    assert (status, b"gone/votes.jsonl" in told) == (500, True)
    assert json.loads(ask(f"{url}/next")[1]) == {"number": 0, "left": 2}


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
    assert told == []
