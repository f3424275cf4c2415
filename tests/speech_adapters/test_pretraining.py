"""The self-supervised objective: laws, a brute-force sampler, and two reference implementations."""

import math

import pytest
import torch
from torch.nn import functional as F

from speech_adapters.architecture import TINY
from speech_adapters.pretraining import (
    Contrast,
    Pretraining,
    Quantiser,
    Targets,
    contrastive,
    draw_negatives,
    perplexity,
)
from speech_adapters.wav2vec2 import Wav2Vec2, span_mask

TARGETS = Targets(groups=2, codes=8, code_width=16, width=12)


def _packed(counts, width=6, groups=2, codes=5, seed=0):
    torch.manual_seed(seed)
    most = max(counts)
    shape = (len(counts), most)
    entries = torch.randint(codes, (*shape, groups))
    table = torch.randn(codes, codes, width)
    return torch.randn(*shape, width), table[entries[..., 0], entries[..., 1]], entries, torch.tensor(counts)


def test_negatives_are_other_hidden_frames_of_the_same_utterance_and_all_alike():
    torch.manual_seed(0)
    counts = torch.tensor([5, 2, 9])
    drawn = draw_negatives(counts, 4000)
    for row, count in enumerate(counts.tolist()):
        for own in range(count):
            seen = drawn[row, own].bincount(minlength=9)
            assert seen[own] == 0
            assert seen[count:].sum() == 0
            expected = 4000 / (count - 1)
            others = [i for i in range(count) if i != own]
            assert all(abs(seen[i] - expected) < 5 * math.sqrt(expected) for i in others)


def test_the_contrast_is_the_formula_written_out():
    context, codes, entries, counts = _packed([4, 3])
    negatives = draw_negatives(counts, 6)
    total, right, frames = 0.0, 0, 0
    for b, count in enumerate(counts.tolist()):
        for t in range(count):
            own = F.cosine_similarity(context[b, t], codes[b, t], dim=0) / 0.1
            rivals = [
                F.cosine_similarity(context[b, t], codes[b, n], dim=0) / 0.1
                for n in negatives[b, t].tolist()
                if not torch.equal(entries[b, n], entries[b, t])
            ]
            total += float(torch.stack([own, *rivals]).logsumexp(0) - own)
            right += all(own > rival for rival in rivals)
            frames += 1
    loss, accuracy = contrastive(context, codes, entries, counts, negatives, 0.1)
    assert float(loss) == pytest.approx(total / frames, rel=1e-5)
    assert float(accuracy) == pytest.approx(right / frames)


def test_a_model_that_knows_nothing_is_at_chance():
    torch.manual_seed(0)
    counts, width = torch.tensor([300, 300]), 512
    context, codes = torch.randn(2, 300, width), torch.randn(2, 300, width)
    entries = torch.arange(300)[None, :, None].expand(2, 300, 2)
    loss, accuracy = contrastive(context, codes, entries, counts, draw_negatives(counts, 50), 10.0)
    assert float(loss) == pytest.approx(Contrast(num_negatives=50).chance, abs=0.01)
    assert float(accuracy) == pytest.approx(1 / 51, abs=0.02)


def test_one_hidden_frame_gives_no_contrast_and_says_what_to_do():
    context, codes, entries, _ = _packed([1, 1])
    counts = torch.tensor([1, 1])
    with pytest.raises(ValueError, match="mask more"):
        contrastive(context, codes, entries, counts, draw_negatives(counts, 3), 0.1)


def test_padding_rows_change_no_loss():
    context, codes, entries, counts = _packed([4, 2])
    negatives = draw_negatives(counts, 5)
    loss, _ = contrastive(context, codes, entries, counts, negatives, 0.1)
    context[1, 2:], codes[1, 2:] = 7.0, -3.0
    assert torch.equal(contrastive(context, codes, entries, counts, negatives, 0.1)[0], loss)


