"""Every claim is upheld by made-up scores of which its sentence is true, and not by others."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_runs import check_that_draws_repeat_groups, holds, one_seed

from common.results import Item
from common.sample import Sample
from speech_adapters.continual import claims
from speech_adapters.continual.claims import CLAIMS
from speech_adapters.continual.measures import (
    ADAPTED,
    ADAPTED_TRAINED,
    ADAPTERS,
    ALL,
    CONTRASTIVE,
    FULL_CELL,
    FULL_FROZEN,
    OFF,
    ON,
    SECONDS,
    SWITCHED_OFF,
    TRAIN_S,
    TRAINING,
    UPDATE_S,
    at,
)
from speech_adapters.ctc.measures import CHARACTER_ERRORS, CHARACTERS, CTC_NATS, DEAF_NATS

BY_ID = {claim.id: claim for claim in CLAIMS}


def cost(**seconds):
    """Updates of every cell in eight blocks; blocks differ alike in every cell."""
    cells = {"full": FULL_CELL, "frozen": FULL_FROZEN, "adapted": ADAPTED, "adapted_trained": ADAPTED_TRAINED}
    return {
        "COST": [
            Item(f"{cell}/{n}", f"block {n}", cells[cell].name, {UPDATE_S.name: taken * (1 + n / 10)})
            for cell, taken in seconds.items()
            for n in range(4)
        ]
    }


def letters(part, on_the_way=None, **levels):
    """Arms with nats a character; `on_the_way` gives an arm's {seconds: nats} of its snapshots."""
    return {arm: _letters(part, level, (on_the_way or {}).get(arm, {})) for arm, level in levels.items()}


def _letters(part, level, curve):
    return [
        Item(f"{part}/{n}", f"speaker {n // 2}", part, _at(level, n) | _snapshots(curve, n)) for n in range(6)
    ]


def _at(level, n, name=CTC_NATS.name):
    return {name: (level + n / 10) * (10 + n), CHARACTERS.name: 10 + n, CHARACTER_ERRORS.name: n}


def _snapshots(curve, n):
    found = {}
    for step, (seconds, nats) in enumerate(curve.items(), 1):
        found |= _at(nats, n, at(CTC_NATS, step)) | {at(TRAIN_S, step): seconds}
    return found


def contrast(**levels):
    part = claims.ENGLISH[0]
    return {
        arm: [Item(f"{n}", f"speaker {n // 2}", part, {CONTRASTIVE.name: level + n / 10}) for n in range(6)]
        for arm, level in levels.items()
    }


def trained(**seconds):
    return {
        arm: [Item(str(n), str(n), TRAINING.name, {SECONDS.name: taken + n}) for n in range(4)]
        for arm, taken in seconds.items()
    }


def switched(arm, off, on):
    return {
        arm: [
            Item(str(n), str(n), SWITCHED_OFF.name, {OFF.name: off * (n == 2), ON.name: on}) for n in range(4)
        ]
    }


def _of_language(code):
    low, full, adapters = code.lower(), f"FULL_{code}", f"ADAPTERS_{code}"
    part = f"letters asterisk-{low}"

    def curves(by_adapters, by_full):
        return letters(part, {adapters: by_adapters, full: by_full}, **{adapters: 0, full: 0, "SOURCE": 3.0})

    slow, fast = {100: 2.5, 200: 2.0}, {50: 2.5, 100: 2.0}
    return {
        f"equal-quality-{low}": (
            [curves(fast, slow), curves({50: 1.5, 150: 1.0}, slow)],
            [curves(slow, fast), curves(slow, slow), curves({150: 2.9, 300: 2.8}, slow)],
        ),
        f"total-{low}": (
            [trained(**{adapters: 80.0, full: 100.0})],
            [trained(**{adapters: 100.0, full: 80.0})],
        ),
        f"kept-{low}": (
            [switched(adapters, 0.0, 0.5)],
            [switched(adapters, 1e-9, 0.5), switched(adapters, 0.0, 0.0)],
        ),
        f"forgetting-{low}": ([contrast(**{full: 4.0, "SOURCE": 3.5})], [contrast(**{full: 3.5, "SOURCE": 4.0})]),
        f"forgetting-letters-{low}": (
            [letters(claims.ENGLISH_LETTERS[0], **{full: 2.5, "SOURCE": 2.0})],
            [letters(claims.ENGLISH_LETTERS[0], **{full: 2.0, "SOURCE": 2.5})],
        ),
        f"useful-{low}": (
            [letters(part, **{adapters: 2.0, "SOURCE": 2.5})],
            [letters(part, **{adapters: 2.5, "SOURCE": 2.0})],
        ),
        f"as-good-{low}": (
            [letters(part, **{adapters: 2.0 + gap, full: 2.0}) for gap in (-0.04, 0.04)],
            [letters(part, **{adapters: 2.0 + gap, full: 2.0}) for gap in (-0.06, 0.06)],
        ),
    }  # fmt: skip


