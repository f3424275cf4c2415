"""Laws of what margins are computed on: a draw repeats groups whole, and sums are those of the items written out."""

import math
from dataclasses import replace

import numpy as np
import pytest

from common.results import Item
from common.sample import Sample, ratio

ITEMS = [
    Item("a", "one", "p", {"x": 1.0, "n": 2}),
    Item("b", "one", "p", {"x": 4.0, "n": 1}),
    Item("c", "two", "q", {"x": 7.0, "n": 5, "y": 3.0}),
    Item("d", "three", "q", {"x": math.inf, "n": 0, "y": 5.0}),
]
SAMPLE = Sample.of(ITEMS[:3])
DRAWS = replace(SAMPLE, counts=np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))  # groups: one, two


def test_as_it_stands_every_group_is_there_once():
    assert SAMPLE.counts.tolist() == [[1, 1]]
    assert SAMPLE.sum("x").tolist() == [12]
    assert SAMPLE.size.tolist() == [3]


def test_sums_means_and_rates_by_hand():
    assert DRAWS.sum("x").tolist() == [12, 10, 14]
    assert DRAWS.size.tolist() == [3, 4, 2]
    assert DRAWS.mean("x").tolist() == [4, 2.5, 7]
    assert DRAWS.rate("x", "n").tolist() == [12 / 8, 10 / 6, 14 / 10]


def test_what_is_true_or_false_has_a_share():
    assert DRAWS.mean(DRAWS["x"] > 3).tolist() == [2 / 3, 1 / 2, 1]


def test_a_group_counts_once_however_many_items_it_has_and_twice_when_drawn_twice():
    assert DRAWS.group_mean("x").tolist() == [(2.5 + 7) / 2, 2.5, 7]
    more = replace(DRAWS, counts=np.array([[2.0, 1.0]]))
    assert more.group_mean("x").tolist() == [4.0]


def test_a_part_keeps_the_draws():
    assert DRAWS.part("p").mean("x").tolist()[:2] == [2.5, 2.5]
    assert math.isnan(DRAWS.part("p").mean("x")[2])  # that draw holds none of its groups
    assert DRAWS.part("q").group_mean("y").tolist()[::2] == [3, 3]


def test_a_score_that_some_items_lack_is_nan_and_one_that_all_lack_an_error():
    assert np.isnan(SAMPLE["y"]).tolist() == [True, True, False]
    assert math.isnan(SAMPLE.sum("y")[0])
    with pytest.raises(KeyError, match="z"):
        SAMPLE["z"]


def test_an_infinity_stays_out_of_draws_without_its_group():
    whole = Sample.of(ITEMS)  # groups by name: one, three, two
    drawn = replace(whole, counts=np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 2.0, 0.0]]))
    assert drawn.sum("x").tolist() == [12, math.inf, math.inf]
    assert drawn.group_mean("x").tolist() == [4.75, math.inf, math.inf]


def test_weights_are_how_often_a_draw_holds_each_item():
    assert DRAWS.weights.tolist() == [[1, 1, 1], [2, 2, 0], [0, 0, 2]]


def test_a_quotient_by_zero_is_not_a_number():
    over, under = np.array([1.0, 0.0, 6.0]), np.array([0.0, 0.0, 3.0])
    assert np.isnan(ratio(over, under)).tolist() == [True, True, False]
    assert ratio(over, under)[2] == 2
