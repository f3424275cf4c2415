"""The challenge's protocol: windows, degradation and scores that stream and average as they say."""

import math
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from common.data.resize import downscale
from common.metrics.image_quality import PSNR, SSIM, TEMPORAL
from video_sr.measures import CONSISTENCY
from video_sr.models.bicubic import Bicubic
from video_sr.protocol import (
    SequenceScore,
    crop_to_multiple,
    degrade,
    super_resolve,
    windows,
)


def numbered(count, size=(2, 2)):
    return [np.full((*size, 3), i, np.uint8) for i in range(count)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize("num_frames", [1, 3, 5, 7])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 9])
def test_windows_equal_clamped_indices(num_frames, length):
    ours = [window[:, 0, 0, 0].tolist() for window in windows(numbered(length), num_frames)]
    reach = num_frames // 2
    brute = [[min(max(t + d, 0), length - 1) for d in range(-reach, reach + 1)] for t in range(length)]
    assert ours == brute


def test_no_frames_give_no_windows():
    assert list(windows([], 5)) == []


@pytest.mark.parametrize("num_frames", [0, -1, 4])
def test_a_window_without_a_centre_is_refused(num_frames):
    with pytest.raises(ValueError, match=f"got {num_frames}"):
        next(windows(numbered(3), num_frames))


def test_frames_are_asked_for_only_when_needed_and_then_let_go():
    alive = weakref.WeakSet()
    asked = 0

    class Frame(np.ndarray):
        __hash__ = object.__hash__

    def frames():
        nonlocal asked
        for frame in numbered(100):
            asked += 1
            frame = frame.view(Frame)
            alive.add(frame)
            yield frame

    for index, _ in enumerate(windows(frames(), 5)):
        assert asked <= min(100, index + 1 + 2)
        assert len(alive) <= 5 + 2  # the window, and one in each hand


@pytest.mark.parametrize(
    ("size", "kept"), [((1080, 1920), (1072, 1920)), ((16, 16), (16, 16)), ((47, 33), (32, 32))]
)
def test_the_last_rows_and_columns_go(size, kept):
    frame = noise(*size)
    np.testing.assert_array_equal(crop_to_multiple(frame), frame[: kept[0], : kept[1]])


def test_a_frame_below_one_low_resolution_pixel_is_refused():
    with pytest.raises(ValueError, match="got 15x40"):
        crop_to_multiple(noise(15, 40))


def test_degrading_keeps_a_flat_colour():
    frame = np.empty((32, 48, 3), np.uint8)
    frame[:] = (10, 128, 250)
    np.testing.assert_array_equal(degrade(frame), frame[:2, :3])


def test_degrading_rounds_to_the_nearest_level():
    """Truncation would be off by up to 1, and by 0.5 on average."""
    frame = noise(256, 256)
    exact = 255 * downscale(torch.from_numpy(frame / 255).movedim(-1, 0)).movedim(0, -1).numpy()
    error = degrade(frame) - exact
    assert abs(error).max() <= 0.5 + 1e-3
    assert abs(error.mean()) < 0.05


def test_degrading_is_antialiased():
    """A kernel of four pixels, as in OpenCV, would give 0 or 200 here, not the mean of 50."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 200
    assert abs(degrade(stripes).astype(int) - 50).max() <= 5


def test_bicubic_of_a_flat_clip_is_the_clip_x16():
    large = list(super_resolve(Bicubic(), [np.full((3, 4, 3), 77, np.uint8)] * 2))
    assert [frame.shape for frame in large] == [(48, 64, 3)] * 2
    assert {int(value) for frame in large for value in np.unique(frame)} == {77}


class Centre(nn.Module):
    """Repeats the centre frame; out of range where the frame is 255."""

    num_frames = 5

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.9)

    def forward(self, frames):
        centre = self.drop(frames[:, 2])
        return (centre * 1.5).repeat_interleave(16, -1).repeat_interleave(16, -2)


def test_each_frame_is_made_from_the_window_around_it_in_evaluation_mode():
    network = Centre().train()  # dropout would show
    clip = [np.full((1, 2, 3), value, np.uint8) for value in (0, 40, 100, 255)]
    assert [int(frame[3, 20, 1]) for frame in super_resolve(network, clip)] == [0, 60, 150, 255]


def test_super_resolution_streams():
    def endless():
        while True:
            yield np.zeros((1, 1, 3), np.uint8)

    assert next(super_resolve(Bicubic(), endless())).shape == (16, 16, 3)


def test_a_frames_psnr_is_known_by_hand():
    hr = noise(64, 64).clip(0, 250)
    score = SequenceScore()
    score.add(hr + np.uint8(5), hr)
    assert score.means()[PSNR] == pytest.approx(10 * math.log10(255**2 / 25))
    assert TEMPORAL not in score.means()  # one frame has no neighbour


def test_frames_average_in_db_and_not_as_errors():
    hr = noise(64, 64).clip(0, 230)
    score = SequenceScore()
    for error in (1, 20):
        score.add(hr + np.uint8(error), hr)
    in_db = np.mean([20 * math.log10(255 / error) for error in (1, 20)])
    pooled = 10 * math.log10(255**2 / np.mean([1, 400]))
    assert score.means()[PSNR] == pytest.approx(in_db)
    assert abs(in_db - pooled) > 5
    assert score.means()[TEMPORAL] == pytest.approx(19)


def test_flat_frames_are_counted_and_left_out():
    hr, black = noise(64, 64).clip(0, 250), np.zeros((64, 64, 3), np.uint8)
    score = SequenceScore()
    for truth in (black, hr, black):
        score.add(truth + np.uint8(3), truth)
    assert (score.flat_frames, len(score.frames)) == (2, 3)
    assert [SSIM in frame for frame in score.frames] == [False, True, False]
    assert score.means()[PSNR] == pytest.approx(20 * math.log10(255 / 3))


def test_a_clip_of_flat_frames_has_no_score():
    score = SequenceScore()
    score.add(noise(64, 64), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match="none of 1 frames could be scored, 1 are flat"):
        score.means()


def test_consistency_compares_with_the_low_resolution_input():
    hr = noise(64, 64)
    score = SequenceScore()
    score.add(hr, hr, degrade(hr))
    score.add(hr, hr, degrade(hr) ^ 1)
    first, second = (frame[CONSISTENCY.name] for frame in score.frames)
    assert first == math.inf
    assert second == pytest.approx(20 * math.log10(255))
