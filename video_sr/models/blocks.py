"""Building blocks that the x16 networks share: residual, attention, upscaling and deformable layers."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from video_sr.challenge import FACTOR

SLOPE = 0.1  # of every LeakyReLU [Wang19 EDVR]
TAPS = 9  # sampling points of a 3x3 kernel
RESIDUAL_GAIN = 0.1  # of a new residual branch: a deep trunk starts near the identity [Wang19 EDVR]


def check_frames(frames: Float[Tensor, "batch time 3 height width"], num_frames: int) -> None:
    """Raises ValueError where a window does not hold as many frames as a network takes."""
    if frames.shape[1] != num_frames:
        raise ValueError(f"this network takes {num_frames} frames, got {frames.shape[1]}")


def conv3x3(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution that keeps the size (rounded up when `stride` is 2)."""
    return nn.Conv2d(channels_in, channels_out, 3, stride, 1)


def leaky() -> nn.Module:
    """EDVR's activation as a layer."""
    return nn.LeakyReLU(SLOPE, inplace=True)


def active(x: Tensor) -> Tensor:
    """EDVR's activation, in place."""
    return F.leaky_relu(x, SLOPE, inplace=True)


def start_small(*convs: nn.Conv2d, gain: float = RESIDUAL_GAIN) -> None:
    """Kaiming-normal weights times `gain` and zero biases; a gain of 0 silences the layer exactly."""
    for conv in convs:
        nn.init.kaiming_normal_(conv.weight)
        with torch.no_grad():
            conv.weight.mul_(gain)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)


class ResidualBlock(nn.Module):
    """`x + conv(relu(conv(x)))`, without normalisation: brightness must not depend on the batch."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = conv3x3(channels, channels)
        self.second = conv3x3(channels, channels)
        start_small(self.first, self.second)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return x + self.second(F.relu(self.first(x), inplace=True))


class ChannelAttention(nn.Module):
    """`x * sigmoid(up(relu(down(mean(x)))))`, the mean taken over the picture  [Zhang18 RCAN].

    Args:
        channels: width of the features.
        squeeze: how many times narrower the bottleneck is, 1..channels.
    """

    def __init__(self, channels: int, squeeze: int):
        super().__init__()
        if not 1 <= squeeze <= channels:
            raise ValueError(f"squeeze must be in 1..{channels} (the channels), got {squeeze}")
        self.down = nn.Linear(channels, channels // squeeze)
        self.up = nn.Linear(channels // squeeze, channels)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        gate = torch.sigmoid(self.up(F.relu(self.down(x.mean((-2, -1))))))
        return x * gate[:, :, None, None]


class ChannelAttentionBlock(nn.Module):
    """`x + attention(conv(relu(conv(x))))`, the residual channel-attention block (RCAB)  [Zhang18 RCAN]."""

    def __init__(self, channels: int, squeeze: int):
        super().__init__()
        self.first = conv3x3(channels, channels)
        self.second = conv3x3(channels, channels)
        self.attention = ChannelAttention(channels, squeeze)
        start_small(self.first, self.second)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return x + self.attention(self.second(F.relu(self.first(x), inplace=True)))


class UpscaleStage(nn.Module):
    """3x3 convolution to `factor²` times the channels, pixel shuffle, LeakyReLU  [Shi16]."""

    def __init__(self, channels_in: int, channels_out: int, factor: int):
        super().__init__()
        self.conv = conv3x3(channels_in, channels_out * factor**2)
        self.shuffle = nn.PixelShuffle(factor)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch out_channels out_height out_width"]:
        # The activation works element by element, so it may go before the shuffle, in place.
        return self.shuffle(F.leaky_relu(self.conv(x), SLOPE, inplace=True))


def pixel_shuffle_tail(channels: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Pixel-shuffle stages to `widths`, then convolutions at HR size, of which the last starts at zero."""
    factor = round(FACTOR ** (1 / len(widths)))
    pairs = list(zip((channels, *widths[:-1]), widths, strict=True))
    direct = widths[-1] == 3
    tail = nn.Sequential(*(UpscaleStage(*pair, factor) for pair in (pairs[:-1] if direct else pairs)))
    if direct:
        last = conv3x3(pairs[-1][0], 3 * factor**2)
        tail.extend((last, nn.PixelShuffle(factor)))
    else:
        last = conv3x3(widths[-1], 3)
        tail.extend((conv3x3(widths[-1], widths[-1]), leaky(), last))
    start_small(last, gain=0.0)
    return tail


