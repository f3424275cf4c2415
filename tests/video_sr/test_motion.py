"""Laws of made clips: the truth is untouched, pans are exact, and a seed gives the same clip."""

import numpy as np
import pytest

from video_sr.motion import Motion, clip

STILL = Motion(still_share=1, warped_share=0, object_share=0, cut_share=0)
PAN = Motion(still_share=0, warped_share=0, object_share=0, cut_share=0)


@pytest.fixture
def picture():
    """Every pixel's colour tells its place, so a crop can be found again."""
    rows, columns = np.mgrid[:300, :400]
    return np.stack([rows % 256, columns % 256, rows // 256 * 2 + columns // 256], -1).astype(np.uint8)


def place(pixel):
    return pixel[0] + 256 * (pixel[2] // 2), pixel[1] + 256 * (pixel[2] % 2)


def make(picture, motion, seed=0, num_frames=5):
    return clip(picture, motion, num_frames=num_frames, size=(96, 128), rng=np.random.default_rng(seed))


@pytest.mark.parametrize(
    "motion",
    [STILL, PAN, Motion(warped_share=1, object_share=0, cut_share=0), Motion(cut_share=1, object_share=0)],
)
def test_the_middle_frame_is_an_untouched_crop(picture, motion):
    for seed in range(10):
        middle = make(picture, motion, seed)[2]
        top, left = place(middle[0, 0].astype(int))
        assert np.array_equal(middle, picture[top : top + 96, left : left + 128])


def test_every_frame_of_a_pan_is_an_exact_crop_and_moves_on(picture):
    frames = make(picture, PAN, seed=3)
    corners = [place(frame[0, 0].astype(int)) for frame in frames]
    for frame, (top, left) in zip(frames, corners, strict=True):
        assert np.array_equal(frame, picture[top : top + 96, left : left + 128])
    assert len(set(corners)) > 1


def test_a_still_clip_does_not_move(picture):
    frames = make(picture, STILL)
    assert all(np.array_equal(frame, frames[0]) for frame in frames)


def test_a_cut_leaves_the_frames_on_one_side_alone(picture):
    calm, cut = (
        make(picture, PAN, seed=1),
        make(picture, Motion(cut_share=1, object_share=0, warped_share=0, still_share=0), seed=1),
    )
    same = [np.array_equal(a, b) for a, b in zip(calm, cut, strict=True)]
    assert same[2]
    assert False in same
    assert same[:2] == [True, True] or same[3:] == [True, True]


def test_objects_move_on_their_own(picture):
    with_objects = Motion(object_share=1, warped_share=0, cut_share=0, still_share=1)
    assert any(
        len({make(picture, with_objects, seed)[t].tobytes() for t in range(5)}) > 1 for seed in range(20)
    )


def test_turned_frames_show_no_black_that_the_picture_lacks():
    bright = np.full((300, 400, 3), 200, np.uint8)
    fast = Motion(warped_share=1, rotation_deg_per_frame=4, zoom_per_frame=0.05, object_share=0, cut_share=0)
    assert all(make(bright, fast, seed).min() > 150 for seed in range(10))


def test_a_seed_gives_the_same_clip_and_another_seed_another(picture):
    assert np.array_equal(make(picture, Motion(), 7), make(picture, Motion(), 7))
    assert not np.array_equal(make(picture, PAN, 7), make(picture, PAN, 8))


def test_a_frame_larger_than_the_picture_is_named():
    with pytest.raises(ValueError, match="96x128 frame does not fit a 64x64 picture"):
        make(np.zeros((64, 64, 3), np.uint8), PAN)
