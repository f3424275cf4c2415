"""The self-supervised objective: laws, a brute-force sampler, and two reference implementations."""

import math

import pytest
import speech_peers as peers
import torch
from torch.nn import functional as F

from speech_adapters.checkpoints import model_files
from speech_adapters.checkpoints.interop import common_name, fairseq, huggingface, rename_out
from speech_adapters.model.architecture import TINY
from speech_adapters.model.contrastive import (
    ContrastiveModel,
    Quantiser,
    contrastive,
    draw_negatives,
    perplexity,
)
from speech_adapters.model.objective import ContrastiveObjective, QuantiserSizes
from speech_adapters.model.wav2vec2 import Wav2Vec2, normalise_waveform, span_mask

TARGETS = QuantiserSizes(groups=2, codes=8, code_width=16, width=12)


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
            similarities = [
                F.cosine_similarity(context[b, t], codes[b, n], dim=0) / 0.1
                for n in negatives[b, t].tolist()
                if not torch.equal(entries[b, n], entries[b, t])
            ]
            total += float(torch.stack([own, *similarities]).logsumexp(0) - own)
            right += all(own > similarity for similarity in similarities)
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
    assert float(loss) == pytest.approx(ContrastiveObjective(num_negatives=50).chance, abs=0.01)
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
    model = ContrastiveModel(
        Wav2Vec2(TINY), TARGETS, ContrastiveObjective(num_negatives=7, penalty_weight=1.0)
    )
    waveform, lengths = torch.randn(3, 12_000) * 0.1, torch.tensor([12_000, 9_000, 7_000])
    for row, length in zip(waveform, lengths.tolist(), strict=True):
        row[length:] = 0
    num_frames = TINY.num_frames(lengths)
    from speech_adapters.model.architecture import Masking

    mask = span_mask(num_frames, int(num_frames.max()), Masking(start=0.1, span=4))
    return model, waveform, lengths, mask


def test_terms_are_weighted_and_named():
    model, waveform, lengths, mask = _model_and_batch()
    losses = model.eval()(waveform, lengths, mask)
    assert set(losses) == {"contrastive", "diversity", "penalty"}
    assert 0 <= losses["diversity"].item() <= 0.1
    assert set(model.metrics) == {"accuracy", "perplexity", "soft_perplexity"}


def test_a_few_steps_on_one_batch_lower_the_contrast():
    model, waveform, lengths, mask = _model_and_batch()
    negatives = draw_negatives(mask.sum(1), 7)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    seen = []
    for step in range(60):
        losses = model(waveform, lengths, mask, step, negatives)
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
    gathered = torch.stack([codes[b][negatives[b]] for b in range(2)])  # batch masked negative width
    logits = theirs.compute_preds(context, codes, gathered.permute(2, 0, 1, 3))
    flat = logits.permute(1, 2, 0).reshape(-1, 5).float()
    reference = F.cross_entropy(flat, torch.zeros(len(flat), dtype=torch.long))
    ours, _ = contrastive(context, codes, entries, counts, negatives, 0.1)
    assert float(ours) == pytest.approx(float(reference), rel=1e-5)


# ---- draws that belong to an utterance, and batches in parts


def _alone(model, waveform, lengths, mask, row, **more):
    """The same call with one utterance of the batch."""
    n, frames = int(lengths[row]), int(TINY.num_frames(lengths[row]))
    return model(waveform[row : row + 1, :n], lengths[row : row + 1], mask[row : row + 1, :frames], **more)


def test_with_seeds_an_utterances_draws_do_not_depend_on_the_others():
    model, waveform, lengths, mask = _model_and_batch()
    counts, seeds = mask.sum(dim=1), (5, 6, 7)
    whole = model.train()(waveform, lengths, mask, seeds=seeds)["contrastive"]
    alone = [_alone(model, waveform, lengths, mask, row, seeds=seeds[row : row + 1]) for row in range(3)]
    nats = sum(count * losses["contrastive"] for count, losses in zip(counts, alone, strict=True))
    assert float(whole) == pytest.approx(float(nats / counts.sum()), rel=1e-5)
    assert float(model(waveform, lengths, mask, seeds=(8, 9, 10))["contrastive"]) != pytest.approx(
        float(whole), rel=1e-3
    )


