"""Files of ours: what is saved is loaded, whatever was inserted, and the hash tells which encoder it is."""

import hashlib

import pytest
import speech_peers as peers
import torch

from common.checkpoint import CheckpointError
from speech_adapters.checkpoints import model_files
from speech_adapters.checkpoints.model_files import StoredModel, backbone_sha256, without_weights
from speech_adapters.model.adapters import apply
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import Wav2Vec2


@pytest.mark.parametrize("kind", peers.KINDS)
def test_what_is_saved_is_loaded_and_any_kind_gives_its_encoder(kind, tmp_path):
    path = tmp_path / "ours.safetensors"
    model = peers.small(kind, peers.XLSR_LIKE, path)
    before = torch.get_rng_state()
    loaded = getattr(model_files, f"load_{kind}")(path)
    encoder = model_files.load_encoder(path)
    assert torch.equal(torch.get_rng_state(), before)
    peers.assert_same(model.state_dict(), loaded.state_dict())
    peers.assert_same((model if kind == "encoder" else model.encoder).state_dict(), encoder.state_dict())
    for other in set(peers.KINDS) - {kind, "encoder"}:
        with pytest.raises(CheckpointError, match=f"must hold a {other} model, got '{kind}'"):
            getattr(model_files, f"load_{other}")(path)


@pytest.mark.parametrize("arm", [
    Arm(kind="adapters", layers=2, bottleneck=5), Arm(kind="adapters", bottleneck=5, inner_norm=False),
    Arm(kind="single-adapter", layers=2, bottleneck=5), Arm(kind="lora", layers=1, bottleneck=5),
        Arm(kind="adapters", layers=1, bottleneck=5, places="attention"),
        Arm(kind="adapters", layers=1, bottleneck=5, places="feed-forward"), Arm(kind="bitfit"),
], ids=str)  # fmt: skip
def test_every_kind_of_adapter_is_saved_and_loaded(arm, tmp_path):
    model = CTCModel(Wav2Vec2(peers.BASE_LIKE), len(peers.LETTERS))
    apply(arm, model.encoder, model.head)
    model_files.save_recogniser(tmp_path / "ours.safetensors", model, peers.LETTERS)
    loaded = model_files.load_recogniser(tmp_path / "ours.safetensors")
    peers.assert_same(model.state_dict(), loaded.state_dict())
    wave, lengths = torch.randn(1, 1601), torch.tensor([1601])
    with torch.no_grad():
        assert torch.equal(model.eval()(wave, lengths)[0], loaded.eval()(wave, lengths)[0])


def test_a_vocabulary_of_another_size_than_the_head_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must have 5 symbols, got 3"):
        model_files.save_recogniser(tmp_path / "x.safetensors", CTCModel(Wav2Vec2(peers.BASE_LIKE), 5), "abc")


def test_tensors_of_another_architecture_do_not_load(tmp_path):
    tensors = Wav2Vec2(peers.BASE_LIKE).state_dict()
    with pytest.raises(ValueError, match="do not fit encoder"):
        model_files.build(StoredModel(kind="encoder", architecture=peers.LARGE_LIKE, tensors=tensors))


# ---- which encoder it is


@pytest.mark.parametrize("kind", ["adapters", "single-adapter", "lora", "head", "bitfit", "full"])
def test_inserting_leaves_the_backbones_hash_alone(kind):
    encoder = Wav2Vec2(peers.BASE_LIKE)
    before = backbone_sha256(encoder)
    apply(Arm(kind=kind, layers=2 if "single" in kind else 0, bottleneck=3), encoder)
    assert backbone_sha256(encoder) == before


def test_the_hash_is_of_names_and_little_endian_bytes():
    encoder = Wav2Vec2(peers.BASE_LIKE)
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().astype("<f4").tobytes())
    assert backbone_sha256(encoder) == digest.hexdigest()


def test_every_weight_of_the_base_is_in_the_hash_and_no_adapters():
    torch.manual_seed(0)
    encoder = Wav2Vec2(peers.BASE_LIKE)
    apply(Arm(kind="adapters", bottleneck=3), encoder)
    apply(Arm(kind="lora", bottleneck=3), encoder)
    seen = {backbone_sha256(encoder)}
    for name, weight in encoder.named_parameters():
        with torch.no_grad():
            weight += 1
        added = backbone_sha256(encoder) not in seen
        seen.add(backbone_sha256(encoder))
        inserted = {"after_attention", "after_feed_forward", "up", "down"} & set(name.split("."))
        assert added == (not inserted), name


def test_modules_made_without_weights_use_up_no_random_number():
    before = torch.get_rng_state()
    with without_weights():
        model = CTCModel(Wav2Vec2(peers.XLSR_LIKE), 5)
        apply(Arm(kind="adapters", bottleneck=3), model.encoder)
        apply(Arm(kind="lora", bottleneck=3), model.encoder)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.head.weight.shape == (5, 24)
    drawn = [torch.randn(3) for _ in range(2)]
    assert not torch.equal(*drawn)
