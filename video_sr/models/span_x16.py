"""SPAN's two steps as one network of x16 that is trained through both, and hears its neighbours between them.

The centre frame is enlarged x4. How each neighbour moved is told by the small frames (`registration.py`). Moved alike
and made small again, the x4 picture should be that neighbour; what it is not is brought back onto the centre, and a
few residual blocks turn it into a change of the x4 picture, before the second SPAN, and of that one's output. Both
changes start at zero: a new network is SPAN twice.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from common.data.resize import downscale, upscale
from video_sr.models.blocks import conv3x3
from video_sr.models.registration import Registration, inside, shifts, warp
from video_sr.models.span import SPAN, STEP

LEVELS = 32.0  # of what a neighbour tells, so that it is about 1


class Residual(nn.Module):
    """`x + conv(relu(conv(x)))`."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = conv3x3(channels, channels), conv3x3(channels, channels)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return x + self.second(F.relu(self.first(x)))


class Fusion(nn.Module):
    """What neighbours change in the centre's x4 picture, and in the x16 picture that becomes of it."""

    def __init__(self, num_frames: int, channels: int, blocks: int):
        super().__init__()
        self.enter = conv3x3(3 * num_frames, channels)
        self.blocks = nn.Sequential(*(Residual(channels) for _ in range(blocks)))
        self.at_x4, self.at_x16 = conv3x3(channels, 3), conv3x3(channels, 3 * STEP**2)
        with torch.no_grad():
            for weight in (*self.at_x4.parameters(), *self.at_x16.parameters()):
                weight.zero_()

    def forward(
        self, seen: Float[Tensor, "batch inputs height width"]
    ) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 3 4*height 4*width"]]:
        x = self.blocks(F.relu(self.enter(seen)))
        return self.at_x4(x), F.pixel_shuffle(self.at_x16(x), STEP)


class SPANx16(nn.Module):
    """Enlarges the middle one of `num_frames` frames x16.

    Args: see `networks.SPANx16Sizes`.
    """

    def __init__(
        self, *, num_frames: int, channels: int, blocks: int, fusion_channels: int, fusion_blocks: int,
        rounds: int,
    ):  # fmt: skip
        super().__init__()
        self.num_frames = num_frames
        self.first = SPAN(channels=channels, blocks=blocks)
        self.second = SPAN(channels=channels, blocks=blocks)
        self.registration = Registration(rounds)
        self.fusion = Fusion(num_frames, fusion_channels, fusion_blocks) if num_frames > 1 else None

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        middle = frames.shape[1] // 2
        picture = self.first(frames[:, middle]).clamp(0, 1)
        if self.fusion is None:
            return self.second(picture)
        if frames.shape[1] != self.num_frames:
            raise ValueError(f"this network takes {self.num_frames} frames, got {frames.shape[1]}")
        others = [index for index in range(self.num_frames) if index != middle]
        missed = [self._missed(picture, frames[:, middle], frames[:, index]) for index in others]
        at_x4, at_x16 = self.fusion(torch.cat((picture - 0.5, *missed), 1))
        return self.second((picture + at_x4).clamp(0, 1)) + at_x16

    def _missed(
        self,
        picture: Float[Tensor, "batch 3 x4_height x4_width"],
        centre: Float[Tensor, "batch 3 height width"],
        neighbour: Float[Tensor, "batch 3 height width"],
    ) -> Float[Tensor, "batch 3 x4_height x4_width"]:
        """What the x4 picture lacks of a neighbour, brought onto the picture; about 1."""
        size = (centre.shape[-2], centre.shape[-1])
        affine = self.registration(centre, neighbour)
        there = warp(picture.float(), shifts(affine, size, STEP))
        lacking = (neighbour - downscale(there, STEP)) * inside(shifts(affine, size)) * LEVELS
        return warp(upscale(lacking, STEP), shifts(-affine, size, STEP))
