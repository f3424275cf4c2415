"""Clips show what they are told to show: pairs kept apart, captions true, wrong captions wrong, motions as named."""

import hashlib
import json
from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pytest

from multimodal_ssl.composed import plan, render
from multimodal_ssl.composed.plan import MOTIONS, TINTS, Cast, Composition, Scene, Shown

MINI = Composition()
CAST = Cast(
    tuple(f"a thing{i}" for i in range(24)),
    {"train": ("t0", "t1", "t2"), "dev": ("d0", "d1"), "test": ("e0", "e1")},
    {split: tuple(() if i % 5 == 0 else (f"{split}{i}",) for i in range(24)) for split in plan.SPLITS},
)
TRAIN = plan.train_scenes(MINI, CAST)
# Any change of the plan changes it: then raise SALT's number, since older results were made with another plan.
PLAN_SHA256 = "045b05ad8c9db72e"


def held_out(split):
    return [s for name in plan.gallery_names(MINI) for s in plan.gallery(MINI, CAST, split, name)]


# ---- the plan


def test_no_new_pair_is_shown_in_training_not_even_behind_a_target():
    shown = {one for scene in TRAIN for one in scene.shown}
    assert not shown & plan.new_pairs(MINI, 24)
    assert len(shown) == 24 * 6


def test_every_object_and_every_motion_has_its_new_pairs():
    new = plan.new_pairs(replace(MINI, new_motions=2), 24)
    assert {sum(one.object == number for one in new) for number in range(24)} == {2}
    assert max(counts := [sum(one.motion == motion for one in new) for motion in MOTIONS]) - min(counts) <= 2


def test_every_trained_pair_and_every_look_is_a_target_equally_often():
    targets = [scene.target for scene in TRAIN if scene.target]
    looks = [(scene.tint, scene.motion) for scene in TRAIN if not scene.target]
    assert {targets.count(pair) for pair in set(targets)} == {MINI.views}
    assert {looks.count(look) for look in product(TINTS, MOTIONS)} == {MINI.scene_views}
    assert len(TRAIN) == 24 * 6 * 18 + 42 * 4


def test_a_film_is_eight_clips_in_a_row_in_one_place():
    films = [scene.film for scene in TRAIN]
    for start in range(0, len(TRAIN), plan.FILM_CLIPS):
        assert len(set(films[start : start + plan.FILM_CLIPS])) == 1
        assert len({scene.picture for scene in TRAIN[start : start + plan.FILM_CLIPS]}) == 1
    assert len(set(films)) == len(TRAIN) / plan.FILM_CLIPS


def test_no_place_recording_or_clip_stands_in_two_splits():
    parts = {"train": TRAIN, "dev": held_out("dev"), "test": held_out("test")}
    for key in ("picture", "recording", "id"):
        values = [{getattr(scene, key) for scene in part} - {""} for part in parts.values()]
        assert len(set.union(*values)) == sum(map(len, values))


def test_galleries_hold_every_pair_object_or_look_once():
    for name, count in (("clean/0", 168), ("distractors/1", 168), ("still/6", 24), ("global/1", 42)):
        clips = plan.gallery(MINI, CAST, "test", name)
        assert len(clips) == len({scene.caption for scene in clips}) == count
    assert {len(scene.shown) for scene in plan.gallery(MINI, CAST, "test", "distractors/0")} == {2}


def test_every_query_has_its_own_clip_and_every_clip_that_shows_the_same():
    galleries = {name: plan.gallery(MINI, CAST, "test", name) for name in plan.gallery_names(MINI)}
    several = 0
    for query in plan.queries(MINI, CAST, "test"):
        clips = {scene.id: scene for scene in galleries[query.gallery]}
        told = clips[query.id.removeprefix("query/")]
        shows = (
            {id_ for id_, scene in clips.items() if told.target in scene.shown} if told.target else {told.id}
        )
        assert told.caption == query.caption
        assert set(query.right) == ({told.id} if told.still else shows)
        several += len(shows) > 1
    assert several > 20


def test_parts_tell_new_pairs_from_trained_ones():
    queries = list(plan.queries(MINI, CAST, "test"))
    counts = {
        part: sum(query.part == part for query in queries) for part in {query.part for query in queries}
    }
    assert counts == {
        "clean": 288, "clean, new pair": 48, "distractors": 288, "distractors, new pair": 48,
        "still": 168, "global": 84,
    }  # fmt: skip
    assert len({query.group for query in queries if query.part == "clean"}) == 24


def test_an_unknown_gallery_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"clean/0.*got 'clean/7' of 'test'"):
        plan.gallery(MINI, CAST, "test", "clean/7")


def test_the_plan_is_the_one_that_its_salt_names():
    plan = json.dumps([asdict(scene) for scene in (*TRAIN, *held_out("test"))])
    assert hashlib.sha256(plan.encode()).hexdigest()[:16] == PLAN_SHA256


@pytest.mark.parametrize(
    ("setting", "value"), [("new_motions", 7), ("size_px", 8), ("num_frames", 0), ("views", 0)]
)
def test_settings_out_of_range_are_named_with_their_value(setting, value):
    with pytest.raises(ValueError, match=rf"{setting} .* got {value}"):
        Composition(**{setting: value})


# ---- wrong captions


@pytest.mark.parametrize("kind", ["random", "near"])
@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_wrong_captions_are_wrong_and_all_others_their_own(kind, rate):
    source, wrong = plan.wrong_captions(TRAIN, 0, rate, kind)
    assert wrong.sum() == round(rate * len(TRAIN))
    assert (source[~wrong] == np.flatnonzero(~wrong)).all()
    for i in np.flatnonzero(wrong):
        told, seen = TRAIN[source[i]], TRAIN[i]
        assert (
            told.target not in seen.shown
            if told.target
            else (told.tint, told.motion) != (seen.tint, seen.motion)
        )
        if kind == "near":
            assert told.film == seen.film


def test_a_higher_rate_keeps_the_wrong_captions_of_a_lower_one():
    low, high = (plan.wrong_captions(TRAIN, 3, rate, "random") for rate in (0.25, 0.5))
    assert high[1][low[1]].all()
    assert (high[0][low[1]] == low[0][low[1]]).all()
    assert (plan.wrong_captions(TRAIN, 4, 0.25, "random")[1] != low[1]).any()


@pytest.mark.parametrize(("rate", "kind"), [(1.1, "near"), (0.5, "far")])
def test_another_rate_or_kind_is_named(rate, kind):
    with pytest.raises(ValueError, match=rf"got {rate} and '{kind}'"):
        plan.wrong_captions(TRAIN, 0, rate, kind)


# ---- pixels

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
    scene = TRAIN[7]
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
    assert still.caption == "a thing0"
