"""The guard of pre-training: what it stops, what it leaves alone, and that it remembers one run at a time."""

import math
import random

import pytest

from speech_adapters.model.objective import QuantiserSizes
from speech_adapters.pretrain.recipe import (
    GUARD_FROM_STEP,
    LATELY,
    LEFT_CHANCE_BY_STEP,
    SUDDEN,
    Pretrain,
)

STEPS = 4000
CHANCE = math.log(101)
GOOD = {"contrastive": 3.6, "soft_perplexity": 100.0, "chance": CHANCE, "accuracy": 0.13}


def _told(rows, begin=GUARD_FROM_STEP, recipe=None):
    """(step, sentence) of the first row, fifty steps apart, that is refused."""
    recipe = recipe or Pretrain(steps=STEPS, quantiser=QuantiserSizes(codes=64))
    for number, row in enumerate(rows):
        step = begin + 50 * number
        if sentence := recipe.check(GOOD | row, step):
            return step, sentence
    return None


def test_what_learns_is_left_alone():
    """Values as noisy as those of our own runs."""
    rng = random.Random(0)
    rows = [
        {"contrastive": max(3.5, 4.8 - n / 10) + rng.gauss(0, 0.12), "soft_perplexity": rng.uniform(85, 115)}
        for n in range(80)
    ]
    assert _told(rows, begin=50) is None


def test_codes_that_all_became_one_are_stopped():
    assert (
        "perplexity 2.90 of 128 is below 3.0; raise objective.diversity_weight"
        in _told([{"soft_perplexity": 2.9}])[1]
    )


def test_a_contrast_that_solved_itself_is_stopped():
    assert "0.0100 nats are below 0.02" in _told([{"contrastive": 0.01}])[1]


@pytest.mark.parametrize(
    ("name", "told"),
    [("contrastive", "the contrast was 3.60"), ("soft_perplexity", "the use of codes was 100.00")],
)
def test_a_sudden_drop_is_stopped_and_a_slow_one_is_not(name, told):
    low = 0.9 * SUDDEN * GOOD[name]
    step, sentence = _told([{}] * LATELY + [{name: low}])
    assert step == GUARD_FROM_STEP + 50 * LATELY
    assert told in sentence
    assert f"and is {low:.2f}" in sentence
    assert _told([{name: GOOD[name] * (1 - n / 40)} for n in range(28)]) is None
    assert _told([{}] * (LATELY - 1) + [{name: low}]) is None  # too few to compare with


def test_chance_may_last_a_while_and_no_longer():
    rng = random.Random(1)
    rows = [{"contrastive": CHANCE + rng.gauss(0, 0.15)} for _ in range(60)]
    step, sentence = _told(rows)
    assert step == LEFT_CHANCE_BY_STEP
    assert f"where chance is {CHANCE:.3f}" in sentence
    assert "first stage" in sentence


def test_one_bad_batch_is_not_chance():
    rows = [{"contrastive": 4.9} if n % 4 == 0 else {} for n in range(60)]
    assert _told(rows, begin=LEFT_CHANCE_BY_STEP) is None


@pytest.mark.parametrize(("steps", "first"), [(STEPS, 1000), (400, 200)])
def test_it_begins_when_codes_are_found_or_half_way_in_a_short_training(steps, first):
    recipe = Pretrain(steps=steps)
    assert recipe.check(GOOD | {"soft_perplexity": 2.0}, first - 1) is None
    assert recipe.check(GOOD | {"soft_perplexity": 2.0}, first)


def test_it_remembers_nothing_of_another_run_or_of_steps_that_are_run_again():
    recipe, low = Pretrain(steps=STEPS, quantiser=QuantiserSizes(codes=64)), {"contrastive": 1.0}
    assert _told([{}] * 20, recipe=recipe) is None
    assert _told([low] * 20, recipe=recipe) is None
    assert recipe.check(GOOD | low, STEPS) is None


def test_memory_is_no_setting():
    recipe = Pretrain(steps=STEPS)
    before = recipe.settings_hash(), hash(recipe)
    recipe.check(GOOD, 50)
    assert (recipe.settings_hash(), hash(recipe)) == before
    assert recipe == Pretrain(steps=STEPS)
