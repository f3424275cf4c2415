"""Checkpoints there and back: every tensor accounted for, peers load what we write, nothing in a file is run."""

import argparse
import json
import logging
import os
import pickle
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import speech_peers as peers
import torch
from safetensors.torch import load_file

from common.checkpoint import CheckpointError
from speech_adapters.checkpoints import model_files
from speech_adapters.checkpoints.convert import convert, read
from speech_adapters.checkpoints.interop import ConversionError, torchaudio
from speech_adapters.checkpoints.interop.fairseq import conv_layers
from speech_adapters.checkpoints.interop.pickles import Inert
from speech_adapters.data.text import Vocabulary
from speech_adapters.model.adapters import apply
from speech_adapters.model.architecture import BASE, LARGE, XLSR
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.objective import QuantiserSizes
from speech_adapters.model.wav2vec2 import Wav2Vec2, normalise_waveform


def _wave(a):
    wave = 0.1 * torch.randn(1, 1601, generator=torch.Generator().manual_seed(2))
    return wave, normalise_waveform(wave, torch.tensor([1601])) if a.normalise_input else wave


def _load_in_fairseq(path):
    peers.import_fairseq()
    from fairseq import checkpoint_utils

    level = logging.getLogger().level
    (model,), _, _ = checkpoint_utils.load_model_ensemble_and_task([os.fspath(path)])
    logging.getLogger().setLevel(level)
    return model.eval()


# ---- there and back


@pytest.mark.parametrize("size", peers.ALIKE)
@pytest.mark.parametrize("kind", peers.KINDS)
@pytest.mark.parametrize("family", ["fairseq", "huggingface"])
def test_there_and_back_is_the_same_to_the_bit(family, kind, size, tmp_path):
    peers.small(kind, peers.ALIKE[size], tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "theirs.pt", to=family)
    convert(tmp_path / "theirs.pt", tmp_path / "back.safetensors")
    before, after = (model_files.read(tmp_path / f"{name}.safetensors") for name in ("ours", "back"))
    peers.assert_same(before.tensors, after.tensors)
    assert replace(before, tensors={}, origin={}) == replace(after, tensors={}, origin={})


@pytest.mark.parametrize("kind", ["pretraining", "recogniser"])
def test_fairseqs_own_weights_come_back_to_the_bit(kind, tmp_path):
    _, content = peers.fairseq_model(peers.XLSR_LIKE, kind)
    torch.save(content, tmp_path / "theirs.pt")
    _dictionary(tmp_path)
    convert(tmp_path / "theirs.pt", tmp_path / "again" / "theirs.pt", to="fairseq")
    peers.assert_same(
        dict(content["model"]), torch.load(tmp_path / "again" / "theirs.pt", weights_only=True)["model"]
    )


@pytest.mark.parametrize("kind", peers.KINDS)
def test_transformers_own_weights_come_back_to_the_bit(kind, tmp_path):
    peers.huggingface_model(peers.XLSR_LIKE, kind).save_pretrained(tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "again", to="huggingface")
    again = load_file(tmp_path / "again" / "model.safetensors")
    first = load_file(tmp_path / "theirs" / "model.safetensors")
    peers.assert_same({torchaudio.common_name(name): tensor for name, tensor in first.items()}, again)


def test_one_model_takes_the_whole_tour(tmp_path):
    """torchaudio -> fairseq -> Hugging Face -> ours keeps what the recogniser says."""
    a = peers.BASE_LIKE
    model = peers.torchaudio_model(a, len(peers.LETTERS))
    torch.save(model.state_dict(), tmp_path / "torchaudio.pt")
    convert(
        tmp_path / "torchaudio.pt", tmp_path / "f.pt", to="fairseq", architecture=a, vocabulary=peers.LETTERS
    )
    convert(tmp_path / "f.pt", tmp_path / "hf", to="huggingface")
    convert(tmp_path / "hf", tmp_path / "ours.safetensors")
    ours = model_files.load_recogniser(tmp_path / "ours.safetensors").eval()
    wave, _ = _wave(a)
    with torch.no_grad():
        theirs = model(wave)[0].log_softmax(dim=2)
        torch.testing.assert_close(ours(wave, torch.tensor([1601]))[0], theirs, atol=1e-5, rtol=0)
    assert model_files.read(tmp_path / "ours.safetensors").vocabulary == peers.LETTERS


