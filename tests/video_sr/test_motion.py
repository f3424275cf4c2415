"""Laws of made clips: the truth is untouched, pans are exact, and a seed gives the same clip."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from video_sr.motion import PLAIN, Motion, clip, plan

STILL = Motion(still_share=1, warped_share=0, object_share=0, cut_share=0)
PAN = Motion(still_share=0, warped_share=0, object_share=0, cut_share=0)
LAYERED = replace(PAN, layered_share=1)


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


# ---- two layers


def planned(motion, seed):
    return plan((300, 400), motion, num_frames=5, size=(96, 128), rng=np.random.default_rng(seed))


def layered(seeds=range(12), motion=LAYERED):
    """Plans with a nearer layer, and where it covers each frame."""
    made = [planned(motion, seed) for seed in seeds]
    pixels = np.mgrid[:96, :128] + 0.5
    found = [
        (each, np.stack([each.near_covers(t, pixels) for t in range(5)]))
        for each in made
        if each.near is not None
    ]
    assert len(found) >= len(made) - 2  # else the picture has no room for such a shift
    return found


def crops(picture, corners):
    return np.stack([picture[top : top + 96, left : left + 128] for top, left in corners])


def test_frames_are_exact_crops_of_two_places_of_the_picture(picture):
    for made, near in layered():
        corners = np.clip(made.corners, 0, made.room)
        shown = np.where(near[..., None], crops(picture, made.near.corners), crops(picture, corners))
        assert np.array_equal(made.frames(picture), shown)


def test_the_nearer_layer_covers_some_of_the_middle_frame_and_leaves_some():
    shares = [near[2].mean() for _, near in layered(range(60))]
    assert min(shares) > 0
    assert max(shares) < 0.95
    assert 0.2 < np.mean(shares) < 0.6


def test_near_and_far_shift_in_the_drawn_ratio_and_uncover_each_other():
    ratios, uncovered = [], 0
    for made, near in layered(range(60)):
        far = np.clip(made.corners, 0, made.room) - made.corners[2]
        shifts = made.near.corners - made.near.corners[2]
        assert np.abs(shifts - made.near.nearness * far).max() <= 0.5
        ratios.append(made.near.nearness)
        uncovered += bool((near[0] != near[4]).any())
    assert 1.25 <= min(ratios) < 1.5
    assert 2.1 < max(ratios) <= 2.5
    assert uncovered > 50


def test_both_layers_are_turned_and_zoomed_by_one_camera(picture):
    """Of a camera that stands; the strip's outline is turned as a picture of it is."""
    swing = {"rotation_deg_per_frame": 2, "zoom_per_frame": 0.03}
    turning = Motion(still_share=1, warped_share=1, object_share=0, cut_share=0, **swing)
    pixels = np.mgrid[:96, :128] + 0.5
    for seed in range(5):
        made, alone = planned(replace(turning, layered_share=1), seed), planned(turning, seed)
        strip = replace(alone, corners=made.near.corners)
        rows, columns = np.mgrid[:300, :400] + 0.5
        down, right = rows - made.near.corners[2, 0] - 48, columns - made.near.corners[2, 1] - 64
        outline = np.where(made.near.covers(down, right)[..., None], [255] * 3, 0).astype(np.uint8)
        turned = strip.frames(outline)[..., 0] > 127
        covered = np.stack([made.near_covers(t, pixels) for t in range(5)])
        assert np.mean(turned != covered) < 0.005
        assert np.mean(covered[0] != covered[4]) > 0.01
        shown = np.where(covered[..., None], strip.frames(picture), alone.frames(picture))
        assert np.array_equal(made.frames(picture), shown)


def test_a_layer_changes_nothing_but_what_it_covers(picture):
    everything = Motion(warped_share=1, object_share=1, cut_share=0.5)
    for seed in range(10):
        with_layer, without = (planned(replace(everything, layered_share=share), seed) for share in (1, 0))
        assert repr(replace(with_layer, near=None)) == repr(without)
        different = (with_layer.frames(picture) != without.frames(picture)).any(-1)
        pixels = np.mgrid[:96, :128] + 0.5
        covered = np.stack([with_layer.near_covers(t, pixels) for t in range(5)])
        assert not (different & ~covered).any()


def test_without_layers_the_generator_is_left_where_it_was(picture):
    drawn = []
    for motion in (PLAIN, replace(PLAIN, nearness=(3.0, 4.0))):
        rng = np.random.default_rng(5)
        drawn.append((clip(picture, motion, num_frames=5, size=(96, 128), rng=rng).tobytes(), rng.random()))
    assert drawn[0] == drawn[1]
    assert PLAIN.told().keys() == asdict(PLAIN).keys() - {"layered_share", "nearness"}
    assert LAYERED.told() == asdict(LAYERED)


def test_a_seed_gives_the_same_layers(picture):
    assert np.array_equal(make(picture, LAYERED, 7), make(picture, LAYERED, 7))
    quarter = [planned(replace(PAN, layered_share=0.25), seed).near is not None for seed in range(200)]
    assert 0.15 < np.mean(quarter) < 0.35


def test_a_picture_without_room_for_the_nearer_shift_has_one_layer():
    fast = replace(LAYERED, slowest_px=20, nearness=(2.4, 2.5))
    made = plan((110, 150), fast, num_frames=5, size=(96, 128), rng=np.random.default_rng(0))
    assert made.near is None


def test_a_frame_larger_than_the_picture_is_named():
    with pytest.raises(ValueError, match="96x128 frame does not fit a 64x64 picture"):
        make(np.zeros((64, 64, 3), np.uint8), PAN)
