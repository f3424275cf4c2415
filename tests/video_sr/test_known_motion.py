"""What is said of a clip's motion is where its frames show the same, on every kind of clip and after every turn."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from common.data.order import Draw
from video_sr import samples, textures
from video_sr.challenge import FACTOR
from video_sr.known_motion import KnownMotion, known_motion
from video_sr.motion import Layer, Motion, Plan, plan

SIZE = (96, 128)
PAN = Motion(warped_share=0, object_share=0, cut_share=0, still_share=0)
KINDS = {
    "pan": PAN,
    "turned": Motion(
        warped_share=1, object_share=0, cut_share=0, rotation_deg_per_frame=2, zoom_per_frame=0.03
    ),
    "things": Motion(warped_share=0, object_share=1, cut_share=0),
    "all": Motion(warped_share=1, object_share=1, cut_share=0.5),
    "layers": Motion(warped_share=0, object_share=0, cut_share=0, still_share=0, layered_share=1),
    "all, layers": Motion(warped_share=1, object_share=1, cut_share=0.5, layered_share=1),
}


@pytest.fixture(scope="module")
def picture():
    """Slow waves, so that a place between pixels has a colour; no place within reach shows another's."""
    rows, columns = np.mgrid[:300, :400]
    waves = [np.sin(rows / 37) + np.cos(columns / 41), rows / 300 + np.sin(columns / 53), columns / 400]
    return np.stack([255 * (w - w.min()) / (w.max() - w.min()) for w in waves], -1).round().astype(np.uint8)


