"""Laws of the shared blocks, and the deformable convolution against torchvision's."""

import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import deform_conv2d as reference

from video_sr.models.blocks import (
    ChannelAttention,
    ChannelAttentionBlock,
    DeformableConv,
    ResidualBlock,
    UpscaleStage,
    deform_conv2d,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def operands(groups, height, width, reach_px=3.0):
    """Offsets reach far outside small pictures."""
    shapes = [(2, 8, height, width), (2, 18 * groups, height, width), (2, 9 * groups, height, width)]
    x, offset, mask = (torch.randn(shape, dtype=torch.float32) for shape in shapes)
    tensors = [x, reach_px * offset, mask.sigmoid(), torch.randn(6, 8, 3, 3), torch.randn(6)]
    return [each.requires_grad_() for each in tensors]


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("size", [(7, 5), (1, 6), (1, 1)])
def test_deformable_convolution_equals_torchvision_in_values_and_gradients(groups, size):
    x, offset, mask, weight, bias = inputs = operands(groups, *size)
    ours = deform_conv2d(x, offset, mask, weight, bias)
    theirs = reference(x, offset, weight, bias, padding=1, mask=mask)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)  # float32 sums of 72 products, other order
    seed = torch.randn_like(ours)
    for mine, yours in zip(
        torch.autograd.grad(ours, inputs, seed), torch.autograd.grad(theirs, inputs, seed), strict=True
    ):
        torch.testing.assert_close(mine, yours, atol=1e-3, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("groups", [1, 8])
def test_a_gpu_deforms_as_the_cpu_does(groups):
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    inputs = operands(groups, 7, 5)
    ours = deform_conv2d(*inputs)
    seed = torch.randn_like(ours)
    gradients = torch.autograd.grad(ours, inputs, seed)
    there = [each.detach().cuda().requires_grad_() for each in inputs]
    theirs = deform_conv2d(*there)
    torch.testing.assert_close(theirs.cpu(), ours, atol=1e-4, rtol=1e-4)
    for mine, yours in zip(gradients, torch.autograd.grad(theirs, there, seed.cuda()), strict=True):
        torch.testing.assert_close(yours.cpu(), mine, atol=1e-3, rtol=1e-3)


def test_first_offset_of_a_tap_moves_down_and_the_second_right():
    """Swapped axes would read 12 instead of 14 and 33: x counts its 4x5 pixels row by row."""
    x = torch.arange(20.0).view(1, 1, 4, 5)
    offset = torch.zeros(1, 9, 2, 4, 5)
    offset[:, 4] = torch.tensor([1.0, 0.5]).view(2, 1, 1)
    centre_only = F.pad(torch.ones(1, 1, 1, 1), (1, 1, 1, 1))
    moved = deform_conv2d(x, offset.view(1, 18, 4, 5), torch.ones(1, 9, 4, 5), centre_only, torch.zeros(1))
    assert moved[0, 0, 1, 2].item() == pytest.approx(12.5)  # pixel (2, 2.5)
    assert moved[0, 0, 3, 2].item() == pytest.approx(0)  # below the picture


def test_zero_offsets_and_unit_masks_make_an_ordinary_convolution():
    x, offset, mask, weight, bias = operands(2, 6, 9)
    flat = deform_conv2d(x, torch.zeros_like(offset), torch.ones_like(mask), weight, bias)
    torch.testing.assert_close(flat, F.conv2d(x, weight, bias, padding=1), atol=1e-4, rtol=1e-4)


def test_new_deformable_layer_is_an_ordinary_convolution_whatever_guides_it():
    layer, x = DeformableConv(8, groups=2), torch.randn(2, 8, 6, 9)
    out = layer(x, guide=torch.randn(2, 8, 6, 9))
    torch.testing.assert_close(out, F.conv2d(x, layer.weight, layer.bias, padding=1), atol=1e-5, rtol=1e-5)
    assert not layer.steer.weight.any()
    assert not layer.steer.bias.any()


def test_new_deformable_layer_learns_where_to_look():
    layer = DeformableConv(8, groups=2)
    layer(torch.randn(2, 8, 6, 9), torch.randn(2, 8, 6, 9)).square().mean().backward()
    offsets, masks = layer.steer.weight.grad.split([36, 18])
    assert offsets.norm() > 0
    assert masks.norm() > 0


def test_mean_offset_is_readable_in_pixels():
    layer, x = DeformableConv(8, groups=2), torch.randn(1, 8, 4, 4)
    with torch.no_grad():
        layer.steer.bias[:36] = -1.5  # the offsets; the masks are not counted
        layer.steer.bias[36:] = 7
    layer(x, x)
    assert layer.mean_offset_px.item() == 1.5
    assert not layer.mean_offset_px.requires_grad


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="groups must divide the 8 channels, got 3"):
        DeformableConv(8, groups=3)


@pytest.mark.parametrize("squeeze", [0, 17])
def test_squeeze_beyond_the_channels_is_refused(squeeze):
    with pytest.raises(ValueError, match=rf"squeeze must be in 1\.\.16.*got {squeeze}"):
        ChannelAttention(16, squeeze)


def test_channel_attention_scales_whole_channels_by_at_most_one():
    x = torch.rand(2, 16, 4, 5) + 0.1
    gate = ChannelAttention(16, 4)(x) / x
    torch.testing.assert_close(gate, gate.mean((2, 3), keepdim=True).expand_as(gate))
    assert gate.min() > 0
    assert gate.max() < 1


@pytest.mark.parametrize("block", [ResidualBlock(16), ChannelAttentionBlock(16, 4)])
def test_residual_blocks_start_near_the_identity_and_keep_their_input(block):
    x = torch.randn(2, 16, 6, 7)
    before = x.clone()
    assert 0 < (block(x) - x).norm() < 0.1 * x.norm()
    assert torch.equal(x, before)


@pytest.mark.parametrize("factor", [2, 4, 16])
def test_upscale_stage_enlarges_by_its_factor(factor):
    assert UpscaleStage(8, 5, factor)(torch.randn(2, 8, 3, 4)).shape == (2, 5, 3 * factor, 4 * factor)
