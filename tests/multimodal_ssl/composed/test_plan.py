"""What clips are planned to show: pairs kept apart, captions true."""

import hashlib
import json
from dataclasses import asdict, replace
from itertools import product

import pytest

from multimodal_ssl.composed import plan
from multimodal_ssl.composed.plan import MOTIONS, TINTS, Cast, Composition
from multimodal_ssl.measures import CLEAN

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
        part.name: sum(query.part == part for query in queries) for part in {query.part for query in queries}
    }
    assert counts == {
        "clean": 288, "clean, new pair": 48, "distractors": 288, "distractors, new pair": 48,
        "still": 168, "global": 84,
    }  # fmt: skip
    assert len({query.group for query in queries if query.part == CLEAN}) == 24


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