def at(frame, places):
    """Colours of a frame at places in pixels from its corner."""
    return np.stack(
        [
            map_coordinates(frame[..., c].astype(float), places - 0.5, order=1, mode="nearest")
            for c in range(3)
        ]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_place_shows_in_every_frame_what_it_shows_in_the_middle_one(picture, kind):
    errors, shares = [], []
    for seed in range(12):
        made = plan(picture.shape[:2], KINDS[kind], num_frames=5, size=SIZE, rng=np.random.default_rng(seed))
        frames, motion = made.frames(picture), known_motion(made)
        places = FACTOR * (np.stack(np.mgrid[:6, :8]) + 0.5)
        middle = at(frames[2], places)
        for frame, offset, known in zip(frames, motion.offset_px, motion.known, strict=True):
            errors.append(np.abs(at(frame, places + FACTOR * offset) - middle).max(0)[known])
            shares.append(known.mean())
    assert np.quantile(np.concatenate(errors), 0.95) <= 3  # edges of things lie between pixels
    assert np.mean(shares) > 0.5


def test_a_pan_of_sixteen_pixels_is_an_offset_of_one():
    corners = np.array([[50, 100], [50, 100], [66, 68]])  # the camera goes down and to the left
    motion = known_motion(Plan((204, 272), SIZE, corners, 0.0, 0.0))
    assert motion.offset_px[2, :, 3, 3].tolist() == [-1, 2]
    assert not motion.known[2, 0].any()  # what was in the first row has left the frame
    assert motion.known[1].all()
    assert not motion.offset_px[1].any()


def test_what_is_cut_or_hidden_is_not_known(picture):
    cut = Motion(cut_share=1, object_share=0, still_share=1)
    made = plan(picture.shape[:2], cut, num_frames=5, size=SIZE, rng=np.random.default_rng(0))
    known = known_motion(made).known
    assert not known[made.cut[0]].any()
    assert known[2].all()
    things = Motion(object_share=1, warped_share=0, cut_share=0, still_share=1)
    made = plan(picture.shape[:2], things, num_frames=5, size=SIZE, rng=np.random.default_rng(1))
    assert 0.5 < known_motion(made).known[[0, 1, 3, 4]].mean() < 1


def test_two_layers_move_by_their_own_shift_and_hide_what_lies_behind():
    """A camera that goes 16 px a frame to the right, and a nearer strip that ends at the middle, at twice the shift."""
    corners = np.array([[80, 84], [80, 100], [80, 116]])
    nearer = np.array([[10, 68], [10, 100], [10, 132]])
    strip = Layer(2.0, nearer, np.pi / 2, (-999.0, 0.0), np.array([[[0.0, 1.0, 0.0]]] * 2))
    motion = known_motion(Plan((204, 272), SIZE, corners, 0.0, 0.0, near=strip))
    row = motion.offset_px[:, 1, 3], motion.known[:, 3]
    assert row[0][2].tolist() == [0, 0, -2, -2, -1, -1, -1, -1]  # the first two nearer ones have left
    assert row[1][2].tolist() == [False, False, *[True] * 6]
    assert row[0][0].tolist() == [2, 2, 2, 2, 0, 1, 1, 0]
    assert row[1][0].tolist() == [*[True] * 4, False, True, True, False]  # one is hidden, one outside
    assert motion.known[1].all()


def test_in_a_pan_of_two_layers_known_places_are_the_same_pixels_and_hidden_ones_are_not_shown():
    """Every pixel of this picture has a colour of its own, so that no other place passes for it."""
    rows, columns = np.mgrid[:300, :400]
    picture = np.stack([rows % 256, columns % 256, rows // 256 * 2 + columns // 256], -1).astype(np.uint8)
    # These places lie between pixels, so those beside an edge of the strip are left out.
    places = FACTOR * (np.stack(np.mgrid[:6, :8]) + 0.5)
    counted, still_shown = np.zeros(2, int), 0
    for seed in range(20):
        made = plan((300, 400), KINDS["layers"], num_frames=5, size=SIZE, rng=np.random.default_rng(seed))
        frames, motion = made.frames(picture), known_motion(made)
        middle = frames[2, 8::16, 8::16]
        for t, (frame, offset, known) in enumerate(zip(frames, motion.offset_px, motion.known, strict=True)):
            moved = np.rint(places + FACTOR * offset).astype(int)
            beside = [(at, each, step) for at, each in ((2, places), (t, moved)) for step in (-1.5, 1.5)]
            clear = [
                made.near_covers(at, each + step) == made.near_covers(at, each) for at, each, step in beside
            ]
            sure = known & np.all(clear, 0)
            assert (frame[tuple(moved)] == middle)[sure].all()
            shown = {tuple(pixel) for pixel in frame.reshape(-1, 3).tolist()}
            lost = [tuple(pixel) for pixel in middle[~known].tolist()]
            counted += sure.sum(), len(lost)
            still_shown += sum(pixel in shown for pixel in lost)
    assert counted.min() > 500
    assert still_shown < 0.1 * counted[1]  # strips may show what the picture shows as well


@pytest.mark.parametrize("turned", range(16))
def test_offsets_turn_with_the_pictures(turned):
    """A window whose pixels hold their own place: read where its offsets say, turned or not, it is the middle one's."""
    turn = samples.Turn(*(bool(turned >> bit & 1) for bit in range(4)))
    offset = np.zeros((3, 2, 8, 8), np.float32)
    offset[0, 0], offset[2, 1] = 1, -2
    rows, columns = np.mgrid[:8, :8]
    frames = np.stack([rows * 8 + columns + 0.0] * 3)
    frames[0], frames[2] = np.roll(frames[1], 1, 0), np.roll(frames[1], -2, 1)
    motion = turn.motion(KnownMotion(offset, np.ones((3, 8, 8), bool)))
    shown = turn.window(frames[..., None])[..., 0]
    for frame, moved in zip(shown, motion.offset_px, strict=True):
        places = (np.stack(np.mgrid[:8, :8]) + moved).astype(int)[:, 2:6, 2:6]
        assert np.array_equal(frame[tuple(places)], shown[1][2:6, 2:6])


def test_an_example_and_its_motion_are_of_one_draw():
    """Of textures that only pan, low-resolution frames read at their offsets are the middle one."""
    errors, still = [], []
    for position in range(40):
        draw = Draw(position % 7, position, 0)
        low, _ = textures.sample(draw, num_frames=3, patch=8)
        motion = textures.motion_of(draw, num_frames=3, patch=8)
        places = np.stack(np.mgrid[:8, :8]) + 0.5
        for frame, offset, known in zip(low, motion.offset_px, motion.known, strict=True):
            errors += [np.abs(at(frame, places + offset) - at(low[1], places)).max(0)[known]]
            still += [np.abs(at(frame, places) - at(low[1], places)).max(0)[known]]
    assert np.concatenate(errors).mean() < 0.5 * np.concatenate(still).mean()