# ---- what we write, loaded by those it is for


@pytest.mark.parametrize("size", peers.ALIKE)
@pytest.mark.parametrize("kind", peers.KINDS)
@torch.no_grad()
def test_fairseq_loads_what_we_write_and_hears_the_same(kind, size, tmp_path):
    a = peers.ALIKE[size]
    ours = peers.small(kind, a, tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "theirs.pt", to="fairseq")
    theirs = _load_in_fairseq(tmp_path / "theirs.pt")
    wave, their_wave = _wave(a)
    if kind == "recogniser":
        output = theirs(source=their_wave, padding_mask=None)
        log_probs = theirs.get_normalized_probs(output, log_probs=True).transpose(0, 1)
        # The four rows that fairseq's dictionaries begin with: the blank is one, three can never be written.
        assert log_probs[:, :, 1:4].max() < -1000
        mine, other = ours(wave, torch.tensor([1601]))[0], log_probs[:, :, [0, 4, 5, 6, 7]]
    else:
        encoder = ours.encoder if kind == "pretraining" else ours
        mine, other = encoder(wave)[0], theirs.extract_features(their_wave, None)["x"]
    torch.testing.assert_close(mine, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", peers.ALIKE)
@pytest.mark.parametrize("kind", peers.KINDS)
@torch.no_grad()
def test_transformers_loads_what_we_write_and_hears_the_same(kind, size, tmp_path):
    import transformers

    a = peers.ALIKE[size]
    ours = peers.small(kind, a, tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "theirs", to="huggingface")
    classes = dict(
        zip(peers.KINDS, ("Wav2Vec2Model", "Wav2Vec2ForPreTraining", "Wav2Vec2ForCTC"), strict=True)
    )
    theirs, told = getattr(transformers, classes[kind]).from_pretrained(
        tmp_path / "theirs", output_loading_info=True
    )
    assert not any(told.values()), told
    wave, their_wave = _wave(a)
    if kind == "recogniser":
        mine, other = ours(wave, torch.tensor([1601]))[0], theirs(their_wave).logits.log_softmax(dim=2)
    else:
        encoder, base = (ours.encoder, theirs.wav2vec2) if kind == "pretraining" else (ours, theirs)
        mine, other = encoder(wave)[0], base(their_wave).last_hidden_state
    torch.testing.assert_close(mine, other, atol=1e-5, rtol=0)


def test_transformers_processor_reads_our_folder_and_writes_our_letters(tmp_path):
    import transformers

    peers.small("recogniser", peers.XLSR_LIKE, tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "theirs", to="huggingface")
    processor = transformers.Wav2Vec2Processor.from_pretrained(tmp_path / "theirs")
    assert processor.feature_extractor.do_normalize
    assert processor.decode([2, 2, 0, 2, 1, 3, 0]) == "aa b"


# ---- settings of every age


def _dictionary(folder):
    (folder / "dict.ltr.txt").write_text("".join(f"{symbol} 1\n" for symbol in peers.SYMBOLS[4:]))


@pytest.mark.parametrize("kind", ["pretraining", "recogniser"])
@pytest.mark.parametrize("size", peers.ALIKE)
def test_old_fairseq_settings_are_read_as_the_new_ones(kind, size, tmp_path):
    _, content = peers.fairseq_model(peers.ALIKE[size], kind)
    torch.save(content, tmp_path / "new.pt")
    torch.save(peers.as_old_fairseq(content), tmp_path / "old.pt")
    new, old = (read(tmp_path / f"{age}.pt").stored for age in ("new", "old"))
    peers.assert_same(new.tensors, old.tensors)
    assert new.kind == old.kind == kind
    assert new.architecture == old.architecture == peers.ALIKE[size]
    assert (
        new.quantiser_sizes
        == old.quantiser_sizes
        == (QuantiserSizes(**peers.TARGETS) if kind == "pretraining" else None)
    )


def test_what_old_settings_leave_out_is_base():
    from speech_adapters.checkpoints.interop.fairseq import architecture_of

    assert architecture_of({}, normalise_input=False) == BASE


def test_symbols_are_read_from_a_dictionary_inside_the_checkpoint_or_beside_it(tmp_path):
    peers.import_fairseq()
    from fairseq.data import Dictionary

    _, content = peers.fairseq_model(peers.BASE_LIKE, "recogniser")
    torch.save(content, tmp_path / "theirs.pt")
    assert read(tmp_path / "theirs.pt").stored.vocabulary is None
    _dictionary(tmp_path)
    beside = read(tmp_path / "theirs.pt").stored
    inside = Dictionary()
    for symbol in peers.SYMBOLS[4:]:
        inside.add_symbol(symbol)
    (tmp_path / "alone").mkdir()
    torch.save(content | {"task_state": {"target_dictionary": inside}}, tmp_path / "alone" / "theirs.pt")
    within = read(tmp_path / "alone" / "theirs.pt").stored
    assert beside.vocabulary == within.vocabulary == ("<blank>", "|", "e", "t", "a", "<pad>", "</s>", "<unk>")
    assert Vocabulary(beside.vocabulary).decode([2, 3, 1, 4]) == "et a"
    rows = content["model"]["w2v_encoder.proj.bias"][[0, 4, 5, 6, 7, 1, 2, 3]]
    assert torch.equal(beside.tensors["head.bias"], rows)


def test_transformers_blank_comes_first_wherever_it_stood(tmp_path):
    peers.huggingface_model(peers.BASE_LIKE, "recogniser").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"pad_token_id": 7}))
    places = {name: row for row, name in enumerate(["A", "_", "B", "C", "[UNK]", "<s>", "</s>", "[PAD]"])}
    (tmp_path / "vocab.json").write_text(json.dumps(places))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"word_delimiter_token": "_"}))
    stored = read(tmp_path).stored
    assert stored.vocabulary == ("<blank>", "|", "a", "b", "c", "[UNK]", "<s>", "</s>")
    bias = load_file(tmp_path / "model.safetensors")["lm_head.bias"]
    assert torch.equal(stored.tensors["head.bias"], bias[[7, 1, 0, 2, 3, 4, 5, 6]])


