"""`make try` on what a test makes up, in place of packages that are fetched."""

import importlib.util

import numpy as np
import odd_videos
import pytest
import soundfile
from repository import ROOT

from common import papers
from common.data.packages import FetchError
from multimodal_ssl.model import vocabulary

spec = importlib.util.spec_from_file_location("try_tools", ROOT / "examples" / "try_tools.py")
try_tools = importlib.util.module_from_spec(spec)
spec.loader.exec_module(try_tools)


class Prompt:
    text = "<b>hello</b> there"

    def waveform(self):
        return (3000 * np.random.default_rng(0).standard_normal(24_000)).astype(np.int16)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def no_network():
        raise FetchError("no network")

    monkeypatch.setattr(vocabulary, "glove", no_network)
    load = try_tools.speech_adapters.load
    monkeypatch.setattr(try_tools.speech_adapters, "load", lambda language: load(language, model="small-en"))


def test_every_part_is_shown_on_the_page(tmp_path, monkeypatch):
    odd_videos.film(tmp_path / "films" / "walk.mp4", num_frames=40)
    recorded = [np.full((50, 70, 3), 40 * i, np.uint8) for i in range(1, 4)]
    monkeypatch.setattr(try_tools, "fetch_prompts", lambda: [Prompt()])
    monkeypatch.setattr(try_tools, "fetch_films", lambda folder: try_tools.shots.listed("clips")[0])
    monkeypatch.setattr(try_tools.shots, "read_shot", lambda shot: iter(recorded))
    try_tools.main(tmp_path)
    page = (tmp_path / "index.html").read_text()
    for shown in (
        "Sound to text",
        "A film enlarged",
        "Moments found by a sentence",
        "All claims judged again",
    ):
        assert shown in page
    assert try_tools.OF_COMPOSED in page
    assert try_tools.quality("fine").split(";")[0] in page
    for paper in papers.papers().values():
        assert paper.title in page
    assert "<b>hello" not in page
    assert soundfile.info(tmp_path / "prompt0.wav").duration == pytest.approx(1.5)


def test_what_is_fetched_is_in_the_lists():
    from video_sr import shots

    held = {shot.path.rpartition("/")[2] for shot in shots.listed("clips")}
    assert set(try_tools.FILMS) <= held
