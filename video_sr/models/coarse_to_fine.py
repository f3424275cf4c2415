"""The network of team lyl: from coarse to fine in four steps of x2, each enlarged lightly and then refined.

The paper's text on it was not available; of memory there is only that it went from coarse to fine. What stands here is
a Laplacian pyramid: it is ours, and a name for the row.

Departures: all of it; it sees one frame, since nothing says that the entry saw more.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from common.data.resize import upscale
from video_sr.models.blocks import ResidualBlock, active, conv3x3, start_small

STEP = 2


class FinerLevel(nn.Module):
    """x2: a depthwise and a pointwise convolution with pixel shuffle, then residual blocks on the enlarged features."""

    def __init__(self, channels_in: int, channels: int, blocks: int):
        super().__init__()
        self.depthwise = nn.Conv2d(channels_in, channels_in, 3, 1, 1, groups=channels_in)
        self.pointwise = nn.Conv2d(channels_in, channels * STEP**2, 1)
        self.shuffle = nn.PixelShuffle(STEP)
        self.refine = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.leave = conv3x3(channels, 3)
        start_small(self.leave, gain=0.0)

    def forward(
        self,
        features: Float[Tensor, "batch channels height width"],
        picture: Float[Tensor, "batch 3 height width"],
    ) -> tuple[
        Float[Tensor, "batch out_channels 2*height 2*width"], Float[Tensor, "batch 3 2*height 2*width"]
    ]:
        finer = self.refine(active(self.shuffle(self.pointwise(self.depthwise(features)))))
        return finer, upscale(picture, STEP) + self.leave(finer)


class CoarseToFine(nn.Module):
    """Enlarges one frame in four steps of x2, with a picture after each  [Fuoli20, team lyl].

    Given several frames it reads the centre one alone. A new network enlarges bicubically, step by step.

    Args: see `networks.CoarseToFineSizes`.
    """

    num_frames = 1

    def __init__(self, *, channels: tuple[int, ...], blocks: int):
        super().__init__()
        self.enter = conv3x3(3, channels[0])
        pairs = zip((channels[0], *channels[:-1]), channels, strict=True)
        self.levels = nn.ModuleList(FinerLevel(before, after, blocks) for before, after in pairs)
        # Convolutions with few channels at HR size take a fraction of the time in this layout on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def pictures(self, frames: Float[Tensor, "batch time 3 height width"]) -> list[Tensor]:
        """The centre frame x2, x4, x8 and x16."""
        picture = frames[:, frames.shape[1] // 2]
        features, found = active(self.enter(picture - 0.5)), []
        for level in self.levels:
            features, picture = level(features, picture)
            found.append(picture)
        return found

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        return cast(Tensor, self.pictures(frames)[-1])