@pytest.mark.parametrize(("factory", "expected"), [("base", BASE), ("large", LARGE), ("large_lv60k", XLSR),
                                                   ("xlsr_300m", XLSR)])  # fmt: skip
def test_torchaudios_factories_are_known_by_their_shapes(factory, expected):
    import torchaudio.models as theirs

    with torch.device("meta"):
        model = getattr(theirs, f"wav2vec2_{factory}")()
    assert torchaudio.architecture_of(model.state_dict()) == expected


def test_both_spellings_of_weight_norm_are_read(tmp_path):
    tensors = peers.torchaudio_model(peers.BASE_LIKE).state_dict()
    assert any("parametrizations" in name for name in tensors)
    old = {torchaudio.common_name(name): tensor for name, tensor in tensors.items()}
    assert "encoder.transformer.pos_conv_embed.conv.weight_g" in old
    peers.assert_same(
        *(dict(torchaudio.read(each, peers.BASE_LIKE).stored.tensors) for each in (tensors, old))
    )


def test_half_precision_becomes_single_and_the_report_says_so(tmp_path):
    _, content = peers.fairseq_model(peers.BASE_LIKE)
    content["model"] = {name: tensor.half() for name, tensor in content["model"].items()}
    torch.save(content, tmp_path / "theirs.pt")
    report = convert(tmp_path / "theirs.pt", tmp_path / "ours.safetensors")
    assert report.notes == ("float16 made float32",)
    stored = model_files.read(tmp_path / "ours.safetensors")
    assert {tensor.dtype for tensor in stored.tensors.values()} == {torch.float32}


def test_counters_and_containers_of_fairseqs_files_are_no_obstacle(tmp_path):
    """Real checkpoints carry numpy scalars, ordered and default tables, and omegaconf's containers."""
    from omegaconf import OmegaConf

    _, content = peers.fairseq_model(peers.BASE_LIKE)
    content |= {"extra_state": {"val_loss": np.float64(1.5), "best": np.int64(3), "meters": OrderedDict(a=1)},
                "cfg": OmegaConf.create(content["cfg"])}  # fmt: skip
    torch.save(content, tmp_path / "theirs.pt")
    assert read(tmp_path / "theirs.pt").stored.architecture == peers.BASE_LIKE


