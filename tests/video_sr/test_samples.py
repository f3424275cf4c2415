"""Training examples: what is low and what is high resolution always show the same place at the same time."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from common.data.order import Draw
from video_sr import data, samples
from video_sr.challenge import FACTOR
from video_sr.corpora import PreparedClips
from video_sr.protocol import degrade
from video_sr.textures import texture


def at(frame, places):
    """Colours of a frame at places in pixels from its corner."""
    return np.stack(
        [
            map_coordinates(frame[..., c].astype(float), places - 0.5, order=1, mode="nearest")
            for c in range(3)
        ]
    )


@pytest.fixture
def pool(monkeypatch, tmp_path):
    """Prepared clips of two made-up photographs, as `data.prepare` would leave them."""
    monkeypatch.setattr(data, "prepared_folder", lambda: tmp_path)
    photographs = list(data.photographs("train", 0))[:1]
    monkeypatch.setattr(data.shots, "load_photograph", lambda shot: np.tile(texture(0), (2, 2, 1)))
    monkeypatch.setattr(data, "_altered", lambda shot: None)
    monkeypatch.setattr(data, "photographs", lambda split, seed: tuple(photographs))
    assert data._prepare_photograph(tmp_path, 4, photographs[0]) is None
    samples.clip_ids.cache_clear()
    data.array.cache_clear()
    yield photographs[0].id
    samples.clip_ids.cache_clear()
    data.array.cache_clear()


def test_an_example_is_aligned_whatever_the_flips(pool):
    """Degrading the truth gives the middle input frame; only borders, cut before degrading, may differ."""
    for position in range(24):
        low, high = samples.prepared(0, Draw(position % 4, position, 0), clips=4, num_frames=5, patch=16)
        inner = np.s_[2:-2, 2:-2]
        error = np.abs(degrade(high)[inner].astype(int) - low[2][inner])
        assert error.max() <= 1


def test_layered_clips_lie_beside_the_others_and_their_motion_is_known(pool, tmp_path):
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    corpus, shot = PreparedClips(clips=4, layered_share=1), data.photographs("train", 0)[0]
    assert data._prepare_photograph(tmp_path, 4, shot, corpus.moves()) is None
    assert all((tmp_path / name).read_bytes() == content for name, content in before.items())
    assert len(list(tmp_path.iterdir())) == len(before) + 2
    window = {"num_frames": 3, "patch": 16}
    still, moved = [], []
    for position in range(16):
        draw = Draw(position % 4, position, 0)
        low, high = corpus.example(0, draw, **window)
        assert np.abs(degrade(high)[2:-2, 2:-2].astype(int) - low[1][2:-2, 2:-2]).max() <= 1
        assert not np.array_equal(low, PreparedClips(clips=4).example(0, draw, **window)[0])
        known = corpus.motion(0, draw, **window)
        places = np.stack(np.mgrid[:16, :16]) + 0.5
        for frame, offset, sure in zip(low, known.offset_px, known.known, strict=True):
            moved.append(np.abs(at(frame, places + offset) - at(low[1], places)).max(0)[sure])
            still.append(np.abs(at(frame, places) - at(low[1], places)).max(0)[sure])
    assert np.concatenate(moved).mean() < 0.6 * np.concatenate(still).mean()


def test_an_example_is_a_function_of_its_draw(pool):
    draw = Draw(1, 5, 3)
    first, again = (samples.prepared(0, draw, clips=4, num_frames=3, patch=16) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    other = samples.prepared(0, Draw(1, 6, 3), clips=4, num_frames=3, patch=16)
    assert not np.array_equal(first[1], other[1])


def test_live_examples_are_aligned_too(pool):
    low, high = samples.live(0, Draw(0, 11, 0), num_frames=3, patch=12)
    assert high.shape == (12 * FACTOR, 12 * FACTOR, 3)
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
