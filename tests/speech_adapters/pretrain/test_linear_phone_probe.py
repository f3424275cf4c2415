"""The linear phone probe: which phone a frame belongs to, and a classifier equal to sklearn's."""

import numpy as np
import pytest
import torch

from speech_adapters.data.packages.festvox import Phone
from speech_adapters.model.architecture import TINY
from speech_adapters.model.wav2vec2 import Wav2Vec2
from speech_adapters.pretrain import linear_phone_probe
from speech_adapters.pretrain.linear_phone_probe import Probe, depth_name, numbers

SPOKEN = [Phone(0.0, 0.05, "pau"), Phone(0.05, 0.09, "a"), Phone(0.09, 0.13, "b")]


def test_a_frame_has_the_phone_in_its_middle():
    """Middles lie at 12.5, 32.5, 52.5, 72.5, 92.5, 112.5 ms; the last phone goes on for ever."""
    assert numbers(SPOKEN, 0.0, 7, ["a", "b", "pau"]).tolist() == [2, 2, 0, 0, 1, 1, 1]


def test_what_was_cut_off_in_front_moves_the_phones():
    assert numbers(SPOKEN, 0.04, 4, ["a", "b", "pau"]).tolist() == [0, 0, 1, 1]


def test_a_phone_that_is_not_known_has_no_number():
    assert numbers(SPOKEN, 0.0, 5, ["a", "pau"]).tolist() == [1, 1, 0, 0, -1]


def _clouds(distance, count=300, classes=3, channels=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = distance * torch.randn(classes, channels, generator=torch.Generator().manual_seed(5))
    wanted = torch.randint(classes, (count,), generator=generator)
    spread = torch.logspace(-2, 2, channels)  # channels of very different size
    return (centres[wanted] + torch.randn(count, channels, generator=generator)) * spread + 10, wanted


def test_separable_classes_are_separated():
    x, wanted = _clouds(distance=8.0)
    assert torch.equal(Probe.fit(x, wanted, 3).name(x), wanted)


def test_as_good_as_sklearns_logistic_regression():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    (x, wanted), (fresh, truth) = _clouds(1.0), _clouds(1.0, count=2000, seed=1)
    ours = Probe.fit(x, wanted, 3).name(fresh)
    scaler = StandardScaler().fit(x)
    # Their C weighs the summed cross-entropy, ours is a mean with shrinkage / 2 of the squares.
    model = LogisticRegression(C=1 / (linear_phone_probe.SHRINKAGE * len(x)), max_iter=1000)
    theirs = model.fit(scaler.transform(x), wanted).predict(scaler.transform(fresh))
    assert np.mean(ours.numpy() == theirs) > 0.99
    accuracies = [float(np.mean(np.asarray(found) == truth.numpy())) for found in (ours, theirs)]
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.005)
    assert 0.5 < accuracies[0] < 0.98


def test_fitting_draws_no_random_number():
    x, wanted = _clouds(1.0)
    state = torch.get_rng_state()
    first, again = (Probe.fit(x, wanted, 3) for _ in range(2))
    assert torch.equal(first.weights, again.weights)
    assert torch.equal(torch.get_rng_state(), state)


class _Clip:
    """A sentence with as many labels as a second has room for."""

    def __init__(self, number):
        self.id, self.group, self.lead, self.number = f"clip-{number}", f"group-{number}", 0, number

    def waveform(self):
        rng = np.random.default_rng(self.number)
        return (rng.standard_normal(16_000) * 3000).astype(np.int16)


def test_every_depth_of_an_encoder_is_probed_on_other_sentences(monkeypatch):
    clips = {"train": [_Clip(0), _Clip(1)], "test": [_Clip(2)]}
    labels = {f"clip-{n}": [Phone(0.0, 0.5, "a"), Phone(0.5, 1.0, "b")] for n in range(3)}
    monkeypatch.setattr("speech_adapters.data.prepared.clips", lambda source, split: clips[split])
    monkeypatch.setattr(linear_phone_probe, "_labels", lambda: labels)
    torch.manual_seed(0)
    (item,) = linear_phone_probe.score(Wav2Vec2(TINY).eval(), "test")
    depths = [depth_name(depth) for depth in range(3 + TINY.layers)]
    assert depths == ["spectrum", "features", "embedding", "layer1", "layer2"]
    assert set(item.scores) == {"frames", *(f"right/{depth}" for depth in depths)}
    assert item.scores["frames"] == TINY.num_frames(16_000)
    assert all(0 < item.scores[f"right/{depth}"] <= item.scores["frames"] for depth in depths)
