"""Every claim is upheld by made-up ranks of which its sentence is true, and not by others."""

import math
import subprocess
import sys

import pytest
from made_runs import check_that_draws_repeat_groups, holds, one_seed

from common.results import Item
from common.sample import Sample
from multimodal_ssl import claims
from multimodal_ssl.recipes import SCALES

BY_ID = {claim.id: claim for claim in claims.CLAIMS}
JUDGED = [claim for claim in claims.CLAIMS if claim.scales]


def asked(*ranks, clips=100, right=1, part="clean", pooled=None, fine=None):
    """A query for each rank, two of a group."""
    return [
        Item(
            f"q{i}",
            f"g{i // 2}",
            part,
            {"rank": own, "rank/pooled": by_pooled, "rank/fine": by_fine, "clips": clips, "right": right},
        )
        for i, (own, by_pooled, by_fine) in enumerate(zip(ranks, pooled or ranks, fine or ranks, strict=True))
    ]


def pairs(*scores_and_wrong):
    return [
        Item(f"p{i}", f"f{i // 2}", "pairs", {"score": score, "wrong": float(wrong)})
        for i, (score, wrong) in enumerate(scores_and_wrong)
    ]


def better(arm, than, part="clean"):
    """True of more queries among the first five."""
    good, bad = asked(1, 5, 5, 6, part=part), asked(1, 6, 99, 6, part=part)
    return [{arm: good, than: bad}], [{arm: bad, than: good}, {arm: good, than: good}]


def not_worse(arm, than):
    """True of as many queries among the first five, too."""
    good, bad = asked(1, 5, 5, 6), asked(1, 6, 99, 6)
    return [{arm: good, than: bad}, {arm: good, than: good}], [{arm: bad, than: good}]


def first(arm, than):
    """True of more scenes in the first place among those of a tint."""
    good, bad = (asked(*ranks, part="global, motion", clips=7) for ranks in ((1, 1, 2, 7), (1, 2, 2, 7)))
    return [{arm: good, than: bad}], [{arm: bad, than: good}, {arm: good, than: good}]


def fallen(fine, coarse):
    """Four queries an arm, of which so many are lost with wrong captions."""
    ranks = {f"{arm}_25": [9] * lost + [1] * (4 - lost) for arm, lost in (("FINE", fine), ("COARSE", coarse))}
    return {"FINE_0": asked(1, 1, 1, 1), "COARSE_0": asked(1, 1, 1, 1)} | {
        arm: asked(*found) for arm, found in ranks.items()
    }


CASES = {  # claim: arms for which it is true, and for which it is not
    "fine-over-coarse": better("FINE_25", "COARSE_25"),
    "fine-over-coarse-clean": better("FINE_0", "COARSE_0"),
    "attention-over-coarse": better("ATTENTION_25", "COARSE_25"),
    "attention-over-fine": better("ATTENTION_25", "FINE_25"),
    "noise-hurts-coarse-more": ([fallen(1, 3)], [fallen(3, 1), fallen(2, 2)]),
    "attention-detects-noise": (
        [{
            "ATTENTION_25": pairs((0.9, 0), (0.4, 1), (0.1, 1), (0.3, 0), (0.3, 1), (0.8, 0)),
            "FINE_25": pairs((0.1, 0), (0.4, 1), (0.1, 1), (0.3, 0), (0.3, 1), (0.8, 0)),
        }],
        [
            {"ATTENTION_25": pairs((0.9, 0), (0.1, 1)), "FINE_25": pairs((0.5, 0), (0.2, 1))},  # both tell all
            {"ATTENTION_25": pairs((0.1, 0), (0.9, 1)), "FINE_25": pairs((0.5, 0), (0.5, 1))},
        ],
    ),
    "text-image": (
        [{"FINE_25": asked(1, 1, 99, 99, part="still")}],
        [{"FINE_25": asked(2, 2, 2, 2, part="still")}, {"FINE_25": asked(1, 1, 99, 99, clips=8, part="still")}],
    ),
    "smaller-batch": not_worse("FINE_BATCH64", "COARSE_BATCH512"),
    "learned": (
        [{"COARSE_0": asked(5, 5, 99, 99)}],
        [{"COARSE_0": asked(6, 6, 6, 6)}, {"COARSE_0": asked(5, 5, 99, 99, right=5)}],
    ),
    "new-pairs": better("FINE_0", "COARSE_0", part="clean, new pair"),
    **{f"global-motion{noisy}": first(f"COARSE_{rate}", f"FINE_{rate}") for rate, noisy in ((0, ""), (25, "-noisy"))},
    "matcher-on-coarse-weights": (
        [{"COARSE_0": asked(1, 9, 9, 9, fine=(1, 1, 1, 9))}],
        [{"COARSE_0": asked(1, 1, 1, 9, fine=(1, 9, 9, 9))}],
    ),
    "matcher-not-vector": (
        [{"FINE_0": asked(1, 1, 1, 9, pooled=(1, 9, 9, 9))}],
        [{"FINE_0": asked(1, 9, 9, 9, pooled=(1, 1, 1, 9))}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("claim", JUDGED, ids=lambda claim: claim.id)
def test_a_claim_holds_where_its_sentence_is_true(claim):
    true, false = CASES[claim.id]
    assert [holds(claim, arms) for arms in true] == [True] * len(true)
    assert [holds(claim, arms) for arms in false] == [False] * len(false)


@pytest.mark.parametrize("claim", JUDGED, ids=lambda claim: claim.id)
def test_draws_repeat_groups(claim):
    check_that_draws_repeat_groups(claim, CASES[claim.id][0][0])


def test_margins_are_in_points():
    point = {name: one_seed(BY_ID[name], CASES[name][0][0]).point for name in CASES}
    assert point["fine-over-coarse"] == pytest.approx(50)
    assert point["noise-hurts-coarse-more"] == pytest.approx(75 - 25)
    assert point["matcher-not-vector"] == pytest.approx(75 - 25)
    assert point["text-image"] == pytest.approx(50 - 5 * 1)
    assert point["learned"] == pytest.approx(50 - 5 * 5)


def test_a_fifth_place_counts_and_a_sixth_does_not():
    assert claims.recall(Sample.of(asked(5, 6)), 5).tolist() == [50.0]


def test_the_area_is_that_of_all_pairs_of_a_right_and_a_wrong_score():
    scored = pairs((0.1, 0), (0.4, 0), (0.7, 0), (0.4, 1), (0.2, 1))
    by_hand = (0 + 0 + 0.5 + 1 + 1 + 1) / 6
    assert claims.auroc(Sample.of(scored)).item() == pytest.approx(by_hand)
    assert math.isnan(claims.auroc(Sample.of(pairs((0.1, 0)))).item())


def test_what_claims_read_is_run_at_their_scales():
    for claim in claims.CLAIMS:
        for scale in set(claim.scales) - set(claim.not_testable):
            assert set(claim.reads) <= set(SCALES[scale].recipes), (claim.id, scale)


def test_every_testable_claim_names_the_parts_that_it_is_about():
    """Else probes, pairs and sizes would count as its evidence."""
    assert all(claim.parts for claim in claims.CLAIMS if claim.scales)


@pytest.mark.parametrize("name", ["smaller-models", "less-compute", "action-recognition"])
def test_what_these_data_cannot_decide_says_so_at_every_scale(name):
    assert set(BY_ID[name].not_testable) == {"smoke", "mini", "night", "gpu", "paper"}


def test_judging_needs_no_torch():
    line = "import sys, multimodal_ssl.claims, multimodal_ssl.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0
