"""The published table of peers: Lanczos is Pillow's, every method sees the same crops, and the page is the result's."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as pictures

from common.report.tables import is_stale
from video_sr import data, peers, peers_table
from video_sr.data import ScoredSequence
from video_sr.measures import FEATURES, PSNR, SSIM
from video_sr.models import by_name


def test_lanczos_is_pillows():
    """Of floats: on bytes Pillow rounds between the axes."""
    small = pictures.astronaut()[100:124, 200:230, 0].astype(np.float32)
    with torch.no_grad():
        made = by_name.load_peer("lanczos")(torch.from_numpy(small).expand(1, 1, 3, 24, 30))[0, 0]
    theirs = np.asarray(Image.fromarray(small).resize((480, 384), Image.Resampling.LANCZOS))
    np.testing.assert_allclose(made.numpy(), theirs, atol=2e-3)


def test_a_plane_stays_a_plane():
    with torch.no_grad():
        assert by_name.load_peer("lanczos")(torch.full((1, 1, 3, 5, 7), 0.3)).sub(0.3).abs().max() < 1e-6


def test_all_stands_for_what_people_would_use_and_nobody_is_asked_twice():
    assert peers.named(["wide", "all", "bicubic"]) == (
        "wide", "bicubic", "lanczos", "span-twice", "realesrgan-twice",
    )  # fmt: skip


@pytest.fixture
def made(monkeypatch):
    """Two sequences of eight frames, the second twice as large as a crop; distances are differences."""
    picture = np.tile(pictures.astronaut(), (2, 3, 1))

    def sequence(name, size):
        frames = [picture[t : t + size[0], : size[1]] for t in range(8)]
        return ScoredSequence(name, name, "photographs", lambda: frames, range(3, 5))

    found = [sequence("a", (128, 160)), sequence("b", (800, 1300))]
    monkeypatch.setattr(data, "sequences", lambda split, seed: iter(found))
    distance = lambda a, b: (a - b).abs().mean((1, 2, 3))  # noqa: E731
    monkeypatch.setattr("video_sr.feature_distance.feature_distance", lambda: distance)


def test_frames_are_the_middle_ones_and_crops_are_from_the_middle(made):
    (_, _, small), (_, _, large) = peers_table.sequences()
    assert len(small) == len(large) == 7
    assert small[3].shape == (128, 160, 3)
    assert large[3].shape == (*peers_table.CROP_PX, 3)
    whole = np.tile(pictures.astronaut(), (2, 3, 1))[3:803, :1300]
    assert np.array_equal(large[3], whole[208:592, 328:968])  # of 800x1296, after the protocol's cut


def test_a_method_is_scored_by_groups(made):
    found = peers_table.scores(["bicubic", "lanczos"])
    bicubic = found["bicubic"]
    assert (set(bicubic["parts"]), bicubic["frames"]) == ({"photographs"}, 2)
    assert 15 < bicubic["parts"]["photographs"][PSNR.name] < 30
    assert bicubic["parts"] != found["lanczos"]["parts"]


def test_a_cost_is_of_one_method(monkeypatch):
    monkeypatch.setattr(peers_table, "FULL_HD", (3, 4))
    found = peers_table.cost("wide", 1)
    assert found["weights"] == 513_276
    assert 0 < found["seconds_a_frame"] < 10
    assert 1e8 < found["memory_bytes"] < 1e11


def test_each_group_counts_once():
    score = lambda psnr: {PSNR.name: psnr, SSIM.name: 0.5, FEATURES.name: psnr / 100}  # noqa: E731
    found = [("clips", "a", score(20.0)), ("clips", "a", score(30.0)), ("clips", "b", score(27.0))]
    means = peers_table._means(found)
    assert means["parts"]["clips"][PSNR.name] == 26
    assert means[FEATURES.name] == pytest.approx(0.77 / 3)


def test_the_page_is_what_the_result_says(tmp_path, monkeypatch):
    parts = {
        name: {PSNR.name: 20.123, SSIM.name: 0.51234, FEATURES.name: 0.7}
        for name in ("photographs", "lossless", "clips")
    }
    method = {
        "parts": parts,
        FEATURES.name: 0.7,
        "frames": 23,
        "seconds_a_frame": 1.5,
        "memory_bytes": 8e8,
        "weights": 852_576,
    }
    monkeypatch.setattr(peers_table, "RESULT", tmp_path / "peers.json")
    assert peers_table.generated() == ""
    (tmp_path / "peers.json").write_text(
        json.dumps({"methods": {"span-twice": method}, "hardware": {"cpu": "one CPU"}})
    )
    text = peers_table.generated()
    assert (
        "| `span-twice` | 20.12 | 0.5123 | 20.12 | 0.5123 | 20.12 | 0.5123 | 0.7000 | 1.50 | 0.80 | 852,576 |"
        in text
    )
    assert "23 frames" in text
    assert "one CPU" in text


def test_the_committed_page_follows_from_the_committed_result():
    page = peers_table.PAGE.read_text(encoding="utf-8")
    assert not is_stale(page, peers_table.PLACE, peers_table.generated())
