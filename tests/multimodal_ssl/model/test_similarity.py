"""Laws of every similarity, and each one's own values."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from some_units import SIMILARITIES, WIDTH, some_units, watched
from torch.nn import functional as F

from multimodal_ssl.model import similarity
from multimodal_ssl.model.similarities import LogSumExp, ParametricAttention, Soft
from multimodal_ssl.model.similarity import AttentionPooled, LearnedAttention
from multimodal_ssl.model.units import Units

LAW = settings(max_examples=15, deadline=None)
EVERY = pytest.mark.parametrize("chosen", SIMILARITIES, ids=repr)
SEEDS, SIZES = st.integers(0, 10_000), st.integers(1, 5)


def made(chosen, width=WIDTH, **changes):
    torch.manual_seed(0)
    found = replace(chosen, **changes).build(width)
    if isinstance(found, torch.nn.Module):
        found.double()
        for weight in found.parameters():  # an untrained query is 0 and would hide what it does
            torch.nn.init.normal_(weight)
    return found


def of_products(products):
    """One pair of items with these products: `a` holds the rows, `b` the axes."""
    products = torch.tensor(products, dtype=torch.float64)
    b = torch.eye(products.shape[1], dtype=torch.float64)
    valid = torch.ones(1, len(products), dtype=torch.bool), torch.ones(1, len(b), dtype=torch.bool)
    return Units(products[None], valid[0]), Units(b[None], valid[1])


# ---- laws of all


@EVERY
def test_one_unit_each_is_the_cosine(chosen):
    """A position and a phrase: fine and coarse are the same number."""
    a, b = (F.normalize(torch.randn(7, WIDTH), dim=1) for _ in range(2))
    found = made(chosen)
    found = found.float() if isinstance(found, torch.nn.Module) else found
    scores = found(Units.one(a), Units.one(b))
    torch.testing.assert_close(scores, a @ b.T, atol=1e-6, rtol=0)


@EVERY
@LAW
@given(SEEDS, SIZES, SIZES, SIZES)
def test_scores_lie_within_one(chosen, seed, items, places_a, places_b):
    scores = made(chosen)(some_units(seed, items, places_a), some_units(seed + 1, 2, places_b))
    highest = 1 + 0.1 * math.log(places_a * places_b) if isinstance(chosen, LogSumExp) else 1
    assert scores.shape == (items, 2)
    assert scores.min() >= -1 - 1e-9
    assert scores.max() <= highest + 1e-9


@EVERY
@LAW
@given(SEEDS, SIZES, SIZES)
def test_the_order_of_units_changes_nothing(chosen, seed, places_a, places_b):
    a, b = some_units(seed, 3, places_a), some_units(seed + 1, 3, places_b)
    shuffled = []
    for units in (a, b):
        order = torch.randperm(units.valid.shape[1])
        shuffled.append(Units(units.vectors[:, order], units.valid[:, order]))
    torch.testing.assert_close(made(chosen)(*shuffled), made(chosen)(a, b), atol=1e-12, rtol=0)


@EVERY
@LAW
@given(SEEDS, SIZES, SIZES)
def test_padding_changes_no_score_and_no_gradient(chosen, seed, places_a, places_b):
    a, b = watched(some_units(seed, 3, places_a)), watched(some_units(seed + 1, 3, places_b))
    padding = 9 * torch.randn(3, 2, WIDTH, dtype=torch.float64)
    more = [
        watched(Units(torch.cat([u.vectors.detach(), padding], 1), F.pad(u.valid, (0, 2)))) for u in (a, b)
    ]
    scores, padded = made(chosen)(a, b), made(chosen)(*more)
    torch.testing.assert_close(padded, scores, atol=1e-12, rtol=0)
    for each in (scores, padded):
        (each * torch.arange(9.0).reshape(3, 3)).sum().backward()
    for units, longer in zip((a, b), more, strict=True):
        places = units.valid.shape[1]
        torch.testing.assert_close(longer.vectors.grad[:, :places], units.vectors.grad, atol=1e-10, rtol=0)
        assert not longer.vectors.grad[:, places:].any()
        assert not units.vectors.grad[~units.valid].any()


@EVERY
def test_a_missing_side_scores_nothing_and_learns_nothing(chosen):
    a, b = watched(some_units(0, 3, 4, missing=(1,))), watched(some_units(1, 3, 2, missing=(2,)))
    whole = made(chosen)(some_units(0, 3, 4), some_units(1, 3, 2))
    sharpness = {"g": 3.0} if isinstance(chosen, Soft) else {}
    scores = made(chosen, **sharpness)(a, b)  # above 1 the lowest number times g overflows
    scores.sum().backward()
    assert not scores[1].any()
    assert not scores[:, 2].any()
    assert not a.vectors.grad[1].any()
    assert not b.vectors.grad[2].any()
    assert a.vectors.grad.isfinite().all()
    torch.testing.assert_close(made(chosen)(a, b)[::2, :2], whole[::2, :2])


@EVERY
def test_a_score_knows_its_own_pair_alone(chosen):
    """Or retrieval from an index would differ from the batch it was trained in."""
    a, b = some_units(0, 4, 5), some_units(1, 3, 2)
    torch.testing.assert_close(made(chosen)(a[2:3], b[1:2])[0, 0], made(chosen)(a, b)[2, 1])


# ---- each one's own


def test_known_log_mean_exp():
    found = similarity.log_mean_exp(*of_products([[1.0, 0.5], [0.0, 0.5]]), g=0.5)
    assert found.item() == pytest.approx((0.5 * math.log((math.e**2 + 1) / 2) + 0.5) / 2)


def test_known_soft_attention():
    found = similarity.soft_attention(*of_products([[1.0, 0.5], [0.0, 0.5]]), g=0.5)
    assert found.item() == pytest.approx((math.e**2 / (math.e**2 + 1) + 0.5) / 2)


def test_known_max_mean():
    """Rows' maxima 0.9, 0.4 and columns' 0.9, 0.4, 0.3: (0.65 + 1.6 / 3) / 2."""
    found = similarity.max_mean(*of_products([[0.9, 0.1, 0.2], [0.0, 0.4, 0.3]]))
    assert found.item() == pytest.approx((0.65 + 1.6 / 3) / 2)


def test_known_log_sum_exp():
    found = similarity.log_sum_exp(*of_products([[1.0, 0.0], [0.5, 0.0]]), g=0.5)
    assert found.item() == pytest.approx(0.5 * math.log(math.e**2 + math.e + 2))


def test_known_pooling():
    units = of_products([[0.9, -0.1], [0.1, -0.3]])[0]
    assert similarity.mean(units).tolist() == [pytest.approx([0.5, -0.2])]
    assert similarity.maximum(units).tolist() == [pytest.approx([0.9, -0.1])]
    found = similarity.mean_and_max_pooled(units, Units.one(torch.tensor([[3.0, 4.0]], dtype=torch.float64)))
    assert found.item() == pytest.approx((0.5 * 3 - 0.2 * 4) / 5 / math.hypot(0.5, 0.2))


@pytest.mark.parametrize("pool", [similarity.log_mean_exp, similarity.soft_attention])
def test_pooling_runs_from_the_maximum_over_positions_to_their_mean(pool):
    a, b = some_units(0, 4, 6), some_units(1, 3, 2)
    products = torch.einsum("akd,bld->akbl", a.vectors, b.vectors)
    share = b.valid / b.valid.sum(1, keepdim=True)
    highest = products.masked_fill(~a.valid[..., None, None], -2).amax(1)
    mean = (products * a.valid[..., None, None]).sum(1) / a.valid.sum(1)[:, None, None]
    torch.testing.assert_close(pool(a, b, g=1e-4), (highest * share).sum(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(pool(a, b, g=1e6), (mean * share).sum(2), atol=1e-6, rtol=0)
    falling = torch.stack([pool(a, b, g) for g in (0.01, 0.1, 1.0, 10.0)])
    assert (falling.diff(dim=0) <= 1e-12).all()


def test_soft_attention_is_where_log_mean_exp_learns():
    a, b = watched(some_units(0, 1, 5)), some_units(1, 1, 1)
    similarity.log_mean_exp(a, b, g=0.2).sum().backward()
    stopped = watched(a)
    similarity.soft_attention(stopped, b, g=0.2, stop_gradient=True).sum().backward()
    torch.testing.assert_close(a.vectors.grad, stopped.vectors.grad)


def test_fused_products_give_the_same_scores_and_gradients_and_keep_one_array_of_them():
    found, kept = [], {}
    for fused in (False, True):
        a, b = watched(some_units(0, 4, 7)), watched(some_units(1, 3, 5))
        sizes = kept.setdefault(fused, [])
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, s=sizes: s.append(x.numel()) or x, lambda x: x
        ):
            scores = similarity.log_mean_exp(a, b, g=0.2, fused=fused)
        scores.square().sum().backward()
        found.append((scores, a.vectors.grad, b.vectors.grad))
    for plain, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain)
    of_all_pairs = 4 * 7 * 3 * 5
    assert kept[True].count(of_all_pairs) == 1


def test_stopped_attention_gives_the_same_score_and_another_gradient():
    grads = []
    for stop in (False, True):
        a, b = watched(some_units(0, 2, 5)), some_units(1, 2, 3)
        found = similarity.soft_attention(a, b, 0.2, stop_gradient=stop)
        torch.testing.assert_close(found, similarity.soft_attention(a, b, 0.2))
        found.sum().backward()
        grads.append(a.vectors.grad)
    assert (grads[0] - grads[1]).abs().max() > 0.01


def test_learned_queries_start_as_the_mean_and_can_leave_it():
    pooled = AttentionPooled(WIDTH).double()
    a, b = some_units(0, 3, 4), some_units(1, 3, 2)
    torch.testing.assert_close(pooled(a, b), similarity.mean_pooled(a, b))
    pooled(a, b).diagonal().sum().backward()
    assert pooled.query_a.grad.norm() > 0
    assert pooled.query_b.grad.norm() > 0


def test_parametric_attention_is_its_formula():
    attention = made(ParametricAttention())
    a, b = some_units(0, 2, 4), some_units(1, 2, 3)
    asks_a, answers_a, asks_b, answers_b = (weight.detach() for weight in attention.parameters())
    for i in range(2):
        for j in range(2):
            v, t = a.vectors[i][a.valid[i]], b.vectors[j][b.valid[j]]
            root = math.sqrt(WIDTH)  # vectors of length root, and then / root
            of_a = torch.stack(
                [(asks_a @ t.mean(0) * root) @ (answers_a @ x * root) / root for x in v]
            ).softmax(0)
            of_b = torch.stack(
                [(asks_b @ v.mean(0) * root) @ (answers_b @ x * root) / root for x in t]
            ).softmax(0)
            expected = sum(of_a[k] * of_b[m] * (v[k] @ t[m]) for k in range(len(v)) for m in range(len(t)))
            torch.testing.assert_close(attention(a, b)[i, j], expected)


def test_parametric_attention_can_learn():
    attention = LearnedAttention(WIDTH).double()
    attention(some_units(0, 3, 4), some_units(1, 3, 4)).diagonal().sum().backward()
    assert all(weight.grad.norm() > 0 for weight in attention.parameters())


def test_fine_finds_the_one_position_that_coarse_averages_away():
    """One of 50 positions is the phrase, the others are alike in every clip; another clip leans to it everywhere."""
    phrase, rest = torch.eye(2, dtype=torch.float64)
    right = torch.stack([phrase, *[rest] * 49])
    wrong = F.normalize(0.3 * phrase + rest, dim=0).expand(50, 2)
    clips = Units(torch.stack([right, wrong]), torch.ones(2, 50, dtype=torch.bool))
    sentence = Units.one(phrase[None])
    coarse, fine = similarity.mean_pooled(clips, sentence), similarity.log_mean_exp(clips, sentence, g=0.05)
    assert coarse[0] < coarse[1]
    assert fine[0] > fine[1]
