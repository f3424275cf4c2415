"""Clips show what they were planned to show: motions as named, true boxes, views of a photograph."""

from dataclasses import replace

import numpy as np
import pytest

from multimodal_ssl.composed import plan, render
from multimodal_ssl.composed.plan import MOTIONS, Cast, Composition, Scene, Shown

MINI = Composition()
CAST = Cast(
    ("a dog", "a cat"), {"train": ("t",), "dev": ("d",), "test": ("e",)}, dict.fromkeys(plan.SPLITS, ((), ()))
)
SPRITES = [np.full((40, 60, 4), 255, np.uint8) for _ in range(24)]
PICTURE = np.zeros((320, 400, 3), np.uint8)


def boxes_of(motion, number, picture=PICTURE):
    scene = Scene(f"{motion}/{number}", "film", "p", "", (Shown(0, motion),))
    return render.render_clip(scene, replace(MINI, num_frames=8, frame_step=1), SPRITES, picture)


def _uncut(boxes):
    """The frame's edges cut none of them."""
    return bool((boxes > 0).all() and (boxes < MINI.size_px).all())


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_target_moves_as_its_caption_says(motion):
    whole = [boxes for boxes in (boxes_of(motion, number)[1] for number in range(40)) if _uncut(boxes)]
    assert len(whole) > 3
    for boxes in whole:
        top, left, bottom, right = boxes.T.astype(int)
        areas, down, across = (bottom - top) * (right - left), bottom + top, left + right
        if motion in ("growing", "shrinking"):
            grows = np.diff(areas) * (1 if motion == "growing" else -1)
            assert (grows >= 0).all()
        else:
            step = render.STEPS.get(motion, (0, 0))
            for moved, sign in ((down, step[0]), (across, step[1])):
                assert (np.sign(np.diff(moved)) * sign >= 0).all() if sign else np.ptp(moved) == 0


def test_the_true_box_holds_the_target_and_nothing_else():
    for number in range(10):
        frames, boxes = boxes_of("moving left", number)
        for frame, (top, left, bottom, right) in zip(frames, boxes, strict=True):
            rows, columns = np.nonzero(frame.any(-1))
            assert (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) == (
                top,
                left,
                bottom,
                right,
            )


def test_a_clip_depends_on_its_scene_alone():
    scene = plan.train_scenes(MINI, CAST)[7]
    picture = np.random.default_rng(0).integers(0, 255, (320, 400, 3), np.uint8)
    first, again = (render.render_clip(scene, MINI, SPRITES, picture) for _ in range(2))
    assert np.array_equal(first[0], again[0])
    assert first[0].shape == (4, 64, 64, 3)
    assert first[1].shape == (4, 4)


def test_a_background_drifts_behind_a_target_that_stands_still():
    noise = np.random.default_rng(0).integers(0, 120, (320, 400, 3), np.uint8)
    frames, boxes = boxes_of("standing still", 1, noise)
    assert np.ptp(boxes, 0).max() == 0
    assert (frames[0] != frames[-1]).mean() > 0.3


@pytest.mark.parametrize(("tint", "channel"), [("red", 0), ("green", 1), ("blue", 2)])
def test_a_wide_scene_has_its_tint_and_no_target(tint, channel):
    scene = Scene("wide", "film", "p", "", (), tint=tint, motion="moving left")
    grass = np.random.default_rng(0).integers(40, 200, (320, 400, 3), np.uint8) // np.array(
        [3, 1, 3], np.uint8
    )
    frames, boxes = render.render_clip(scene, MINI, SPRITES, grass)
    assert frames.mean((0, 1, 2)).argmax() == channel
    assert not boxes.any()


@pytest.mark.parametrize("motion", render.STEPS)
def test_what_a_wide_scene_shows_moves_as_its_caption_says(motion):
    """Over a ramp of brightness, what moves left or up leaves brighter places to be seen."""
    step = np.array(render.STEPS[motion])
    ramp = np.mgrid[:320, :400][np.flatnonzero(step)[0]][..., None].repeat(3, -1) // 2
    for number in range(20):
        scene = Scene(str(number), f"film{number}", "p", "", (), tint="grey", motion=motion)
        frames, _ = render.render_clip(scene, MINI, SPRITES, ramp.astype(np.uint8))
        brighter = np.diff(frames.mean((1, 2, 3)))
        assert (brighter * -step.sum() > 1).all()


@pytest.mark.parametrize(("motion", "sign"), [("growing", -1), ("shrinking", 1), ("standing still", 0)])
def test_a_wide_scene_grows_by_showing_less_of_the_place(motion, sign):
    ramp = (np.mgrid[:320, :400][1][..., None].repeat(3, -1) // 2).astype(np.uint8)
    scene = Scene("1", "film", "p", "", (), tint="grey", motion=motion)
    frames, _ = render.render_clip(scene, MINI, SPRITES, ramp)
    assert (np.sign(np.diff([float(np.ptp(frame)) for frame in frames])) == sign).all()


def test_a_distractor_is_hardly_hidden_by_the_target():
    target = np.array([[0.2, 0.2, 0.6, 0.6]] * 4)
    for number in range(50):
        path = render._apart("moving up", MINI.times(), 1.0, target, np.random.default_rng(number))
        assert render._hidden(path.boxes(1.0), target).max() <= render.MOST_HIDDEN


def test_a_still_has_one_frame():
    (still, *_) = plan.gallery(MINI, CAST, "dev", "still/0")
    frames, boxes = render.render_clip(still, MINI, SPRITES, PICTURE)
    assert (len(frames), len(boxes)) == (1, 1)
    assert still.caption == "a dog"
