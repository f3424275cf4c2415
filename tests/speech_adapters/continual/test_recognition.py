"""Recognition as a test of encoders: it changes none, gives each the same, and stacks adapters on a language's."""

import copy
import json
import os
from pathlib import Path

import golden
import pytest
import torch

from common import checkpoint, trainer
from speech_adapters.asr.deaf import Deaf
from speech_adapters.continual import recognition
from speech_adapters.continual.evaluation_settings import ShortTraining
from speech_adapters.continual.recognition import Recognise, ShareTriStage
from speech_adapters.ctc.scoring import score_utterance
from speech_adapters.data.sources import TONES
from speech_adapters.model.adapters import apply
from speech_adapters.model.architecture import TINY
from speech_adapters.model.arm import Arm
from speech_adapters.model.wav2vec2 import Wav2Vec2

HEAD, SMALL = Arm(kind="head"), Arm(kind="adapters", bottleneck=6)
ARMS = {"all": Arm(kind="full"), "adapters": SMALL, "head": HEAD}
# Scores as they were when recognisers were trained by a loop of their own.
# Equal to the bit on the CPU that made them.
TOLERANCE = golden.SAME_CPU if torch.backends.cpu.get_cpu_capability() == "AVX512" else golden.OTHER_CPU
BEFORE = json.loads(Path(__file__).with_name("recognition_before.json").read_text())


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


def _recognised(encoder, arm, seed=0, steps=3, train_s=900.0):
    short = ShortTraining(steps=steps, peak_lr=1e-2, train_s=train_s)
    return list(recognition.recognise(encoder, arm, TONES, "test", seed=seed, training=short))


@pytest.fixture
def kept(monkeypatch):
    """Tensors of recognisers after their training, and before."""
    after, before = [], []
    train = trainer.train

    def spy(recipe, **more):
        before.append(copy.deepcopy(recipe.model().state_dict()))
        trained = train(recipe, **more)
        after.append(checkpoint.load(trained.weights).tensors)
        return trained

    monkeypatch.setattr(trainer, "train", spy)
    return after, before


@pytest.mark.parametrize("name", ARMS)
@pytest.mark.parametrize("adapted", [False, True], ids=["bare", "adapted"])
def test_the_encoder_given_is_not_changed(name, adapted):
    encoder = _encoder(adapted)
    before = copy.deepcopy(encoder.state_dict())
    asked = [weight.requires_grad for weight in encoder.parameters()]
    _recognised(encoder, ARMS[name])
    assert all(torch.equal(weight, before[key]) for key, weight in encoder.state_dict().items())
    assert encoder.state_dict().keys() == before.keys()
    assert [weight.requires_grad for weight in encoder.parameters()] == asked
    assert not encoder.training


def test_stacked_adapters_leave_the_languages_own_frozen(kept):
    language = _encoder(adapted=True)
    _recognised(language, SMALL)
    ((after,), (before,)) = kept
    moved = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    for number, layer in enumerate(language.layers):
        place = f"encoder.layers.{number}.after_attention"
        own = layer.after_attention.state_dict()
        assert all(torch.equal(weight, after[f"{place}.0.{key}"]) for key, weight in own.items())
        assert len(after[f"{place}.1.down.weight"]) == SMALL.bottleneck
    allowed = ("after_attention.1.", "after_feed_forward.1.", "_norm.", "head.")
    assert {name for name in moved if not any(part in name for part in allowed)} == set()
    assert any("after_attention.1.up" in name for name in moved)


def test_the_head_alone_is_a_linear_probe(kept):
    _recognised(_encoder(), HEAD)
    ((after,), (before,)) = kept
    moved = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert moved == {"head.weight", "head.bias"}


def test_the_same_seed_gives_the_same_and_another_another():
    first, again, other = (_recognised(_encoder(), HEAD, seed=seed) for seed in (0, 0, 1))
    assert [found.scores for _, found in first] == [found.scores for _, found in again]
    assert [found.scores for _, found in first] != [found.scores for _, found in other]


