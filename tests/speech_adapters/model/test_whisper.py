"""Whisper's encoder against transformers, its padding law, and its place beside wav2vec 2.0."""

from dataclasses import asdict

import pytest
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from speech_adapters.model.adapters import EMBEDDED, apply, frozen_depth, share
from speech_adapters.model.architecture import TINY, WHISPER_BASE, WHISPER_TINY, architecture_of
from speech_adapters.model.arm import ARMS, Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.encoders import build
from speech_adapters.model.wav2vec2 import Wav2Vec2, pad
from speech_adapters.model.whisper import Whisper, mel_bands, sinusoids

SAMPLES = (16_000, 9_999, 400, 24_160)


def theirs(most_frames):
    """transformers' encoder of the tiny size, for inputs of exactly that many frames after the convolutions."""
    a = WHISPER_TINY
    settings = WhisperConfig(
        d_model=a.width, encoder_layers=a.layers, encoder_attention_heads=a.heads, encoder_ffn_dim=a.inner,
        num_mel_bins=a.bands, max_source_positions=most_frames,
    )  # fmt: skip
    settings._attn_implementation = "eager"
    encoder = WhisperEncoder(settings).eval()
    for weight in encoder.parameters():  # positions too, which are fixed there
        torch.nn.init.normal_(weight, std=0.2)
    return encoder


def renamed(encoder):
    """Their tensors under our names."""
    pairs = {
        "conv1": "extractor.convs.0", "conv2": "extractor.convs.1", "embed_positions.weight": "places",
        "layer_norm": "norm", "self_attn_layer_norm": "attention_norm", "final_layer_norm": "feed_forward_norm",
        "self_attn.q_proj": "attention.query", "self_attn.k_proj": "attention.key",
        "self_attn.v_proj": "attention.value", "self_attn.out_proj": "attention.output", "fc1": "expand",
        "fc2": "contract",
    }  # fmt: skip
    found = {}
    for name, tensor in encoder.state_dict().items():
        head, _, kind = name.rpartition(".")
        if head.startswith("layers."):
            number, _, inside = head.removeprefix("layers.").partition(".")
            found[f"layers.{number}.{pairs[inside]}.{kind}"] = tensor
        elif name in pairs:
            found[pairs[name]] = tensor
        else:
            found[f"{pairs[head]}.{kind}"] = tensor
    for number in range(WHISPER_TINY.layers):
        found[f"layers.{number}.attention.key.bias"] = torch.zeros(WHISPER_TINY.width)  # Whisper has none
    return found


@pytest.fixture(scope="module")
def speech():
    generator = torch.Generator().manual_seed(0)
    return [0.1 * torch.randn(samples, generator=generator) for samples in SAMPLES]


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return Whisper(WHISPER_TINY).eval()


def test_the_spectrum_is_that_of_transformers(encoder, speech):
    made = WhisperFeatureExtractor(feature_size=80)
    for waveform in speech:
        expected = made(
            waveform.numpy(), sampling_rate=16_000, padding=False, return_tensors="pt"
        ).input_features[0]
        torch.testing.assert_close(encoder.extractor.log_mel(waveform), expected, atol=2e-4, rtol=0)
    torch.testing.assert_close(
        mel_bands(80, 400), torch.from_numpy(made.mel_filters).T.float(), atol=1e-7, rtol=1e-5
    )


def test_a_ragged_batch_is_what_transformers_makes_of_each_alone(speech):
    """Their positions are cut to each length, which they do not do by themselves."""
    waveform, lengths = pad(speech)
    reference = theirs(WHISPER_TINY.most_frames)
    ours = Whisper(WHISPER_TINY).eval()
    ours.load_state_dict(renamed(reference))
    with torch.no_grad():
        found, frames = ours(waveform, lengths)
        for row, n, one in zip(found, frames.tolist(), speech, strict=True):
            mel = ours.extractor.log_mel(one)[None]
            if mel.shape[2] % 2:  # theirs wants an even number; the convolution pads with a zero as well
                continue
            alone = theirs(n)
            state = reference.state_dict()
            state["embed_positions.weight"] = state["embed_positions.weight"][:n]
            alone.load_state_dict(state)
            torch.testing.assert_close(row[:n], alone(mel).last_hidden_state[0], atol=1e-4, rtol=1e-4)


