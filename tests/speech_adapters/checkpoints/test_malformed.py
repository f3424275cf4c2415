"""A checkpoint is read exactly or refused in one sentence: nothing is guessed, merged in or left over in silence."""

import json
import shutil

import pytest
import speech_peers as peers
import torch
from safetensors.torch import load_file, save_file

from common.checkpoint import CheckpointError
from speech_adapters.checkpoints.convert import convert, read
from speech_adapters.checkpoints.interop import ConversionError, Symbols


@pytest.fixture
def folder(tmp_path):
    """A recogniser of transformers' with layer norms in its extractor."""
    peers.huggingface_model(peers.XLSR_LIKE, "recogniser").save_pretrained(tmp_path / "theirs")
    return tmp_path / "theirs"


def told(path):
    """What is said of a checkpoint that is refused."""
    with pytest.raises((ConversionError, CheckpointError)) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def set_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_settings_of_another_extractor_or_fewer_layers_are_refused_by_tensor(folder):
    set_json(folder / "config.json", num_hidden_layers=1)
    assert "tensors that its settings know nothing of: wav2vec2.encoder.layers.1." in told(folder)
    set_json(folder / "config.json", num_hidden_layers=3, feat_extract_norm="group")
    assert "know nothing of: wav2vec2.feature_extractor.conv_layers.1.layer_norm" in told(folder)


def test_fewer_layers_are_refused_in_fairseqs_files_too(tmp_path):
    _, content = peers.fairseq_model(peers.XLSR_LIKE, "pretraining")
    content["cfg"]["model"]["encoder_layers"] = 1
    torch.save(content, tmp_path / "a.pt")
    assert "know nothing of: encoder.layers.1." in told(tmp_path / "a.pt")


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "module.", "module._orig_mod."])
def test_what_wrappers_put_before_names_is_taken_away_and_told(folder, tmp_path, wrapper):
    expected = read(folder).stored.tensors
    weights = {f"{wrapper}{name}": t for name, t in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors")
    found = read(folder)
    peers.assert_same(expected, found.stored.tensors)
    assert sum("which was taken away" in note for note in found.notes) == wrapper.count(".")
    _, content = peers.fairseq_model(peers.XLSR_LIKE, "pretraining")
    content["model"] = {f"{wrapper}{name}": tensor for name, tensor in content["model"].items()}
    torch.save(content, tmp_path / "a.pt")
    assert "which was taken away" in read(tmp_path / "a.pt").notes[0]
    weights = peers.torchaudio_model(peers.BASE_LIKE, None).state_dict()
    torch.save({f"{wrapper}{name}": tensor for name, tensor in weights.items()}, tmp_path / "b.pt")
    assert "which was taken away" in read(tmp_path / "b.pt", peers.BASE_LIKE).notes[0]


# ---- parts and copies


def sharded(folder):
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    parts = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for part, inside in parts.items():
        save_file({name: weights[name] for name in inside}, folder / part)
    index = {"weight_map": {name: part for part, inside in parts.items() for name in inside}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    return [folder / part for part in parts]


def test_parts_are_put_together_by_their_index_and_a_lost_one_is_named(folder):
    expected = read(folder).stored.tensors
    first, second = sharded(folder)
    for path in (folder, first):
        peers.assert_same(expected, read(path).stored.tensors)
    second.unlink()
    assert f"lacks {second.name}, one of 2 parts" in told(folder)


def test_a_copy_beside_the_weights_is_not_merged_in(folder):
    expected = read(folder).stored.tensors
    other = {name: tensor + 1 for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(other, folder / "model_old.safetensors")
    peers.assert_same(expected, read(folder).stored.tensors)
    assert (read(folder / "model_old.safetensors").stored.tensors["head.bias"] != expected["head.bias"]).all()


# ---- damaged and odd


def test_a_file_that_is_cut_off_or_no_json_is_one_sentence(folder, tmp_path):
    whole = (folder / "model.safetensors").read_bytes()
    for length in (4, 100, len(whole) - 7):
        (folder / "model.safetensors").write_bytes(whole[:length])
        assert "cut off or damaged" in told(folder)
    shutil.copy(folder / "model.safetensors", tmp_path / "alone.safetensors")
    assert "cut off or damaged" in told(tmp_path / "alone.safetensors")
    for text, words in (("{", "is no JSON"), ("[1]", "must be a table of names, got list")):
        (folder / "config.json").write_text(text)
        assert words in told(folder)


@pytest.mark.parametrize("settings", [{"hidden_size": "wide"}, {"conv_dim": 7}, {"num_attention_heads": 0}])
def test_settings_that_are_no_numbers_are_one_sentence(folder, settings):
    set_json(folder / "config.json", **settings)
    assert str(folder) in told(folder)


def test_a_vocabulary_of_several_languages_is_one_sentence(folder):
    (folder / "vocab.json").write_text(json.dumps({"eng": {"a": 0}, "fra": {"a": 0}}))
    assert "vocab.json: must number symbols, but under 'eng' holds no number" in told(folder)


@pytest.mark.parametrize("key", ["cfg", "model", "cfg.model"])
def test_a_table_that_is_a_word_is_one_sentence(tmp_path, key):
    _, content = peers.fairseq_model(peers.XLSR_LIKE, "pretraining")
    if key == "cfg.model":
        content["cfg"]["model"] = "wav2vec2"
    else:
        content[key] = "wav2vec2"
    torch.save(content, tmp_path / "a.pt")
    assert "must be a table of names, got str" in told(tmp_path / "a.pt")


def test_nothing_is_written_of_what_is_refused(folder, tmp_path):
    set_json(folder / "config.json", num_hidden_layers=1)
    with pytest.raises(ConversionError):
        convert(folder, tmp_path / "ours.safetensors")
    assert not (tmp_path / "ours.safetensors").exists()


# ---- symbols


@pytest.mark.parametrize(
    ("letters", "ours"),
    [
        (("İ", "I", "Ş"), ("i", "ı", "ş")),  # a capital i with a dot says that it is Turkish
        (("A", "I", "Ä"), ("a", "i", "ä")),
        (("A", "a", "I"), ("A", "a", "I")),  # of both cases: kept apart
        (("aː", "tʃ", "हि"), ("aː", "tʃ", "हि")),
    ],
)
def test_capitals_become_the_small_letters_of_their_language(letters, ours):
    assert Symbols(("<pad>", "|", *letters), blank=0).ours() == ("<blank>", "|", *ours)
