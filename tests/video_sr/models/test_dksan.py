"""DKSAN: deformable kernels against torchvision's, and the weight count of the public file."""

import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from video_sr.models.dksan import DeformableKernel, SpatialAttention
from video_sr.networks import DKSANSizes


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_a_kernel_is_sampled_half_way_between_four_weights():
    layer = DeformableKernel(1)
    layer.grid.data = torch.arange(16.0).view(1, 4, 4)
    # Between 0, 1, 4 and 5 lies 2.5; a row further down is 4 more.
    assert layer.kernel().tolist() == [[[2.5, 3.5, 4.5], [6.5, 7.5, 8.5], [10.5, 11.5, 12.5]]]


def test_a_new_deformable_kernel_is_a_depthwise_convolution():
    layer, x = DeformableKernel(6), torch.randn(2, 6, 7, 5)
    plain = F.conv2d(x, layer.kernel()[:, None], padding=1, groups=6)
    torch.testing.assert_close(layer(x), plain, atol=1e-5, rtol=1e-5)


def test_moved_samples_are_torchvisions():
    layer, x = DeformableKernel(6), torch.randn(2, 6, 7, 5)
    layer.steer.weight.data.normal_(0, 0.2)
    theirs = deform_conv2d(x, layer.steer(x), layer.kernel()[:, None], padding=1)
    torch.testing.assert_close(layer(x), theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(7, 5), (6, 4), (1, 1)])
def test_attention_keeps_the_size_and_scales_all_channels_alike(size):
    x = torch.rand(1, 8, *size) + 0.5
    rate = SpatialAttention(8)(x) / x
    torch.testing.assert_close(rate, rate[:, :1].expand_as(rate))
    assert 0 < rate.min() <= rate.max() < 1


def test_the_stored_form_has_the_public_files_weight_count():
    """And four levels of x2, with the trunks that comments keep, about 7.5 million."""
    four = DKSANSizes(stages=(2, 2, 2, 2), trunk_blocks=(20, 20, 15, 10))
    counts = [sum(w.numel() for w in sizes.build().parameters()) for sizes in (DKSANSizes(), four)]
    assert counts == [3_109_088, 7_473_216]


def test_offsets_of_the_alignment_are_readable():
    network = DKSANSizes(
        num_frames=3, channels=8, groups=2, front_blocks=0, trunk_blocks=(0, 0), squeeze=2
    ).build()
    network(torch.rand(1, 3, 3, 4, 4))
    assert network.mean_offset_px == 0


def test_a_trunk_for_every_level_is_asked_for():
    with pytest.raises(ValueError, match=r"trunk_blocks must be 0 or more for each of 2 levels, got \(5,\)"):
        DKSANSizes(trunk_blocks=(5,))
