"""The linear phone probe: which phone a frame belongs to, and the classifier's minimum."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from speech_adapters.data.packages.festvox import FestvoxRussian, Phone
from speech_adapters.data.prepared import PreparedUtterance
from speech_adapters.model.architecture import TINY
from speech_adapters.model.wav2vec2 import Wav2Vec2
from speech_adapters.pretrain import linear_phone_probe
from speech_adapters.pretrain.linear_phone_probe import SHRINKAGE, fit, numbers
from speech_adapters.pretrain.measures import depth_name

SPOKEN = [Phone(0.0, 0.05, "pau"), Phone(0.05, 0.09, "a"), Phone(0.09, 0.13, "b")]


def test_a_frame_has_the_phone_in_its_middle():
    """Middles lie at 12.5, 32.5, 52.5, 72.5, 92.5, 112.5 ms; the last phone goes on for ever."""
    assert numbers(SPOKEN, 0.0, 7, ["a", "b", "pau"]).tolist() == [2, 2, 0, 0, 1, 1, 1]


def test_what_was_cut_off_in_front_moves_the_phones():
    assert numbers(SPOKEN, 0.04, 4, ["a", "b", "pau"]).tolist() == [0, 0, 1, 1]


def test_a_phone_that_is_not_known_has_no_number():
    assert numbers(SPOKEN, 0.0, 5, ["a", "pau"]).tolist() == [1, 1, 0, 0, -1]


def _clouds(distance, count=300, classes=3, channels=6, seed=0):
    rng = np.random.default_rng(seed)
    centres = distance * np.random.default_rng(5).normal(size=(classes, channels))
    wanted = rng.integers(classes, size=count)
    spread = np.logspace(-2, 2, channels)  # channels of very different size
    return (centres[wanted] + rng.normal(size=(count, channels))) * spread + 10, wanted


def test_separable_classes_are_separated():
    x, wanted = _clouds(distance=8.0)
    assert (fit(x, wanted).predict(x) == wanted).all()


def test_the_probe_is_at_the_least_cross_entropy_with_shrinkage():
    """By torch's optimiser, of the mean cross-entropy and half the squared weights."""
    (x, wanted), (fresh, truth) = _clouds(1.0), _clouds(1.0, count=2000, seed=1)
    ours = fit(x, wanted).predict(fresh)
    mean, scale = x.mean(0), x.std(0)
    standard, other = (torch.tensor((y - mean) / scale) for y in (x, fresh))
    weights = torch.zeros(6, 3, dtype=torch.double, requires_grad=True)
    bias = torch.zeros(3, dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=500, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        told = torch.nn.functional.cross_entropy(standard @ weights + bias, torch.tensor(wanted))
        value = told + SHRINKAGE / 2 * weights.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    theirs = (other @ weights + bias).argmax(dim=1).numpy()
    assert np.mean(ours == theirs) > 0.99
    accuracies = [float(np.mean(found == truth)) for found in (ours, theirs)]
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.005)
    assert 0.5 < accuracies[0] < 0.98


def test_fitting_draws_no_random_number():
    x, wanted = _clouds(1.0)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again = (fit(x, wanted)[-1].coef_ for _ in range(2))
    assert np.array_equal(first, again)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


@dataclass(frozen=True)
class _Noise(PreparedUtterance):
    """A sentence with as many labels as a second has room for."""

    def waveform(self):
        rng = np.random.default_rng(self.start)
        return (rng.standard_normal(16_000) * 3000).astype(np.int16)


def _noise(number):
    return _Noise(f"u{number}", "festvox-ru", "ru", "", f"group-{number}", "nsh", number, 16_000, 0)


def test_every_depth_of_an_encoder_is_probed_on_other_sentences(monkeypatch):
    spoken = {"train": (_noise(0), _noise(1)), "test": (_noise(2),)}
    labels = {f"u{n}": [Phone(0.0, 0.5, "a"), Phone(0.5, 1.0, "b")] for n in range(3)}
    monkeypatch.setattr(FestvoxRussian, "utterances", lambda self, part: spoken[part])
    monkeypatch.setattr(FestvoxRussian, "phones", lambda self: labels)
    torch.manual_seed(0)
    (item,) = linear_phone_probe.score(Wav2Vec2(TINY).eval(), "test")
    depths = [depth_name(depth) for depth in range(3 + TINY.layers)]
    assert depths == ["spectrum", "features", "embedding", "layer1", "layer2"]
    assert set(item.scores) == {"frames", *(f"right/{depth}" for depth in depths)}
    assert item.scores["frames"] == TINY.num_frames(16_000)
    assert all(0 < item.scores[f"right/{depth}"] <= item.scores["frames"] for depth in depths)
