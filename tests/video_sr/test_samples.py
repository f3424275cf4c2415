"""Training examples: what is low and what is high resolution always show the same place at the same time."""

import numpy as np
import pytest
import torch

from common.data.order import Draw
from video_sr import data, samples
from video_sr.protocol import SCALE, degrade
from video_sr.textures import texture


@pytest.fixture
def pool(monkeypatch, tmp_path):
    """Prepared clips of two made-up photographs, as `data.prepare` would leave them."""
    monkeypatch.setattr(data, "prepared_folder", lambda: tmp_path)
    photographs = list(data.photographs("train", 0))[:1]
    monkeypatch.setattr(data.sources, "load_photograph", lambda source: np.tile(texture(0), (2, 2, 1)))
    monkeypatch.setattr(data, "_altered", lambda source: None)
    monkeypatch.setattr(data, "photographs", lambda split, seed: tuple(photographs))
    assert data._prepare_photograph(tmp_path, 4, photographs[0]) is None
    samples.pool_ids.cache_clear()
    data.array.cache_clear()
    yield photographs[0].id
    samples.pool_ids.cache_clear()
    data.array.cache_clear()


def test_an_example_is_aligned_whatever_the_flips(pool):
    """Degrading the truth gives the middle input frame; only borders, cut before degrading, may differ."""
    for position in range(24):
        low, high = samples.pool_sample(0, Draw(position % 4, position, 0), clips=4, num_frames=5, patch=16)
        inner = np.s_[2:-2, 2:-2]
        error = np.abs(degrade(high)[inner].astype(int) - low[2][inner])
        assert error.max() <= 1


def test_an_example_is_a_function_of_its_draw(pool):
    draw = Draw(1, 5, 3)
    first, again = (samples.pool_sample(0, draw, clips=4, num_frames=3, patch=16) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    other = samples.pool_sample(0, Draw(1, 6, 3), clips=4, num_frames=3, patch=16)
    assert not np.array_equal(first[1], other[1])


def test_too_many_frames_or_too_large_a_patch_is_named(pool):
    with pytest.raises(ValueError, match="got 7 and 16"):
        samples.pool_sample(0, Draw(0, 0, 0), clips=4, num_frames=7, patch=16)
    with pytest.raises(ValueError, match="got 5 and 32"):
        samples.pool_sample(0, Draw(0, 0, 0), clips=4, num_frames=5, patch=32)


def test_live_examples_are_aligned_too(pool):
    low, high = samples.live_sample(0, Draw(0, 11, 0), num_frames=3, patch=12)
    assert high.shape == (12 * SCALE, 12 * SCALE, 3)
    inner = np.s_[2:-2, 2:-2]
    assert np.abs(degrade(high)[inner].astype(int) - low[1][inner]).max() <= 1


def test_copies_hold_the_middle_frame_alone():
    low, high = (
        np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8),
        np.zeros((64, 64, 3), np.uint8),
    )
    batch = samples.collate([(low, high)], copies=True)
    assert batch.low.shape == (1, 5, 3, 4, 4)
    assert torch.equal(batch.low, torch.full_like(batch.low, 2 / 255))
    assert not torch.equal(samples.collate([(low, high)], copies=False).low, batch.low)
