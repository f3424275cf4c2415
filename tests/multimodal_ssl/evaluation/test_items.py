"""What is scored: a matcher that knows the answers is first everywhere, arms share items, wrong pairs are named."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from common.sample import Sample
from multimodal_ssl.claims import auroc
from multimodal_ssl.composed import clips, plan
from multimodal_ssl.composed.batches import encode
from multimodal_ssl.composed.wrong_captions import WrongCaptions
from multimodal_ssl.evaluation.attention import attention
from multimodal_ssl.evaluation.encoding import as_long, clip_units
from multimodal_ssl.evaluation.items import (
    pair_items,
    probe_items,
    retrieval_items,
    size_item,
)
from multimodal_ssl.measures import RETRIEVED, names
from multimodal_ssl.model.units import Units
from multimodal_ssl.recipes import SCALES
from multimodal_ssl.report.evidence import chance_at

SMOKE = SCALES["smoke"].recipes
COMPOSED = clips.compose(SMOKE["FINE_0"].composition)
NUM_FRAMES = COMPOSED.composition.num_frames


class Knowing(nn.Module):
    """Knows every clip by its pixels: a unit for each caption that is true of it, and a text is its caption's unit."""

    def __init__(self, splits=("test",)):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        cast, seen = COMPOSED.material.cast, []
        for split in splits:
            for place, scene in enumerate(COMPOSED.scenes(split)):
                clip = COMPOSED._clip(split, place)
                shown = [plan.caption(cast, one) for one in scene.shown]
                true = [scene.caption] if scene.still or not shown else shown
                seen.append((as_long(np.array(clip.frames), NUM_FRAMES).tobytes(), true))
        self.true = dict(seen)
        self.captions = sorted({caption for captions in self.true.values() for caption in captions})
        self.ids = {tuple(encode(COMPOSED, [one])[0].tolist()): i for i, one in enumerate(self.captions)}

    def clips(self, video):
        frames = (video.permute(0, 1, 3, 4, 2) * 255).round().to(torch.uint8).numpy()
        vectors = torch.zeros(len(frames), 3, len(self.captions))
        valid = torch.zeros(len(frames), 3, dtype=torch.bool)
        for clip, pixels in enumerate(frames):
            for unit, caption in enumerate(self.true[pixels.tobytes()]):
                vectors[clip, unit, self.captions.index(caption)], valid[clip, unit] = 1.0, True
        return Units(vectors, valid)

    def places(self, video):
        return self.clips(video)

    def texts(self, text):
        rows = [self.ids[tuple(row)] for row in text.tolist()]
        return Units.one(torch.eye(len(self.captions))[rows])

    def scores(self, clips, texts):
        return torch.einsum("akd,bd->akb", clips.vectors, texts.vectors[:, 0]).amax(1)

    def scores_by(self, similarity, clips, texts):
        return similarity(clips, texts)


class Blind(Knowing):
    """Every clip looks the same."""

    def clips(self, video):
        return Units.one(torch.ones(len(video), len(self.captions)))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return SMOKE["FINE_0"].model().eval()


# ---- retrieval


def test_a_matcher_that_knows_the_answers_is_first_in_every_part():
    items = list(retrieval_items(Knowing(), COMPOSED, "test"))
    assert {item.scores[rank] for item in items for rank in ("rank", "rank/pooled", "rank/fine")} == {1}
    assert {item.part for item in items} == set(names(RETRIEVED))


class SeesTints(Knowing):
    """Whole scenes by their tint alone."""

    def scores(self, clips, texts):
        tints = torch.tensor(
            [[one.split()[1] == other.split()[1] for one in self.captions] for other in self.captions]
        )
        return torch.einsum("akd,de,be->akb", clips.vectors, tints.float(), texts.vectors[:, 0]).amax(1)


def test_the_tint_alone_finds_a_scene_among_all_and_tells_none_of_its_tint_apart():
    items = list(retrieval_items(SeesTints(), COMPOSED, "test"))
    among_all, of_its_tint = (
        [item for item in items if item.part == part] for part in ("global", "global, motion")
    )
    assert {item.scores["rank"] for item in among_all} == {item.scores["rank"] for item in of_its_tint} == {7}
    assert {item.scores["clips"] for item in of_its_tint} == {len(plan.MOTIONS)}
    assert [item.id for item in of_its_tint] == [f"{item.id}/motion" for item in among_all]
    assert {(item.scores["right"], item.group) for item in of_its_tint} == {
        (1, item.group) for item in among_all
    }
    assert {item.scores["rank/fine"] for item in of_its_tint} == {1}  # that matcher is not blind to motion


@pytest.mark.parametrize("arm", ["FINE_0", "COARSE_0"])
def test_the_fine_rank_is_that_of_all_places_whatever_the_arm(arm):
    """Of the fine arm it is its own; a coarse arm's places are those of its weights without the average."""
    torch.manual_seed(2)
    recipe = SMOKE[arm]
    model = recipe.model().eval()
    items = list(retrieval_items(model, COMPOSED, "test"))
    twin = replace(SMOKE["FINE_0"], network=replace(recipe.network, pool_video=False)).model().eval()
    twin.load_state_dict(model.state_dict())
    wanted = list(retrieval_items(twin, COMPOSED, "test"))
    assert [item.scores["rank/fine"] for item in items] == [item.scores["rank"] for item in wanted]
    assert ([item.scores["rank"] for item in items] == [item.scores["rank"] for item in wanted]) == (
        arm == "FINE_0"
    )


