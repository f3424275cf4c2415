"""The way from real footage in its published layout to a batch and to scores, which `paper` takes."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from common.recipe import Shard
from video_sr import corpora
from video_sr.measures import PSNR
from video_sr.networks import EVESRNetSizes
from video_sr.recipes import SCALES
from video_sr.textures import texture

PAPER = SCALES["paper"].recipes["EVESRNET"]


@pytest.fixture
def vid3oc(monkeypatch, tmp_path):
    """Two sequences to train on and one to test, nine frames of 80x100 each, panning by a pixel a frame."""
    for split, names in {"train": ("000", "001"), "test": ("000",)}.items():
        for number, name in enumerate(names):
            folder = tmp_path / "vid3oc" / split / name
            folder.mkdir(parents=True)
            for t in range(9):
                frame = texture(number)[t : t + 80, t : t + 100]
                Image.fromarray(frame).save(folder / f"{t:06d}.png")
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    corpora._trained.cache_clear()
    yield
    corpora._trained.cache_clear()


@pytest.fixture
def small():
    sizes = EVESRNetSizes(channels=8, groups=2, front_blocks=1, trunk_blocks=1, squeeze=2, tail_channels=(3,))
    return replace(PAPER, network=sizes, batch_size=4, patch=4)


def test_a_batch_of_footage_has_the_papers_window(vid3oc, small):
    batch = small.batch(0, 0, Shard())
    assert batch.low.shape == (4, 7, 3, 4, 4)
    assert batch.high.shape == (4, 3, 64, 64)
    assert set(small.item_ids(0, 0, Shard())) == {"vid3oc-train-000", "vid3oc-train-001"}
    loss = small.losses(small.model(), batch, 0)
    assert np.isfinite(loss["charbonnier"].item())


def test_every_frame_of_the_test_footage_is_scored_after_the_crop(vid3oc, small, tmp_path):
    (item,) = small.score(small.model(), seed=0, split="test", pictures=tmp_path)
    assert (item.id, item.part) == ("vid3oc-test-000", "vid3oc")
    # A new network is bicubic, so the scores of both are one.
    bicubic = SCALES["paper"].recipes["BICUBIC"]
    (other,) = bicubic.score(bicubic.model(), seed=0, split="test", pictures=tmp_path)
    assert item.scores[PSNR.name] == pytest.approx(other.scores[PSNR.name])


def test_footage_smaller_than_a_patch_is_named(vid3oc, small):
    with pytest.raises(ValueError, match=r"vid3oc-train-00\d is 5x6 at low resolution, patch is 32"):
        replace(small, patch=32).batch(0, 0, Shard())
