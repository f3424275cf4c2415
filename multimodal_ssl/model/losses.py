"""Contrastive losses, one function per equation: scores of all pairs in, nats out; row i belongs to column i.

A modality may be missing (an AudioSet clip has no text). Such an item cannot be chosen and chooses nothing:
it leaves the softmaxes of the others, its own term is 0, and the sum is divided by the number of pairs that
are there, which is what the rescaling by B / number there comes to  [Akbari21 VATT, objectives.py]. Its other
modality stays as a negative for everybody else.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MMV_TAU = 0.07  # [Alayrac20 MMV]; also of GDT, AVID and VATT


def symmetric_nce(
    scores: Float[Tensor, "a b"],
    tau: float | Float[Tensor, ""],
    weights: Float[Tensor, " a"] | None = None,
    *,
    has_a: Bool[Tensor, " a"] | None = None,
    has_b: Bool[Tensor, " b"] | None = None,
) -> Float[Tensor, ""]:
    """`-1/(2B) Σ_i w_i [log softmax_j(s_ij / τ)_i + log softmax_j(s_ji / τ)_i]`  [Radford21 Fig. 3].

    Equal scores give log B, so losses compare only at equal batch size; and a weighted loss compares with no
    other, since the weights prefer pairs that are easy.

    Args:
        weights: of `pair_weights`; none is 1 for all.
        has_a: False where an item lacks the modality of the rows; has_b likewise of the columns.

    Raises:
        ValueError: fewer than 2 pairs, or not as many rows as columns.
    """
    _refuse_no_pairs(scores)
    logits = scores / tau
    has_a, has_b = _all_there(scores, has_a), _all_there(scores, has_b)
    chosen_b = _without(logits, has_b).log_softmax(dim=1).diagonal()
    chosen_a = _without(logits.T, has_a).log_softmax(dim=1).diagonal()
    terms = -(chosen_b + chosen_a) / 2
    return _mean_there(terms if weights is None else weights * terms, has_a & has_b)


def mil_nce(
    scores: Float[Tensor, "clip clip candidate"],
    *,
    has_clip: Bool[Tensor, " clip"] | None = None,
    has_text: Bool[Tensor, " clip"] | None = None,
) -> Float[Tensor, ""]:
    """`1/B Σ_i [log(Σ_jp exp x_ijp + Σ_jp exp x_jip) - log Σ_p exp x_iip]`  [Miech20, loss.py].

    x[i, j, p] is the raw product of clip i with candidate p of text j, neither scaled to unit length nor
    divided by a temperature. The positives stand in both sums, so the loss cannot fall below log 2; equal
    scores give log 2B.

    Raises:
        ValueError: fewer than 2 clips, or not as many clips as texts.
    """
    _refuse_no_pairs(scores)
    has_clip, has_text = _all_there(scores, has_clip), _all_there(scores, has_text)
    there = (has_clip[:, None] & has_text)[..., None]
    scores = scores.masked_fill(~there, torch.finfo(scores.dtype).min)
    right = scores.diagonal(dim1=0, dim2=1).T.logsumexp(dim=1)
    everything = torch.cat([scores.flatten(1), scores.transpose(0, 1).flatten(1)], dim=1).logsumexp(dim=1)
    return _mean_there(everything - right, has_clip & has_text)


def asymmetric_mil_nce(
    scores: Float[Tensor, "clip clip candidate"],
    tau: float | Float[Tensor, ""] = MMV_TAU,
    *,
    has_clip: Bool[Tensor, " clip"] | None = None,
    has_text: Bool[Tensor, " clip"] | None = None,
) -> Float[Tensor, ""]:
    """`mil_nce` of cosines over a temperature  [Alayrac20 MMV; Akbari21 VATT, AsymmetricNCE]."""
    return mil_nce(scores / tau, has_clip=has_clip, has_text=has_text)


def nce_over_sets(
    scores: Float[Tensor, "a b"],
    tau: float | Float[Tensor, ""] = MMV_TAU,
    *,
    has_a: Bool[Tensor, " a"] | None = None,
    has_b: Bool[Tensor, " b"] | None = None,
) -> Float[Tensor, ""]:
    """`1/B Σ_i [log Σ_jkl exp(S_kl^ij / τ) + log Σ_jkl exp(S_kl^ji / τ) - 2 log Σ_kl exp(S_kl^ii / τ)]`.

    From [Akbari21 VATT, SymmetricNCE]: every unit of an item belongs to every unit of its partner, and the
    directions are added, not averaged. Equal products give 2 log B where all items have as many units.

    Args:
        scores: `similarity.log_sum_exp` at this same tau, which is all that the sums over k and l need.
    """
    return 2 * symmetric_nce(scores, tau, has_a=has_a, has_b=has_b)


# ---- which pairs count


def pair_weights(
    scores: Float[Tensor, " a"],
    h: float,
    cap: float,
    warm: float = 1.0,
    has_pair: Bool[Tensor, " a"] | None = None,
) -> Float[Tensor, " a"]:
    """How much each pair counts: `1 + warm (min(cap, c exp(s_ii / h)) - 1)`, of mean 1 and without gradient.

    The attention of [Wang21] over pairs, in a form of ours: a pair whose own score is low among the batch is
    likely noise. c makes the mean 1 after the cap, so what the cap takes from some goes to the others, and
    the loss keeps its size. With a gradient the model would lower the loss by giving weight to pairs that are
    easy.

    Args:
        scores: of the pairs themselves, the diagonal of all scores.
        h: temperature; h -> inf weighs all alike.
        cap: highest weight, at least 1. Without one a single pair can be the whole batch.
        warm: 0 leaves all weights 1, because early scores mean nothing; grows to 1.
        has_pair: False where a modality is missing: weight 0, and the mean is over the others.

    Raises:
        ValueError: h not above 0, a cap below 1, warm outside 0..1.
    """
    if h <= 0 or cap < 1 or not 0 <= warm <= 1:
        raise ValueError(f"needs h > 0, cap >= 1 and warm in 0..1, got h {h}, cap {cap}, warm {warm}")
    there = _all_there(scores, has_pair)
    log_shares = (scores.detach().double() / h).masked_fill(~there, -torch.inf)
    capped = (log_shares + _log_scale(log_shares, there.sum(), cap)).exp().clamp(max=cap)
    return torch.where(there, 1 + warm * (capped - 1), 0.0).to(scores.dtype)


def _log_scale(log_shares: Tensor, num: Tensor, cap: float) -> Tensor:
    """log c for which `Σ min(cap, c exp(log_shares)) = num`: k capped ones leave the rest `num - k cap`."""
    largest_first = log_shares.sort(descending=True).values
    rest = largest_first.flip(0).logcumsumexp(0).flip(0)
    capped = torch.arange(len(log_shares), device=log_shares.device, dtype=log_shares.dtype)
    log_c = (num - capped * cap).log() - rest  # NaN where k capped ones would be more than all: never chosen
    fits = largest_first + log_c <= math.log(cap) + 1e-9
    return log_c[fits.int().argmax()]


def effective_sample_size(weights: Float[Tensor, " a"]) -> Float[Tensor, ""]:
    """`(Σ w)² / Σ w²`: how many pairs of equal weight tell as much, from 1 to the number of pairs  [Kish65]."""
    return weights.sum().square() / weights.square().sum().clamp(min=torch.finfo(weights.dtype).tiny)


# ---- what they are made of


def _refuse_no_pairs(scores: Tensor) -> None:
    if scores.shape[0] != scores.shape[1]:
        raise ValueError(
            f"row i must belong to column i, got {scores.shape[0]} rows and {scores.shape[1]} columns; "
            "across ranks score with score_global_pairs"
        )
    if len(scores) < 2:
        raise ValueError(f"a contrast needs 2 pairs or more, got {len(scores)}; raise the batch size")


def _all_there(scores: Float[Tensor, "pair ..."], has: Bool[Tensor, " pair"] | None) -> Bool[Tensor, " pair"]:
    return torch.ones(len(scores), dtype=torch.bool, device=scores.device) if has is None else has


def _without(logits: Float[Tensor, "a b"], has_b: Bool[Tensor, " b"]) -> Float[Tensor, "a b"]:
    return logits.masked_fill(~has_b, torch.finfo(logits.dtype).min)


def _mean_there(terms: Float[Tensor, " pair"], there: Bool[Tensor, " pair"]) -> Float[Tensor, ""]:
    """Mean over the pairs that are there; 0 where none is."""
    return terms.masked_fill(~there, 0.0).sum() / there.sum().clamp(min=1)
