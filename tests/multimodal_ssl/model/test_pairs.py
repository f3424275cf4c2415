"""Pair scores in chunks and across ranks: the numbers and gradients of the whole, without holding it."""

import numpy as np
import pair_ranks
import pytest
import torch
from some_units import SIMILARITIES, WIDTH, some_units, watched
from torch import nn

from multimodal_ssl.model.losses import symmetric_nce
from multimodal_ssl.model.pairs import gather, score_pairs
from multimodal_ssl.model.similarities import LogMeanExp, Mean, SoftAttention
from multimodal_ssl.model.similarity import LearnedAttention, log_mean_exp
from multimodal_ssl.model.units import Units


def learned(chosen, chunk):
    """Scores, and the gradients of a loss of them."""
    torch.manual_seed(0)
    similarity = chosen.build(WIDTH)
    weights = list(similarity.double().parameters()) if isinstance(similarity, nn.Module) else []
    a, b = watched(some_units(0, 7, 5)), watched(some_units(1, 7, 4, missing=(2,)))
    scores = score_pairs(a, b, similarity, chunk)
    loss = symmetric_nce(scores, 0.1, has_b=~b.missing)
    return [scores, *torch.autograd.grad(loss, [a.vectors, b.vectors, *weights])]


@pytest.mark.parametrize("chosen", SIMILARITIES, ids=repr)
@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_chunks_give_the_values_and_gradients_of_the_whole(chosen, chunk):
    torch.testing.assert_close(learned(chosen, chunk), learned(chosen, None), atol=1e-12, rtol=1e-9)


def test_chunks_match_in_single_precision_at_the_size_of_s3d():
    torch.manual_seed(0)
    found = []
    for chunk in (None, 5):
        a, b = (some_units(seed, 12, places) for seed, places in ((0, 98), (1, 20)))
        a, b = (watched(Units(units.vectors.float(), units.valid)) for units in (a, b))
        scores = score_pairs(a, b, LogMeanExp(0.05).build(WIDTH), chunk)
        found.append([scores, *torch.autograd.grad(symmetric_nce(scores, 0.05), [a.vectors, b.vectors])])
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


def test_no_more_than_a_chunk_is_computed_at_a_time_and_nothing_of_it_is_kept():
    sizes, kept = [], []

    def counted(a, b):
        sizes.append(len(a))
        return log_mean_exp(a, b, 0.1)

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    a, b = watched(some_units(0, 8, 30)), watched(some_units(1, 8, 20))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = score_pairs(a, b, counted, chunk=3)
    assert sum(kept) == a.vectors.numel() + b.vectors.numel()
    scores.sum().backward()
    assert sizes == [3, 3, 2] * 2


def test_chunks_are_made_again_in_the_precision_of_the_first_time():
    grads = []
    for chunk in (None, 2):
        a, b = (
            watched(Units(u.vectors.float(), u.valid)) for u in (some_units(0, 6, 5), some_units(1, 6, 4))
        )
        with torch.autocast("cpu", torch.bfloat16):
            scores = score_pairs(a, b, SoftAttention().build(WIDTH), chunk)
        scores.float().square().sum().backward()
        grads.append(a.vectors.grad)
    assert (grads[0] - grads[1]).abs().max() < 1e-6  # in float32 the second would differ by 1e-3


def test_weights_that_change_before_the_backward_pass_are_noticed():
    similarity = LearnedAttention(WIDTH).double()
    scores = score_pairs(some_units(0, 4, 3), some_units(1, 4, 3), similarity, chunk=2)
    with torch.no_grad():
        similarity.asks_a.weight += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        scores.sum().backward()


def test_frozen_weights_stay_without_gradient():
    similarity = LearnedAttention(WIDTH).double()
    similarity.asks_a.weight.requires_grad_(False)
    score_pairs(watched(some_units(0, 4, 3)), some_units(1, 4, 3), similarity, chunk=2).sum().backward()
    assert similarity.asks_a.weight.grad is None
    assert similarity.answers_a.weight.grad.norm() > 0


def test_a_chunk_of_nothing_is_refused():
    units = some_units(0, 2, 2)
    with pytest.raises(ValueError, match="at least 1 row, or None for all at once, got 0"):
        score_pairs(units, units, Mean().build(WIDTH), chunk=0)


# ---- ranks


def test_without_ranks_nothing_is_gathered():
    units = some_units(0, 3, 4)
    assert gather(units) is units


def test_two_ranks_are_one_process_with_the_batch_of_both():
    """Halves whose padding differs, an item without text, weights of the whole batch, weights inside the similarity."""
    loss, grads = pair_ranks.step(slice(None))
    ranks = pair_ranks.two_ranks()
    assert [rank["loss"] for rank in ranks] == pytest.approx([loss] * 2, abs=1e-12)
    for rank in ranks:
        assert rank["grads"].keys() == grads.keys()
        for name, grad in grads.items():
            assert np.abs(grad.numpy()).max() > 0
            np.testing.assert_allclose(rank["grads"][name], grad.numpy(), atol=1e-12)
        assert "every rank must bring as many items, got [2, 3]" in rank["told"]
