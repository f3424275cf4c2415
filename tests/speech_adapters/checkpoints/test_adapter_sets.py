"""Adapter sets: saved alone, switched utterance by utterance, and the encoder below them never touched."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from common.checkpoint import CheckpointError
from speech_adapters.checkpoints.adapter_sets import AdapterBank, AdapterSet, WrongBackbone
from speech_adapters.checkpoints.model_files import backbone_sha256
from speech_adapters.data.text import Vocabulary
from speech_adapters.model.adapters import apply
from speech_adapters.model.architecture import TINY
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import Wav2Vec2, pad

POST_NORM = replace(TINY, pre_norm=False)
ADAPTERS = Arm(kind="adapters", bottleneck=4)


def encoder(architecture=TINY, seed: int = 0) -> Wav2Vec2:
    torch.manual_seed(seed)
    return Wav2Vec2(architecture).eval()


def trained(arm: Arm = ADAPTERS, language: str = "en", seed: int = 1, architecture=TINY) -> AdapterSet:
    """A set on `encoder(architecture)` whose every weight has moved far."""
    base = encoder(architecture)
    backbone = backbone_sha256(base)
    model = CTCModel(base, len(Vocabulary.of(language)))
    apply(arm, base, model.head)
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += 0.3 * torch.randn_like(weight)
    return AdapterSet.of(model, arm, language, backbone, {"seed": seed})


def bank(architecture=TINY, **sets: AdapterSet) -> AdapterBank:
    made = AdapterBank(encoder(architecture))
    for name, adapters in sets.items():
        made.add(name, adapters)
    return made


def waveforms(*lengths: int):
    torch.manual_seed(7)
    return pad([torch.randn(length) * 0.1 for length in lengths])


def test_a_set_comes_back_from_its_file_as_it_was(tmp_path):
    before = trained()
    before.save(tmp_path / "en.safetensors")
    after = AdapterSet.load(tmp_path / "en.safetensors")
    assert after.tensors.keys() == before.tensors.keys()
    assert all(torch.equal(after.tensors[name], before.tensors[name]) for name in before.tensors)
    assert replace(after, tensors={}) == replace(before, tensors={})


def test_a_file_holds_what_is_trained_and_nothing_of_the_encoder():
    names = set(trained().tensors)
    assert {"head.weight", "encoder.layers.0.attention_norm.weight"} <= names
    assert "encoder.layers.1.after_attention.down.weight" in names
    assert not [name for name in names if "query" in name or "extractor" in name]


@pytest.mark.parametrize("kind", ["full", "finetune", "lora", "bitfit"])
def test_arms_that_change_the_encoder_make_no_set(kind):
    with pytest.raises(ValueError, match=f"got {kind}"):
        trained(Arm(kind=kind, bottleneck=4))


def test_another_encoder_is_refused_with_both_hashes():
    other = encoder(seed=9)
    theirs, ours = backbone_sha256(other), backbone_sha256(encoder())
    for load in (
        lambda: AdapterBank(other).add("en", trained()),
        lambda: trained().recogniser(encoder(seed=9)),
    ):
        with pytest.raises(WrongBackbone, match=rf"{ours[:12]}.*{theirs[:12]}"):
            load()


def test_other_files_and_other_normalisers_are_refused(tmp_path):
    from common import checkpoint

    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {}, {"kind": "encoder"})
    with pytest.raises(CheckpointError, match="'encoder'"):
        AdapterSet.load(path)
    trained().save(path)
    state = json.loads(path.with_suffix(".json").read_text())["state"]
    checkpoint.save(path, trained().tensors, {**state, "normaliser": "letters-0"})
    with pytest.raises(ValueError, match="letters-0"):
        AdapterSet.load(path)


def test_a_truncated_set_is_refused(tmp_path):
    path = tmp_path / "en.safetensors"
    trained().save(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="checksum"):
        AdapterSet.load(path)


@pytest.mark.parametrize("architecture", [TINY, POST_NORM], ids=["pre-norm", "post-norm"])
def test_without_a_set_the_encoder_is_what_it_was_norms_included(architecture):
    waveform, lengths = waveforms(6000, 4000)
    bare, frames = encoder(architecture)(waveform, lengths)
    sets = bank(architecture, en=trained(architecture=architecture))
    switched, same_frames = sets.encode(waveform, lengths, [None, None])
    assert torch.equal(switched, bare)
    assert torch.equal(same_frames, frames)
    assert not torch.allclose(sets.encode(waveform, lengths, ["en", "en"])[0], bare, atol=0.1)


@pytest.mark.parametrize("architecture", [TINY, POST_NORM], ids=["pre-norm", "post-norm"])
@pytest.mark.parametrize("arm", [ADAPTERS, Arm(kind="single-adapter", layers=1, bottleneck=4), Arm(kind="head")],
                         ids=lambda arm: arm.kind)  # fmt: skip
def test_a_bank_says_what_the_set_said_where_it_was_trained(architecture, arm):
    adapters = trained(arm, architecture=architecture)
    waveform, lengths = waveforms(6000)
    expected, _ = adapters.recogniser(encoder(architecture))(waveform, lengths)
    (found,) = bank(architecture, en=adapters).log_probs(waveform, lengths, ["en"])
    torch.testing.assert_close(found, expected[0], atol=1e-6, rtol=0)


def test_a_mixed_batch_equals_separate_batches():
    sets = bank(en=trained(), fr=trained(language="fr", seed=2), head=trained(Arm(kind="head"), seed=3))
    names = ["fr", "en", "head", "en"]
    waveform, lengths = waveforms(6000, 4000, 5000, 3000)
    mixed = sets.log_probs(waveform, lengths, names)
    for i, name in enumerate(names):
        n = int(lengths[i])
        (alone,) = sets.log_probs(waveform[i : i + 1, :n], lengths[i : i + 1], [name])
        torch.testing.assert_close(mixed[i], alone, atol=1e-5, rtol=0)


def test_a_bare_utterance_may_share_a_batch_with_others():
    sets, (waveform, lengths) = bank(en=trained()), waveforms(6000, 6000)
    mixed, _ = sets.encode(waveform, lengths, [None, "en"])
    torch.testing.assert_close(mixed[:1], encoder()(waveform[:1])[0], atol=1e-5, rtol=0)


def test_adding_a_set_never_touches_another():
    waveform, lengths = waveforms(6000)
    sets = bank(en=trained())
    (before,) = sets.log_probs(waveform, lengths, ["en"])
    sets.add("fr", trained(language="fr", seed=2))
    (after,) = sets.log_probs(waveform, lengths, ["en"])
    assert torch.equal(before, after)
    assert not torch.equal(sets.log_probs(waveform, lengths, ["fr"])[0], after)


def test_adding_a_set_draws_no_random_number():
    sets, adapters = bank(), trained()
    state = torch.get_rng_state()
    sets.add("en", adapters)
    assert torch.equal(torch.get_rng_state(), state)


def test_nothing_of_a_bank_is_trained():
    assert not any(weight.requires_grad for weight in bank(en=trained()).parameters())


@pytest.mark.parametrize(
    ("names", "words"), [(["de"], "en.*1 utterances.*'de'"), (["en", "en"], "1 utterances")]
)
def test_wrong_names_are_refused(names, words):
    waveform, lengths = waveforms(6000)
    with pytest.raises(ValueError, match=words):
        bank(en=trained()).encode(waveform, lengths, names)


@pytest.mark.parametrize("name", ["en", "my-set", "keys", ""])
def test_a_set_needs_a_new_plain_name(name):
    with pytest.raises(ValueError, match="a set needs a new name"):
        bank(en=trained()).add(name, trained())


def test_a_failed_addition_leaves_the_bank_as_it_was():
    sets = bank()
    with pytest.raises(WrongBackbone):
        sets.add("en", replace(trained(), backbone="0" * 64))
    sets.add("en", trained())
    assert list(sets.sets) == ["en"]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ((), "no such file; a set is the .safetensors"),
        (("a.wav",), "is no adapter set: .* with its .json beside it"),
    ],
)
def test_a_file_that_is_no_set_is_told_what_one_is(tmp_path, made, told):
    for name in made:
        (tmp_path / name).write_bytes(b"RIFF")
    with pytest.raises(CheckpointError, match=told):
        AdapterSet.load(tmp_path / "a.wav")
