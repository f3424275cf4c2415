"""How alike two things are, whole against whole or part against part: the method of [Wang21], and its rivals.

A clip is a set of units a_k (positions of its feature map), a sentence a set of units b_l (phrases), all of unit
length, and S_kl = a_k · b_l.

    coarse    pool, then compare    s = cos(pool_k a_k, pool_l b_l)    [Miech20 MIL-NCE, Alayrac20 MMV]
    fine      compare, then pool    s = pool_kl S_kl                   [Wang21]

A sentence that names one thing in a corner of the picture agrees with few positions. A coarse vector mixes
these with all the others before anybody looks; a fine score looks first, and attention over positions then
lets those speak that have to do with the phrase. In the loss (`objectives.symmetric_nce`) every clip is
scored with every sentence, right or wrong, in the same way; and `objectives.pair_weights` turns the scores of
the pairs themselves into how much each counts, so that a narration that has nothing to do with its clip
counts for less. `pairs.score_pairs` computes the same scores without ever holding all S.

Of the paper only the abstract could be read: it says positions, phrases and attention, and no formula. What
is here is the family of public forms that fit these words, each with its source, for experiments to choose
from.

Every similarity maps the units of items a and b to the scores of all pairs, in [-1, 1]. With one unit on each
side all of them are the cosine. The order of units and the padding change nothing. A pair that lacks a side
scores 0, without gradient. Sides differ in the fine forms: `a` is searched (something lies anywhere in a
clip), `b` is read (all of a sentence counts).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal_ssl.model.fused import log_sum_of_products
from multimodal_ssl.model.units import Units

Compare = Callable[[Units, Units], Float[Tensor, "a b"]]


# ---- coarse: pool, then compare


def mean_pooled(a: Units, b: Units) -> Float[Tensor, "a b"]:
    """`cos(mean_k a_k, mean_l b_l)`, one vector a side  [Alayrac20 MMV]."""
    return _compare_pooled(a, b, mean(a), mean(b))


def max_pooled(a: Units, b: Units) -> Float[Tensor, "a b"]:
    """`cos(max_k a_k, max_l b_l)`, the maxima taken channel by channel."""
    return _compare_pooled(a, b, maximum(a), maximum(b))


def mean_and_max_pooled(a: Units, b: Units) -> Float[Tensor, "a b"]:
    """`cos(mean_k a_k, max_l b_l)`: positions averaged, words pooled by their maximum  [Miech20 MIL-NCE]."""
    return _compare_pooled(a, b, mean(a), maximum(b))


class AttentionPooled(nn.Module):
    """`cos(Σ_k A_k a_k, Σ_l B_l b_l)` with `A = softmax_k(q · a_k √width)`, one learned query q a side.

    Attention that does not know the other side: what it picks of a clip is the same for every sentence.
    Starts as the mean.
    """

    def __init__(self, width: int):
        super().__init__()
        self.query_a = nn.Parameter(torch.zeros(width))
        self.query_b = nn.Parameter(torch.zeros(width))

    def forward(self, a: Units, b: Units) -> Float[Tensor, "a b"]:
        return _compare_pooled(a, b, self._pool(a, self.query_a), self._pool(b, self.query_b))

    def _pool(self, units: Units, query: Float[Tensor, " width"]) -> Float[Tensor, "item width"]:
        logits = units.vectors @ query * math.sqrt(len(query))
        attention = _masked(logits, units.valid).softmax(dim=1)
        return torch.einsum("ik,ikd->id", attention, units.vectors)


def mean(units: Units) -> Float[Tensor, "item width"]:
    """Mean of each item's valid units, not scaled to unit length."""
    return torch.einsum("ikd,ik->id", units.vectors, _shares(units))


def maximum(units: Units) -> Float[Tensor, "item width"]:
    """Maximum over each item's valid units, channel by channel."""
    return _masked(units.vectors, units.valid[..., None]).amax(dim=1)


# ---- fine: compare, then pool


def log_mean_exp(a: Units, b: Units, g: float, fused: bool = False) -> Float[Tensor, "a b"]:
    """`mean_l g log mean_k exp(S_kl / g)`: each phrase finds its positions by a soft maximum.

    g -> 0 is the maximum over positions, g -> inf their mean. The gradient over positions is the attention
    `softmax_k(S_kl / g)`.

    Args:
        fused: by `fused.log_sum_of_products`, equal but for rounding, where nothing is cast to fewer bits.
    """
    if fused and not torch.is_autocast_enabled(a.vectors.device.type):
        soft_sum = log_sum_of_products(a.vectors, b.vectors, a.valid, g)
    else:
        soft_sum = _masked(_products(a, b, g), a.valid[:, :, None, None]).logsumexp(dim=1)
    per_phrase = g * (soft_sum - a.num_valid.to(soft_sum.dtype).log()[:, None, None])
    return _only_there(a, b, _mean_over_b(per_phrase, b))


