"""Laws of EVESRNet: a new one is bicubic, alignment starts plain, clips do not mix, and it learns."""

import pytest
import torch
from torch.nn import functional as F

from common.data.resize import upscale
from video_sr.models.alignment import Compare, PcdAlignment, pad_to_multiple
from video_sr.models.evesrnet import Epab
from video_sr.networks import EVESRNetSizes
from video_sr.objective import charbonnier


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def tiny(num_frames=3, tail_channels=(8, 8, 4, 4)):
    return EVESRNetSizes(
        num_frames=num_frames,
        channels=8,
        groups=2,
        front_blocks=1,
        trunk_blocks=1,
        tail_channels=tail_channels,
        squeeze=2,
    ).build()


def stirred(network):
    """A network away from its start: every weight moved, so that each layer takes part in the output."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return network.eval()


def num_weights(module):
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("size", [(8, 8), (45, 80), (23, 17), (3, 2), (1, 1)])
def test_new_network_is_bicubic_at_any_size(size):
    frames = torch.rand(1, 3, 3, *size)
    with torch.no_grad():
        assert torch.equal(tiny(tail_channels=(4, 4))(frames), upscale(frames[:, 1], 16))


def test_challenge_size_is_padded_inside_and_cropped():
    with torch.no_grad():
        assert stirred(tiny(tail_channels=(3,)))(torch.rand(1, 3, 3, 67, 120)).shape == (1, 3, 1072, 1920)


def test_padding_by_hand_and_cropping_gives_the_same_picture_up_to_the_skip():
    """The learned detail of 23x17 is that of the reflected 24x20, cropped."""
    network, frames = stirred(tiny()), torch.rand(1, 3, 3, 23, 17)
    padded = F.pad(frames.flatten(0, 1), (0, 3, 0, 1), mode="reflect").unflatten(0, (1, 3))
    with torch.no_grad():
        detail = network(frames) - upscale(frames[:, 1], 16)
        whole = network(padded) - upscale(padded[:, 1], 16)
    torch.testing.assert_close(detail, whole[..., : 16 * 23, : 16 * 17], atol=1e-4, rtol=1e-4)


def test_pictures_too_small_to_reflect_repeat_their_edge():
    frames = torch.rand(1, 1, 3, 2, 5)
    padded = pad_to_multiple(frames, 4)
    assert padded.shape[-2:] == (4, 8)
    assert torch.equal(padded[..., 3, :5], frames[..., 1, :])


@pytest.mark.parametrize("tail_channels", [(8, 8, 4, 4), (8, 4), (4,), (8, 8, 4, 3), (8, 3), (3,)])
def test_new_network_can_still_learn(tail_channels):
    network = tiny(tail_channels=tail_channels)
    frames, truth = torch.rand(1, 3, 3, 8, 8), torch.rand(1, 3, 128, 128)
    last = [layer for layer in network.tail if isinstance(layer, torch.nn.Conv2d)][-1]
    charbonnier(network(frames), truth).backward()
    assert last.weight.grad.norm() > 0


def test_every_weight_of_a_moved_network_gets_a_gradient():
    network = stirred(tiny())
    charbonnier(network(torch.rand(2, 3, 3, 8, 8)), torch.rand(2, 3, 128, 128)).backward()
    silent = [name for name, weight in network.named_parameters() if not weight.grad.any()]
    assert silent == []


@pytest.mark.parametrize(
    ("num_frames", "channels", "expected"), [(7, 128, 49_704), (5, 128, 49_626), (7, 64, 12_648)]
)
def test_epab_has_the_public_codes_weight_count(num_frames, channels, expected):
    assert num_weights(Epab(num_frames, channels)) == expected


def test_epab_equals_its_formula_with_3d_convolutions():
    epab, x = Epab(3, 4), torch.randn(2, 3, 4, 5, 6)

    def gate(convs, x):
        first, second, third = ((conv.weight[..., None], conv.bias) for conv in convs)
        return x + F.conv3d(F.conv3d(x, *second) * F.conv3d(x, *first).sigmoid(), *third)

    over_frames = gate(epab.frame_gate, x)
    over_features = gate(epab.feature_gate, x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(epab(x), x + over_frames + over_features)


def test_comparing_halves_equals_convolving_the_concatenation():
    compare, frames, centre = Compare(4), torch.randn(6, 4, 5, 7), torch.randn(2, 4, 5, 7)
    both = torch.cat((frames, centre.repeat_interleave(3, dim=0)), 1)
    torch.testing.assert_close(compare(frames, centre), compare.conv(both), atol=1e-5, rtol=1e-5)


def test_every_sampler_of_the_alignment_starts_without_offsets():
    align = PcdAlignment(8, groups=2)
    samplers = [*(level.sample for level in align.levels), align.cascade_sample]
    assert len(samplers) == 4
    assert not any(weight.any() for sampler in samplers for weight in sampler.steer.parameters())
    align(torch.randn(2, 3, 8, 8, 12))
    assert align.mean_offset_px == 0


def test_mean_offset_counts_lr_pixels_at_every_level():
    align = PcdAlignment(8, groups=2)
    with torch.no_grad():
        align.levels[2].sample.steer.bias[:36] = 1.0
    align(torch.randn(1, 3, 8, 8, 8))
    assert align.mean_offset_px == 4  # a pixel of the coarsest level is four LR pixels


def test_alignment_refuses_sizes_it_would_misalign():
    with pytest.raises(ValueError, match="multiples of 4, got 8x6"):
        PcdAlignment(8, groups=2)(torch.randn(1, 3, 8, 8, 6))


def test_frames_of_a_static_clip_are_aligned_alike():
    align = stirred(PcdAlignment(8, groups=2))
    aligned = align(torch.randn(2, 1, 8, 8, 8).expand(-1, 5, -1, -1, -1))
    torch.testing.assert_close(aligned, aligned[:, :1].expand_as(aligned), atol=1e-5, rtol=1e-5)


def test_static_clip_gives_the_same_picture_at_every_time():
    network, still = stirred(tiny()), torch.rand(1, 1, 3, 8, 8).expand(1, 7, 3, 8, 8)
    with torch.no_grad():
        pictures = [network(still[:, start : start + 3]) for start in range(5)]
    assert all(torch.equal(picture, pictures[0]) for picture in pictures)
    assert (pictures[0] - upscale(still[:, 0], 16)).abs().max() > 1e-3


def test_neighbours_reach_the_picture():
    network, frames = stirred(tiny()), torch.rand(1, 3, 3, 8, 8)
    other = frames.clone()
    other[:, 2] = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert (network(frames) - network(other)).abs().max() > 1e-4


def test_clips_of_a_batch_do_not_mix():
    network, frames = stirred(tiny()), torch.rand(2, 3, 3, 8, 12)
    with torch.no_grad():
        apart = torch.cat([network(clip[None]) for clip in frames])
        torch.testing.assert_close(network(frames), apart, atol=1e-5, rtol=1e-5)


def test_same_seed_gives_the_same_network_and_picture():
    frames, pictures = torch.rand(1, 3, 3, 8, 8), []
    for _ in range(2):
        torch.manual_seed(7)
        pictures.append(stirred(tiny())(frames))
    assert torch.equal(*pictures)


def test_one_batch_can_be_overfitted():
    """From the bicubic start down to less than a fifth of its loss."""
    network = tiny(tail_channels=(3,))
    truth = F.interpolate(torch.rand(1, 3, 32, 32), size=(64, 64), mode="bicubic").clamp(0, 1)
    frames = torch.rand(1, 3, 3, 4, 4)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for step in range(100):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / 100)
        loss = charbonnier(network(frames), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 5


@pytest.mark.parametrize(
    ("num_frames", "channels", "expected"), [(7, 128, 13_938_091), (5, 128, 13_905_245), (5, 64, 4_054_413)]
)
def test_weight_count_at_full_size(num_frames, channels, expected):
    """At 7 and 128, added up by hand: enter and front 1,479,424; alignment 5,127,520 (pyramid 590,336, levels
    1,429,336 twice and 839,256, cascade 839,256); EPAB 49,704; fusion 114,816; trunk 5,947,040; tail 1,219,587."""
    tail_channels = (channels, 64, 64, 64)
    sizes = EVESRNetSizes(num_frames=num_frames, channels=channels, tail_channels=tail_channels)
    assert num_weights(sizes.build()) == expected


def test_wrong_number_of_frames_is_named():
    with pytest.raises(ValueError, match="takes 3 frames, got 5"):
        tiny()(torch.rand(1, 5, 3, 8, 8))
