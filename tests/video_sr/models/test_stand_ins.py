"""What is particular to the stand-ins for entries of which nothing could be read, and their sizes."""

import pytest
import torch
from small_networks import SMALL, stirred

from common.data.resize import downscale, upscale
from video_sr.models.back_projection import DownProjection, UpProjection
from video_sr.models.multi_distillation import ContrastAttention
from video_sr.networks import (
    BackProjectionSizes,
    CoarseToFineSizes,
    EDVRAttentionSizes,
    MultiDistillationSizes,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (CoarseToFineSizes(), 1_554_956),
        (EDVRAttentionSizes(), 36_313_542),
        (BackProjectionSizes(), 44_414_311),
        (MultiDistillationSizes(), 3_254_635),
    ],
)
def test_weight_counts_at_full_size_and_nothing_cut(sizes, expected):
    with torch.device("meta"):
        assert sum(weight.numel() for weight in sizes.build().parameters()) == expected
    assert not any("cut down" in sentence for sentence in sizes.departures())


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_projections_are_exactly_of_x16(size):
    low = torch.randn(1, 4, *size)
    high = UpProjection(4)(low)
    assert high.shape[-2:] == (16 * size[0], 16 * size[1])
    assert DownProjection(4)(high).shape == low.shape


def test_coarse_to_fine_is_judged_at_every_level_the_finest_most():
    sizes = SMALL["coarse to fine"]
    network, low, high = sizes.build(), torch.rand(1, 1, 3, 4, 4), torch.rand(1, 3, 64, 64)
    losses = sizes.losses(network, low, high, eps=1e-6)
    assert list(losses) == ["l1-x2", "l1-x4", "l1-x8", "l1-x16"]
    coarsest = (upscale(low[:, 0], 2) - downscale(high, 8)).abs().mean()
    torch.testing.assert_close(losses["l1-x2"], coarsest / 8)


def test_contrast_of_a_flat_picture_has_a_finite_gradient():
    attention, flat = ContrastAttention(8, 2), torch.full((1, 8, 4, 4), 0.3, requires_grad=True)
    attention(flat).sum().backward()
    assert flat.grad.isfinite().all()


def test_both_steps_of_edvr_reach_the_picture():
    network, frames = stirred(SMALL["EDVR"].build()), torch.rand(1, 3, 3, 5, 6)
    with torch.no_grad():
        whole = network(frames)
        network.second.tail[-1].weight.zero_()
        network.second.tail[-1].bias.zero_()
        first = network(frames)
        network.tail[-1].weight.zero_()
        network.tail[-1].bias.zero_()
        neither = network(frames)
    assert not torch.equal(whole, first)
    assert not torch.equal(first, neither)
    torch.testing.assert_close(neither, upscale(upscale(frames[:, 1], 4), 4))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: CoarseToFineSizes(channels=(8, 8)), r"channels must name 4 positive widths, got \(8, 8\)"),
        (lambda: BackProjectionSizes(num_frames=1), "num_frames must be 3 or more, got 1"),
        (lambda: MultiDistillationSizes(channels=(8, 8, 6)), "channels must name 3 multiples of 4"),
        (lambda: MultiDistillationSizes(blocks=(1, 1, 0)), "blocks must name 3 numbers of 1 or more"),
        (lambda: MultiDistillationSizes(squeeze=65), r"squeeze must be in 1\.\.64 \(the channels\), got 65"),
        (lambda: EDVRAttentionSizes(groups=3), "groups must divide the 128 channels, got 3"),
    ],
)
def test_impossible_sizes_are_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