def test_padding_never_changes_an_utterance(encoder, speech):
    waveform, lengths = pad(speech)
    noisy = waveform + 5 * (torch.arange(waveform.shape[1]) >= lengths[:, None])
    with torch.no_grad():
        batched, frames = encoder(noisy, lengths)
        for row, n, one in zip(batched, frames.tolist(), speech, strict=True):
            torch.testing.assert_close(row[:n], encoder(one[None])[0][0], atol=2e-5, rtol=1e-4)


def test_frames_are_counted_as_they_come_out(encoder):
    for samples in (400, 401, 479, 480, 639, 640, 16_000, 16_001):
        x, frames = encoder(torch.randn(1, samples))
        assert x.shape[1] == int(frames) == WHISPER_TINY.num_frames(samples)
        assert torch.equal(WHISPER_TINY.num_frames(torch.tensor([samples])), frames)
    assert (WHISPER_BASE.num_frames(480_000), WHISPER_BASE.num_frames(399)) == (1500, 0)
    assert (WHISPER_BASE.stride, WHISPER_BASE.frame_s, WHISPER_BASE.receptive_field) == (320, 0.02, 400)


def test_what_is_too_long_or_too_short_is_said(encoder):
    with pytest.raises(ValueError, match=r"hears 30 s at once, got an utterance of 30\.02 s"):
        encoder(torch.zeros(1, 480_320))
    with pytest.raises(ValueError, match="400 samples or more, got 399"):
        encoder(torch.zeros(1, 399))


def test_positions_are_sines_then_cosines():
    places = sinusoids(5, 4)
    assert torch.allclose(places[0], torch.tensor([0.0, 0.0, 1.0, 1.0]))
    assert torch.allclose(places[3, 0], torch.tensor(3.0).sin())
    assert torch.allclose(places[3, 3], torch.tensor(3e-4).cos())


def test_base_has_as_many_weights_as_published():
    """19.8 M with a head of 29 symbols; the keys' biases, which Whisper lacks, are 6 x 512 of them."""
    with torch.device("meta"):
        model = CTCModel(build(WHISPER_BASE), 29)
    assert share(model).total == 19_822_592 + 6 * 512 + 29 * 513


@pytest.mark.parametrize("kind", ARMS)
def test_every_arm_trains_on_it(kind, speech):
    encoder = Whisper(WHISPER_TINY)
    model = CTCModel(encoder, 5)
    apply(Arm(kind=kind, bottleneck=8, layers=1 if kind.startswith("single") else 0), encoder, model.head)
    waveform, lengths = pad(speech[:2])
    model(waveform, lengths)[0].sum().backward()
    assert all((weight.grad is not None) == weight.requires_grad for weight in model.parameters())
    assert not any(weight.requires_grad for weight in encoder.extractor.parameters())
    assert frozen_depth(encoder) >= EMBEDDED


def test_activations_of_frozen_layers_are_those_of_the_whole(encoder, speech):
    model = CTCModel(encoder, 5).eval()
    for depth in (0, 1, 2):
        rows, lengths = pad([model.frozen_activations(one, depth) for one in speech[:2]])
        waveform, samples = pad(speech[:2])
        (found, frames), (whole, _) = model(rows, lengths, depth), model(waveform, samples)
        for one, other, n in zip(found, whole, frames.tolist(), strict=True):
            torch.testing.assert_close(one[:n], other[:n], atol=1e-5, rtol=1e-4)


def test_settings_make_the_same_architecture_again():
    assert architecture_of(asdict(WHISPER_TINY)) == WHISPER_TINY
    assert architecture_of(asdict(TINY)) == TINY
    assert isinstance(build(TINY), Wav2Vec2)


def test_a_spectrum_in_double_precision_is_that_of_single_precision_and_more():
    extractor, waveform = Whisper(WHISPER_TINY).extractor, torch.randn(16_000)
    found, exact = extractor.log_mel(waveform), extractor.log_mel(waveform.double())
    assert (found.dtype, exact.dtype) == (torch.float32, torch.float64)
    torch.testing.assert_close(found.double(), exact, atol=1e-5, rtol=0)
