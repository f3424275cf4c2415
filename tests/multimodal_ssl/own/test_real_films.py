"""The films that a search is scored on: their table, and what the published model reaches."""

import csv
import gzip
import hashlib
import json
import re

import pytest
from typer.testing import CliRunner

from common.data.packages import FetchError, data_root
from common.papers import ROOT
from multimodal_ssl import __main__ as tool
from multimodal_ssl.own import real_films
from multimodal_ssl.own.reading import read
from multimodal_ssl.search import weights


def page(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Two films of made-up bytes in a package, one of them compressed."""
    films = [("a.mp4", b"one", "in/a.mp4"), ("b.mp4", b"two", "in/b.mp4.gz")]
    told = {
        "packages": [
            {"manager": "pip", "name": "p", "version": "1", "sha256": "", "size_bytes": 1}
            | {"licence": "MIT", "files": ["in/*"]}
        ],
        "films": [
            {"file": name, "package": "pip:p", "path": path, "sha256": hashlib.sha256(data).hexdigest()}
            for name, data, path in films
        ],
        "clips": [
            {"film": "a.mp4", "start_s": None, "stop_s": 2.5, "questions": ["a cat", "a dog"]},
            {"film": "b.mp4", "start_s": 1, "stop_s": None, "questions": ["a cow"]},
        ],
    }  # fmt: skip
    (tmp_path / "package" / "in").mkdir(parents=True)
    for _, data, path in films:
        (tmp_path / "package" / path).write_bytes(gzip.compress(data) if path.endswith(".gz") else data)
    monkeypatch.setattr(real_films, "listed", lambda: told)
    monkeypatch.setattr(real_films, "fetch", lambda package: tmp_path / "package")
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_films_are_unpacked_and_questions_are_a_table(packages):
    clips, left = read(real_films.Path(real_films.NAME))
    assert left == []
    assert [(one.video, one.captions, one.start_s, one.stop_s) for one in clips] == [
        ("a.mp4", ("a cat", "a dog"), 0.0, 2.5), ("b.mp4", ("a cow",), 1.0, None),
    ]  # fmt: skip
    assert clips[1].path.read_bytes() == b"two"


def test_another_film_than_the_one_asked_about_is_refused(packages):
    (packages / "package" / "in" / "a.mp4").write_bytes(b"other")
    with pytest.raises(FetchError, match="is another film than the one"):
        real_films.place()


def test_what_is_listed_fits_together():
    told = real_films.listed()
    films = {film["file"] for film in told["films"]}
    packages = {f"{one['manager']}:{one['name']}": one["files"] for one in told["packages"]}
    assert all(film["path"] in packages[film["package"]] for film in told["films"])
    assert {clip["film"] for clip in told["clips"]} == films
    questions = [text for clip in told["clips"] for text in clip["questions"]]
    assert (len(told["clips"]), len(films), len(questions), len(set(questions))) == (23, 18, 39, 39)
    rows = list(csv.reader(real_films._table(told["clips"]).decode().splitlines()))
    assert rows[0] == ["path", "caption", "start", "end"]
    assert len(rows) == 40


@pytest.mark.parametrize("name", weights.ORIGIN)
def test_pages_state_the_results_that_are_here(name):
    told = json.loads((weights.REAL_FILMS / f"{name}.json").read_text())
    assert (told["model"], told["clips"], told["captions"]) == (name, 23, 39)
    found = told["caption_to_clip"]
    first, five = found["recall_at_1"], found["recall_at_5"]

    def shown(rate, digits):
        return "{percent:.{n}f} ({low:.{n}f} to {high:.{n}f})".format(**rate, n=digits)

    row = f"{shown(first, 1)} | {shown(five, 1)} | {found['median_rank']:.0f} |"
    assert re.search(rf"\| `{name}`.* \| {re.escape(row)}", page("multimodal_ssl/README.md"))
    assert f"| at random | {first['chance']:.1f} | {five['chance']:.1f} | 12 |" in page(
        "multimodal_ssl/README.md"
    )
    rounded, span = f"{first['percent']:.0f}", f"{first['low']:.0f} to {first['high']:.0f}"
    for where in (
        "docs/tools.md",
        "docs/own-clips.md",
        *(["README.md"] if name == weights.FOR_FILMS else []),
    ):
        (told_there,) = [part for part in page(where).split("\n\n") if re.search(r"\b39 questions", part)]
        assert re.search(rf"\b{rounded}\b", told_there)
        assert "23" in told_there
        assert where != "docs/own-clips.md" or span in told_there
        assert name != weights.FOR_FILMS or f"{rounded} % of 39 questions (95 % interval {span}" in told_there
    assert f"{rounded} % of 39 questions ({span}; chance 4)" in weights.quality(name)


@pytest.mark.slow
@pytest.mark.corpus
def test_the_published_model_finds_real_films_far_more_often_than_chance():
    if not (data_root() / "multimodal" / real_films.NAME / real_films.TABLE).exists():
        pytest.skip("real films are not there; python -m multimodal_ssl evaluate real-films fetches them")
    done = CliRunner().invoke(tool.app, ["evaluate", real_films.NAME, "--model", "films", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    first = told["caption_to_clip"]["recall_at_1"]
    print(first, told["caption_to_clip"]["median_rank"])
    assert (told["clips"], told["captions"]) == (23, 39)
    assert first["low"] > 2 * first["chance"]
