"""Laws of the draws: groups whole, within their strata, the same for every claim that asks the same groups."""

import numpy as np
import pytest

from common.bootstrap import Evidence, draws, strata
from common.results import Item


def test_draws_hold_as_many_groups_as_each_stratum_has():
    counts = draws((5, 3, 1), 200)
    assert counts.shape == (200, 9)
    assert (counts[:, :5].sum(1) == 5).all()
    assert (counts[:, 5:8].sum(1) == 3).all()
    assert (counts[:, 8] == 1).all()
    assert counts.mean(0) == pytest.approx(np.ones(9), abs=0.2)


def test_draws_are_those_of_the_published_verdicts():
    assert draws((4,), 3).tolist() == [[2, 1, 0, 1], [2, 0, 1, 1], [1, 0, 1, 2]]
    assert draws((2, 3), 2).tolist() == [[1, 1, 3, 0, 0], [0, 2, 1, 1, 1]]


def test_nobody_changes_the_draws_of_another():
    with pytest.raises(ValueError, match="read-only"):
        draws((4,), 3)[0, 0] = 7


@pytest.mark.parametrize(
    ("tested", "expected"),
    [
        ({0: {"a", "b"}, 1: {"a", "b"}}, [["a", "b"]]),
        ({0: {"a", "b"}, 1: {"c", "d", "e"}}, [["c", "d", "e"], ["a", "b"]]),
        ({0: {"a", "b", "c"}, 1: {"a", "b"}}, [["a", "b", "c"]]),  # c alone would show no variance
        ({0: {"a", "c"}, 1: {"b", "c"}}, [["a", "b", "c"]]),
    ],
)
def test_groups_are_drawn_among_those_of_the_same_seeds(tested, expected):
    assert strata(tested) == expected


def test_a_seed_is_absent_from_draws_without_its_groups():
    items = {seed: {"A": [Item(g, g, "p", {"x": seed})]} for seed, g in ((0, "a"), (1, "b"))}
    evidence = Evidence("c", lambda arms: arms["A"].mean("x"), items)
    assert evidence.strata == [["a", "b"]]  # two of one seed each: drawn together
    assert sorted({*map(tuple, evidence.present.tolist())}) == [(False, True), (True, False), (True, True)]
    drawn = evidence.drawn()
    assert {*drawn[0][evidence.present[:, 0]]} == {0.0}
    assert np.isnan(drawn[1][~evidence.present[:, 1]]).all()
