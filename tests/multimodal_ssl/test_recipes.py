"""Recipes: a name says everything in which it differs from its arm, and every scale compares the same arms."""

import itertools
import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from multimodal_ssl.model.sizes import Network

from multimodal_ssl import recipes
from multimodal_ssl.report.evidence import ARMS, BATCH_RATE, parse

SCALES = recipes.SCALES
EVERY = [(scale, name) for scale in SCALES for name in SCALES[scale].recipes]
# What makes an arm, as against a rate, a kind of wrong captions or a batch.
OF_ARMS = {"similarity", "weighted", "coarse_share", "peak_lr", "tau", "g"}
OF_BATCHES = {"batch_size", "steps", "warmup_steps", "peak_lr"}


def differing(one, other):
    ours, theirs = asdict(one), asdict(other)
    return {key for key in ours if ours[key] != theirs[key]}


@pytest.mark.parametrize(("scale", "name"), EVERY)
def test_a_name_says_rate_and_kind_of_wrong_captions_and_batch(scale, name):
    recipe, told = SCALES[scale].recipes[name], parse(name)
    assert told.arm in ARMS
    assert recipe.wrong_rate == pytest.approx(told.rate / 100)
    assert (recipe.wrong_kind == "near") is told.near
    assert told.batch in (None, recipe.batch_size)


@pytest.mark.parametrize(("scale", "name"), EVERY)
def test_a_recipe_differs_from_its_arm_in_nothing_but_what_its_name_says(scale, name):
    recipe, told = SCALES[scale].recipes[name], parse(name)
    says = {"wrong_rate"} if told.rate else set()
    says |= {"wrong_kind"} if told.near else set()
    says |= OF_BATCHES if told.batch else set()
    assert differing(recipe, SCALES[scale].recipes[f"{told.arm}_0"]) == says


@pytest.mark.parametrize("scale", list(SCALES))
def test_arms_of_a_scale_differ_in_how_they_match_alone(scale):
    first, *others = (SCALES[scale].recipes[f"{arm}_0"] for arm in ("COARSE", "FINE", "ATTENTION"))
    for other in others:
        assert differing(first, other) <= OF_ARMS
    assert first.similarity == "mean-and-max"
    assert [other.weighted for other in others] == [False, True]


@pytest.mark.parametrize("scale", list(SCALES))
def test_every_scale_has_the_three_arms_with_and_without_wrong_captions(scale):
    wanted = {f"{arm}_{rate}" for arm, rate in itertools.product(("COARSE", "FINE", "ATTENTION"), (0, 25))}
    assert wanted <= set(SCALES[scale].recipes)


def test_batches_of_every_size_see_as_many_samples():
    usual = SCALES["gpu"].recipes[f"FINE_{BATCH_RATE}"]
    of_size = {
        parse(name).batch: r for name, r in SCALES["gpu"].recipes.items() if name.startswith("FINE_BATCH")
    }
    assert set(of_size) == {32, 64, 256, 512}
    for size, recipe in of_size.items():
        assert recipe.steps * size == usual.steps * usual.batch_size
        assert recipe.peak_lr == pytest.approx(usual.peak_lr * (size / usual.batch_size) ** 0.5)


@pytest.mark.parametrize("scale", list(SCALES))
def test_settings_read_back_from_json_give_the_same_network(scale):
    recipe = SCALES[scale].recipes["FINE_0"]
    assert Network.of(json.loads(json.dumps(recipe.settings()))["network"]) == recipe.network


def test_every_recipe_has_settings_of_its_own():
    for scale, by_name in ((scale, preset.recipes) for scale, preset in SCALES.items()):
        hashes = [recipe.settings_hash() for recipe in by_name.values()]
        assert len(set(hashes)) == len(hashes), scale


def test_the_search_tries_as_much_for_every_arm_on_clean_captions():
    for name in recipes.SEARCH.arms:
        recipe = SCALES["mini"].recipes[name]
        assert recipe.wrong_rate == 0
        for key, values in recipes.SEARCH.settings.items():
            assert len({replace(recipe, **{key: value}).settings_hash() for value in values}) == len(values)


def test_recipes_need_no_torch():
    code = "import sys, multimodal_ssl.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
