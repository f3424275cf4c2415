"""Margins of the paper's claims on made ranks and scores."""

import math
import subprocess
import sys

import pytest

from common.results import Item
from multimodal_ssl import claims, recipes

BY_ID = {claim.id: claim for claim in claims.CLAIMS}


def asked(*ranks, clips=100, right=1, part="clean", pooled=None):
    """A query for each rank."""
    pooled = pooled or ranks
    return [
        Item(f"q{i}", f"g{i}", part, {"rank": own, "rank/pooled": by_pooled, "clips": clips, "right": right})
        for i, (own, by_pooled) in enumerate(zip(ranks, pooled, strict=True))
    ]


def pairs(*scores_and_wrong):
    return [
        Item(f"p{i}", f"f{i}", "pairs", {"score": score, "wrong": float(wrong)})
        for i, (score, wrong) in enumerate(scores_and_wrong)
    ]


BETTER = [  # claim, the arm it is for, the arm against
    ("fine-over-coarse", "FINE_25", "COARSE_25"),
    ("fine-over-coarse-clean", "FINE_0", "COARSE_0"),
    ("attention-over-coarse", "ATTENTION_25", "COARSE_25"),
    ("attention-over-fine", "ATTENTION_25", "FINE_25"),
    ("smaller-batch", "FINE_BATCH64", "COARSE_BATCH512"),
    ("new-pairs", "FINE_0", "COARSE_0"),
    ("global-control", "COARSE_0", "FINE_0"),
]


@pytest.mark.parametrize(("name", "arm", "than"), BETTER)
def test_more_queries_among_the_first_five_are_a_positive_margin(name, arm, than):
    arms = {arm: asked(1, 5, 5, 6), than: asked(1, 6, 99, 6)}
    assert BY_ID[name].margin(arms) == pytest.approx(50.0)
    assert set(BY_ID[name].reads) == {arm, than}


def test_a_fifth_place_counts_and_a_sixth_does_not():
    assert claims.recall(asked(5, 6), 5) == 50.0


def test_noise_hurts_the_arm_that_loses_more():
    arms = {
        "FINE_0": asked(1, 1, 1, 1), "FINE_25": asked(1, 1, 1, 9), "COARSE_0": asked(1, 1, 1, 9),
        "COARSE_25": asked(9, 9, 9, 9),
    }  # fmt: skip
    assert BY_ID["noise-hurts-coarse-more"].margin(arms) == pytest.approx(75 - 25)


def test_the_weight_detects_noise_when_right_pairs_score_higher():
    margin = BY_ID["attention-detects-noise"].margin
    assert margin({"ATTENTION_25": pairs((0.9, 0), (0.8, 0), (0.1, 1))}) == pytest.approx(0.5)
    assert margin({"ATTENTION_25": pairs((0.1, 0), (0.9, 1))}) == pytest.approx(-0.5)
    assert margin({"ATTENTION_25": pairs((0.5, 0), (0.5, 1))}) == pytest.approx(
        0.0
    )  # equal scores tell nothing


def test_the_area_is_that_of_all_pairs_of_a_right_and_a_wrong_score():
    scored = pairs((0.1, 0), (0.4, 0), (0.7, 0), (0.4, 1), (0.2, 1))
    by_hand = (0 + 0 + 0.5 + 1 + 1 + 1) / 6
    assert claims.auroc(scored) == pytest.approx(by_hand)
    assert math.isnan(claims.auroc(pairs((0.1, 0))))


@pytest.mark.parametrize(("name", "k", "arm"), [("text-image", 1, "FINE_25"), ("learned", 5, "COARSE_0")])
def test_the_bar_is_five_times_what_a_random_order_finds(name, k, arm):
    margin = BY_ID[name].margin
    assert margin({arm: asked(1, 1, 99, 99, clips=200)}) == pytest.approx(50 - 5 * 100 * k / 200)


def test_the_matcher_is_worth_what_pooled_vectors_lose():
    items = asked(1, 1, 1, 9, pooled=(1, 9, 9, 9))
    assert BY_ID["matcher-not-vector"].margin({"FINE_0": items}) == pytest.approx(50.0)


def test_what_claims_read_is_run_at_their_scales():
    for claim in claims.CLAIMS:
        for scale in set(claim.scales) - set(claim.not_testable):
            assert set(claim.reads) <= set(recipes.SCALES[scale].recipes), (claim.id, scale)


def test_every_testable_claim_names_the_parts_that_it_is_about():
    """Else probes, pairs and sizes would count as its evidence."""
    assert all(claim.parts for claim in claims.CLAIMS if claim.scales)


@pytest.mark.parametrize("name", ["smaller-models", "less-compute", "action-recognition"])
def test_what_these_data_cannot_decide_says_so_at_every_scale(name):
    assert set(BY_ID[name].not_testable) == {"smoke", "mini", "gpu", "paper"}


def test_judging_needs_no_torch():
    line = "import sys, multimodal_ssl.claims, multimodal_ssl.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0
