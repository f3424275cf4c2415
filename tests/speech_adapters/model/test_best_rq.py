"""Fixed codes of the spectrum: nothing trains them, loudness and padding do not reach them, they can be learned."""

import math

import pytest
import torch

from speech_adapters.model.architecture import TINY, Masking
from speech_adapters.model.best_rq import FLOOR, BestRQModel, RandomProjectionQuantiser
from speech_adapters.model.wav2vec2 import Wav2Vec2, pad, span_mask
from speech_adapters.pretrain.recipe import FirstStage

CODES = 16


def _model(unmasked_weight=0.5, seed=0):
    torch.manual_seed(seed)
    return BestRQModel(Wav2Vec2(TINY), codebooks=2, codes=CODES, unmasked_weight=unmasked_weight)


def _batch(*lengths):
    torch.manual_seed(1)
    waveform, num_samples = pad([0.1 * torch.randn(length) for length in lengths])
    num_frames = TINY.num_frames(num_samples)
    return waveform, num_samples, span_mask(num_frames, int(num_frames.max()), Masking(start=0.1, span=4))


def _train(model, batch, steps, lr=3e-3):
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    seen = []
    for _ in range(steps):
        losses = model(*batch)
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        seen.append(losses["masked"].item())
    return seen


def test_a_code_for_each_of_the_encoders_frames():
    for samples in (TINY.receptive_field, 5000, 5119, 5120):
        codes = RandomProjectionQuantiser(TINY, codebooks=3, codes=CODES)(torch.randn(samples))
        assert codes.shape == (TINY.num_frames(samples), 3)
        assert 0 <= codes.min() <= codes.max() < CODES


def test_codes_never_change_with_training_and_are_the_same_in_every_model():
    batch, model = _batch(8000), _model()
    before = model.quantiser(batch[0][0])
    _train(model, batch, steps=3)
    assert torch.equal(model.quantiser(batch[0][0]), before)
    assert torch.equal(_model(seed=9).quantiser(batch[0][0]), before)
    assert not [name for name, _ in model.named_parameters() if name.startswith("quantiser")]
    assert not [name for name in model.state_dict() if name.startswith("quantiser")]


def test_codes_tell_sounds_apart():
    """Every utterance has its own mean taken off, so it is a change inside one that shows."""
    seconds = torch.arange(8000) / 16_000
    tones = [torch.sin(2 * math.pi * hertz * seconds) for hertz in (300.0, 2000.0)]
    codes = RandomProjectionQuantiser(TINY, codebooks=4, codes=128)(torch.cat(tones))
    low, high = codes[4:20], codes[-20:-4]
    assert (low == low[0]).float().mean() > 0.9
    assert (low != high[: len(low)]).float().mean() > 0.9


def test_padding_changes_no_loss():
    model, (waveform, lengths, mask) = _model().eval(), _batch(9000, 5000)
    whole = model(waveform, lengths, mask)
    counts = {"masked": mask.sum(1), "unmasked": TINY.num_frames(lengths) - mask.sum(1)}
    alone = [
        model(waveform[i : i + 1, :n], lengths[i : i + 1], mask[i : i + 1, : TINY.num_frames(n)])
        for i, n in enumerate(lengths.tolist())
    ]
    for name, loss in whole.items():
        mean = sum(count * part[name] for count, part in zip(counts[name], alone, strict=True))
        assert float(loss) == pytest.approx(float(mean / counts[name].sum()), rel=1e-5)


def test_loudness_changes_no_code_until_the_floor_is_reached():
    codes, sound = RandomProjectionQuantiser(TINY, codebooks=4, codes=128), 0.1 * torch.randn(16_000)

    def agreeing(gain):
        return float((codes(gain * sound) == codes(sound)).float().mean())

    assert min(agreeing(gain) for gain in (0.1, 0.5, 3.0)) > 0.99
    assert agreeing(math.sqrt(FLOOR) / 1e3) < 0.5


def test_a_model_that_knows_nothing_is_at_chance_and_the_journal_says_where_that_is():
    model, batch = _model(unmasked_weight=0.0), _batch(16_000, 16_000)
    assert set(model(*batch)) == {"masked"}
    assert model(*batch)["masked"].item() == pytest.approx(math.log(CODES), rel=0.1)
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    assert model(*batch)["masked"].item() == pytest.approx(math.log(CODES), rel=1e-6)
    monitored = FirstStage(steps=1, codes=CODES).monitor(model)
    assert monitored["chance"].item() == pytest.approx(math.log(CODES))


def test_a_tiny_net_overfits_one_batch():
    model, batch = _model(), _batch(8000)
    seen = _train(model, batch, steps=200, lr=1e-2)
    assert seen[-1] < 0.3 * seen[0]
    assert model.metrics["accuracy"] > 0.9


def test_a_first_stage_that_stays_at_chance_is_stopped():
    recipe = FirstStage(steps=6000, codes=CODES)
    row = {"masked": math.log(CODES), "chance": math.log(CODES), "accuracy": 0.06}
    told = [recipe.check(row, step) for step in range(2000, 4001, 100)]
    assert told.index(next(filter(None, told))) == 10  # at step 3000
    assert "nothing is learned" in told[-1]
    assert not any(recipe.check(row | {"masked": 0.9 * row["masked"]}, step) for step in range(0, 6000, 100))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_losses_and_gradients_of_the_cpu():
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    model, batch = _model(), _batch(9000, 7000)
    found = []
    for device in ("cpu", "cuda"):
        model.to(device).zero_grad()
        losses = model(*(tensor.to(device) for tensor in batch))
        torch.stack(list(losses.values())).sum().backward()
        gradients = {name: weight.grad.cpu().clone() for name, weight in model.named_parameters()}
        found.append(({name: loss.item() for name, loss in losses.items()}, gradients))
    (losses, gradients), (theirs, there) = found
    assert theirs == pytest.approx(losses, rel=1e-4)
    for name, gradient in gradients.items():
        torch.testing.assert_close(there[name], gradient, atol=1e-5, rtol=1e-3)