def test_a_blind_matcher_is_behind_every_wrong_clip():
    for item in retrieval_items(Blind(), COMPOSED, "test"):
        assert item.scores["rank"] == item.scores["clips"] - item.scores["right"] + 1


def test_chance_counts_every_right_clip():
    items = [i for i in retrieval_items(Blind(), COMPOSED, "test") if i.part == "distractors"]
    assert any(item.scores["right"] > 1 for item in items)
    rng = np.random.default_rng(0)
    drawn = []
    for item in items:
        clips, right = item.scores["clips"], item.scores["right"]
        drawn += [(rng.permutation(clips)[:5] < right).any() for _ in range(400)]
    assert chance_at(items, 5) == pytest.approx(100 * np.mean(drawn), abs=1.5)
    assert chance_at(items, 5) > 100 * 5 / items[0].scores["clips"]


def test_arms_are_scored_on_the_same_items_and_groups():
    def keys(name):
        torch.manual_seed(1)
        model, recipe = SMOKE[name].model().eval(), SMOKE[name]
        items = [
            *retrieval_items(model, COMPOSED, "test"),
            *pair_items(
                model, COMPOSED, COMPOSED.given_captions(0, WrongCaptions(rate=0.25)), recipe.scored_pairs
            ),
        ]
        assert len({item.id for item in items}) == len(items)
        return [(item.id, item.group, item.part) for item in items]

    assert keys("COARSE_25") == keys("ATTENTION_25")


def test_a_still_is_shown_as_long_as_a_clip(small):
    """S3D leaves no place of fewer frames than its scale's clips have."""
    stills = COMPOSED.gallery("test", "still/0")
    lasting = [
        replace(clip, frames=np.repeat(np.array(clip.frames), 8, 0), boxes=np.repeat(clip.boxes, 8, 0))
        for clip in stills
    ]
    units, wanted = (clip_units(small, clips, 8) for clips in (stills, lasting))
    assert torch.equal(units.vectors, wanted.vectors)


# ---- pairs, probes, sizes


def test_wrong_pairs_are_named_and_scored_with_the_caption_they_were_trained_with():
    knowing, wrong = Knowing(("train",)), COMPOSED.given_captions(0, WrongCaptions(rate=0.5))
    items = list(pair_items(knowing, COMPOSED, wrong, 48))
    assert len(items) == 48
    assert [item.scores["score"] == 0.0 for item in items] == [bool(item.scores["wrong"]) for item in items]
    assert [bool(item.scores["wrong"]) for item in items] == wrong[1][:48].tolist()
    assert auroc(Sample.of(items)).item() == 1.0


def test_pairs_beyond_the_training_clips_are_not_asked_for():
    items = list(
        pair_items(
            Knowing(("train",)), COMPOSED, COMPOSED.given_captions(0, WrongCaptions(rate=0.25)), 10_000
        )
    )
    assert len(items) == COMPOSED.num_train


def test_the_probe_says_one_thing_of_every_clean_clip():
    items = list(probe_items(Knowing(("train", "test")), COMPOSED, "test"))
    tested = COMPOSED.gallery("test", "clean/0")
    for what, choices in (("object", 4), ("motion", 7)):
        said = [item for item in items if item.part == f"probe {what}"]
        assert [item.id for item in said] == [f"probe {what}/{clip.id}" for clip in tested]
        assert all(item.scores["right"] == (item.texts["said"] == item.texts["true"]) for item in said)
        assert len({item.texts["true"] for item in said}) == choices


def test_a_probe_of_vectors_that_know_names_every_pair_that_training_showed():
    items = list(probe_items(Knowing(("train", "test")), COMPOSED, "test"))
    new = plan.new_pairs(COMPOSED.composition, len(COMPOSED.material.cast.phrases))
    shown = {f"probe motion/{c.id}" for c in COMPOSED.gallery("test", "clean/0") if c.scene.target not in new}
    assert {item.scores["right"] for item in items if item.id in shown} == {1.0}


def test_sizes_are_counted(small):
    item = size_item(small, COMPOSED)
    assert item.timed == ("seconds",)
    assert item.scores["parameters"] == sum(weight.numel() for weight in small.parameters())
    first = (
        3 * 4 * 5 * 5 * 4 * 16 * 16
    )  # of the first layer alone: 1x5x5, 3 to 4 channels, 4 frames of 16x16 places
    assert item.scores["multiply_adds"] > first
    assert item.scores["seconds"] > 0


# ---- where phrases attend to


def test_every_phrase_attends_somewhere_and_sums_to_one(small):
    clip = COMPOSED.gallery("test", "clean/0")[0]
    maps = attention(small, COMPOSED, clip)
    words = clip.caption.split()
    assert [phrase for phrase, _ in maps[: len(words)]] == words
    assert maps[-1][0] == " ".join(words[-3:])
    for _, attended in maps:
        assert attended.shape == small.encoders.video.grid(4, 32, 32)
        assert attended.sum() == pytest.approx(1.0)


def test_a_network_without_places_has_nothing_to_show():
    recipe = SMOKE["FINE_0"]
    pooled = replace(recipe.network, pool_video=True)
    model = replace(recipe, network=pooled).model().eval()
    assert attention(model, COMPOSED, COMPOSED.gallery("test", "clean/0")[0]) == []


def test_items_are_plain_json(small):
    items = [*retrieval_items(small, COMPOSED, "test"), size_item(small, COMPOSED)]
    assert all(math.isfinite(value) for item in items for value in item.scores.values())
    assert json.dumps([dict(item.scores) for item in items])
