"""Two-way moments: known values, and intervals that hold the truth as often as they say."""

import re

import numpy as np
import pytest
from made_designs import DESIGNS, coverage
from repository import ROOT

from common.variance import TwoWay, seeds_alone, two_way


def of_gains(gains):
    """Crossed seeds and groups whose margin is a mean."""
    alone = (gains.sum(1, keepdims=True) - gains) / (gains.shape[1] - 1)
    groups = [list(map(str, range(gains.shape[1])))]
    return two_way(gains.mean(1).tolist(), dict(enumerate(alone)), groups, cells=gains.size)


def test_mean_squares_are_those_of_a_two_way_table():
    """Textbook analysis of variance of a table, over the number of its cells."""
    gains = np.random.default_rng(0).normal(size=(4, 9))
    found, number = of_gains(gains), gains.size
    rows, columns, all_ = gains.mean(1), gains.mean(0), gains.mean()
    rest = gains - rows[:, None] - columns + all_
    assert found.seeds * number == pytest.approx(9 * ((rows - all_) ** 2).sum() / 3)
    assert found.groups * number == pytest.approx(4 * ((columns - all_) ** 2).sum() / 8)
    assert found.both * number == pytest.approx((rest**2).sum() / 24)
    assert (found.df_seeds, found.df_groups, found.df_both) == (3, 8, 24)


def test_what_differs_by_both_counts_once():
    found = TwoWay(seeds=3.0, groups=2.0, both=0.5, df_seeds=2, df_groups=10, df_both=20)
    assert found.variance == 4.5
    assert found.df == pytest.approx(4.5**2 / (9 / 2 + 4 / 10 + 0.25 / 20))


@pytest.mark.parametrize(
    ("seeds", "groups", "both", "variance", "df"),
    [(1.0, 3.0, 2.0, 3.0, 10), (3.0, 1.0, 2.0, 3.0, 2), (3.0, 2.0, -1.0, 5.0, None)],
)
def test_a_component_below_0_is_none(seeds, groups, both, variance, df):
    found = TwoWay(seeds=seeds, groups=groups, both=both, df_seeds=2, df_groups=10, df_both=20)
    assert found.variance == variance
    assert df is None or found.df == df


def test_folds_count_their_pictures_once():
    """Every seed on pictures of its own: what is left is the variance between seeds, which holds that of pictures."""
    gains = np.random.default_rng(1).normal(size=(3, 5)) + np.array([[0.0], [3.0], [6.0]])
    alone = (gains.sum(1, keepdims=True) - gains) / 4
    without = np.repeat(gains.mean(1)[:, None], 15, 1)
    for seed in range(3):
        without[seed, 5 * seed : 5 * seed + 5] = alone[seed]
    found = two_way(gains.mean(1).tolist(), dict(enumerate(without)), [["g"] * 5] * 3, cells=15)
    assert found.groups == pytest.approx(found.both)
    assert found.groups == pytest.approx(np.mean(gains.var(1, ddof=1) / 5) / 3)
    assert (found.variance, found.df) == (pytest.approx(np.var(gains.mean(1), ddof=1) / 3), 2)


def test_seeds_alone_have_their_own_variance():
    found = seeds_alone([1.0, 2.0, 3.0])
    assert (found.variance, found.df) == (pytest.approx(1 / 3), 2)


TABLE = re.findall(
    r"^\| (.+?) \| (0\.\d+) \| (0\.\d+) \| (0\.\d+) \|$", (ROOT / "docs/evidence.md").read_text(), re.M
)


def test_the_table_of_coverage_has_every_design():
    assert [name for name, *_ in TABLE] == list(DESIGNS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "printed"), [(name, list(map(float, shares))) for name, *shares in TABLE])
def test_intervals_hold_the_truth_as_often_as_the_table_says(name, printed):
    """6,000 experiments: one standard error is 0.003."""
    found = [coverage(DESIGNS[name], seeds, 6000, rng_seed=1) for seeds in (3, 5, 10)]
    assert found == pytest.approx(printed, abs=0.012)
    assert min(found) > 0.92
