"""The network of team sr xxx: EDVR with channel attention to x4, then a single-frame RCAN from x4 to x16.

The paper's text on it was not available; that it was EDVR with channel attention in two steps of x4 is remembered.
Blocks and sizes are those of BasicSR's public EDVR-L and RCAN.

Departures: those of `alignment.py`; 0.5 is subtracted from frames; the skips are MATLAB's bicubic, where EDVR has the
bilinear one and RCAN none; each step's last convolution starts at zero, so a new network is bicubic, step by step. Both
steps train together from the start.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from common.data.resize import upscale
from video_sr.models.alignment import MULTIPLE, PcdAlignment, pad_to_multiple
from video_sr.models.blocks import (
    ChannelAttentionBlock,
    ResidualBlock,
    UpscaleStage,
    active,
    check_frames,
    conv3x3,
    leaky,
    start_small,
)

STEP = 4


class TsaFusion(nn.Module):
    """Temporal and spatial attention, from aligned frames to one  [Wang19 EDVR].

    Each frame is weighted place by place with the sigmoid of its embedding's product with the centre's; the fused
    features are then scaled by `2 sigmoid(a)` and shifted by `b`, both read off a pyramid of pooled attention.
    """

    def __init__(self, num_frames: int, channels: int):
        super().__init__()
        self.embed_centre, self.embed = conv3x3(channels, channels), conv3x3(channels, channels)
        self.fuse = nn.Conv2d(num_frames * channels, channels, 1)
        self.attend = nn.Conv2d(num_frames * channels, channels, 1)
        self.pooled = nn.Conv2d(2 * channels, channels, 1)
        self.coarse_enter = nn.Conv2d(channels, channels, 1)
        self.coarse_pooled, self.coarse_leave = conv3x3(2 * channels, channels), conv3x3(channels, channels)
        self.middle, self.middle_leave = conv3x3(channels, channels), nn.Conv2d(channels, channels, 1)
        self.scale = conv3x3(channels, channels)
        self.shift = nn.Sequential(
            nn.Conv2d(channels, channels, 1), leaky(), nn.Conv2d(channels, channels, 1)
        )

    def forward(
        self, aligned: Float[Tensor, "batch time channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Height and width must be multiples of 4."""
        batch, time = aligned.shape[:2]
        centre = self.embed_centre(aligned[:, time // 2])
        others = self.embed(aligned.flatten(0, 1)).unflatten(0, (batch, time))
        alike = torch.sigmoid((others * centre[:, None]).sum(2, keepdim=True))
        weighted = (aligned * alike).flatten(1, 2)
        fused = active(self.fuse(weighted))
        middle = active(self.pooled(_pool(active(self.attend(weighted)))))
        coarse = active(self.coarse_pooled(_pool(active(self.coarse_enter(middle)))))
        middle = active(self.middle(middle)) + _twice(active(self.coarse_leave(coarse)))
        scale = self.scale(_twice(active(self.middle_leave(middle))))
        return 2 * fused * torch.sigmoid(scale) + cast(Tensor, self.shift(scale))


def _pool(x: Tensor) -> Tensor:
    """Largest and mean values at half the size, side by side."""
    return torch.cat((F.max_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 3, 2, 1)), 1)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class FrameFusion(nn.Module):
    """EDVR up to its trunk: features of every frame, aligned to the centre and fused."""

    def __init__(self, *, num_frames: int, channels: int, groups: int, blocks: int):
        super().__init__()
        self.enter = conv3x3(3, channels)
        self.front = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.align = PcdAlignment(channels, groups)
        self.fuse = TsaFusion(num_frames, channels)

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Height and width must be multiples of 4."""
        # batch time 3 height width -> (batch time) channels height width
        features = self.front(active(self.enter(frames.flatten(0, 1))))
        return cast(Tensor, self.fuse(self.align(features.unflatten(0, frames.shape[:2]))))


class ResidualGroup(nn.Module):
    """`x + conv(blocks(x))`  [Zhang18 RCAN]."""

    def __init__(self, channels: int, blocks: int, squeeze: int):
        super().__init__()
        self.blocks = nn.Sequential(*(ChannelAttentionBlock(channels, squeeze) for _ in range(blocks)))
        self.leave = conv3x3(channels, channels)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return x + self.leave(self.blocks(x))


class RCAN(nn.Module):
    """Detail of a picture x4: groups of channel-attention blocks, two pixel shuffles, a convolution  [Zhang18 RCAN]."""

    def __init__(self, *, channels: int, groups: int, blocks: int, squeeze: int):
        super().__init__()
        self.enter = conv3x3(3, channels)
        self.groups = nn.Sequential(*(ResidualGroup(channels, blocks, squeeze) for _ in range(groups)))
        self.after = conv3x3(channels, channels)
        self.tail = nn.Sequential()
        for _ in range(2):
            self.tail.extend((conv3x3(channels, 4 * channels), nn.PixelShuffle(2)))
        self.tail.append(conv3x3(channels, 3))

    def forward(
        self, picture: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 4*height 4*width"]:
        x = self.enter(picture)
        return cast(Tensor, self.tail(x + self.after(self.groups(x))))


class EDVRAttention(nn.Module):
    """Enlarges the centre of `num_frames` frames x4 by EDVR, and the result x4 by RCAN  [Fuoli20, team sr xxx].

    Args: see `networks.EDVRAttentionSizes`.
    """

    def __init__(
        self, *, num_frames: int, channels: int, groups: int, front_blocks: int, trunk_blocks: int, squeeze: int,
        tail_channels: int, second_channels: int, second_groups: int, second_blocks: int,
    ):  # fmt: skip
        super().__init__()
        self.num_frames = num_frames
        self.fusion = FrameFusion(
            num_frames=num_frames, channels=channels, groups=groups, blocks=front_blocks
        )
        self.trunk = nn.Sequential(*(ChannelAttentionBlock(channels, squeeze) for _ in range(trunk_blocks)))
        self.tail = nn.Sequential(
            UpscaleStage(channels, channels, 2), UpscaleStage(channels, tail_channels, 2),
            conv3x3(tail_channels, tail_channels), leaky(), conv3x3(tail_channels, 3),
        )  # fmt: skip
        self.second = RCAN(
            channels=second_channels, groups=second_groups, blocks=second_blocks, squeeze=squeeze
        )
        start_small(cast(nn.Conv2d, self.tail[-1]), cast(nn.Conv2d, self.second.tail[-1]), gain=0.0)
        # Convolutions with few channels at HR size take a fraction of the time in this layout on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def mean_offset_px(self) -> Float[Tensor, ""]:
        """Largest mean |offset| of the alignment in the last forward, in LR pixels; detached."""
        return self.fusion.align.mean_offset_px

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        time, _, height, width = frames.shape[1:]
        check_frames(frames, self.num_frames)
        detail = self.tail(self.trunk(self.fusion(pad_to_multiple(frames - 0.5, MULTIPLE))))
        first = upscale(frames[:, time // 2], STEP) + detail[..., : STEP * height, : STEP * width]
        return upscale(first, STEP) + self.second(first - 0.5)
