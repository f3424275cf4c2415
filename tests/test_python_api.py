"""What docs/python-api.md shows runs as it stands, and what packages export is there."""

import re
from importlib import import_module

import numpy as np
import odd_videos
import pytest
import soundfile
from repository import ROOT

from common.data.packages import FetchError
from multimodal_ssl.model import vocabulary
from speech_adapters.checkpoints import by_name

PACKAGES = ("speech_adapters", "video_sr", "multimodal_ssl")
SNIPPETS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files that the page names; and no network, where the words of the captions serve."""
    noise = np.random.default_rng(0).standard_normal(48_000)
    soundfile.write(tmp_path / "talk.wav", 0.1 * noise, 16_000)
    odd_videos.film(tmp_path / "small.mp4", num_frames=3)
    odd_videos.film(tmp_path / "videos" / "walk.mp4", num_frames=40)

    def no_network():
        raise FetchError("no network")

    monkeypatch.setattr(vocabulary, "glove", no_network)
    monkeypatch.setattr(by_name, "PUBLISHED", tmp_path)  # whose encoder would be fetched
    monkeypatch.chdir(tmp_path)
    return tmp_path


def snippet(beginning):
    (found,) = [text for text in SNIPPETS if beginning in text]
    names = {}
    exec(compile(found, "docs/python-api.md", "exec"), names)
    return names


def test_speech_is_transcribed(folder):
    transcript = snippet('load("en")')["transcript"]
    assert transcript.duration_s == pytest.approx(3.0)
    assert transcript.text == " ".join(word.text for word in transcript.words)


def test_speech_is_encoded(folder):
    names = snippet("load_encoder")
    assert names["features"].shape == (149, names["encoder"].network.architecture.width)


def test_video_is_enlarged(folder):
    snippet("small.mp4")
    from common.data.video import probe

    small, large = probe(folder / "small.mp4"), probe(folder / "large.mp4")
    assert (large.width, large.height) == (16 * small.width, 16 * small.height)


def test_frames_are_enlarged():
    assert [frame.shape for frame in snippet("large[0]")["large"]] == [(144, 256, 3)] * 3


def test_moments_are_found(folder):
    names = snippet("model.search")
    assert [outcome.what for outcome in names["outcomes"]] == ["indexed"]
    assert names["hit"].video.path == "walk.mp4"
    assert (folder / "clip-index").is_dir()


def test_texts_and_videos_are_embedded(folder):
    names = snippet("embed_text")
    assert names["similarity"].shape == (*names["video"].shape[:2], len(names["phrases"]))
    np.testing.assert_allclose(np.linalg.norm(names["text"], axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(names["video"], axis=2), 1, rtol=1e-5)


def test_every_snippet_has_a_test():
    assert len(SNIPPETS) == 6


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_exports_is_there_and_documented(package):
    module = import_module(package)
    assert all(getattr(module, name).__doc__ for name in module.__all__)
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018
