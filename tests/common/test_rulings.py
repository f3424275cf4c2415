"""What becomes of a ruling beside others: corrections, bars, twins, repeats, and conditions far from a paper's."""

import math

import numpy as np
import pytest
from made_claims import WITHIN, arms, claim, gain, run, word
from scipy.special import stdtrit

from common.claims import Twin, judge
from common.kinds import Equivalent, MoreThan, NotBelow
from common.verdicts import Verdict, benjamini_hochberg


@pytest.mark.parametrize(
    ("margin", "expected"), [(-1.0, "not seen here"), (1.0, "upheld"), (0.0, "undecided")]
)
def test_what_fails_under_conditions_far_from_the_papers_is_not_refuted_by_that(margin, expected):
    far = claim(conditions={"mini": "ten clips; the paper has a thousand"})
    (verdict,) = judge([far], arms(margin), "mini")
    assert verdict.word == expected
    assert ("on ten clips" in verdict.reason) == (margin < 0)
    assert word(claim(conditions={"gpu": "a hundred clips"}), arms(-1.0)) == "refuted"


def test_a_question_of_ours_has_no_other_conditions():
    with pytest.raises(ValueError, match="under its own conditions"):
        claim(question=True, conditions={"mini": "ten clips"})


def test_holm_turns_the_weakest_undecided_but_spares_the_headline():
    weak = arms(0.09, spread=0.1, rng_seed=3)
    alone = judge([claim()], weak, "mini")[0]
    assert alone.word == "upheld"
    assert 0.0025 < alone.p <= 0.05
    crowd = [claim(id=f"n{i}") for i in range(20)]
    *_, last = judge([*crowd, claim(id="last")], weak, "mini")
    assert last.word == "undecided"
    assert "undecided after Holm over 21 claims" in last.reason
    assert last.adjusted_p == pytest.approx(min(1, 21 * alone.p))
    *_, headline = judge([*crowd, claim(id="last", headline=True)], weak, "mini")
    assert (headline.word, headline.adjusted_p) == ("upheld", headline.p)


def test_questions_are_corrected_among_themselves_by_their_rank():
    """Twenty equal p: Holm multiplies them by 20, Benjamini-Hochberg leaves them; the paper's claims count apart."""
    weak = arms(0.09, spread=0.1, rng_seed=3)
    questions = [claim(id=f"q{i}", question=True) for i in range(20)]
    *asked, of_the_paper = judge([*questions, claim(id="paper")], weak, "mini")
    assert [one.adjusted_p for one in (*asked, of_the_paper)] == pytest.approx([of_the_paper.p] * 21)


def test_benjamini_hochberg_by_hand():
    """p of .01, .04, .03, .20 become .04, .0533, .0533, .20: each p times 4 over its rank, never above a later one."""
    found = [
        Verdict(claim=str(i), scale="mini", word="upheld", p=p)
        for i, p in enumerate((0.01, 0.04, 0.03, 0.20))
    ]
    corrected = benjamini_hochberg(found, {"0", "1", "2", "3"})
    assert [one.adjusted_p for one in corrected] == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.20])
    assert [one.word for one in corrected] == ["upheld", "undecided", "undecided", "undecided"]
    assert "undecided after Benjamini-Hochberg over 4 questions" in corrected[1].reason


@pytest.mark.parametrize(
    ("margin", "expected"), [(3.0, "upheld"), (0.5, "refuted"), (1.0, "undecided"), (-3.0, "refuted")]
)
def test_more_than_a_bar(margin, expected):
    (verdict,) = judge([claim(MoreThan(*WITHIN))], arms(margin), "mini")
    assert verdict.word == expected
    assert verdict.point == pytest.approx(margin, abs=0.1)


@pytest.mark.parametrize(
    ("margin", "expected"), [(3.0, "upheld"), (-0.5, "upheld"), (-1.0, "undecided"), (-3.0, "refuted")]
)
def test_not_below_a_bar(margin, expected):
    (verdict,) = judge([claim(NotBelow(*WITHIN))], arms(margin), "mini")
    assert verdict.word == expected


def test_equivalence_is_two_one_sided_tests_and_refuting_it_is_two_sided():
    """The interval of 90 % ends just inside the bar of 1, that of 95 % beyond it; and the same from outside."""
    gains = np.array([-1.0, 1.0] * 4)
    half = {level: stdtrit(7, level) * math.sqrt(8 / 7 / 8) for level in (0.95, 0.975)}
    for point, expected in ((1 - half[0.95] - 0.01, "upheld"), (1 + half[0.95] + 0.01, "undecided")):
        runs = [run(name, s, gains + point if name == "A" else gains * 0) for s in range(3) for name in "AB"]
        (verdict,) = judge([claim(Equivalent(*WITHIN))], runs, "mini")
        assert verdict.word == expected
        assert verdict.high - verdict.point == pytest.approx(half[0.95])
        assert verdict.point + half[0.975] > 1 > verdict.point - half[0.975]
        assert (verdict.p <= 0.05) == (expected == "upheld")


def test_repeats_within_a_run_are_no_groups():
    """Margins of 1, 2, 3 of seeds, however many repeats each has: t of two degrees of freedom."""
    runs = [run(name, s, [(s + 1) * (name == "A")] * 4) for s in range(3) for name in "AB"]
    assert word(claim(), runs) == "seen once"
    (verdict,) = judge([claim(repeats=True)], runs, "mini")
    assert (verdict.df, verdict.num_groups) == (2, 0)
    assert verdict.high == pytest.approx(2 + 4.30265 * math.sqrt(1 / 3), abs=1e-4)
    assert "seeds alone count" in verdict.reason


@pytest.mark.parametrize(("sign", "disagree"), [(1.0, False), (-1.0, True)])
def test_a_twin_that_points_the_other_way_is_named_and_rules_nothing(sign, disagree):
    twin = Twin(words="errors", margin=lambda arms: sign * 2 * gain(arms), unit="%")
    (verdict,) = judge([claim(twins=(twin,))], arms(1.0), "mini")
    assert verdict.word == "upheld"
    assert ("the two measures disagree: in errors −" in verdict.reason) == disagree
    assert (verdict.reason.startswith("in errors +2.")) == (not disagree)