def test_every_encoder_begins_with_the_same_head_and_batches(kept):
    torch.manual_seed(3)
    _recognised(_encoder(), HEAD)
    _recognised(Wav2Vec2(TINY), HEAD)  # other weights
    _, (one, two) = kept
    assert torch.equal(one["head.weight"], two["head.weight"])


def test_every_utterance_of_the_part_is_recognised_once_and_training_teaches():
    recognised = _recognised(_encoder(), HEAD, steps=1)
    assert [one.id for one, _ in recognised] == [one.id for one in TONES.utterances("test")]

    def nats(recognised):
        return sum(found.scores["ctc_nats"] for _, found in recognised) / sum(
            f.scores["characters"] for _, f in recognised
        )

    assert nats(_recognised(_encoder(), HEAD, steps=80)) < nats(recognised) - 0.2


def test_one_that_hears_nothing_is_that_of_recognition_and_reads_what_a_training_reads():
    arm = Deaf(source=TONES, architecture=TINY, backbone="")
    model = arm.model()
    expected = {
        one.id: score_utterance(arm.log_probs(model, one), one).scores["ctc_nats"]
        for one in arm.utterances("test")
    }
    everything, little = (
        recognition.deaf_nats(TINY, TONES, "test", ShortTraining(steps=3, peak_lr=1e-2, train_s=most_s))
        for most_s in (1e6, 5.0)
    )
    assert everything == pytest.approx(expected, rel=1e-6)
    assert little.keys() == expected.keys()
    assert little != everything


def test_only_so_many_seconds_are_trained_on():
    utterances = TONES.utterances("train")
    for most_s in (1.0, 5.0, 1e6):
        chosen = recognition._first(TONES, most_s, Path())
        assert chosen == utterances[: len(chosen)]
        assert sum(one.samples for one in chosen) <= most_s * 16_000
    assert len(chosen) == len(utterances)


def test_rates_warm_up_hold_and_decay():
    schedule = ShareTriStage()
    rates = [schedule.rate(1.0, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[10:50] == [1.0] * 40
    assert rates[100] == pytest.approx(schedule.final_ratio)
    assert rates == sorted(rates[:11]) + sorted(rates[11:], reverse=True)


@pytest.mark.parametrize("case", BEFORE)
def test_numbers_are_those_of_the_loop_that_was_before(case):
    adapted, name, seed, steps = case.split()
    train_s = 8.0 if steps == "12" else 900.0
    recognised = _recognised(_encoder(adapted == "adapted"), ARMS[name], int(seed), int(steps), train_s)
    for (_, found), (hypothesis, scores) in zip(recognised, BEFORE[case], strict=True):
        assert found.hypothesis == hypothesis
        assert found.scores == pytest.approx(scores, rel=TOLERANCE)


def test_a_recogniser_in_a_process_of_torchrun_trains_alone(monkeypatch):
    """Scoring is done by the first rank, while the others are gone."""
    expected = [found.scores for _, found in _recognised(_encoder(), HEAD)]
    for key, value in {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setitem(os.environ, key, value)
    assert [found.scores for _, found in _recognised(_encoder(), HEAD)] == expected


def test_nothing_of_a_training_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _recognised(_encoder(), SMALL)
    assert list(tmp_path.iterdir()) == []


def test_the_recipe_can_be_trained_by_itself(tmp_path):
    from speech_adapters.checkpoints.model_files import save_encoder

    save_encoder(tmp_path / "encoder.safetensors", _encoder())
    recipe = Recognise(
        source=TONES,
        arm=HEAD,
        encoder=str(tmp_path / "encoder.safetensors"),
        head_seed=0,
        steps=3,
        peak_lr=1e-2,
    )
    trained = trainer.train(recipe, seed=0, folder=tmp_path / "run", device="cpu")
    model = recipe.model()
    model.load_state_dict(checkpoint.load(trained.weights).tensors)
    items = list(recipe.score(model.eval(), seed=0, split="test", pictures=tmp_path))
    assert [item.scores for item in items] == [found.scores for _, found in _recognised(_encoder(), HEAD)]