CASES = {  # claim: arms for which it is true, and for which it is not
    "update": ([cost(adapted=0.6, full=1.0)], [cost(adapted=1.1, full=1.0)]),
    "update-32": (
        [cost(adapted=taken, full=1.0) for taken in (0.64, 0.72)],
        [cost(adapted=taken, full=1.0) for taken in (0.62, 0.74)],
    ),
    "update-32-extractor": (
        [cost(adapted_trained=taken, full=1.0) for taken in (0.64, 0.72)],
        [cost(adapted_trained=taken, full=1.0) for taken in (0.62, 0.74)],
    ),
    "adapters-alone": ([cost(adapted=0.8, frozen=0.9)], [cost(adapted=0.9, frozen=0.8)]),
    **_of_language("FR"),
    **_of_language("ES"),
    "recognition": (
        [letters(ALL.name, ADAPTERS_FR=1.0, SOURCE=1.5)],
        [letters(ALL.name, ADAPTERS_FR=1.5, SOURCE=1.0)],
    ),
    "recognition-stacked": (
        [letters(ADAPTERS.name, ADAPTERS_FR=1.0, SOURCE=1.5)],
        [letters(ADAPTERS.name, ADAPTERS_FR=1.5, SOURCE=1.0)],
    ),
    "forward": (
        [letters("letters asterisk-es", ADAPTERS_FR_THEN_ES=1.0, ADAPTERS_ES=1.5)],
        [letters("letters asterisk-es", ADAPTERS_FR_THEN_ES=1.5, ADAPTERS_ES=1.0)],
    ),
    "replay": (
        [contrast(REPLAY_FR=3.2, FULL_FR=4.0, SOURCE=3.0)],
        [contrast(REPLAY_FR=3.8, FULL_FR=4.0, SOURCE=3.0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_holds_where_its_sentence_is_true(claim):
    true, false = CASES[claim.id]
    assert [holds(claim, arms) for arms in true] == [True] * len(true)
    assert [holds(claim, arms) for arms in false] == [False] * len(false)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_draws_repeat_groups(claim):
    check_that_draws_repeat_groups(claim, CASES[claim.id][0][0])


def test_a_cut_is_in_per_cent_of_the_slower():
    assert one_seed(BY_ID["update"], cost(adapted=0.6, full=1.0)).point == pytest.approx(40)
    assert one_seed(BY_ID["update-32"], cost(adapted=0.6, full=1.0)).point == pytest.approx(8)
    arms = trained(ADAPTERS_FR=48.5, FULL_FR=98.5)  # four items, 0 to 3 s more each: 200 s and 400 s
    assert one_seed(BY_ID["total-fr"], arms).point == pytest.approx(50)


def test_equal_quality_is_what_both_arms_reach():
    """The worse of the two bests is 2.0, reached after 75 s by one arm and after 200 s by the other."""
    curves = {"ADAPTERS_FR": {50: 2.5, 100: 1.5}, "FULL_FR": {100: 2.5, 200: 2.0}}
    arms = letters("letters asterisk-fr", curves, ADAPTERS_FR=0, FULL_FR=0, SOURCE=3.0)
    assert one_seed(BY_ID["equal-quality-fr"], arms).point == pytest.approx(100 * (1 - 75 / 200))


def test_no_time_is_saved_where_an_arm_never_gets_below_the_source():
    curves = {"ADAPTERS_FR": {50: 2.5}, "FULL_FR": {100: 3.5}}
    arms = letters("letters asterisk-fr", curves, ADAPTERS_FR=0, FULL_FR=0, SOURCE=3.0)
    assert one_seed(BY_ID["equal-quality-fr"], arms).reason == "the margin is not finite"


def test_a_level_is_reached_on_the_first_way_down():
    points = [
        (0.0, np.array([3.0])),
        (10.0, np.array([1.0])),
        (20.0, np.array([2.0])),
        (30.0, np.array([0.5])),
    ]
    wanted = {4.0: 0.0, 3.0: 0.0, 2.0: 5.0, 1.0: 10.0, 0.5: 30.0, 0.1: math.inf}
    assert {level: claims.seconds_to(points, np.array([level])).item() for level in wanted} == wanted


@pytest.mark.parametrize("id_", ["forgetting-letters-fr", "useful-fr", "as-good-es"])
def test_letters_are_ruled_on_where_an_arm_is_better_than_one_that_hears_nothing(id_):
    claim = BY_ID[id_]
    holds_for = CASES[id_][0][0]
    best = min(claims.nats(Sample.of(items)).item() for items in holds_for.values())
    for floor, above in ((best + 0.1, 0.1), (best - 0.1, -0.1), (None, math.nan)):
        arms = {
            name: Sample.of([_with_floor(item, floor) for item in items]) for name, items in holds_for.items()
        }
        assert np.asarray(claim.kind.above(arms)).item() == pytest.approx(above, nan_ok=True)


def _with_floor(item, nats):
    deaf = {} if nats is None else {DEAF_NATS.name: nats * item.scores[CHARACTERS.name]}
    return replace(item, scores=item.scores | deaf)
