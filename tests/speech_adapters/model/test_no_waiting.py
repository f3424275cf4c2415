"""A step on a device never asks it for a number, and is sent what the host knows without waiting for it.

On `meta`, which has no numbers, asking is an error.
"""

from contextlib import nullcontext

import pytest
import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from common.sending import sent
from speech_adapters.ctc.loss import ctc_loss_per_item
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


class _NoPlainCopies(TorchFunctionMode):
    """A plain copy from the host to a GPU waits for all that the GPU was told before."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if func is torch.Tensor.to and args[0].device.type == "cpu" and found.device.type == "meta":
            assert (kwargs or {}).get("non_blocking"), "a copy that waits"
        return found


def test_a_plain_copy_is_noticed_and_a_sent_tensor_is_there():
    x = torch.ones(2)
    with _NoPlainCopies():
        with pytest.raises(AssertionError, match="a copy that waits"):
            x.to("meta")
        assert sent(x, "meta").device.type == "meta"
        assert torch.equal(sent(x, "cpu"), x)


def _given(norm, ragged):
    architecture = Architecture(**SIZES, **NORMS[norm])
    num_samples = torch.tensor(LENGTHS[ragged])
    mask = torch.arange(architecture.num_frames(900)) % 5 < torch.tensor([[2], [1]])
    mask &= torch.arange(mask.shape[1]) < architecture.num_frames(num_samples)[:, None]
    return Wav2Vec2(architecture), torch.zeros(2, 900, device="meta"), num_samples, mask


@norms
@lengths
@pytest.mark.parametrize("packed", [False, True])
def test_a_recogniser_steps_without_waiting(norm, ragged, packed):
    """Packing is for CPUs and changes nothing here."""
    encoder, waveform, num_samples, mask = _given(norm, ragged)
    model = CTCModel(encoder, 6).to("meta").train()
    apply(Arm(kind="adapters", bottleneck=4), model.encoder, model.head)
    model = model.to("meta")
    with _NoPlainCopies():
        log_probs, counts = model(waveform, num_samples, time_mask=mask, packed=packed)
        log_probs.sum().backward()
    assert len(log_probs) == 2
    assert counts.device.type == "cpu"


def test_the_loss_of_a_recogniser_asks_for_nothing_and_refuses_on_the_host(monkeypatch):
    told = []
    monkeypatch.setattr(
        torch, "_assert_async", lambda fine, sentence: told.append((fine.device.type, sentence))
    )
    monkeypatch.setattr(F, "ctc_loss", lambda log_probs, *given, reduction: log_probs.sum(dim=(0, 2)))
    log_probs, labels = torch.zeros(2, 9, 5, device="meta"), torch.tensor([[1, 2, 3], [4, 0, 0]])
    with _NoPlainCopies():
        losses = ctc_loss_per_item(log_probs, torch.tensor([9, 7]), labels, torch.tensor([3, 1]))
    assert losses.shape == (2,)
    assert told == [("meta", "log-probabilities must be 0 or less; apply log_softmax")]
    with pytest.raises(ValueError, match="item 0: 3 labels with 0 repeats need 3 frames, got 2"):
        ctc_loss_per_item(log_probs, torch.tensor([2, 7]), labels, torch.tensor([3, 1]))


@norms
@lengths
def test_contrastive_training_steps_without_waiting(norm, ragged):
    encoder, *given = _given(norm, ragged)
    model = ContrastiveModel(encoder, QuantiserSizes()).to("meta").train()
    with _NoPlainCopies():
        losses = model(*given, seeds=(1, 2), masked_frames_per_shard=20.0)
        torch.stack(list(losses.values())).sum().backward()


@lengths
def test_random_projection_training_steps_without_waiting(ragged):
    encoder, *given = _given("post", ragged)
    model = BestRQModel(encoder).to("meta").train()
    with _NoPlainCopies():
        torch.stack(list(model(*given).values())).sum().backward()
