"""Heads: MMV's FAC graph as published, unit by unit, whatever is padding or missing."""

import pytest
import torch
from torch.nn import functional as F

from multimodal_ssl.model.networks import FineAndCoarse, SharedSpace
from multimodal_ssl.model.units import Units

WIDTHS = {"video": 10, "text": 7, "audio": 9}
SHARED = SharedSpace(width=5)
FAC = FineAndCoarse(text_width=5, audio_width=6)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def units(items=4, number=3, **valid):
    """Random units of every modality; `valid` gives how many are each item's."""
    made = {}
    for modality, width in WIDTHS.items():
        counts = torch.tensor(valid.get(modality, [number] * items))
        made[modality] = Units(torch.randn(items, number, width), torch.arange(number) < counts[:, None])
    return made


def trained(settings):
    """Heads whose norms have gains, biases and running statistics of their own."""
    made = settings.build(WIDTHS)
    for name, tensor in [*made.named_parameters(), *made.named_buffers()]:
        if "norm" in name and tensor.is_floating_point():
            torch.nn.init.uniform_(tensor, 0.5, 1.5)
    return made


def batch_norm(x, norm, training):
    mean, variance = (
        (x.mean(0), x.var(0, unbiased=False)) if training else (norm.running_mean, norm.running_var)
    )
    return (x - mean) / (variance + 1e-5).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize("training", [True, False])
def test_fac_is_mmvs_graph(training):
    """A transcription of `AudioTextVideoEmbedding` with "fac_relu", "mlp@512" and one vector an item, in float64."""
    fac = trained(FAC).double().train(training)
    given = {k: Units(v.vectors.double(), v.valid) for k, v in units(number=1).items()}
    v, t, a = (given[k].vectors[:, 0] for k in ("video", "text", "audio"))
    inner = batch_norm(v @ fac.video_in.weight.T + fac.video_in.bias, fac.video_in_norm, training).relu()
    fine = batch_norm(inner @ fac.video_out.weight.T, fac.video_out_norm, training)
    sound = a @ fac.audio.weight.T + fac.audio.bias
    expected = {
        "video_for_audio": fine,
        "video": batch_norm(fine.relu() @ fac.coarse.weight.T, fac.coarse_norm, training),
        "audio": sound,
        "text": t @ fac.text.weight.T + fac.text.bias,
    }
    if not training:
        expected["audio_for_text"] = batch_norm(sound.relu() @ fac.coarse.weight.T, fac.coarse_norm, False)
    ours = fac(given)
    assert ours.keys() == expected.keys()
    for name, theirs in expected.items():
        torch.testing.assert_close(ours[name].vectors[:, 0], F.normalize(theirs), atol=1e-12, rtol=1e-9)


def test_fac_has_mmvs_weights():
    """Sizes of MMV's public configuration over S3D, ResNet-50 and its text net."""
    fac = FineAndCoarse(text_width=256, audio_width=512).build({"video": 1024, "text": 2048, "audio": 2048})
    norms = 2 * (512 + 512 + 256)
    to_audio, to_text = 1024 * 512 + 512 + 512 * 512, 512 * 256
    assert sum(w.numel() for w in fac.parameters()) == (
        norms + to_audio + to_text + (2048 * 256 + 256) + (2048 * 512 + 512)
    )


@pytest.mark.parametrize("settings", [SHARED, FAC], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("training", [True, False])
def test_padding_and_missing_modalities_change_no_unit(settings, training):
    made = trained(settings).train(training)
    counts = [3, 0, 1, 2]
    given = units(video=counts, text=counts, audio=counts)
    other = {k: Units(torch.where(v.valid[..., None], v.vectors, 9.0), v.valid) for k, v in given.items()}
    shorter = {k: Units(v.vectors[[0, 2, 3]], v.valid[[0, 2, 3]]) for k, v in given.items()}
    first = made(given)
    for name, ours in made(other).items():
        torch.testing.assert_close(ours.vectors, first[name].vectors, atol=1e-6, rtol=0)
        assert not ours.vectors[~ours.valid].any()
    for name, ours in made(shorter).items():
        torch.testing.assert_close(ours.vectors, first[name].vectors[[0, 2, 3]], atol=1e-6, rtol=0)


@pytest.mark.parametrize("settings", [SHARED, FAC], ids=lambda each: type(each).__name__)
def test_every_own_unit_has_unit_length(settings):
    for each in settings.build(WIDTHS)(units(text=[3, 1, 0, 2])).values():
        torch.testing.assert_close(each.vectors.norm(dim=2), each.valid.float())


def test_raw_vectors_are_the_same_before_their_length_is_taken():
    unit, raw = (trained(SharedSpace(width=5, unit_norm=norm)) for norm in (True, False))
    raw.load_state_dict(unit.state_dict())
    given = units()
    for name, each in raw(given).items():
        torch.testing.assert_close(F.normalize(each.vectors, dim=2), unit(given)[name].vectors)
        assert (each.vectors.norm(dim=2) - 1).abs().max() > 0.1


def test_text_alone_needs_no_other_modality():
    for settings in (SHARED, FAC):
        assert settings.build(WIDTHS).eval()({"text": units()["text"]}).keys() == {"text"}


def test_text_learns_nothing_from_sound_in_training():
    """In MMV audio passes the head to text at test only, so that its statistics stay video's."""
    fac, given = FAC.build(WIDTHS), units()
    fac(given)
    with_sound = fac.coarse_norm.running_mean.clone()
    torch.nn.init.zeros_(fac.coarse_norm.running_mean)
    del given["audio"]
    fac(given)
    assert torch.equal(fac.coarse_norm.running_mean, with_sound)


def test_half_precision_ends_in_float32():
    with torch.autocast("cpu", torch.bfloat16):
        out = FAC.build(WIDTHS)(units())
    assert {each.vectors.dtype for each in out.values()} == {torch.float32}
    assert (out["video"].vectors.norm(dim=2) - 1).abs().max() < 1e-6