@pytest.mark.parametrize(("text", "layers"), [
    ("[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]", BASE.conv),
    ("[(512,10,5)] + [(512,3,2)]*4 + [(512,2,2)]*2", BASE.conv),
    (str(list(BASE.conv)), BASE.conv),
    ("[(1, 2, 3), (4, 5, 6)] * 2", ((1, 2, 3), (4, 5, 6)) * 2),
])  # fmt: skip
def test_expressions_of_conv_layers_are_understood_without_running_them(text, layers):
    assert conv_layers(text) == layers


@pytest.mark.parametrize("text", ["__import__('os').abort()", "[(1, 2)]", "[]", "[(1, 2, 3)] * 4000000000"])
def test_other_expressions_of_conv_layers_are_refused(text):
    with pytest.raises(ConversionError, match="lists of"):
        conv_layers(text)


# ---- the report


def test_the_report_accounts_for_every_tensor(tmp_path):
    _, content = peers.fairseq_model(peers.BASE_LIKE)
    content["model"]["teacher.weight"] = torch.zeros(3)
    torch.save(content, tmp_path / "theirs.pt")
    report = convert(tmp_path / "theirs.pt", tmp_path / "ours.safetensors")
    theirs, ours = zip(*report.mapped, strict=True)
    assert {*theirs, *report.unused} == set(content["model"])
    assert set(ours) == set(model_files.read(tmp_path / "ours.safetensors").tensors)
    assert (report.missing, report.unused) == ((), ("teacher.weight",))
    assert ("encoder.layers.2.fc1.bias", "encoder.layers.2.expand.bias") in report.mapped
    lines = str(report).splitlines()
    assert "71 tensors mapped, 0 missing, 1 unused" in lines[0]
    assert len(lines) == 1 + 71 + 1


def test_a_missing_mask_vector_is_reported_and_starts_at_zero(tmp_path):
    torch.save(peers.torchaudio_model(peers.BASE_LIKE).state_dict(), tmp_path / "theirs.pt")
    report = convert(tmp_path / "theirs.pt", tmp_path / "ours.safetensors", architecture=peers.BASE_LIKE)
    assert report.missing == ("mask_vector",)
    assert not model_files.read(tmp_path / "ours.safetensors").tensors["mask_vector"].any()


def test_what_fairseq_needs_beyond_our_tensors_is_reported(tmp_path):
    peers.small("recogniser", peers.BASE_LIKE, tmp_path / "ours.safetensors")
    report = convert(tmp_path / "ours.safetensors", tmp_path / "theirs.pt", to="fairseq")
    assert report.missing == tuple(f"w2v_encoder.proj, row of {name}" for name in ("<pad>", "</s>", "<unk>"))


def test_the_file_says_where_its_weights_are_from(tmp_path):
    torch.save(peers.torchaudio_model(peers.BASE_LIKE).state_dict(), tmp_path / "theirs.pt")
    convert(tmp_path / "theirs.pt", tmp_path / "ours.safetensors", architecture=peers.BASE_LIKE)
    origin = model_files.read(tmp_path / "ours.safetensors").origin
    assert (origin["family"], origin["file"], len(origin["sha256"])) == ("torchaudio", "theirs.pt", 64)


# ---- refusals


class _Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (os.fspath(self.path),)


@pytest.mark.parametrize("shape", ["settings", "tensors", "inert"])
def test_a_file_that_would_run_code_is_refused_and_runs_none(shape, tmp_path):
    attack = _Attack(tmp_path / "attacked")
    content = {
        "settings": {"args": argparse.Namespace(arch=attack), "model": {}},
        "tensors": {"cfg": {}, "model": {"mask_emb": attack}},
        "inert": {"cfg": {}, "model": {}, "task_state": attack},
    }[shape]
    torch.save(content, tmp_path / "theirs.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(content))
    for name in ("theirs.pt", "plain.pt"):
        with pytest.raises(CheckpointError, match=rf"{name}: refused"):
            convert(tmp_path / name, tmp_path / "ours.safetensors")
    assert not (tmp_path / "attacked").exists()
    assert not (tmp_path / "ours.safetensors").exists()


def test_stand_ins_hold_what_was_pickled_and_nothing_else():
    inert = Inert("x")
    inert.__setstate__({"symbols": ["a"]})
    assert (inert.symbols, inert.values) == (["a"], ("x",))
    assert [name for name in vars(Inert) if not name.startswith("__")] == ["values"]


@pytest.mark.parametrize(("setting", "value"), [("layer_type", "conformer"), ("activation_fn", "relu"),
                                                ("pos_conv_depth", 5), ("quantize_input", True)])  # fmt: skip
def test_another_network_of_fairseqs_is_refused_by_setting_and_value(setting, value, tmp_path):
    _, content = peers.fairseq_model(peers.BASE_LIKE)
    content["cfg"]["model"][setting] = value
    torch.save(content, tmp_path / "theirs.pt")
    with pytest.raises(ConversionError, match=f"{setting} must be .*, got {value!r}"):
        read(tmp_path / "theirs.pt")


@pytest.mark.parametrize(("setting", "value"), [("model_type", "wavlm"), ("hidden_act", "relu"),
                                                ("add_adapter", True), ("layer_norm_eps", 1e-6)])  # fmt: skip
def test_another_network_of_transformers_is_refused_by_setting_and_value(setting, value, tmp_path):
    peers.huggingface_model(peers.BASE_LIKE).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {setting: value}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConversionError, match=f"{setting} must be .*, got {value!r}"):
        read(tmp_path)


