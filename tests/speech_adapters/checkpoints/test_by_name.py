"""Encoders by name, and the weights that are committed."""

from pathlib import Path

import pytest
import torch

from common import checkpoint, papers
from speech_adapters.asr.recipes import BACKBONE, SCALES
from speech_adapters.checkpoints import by_name
from speech_adapters.checkpoints.adapter_sets import AdapterBank, AdapterSet

PAPER = papers.find("asr-adapters")
SETS = sorted((PAPER.folder / "weights").glob("*.safetensors"))


def test_a_made_up_encoder_is_always_the_same_and_draws_nothing():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again = (by_name.load("random-tiny").state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_unknown_name_lists_the_known_ones_and_where_was_looked(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    with pytest.raises(
        ValueError, match=rf"no encoder 'smal-en': known are deep-en, small-en, .*wav2vec_small.*{tmp_path}"
    ):
        by_name.find("smal-en")


def test_a_path_is_an_encoder_too(tmp_path):
    from speech_adapters.checkpoints import model_files

    path = tmp_path / "mine.safetensors"
    model_files.save_encoder(path, by_name.load("random-tiny"))
    assert by_name.architecture(str(path)) == by_name.architecture("random-tiny")
    assert by_name.sha256(str(path)) == by_name.sha256("random-tiny")


@pytest.mark.parametrize("path", sorted(by_name.WEIGHTS.glob("*.safetensors")), ids=lambda path: path.stem)
def test_the_hash_of_a_committed_file_is_that_of_the_encoder_in_it(path):
    from speech_adapters.checkpoints.model_files import backbone_sha256

    assert by_name.sha256(path.stem) == backbone_sha256(by_name.load(path.stem))


def test_the_committed_encoder_is_what_its_recipe_makes_in_sixteen_bits():
    path = by_name.find("small-en")
    found = checkpoint.load(path)
    assert {tensor.dtype for tensor in found.tensors.values()} == {torch.float16}
    assert path.stat().st_size < 16_000_000
    assert by_name.architecture("small-en") == BACKBONE.architecture
    origin = found.state["origin"]
    assert origin["recipe"] == "BACKBONE"
    assert PAPER.former_settings(origin["settings"]) == BACKBONE.settings()
    assert origin["provenance"]["dirty"] is False
    assert {w.dtype for w in by_name.load("small-en").parameters()} == {torch.float32}


def test_the_encoder_of_the_gpu_scale_is_of_its_recipe_and_every_arm_starts_from_it():
    name, recipe = "deep-en", SCALES["gpu"].on_request["DEEP_BACKBONE"]
    origin = checkpoint.load(by_name.find(name)).state["origin"]
    assert by_name.architecture(name) == recipe.architecture
    assert PAPER.former_settings(origin["settings"]) == recipe.settings()
    assert origin["provenance"]["dirty"] is False
    assert {arm.backbone for arm in SCALES["gpu"].recipes.values()} == {name, ""}


def test_pre_training_can_go_on_from_the_committed_weights():
    model = BACKBONE.model()
    by_name.load_pretraining(model, "small-en")
    stored = checkpoint.load(by_name.find("small-en")).tensors
    assert all(torch.equal(model.state_dict()[name].half(), tensor) for name, tensor in stored.items())


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_every_committed_adapter_set_fits_the_committed_encoder(path: Path):
    adapters = AdapterSet.load(path)
    bank = AdapterBank(by_name.load("small-en"))
    bank.add("one", adapters)
    recipe = SCALES["mini"].recipes[SCALES["mini"].weights[path.stem]]
    assert (adapters.language, adapters.arm) == (recipe.language, recipe.arm)
    waveform = torch.randn(1, 8000) * 0.1
    (log_probs,) = bank.log_probs(waveform, torch.tensor([8000]), ["one"])
    assert torch.allclose(log_probs.exp().sum(dim=1), torch.ones(len(log_probs)), atol=1e-5)
