"""Made-up results whose verdicts are known, for every kind of claim and every way to lack evidence."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from made_claims import WITHIN, arms, claim, gain, run, word
from made_runs import made_run

from common.claims import judge
from common.kinds import BestOf, Equivalent, Exact, SlightlyBetter, SlightlyWorse, Superior, Trend
from common.results import Item, Run


@pytest.mark.parametrize(
    ("kind", "margin", "expected"),
    [
        (Superior(), 1.0, "upheld"),
        (Superior(), -1.0, "refuted"),
        (Superior(), 0.0, "undecided"),
        (Trend(), 1.0, "upheld"),
        (Trend(), -1.0, "refuted"),
        (Equivalent(*WITHIN), 0.0, "upheld"),
        (Equivalent(*WITHIN), 0.5, "upheld"),
        (Equivalent(*WITHIN), 2.0, "refuted"),
        (Equivalent(*WITHIN), -2.0, "refuted"),
        (Equivalent(*WITHIN), 1.0, "undecided"),
        (SlightlyBetter(*WITHIN), 0.5, "upheld"),
        (SlightlyBetter(*WITHIN), -0.5, "refuted"),
        (SlightlyBetter(*WITHIN), 2.0, "refuted"),
        (SlightlyBetter(*WITHIN), 0.0, "undecided"),
        (SlightlyWorse(*WITHIN), 0.5, "upheld"),
        (SlightlyWorse(*WITHIN), 2.0, "refuted"),
    ],
)
def test_known_margins_get_their_verdict(kind, margin, expected):
    assert word(claim(kind), arms(margin)) == expected


def all_scores(arms):
    return {name: sample.mean("x") for name, sample in arms.items()}


@pytest.mark.parametrize(
    ("others", "expected"), [({"C": 0.2}, "upheld"), ({"C": 2.0}, "refuted"), ({"C": 1.0}, "undecided")]
)
def test_best_of_needs_95_percent_of_the_draws(others, expected):
    best = claim(BestOf("A"), reads=("A", "B", "C"), margin=all_scores)
    assert word(best, arms(1.0, **others)) == expected


def test_many_equal_arms_refute_no_best_arm():
    """Each of nine equal arms wins seldom, which says nothing against any one of them."""
    others = {f"C{i}": 1.0 for i in range(8)}
    best = claim(BestOf("A"), reads=("A", *others), margin=all_scores)
    words = [word(best, arms(1.0, rng_seed=i, **others)) for i in range(5)]
    assert words.count("refuted") <= 1


def test_a_tie_is_won_by_nobody():
    best = claim(BestOf("A"), margin=all_scores)
    assert word(best, arms(0.0, spread=0.0)) == "undecided"


@pytest.mark.parametrize(("truth", "expected"), [((True, True), "upheld"), ((True, False), "refuted")])
def test_exact_needs_one_seed_and_every_seed(truth, expected):
    exact = claim(Exact(), margin=lambda arms: truth[int(arms["A"]["x"][0])], reads=("A",))
    assert word(exact, [run("A", seed, [seed]) for seed in range(2)]) == expected
    assert word(exact, [run("A", 0, [0])]) == "upheld"


def test_exact_margins_are_not_shares():
    with pytest.raises(ValueError, match=r"True or False, got \{0: 0\.3\}"):
        judge([claim(Exact(), margin=lambda arms: 0.3)], arms(1.0, num_seeds=1), "mini")


def test_interval_by_hand():
    """Seeds 1, 2, 3 with a spread of 0 within: variance 1 / 3, 2 degrees of freedom, t = 4.3027."""
    runs = [run(name, seed, [(seed + 1) * (name == "A")] * 8) for seed in range(3) for name in "AB"]
    (verdict,) = judge([claim()], runs, "mini")
    assert (verdict.point, verdict.between_seed_variance, verdict.group_variance) == (2.0, 1.0, 0.0)
    assert verdict.df == pytest.approx(2)
    assert verdict.high == pytest.approx(2 + 4.30265 * math.sqrt(1 / 3), abs=1e-4)
    assert verdict.per_seed == {0: 1.0, 1: 2.0, 2: 3.0}


def test_group_variance_by_hand():
    """Equal seeds and gains 0..7: the variance of the mean is 6 / 8, with 7 degrees of freedom."""
    runs = [run(name, seed, range(8) if name == "A" else [0] * 8) for seed in range(3) for name in "AB"]
    (verdict,) = judge([claim()], runs, "mini")
    assert verdict.group_variance == pytest.approx(6 / 8)
    assert verdict.df == pytest.approx(7)


def test_items_of_a_group_are_drawn_together():
    """Eighty copies of eight pictures are eight pictures."""

    def runs(copies):
        groups = [f"g{i}" for i in range(8) for _ in range(copies)]
        gains = {"A": [i for i in range(8) for _ in range(copies)], "B": [0] * 8 * copies}
        return [run(name, seed, gains[name], groups) for seed in range(3) for name in "AB"]

    variances = [judge([claim()], runs(copies), "mini")[0].group_variance for copies in (1, 10)]
    assert variances[0] == pytest.approx(variances[1])


def folds(margin, rng_seed=0, per_fold=5, group_spread=0.5):
    """Every seed is tested on pictures of its own."""
    rng = np.random.default_rng(rng_seed)
    runs = []
    for seed in range(3):
        groups = [f"fold{seed}/{i}" for i in range(per_fold)]
        base = rng.normal(30, 5, per_fold)
        runs.append(run("B", seed, base, groups))
        runs.append(run("A", seed, base + margin + rng.normal(0, group_spread, per_fold), groups))
    return runs


def test_folds_that_differ_by_seed_are_drawn_apart():
    (verdict,) = judge([claim()], folds(2.0), "mini")
    assert (verdict.word, verdict.num_groups) == ("upheld", 15)
    assert verdict.group_variance == pytest.approx(0.5**2 / 15, rel=0.6)


def test_partly_shared_folds_and_lone_groups_are_judged():
    rng = np.random.default_rng(0)
    runs = []
    for seed in range(3):
        groups = [f"g{i}" for i in range(seed, seed + 8)]
        gains = {"A": rng.normal(2, 0.1, 8), "B": np.zeros(8)}
        runs += [run(name, seed, gains[name], groups) for name in "AB"]
    (verdict,) = judge([claim()], runs, "mini")
    assert (verdict.word, verdict.num_groups) == ("upheld", 10)


@pytest.mark.parametrize(("num_seeds", "num_groups"), [(2, 12), (3, 7), (1, 1)])
def test_few_seeds_or_groups_are_seen_once(num_seeds, num_groups):
    (verdict,) = judge([claim()], arms(5.0, num_seeds, num_groups), "mini")
    assert verdict.word == "seen once"
    assert verdict.point == pytest.approx(5, abs=0.3)
    assert math.isnan(verdict.low)
    assert "3 seeds and 8 groups" in verdict.reason


def test_a_missing_arm_is_not_run_and_named():
    (verdict,) = judge([claim()], [r for r in arms(1.0) if r.result.recipe == "A"], "mini")
    assert (verdict.word, verdict.reason) == ("not run", "no results of B")


def test_missing_seeds_are_named():
    runs = [r for r in arms(1.0) if (r.result.recipe, r.result.seed) not in {("B", 0), ("B", 2)}]
    (verdict,) = judge([claim()], runs, "mini")
    assert verdict.word == "seen once"
    assert "B lacks seed 0, 2" in verdict.reason


def test_other_scales_and_dev_are_not_evidence():
    runs = arms(1.0)
    dev = [Run(replace(r.result, split="dev"), r.items) for r in runs]
    gpu = [Run(replace(r.result, scale="gpu"), r.items) for r in runs]
    assert word(claim(), dev + gpu) == "not run"


def test_a_scale_that_cannot_judge_says_why():
    (verdict,) = judge([claim(scales=("gpu",), not_testable={"mini": "needs 12 layers"})], arms(1.0), "mini")
    assert (verdict.word, verdict.reason) == ("not testable at this scale", "needs 12 layers")


def test_unpaired_items_are_an_error_that_names_them():
    runs = arms(1.0)
    runs[0] = Run(runs[0].result, runs[0].items[1:])
    with pytest.raises(ValueError, match=r"c, seed 0: .* differ in 1: g0/0"):
        judge([claim()], runs, "mini")


def test_order_of_items_is_irrelevant():
    runs = arms(1.0)
    shuffled = [Run(r.result, list(r.items)[:: (-1) ** i]) for i, r in enumerate(runs)]
    paired = claim(margin=lambda arms: gain(arms) + (arms["A"].items[0].id != arms["B"].items[0].id))
    assert judge([paired], runs, "mini") == judge([paired], shuffled, "mini")


def test_seeds_with_different_settings_are_not_mixed():
    runs = arms(1.0)
    runs[0] = Run(replace(runs[0].result, settings_hash="old"), runs[0].items)
    (verdict,) = judge([claim()], runs, "mini")
    assert verdict.word == "not run"
    assert "B has seeds with different settings (seed 0 old" in verdict.reason


@pytest.mark.parametrize("margin", [0.0, 1.0])
@pytest.mark.parametrize("kind", [Superior(), Equivalent(*WITHIN), SlightlyBetter(*WITHIN)])
def test_no_spread_rules_nothing(kind, margin):
    runs = [run(name, seed, [30 + margin * (name == "A")] * 9) for seed in range(3) for name in "AB"]
    (verdict,) = judge([claim(kind)], runs, "mini")
    assert verdict.word == "undecided"
    assert "no spread" in verdict.reason


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("kind", [Superior(), Equivalent(*WITHIN), BestOf("A")])
def test_infinite_margins_rule_nothing(kind, value):
    runs = arms(1.0)
    for i, r in enumerate(runs):
        if r.result.recipe == "A":
            runs[i] = Run(r.result, [*r.items[:-1], replace(r.items[-1], scores={"x": value})])
    margin = all_scores if kind == BestOf("A") else gain
    (verdict,) = judge([claim(kind, margin=margin)], runs, "mini")
    assert verdict.word == "undecided"
    assert "not finite" in verdict.reason
    json.loads(json.dumps(verdict.json(), allow_nan=False))


def more_errors(arms):
    return 100 * (arms["A"].rate("edits", "words") - arms["B"].rate("edits", "words"))


def speech(name, seed, edits_per_word, words):
    items = [
        Item(f"u{i}", f"u{i}", "p", {"edits": round(w * edits_per_word), "words": w})
        for i, w in enumerate(words)
    ]
    return made_run(name, items, seed=seed)


def test_pooled_rates_divide_once():
    """One long bad utterance and many short good ones: pooled, not averaged."""
    runs = []
    for seed in range(3):
        runs += [
            speech("A", seed, 0.5 + seed / 100, [2] * 9 + [1000]),
            speech("B", seed, 0.3, [2] * 9 + [1000]),
        ]
    (verdict,) = judge([claim(margin=more_errors)], runs, "mini")
    assert verdict.per_seed[0] == pytest.approx(100 * (9 + 500 - 9 - 300) / 1018)


def test_division_by_zero_without_a_group_rules_nothing():
    runs = [
        speech(name, seed, 0.1 * seed + (name == "A"), [0] * 7 + [10]) for seed in range(3) for name in "AB"
    ]
    (verdict,) = judge([claim(margin=more_errors)], runs, "mini")
    assert (verdict.word, verdict.reason) == (
        "undecided",
        "the margin is not finite without one of the groups",
    )


def test_p_is_the_level_at_which_the_interval_rules():
    words = {}
    for i in range(60):
        (verdict,) = judge(
            [claim(SlightlyBetter(*WITHIN), headline=True)], arms(0.1, spread=0.2, rng_seed=i), "mini"
        )
        words[verdict.word] = words.get(verdict.word, 0) + 1
        assert (verdict.p <= 0.05) == (verdict.word != "undecided")
    assert len(words) > 1


def test_two_headlines_are_refused():
    with pytest.raises(ValueError, match="one headline claim, got 2: a, b"):
        judge([claim(id="a", headline=True), claim(id="b", headline=True)], [], "mini")


def test_equal_evidence_gives_equal_verdicts():
    assert judge([claim()], arms(0.2), "mini") == judge([claim()], arms(0.2), "mini")


def test_a_claim_must_read_something():
    with pytest.raises(ValueError, match="got none"):
        claim(reads=())


@pytest.mark.parametrize("kind", [Equivalent, SlightlyBetter, SlightlyWorse])
@pytest.mark.parametrize(
    ("bound", "set_on"), [(-1.0, "today"), (0.0, "today"), (math.inf, "today"), (1.0, "")]
)
def test_bounds_are_above_zero_and_dated(kind, bound, set_on):
    with pytest.raises(ValueError, match="above 0 and dated"):
        kind(bound, set_on)


def test_the_best_arm_must_be_scored_and_have_rivals():
    for kind, margin in ((BestOf("C"), all_scores), (BestOf("A"), lambda arms: {"A": arms["A"].mean("x")})):
        with pytest.raises(ValueError, match=r"c: a 'best of' margin gives scores of . and rivals"):
            judge([claim(kind, margin=margin)], arms(1.0), "mini")


@pytest.mark.parametrize("design", ["shared pictures", "folds"])
def test_null_experiments_are_rarely_ruled(design, monkeypatch):
    """5 % nominal; pictures and seeds both have effects of their own, as in real experiments."""
    monkeypatch.setattr("common.bootstrap.NUM_DRAWS", 200)
    false_rulings = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        picture, runs = rng.normal(0, 0.5, 10), []
        for seed in range(3):
            gains = rng.normal(0, 0.1) + (picture if design == "shared pictures" else rng.normal(0, 0.5, 10))
            gains = gains + rng.normal(0, 0.1, 10)
            groups = [f"{i}" if design == "shared pictures" else f"{seed}/{i}" for i in range(10)]
            runs += [run("A", seed, gains, groups), run("B", seed, np.zeros(10), groups)]
        false_rulings += word(claim(headline=True), runs) != "undecided"
    assert false_rulings <= 0.08 * 200


def test_items_of_other_parts_lend_no_groups():
    """Eight photographs and three clips: a claim about clips has seen three groups, not eleven."""
    runs = arms(1.0, num_groups=8)
    few = arms(1.0, num_groups=3, rng_seed=1)
    clips = [[replace(i, part="clips", id="c" + i.id, group="c" + i.group) for i in r.items] for r in few]
    both = [Run(r.result, [*r.items, *more]) for r, more in zip(runs, clips, strict=True)]
    verdict = judge([claim(parts=("clips",))], both, "mini")[0]
    assert (verdict.word, verdict.num_groups) == ("seen once", 3)
    assert judge([claim(parts=("photographs",))], both, "mini")[0].num_groups == 8
    assert judge([claim(parts=("lossless",))], both, "mini")[0].reason == "no item of lossless was scored"


def test_a_score_that_the_runs_do_not_have_is_no_evidence_yet():
    def newer(arms):
        return arms["A"].mean("y") - arms["B"].mean("y")

    (verdict,) = judge([claim(margin=newer)], arms(1.0), "mini")
    assert (verdict.word, verdict.reason) == ("not run", "y is not scored in these runs; run them again")