def test_tensors_that_the_settings_do_not_tell_of_are_refused(tmp_path):
    _, content = peers.fairseq_model(peers.BASE_LIKE)
    wrong = content | {"cfg": {"model": content["cfg"]["model"] | {"encoder_layers": 5}, "task": {}}}
    torch.save(wrong, tmp_path / "theirs.pt")
    with pytest.raises(ConversionError, match=r"lacks 32 tensors .*encoder\.layers\.3"):
        read(tmp_path / "theirs.pt")
    content["model"]["mask_emb"] = torch.zeros(25)
    torch.save(content, tmp_path / "theirs.pt")
    with pytest.raises(ConversionError, match=r"mask_emb must be \(24,\) .* got \(25,\)"):
        read(tmp_path / "theirs.pt")


def test_adapters_of_the_plug_in_are_not_lost_in_silence(tmp_path):
    _, content = peers.fairseq_model(peers.BASE_LIKE)
    content["model"]["w2v_encoder.w2v_model.encoder.layers.0.dropout1.adapter.up.bias"] = torch.zeros(4)
    torch.save(content, tmp_path / "theirs.pt")
    with pytest.raises(ConversionError, match=r"fairseq_plugin\.names\.adapter_set"):
        convert(tmp_path / "theirs.pt", tmp_path / "ours.safetensors")


def test_what_fairseq_cannot_hold_is_not_written(tmp_path):
    narrow = replace(peers.BASE_LIKE, width=20)  # as many as conv channels
    peers.small("encoder", narrow, tmp_path / "narrow.safetensors")
    with pytest.raises(ConversionError, match="no projection where conv channels are the width, got 20"):
        convert(tmp_path / "narrow.safetensors", tmp_path / "theirs.pt", to="fairseq")
    model = CTCModel(Wav2Vec2(peers.BASE_LIKE), 5)
    model_files.save_recogniser(tmp_path / "nameless.safetensors", model, None)
    with pytest.raises(ConversionError, match="names of the head's symbols; pass vocabulary="):
        convert(tmp_path / "nameless.safetensors", tmp_path / "theirs.pt", to="fairseq")
    assert not (tmp_path / "theirs.pt").exists()


@pytest.mark.parametrize("arm", [Arm(kind="adapters", bottleneck=3), Arm(kind="lora", bottleneck=3)])
@pytest.mark.parametrize("family", ["fairseq", "huggingface"])
def test_adapters_have_no_place_elsewhere(family, arm, tmp_path):
    encoder = Wav2Vec2(peers.BASE_LIKE)
    apply(arm, encoder)
    model_files.save_encoder(tmp_path / "ours.safetensors", encoder)
    with pytest.raises(ConversionError, match="no place for adapters"):
        convert(tmp_path / "ours.safetensors", tmp_path / "theirs", to=family)
    assert not (tmp_path / "theirs").exists()


def test_files_of_no_family_are_refused_with_what_they_hold(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ConversionError, match="got a table of 1 with weight"):
        read(tmp_path / "other.pt")
    with pytest.raises(ConversionError, match="no such file"):
        read(tmp_path / "absent.pt")
    with pytest.raises(ConversionError, match=r"config\.json, which is not there"):
        read(tmp_path)
    with pytest.raises(ConversionError, match=r"to must be one of .*, got 'keras'"):
        convert(tmp_path / "other.pt", tmp_path / "x", to="keras")
