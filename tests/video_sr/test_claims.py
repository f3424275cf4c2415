"""Every claim is upheld by made-up scores of which its sentence is true, and not by others."""

import pytest
from made_runs import check_that_draws_repeat_groups, holds, one_seed

from common.claims import judge
from common.results import Item
from video_sr import measures
from video_sr.claims import CLAIMS
from video_sr.recipes import SCALES

PSNR, SSIM, STRUCTURE, STRUCTURE_X4, TEMPORAL, CONSISTENCY, PSNR_OF_COPIES = (
    measure.name
    for measure in (
        measures.PSNR, measures.SSIM, measures.STRUCTURE, measures.STRUCTURE_X4, measures.TEMPORAL,
        measures.CONSISTENCY, measures.of_copies(measures.PSNR),
    )
)  # fmt: skip
BY_ID = {claim.id: claim for claim in CLAIMS}
GROUPS = ("bikes", "bikes", "bikes", "ocean", "market")


def scored(part="photographs", **levels):
    """Five clips of three groups; each measure of each arm has its level, clips differ alike in all."""
    arms = {arm: {measure: level} for arm, (measure, level) in levels.items()}
    return {arm: _clips(part, of_arm) for arm, of_arm in arms.items()}


def _clips(part, levels):
    return [
        Item(f"i{n}", group, part, {measure: level + n / 1000 for measure, level in levels.items()})
        for n, group in enumerate(GROUPS)
    ]


def higher(arm, over, measure, part="photographs"):
    """True of a higher level."""
    more, less = (measure, 22.0), (measure, 21.0)
    return [scored(part, **{arm: more, over: less})], [scored(part, **{arm: less, over: more})]


def bicubic(level):
    return scored(BICUBIC=(STRUCTURE, level))


def consistent(level):
    return scored(EVESRNET=(CONSISTENCY, level))


def alone(psnr, of_copies):
    return {"EVESRNET": _clips("photographs", {PSNR: psnr, PSNR_OF_COPIES: of_copies})}


def above_both(arm, measure, part="photographs"):
    """True of what is above bicubic and the filter alike."""
    levels = ((22.0, 21.0, 21.5), (22.0, 21.0, 22.5), (22.0, 22.5, 21.0))
    true, *false = (
        scored(
            part, **{arm: (measure, mine), "BICUBIC": (measure, first), "LEAST_SQUARES": (measure, second)}
        )
        for mine, first, second in levels
    )
    return [true], false


def changing(change_error, psnr_gain):
    """Bicubic changes by 10 levels too many or few; 6.02 dB more halve its error."""
    return {
        "EVESRNET": _clips("photographs", {TEMPORAL: change_error, PSNR: 20 + psnr_gain}),
        "BICUBIC": _clips("photographs", {TEMPORAL: 10.0, PSNR: 20.0}),
    }


CASES = {  # claim: arms for which it is true, and for which it is not
    "structure": ([bicubic(0.7)], [bicubic(0.95)]),
    "trade-off": higher("CRITIC_NONE", "CRITIC_HEAVY", PSNR),
    "perception": higher(
        "CRITIC_NONE", "CRITIC_HEAVY", measures.FEATURES.name
    ),  # a distance: lower is better
    "over-span": higher("WIDE", "SPAN_TWICE", PSNR),
    "over-span-real": higher("WIDE", "SPAN_TWICE", PSNR, "clips"),
    "structure-x4": ([scored(BICUBIC=(STRUCTURE_X4, 0.95))], [scored(BICUBIC=(STRUCTURE_X4, 0.85))]),
    "learned-psnr": above_both("EVESRNET", PSNR),
    "learned-ssim": above_both("EVESRNET", SSIM),
    "learned-real": above_both("EVESRNET", PSNR, "clips"),
    "single-frame": above_both("WIDE", PSNR),
    "several-frames-trained": higher("EVESRNET", "COPIES", PSNR),
    "several-frames-tested": ([alone(22.0, 21.5)], [alone(21.5, 22.0)]),
    "several-frames-real": higher("EVESRNET", "COPIES", PSNR, "clips"),
    "steady": ([changing(4.9, 6.0)], [changing(5.1, 6.0), changing(10.1, 0.0)]),
    "keeps-input": ([consistent(40.1)], [consistent(39.9)]),
}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_holds_where_its_sentence_is_true(claim):
    true, false = CASES[claim.id]
    assert [holds(claim, arms) for arms in true] == [True] * len(true)
    assert [holds(claim, arms) for arms in false] == [False] * len(false)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_draws_repeat_groups(claim):
    check_that_draws_repeat_groups(claim, CASES[claim.id][0][0])


def test_margins_are_in_units_of_the_measure():
    point = {claim.id: one_seed(claim, CASES[claim.id][0][0]).point for claim in CLAIMS}
    assert point["learned-psnr"] == pytest.approx(0.5)
    assert point["steady"] == pytest.approx(10 * 10 ** (-6 / 20) - 4.9, abs=0.01)
    assert point["several-frames-tested"] == pytest.approx(0.5)
    assert point["structure"] == pytest.approx(0.2, abs=0.003)


def test_each_group_counts_once_however_many_clips_it_has():
    arms = {
        arm: [Item(f"i{n}", group, "clips", {PSNR: 20 + ahead * n}) for n, group in enumerate(GROUPS)]
        for arm, ahead in (("EVESRNET", 1.0), ("BICUBIC", 0.0), ("LEAST_SQUARES", 0.0))
    }
    assert one_seed(BY_ID["learned-real"], arms).point == pytest.approx((1 + 3 + 4) / 3)


def test_only_items_of_the_claims_parts_are_evidence():
    """Eight recordings must not borrow the groups of photographs."""
    for claim in CLAIMS:
        assert claim.parts in (("clips",), ("photographs", "vid3oc"))


def test_claims_read_recipes_that_exist_where_they_can_be_judged():
    for claim in CLAIMS:
        for scale in set(claim.scales) - set(claim.not_testable):
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


def test_a_control_that_a_round_trip_of_the_resampler_nearly_fulfils_is_by_design():
    assert [claim.id for claim in CLAIMS if claim.by_design] == ["structure-x4"]
