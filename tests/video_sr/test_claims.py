"""Margins of the claims on made-up scores whose answer is known."""

import pytest

from common.claims import judge
from common.results import Item
from video_sr.claims import CLAIMS, PSNR, STRUCTURE, TEMPORAL, group_mean
from video_sr.recipes import SCALES

BY_ID = {claim.id: claim for claim in CLAIMS}


def items(measure, *values, part="photographs", groups=None):
    groups = groups or [f"g{i}" for i in range(len(values))]
    return [Item(f"i{i}", g, part, {measure: v}) for i, (g, v) in enumerate(zip(groups, values, strict=True))]


def test_each_group_counts_once_however_many_clips_it_has():
    made = items(PSNR, 1.0, 1.0, 1.0, 5.0, groups=["bikes", "bikes", "bikes", "ocean"])
    assert group_mean(made, lambda i: made[i].scores[PSNR]) == pytest.approx(3.0)


def test_a_group_drawn_twice_counts_twice():
    one, other = items(PSNR, 1.0, 4.0)
    made = [one, one, other]
    assert group_mean(made, lambda i: made[i].scores[PSNR]) == pytest.approx(2.0)


def test_only_items_of_the_claims_parts_are_evidence():
    """Eight recordings must not borrow the groups of photographs."""
    for claim in CLAIMS:
        assert claim.parts in (("clips",), ("photographs", "vid3oc"))


def test_gains_are_the_networks_minus_bicubic():
    arms = {"EVESRNET": items(PSNR, 21.0, 23.0), "BICUBIC": items(PSNR, 20.0, 21.0)}
    assert BY_ID["learned-psnr"].margin(arms) == pytest.approx(1.5)


def test_steadier_means_less_change_error():
    arms = {"EVESRNET": items(TEMPORAL, 2.0), "BICUBIC": items(TEMPORAL, 3.0)}
    assert BY_ID["steady"].margin(arms) == pytest.approx(1.0)


@pytest.mark.parametrize(("ssim", "margin"), [(0.7, 0.2), (0.95, -0.05)])
def test_structure_is_lost_below_the_bar(ssim, margin):
    assert BY_ID["structure"].margin({"BICUBIC": items(STRUCTURE, ssim)}) == pytest.approx(margin)


def test_several_frames_are_judged_within_the_same_network():
    made = [Item("i", "g", "photographs", {PSNR: 22.0, f"copies/{PSNR}": 21.5})]
    assert BY_ID["several-frames-tested"].margin({"EVESRNET": made}) == pytest.approx(0.5)


def test_claims_read_recipes_that_exist_where_they_can_be_judged():
    for claim in CLAIMS:
        for scale in (
            set(claim.scales) - set(claim.not_testable) - ({"paper"} if claim.id == "trade-off" else set())
        ):
            assert set(claim.reads) <= set(SCALES[scale].recipes), claim.id


def test_a_scale_without_a_verdict_has_a_reason():
    for scale in SCALES:
        for claim, verdict in zip(CLAIMS, judge(CLAIMS, [], scale), strict=True):
            judgeable = scale in claim.scales and scale not in claim.not_testable
            assert verdict.word == ("not run" if judgeable else "not testable at this scale")
            assert len(verdict.reason) > 15


def test_no_number_that_nobody_read_stands_as_the_papers():
    for claim in CLAIMS:
        assert claim.paper == "no number" or claim.paper.startswith("remembered: ")
        assert claim.paper == "no number" or claim.paper.endswith("unverified")
