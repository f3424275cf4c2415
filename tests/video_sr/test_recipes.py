"""Recipes: settings alone rebuild a network, and every scale's wiring holds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from common.recipe import Shard
from common.settings import override
from video_sr.corpora import Vid3oC
from video_sr.figures import STYLES
from video_sr.protocol import super_resolve
from video_sr.recipes import SCALES
from video_sr.upscaling import FARTHEST_OFFSET_PX

SMOKE = SCALES["smoke"].reproduced
TRAINED = [name for name, recipe in SMOKE.items() if recipe.steps]


@pytest.mark.parametrize("scale", list(SCALES))
def test_every_scale_compares_the_same_arms_at_equal_cost(scale):
    recipes = SCALES[scale].recipes
    assert set(recipes) == set(SCALES["smoke"].recipes)
    rate = recipes["EVESRNET"].peak_lr  # each arm's own, chosen on dev
    assert replace(recipes["COPIES"], copies=False, peak_lr=rate) == recipes["EVESRNET"]


@pytest.mark.parametrize("scale", ["smoke", "mini"])
def test_every_entry_of_the_challenge_and_the_peer_have_a_recipe(scale):
    kinds = [type(recipe.network).__name__ for recipe in SCALES[scale].reproduced.values()]
    assert sorted(set(kinds)) == [
        "BackProjectionSizes", "BasicVSRSizes", "BicubicSizes", "CoarseToFineSizes", "DKSANSizes", "EDVRAttentionSizes",
        "EVESRNetSizes", "LeastSquaresSizes", "MGBP3DSizes", "MultiDistillationSizes", "PerceptualSizes", "SPANSizes",
        "SPANx16Sizes", "WideActivationSizes",
    ]  # fmt: skip


def test_reproducing_at_mini_is_meant_to_take_45_minutes_of_two_cores_at_most():
    mini = SCALES["mini"]
    of_seeds = mini.seeds * sum(recipe.cost_s for recipe in mini.recipes.values())
    assert (of_seeds + sum(recipe.cost_s for recipe in mini.once.values())) / 2 < 45 * 60


def test_every_network_looks_like_itself_in_figures():
    assert set(STYLES) == set(SMOKE)
    assert len(set(STYLES.values())) == len(STYLES)


@pytest.mark.parametrize("name", TRAINED)
def test_a_batch_is_a_function_of_seed_step_and_shard(name):
    recipe = SMOKE[name]
    first, again = (recipe.batch(0, 3, Shard()) for _ in range(2))
    assert torch.equal(first.low, again.low)
    assert torch.equal(first.high, again.high)
    halves = [recipe.batch(0, 3, Shard(index, 2)) for index in range(2)]
    assert torch.equal(torch.cat([half.high for half in halves]), first.high)
    assert len(recipe.item_ids(0, 3, Shard())) == len(first.high) == recipe.batch_size


@pytest.mark.parametrize("name", TRAINED)
def test_shards_average_to_the_loss_of_the_whole_batch(name):
    recipe = replace(SMOKE[name], batch_size=4)
    torch.manual_seed(0)
    model = recipe.model()
    batches = [recipe.batch(0, 1, shard) for shard in (Shard(), Shard(0, 2), Shard(1, 2))]
    (whole, weight), *parts = [
        (sum(recipe.losses(model, batch, 1).values()).item(), recipe.weight(batch)) for batch in batches
    ]
    assert {weight, *(part for _, part in parts)} == {1.0}  # all hold as many
    assert whole == pytest.approx(sum(loss for loss, _ in parts) / len(parts), rel=1e-5)


@pytest.mark.parametrize("name", list(SMOKE))
def test_a_static_clip_gives_identical_frames(name):
    torch.manual_seed(0)
    network = SMOKE[name].model().eval()
    for weight in network.parameters():  # a new network is bicubic, which would prove too little
        weight.data += 0.02 * torch.randn_like(weight)
    frame = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    outputs = list(super_resolve(network, [frame] * 7))
    assert all(np.array_equal(output, outputs[0]) for output in outputs)


def test_a_lost_alignment_stops_the_run_with_advice():
    recipe = SMOKE["EVESRNET"]
    assert recipe.check({"offset_px": FARTHEST_OFFSET_PX - 1}, 10) is None
    assert "lower peak_lr" in (recipe.check({"offset_px": FARTHEST_OFFSET_PX + 1}, 10) or "")


def test_offsets_learn_at_their_own_rate_and_no_weight_is_left_out():
    recipe = replace(SMOKE["EVESRNET"], offset_lr_ratio=0.1)
    network = recipe.model()
    groups = recipe.parameter_groups(network)
    assert [group.get("lr_ratio", 1.0) for group in groups] == [1.0, 0.1]
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    assert len(SMOKE["WIDE"].parameter_groups(SMOKE["WIDE"].model())) == 1


def test_only_a_night_has_clips_of_two_layers():
    of = {scale: wired.recipes["EVESRNET"].corpus for scale, wired in SCALES.items()}
    assert of["night"] == replace(of["mini"], layered_share=0.25)
    assert [getattr(of[scale], "layered_share", 0) for scale in SCALES if scale != "night"] == [0] * 4


@pytest.mark.parametrize("scale", ["mini", "night", "gpu"])
def test_the_recipes_of_a_scale_share_one_corpus_and_so_one_preparation(scale):
    assert len({recipe.corpus for recipe in SCALES[scale].reproduced.values()}) == 1


def test_departures_say_that_the_data_are_not_the_papers():
    for recipes in (scale.reproduced for scale in SCALES.values()):
        for recipe in recipes.values():
            assert any("Not run on Vid3oC" in sentence for sentence in recipe.departures()) != (
                recipe.corpus == Vid3oC()
            )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "network=edvr",
            "network must be one of .*BicubicSizes, .*EVESRNetSizes, .*WideActivationSizes, got 'edvr'",
        ),
        (
            "corpus=imagenet",
            "corpus must be one of .*LiveClips, .*PreparedClips, REDS, .*Vid3oC, got 'imagenet'",
        ),
        ("network.squeeze=99", r"network\.squeeze must be in 1\.\.8"),
        ("patch=0", "patch must be 1 or more, got 0"),
    ],
)
def test_an_unknown_choice_lists_the_known_ones(text, told):
    with pytest.raises(ValueError, match=told):
        override(SMOKE["WIDE"], [text])
