"""How many seeds a claim needs: known values, and what no number of seeds brings."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_claims import WITHIN, arms, claim
from scipy.special import stdtrit

from common.claims import judge
from common.kinds import BestOf, Equivalent
from common.power import LEAST, power, with_seeds
from common.report.power_table import power_table
from common.verdicts import Verdict


def ruled(**changes):
    """Twelve groups, three seeds: standard deviation 3 between seeds, groups of 0.5 beside what they share."""
    known = {
        "point": 2.0,
        "between_seed_variance": 9.0,
        "group_variance": 0.35,
        "shared_variance": 0.1,
        "df": 5.0,
    }
    known |= {"num_seeds": 3, "num_groups": 12, "num_cells": 36}
    return Verdict(claim="c", scale="mini", word="undecided", **known | changes)


def test_of_the_seeds_there_are_the_variance_is_that_of_the_verdict():
    found = judge([claim()], arms(0.1, spread=0.3), "mini")[0]
    spread = with_seeds(found, 3, nested=False)
    half = stdtrit(found.df, 0.975) * math.sqrt(spread.variance)
    assert (found.point - half, found.point + half) == pytest.approx((found.low, found.high))
    assert spread.df == pytest.approx(found.df)


def test_seeds_shrink_what_differs_by_seed_and_leave_what_differs_by_group():
    few, many = (with_seeds(ruled(), seeds, nested=False) for seeds in (3, 300))
    assert (few.variance, many.variance) == pytest.approx((3 + 0.25, 0.03 + 0.25))
    folds = with_seeds(ruled(num_cells=12, group_variance=0.3, shared_variance=0.3), 6, nested=True)
    assert folds.variance == pytest.approx(1.5)


def test_the_seeds_that_are_told_are_the_first_that_are_enough():
    needed = power(claim(), ruled()).needed

    def enough(seeds):
        spread = with_seeds(ruled(), seeds, nested=False)
        reach = stdtrit(spread.df, 0.975) + stdtrit(spread.df, 0.8)
        return reach * math.sqrt(spread.variance) < 2.0

    assert enough(needed)
    assert not enough(needed - 1)
    assert needed == 40  # about (2.8 / 2)² · 9 / (1 - (2.8 / 2)² · 0.25), and some for 11 degrees of freedom


def test_where_groups_alone_leave_it_open_no_number_of_seeds_is_told():
    open_ = power(claim(), ruled(point=0.5 * LEAST * 0.99))
    assert (open_.needed, open_.beyond_seeds) == (None, True)
    many = power(claim(), ruled(point=0.5 * LEAST * 1.1))
    assert (many.needed, many.beyond_seeds) == (None, False)  # more than a hundred
    assert (
        power(claim(), ruled(num_cells=12, group_variance=0.3, shared_variance=0.3)).needed is None
    )  # five folds


def test_within_a_bound_the_distance_is_to_the_nearer_one_and_the_test_one_sided():
    inside = power(claim(Equivalent(*WITHIN)), ruled(point=0.4, between_seed_variance=0.09, group_variance=0.0,
                                                     shared_variance=0.0))  # fmt: skip
    assert inside.distance == pytest.approx(0.6)
    two_sided = power(
        claim(), ruled(point=0.6, between_seed_variance=0.09, group_variance=0.0, shared_variance=0.0)
    )
    assert inside.needed < two_sided.needed


def test_what_is_counted_or_was_never_ruled_on_has_no_power():
    assert power(claim(BestOf("A")), ruled()) is None
    assert power(claim(), ruled(df=math.nan)) is None


def test_repeats_within_runs_count_as_nothing_but_their_runs():
    runs = power(claim(repeats=True), ruled(group_variance=math.nan, shared_variance=math.nan))
    assert (runs.group_spread, runs.nested) == (0.0, False)
    assert with_seeds(ruled(group_variance=math.nan), 9, nested=False).variance == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("word", "needed", "told"),
    [
        ("upheld", 3, ("3", "")),
        ("upheld", 4, ("decided", "")),
        ("refuted", None, ("decided", "")),
        ("undecided", 4, ("4", "")),
        ("undecided", 3, ("3", "taken by the correction for many claims")),
    ],
)
def test_the_table_tells_what_is_decided_and_what_the_correction_took(word, needed, told):
    found = replace(power(claim(), ruled()), needed=needed, verdict=replace(ruled(), word=word))
    (row,) = power_table([("a-paper", found)]).rows
    assert (row[-1].text, row[-1].note) == told


@pytest.mark.slow
def test_with_the_seeds_that_are_told_four_of_five_experiments_rule():
    """Margin 1, seeds of spread 1, many groups: 2,000 experiments with the number that is told."""
    needed = power(
        claim(), ruled(point=1.0, between_seed_variance=1.0, group_variance=0.0, shared_variance=0.0)
    ).needed
    rng = np.random.default_rng(0)
    margins = rng.normal(1.0, 1.0, (2000, needed))
    errors = margins.std(1, ddof=1) / math.sqrt(needed)
    assert np.mean(margins.mean(1) > stdtrit(needed - 1, 0.975) * errors) == pytest.approx(0.8, abs=0.04)
