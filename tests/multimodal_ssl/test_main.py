"""The command line: whatever lies in a folder, it answers with an index, results, one line, and the right exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import odd_films
import odd_videos
import pytest
from patience import HANG_S
from PIL import Image
from typer.testing import CliRunner, Result

from multimodal_ssl import __main__ as tool

TEXT = "a red square moving left"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(tool.app, [*map(str, arguments)])


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def model(tmp_path):
    return odd_videos.weights(tmp_path)


@pytest.fixture
def indexed(tmp_path, model):
    """Two films in the index of the default name."""
    odd_videos.film(tmp_path / "videos" / "a.mp4", num_frames=40)
    odd_videos.film(tmp_path / "videos" / "sub" / "b.mkv", first=9)
    done = run("index", "videos", "--model", model)
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.parametrize("command", ["index", "search"])
def test_help_begins_with_a_sentence_and_three_lines_to_paste(command):
    shown = run(command, "--help").stdout
    first, *_ = [line.strip() for line in shown.splitlines() if line.strip() and "Usage" not in line]
    assert first[0].isupper()
    assert len(re.findall(r"^\s+python -m multimodal_ssl ", shown, re.MULTILINE)) == 3


def test_an_index_says_what_it_holds(indexed, model):
    (line,) = indexed.stdout.splitlines()
    assert line.startswith("clip-index: ")
    assert "windows of 4 frames at 4 Hz (1 s, a new one every 0.5 s)" in line
    assert line.endswith("videos: 2 indexed, 0 kept, 0 missing, 0 removed, 0 failed")


def test_a_folder_of_everything_is_indexed_and_failures_are_named(tmp_path, model):
    good, bad = odd_videos.fill(tmp_path / "videos")
    done = run("index", "videos", "--model", model, "--rate", 2)
    assert done.exit_code == 1
    assert done.stdout.strip().endswith(
        f"videos: {len(good)} indexed, 0 kept, 0 missing, 0 removed, {len(bad)} failed"
    )
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[1] for line in told] == sorted(bad)
    again = run("index", "videos", "--model", model, "--rate", 2)
    assert f"0 indexed, {len(good)} kept, 0 missing, 0 removed, {len(bad)} failed" in again.stdout
    assert run("search", TEXT, "--top", 50).exit_code == 0


def test_each_gap_of_a_video_is_a_line_and_the_video_is_searched_past_it(tmp_path, model):
    """Recordings made one by `cat`: the packets at both seams are damaged."""
    (tmp_path / "videos").mkdir()
    part = odd_films.film(tmp_path / "part.ts", odd_films.regular(50), sounds=({},)).read_bytes()
    (tmp_path / "videos" / "joined.ts").write_bytes(3 * part)
    done = run("index", "videos", "--model", model)
    assert done.exit_code == 0
    told = [line for line in done.stderr.splitlines() if "is damaged" in line]
    assert len(told) == 2
    assert all(line.startswith("error: joined.ts: ") for line in told)
    found = json.loads(run("search", TEXT, "--top", 50, "--json").stdout)["found"]
    assert max(hit["stop_s"] for hit in found) > 5.5


def test_of_thousands_of_gaps_the_first_are_told():
    told = tool._first([str(number) for number in range(1000)])
    assert told == [*map(str, range(tool.MOST_GAPS)), f"and {1000 - tool.MOST_GAPS} gaps more"]


def test_results_are_told_with_both_scores_times_and_pictures(indexed, tmp_path):
    done = run("search", TEXT, "--top", 3)
    assert done.exit_code == 0, done.output
    head, *hits, last = done.stdout.splitlines()
    assert head.split()[:3] == ["as", "trained", "pooled"]
    assert len(hits) == 3
    for hit in hits:
        score, _, start, stop, video, picture = hit.split()
        assert -1 <= float(score) <= 1
        assert start < stop
        assert Path(video).is_file()
        assert Path(picture).is_file()
    assert "log-mean-exp, as trained; pooled: mean of places, maximum of phrases" in last


def test_json_holds_what_the_table_shows(indexed):
    report = json.loads(run("search", TEXT, "--json", "--top", 2).stdout)
    assert (report["text"], report["score_is"]) == (TEXT, "log-mean-exp, as trained")
    assert len(report["found"]) == 2
    best, second = report["found"]
    assert set(best) == {"video", "start_s", "stop_s", "score", "pooled", "picture"}
    assert best["score"] >= second["score"]


def test_words_without_a_vector_are_named(indexed):
    done = run("search", "a red xyzzy", "--json")
    assert "note: words that have no vector and are left out: xyzzy" in done.stderr
    report = json.loads(done.stdout)
    assert report["left_out"]["no vector"] == ["xyzzy"]
    assert "words that have no vector and are left out: xyzzy" in report["notes"]


def test_an_explanation_is_drawn(indexed, tmp_path):
    done = run("search", TEXT, "--explain", "why.png")
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "why.png") as picture:
        assert min(picture.size) > 200


def test_an_index_of_another_model_is_refused(indexed, tmp_path):
    other = odd_videos.weights(tmp_path, "other", seed=1)
    for command in (("search", TEXT, "--model", other), ("index", "videos", "--model", other)):
        done = run(*command)
        assert done.exit_code == 2
        assert "was made by model" in done.stderr
        assert "index again into another folder" in done.stderr


def test_a_model_that_was_trained_on_is_no_longer_the_indexs(indexed, tmp_path):
    odd_videos.weights(tmp_path, seed=1)  # in the place of the model
    done = run("search", TEXT)
    assert done.exit_code == 2
    assert "was made by model" in done.stderr


def test_search_works_from_anywhere(indexed, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run("search", TEXT, "--index", "../clip-index").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("index", "nowhere"), "nowhere is no folder"),
        (("index", "."), "holds no video"),
        (("index", "videos", "--model", "nope"), "unknown model 'nope'; known models"),
        (("index", "videos", "--out", "videos"), "videos is there and holds no index"),
        (("search", TEXT), "clip-index holds no index; make one with"),
        (("search", TEXT, "--explain", "why.gif"), "must be a .png in a folder that is there"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, model, arguments, words):
    if "videos" in arguments:
        odd_videos.film(tmp_path / "videos" / "a.mp4")
        arguments = (*arguments, "--model", model) if "--model" not in arguments else arguments
    done = run(*arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.output


def test_nothing_to_find_is_said(tmp_path, model):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").touch()
    assert run("index", "videos", "--model", model).exit_code == 1
    done = run("search", TEXT)
    assert done.exit_code == 2
    assert "none of its videos could be decoded" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_command_goes_on_when_it_is_given_again(tmp_path, model, sent):
    for number in range(40):
        odd_videos.film(tmp_path / "videos" / f"{number:02d}.mp4", num_frames=60)
    command = [sys.executable, "-m", "multimodal_ssl", "index", "videos", "--model", str(model)]
    environment = {**os.environ, "TYPE_CHECKS": "off"}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while len([*(tmp_path / "clip-index" / "videos").glob("[!.]*")]) < 2:
        time.sleep(0.01)
        assert running.poll() is None
    running.send_signal(sent)
    told = running.communicate(timeout=HANG_S)[1]
    if sent != signal.SIGKILL:
        assert running.returncode == 128 + sent
        assert "videos that were finished are kept; the same command goes on" in told
        assert not [*(tmp_path / "clip-index" / "videos").glob(".*")]
    kept = len([*(tmp_path / "clip-index" / "videos").glob("[!.]*")])
    assert 2 <= kept < 40
    assert f"{40 - kept} indexed, {kept} kept" in run("index", "videos", "--model", model).stdout


def test_nothing_heavy_is_loaded_for_help():
    script = "import sys, multimodal_ssl.__main__\nprint(*sys.modules)"
    root = Path(tool.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    assert not {"torch", "av", "matplotlib", "numpy"} & {
        name.partition(".")[0] for name in done.stdout.split()
    }


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\nb.mp4", r"a\nb.mp4"), ("a\x1b[2J", r"a\x1b[2J"), ("a\udcff", r"a\udcff"), ("é.mp4", "é.mp4")],
)
def test_a_name_that_would_break_a_line_is_shown_escaped(name, shown):
    assert tool._shown(name) == shown
