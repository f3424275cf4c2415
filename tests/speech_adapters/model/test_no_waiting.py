"""A step on a device never asks it for a number: on `meta`, which has none, asking is an error."""

from contextlib import nullcontext

import pytest
import torch

from speech_adapters.model.adapters import apply
from speech_adapters.model.architecture import Architecture
from speech_adapters.model.arm import Arm
from speech_adapters.model.best_rq import BestRQModel
from speech_adapters.model.contrastive import ContrastiveModel
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.objective import QuantiserSizes
from speech_adapters.model.wav2vec2 import Wav2Vec2

SIZES = {"conv": ((8, 10, 5), (8, 3, 2), (12, 2, 2)), "width": 24, "layers": 2, "heads": 2, "inner": 40,
         "positional_kernel": 8, "positional_groups": 4}  # fmt: skip
NORMS = {
    "post": {},
    "pre": {"pre_norm": True, "conv_norm": "layer", "conv_bias": True, "normalise_input": True},
}
LENGTHS = {"alike": [900, 900], "ragged": [900, 500]}
norms = pytest.mark.parametrize("norm", NORMS)
lengths = pytest.mark.parametrize("ragged", LENGTHS)


@pytest.fixture(autouse=True)
def _no_autocast(monkeypatch):
    """Which `meta` does not have."""
    monkeypatch.setattr(torch, "autocast", lambda *device, **settings: nullcontext())


def _given(norm, ragged):
    architecture = Architecture(**SIZES, **NORMS[norm])
    num_samples = torch.tensor(LENGTHS[ragged])
    mask = torch.arange(architecture.num_frames(900)) % 5 < torch.tensor([[2], [1]])
    mask &= torch.arange(mask.shape[1]) < architecture.num_frames(num_samples)[:, None]
    return Wav2Vec2(architecture), torch.zeros(2, 900, device="meta"), num_samples, mask


@norms
@lengths
def test_a_recogniser_steps_without_waiting(norm, ragged):
    encoder, waveform, num_samples, mask = _given(norm, ragged)
    model = CTCModel(encoder, 6).to("meta").train()
    apply(Arm(kind="adapters", bottleneck=4), model.encoder, model.head)
    log_probs, counts = model.to("meta")(waveform, num_samples, time_mask=mask)
    assert counts.device.type == "cpu"
    log_probs.sum().backward()


@norms
@lengths
def test_contrastive_training_steps_without_waiting(norm, ragged):
    encoder, *given = _given(norm, ragged)
    model = ContrastiveModel(encoder, QuantiserSizes()).to("meta").train()
    losses = model(*given, seeds=(1, 2), masked_frames_per_shard=20.0)
    torch.stack(list(losses.values())).sum().backward()


@lengths
def test_random_projection_training_steps_without_waiting(ragged):
    encoder, *given = _given("post", ragged)
    losses = BestRQModel(encoder).to("meta").train()(*given)
    torch.stack(list(losses.values())).sum().backward()