def test_shards_average_to_the_batchs_contrast_and_gradient():
    """With unequal numbers of masked frames, where a mean of means would be another number."""
    model, waveform, lengths, mask = _model_and_batch()
    seeds, shards = (5, 6, 7), (slice(0, 1), slice(1, 3))
    mask[0, mask[0].nonzero()[5:, 0]] = False
    weights = [weight for name, weight in model.named_parameters() if "quantiser" in name or "layers" in name]

    def contrast(rows, a_shard):
        losses = model(
            waveform[rows], lengths[rows], mask[rows], seeds=seeds[rows], masked_frames_per_shard=a_shard
        )
        return losses["contrastive"], torch.autograd.grad(losses["contrastive"], weights)

    whole, gradient = contrast(slice(0, 3), None)
    parts = [contrast(rows, float(mask.sum()) / 2) for rows in shards]
    assert float(sum(loss for loss, _ in parts) / 2) == pytest.approx(float(whole), rel=1e-5)
    for expected, *found in zip(gradient, *(part for _, part in parts), strict=True):
        torch.testing.assert_close(sum(found) / 2, expected, atol=1e-6, rtol=1e-4)
    assert float(sum(contrast(rows, None)[0] for rows in shards) / 2) != pytest.approx(float(whole), rel=1e-3)


def test_given_noise_makes_torchs_gumbel_softmax():
    torch.manual_seed(0)
    quantiser, features = Quantiser(10, TARGETS).train(), torch.randn(7, 10, requires_grad=True)
    noise = -torch.empty(7, 2, 8).exponential_(generator=torch.Generator().manual_seed(3)).log()
    torch.manual_seed(3)  # what torch draws now is that noise
    chosen = F.gumbel_softmax(quantiser.logits(features).unflatten(1, (2, 8)), tau=0.7, hard=True)
    expected = torch.einsum("fge,gec->fgc", chosen, quantiser.codebook).flatten(1)
    codes, entries, _ = quantiser(features, 0.7, noise)
    assert torch.equal(entries, chosen.argmax(dim=2))
    torch.testing.assert_close(codes, expected)
    ours, theirs = (torch.autograd.grad(out.square().sum(), features)[0] for out in (codes, expected))
    torch.testing.assert_close(ours, theirs)


# ---- the whole objective, against both references

ALPHA, GAMMA, STEP = 0.3, 2.0, 100_000  # weights of diversity and penalty; a step where the noise has cooled
NEGATIVES = 9
NO_DROPOUT = dict.fromkeys(("dropout", "attention_dropout", "activation_dropout", "encoder_layerdrop"), 0.0)
# A bias of the keys adds the same to all scores of a query, so its gradient is rounding alone.
NO_GRADIENT = "attention.key.bias"


class _Same:
    """One model in ours, and the waveforms, masks, negatives and noise that everybody is given."""

    def __init__(self, size, path, penalty=GAMMA):
        self.architecture = peers.ALIKE[size]
        peers.small("pretraining", self.architecture, path)
        self.stored = model_files.read(path)
        self.model = model_files.build(self.stored).train()
        self.model.objective = ContrastiveObjective(
            num_negatives=NEGATIVES, diversity_weight=ALPHA, penalty_weight=penalty, gumbel_factor=0.99999
        )
        torch.manual_seed(5)
        self.waveform, self.lengths = 0.1 * torch.randn(2, 2405), torch.full((2,), 2405)
        self.mask = torch.zeros(2, int(self.architecture.num_frames(2405)), dtype=torch.bool)
        for row in self.mask:  # as many in each: fairseq knows no other way
            row[torch.randperm(len(row))[:24]] = True
        self.seeds = (1, 2)
        self.noise, _ = self.model._draws(self.mask.sum(dim=1), self.seeds)
        self.negatives = draw_negatives(self.mask.sum(dim=1), NEGATIVES)

    @property
    def their_waveform(self):
        """Normalised where the task or the preprocessor of theirs would do it."""
        if not self.architecture.normalise_input:
            return self.waveform
        return normalise_waveform(self.waveform, self.lengths)

    def losses(self):
        return self.model(
            self.waveform, self.lengths, self.mask, STEP, negatives=self.negatives, seeds=self.seeds
        )

    def assert_same_gradients(self, losses, module, their_loss, names):
        torch.stack(list(losses.values())).sum().backward()
        their_loss.backward()
        theirs = {common_name(name): weight.grad for name, weight in module.named_parameters()}
        wrong = {}
        for name, weight in self.model.named_parameters():
            grad = theirs.pop(names.of(name, "pretraining")).reshape(weight.shape)
            far = float((weight.grad - grad).norm() / weight.grad.norm())
            if far > 1e-4 and not name.endswith(NO_GRADIENT):
                wrong[name] = far
        assert not wrong
        assert not any(grad is not None and grad.any() for grad in theirs.values())

    def gumbel(self, noise):
        """torch's gumbel_softmax with given noise."""

        def gumbel_softmax(logits, tau, hard):
            soft = ((logits + noise.reshape(logits.shape)) / tau).softmax(dim=-1)
            return F.one_hot(soft.argmax(dim=-1), soft.shape[-1]) - soft.detach() + soft

        return gumbel_softmax