def test_perplexity_runs_from_one_code_a_group_to_all():
    even = torch.full((2, 8), 1 / 8)
    one = F.one_hot(torch.tensor([3, 1]), 8).float()
    assert float(perplexity(even)) == pytest.approx(16, rel=1e-4)
    assert float(perplexity(one)) == pytest.approx(2, rel=1e-4)


def test_codes_are_entries_of_the_codebook_group_by_group():
    torch.manual_seed(0)
    quantiser = Quantiser(10, TARGETS).eval()
    codes, entries, usage = quantiser(torch.randn(7, 10), 1.0)
    expected = torch.cat([quantiser.codebook[0, entries[:, 0]], quantiser.codebook[1, entries[:, 1]]], dim=1)
    assert torch.allclose(codes, expected)
    assert torch.allclose(usage.sum(dim=1), torch.ones(2))


def test_straight_through_gradients_reach_the_choice():
    torch.manual_seed(0)
    quantiser = Quantiser(10, TARGETS).train()
    codes, _, _ = quantiser(torch.randn(7, 10), 1.0)
    codes.square().sum().backward()
    assert quantiser.logits.weight.grad.abs().sum() > 0


def _model_and_batch(seed=0):
    torch.manual_seed(seed)
    model = Pretraining(Wav2Vec2(TINY), TARGETS, Contrast(num_negatives=7, penalty_weight=1.0))
    waveform, lengths = torch.randn(3, 12_000) * 0.1, torch.tensor([12_000, 9_000, 7_000])
    for row, length in zip(waveform, lengths.tolist(), strict=True):
        row[length:] = 0
    num_frames = TINY.num_frames(lengths)
    from speech_adapters.architecture import Masking

    hidden = span_mask(num_frames, int(num_frames.max()), Masking(start=0.1, span=4))
    return model, waveform, lengths, hidden


def test_terms_are_weighted_and_named():
    model, waveform, lengths, hidden = _model_and_batch()
    losses = model.eval()(waveform, lengths, hidden)
    assert set(losses) == {"contrastive", "diversity", "penalty"}
    assert 0 <= losses["diversity"].item() <= 0.1
    assert set(model.watched) == {"accuracy", "perplexity", "soft_perplexity"}


def test_a_few_steps_on_one_batch_lower_the_contrast():
    model, waveform, lengths, hidden = _model_and_batch()
    negatives = draw_negatives(hidden.sum(1), 7)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    seen = []
    for step in range(60):
        losses = model(waveform, lengths, hidden, step, negatives)
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append(float(losses["contrastive"]))
    assert sum(seen[-5:]) / 5 < sum(seen[:5]) / 5 - 0.3


def test_fairseq_computes_the_same_loss_on_the_same_contexts_and_codes():
    """Its `compute_preds` and cross-entropy, with our negatives laid out as it wants them."""
    import logging

    level = logging.getLogger().level
    from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model

    logging.getLogger().setLevel(level)
    theirs = Wav2Vec2Model(
        Wav2Vec2Config(
            conv_feature_layers="[(8, 10, 5)]",
            encoder_layers=1,
            encoder_embed_dim=16,
            encoder_ffn_embed_dim=16,
            encoder_attention_heads=2,
            quantize_targets=True,
            latent_vars=8,
            latent_dim=16,
            final_dim=6,
            logit_temp=0.1,
        )
    )
    context, codes, entries, counts = _packed([6, 6])
    negatives = draw_negatives(counts, 4)
    gathered = torch.stack([codes[b][negatives[b]] for b in range(2)])  # batch hidden negative width
    logits = theirs.compute_preds(context, codes, gathered.permute(2, 0, 1, 3))
    flat = logits.permute(1, 2, 0).reshape(-1, 5).float()
    reference = F.cross_entropy(flat, torch.zeros(len(flat), dtype=torch.long))
    ours, _ = contrastive(context, codes, entries, counts, negatives, 0.1)
    assert float(ours) == pytest.approx(float(reference), rel=1e-5)
