"""Laws of the wide-activation network: one frame in, bicubic at start, no NaN from weight normalisation."""

import pytest
import torch
from torch.nn import functional as F

from common.data.resize import upscale
from video_sr.models.wide_activation import WideActivationBlock
from video_sr.networks import WideActivationSizes
from video_sr.objective import l1


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def tiny(stages=(4, 4)):
    return WideActivationSizes(channels=8, blocks=2, expansion=4, squeeze=4, stages=stages).build()


def stirred(network):
    """A network away from its start, where its detail is not zero."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return network


@pytest.mark.parametrize("stages", [(4, 4), (2, 2, 2, 2), (16,)])
@pytest.mark.parametrize("size", [(8, 8), (23, 17), (1, 1)])
def test_new_network_is_bicubic(stages, size):
    frames = torch.rand(2, 1, 3, *size)
    assert torch.equal(tiny(stages)(frames), upscale(frames[:, 0], 16))


def test_neighbours_are_ignored():
    network, frames = stirred(tiny()), torch.rand(2, 5, 3, 8, 9)
    assert torch.equal(network(frames), network(frames[:, 2:3]))
    assert network.num_frames == 1


def test_first_steps_stay_finite_and_move_every_weight_but_the_silent():
    """Weight normalisation divides by a norm: a zero weight would turn into NaN here."""
    network = tiny()
    start = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(3):
        optimiser.zero_grad()
        l1(network(torch.rand(1, 1, 3, 6, 6)), torch.rand(1, 3, 96, 96)).backward()
        optimiser.step()
    for name, weight in network.named_parameters():
        assert weight.isfinite().all(), name
        assert not torch.equal(weight, start[name]), name


def test_pictures_of_a_batch_do_not_mix():
    network, frames = stirred(tiny()), torch.rand(2, 1, 3, 8, 9)
    apart = torch.cat([network(frame[None]) for frame in frames])
    torch.testing.assert_close(network(frames), apart, atol=1e-5, rtol=1e-5)


def test_same_seed_gives_the_same_network_and_picture():
    frames, pictures = torch.rand(1, 1, 3, 8, 8), []
    for _ in range(2):
        torch.manual_seed(7)
        pictures.append(stirred(tiny())(frames))
    assert torch.equal(*pictures)


def test_one_batch_can_be_overfitted():
    """From the bicubic start down to less than a fifth of its loss."""
    network, frames = tiny(), torch.rand(1, 1, 3, 4, 4)
    truth = F.interpolate(torch.rand(1, 3, 32, 32), size=(64, 64), mode="bicubic").clamp(0, 1)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for step in range(150):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / 150)
        loss = l1(network(frames), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 5


def test_block_is_wide_at_the_relu_and_narrow_at_the_3x3():
    block = WideActivationBlock(64, wide=384, narrow=51, squeeze=16)
    assert block.widen.out_channels == 384
    assert block.narrow.out_channels == block.spread.in_channels == 51


def test_weight_count_at_full_size():
    """1,856 to enter, 16 blocks of 75,114, 591,872 and 27,696 for the two stages; a gain for each normalised row."""
    assert sum(weight.numel() for weight in WideActivationSizes().build().parameters()) == 1_823_248
