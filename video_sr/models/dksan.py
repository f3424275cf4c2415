"""DKSAN of team WVU: deformable kernels align the frames, and attend to places, level by level.

Assembled from the public class `MDVR_CA_SA` and deformable-kernels' code. The bodies of two blocks were not to be had:
its channel-attention block is RCAN's here, and the first level's spatial attention is the second version as well.

Departures: masks of the alignment start at 1 rather than 0.5; each level's last convolution starts at zero, so a new
network is bicubic, level by level; enlargement is MATLAB's; kernels are sampled at the constants 0.5, 1.5 and 2.5,
which is what passing no kernel offsets comes to.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from common.data.resize import upscale
from video_sr.models.alignment import Compare
from video_sr.models.blocks import (
    TAPS,
    ChannelAttentionBlock,
    DeformableConv,
    ResidualBlock,
    UpscaleStage,
    active,
    check_frames,
    conv3x3,
    leaky,
    sampled,
    start_small,
)

GRID = 4  # weights a side of which a kernel's nine are sampled
ALIGNING, ATTENDING = 6, 5  # deformable kernels in a row


class DeformableKernel(nn.Module):
    """Depthwise 3x3 convolution whose kernel is sampled from a 4x4 grid and whose samples move  [Gao20].

    A new layer's samples stay in place: what predicts their offsets starts at zero.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.grid = nn.Parameter(torch.empty(channels, GRID, GRID).uniform_(-1 / 3, 1 / 3))
        self.steer = conv3x3(channels, 2 * TAPS)
        start_small(self.steer, gain=0.0)

    def kernel(self) -> Float[Tensor, "channels 3 3"]:
        """Bilinear samples half-way between four weights of the grid."""
        return F.avg_pool2d(self.grid, 2, stride=1)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        # batch 1 channels taps height width: one set of offsets for all channels
        samples = sampled(x, self.steer(x), groups=1)[:, 0]
        return torch.einsum("bcthw,ct->bchw", samples, self.kernel().flatten(1).to(samples.dtype))


def _kernels(channels: int, count: int, activation: type[nn.Module]) -> nn.Sequential:
    layers = [
        (DeformableKernel(channels), leaky() if activation is nn.LeakyReLU else nn.ReLU())
        for _ in range(count)
    ]
    return nn.Sequential(*(layer for pair in layers for layer in pair))


class KernelAlignment(nn.Module):
    """DKC_Align: six deformable kernels over (frame, centre) say where a deformable convolution looks."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.compare = Compare(channels)
        self.kernels = _kernels(channels, ALIGNING, nn.LeakyReLU)
        self.sample = DeformableConv(channels, groups)

    def forward(
        self, features: Float[Tensor, "batch time channels height width"]
    ) -> Float[Tensor, "batch time channels height width"]:
        frames = features.flatten(0, 1)
        guide = self.kernels(active(self.compare(frames, features[:, features.shape[1] // 2])))
        return active(self.sample(frames, guide)).unflatten(0, features.shape[:2])


class SpatialAttention(nn.Module):
    """DKSA, second version: `x * map`, a map of one channel found by deformable kernels at half the size."""

    def __init__(self, channels: int):
        super().__init__()
        self.shrink = conv3x3(channels, channels, 2)
        self.kernels = _kernels(channels, ATTENDING, nn.ReLU)
        self.enlarge = conv3x3(channels, 4 * channels)
        self.rate = nn.Conv2d(channels, 1, 1)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        seen = self.enlarge(self.kernels(F.relu(self.shrink(x))))
        height, width = x.shape[-2:]
        found = torch.sigmoid(
            self.rate(F.pixel_shuffle(seen, 2)[..., :height, :width])
        )  # odd sides were rounded up
        return x * found


class Level(nn.Module):
    """From features of a picture to the picture `factor` times as large."""

    def __init__(self, channels: int, blocks: int, squeeze: int, factor: int):
        super().__init__()
        self.factor = factor
        self.trunk = nn.Sequential(*(ChannelAttentionBlock(channels, squeeze) for _ in range(blocks)))
        self.attend = SpatialAttention(channels)
        self.tail = nn.Sequential(
            UpscaleStage(channels, channels, factor),
            conv3x3(channels, channels),
            leaky(),
            conv3x3(channels, 3),
        )
        start_small(cast(nn.Conv2d, self.tail[-1]), gain=0.0)

    def forward(
        self,
        features: Float[Tensor, "batch channels height width"],
        picture: Float[Tensor, "batch 3 height width"],
    ) -> Float[Tensor, "batch 3 out_height out_width"]:
        detail = self.tail(self.attend(self.trunk(features)) + features)
        return upscale(picture, self.factor) + detail


class DKSAN(nn.Module):
    """Aligns frames by deformable kernels and enlarges the centre level by level  [Fuoli20, team WVU; Xu20].

    Args: see `networks.DKSANSizes`.
    """

    def __init__(
        self, *, num_frames: int, channels: int, groups: int, front_blocks: int, trunk_blocks: tuple[int, ...],
        stages: tuple[int, ...], squeeze: int,
    ):  # fmt: skip
        super().__init__()
        self.num_frames = num_frames
        self.enter = conv3x3(3, channels)
        self.front = nn.Sequential(*(ResidualBlock(channels) for _ in range(front_blocks)))
        self.align = KernelAlignment(channels, groups)
        self.fuse = nn.Conv2d(num_frames * channels, channels, 1)
        self.levels = nn.ModuleList(
            Level(channels, blocks, squeeze, factor)
            for blocks, factor in zip(trunk_blocks, stages, strict=True)
        )
        self.read_again = nn.ModuleList(
            nn.Sequential(conv3x3(3, channels), ResidualBlock(channels)) for _ in stages[1:]
        )
        # Convolutions with few channels at HR size take a fraction of the time in this layout on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def mean_offset_px(self) -> Float[Tensor, ""]:
        """Mean |offset| of the alignment in the last forward, in LR pixels; detached."""
        return self.align.sample.mean_offset_px

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        batch, time = frames.shape[:2]
        check_frames(frames, self.num_frames)
        # batch time 3 height width -> (batch time) channels height width
        features = self.front(active(self.enter(frames.flatten(0, 1))))
        fused = self.fuse(self.align(features.unflatten(0, (batch, time))).flatten(1, 2))
        picture = cast(Tensor, self.levels[0](fused, frames[:, time // 2]))
        for read, level in zip(self.read_again, self.levels[1:], strict=True):
            picture = level(read(picture), picture)
        return picture
