"""Laws of the first screen: a card tells the verdict of the headline, and its bar lies where the numbers say."""

import math
from dataclasses import replace

import pytest

from common.claims import Claim
from common.kinds import Equivalent, Superior
from common.report.cards import card, interval_bar
from common.report.tables import ClaimRow
from common.verdicts import Verdict

CLAIM = Claim(
    id="more",
    says="More helps.",
    where="abstract",
    paper="not readable",
    reads=("A", "B"),
    kind=Superior(),
    margin=lambda arms: 0.0,
    unit="dB",
    scales=("mini",),
    headline=True,
    outcomes={"upheld": "Yes: {told}."},
)
UPHELD = Verdict(
    claim="more", scale="mini", word="upheld", point=2.0, low=1.0, high=3.0, num_seeds=3, num_groups=20
)
ROW = ClaimRow(CLAIM, "mini", UPHELD, None, "make reproduce-a")


def test_a_card_tells_what_came_out_and_what_it_rests_on():
    told = card("a", "A paper", ROW)
    assert (told.word, told.outcome) == ("upheld", "Yes: +2.00 dB [+1.00, +3.00].")
    assert told.rests_on == "scale mini, 3 seeds, 20 groups of test items, published runs, the paper's claim"


def test_a_question_of_ours_is_told_from_a_claim_of_the_paper():
    told = card("a", "A paper", replace(ROW, claim=replace(CLAIM, question=True)))
    assert told.paper == "A paper; a question of ours, not the paper's"
    assert told.rests_on.endswith("our question")


def test_your_own_runs_come_before_the_published_ones():
    yours = replace(UPHELD, word="refuted", point=-2.0, low=-3.0, high=-1.0)
    told = card("a", "A paper", replace(ROW, yours=yours))
    assert told.word == "refuted"
    assert "your runs" in told.rests_on


def test_without_a_run_the_card_says_how_to_make_one():
    told = card("a", "A paper", replace(ROW, published=None))
    assert (told.word, told.outcome, told.bar) == ("not run", "make reproduce-a runs it.", None)


def test_positions_keep_the_order_and_proportion_of_the_numbers():
    """0 to 3 with 8 % free at both ends: 0 lies at 100 * .08 / 1.16."""
    bar = interval_bar(ROW, UPHELD)
    free = 100 * 0.08 / 1.16
    assert bar.bounds == ((pytest.approx(free), "0"),)
    step = (100 - 2 * free) / 3
    assert (bar.low, bar.point, bar.high) == pytest.approx((free + step, free + 2 * step, free + 3 * step))
    assert bar.region == pytest.approx((free, 100.0))
    assert bar.told == "+2.00 dB [+1.00, +3.00]; upheld above 0 dB"


def test_both_bounds_of_an_equivalence_are_on_the_axis():
    row = replace(ROW, claim=replace(CLAIM, kind=Equivalent(0.5, set_on="beforehand")))
    bar = interval_bar(row, replace(UPHELD, point=4.0, low=3.0, high=5.0))
    assert [text for _, text in bar.bounds] == ["−0.500", "0.500"]
    assert 0 < bar.region[0] < bar.region[1] < bar.low
    assert bar.told.endswith("upheld between −0.500 dB and 0.500 dB")


def test_a_point_without_an_interval_is_a_dot_and_no_point_no_bar():
    bar = interval_bar(ROW, replace(UPHELD, low=math.nan, high=math.nan))
    assert bar.low == bar.point == bar.high
    assert interval_bar(ROW, replace(UPHELD, point=math.nan)) is None
