"""Every committed file of weights is loaded by its tool under its name, however its settings were spelled."""

from pathlib import Path

import pytest
import torch
from repository import ROOT

from multimodal_ssl.model.networks import ImageNetClasses
from multimodal_ssl.search import weights as clip_weights
from speech_adapters.checkpoints import by_name as encoders
from speech_adapters.checkpoints import whisper_base
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.inference import recogniser
from speech_adapters.model.adapters import apply
from speech_adapters.model.architecture import WHISPER_BASE
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.encoders import build
from speech_adapters.own.published import page
from video_sr.models import by_name as networks

WHISPER = "96f3a01d18f4"  # the hash of its encoder begins so


def published(folder: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / folder / "weights").glob("*.safetensors"))


@pytest.mark.parametrize("name", published("video_sr"))
def test_networks_of_video_sr(name):
    assert networks.load(name)(torch.rand(1, networks.load(name).num_frames, 3, 8, 8)).shape == (
        1,
        3,
        128,
        128,
    )


@pytest.mark.parametrize("name", published("multimodal_ssl"))
def test_models_of_multimodal_ssl(name, monkeypatch):
    torch.manual_seed(0)
    fresh = ImageNetClasses().build().state_dict()  # whose package is no part of the repository
    monkeypatch.setattr(ImageNetClasses, "fetched", lambda self: fresh)
    trained = clip_weights.load(name)
    side = trained.matching.size_px
    clip = torch.rand(1, trained.matching.num_frames, 3, side, side)
    assert trained.matcher().clips(clip).vectors.ndim == 3


@pytest.mark.parametrize("name", published("speech_adapters"))
def test_encoders_of_speech_adapters(name):
    encoder = encoders.load(name)
    assert sum(weight.numel() for weight in encoder.parameters()) > 1e6


@pytest.mark.parametrize("name", published("speech_adapters/asr"))
def test_adapter_sets_of_speech_adapters(name):
    file = Path(ROOT, "speech_adapters", "asr", "weights", f"{name}.safetensors")
    (decoder,) = recogniser.load("small-en", {name: file}, torch.device("cpu")).decoders
    assert decoder.language == name


@pytest.mark.parametrize("name", published("speech_adapters/own"))
def test_sets_of_whisper(name):
    """Without the encoder, whose packages are no part of the repository: its size is, and its hash."""
    file = encoders.PUBLISHED / f"{name}.safetensors"
    made = AdapterSet.load(file)
    assert (made.language, made.origin["model"]) == (name, whisper_base.NAME)
    assert made.backbone.startswith(WHISPER)
    assert file.with_suffix(".md").read_text(encoding="utf-8") == page(made)
    model = CTCModel(build(WHISPER_BASE), len(made.vocabulary))
    apply(made.arm, model.encoder, model.head)
    trained = {key: weight.shape for key, weight in model.named_parameters() if weight.requires_grad}
    assert trained == {key: tensor.shape for key, tensor in made.tensors.items()}
    assert {tensor.dtype for tensor in made.tensors.values()} == {torch.float16}
