"""The network of team TTI: recurrent back-projection over pairs of frames, with projections of x16.

The paper's text on it was not available; that it was STARnet, by the same group, adapted to x16 is remembered. What
stands here is STARnet's path in space, RBPN, whose code is public; projections follow its rule, kernel = stride + 4.

Departures: no optical flow is given to it, since none was at hand that training could afford; no frame between the
frames is made; the bicubic enlargement is added and the last convolution starts at zero, so a new network is bicubic;
convolutions start with Kaiming weights times a tenth where a residual is added.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from common.data.resize import upscale
from video_sr.challenge import FACTOR
from video_sr.models.blocks import check_frames, conv3x3, start_small

KERNEL, PADDING = FACTOR + 4, 2  # of a projection; gives exactly 16 times the size, and back


def _up(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(channels_in, channels_out, KERNEL, FACTOR, PADDING), nn.PReLU())


def _down(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, KERNEL, FACTOR, PADDING), nn.PReLU())


class UpProjection(nn.Module):
    """`h + up(down(h) - x)` with `h = up(x)`: what is lost on the way back is sent up once more  [Haris18 DBPN]."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.back, self.again = (
            _up(channels, channels),
            _down(channels, channels),
            _up(channels, channels),
        )

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels 16*height 16*width"]:
        high = self.first(x)
        return cast(Tensor, high + self.again(self.back(high) - x))


class DownProjection(nn.Module):
    """The same downwards  [Haris18 DBPN]."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.back, self.again = (
            _down(channels, channels),
            _up(channels, channels),
            _down(channels, channels),
        )

    def forward(
        self, x: Float[Tensor, "batch channels high_height high_width"]
    ) -> Float[Tensor, "batch channels height width"]:
        low = self.first(x)
        return cast(Tensor, low + self.again(self.back(low) - x))


class SingleFrame(nn.Module):
    """Features of the target x16: `stages` up-projections with down-projections between, all of them joined."""

    def __init__(self, wide: int, channels: int, stages: int):
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(wide, channels, 1), nn.PReLU())
        self.up = nn.ModuleList(UpProjection(channels) for _ in range(stages))
        self.down = nn.ModuleList(DownProjection(channels) for _ in range(stages - 1))
        self.join = nn.Conv2d(stages * channels, channels, 1)

    def forward(
        self, x: Float[Tensor, "batch wide height width"]
    ) -> Float[Tensor, "batch channels 16*height 16*width"]:
        found = [self.up[0](self.enter(x))]
        for up, down in zip(self.up[1:], self.down, strict=True):
            found.append(up(down(found[-1])))
        return cast(Tensor, self.join(torch.cat(found[::-1], 1)))


class PReLUBlock(nn.Module):
    """`act(x + conv(act(conv(x))))`, one PReLU for both  [Haris19 RBPN]."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second, self.act = (
            conv3x3(channels, channels),
            conv3x3(channels, channels),
            nn.PReLU(),
        )
        start_small(self.first, self.second)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return cast(Tensor, self.act(x + self.second(self.act(self.first(x)))))


def _blocks(channels: int, count: int, last: nn.Module) -> nn.Sequential:
    return nn.Sequential(*(PReLUBlock(channels) for _ in range(count)), last)


class BackProjectionSR(nn.Module):
    """Projects the centre frame up, corrects it by one neighbour after the other  [Fuoli20, team TTI; Haris20].

    For each neighbour: `h0` from the target's features, `h1` from the pair's, `h = h0 + blocks(h0 - h1)`, and the
    target's features anew from `h`. The picture is read off all `h` together.

    Args: see `networks.BackProjectionSizes`.
    """

    def __init__(self, *, num_frames: int, wide: int, channels: int, stages: int, blocks: int):
        super().__init__()
        self.num_frames = num_frames
        self.enter = nn.Sequential(conv3x3(3, wide), nn.PReLU())
        self.enter_pair = nn.Sequential(conv3x3(6, wide), nn.PReLU())
        self.single = SingleFrame(wide, channels, stages)
        self.pair_up = _blocks(wide, blocks, _up(wide, channels))
        self.correct = _blocks(channels, blocks, nn.Sequential(conv3x3(channels, channels), nn.PReLU()))
        self.pair_down = _blocks(channels, blocks, _down(channels, wide))
        self.leave = conv3x3((num_frames - 1) * channels, 3)
        start_small(self.leave, gain=0.0)
        # Convolutions with few channels at HR size take a fraction of the time in this layout on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        time = frames.shape[1]
        check_frames(frames, self.num_frames)
        target = frames[:, time // 2]
        neighbours = [frames[:, place] for place in range(time) if place != time // 2]
        features, found = self.enter(target - 0.5), []
        for neighbour in neighbours:
            first = self.single(features)
            of_pair = self.pair_up(self.enter_pair(torch.cat((target, neighbour), 1) - 0.5))
            found.append(first + self.correct(first - of_pair))
            if len(found) < len(neighbours):
                features = self.pair_down(found[-1])
        return upscale(target, FACTOR) + self.leave(torch.cat(found, 1))
