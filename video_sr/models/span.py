"""SPAN, the swift parameter-free attention network, and a x16 enlargement by two of them in a row.

Layers and their order are those of the public ncnn file (`span_weights.py` reads its weights). Training code merges
several branches into each 3x3 convolution; here, as in that file, there is the merged convolution alone.

Departures: the mean colour is a buffer that weights carry, so that a file says all; between the two steps values are
cut to 0..1, where an 8-bit file between two programs would cut them as well.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from video_sr.models.blocks import conv3x3

STEP = 4  # enlargement of one SPAN
LEVELS = 255.0  # it computes in 8-bit levels
MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K, RGB; a new network's


class AttentionBlock(nn.Module):
    """`(z + y) (sigmoid(z) - 1/2)`, `z = conv(silu(conv(silu(conv(y)))))`: attention without weights [Wan24]."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = conv3x3(channels, channels)
        self.second = conv3x3(channels, channels)
        self.third = conv3x3(channels, channels)

    def forward(
        self, y: Float[Tensor, "batch channels height width"]
    ) -> tuple[Float[Tensor, "batch channels height width"], Float[Tensor, "batch channels height width"]]:
        """The output, and what the first activation gave."""
        inner = F.silu(self.first(y))
        z = self.third(F.silu(self.second(inner)))
        return (z + y) * (torch.sigmoid(z) - 0.5), inner


class SPAN(nn.Module):
    """One picture x4: blocks, then a 1x1 convolution over early and late features, then pixel shuffle  [Wan24].

    Args: see `networks.SPANSizes`.
    """

    def __init__(self, *, channels: int, blocks: int):
        super().__init__()
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(MEAN))
        self.enter = conv3x3(3, channels)
        self.blocks = nn.ModuleList(AttentionBlock(channels) for _ in range(blocks))
        self.after = conv3x3(channels, channels)
        self.fuse = nn.Conv2d(4 * channels, channels, 1)
        self.leave = conv3x3(channels, 3 * STEP**2)

    def forward(
        self, picture: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 4*height 4*width"]:
        """About 0..1 in and out."""
        x = self.enter((picture - self.mean[:, None, None]) * LEVELS)
        y, early, inner = x, None, x
        for block in self.blocks:
            y, inner = block(y)
            early = y if early is None else early
        assert early is not None
        # No division by 255: the last layers were trained to bring levels back to 0..1.
        return F.pixel_shuffle(self.leave(self.fuse(torch.cat((x, self.after(y), early, inner), 1))), STEP)


class SPANTwice(nn.Module):
    """Enlarges one frame x16 by two SPANs, each with its own weights. Given several frames it reads the centre one.

    Args: see `networks.SPANSizes`.
    """

    num_frames = 1

    def __init__(self, *, channels: int, blocks: int):
        super().__init__()
        self.first = SPAN(channels=channels, blocks=blocks)
        self.second = SPAN(channels=channels, blocks=blocks)

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        return self.second(self.x4(frames))

    def x4(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 4*height 4*width"]:
        """The picture between the two steps."""
        return self.first(frames[:, frames.shape[1] // 2]).clamp(0, 1)