@pytest.mark.parametrize("size", ["base", "xlsr"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluating"])
def test_fairseq_has_the_same_objective_and_gradients(size, training, tmp_path, monkeypatch):
    same = _Same(size, tmp_path / "ours.safetensors")
    wav2vec2, _ = peers.import_fairseq()
    from fairseq.criterions.wav2vec_criterion import Wav2vecCriterion

    settings = peers.fairseq_settings(same.architecture) | NO_DROPOUT
    theirs = wav2vec2.Wav2Vec2Model(wav2vec2.Wav2Vec2Config(**settings)).train(training)
    theirs.load_state_dict(rename_out(same.stored, fairseq.names(same.architecture))[0])
    theirs.quantizer.curr_temp = same.model.objective.gumbel(STEP)
    monkeypatch.setattr(F, "gumbel_softmax", same.gumbel(same.noise))
    rows = torch.arange(2)[:, None, None]
    monkeypatch.setattr(theirs, "sample_negatives", lambda y, num, padding_count=None: (
        y[rows, same.negatives].permute(2, 0, 1, 3), None))  # fmt: skip
    criterion = Wav2vecCriterion(object(), infonce=True, loss_weights=[ALPHA, GAMMA],
                                 log_keys=["prob_perplexity", "code_perplexity"])  # fmt: skip
    inputs = {"source": same.their_waveform, "padding_mask": None, "mask_indices": same.mask}
    loss, frames, logged = criterion(theirs, {"net_input": inputs, "id": torch.arange(2)})

    same.model.train(training)
    losses = same.losses()
    ours = {**{name: float(value) for name, value in losses.items()}, **same.model.metrics}
    assert float(sum(losses.values())) == pytest.approx(float(loss / frames), rel=1e-5)
    for name, number in (("contrastive", "loss_0"), ("diversity", "loss_1"), ("penalty", "loss_2")):
        assert ours[name] == pytest.approx(logged[number] / float(frames), rel=1e-5)
    assert float(ours["accuracy"]) == pytest.approx(logged["correct"] / logged["count"])
    assert float(ours["soft_perplexity"]) == pytest.approx(logged["prob_perplexity"], rel=1e-5)
    if not training:  # theirs is of the likeliest codes, ours of those that were drawn
        assert float(ours["perplexity"]) == pytest.approx(logged["code_perplexity"], rel=1e-5)
    same.assert_same_gradients(losses, theirs, loss / frames, fairseq.names(same.architecture))


@pytest.mark.parametrize("size", ["base", "xlsr"])
def test_transformers_has_the_same_objective_and_gradients(size, tmp_path, monkeypatch):
    """While training: when it evaluates, its diversity is of the codes taken, which nothing can learn from."""
    same = _Same(size, tmp_path / "ours.safetensors", penalty=0.0)  # it has none
    from transformers import Wav2Vec2ForPreTraining

    huggingface.write(tmp_path / "theirs", same.stored)
    theirs = Wav2Vec2ForPreTraining.from_pretrained(
        tmp_path / "theirs", diversity_loss_weight=ALPHA, hidden_dropout=0.0, attention_dropout=0.0,
        activation_dropout=0.0, feat_proj_dropout=0.0, feat_quantizer_dropout=0.0, layerdrop=0.0,
    ).train()  # fmt: skip
    theirs.set_gumbel_temperature(same.model.objective.gumbel(STEP))
    noise = torch.zeros(*same.mask.shape, *same.noise.shape[1:])
    noise[same.mask] = same.noise
    monkeypatch.setattr(F, "gumbel_softmax", same.gumbel(noise))
    # Theirs count all frames of all utterances.
    frames = same.mask.nonzero()[:, 1].reshape(2, -1)
    offset = same.mask.shape[1] * torch.arange(2)[:, None, None]
    places = torch.zeros(*same.mask.shape, NEGATIVES, dtype=torch.long)
    places[same.mask] = (frames[torch.arange(2)[:, None, None], same.negatives] + offset).flatten(0, 1)
    found = theirs(same.their_waveform, mask_time_indices=same.mask, sampled_negative_indices=places)

    losses, count = same.losses(), int(same.mask.sum())
    assert float(losses["contrastive"]) == pytest.approx(float(found.contrastive_loss) / count, rel=1e-5)
    assert float(losses["diversity"]) == pytest.approx(ALPHA * float(found.diversity_loss) / count, rel=1e-5)
    perplexity_ = float(same.model.metrics["soft_perplexity"])
    assert perplexity_ == pytest.approx(float(found.codevector_perplexity), rel=1e-5)
    same.assert_same_gradients(losses, theirs, found.loss / count, huggingface.NAMES)
