"""The network of team ZZX: blocks of information multi-distillation at the input's size, at x4 and at x16.

The paper's text on it was not available; that it joined several scales is remembered. Blocks and their sizes are those
of IMDN's public code, one body of them a scale.

Departures: what joins frames and scales is ours; a constant of 1e-6 under the root of the contrast, whose gradient is
infinite on flat pictures; the bicubic enlargement is added and the last convolution starts at zero, so a new network is
bicubic.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from common.data.resize import upscale
from video_sr.challenge import FACTOR
from video_sr.models.blocks import check_frames, conv3x3, start_small

SLOPE = 0.05  # of every LeakyReLU here [Hui19 IMDN]
STEP, SCALES = 4, 3
KEPT = 4  # one channel in four is kept at each step


class ContrastAttention(nn.Module):
    """`x * sigmoid(up(relu(down(std(x) + mean(x)))))`, both taken over the picture  [Hui19 IMDN]."""

    def __init__(self, channels: int, squeeze: int):
        super().__init__()
        self.down = nn.Linear(channels, channels // squeeze)
        self.up = nn.Linear(channels // squeeze, channels)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        spread = (x.var((-2, -1), correction=0) + 1e-6).sqrt()
        gate = torch.sigmoid(self.up(F.relu(self.down(spread + x.mean((-2, -1))))))
        return x * gate[:, :, None, None]


class DistillationBlock(nn.Module):
    """Three times a quarter of the channels is kept and the rest goes on; a fourth step gives the last quarter.

    `x + conv1x1(attention(concat(kept)))`  [Hui19 IMDN].
    """

    def __init__(self, channels: int, squeeze: int):
        super().__init__()
        self.kept = channels // KEPT
        rest = channels - self.kept
        self.steps = nn.ModuleList(conv3x3(width, channels) for width in (channels, rest, rest))
        self.last = conv3x3(rest, self.kept)
        self.attention = ContrastAttention(channels, squeeze)
        self.fuse = nn.Conv2d(channels, channels, 1)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        rest, found = x, []
        for step in self.steps:
            seen = F.leaky_relu(step(rest), SLOPE)
            found.append(seen[:, : self.kept])
            rest = seen[:, self.kept :]
        found.append(self.last(rest))
        return x + self.fuse(self.attention(torch.cat(found, 1)))


class DistillationBody(nn.Module):
    """Blocks in a row, the outputs of all of them fused  [Hui19 IMDN]."""

    def __init__(self, channels: int, blocks: int, squeeze: int):
        super().__init__()
        self.blocks = nn.ModuleList(DistillationBlock(channels, squeeze) for _ in range(blocks))
        self.fuse = nn.Conv2d(blocks * channels, channels, 1)
        self.leave = conv3x3(channels, channels)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        features, found = x, []
        for block in self.blocks:
            features = block(features)
            found.append(features)
        return x + self.leave(F.leaky_relu(self.fuse(torch.cat(found, 1)), SLOPE))


class MultiDistillation(nn.Module):
    """Enlarges the centre of `num_frames` frames x4 and x4 again, with a body at each size  [Fuoli20, team ZZX].

    Args: see `networks.MultiDistillationSizes`.
    """

    def __init__(self, *, num_frames: int, channels: tuple[int, ...], blocks: tuple[int, ...], squeeze: int):
        super().__init__()
        self.num_frames = num_frames
        self.enter = conv3x3(3, channels[0])
        self.join = nn.Conv2d(num_frames * channels[0], channels[0], 1)
        self.bodies = nn.ModuleList(
            DistillationBody(width, count, squeeze) for width, count in zip(channels, blocks, strict=True)
        )
        self.enlarge = nn.ModuleList(
            nn.Sequential(conv3x3(before, after * STEP**2), nn.PixelShuffle(STEP))
            for before, after in pairwise(channels)
        )
        self.leave = conv3x3(channels[-1], 3)
        start_small(self.leave, gain=0.0)
        # Convolutions with few channels at HR size take a fraction of the time in this layout on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        batch, time = frames.shape[:2]
        check_frames(frames, self.num_frames)
        each = F.leaky_relu(self.enter(frames.flatten(0, 1) - 0.5), SLOPE)
        # (batch time) channels height width -> batch (time channels) height width
        features = self.bodies[0](self.join(each.unflatten(0, (batch, time)).flatten(1, 2)))
        for enlarge, body in zip(self.enlarge, self.bodies[1:], strict=True):
            features = body(enlarge(features))
        return upscale(frames[:, time // 2], FACTOR) + self.leave(features)