def soft_attention(a: Units, b: Units, g: float, stop_gradient: bool = False) -> Float[Tensor, "a b"]:
    """`mean_l Σ_k A_kl S_kl` with `A = softmax_k(S_kl / g)`: attention made of the similarities themselves.

    g -> 0 is the maximum over positions, g -> inf their mean. Near `log_mean_exp`, whose gradient has the
    same A.

    Args:
        stop_gradient: A counts as given, so that positions learn to agree but not to be attended to.
    """
    products = _products(a, b)
    attention = _masked(products / g, a.valid[:, :, None, None]).softmax(dim=1)
    attention = attention.detach() if stop_gradient else attention
    return _only_there(a, b, _mean_over_b((attention * products).sum(dim=1), b))


class LearnedAttention(nn.Module):
    """`Σ_kl A_k B_l S_kl`, both attentions learned and each asked by the mean of the other side.

    `A = softmax_k(Q b̄ · K a_k / √width)` and `B = softmax_l(Q' ā · K' b_l / √width)`; vectors of unit length
    are scaled to √width first, the length that the division by √width expects  [Vaswani17 §3.2.1].
    """

    def __init__(self, width: int):
        super().__init__()
        self.scale = math.sqrt(width)
        self.asks_a, self.answers_a = (nn.Linear(width, width, bias=False) for _ in range(2))  # Q, K
        self.asks_b, self.answers_b = (nn.Linear(width, width, bias=False) for _ in range(2))  # Q', K'

    def forward(self, a: Units, b: Units) -> Float[Tensor, "a b"]:
        logits_a = torch.einsum("akd,bd->akb", self.answers_a(a.vectors), self.asks_a(mean(b))) * self.scale
        logits_b = torch.einsum("ad,bld->abl", self.asks_b(mean(a)), self.answers_b(b.vectors)) * self.scale
        attention_a = _masked(logits_a, a.valid[:, :, None]).softmax(dim=1)
        attention_b = _masked(logits_b, b.valid).softmax(dim=2)
        per_phrase = torch.einsum("akb,akbl->abl", attention_a, _products(a, b))
        return _only_there(a, b, (attention_b * per_phrase).sum(dim=2))


def max_mean(a: Units, b: Units) -> Float[Tensor, "a b"]:
    """`(mean_k max_l S_kl + mean_l max_k S_kl) / 2`, every unit with its best partner  [Yao21 FILIP].

    FILIP contrasts with the first term in one direction and with the second in the other; here a pair has one
    score, their mean, because search needs one.
    """
    products = _products(a, b)
    best_a = _masked(products, a.valid[:, :, None, None]).amax(dim=1)
    best_b = _masked(products, b.valid).amax(dim=3)
    forth = torch.einsum("akb,ak->ab", best_b, _shares(a))
    return _only_there(a, b, (forth + _mean_over_b(best_a, b)) / 2)


def log_sum_exp(a: Units, b: Units, g: float) -> Float[Tensor, "a b"]:
    """`g log Σ_kl exp(S_kl / g)`, the sets as bags of pairs  [Akbari21 VATT, SymmetricNCE].

    A sum, so items of many units score higher, up to `1 + g log(number of pairs)`: the one score here that
    can exceed 1.
    """
    over_positions = _masked(_products(a, b, g), a.valid[:, :, None, None]).logsumexp(dim=1)
    finite = over_positions.masked_fill(a.missing[:, None, None], 0.0)
    return _only_there(a, b, g * _masked(finite, b.valid).logsumexp(dim=2))


# ---- what they are made of


def _products(a: Units, b: Units, g: float = 1.0) -> Float[Tensor, "a a_unit b b_unit"]:
    """S / g of all pairs; with the axes in this order it is one matrix product and nothing is moved."""
    return torch.einsum("akd,bld->akbl", a.vectors / g, b.vectors)


def _masked(x: Float[Tensor, "*shape"], valid: Bool[Tensor, "*valid"]) -> Float[Tensor, "*shape"]:
    """Padding gets the lowest number: no share of a softmax, no NaN where an item has nothing but padding.

    Added, since on a CPU `masked_fill` of x itself takes a third of a matrix product, in both passes.
    """
    return x + valid.new_zeros(valid.shape, dtype=x.dtype).masked_fill(~valid, torch.finfo(x.dtype).min)


def _shares(units: Units) -> Float[Tensor, "item unit"]:
    """1 / number of valid units for each of them and 0 for padding."""
    return units.valid / units.num_valid[:, None].to(units.vectors.dtype)


def _mean_over_b(per_unit: Float[Tensor, "a b b_unit"], b: Units) -> Float[Tensor, "a b"]:
    return torch.einsum("abl,bl->ab", per_unit, _shares(b))


def _compare_pooled(
    a: Units, b: Units, pooled_a: Float[Tensor, "a width"], pooled_b: Float[Tensor, "b width"]
) -> Float[Tensor, "a b"]:
    return _only_there(a, b, F.normalize(pooled_a, dim=1) @ F.normalize(pooled_b, dim=1).T)


def _only_there(a: Units, b: Units, scores: Float[Tensor, "a b"]) -> Float[Tensor, "a b"]:
    return scores.masked_fill(a.missing[:, None] | b.missing, 0.0)
