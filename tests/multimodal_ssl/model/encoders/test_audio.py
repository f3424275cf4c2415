"""Audio encoders: torchaudio's log-mel, torchvision's ResNet, and numbers that no padding changes."""

import pytest
import torch
import torchaudio.functional as reference
from torch import nn
from torchvision.models import resnet18

from multimodal_ssl.model.encoders.audio import FLOOR
from multimodal_ssl.model.networks import Audio, ResNet18, SmallAudio

SMALL, RESNET = (Audio(net=net, mels=20) for net in (SmallAudio(widths=(4, 6, 8)), ResNet18()))
EVERY = pytest.mark.parametrize("settings", [SMALL, RESNET], ids=["small", "resnet18"])
LENGTHS = torch.tensor([9000, 0, 30_000, 700, 16_001])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def sounds(longest=30_000):
    """Padding is not zero: nothing may look at it."""
    return torch.rand(len(LENGTHS), longest) - 0.5


def test_log_mel_is_torchaudios_relative_to_silence():
    wave = torch.rand(2, 8000) - 0.5
    ours, num_frames = Audio().build().log_mel(wave, torch.tensor([8000, 8000]))
    power = reference.spectrogram(
        wave, pad=0, window=torch.hann_window(683), n_fft=1024, hop_length=341, win_length=683, power=2,
        normalized=False, center=False,
    )  # fmt: skip
    banks = reference.melscale_fbanks(513, 0, 8000, 80, 16_000)
    theirs = (power.transpose(1, 2) @ banks).transpose(1, 2)
    torch.testing.assert_close(ours, (theirs + FLOOR).log() - torch.tensor(FLOOR).log(), atol=1e-4, rtol=1e-5)
    assert num_frames.tolist() == [ours.shape[2]] * 2 == [1 + (8000 - 1024) // 341] * 2


def test_silence_is_zero_and_a_tone_lies_where_its_pitch_is():
    silence, tone = torch.zeros(16_000), torch.sin(2 * torch.pi * 1000 * torch.arange(16_000) / 16_000)
    mels, _ = Audio().build().log_mel(torch.stack([silence, tone]), torch.tensor([16_000, 16_000]))
    assert not mels[0].any()
    mel = 2595 * torch.tensor(1 + 1000 / 700).log10()  # HTK
    highest = 2595 * torch.tensor(1 + 8000 / 700).log10()
    assert (
        mels[1, :, 10].argmax() == round((mel / highest * 81).item()) - 1
    )  # bin i is centred at (i + 1) / 81


@pytest.mark.parametrize(
    ("num_samples", "frames"), [(0, 0), (1, 1), (1024, 1), (1364, 1), (1365, 2), (16_000, 44)]
)
def test_frames_are_counted_by_windows_that_fit(num_samples, frames):
    _, counted = Audio().build().log_mel(torch.rand(1, 16_000), torch.tensor([num_samples]))
    assert counted.tolist() == [frames]


@EVERY
def test_a_sound_gives_the_same_units_alone_and_in_a_padded_batch(settings):
    encoder, waves = settings.build().double(), sounds().double()
    with torch.no_grad():
        encoder.train()(waves, LENGTHS)  # statistics that are not 0 and 1
        together = encoder.eval()(waves, LENGTHS)
        for i, n in enumerate(LENGTHS.tolist()):
            alone = encoder(waves[i : i + 1, : max(n, 1)], LENGTHS[i : i + 1])
            torch.testing.assert_close(
                together.vectors[i][together.valid[i]], alone.vectors[0][alone.valid[0]], atol=1e-9, rtol=1e-9
            )


@EVERY
def test_padding_and_missing_sounds_change_nothing_in_training(settings):
    """Values, running statistics and gradients, which batch norms tie together."""
    wave, there = sounds().double(), LENGTHS > 0
    longer = torch.cat([wave, torch.full((len(wave), 9000), 0.9).double()], 1)
    results = []
    for given, lengths in ((wave[there], LENGTHS[there]), (longer, LENGTHS)):
        torch.manual_seed(1)
        encoder = settings.build().double()
        units = encoder(given, lengths)
        valid = units.vectors[units.valid]
        valid.square().sum().backward()
        results.append([valid, *(w.grad for w in encoder.parameters()), *encoder.buffers()])
    for short, long in zip(*results, strict=True):
        assert (short - long).double().norm() <= 1e-9 * (1 + long.double().norm())


@EVERY
def test_clips_without_sound_are_missing(settings):
    encoder = settings.build()
    assert encoder(sounds(), LENGTHS).missing.tolist() == [False, True, False, False, False]
    nothing = encoder(sounds(), torch.zeros_like(LENGTHS))
    assert nothing.missing.all()
    assert nothing.vectors.shape == (5, 1, encoder.width)


def test_resnet_is_torchvisions_before_its_pooling():
    ours, theirs = RESNET.build(), resnet18(weights=None)
    theirs.conv1, theirs.fc = nn.Conv2d(1, 64, 7, 2, 3, bias=False), nn.Identity()
    ours.net.load_state_dict({k: v for k, v in theirs.state_dict().items() if k[:2] != "fc"})
    wave, lengths = torch.rand(3, 20_000) - 0.5, torch.full((3,), 20_000)
    mels, _ = ours.log_mel(wave, lengths)
    torch.testing.assert_close(
        ours(wave, lengths).vectors.mean(1), theirs(mels[:, None]), atol=1e-5, rtol=1e-4
    )


def test_a_unit_hears_its_own_time():
    encoder = SMALL.build().eval()
    quiet = torch.zeros(1, 32_000)
    click = quiet.clone()
    click[0, 20_000:21_000] = torch.rand(1000) - 0.5
    change = encoder(click, torch.tensor([32_000])).vectors - encoder(quiet, torch.tensor([32_000])).vectors
    assert abs(int(change.norm(dim=2)[0].argmax()) - 20_500 / (8 * 341)) <= 1
