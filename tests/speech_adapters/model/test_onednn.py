"""Linear layers by oneDNN are the plain ones but for rounding, forth and back, and keep no more than those."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from speech_adapters.model.onednn import OneDnnLinear, by_onednn, pays

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN"
)


@pytest.fixture(autouse=True)
def _any_processor(monkeypatch):
    monkeypatch.setattr("speech_adapters.model.onednn.pays", lambda: True)


def _nets():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(24, 40), nn.GELU(), nn.Sequential(nn.Linear(40, 12, bias=False)))
    return plain, by_onednn(copy.deepcopy(plain))


def test_outputs_and_gradients_are_those_of_the_plain_layers():
    x = torch.randn(3, 7, 24)
    found = []
    for net in _nets():
        inputs = x.clone().requires_grad_()
        outputs = net(inputs)
        outputs.square().sum().backward()
        found.append([outputs, inputs.grad, *(w.grad for w in net.parameters())])
    for plain, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-4, rtol=1e-4)


def test_weights_keep_their_names_and_are_the_same_tensors():
    plain = nn.Sequential(nn.Linear(3, 4))
    weight = plain[0].weight
    ours = by_onednn(plain)
    assert isinstance(ours[0], OneDnnLinear)
    assert ours[0].weight is weight
    assert list(ours.state_dict()) == ["0.weight", "0.bias"]


def test_a_frozen_layer_keeps_no_input():
    net = by_onednn(nn.Sequential(nn.Linear(24, 40))).requires_grad_(False)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.shape) or x, lambda x: x):
        net(torch.randn(5, 24))
        assert kept == []
        net(torch.randn(5, 24, requires_grad=True))
    assert kept == [(40, 24)]


def test_half_precision_goes_the_usual_way():
    plain, ours = _nets()
    x = torch.randn(5, 24)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(plain(x), ours(x))


def test_a_torch_without_the_product_goes_the_usual_way(monkeypatch):
    monkeypatch.setattr("torch.ops.mkldnn", SimpleNamespace())
    assert pays.__wrapped__() is False
