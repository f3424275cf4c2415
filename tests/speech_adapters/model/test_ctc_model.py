"""A recogniser says the same from the waveform, from a kept prefix, alone and in any batch."""

import pytest
import torch

from speech_adapters.model.adapters import EMBEDDED, FEATURES, apply
from speech_adapters.model.architecture import Architecture
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import Wav2Vec2, pad

SIZES = {"conv": ((8, 10, 5), (8, 3, 2), (12, 2, 2)), "width": 24, "layers": 3, "heads": 2, "inner": 40,
         "positional_kernel": 8, "positional_groups": 4}  # fmt: skip
ARCHITECTURES = {
    "post": Architecture(**SIZES),
    "pre": Architecture(**SIZES, pre_norm=True, conv_norm="layer", conv_bias=True, normalise_input=True),
}
DEPTHS = [FEATURES, *(EMBEDDED + below for below in range(SIZES["layers"] + 1))]
norms = pytest.mark.parametrize("norm", ARCHITECTURES)


def _model(norm, arm=None):
    torch.manual_seed(0)
    model = CTCModel(Wav2Vec2(ARCHITECTURES[norm]), 6, head_dropout=0.5)
    if arm:
        apply(arm, model.encoder, model.head)
    return model.eval()


def _waves(*lengths):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(length, generator=generator) for length in lengths]


@norms
@torch.no_grad()
def test_each_frame_is_a_distribution_over_the_symbols(norm):
    log_probs, counts = _model(norm)(*pad(_waves(900, 500)))
    assert log_probs.shape == (2, ARCHITECTURES[norm].num_frames(900), 6)
    assert counts.tolist() == [ARCHITECTURES[norm].num_frames(n) for n in (900, 500)]
    torch.testing.assert_close(log_probs.exp().sum(dim=2), torch.ones(log_probs.shape[:2]))


@norms
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("lengths", [(900,), (900, 500, 120)], ids=["alone", "padded"])
@torch.no_grad()
def test_kept_activations_go_on_as_the_waveform_would_have(norm, depth, lengths):
    model = _model(norm)
    waves = _waves(*lengths)
    kept = [model.frozen_activations(wave, depth) for wave in waves]
    whole, counts = model(*pad(waves))
    parts, again = model(*pad(kept), depth)
    assert torch.equal(counts, again)
    for one, other, n in zip(whole, parts, counts.tolist(), strict=True):
        # A batch of several adds up in another order than each alone.
        tolerance = 0 if len(lengths) == 1 else 1e-5
        torch.testing.assert_close(one[:n], other[:n], atol=tolerance, rtol=0)


@norms
@torch.no_grad()
def test_padding_never_changes_a_log_probability(norm):
    model = _model(norm, Arm(kind="adapters", bottleneck=5))
    waves = _waves(900, 500, 120)
    batched, counts = model(*pad(waves))
    for wave, row, n in zip(waves, batched, counts.tolist(), strict=True):
        alone, _ = model(wave[None], torch.tensor([len(wave)]))
        torch.testing.assert_close(row[:n], alone[0], atol=1e-5, rtol=0)


@norms
@torch.no_grad()
def test_the_order_of_a_batch_changes_nothing(norm):
    model = _model(norm)
    x, lengths = pad(_waves(900, 500, 120))
    there, back = model(x, lengths)[0], model(x.flip(0), lengths.flip(0))[0].flip(0)
    for one, other, n in zip(there, back, ARCHITECTURES[norm].num_frames(lengths).tolist(), strict=True):
        torch.testing.assert_close(one[:n], other[:n], atol=1e-6, rtol=0)


def test_taking_frozen_activations_leaves_training_mode_and_no_gradient():
    model = _model("post").train()
    first, again = (model.frozen_activations(_waves(500)[0], EMBEDDED + 1) for _ in range(2))
    assert model.training
    assert torch.equal(first, again)
    assert not first.requires_grad


