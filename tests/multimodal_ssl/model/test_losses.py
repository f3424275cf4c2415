"""Losses against their formulas written out in loops, their values at chance, and the laws of weights."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from some_units import SIMILARITIES, WIDTH, some_units
from torch.nn import functional as F

from multimodal_ssl.model import similarity
from multimodal_ssl.model.losses import (
    MMV_TAU,
    asymmetric_mil_nce,
    effective_sample_size,
    mil_nce,
    nce_over_sets,
    pair_weights,
    symmetric_nce,
)
from multimodal_ssl.model.units import Units

LAW = settings(max_examples=50, deadline=None)
SCORES = st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=12).map(
    partial(torch.tensor, dtype=torch.float64)
)


def scores_of(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_sum(values):
    return math.log(math.fsum(math.exp(value) for value in values))


# ---- the formulas, written out


def mil_nce_by_loops(x, tau=1.0, clips=None, texts=None):
    """Clips and texts are those that are there; x is what the model gives, before any temperature."""
    num, _, num_candidates = x.shape
    clips, texts = (set(range(num)) if there is None else there for there in (clips, texts))
    loss = 0.0
    for i in clips & texts:
        of_clip = [x[i, j, p].item() / tau for j in texts for p in range(num_candidates)]
        of_text = [x[j, i, p].item() / tau for j in clips for p in range(num_candidates)]
        loss += log_sum(of_clip + of_text) - log_sum([x[i, i, p].item() / tau for p in range(num_candidates)])
    return loss / len(clips & texts)


def symmetric_nce_by_loops(s, tau, weights, rows=None, columns=None):
    num = len(s)
    rows, columns = (set(range(num)) if there is None else there for there in (rows, columns))
    loss = 0.0
    for i in rows & columns:
        of_row = log_sum([s[i, j].item() / tau for j in columns])
        of_column = log_sum([s[j, i].item() / tau for j in rows])
        loss -= weights[i] * (2 * s[i, i].item() / tau - of_row - of_column)
    return loss / (2 * len(rows & columns))


def nce_over_sets_by_loops(a, b, tau):
    num, loss = len(a), 0.0

    def exponents(i, j):
        return [(v @ t).item() / tau for v in a.vectors[i][a.valid[i]] for t in b.vectors[j][b.valid[j]]]

    for i in range(num):
        right = log_sum(exponents(i, i))
        loss += log_sum([x for j in range(num) for x in exponents(i, j)]) - right
        loss += log_sum([x for j in range(num) for x in exponents(j, i)]) - right
    return loss / num


@pytest.mark.parametrize("num_candidates", [1, 4])
def test_mil_nce_is_its_formula_on_raw_products(num_candidates):
    clips, texts = scores_of(5, 8), scores_of(5, num_candidates, 8, seed=1)  # of any length
    scores = torch.einsum("id,jpd->ijp", clips, texts)
    assert mil_nce(scores).item() == pytest.approx(mil_nce_by_loops(scores), abs=1e-12)


def test_asymmetric_mil_nce_is_its_formula():
    scores = scores_of(5, 5, 3).tanh()
    found = asymmetric_mil_nce(scores)
    assert found.item() == pytest.approx(mil_nce_by_loops(scores, tau=0.07), abs=1e-10)


def test_symmetric_nce_is_its_formula():
    scores, weights = scores_of(6, 6), torch.linspace(0.2, 1.8, 6, dtype=torch.float64)
    found = symmetric_nce(scores, 0.3, weights)
    assert found.item() == pytest.approx(symmetric_nce_by_loops(scores, 0.3, weights.tolist()), abs=1e-12)


def test_nce_over_sets_is_its_formula():
    a, b = some_units(0, 4, 5), some_units(1, 4, 3)
    found = nce_over_sets(similarity.log_sum_exp(a, b, MMV_TAU))
    assert found.item() == pytest.approx(nce_over_sets_by_loops(a, b, MMV_TAU), abs=1e-10)


# ---- what a number means


def test_equal_scores_are_chance():
    equal = torch.full((8, 8), 0.3)
    assert symmetric_nce(equal, 0.05).item() == pytest.approx(math.log(8))
    assert nce_over_sets(equal).item() == pytest.approx(2 * math.log(8))
    for loss in (mil_nce, asymmetric_mil_nce):
        assert loss(equal[..., None].expand(8, 8, 5)).item() == pytest.approx(math.log(16))


def test_mil_nce_cannot_fall_below_log_2():
    """Positives stand in both halves of the denominator."""
    assert mil_nce(100 * torch.eye(4).double()[..., None]).item() == pytest.approx(math.log(2))
    assert symmetric_nce(100 * torch.eye(4), 1.0).item() == pytest.approx(0)


@pytest.mark.parametrize("chosen", SIMILARITIES, ids=repr)
def test_a_fine_loss_of_one_unit_each_is_the_coarse_loss(chosen):
    torch.manual_seed(0)
    a, b = (Units.one(F.normalize(torch.randn(9, WIDTH), dim=1)) for _ in range(2))
    coarse = symmetric_nce(similarity.mean_pooled(a, b), 0.5)
    assert symmetric_nce(chosen.build(WIDTH)(a, b), 0.5).item() == pytest.approx(coarse.item(), abs=1e-6)


def test_a_loss_needs_pairs():
    with pytest.raises(ValueError, match="2 pairs or more, got 1"):
        symmetric_nce(torch.ones(1, 1), 0.1)
    with pytest.raises(ValueError, match="got 2 rows and 4 columns"):
        symmetric_nce(torch.ones(2, 4), 0.1)


# ---- what is missing


def test_what_is_missing_is_not_chosen_and_its_other_side_stays():
    """Item 1 has no text and item 3 no clip."""
    has_a, has_b = (
        torch.tensor([True, True, True, False, True]),
        torch.tensor([True, False, True, True, True]),
    )
    there = {"rows": {0, 1, 2, 4}, "columns": {0, 2, 3, 4}}
    scores = scores_of(5, 5)
    found = symmetric_nce(scores, 0.3, has_a=has_a, has_b=has_b)
    assert found.item() == pytest.approx(symmetric_nce_by_loops(scores, 0.3, [1] * 5, **there), abs=1e-12)
    scores = scores_of(5, 5, 2)
    found = mil_nce(scores, has_clip=has_a, has_text=has_b)
    expected = mil_nce_by_loops(scores, clips=there["rows"], texts=there["columns"])
    assert found.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("num_there", [0, 1, 3])
def test_what_is_missing_gets_no_gradient(num_there):
    there = torch.arange(4) < num_there
    scores = scores_of(4, 4).requires_grad_()
    losses = [
        symmetric_nce(scores, 0.1, has_a=there, has_b=there),
        mil_nce(scores[..., None], has_clip=there, has_text=there),
    ]
    for loss in losses:
        (grad,) = torch.autograd.grad(loss, scores)
        assert not grad[~there].any()
        assert not grad[:, ~there].any()
        assert bool(grad.abs().max() > 1e-12) == (num_there > 1)  # one alone has nothing to contrast with
        assert loss.item() == 0 or num_there > 0


# ---- weights


@LAW
@given(SCORES, st.floats(0.01, 10), st.floats(1, 6), st.floats(0, 1))
def test_weights_have_mean_1_under_the_cap_in_the_order_of_scores(scores, h, cap, warm):
    weights = pair_weights(scores, h, cap, warm)
    assert weights.mean().item() == pytest.approx(1, abs=1e-9)
    assert weights.min() >= 0
    assert weights.max() <= cap + 1e-9
    assert (weights[scores.argsort()].diff() >= -1e-9).all()


@LAW
@given(SCORES, st.floats(0.1, 10))
def test_uncapped_weights_are_the_softmax_times_their_number(scores, h):
    expected = len(scores) * (scores / h).softmax(0)
    torch.testing.assert_close(pair_weights(scores, h, cap=100.0), expected)


def test_what_the_cap_takes_goes_to_the_others():
    """exp(s / h) is 8, 1, 1, 2 of 12: uncapped 8/3, 1/3, 1/3, 2/3; 2 capped leaves 2 for the shares 1, 1, 2."""
    scores = torch.tensor([8.0, 1.0, 1.0, 2.0]).log()
    torch.testing.assert_close(pair_weights(scores, h=1.0, cap=2.0), torch.tensor([2.0, 0.5, 0.5, 1.0]))


def test_weights_survive_scores_that_are_far_apart():
    """exp(-1000) is 0, and 0 shared out is no number."""
    weights = pair_weights(torch.tensor([1.0, 0.0, 0.0, -1.0]), h=0.001, cap=2.0)
    torch.testing.assert_close(weights, torch.tensor([2.0, 1.0, 1.0, 0.0]))


def test_cold_weights_and_a_cap_of_1_weigh_all_alike():
    scores = torch.linspace(-1, 1, 7)
    torch.testing.assert_close(pair_weights(scores, 0.1, cap=4.0, warm=0.0), torch.ones(7))
    torch.testing.assert_close(pair_weights(scores, 0.1, cap=1.0), torch.ones(7))


def test_weights_have_no_gradient():
    assert not pair_weights(torch.linspace(-1, 1, 5, requires_grad=True), 0.1, cap=4.0).requires_grad


def test_what_is_missing_weighs_nothing_and_the_others_have_mean_1():
    there = torch.tensor([True, False, True, True])
    weights = pair_weights(torch.tensor([0.5, 9.0, 0.1, 0.3]), 0.2, cap=2.0, warm=0.7, has_pair=there)
    assert weights[1] == 0
    assert weights[there].mean().item() == pytest.approx(1)
    assert not pair_weights(torch.ones(3), 0.2, cap=2.0, has_pair=torch.zeros(3, dtype=torch.bool)).any()


@pytest.mark.parametrize(("h", "cap", "warm"), [(0.0, 4.0, 1.0), (0.1, 0.9, 1.0), (0.1, 4.0, 1.1)])
def test_weights_that_cannot_be_are_refused(h, cap, warm):
    with pytest.raises(ValueError, match=f"got h {h}, cap {cap}, warm {warm}"):
        pair_weights(torch.ones(3), h, cap, warm)


@LAW
@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=20).map(partial(torch.tensor, dtype=torch.float64)))
def test_effective_sample_size_lies_between_one_and_all(weights):
    size = effective_sample_size(weights).item()
    assert 1 - 1e-9 <= size <= len(weights) + 1e-9
    assert effective_sample_size(torch.ones_like(weights)).item() == pytest.approx(len(weights))
    assert effective_sample_size(torch.tensor([3.0, 0.0, 0.0])).item() == pytest.approx(1)
