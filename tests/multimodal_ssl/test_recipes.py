"""Recipes: a name says everything in which it differs from its arm, and every scale compares the same arms."""

import itertools
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from common import results
from common.settings import decode, override
from multimodal_ssl import recipes
from multimodal_ssl.arms import BATCH_SIZES, condition
from multimodal_ssl.contrast import Contrast, PairWeights
from multimodal_ssl.model.networks import S3D, BagOfWords
from multimodal_ssl.model.similarities import LogMeanExp, MeanAndMax, SoftAttention
from multimodal_ssl.paper import PAPER
from multimodal_ssl.recipes import RECIPES
from multimodal_ssl.report.evidence import BATCH_RATE

EVERY = [(scale, name) for scale in RECIPES for name in RECIPES[scale]]
# What makes an arm, as against a rate, a kind of wrong captions or a batch.
OF_ARMS = {"similarity", "pair_weights", "coarse_share", "peak_lr", "tau"}
OF_BATCHES = {"batch_size", "steps", "schedule", "peak_lr"}


def differing(one, other):
    ours, theirs = one.settings(), other.settings()
    return {key for key in ours if ours[key] != theirs[key]}


@pytest.mark.parametrize("run", results.read(PAPER.published("mini")), ids=lambda run: run.result.name)
def test_published_settings_are_those_of_todays_recipe(run):
    assert run.result.settings == RECIPES["mini"][run.result.recipe].settings()


@pytest.mark.parametrize(("scale", "name"), EVERY)
def test_a_recipe_differs_from_its_arm_in_nothing_but_what_its_name_says(scale, name):
    recipe = RECIPES[scale][name]
    is_of = condition(recipe, scale)
    says = {"wrong"} if recipe.wrong.rate else set()
    says |= OF_BATCHES if is_of.other_batch else set()
    assert differing(recipe, RECIPES[scale][f"{is_of.arm.name}_0"]) == says


@pytest.mark.parametrize("scale", list(RECIPES))
def test_arms_of_a_scale_differ_in_how_they_match_alone(scale):
    first, *others = (RECIPES[scale][f"{arm}_0"] for arm in ("COARSE", "FINE", "ATTENTION"))
    assert first.network.pool_video
    for other in others:
        assert differing(first, replace(other, network=replace(other.network, pool_video=True))) <= OF_ARMS
        assert not other.network.pool_video
    assert [arm.similarity for arm in (first, *others)] == [MeanAndMax(), LogMeanExp(), SoftAttention()]
    assert [other.pair_weights for other in others] == [None, PairWeights()]
    assert first.batch_size == BATCH_SIZES[scale]


@pytest.mark.parametrize("scale", list(RECIPES))
def test_every_scale_has_the_three_arms_with_and_without_wrong_captions(scale):
    wanted = {f"{arm}_{rate}" for arm, rate in itertools.product(("COARSE", "FINE", "ATTENTION"), (0, 25))}
    assert wanted <= set(RECIPES[scale])


def test_batches_of_every_size_see_as_many_samples():
    usual = RECIPES["gpu"][f"FINE_{BATCH_RATE}"]
    of_size = {r.batch_size: r for name, r in RECIPES["gpu"].items() if name.startswith("FINE_BATCH")}
    assert set(of_size) == {32, 64, 256, 512}
    for size, recipe in of_size.items():
        assert recipe.steps * size == usual.steps * usual.batch_size
        assert recipe.peak_lr == pytest.approx(usual.peak_lr * (size / usual.batch_size) ** 0.5)


@pytest.mark.parametrize(("scale", "name"), EVERY)
def test_settings_read_back_from_json_are_the_recipe(scale, name):
    recipe = RECIPES[scale][name]
    read = decode(Contrast, json.loads(json.dumps(recipe.settings())))
    assert (read.settings(), read.network) == (recipe.settings(), recipe.network)


def test_every_setting_can_be_set_by_dots():
    fine = RECIPES["mini"]["FINE_0"]
    told = ["network.video.widths=8,16,24", "composition.views=2", "similarity.g=0.2", "wrong.rate=0.5"]
    changed = override(fine, [*told, "pair_weights=PairWeights", "network.text=BagOfWords"])
    assert changed.network.video.widths == (8, 16, 24)
    assert changed.composition.views == 2
    assert changed.similarity == LogMeanExp(0.2)
    assert changed.wrong.rate == 0.5
    assert changed.pair_weights == PairWeights()
    assert changed.network.text == BagOfWords()
    assert override(fine, ["network.video=S3D"]).network.video == S3D()
    assert differing(changed, fine) == {"network", "composition", "similarity", "wrong", "pair_weights"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("similarity=cosine", "similarity must be one of .*LogMeanExp.*, got 'cosine'"),
        ("similarity.g=0", "similarity.g must be above 0, got 0"),
        ("tau=-1", "tau must be above 0, got -1"),
        ("coarse_share=2", r"coarse_share must be in 0\.\.1, got 2"),
        ("wrong.rate=1.5", r"wrong.rate must be in 0\.\.1, got 1.5"),
        ("composition.size_px=8", r"composition.size_px must be in 16\.\.128, got 8"),
        ("chunk=0", "chunk must be 1 or more, got 0"),
    ],
)
def test_settings_that_no_run_could_have_are_refused_before_any_data_are_read(text, told):
    with pytest.raises(ValueError, match=told):
        override(RECIPES["mini"]["FINE_0"], [text])


def test_every_recipe_has_settings_of_its_own():
    for scale, by_name in RECIPES.items():
        hashes = [recipe.settings_hash() for recipe in by_name.values()]
        assert len(set(hashes)) == len(hashes), scale


def test_the_search_is_of_every_arm_that_is_compared_and_each_combination_another_run():
    assert set(recipes.SEARCH.arms) == set(RECIPES["mini"])
    for name in recipes.SEARCH.arms:
        recipe = RECIPES["mini"][name]
        for key, values in recipes.SEARCH.settings.items():
            assert len({replace(recipe, **{key: value}).settings_hash() for value in values}) == len(values)


def test_recipes_need_no_torch():
    code = "import sys, multimodal_ssl.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