def deform_conv2d(
    x: Float[Tensor, "batch channels height width"],
    offset_px: Float[Tensor, "batch two_groups_taps height width"],
    mask: Float[Tensor, "batch groups_taps height width"],
    weight: Float[Tensor, "out_channels channels 3 3"],
    bias: Float[Tensor, " out_channels"],
) -> Float[Tensor, "batch out_channels height width"]:
    """Modulated deformable 3x3 convolution  [Zhu19 DCNv2].

    `y(p) = b + sum_k w_k m_k(p) x(p + p_k + o_k(p))`, with x read bilinearly and taken as 0 outside the
    picture. `offset_px` holds (dy, dx) for every group and tap, in torchvision's order; each group of
    channels has its own. On CUDA this is torchvision's kernel; elsewhere samples are read by `grid_sample`
    and mixed by one 1x1 convolution, which took a fifth to a seventh of the time of torchvision's CPU
    kernel, forward and backward.
    """
    if x.is_cuda:
        from torchvision.ops import deform_conv2d as fused

        return fused(x, offset_px, weight, bias, padding=1, mask=mask)
    return _deform_conv2d_by_sampling(x, offset_px, mask, weight, bias)


def _deform_conv2d_by_sampling(
    x: Float[Tensor, "batch channels height width"],
    offset_px: Float[Tensor, "batch two_groups_taps height width"],
    mask: Float[Tensor, "batch groups_taps height width"],
    weight: Float[Tensor, "out_channels channels 3 3"],
    bias: Float[Tensor, " out_channels"],
) -> Float[Tensor, "batch out_channels height width"]:
    batch, channels, height, width = x.shape
    groups = mask.shape[1] // TAPS
    samples = sampled(x, offset_px, groups) * mask.reshape(batch, groups, 1, TAPS, height, width)
    # batch groups channels/groups taps height width -> batch (channels taps) height width
    return F.conv2d(
        samples.view(batch, channels * TAPS, height, width), weight.flatten(1)[:, :, None, None], bias
    )


def sampled(
    x: Float[Tensor, "batch channels height width"],
    offset_px: Float[Tensor, "batch two_groups_taps height width"],
    groups: int,
) -> Float[Tensor, "batch groups group_channels taps height width"]:
    """What each tap of a deformable 3x3 kernel reads at each place, in float32; see `deform_conv2d`."""
    batch, channels, height, width = x.shape
    # Coordinates stay in float32 under autocast: bfloat16 cannot tell pixel 100 from 100.4.
    offset = offset_px.float().reshape(batch * groups, TAPS, 2, height, width)
    step = torch.arange(3, device=x.device) - 1
    rows = torch.arange(height, device=x.device)[:, None] + step.repeat_interleave(3)[:, None, None]
    columns = torch.arange(width, device=x.device) + step.repeat(3)[:, None, None]
    # align_corners=False puts pixel i at (2 i + 1) / size - 1, which holds for pictures one pixel wide, too.
    across = (offset[:, :, 1] + columns) * (2 / width) + (1 / width - 1)
    down = (offset[:, :, 0] + rows) * (2 / height) + (1 / height - 1)
    # (batch groups) taps height width 2 -> (batch groups) (taps height) width 2
    grid = torch.stack((across, down), -1).view(batch * groups, TAPS * height, width, 2)
    planes = x.float().reshape(batch * groups, channels // groups, height, width)
    samples = F.grid_sample(planes, grid, align_corners=False, padding_mode="zeros")
    return samples.view(batch, groups, channels // groups, TAPS, height, width)


class DeformableConv(nn.Module):
    """Deformable 3x3 convolution whose offsets and masks come from `guide`  [Zhu19 DCNv2].

    The layer that predicts offsets and masks starts at zero, and masks are `2 sigmoid(.)`, in (0, 2): a new
    layer is an ordinary 3x3 convolution. (EDVR uses `sigmoid(.)`, so its new layer is half of one.)

    After a forward, `mean_offset_px` holds the mean |offset| in pixels of `x`, detached and still on its
    device: a value far beyond the motion in the clips means that alignment has diverged.

    Args:
        channels: of `x`, `guide` and the output.
        groups: sets of offsets; must divide `channels`.
    """

    def __init__(self, channels: int, groups: int):
        super().__init__()
        if groups < 1 or channels % groups:
            raise ValueError(f"groups must divide the {channels} channels, got {groups}")
        mixing = conv3x3(channels, channels)
        self.weight = mixing.weight
        self.bias = nn.Parameter(torch.zeros(channels))
        self.steer = conv3x3(channels, 3 * TAPS * groups)
        start_small(self.steer, gain=0.0)
        self.mean_offset_px = torch.zeros(())

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        guide: Float[Tensor, "batch channels height width"],
    ) -> Float[Tensor, "batch channels height width"]:
        steer = self.steer(guide)
        num_offsets = steer.shape[1] // 3 * 2
        offset_px, mask = steer[:, :num_offsets], 2 * torch.sigmoid(steer[:, num_offsets:])
        self.mean_offset_px = offset_px.detach().abs().mean()
        return deform_conv2d(x, offset_px, mask, self.weight, self.bias)
