"""A folder of made-up recordings under a data root of its own; models and adapter sets of made-up weights."""

from pathlib import Path

import pytest
import torch
from radio_files import SOURCE, forget, record
from speech_tool import ENGLISH, talkative

from speech_adapters.checkpoints import model_files
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.model.adapters import apply
from speech_adapters.model.arm import Arm


@pytest.fixture
def radio(tmp_path, monkeypatch):
    """A folder of a temporary data root."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    forget()
    yield tmp_path / "radio"
    forget()


@pytest.fixture
def recorded(radio):
    """Twenty recordings of a second, all for training, one of which is three times as long as the others."""
    for i in range(20):
        record(radio / f"all/{i:02d}.wav", 3.0 if i == 4 else 1.0)
    (radio / "none").mkdir()
    SOURCE.prepare()
    return radio


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """recogniser, nameless (whose symbols nobody knows), encoder, other; sets en and fr of the encoder."""
    folder = tmp_path_factory.mktemp("models")
    model = talkative()
    model_files.save_recogniser(folder / "recogniser.safetensors", model, ENGLISH.symbols)
    model_files.save_recogniser(folder / "nameless.safetensors", model, None)
    model_files.save_encoder(folder / "encoder.safetensors", model.encoder)
    model_files.save_encoder(folder / "other.safetensors", talkative(seed=5).encoder)
    for seed, language in enumerate(("en", "fr")):
        own = talkative()
        backbone = model_files.backbone_sha256(own.encoder)
        arm = Arm(kind="adapters", bottleneck=4)
        apply(arm, own.encoder, own.head)
        torch.manual_seed(seed)
        with torch.no_grad():
            own.head.weight.normal_()
        AdapterSet.of(own, arm, language, backbone, {}).save(folder / f"{language}.safetensors")
    return folder
