"""Waveforms are normalised as the family of the weights does it, however quiet they are."""

import numpy as np
import pytest
import speech_peers as peers
import torch

from common import checkpoint
from speech_adapters.checkpoints import model_files
from speech_adapters.checkpoints.convert import convert, read
from speech_adapters.model.wav2vec2 import Wav2Vec2

NUM_SAMPLES = 1601


def quiet(rms=0.0043):
    wave = rms * np.random.default_rng(0).standard_normal(NUM_SAMPLES)
    return torch.from_numpy(wave.astype(np.float32))[None]


@torch.no_grad()
def test_quiet_sound_is_heard_as_transformers_hears_it(tmp_path):
    import transformers

    theirs = peers.huggingface_model(peers.XLSR_LIKE, "encoder")
    theirs.save_pretrained(tmp_path / "theirs")
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    extractor.save_pretrained(tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "ours.safetensors")
    ours = model_files.load_encoder(tmp_path / "ours.safetensors").eval()
    inputs = extractor(quiet()[0].numpy(), sampling_rate=16_000, return_tensors="pt")
    expected = theirs(inputs.input_values).last_hidden_state
    torch.testing.assert_close(ours(quiet())[0], expected, atol=1e-4, rtol=0)
    fairseqs = Wav2Vec2(peers.XLSR_LIKE).eval()
    fairseqs.load_state_dict(ours.state_dict())
    assert (fairseqs(quiet())[0] - expected).abs().max() > 1e-2  # what 1e-5 would make of it


def test_weights_that_name_none_keep_what_they_were_trained_with(tmp_path):
    peers.small("encoder", peers.XLSR_LIKE, tmp_path / "a.safetensors")
    found = checkpoint.load(tmp_path / "a.safetensors")
    assert found.state["architecture"].pop("input_epsilon") == 1e-5
    checkpoint.save(tmp_path / "a.safetensors", found.tensors, found.state)  # as files of before have it
    assert model_files.read(tmp_path / "a.safetensors").architecture == peers.XLSR_LIKE


@pytest.mark.parametrize(("there", "notes"), [("huggingface", 1), ("fairseq", 0)])
def test_the_epsilon_survives_the_way_there_and_back_and_a_difference_is_told(tmp_path, there, notes):
    peers.small("encoder", peers.XLSR_LIKE, tmp_path / "ours.safetensors")
    report = convert(tmp_path / "ours.safetensors", tmp_path / "theirs", to=there)
    assert len([note for note in report.notes if "variance of a waveform" in note]) == notes
    assert read(tmp_path / "theirs").stored.architecture == peers.XLSR_LIKE
