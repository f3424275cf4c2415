"""Recognition as a test of encoders: it changes none, gives each the same, and stacks adapters on a language's."""

import copy
from dataclasses import replace

import pytest
import torch

from speech_adapters.continual import recognition
from speech_adapters.continual.continuing import ADAPTERS, FULL, HEAD
from speech_adapters.data import prepared, synthetic
from speech_adapters.model.adapters import apply
from speech_adapters.model.architecture import TINY
from speech_adapters.model.arm import Arm
from speech_adapters.model.wav2vec2 import Wav2Vec2

SMALL = replace(ADAPTERS, bottleneck=6)
ARMS = {"all": FULL, "adapters": SMALL, "head": HEAD}


def _encoder(adapted=False):
    torch.manual_seed(0)
    encoder = Wav2Vec2(TINY).eval()
    if adapted:  # as after pre-training on a language
        apply(Arm(kind="adapters", bottleneck=8), encoder)
        with torch.no_grad():
            for weight in encoder.parameters():
                if weight.requires_grad:
                    weight += 0.1 * torch.randn_like(weight)
    return encoder


def _heard(encoder, arm, seed=0, steps=3, **more):
    return list(
        recognition.recognise(encoder, arm, "tones", "test", seed=seed, steps=steps, peak_lr=1e-2, **more)
    )


@pytest.fixture
def kept(monkeypatch):
    """Recognisers that were made, and copies of them before they were trained."""
    models, before = [], []
    train = recognition._train

    def spy(model, *rest):
        models.append(model)
        before.append(copy.deepcopy(model.state_dict()))
        train(model, *rest)

    monkeypatch.setattr(recognition, "_train", spy)
    return models, before


@pytest.mark.parametrize("name", ARMS)
@pytest.mark.parametrize("adapted", [False, True], ids=["bare", "adapted"])
def test_the_encoder_given_is_not_changed(name, adapted):
    encoder = _encoder(adapted)
    before = copy.deepcopy(encoder.state_dict())
    asked = [weight.requires_grad for weight in encoder.parameters()]
    _heard(encoder, ARMS[name])
    assert all(torch.equal(weight, before[key]) for key, weight in encoder.state_dict().items())
    assert encoder.state_dict().keys() == before.keys()
    assert [weight.requires_grad for weight in encoder.parameters()] == asked
    assert not encoder.training


def test_stacked_adapters_leave_the_languages_own_frozen(kept):
    language = _encoder(adapted=True)
    _heard(language, SMALL)
    ((model,), (before,)) = kept
    moved = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    for number, layer in enumerate(model.encoder.layers):
        lower, upper = layer.after_attention
        own = language.layers[number].after_attention
        assert all(torch.equal(weight, own.state_dict()[key]) for key, weight in lower.state_dict().items())
        assert upper.down.out_features == SMALL.bottleneck
    allowed = ("after_attention.1.", "after_feed_forward.1.", "_norm.", "head.")
    assert {name for name in moved if not any(part in name for part in allowed)} == set()
    assert any("after_attention.1.up" in name for name in moved)


def test_the_head_alone_is_a_linear_probe(kept):
    _heard(_encoder(), HEAD)
    ((model,), (before,)) = kept
    moved = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    assert moved == {"head.weight", "head.bias"}


def test_the_same_seed_gives_the_same_and_another_another():
    first, again, other = (_heard(_encoder(), HEAD, seed=seed) for seed in (0, 0, 1))
    assert [found.scores for _, found in first] == [found.scores for _, found in again]
    assert [found.scores for _, found in first] != [found.scores for _, found in other]


def test_every_encoder_begins_with_the_same_head_and_batches(kept):
    torch.manual_seed(3)
    _heard(_encoder(), HEAD)
    _heard(Wav2Vec2(TINY), HEAD)  # other weights
    _, (one, two) = kept
    assert torch.equal(one["head.weight"], two["head.weight"])


def test_every_clip_of_the_part_is_heard_once_and_training_teaches():
    heard = _heard(_encoder(), HEAD, steps=1)
    assert [clip.id for clip, _ in heard] == [clip.id for clip in synthetic.clips("test")]

    def nats(heard):
        return sum(found.scores["ctc_nats"] for _, found in heard) / sum(
            f.scores["characters"] for _, f in heard
        )

    assert nats(_heard(_encoder(), HEAD, steps=80)) < nats(heard) - 0.2


def test_only_so_many_seconds_are_trained_on():
    clips = prepared.clips("tones", "train")
    for most_s in (1.0, 5.0, 1e6):
        chosen = recognition._first(clips, most_s)
        assert chosen == list(clips[: len(chosen)])
        assert sum(clip.samples for clip in chosen) <= most_s * 16_000
    assert len(chosen) == len(clips)


def test_rates_warm_up_hold_and_decay():
    rates = [recognition._tri_stage(step / 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[10:50] == [1.0] * 40
    assert rates[100] == pytest.approx(recognition.FINAL)
    assert rates == sorted(rates[:11]) + sorted(rates[11:], reverse=True)