@pytest.mark.parametrize("depth", [d for d in DEPTHS if d >= EMBEDDED])
def test_a_mask_past_the_embedding_is_refused_with_the_depth(depth):
    model = _model("post")
    kept, lengths = pad([model.frozen_activations(_waves(500)[0], depth)])
    with pytest.raises(ValueError, match=f"depth {depth} is past"):
        model(kept, lengths, depth, time_mask=torch.zeros(kept.shape[:2], dtype=torch.bool))


@torch.no_grad()
def test_masks_hide_frames_and_channels():
    model = _model("post")
    x, lengths = pad(_waves(900))
    plain, counts = model(x, lengths)
    frames = torch.zeros(1, int(counts), dtype=torch.bool)
    channels = torch.zeros(1, 24, dtype=torch.bool)
    assert torch.equal(model(x, lengths, time_mask=frames, channel_mask=channels)[0], plain)
    frames[:, 3:9], channels[:, :4] = True, True
    assert not torch.allclose(model(x, lengths, time_mask=frames)[0], plain)
    assert not torch.allclose(model(x, lengths, channel_mask=channels)[0], plain)


@norms
@pytest.mark.parametrize("depth", [-1, *DEPTHS])
def test_a_packed_batch_is_the_padded_one_but_for_rounding(norm, depth):
    model, waves = _model(norm, Arm()), _waves(900, 500, 120)
    inputs = pad(waves if depth < 0 else [model.frozen_activations(wave, depth) for wave in waves])
    found = []
    for packed in (False, True):
        model.zero_grad()
        log_probs, counts = model(*inputs, depth, packed=packed)
        own = torch.arange(log_probs.shape[1]) < counts[:, None]
        (log_probs[own] * log_probs[own].detach().cos()).sum().backward()
        found.append(
            (log_probs[own], counts, {n: w.grad for n, w in model.named_parameters() if w.grad is not None})
        )
    (padded, counts, grads), (packed, again, packed_grads) = found
    assert torch.equal(counts, again)
    torch.testing.assert_close(packed, padded, atol=1e-5, rtol=0)
    for name, grad in grads.items():
        torch.testing.assert_close(packed_grads[name], grad, atol=1e-3, rtol=1e-3, msg=name)


@norms
@torch.no_grad()
def test_packed_masks_are_those_of_each_utterance(norm):
    model, (inputs, lengths) = _model(norm), pad(_waves(900, 500))
    counts = [ARCHITECTURES[norm].num_frames(n) for n in lengths.tolist()]
    time_mask = torch.arange(counts[0]) % 7 == torch.tensor([[2], [3]])
    channel_mask = torch.arange(SIZES["width"]) % 5 == torch.tensor([[0], [1]])
    padded, packed = (
        model(inputs, lengths, time_mask=time_mask, channel_mask=channel_mask, packed=packed)[0]
        for packed in (False, True)
    )
    for one, other, n in zip(padded, packed, counts, strict=True):
        torch.testing.assert_close(one[:n], other[:n], atol=1e-5, rtol=0)


def test_a_batch_without_padding_is_the_same_to_the_bit_packed_or_not():
    model, batch = _model("post"), pad(_waves(900, 900))
    assert torch.equal(model(*batch)[0], model(*batch, packed=True)[0])


def test_nothing_is_kept_for_a_way_back_that_never_comes():
    """Below the lowest adapter no gradient flows: what the layers make there is dropped at once."""
    model = _model("post", Arm(kind="adapters", layers=1, bottleneck=4, norms="adapted"))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        features, counts = model.encoder.extract(*pad(_waves(900)))
        x = model.encoder.embed(features, counts)
        x = model.encoder.contextualise(x, counts, stop=2)
        assert not kept
        x = model.encoder.layers[2].attention(x, None)
        assert not kept  # the frozen part of the adapted layer, up to its adapter
        model.encoder.layers[2].after_attention(x)
    assert kept
