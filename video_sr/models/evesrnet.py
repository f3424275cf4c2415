"""EVESRNet, the multi-frame fidelity network: align the neighbours, relate all frames, enlarge the centre.

The paper's description was not available to us; what stands here is assembled from public parts: EDVR's
pyramid of deformable convolutions, the point-wise attention EPAB, RCAN's blocks and a pixel-shuffle tail.

Departures from those parts: deformable masks start at 1 rather than 0.5; 0.5 is subtracted from the frames,
so that zero padding means grey; frames are padded at the bottom and right to multiples of 4 and the result is
cropped; the last convolution starts at zero, so a new network is the bicubic enlargement.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from common.data.resize import upscale
from video_sr.challenge import FACTOR
from video_sr.models.alignment import MULTIPLE, PcdAlignment, pad_to_multiple
from video_sr.models.blocks import (
    ChannelAttentionBlock,
    ResidualBlock,
    active,
    check_frames,
    conv3x3,
    pixel_shuffle_tail,
)
from video_sr.models.registration import Registration, shifts, warp


class Epab(nn.Module):
    """Efficient point-wise temporal attention, `x + gate_frames(x) + gate_features(x)`  [public code].

    `gate(x) = x + W3(W2(x) * sigmoid(W1(x)))`, where each W is a 1x1 convolution with bias that mixes the
    frames at each position and feature, or the features at each position and frame. Cost grows linearly
    with the picture, a non-local block's with its square. Weights: 3 (T² + T) + 3 (C² + C) for T frames and
    C channels.
    """

    def __init__(self, num_frames: int, channels: int):
        super().__init__()
        self.frame_gate = nn.ModuleList(nn.Conv2d(num_frames, num_frames, 1) for _ in range(3))
        self.feature_gate = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(3))

    def forward(
        self, x: Float[Tensor, "batch time channels height width"]
    ) -> Float[Tensor, "batch time channels height width"]:
        # batch time channels height width -> batch time channels (height width)
        over_frames = _gate(self.frame_gate, x.flatten(3)).reshape(x.shape)
        # batch time channels height width -> (batch time) channels height width
        over_features = _gate(self.feature_gate, x.flatten(0, 1)).reshape(x.shape)
        return x + over_frames + over_features


def _gate(weights: nn.ModuleList, x: Tensor) -> Tensor:
    first, second, third = weights
    return cast(Tensor, x + third(second(x) * torch.sigmoid(first(x))))


class EVESRNet(nn.Module):
    """Enlarges the centre of `num_frames` frames x16  [Fuoli20, team KirinUK].

    `bicubic(centre) + tail(trunk(fuse(epab(align(front(frames))))))`; everything but the tail works at
    LR size, so memory at full HD is set by the last tail channels. A new network returns the bicubic
    enlargement exactly.

    Args: see `networks.EVESRNetSizes`, which checks them.
    """

    def __init__(
        self, *, num_frames: int, channels: int, groups: int, front_blocks: int, trunk_blocks: int,
        trunk_channels: int, squeeze: int, tail_channels: tuple[int, ...], registration_rounds: int,
    ):  # fmt: skip
        super().__init__()
        self.num_frames = num_frames
        self.register = Registration(registration_rounds)
        self.enter = conv3x3(3, channels)
        self.front = nn.Sequential(*(ResidualBlock(channels) for _ in range(front_blocks)))
        self.align = PcdAlignment(channels, groups)
        self.epab = Epab(num_frames, channels)
        self.fuse = nn.Conv2d(num_frames * channels, trunk_channels, 1)
        blocks = (ChannelAttentionBlock(trunk_channels, squeeze) for _ in range(trunk_blocks))
        self.trunk = nn.Sequential(*blocks)
        self.tail = pixel_shuffle_tail(trunk_channels, tail_channels)
        # Convolutions with few channels at HR size take a sixth of the time in this layout on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def mean_offset_px(self) -> Float[Tensor, ""]:
        """Largest mean |offset| of the alignment in the last forward, in LR pixels; detached."""
        return self.align.mean_offset_px

    def registered(
        self,
        features: Float[Tensor, "batch time channels height width"],
        frames: Float[Tensor, "batch time 3 height width"],
    ) -> Float[Tensor, "batch time channels height width"]:
        """Features where the centre has them, by one affine motion a frame; in single precision."""
        if not self.register.rounds:
            return features
        size = (frames.shape[-2], frames.shape[-1])
        with torch.autocast(frames.device.type, enabled=False):
            exact = frames.float()
            centre = exact[:, exact.shape[1] // 2, None].expand_as(exact)
            affine = self.register(exact.flatten(0, 1), centre.flatten(0, 1))
            moved = warp(features.flatten(0, 1).float(), shifts(affine, size))
        return moved.unflatten(0, frames.shape[:2]).to(features.dtype)

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        batch, time, _, height, width = frames.shape
        check_frames(frames, self.num_frames)
        padded = pad_to_multiple(frames - 0.5, MULTIPLE)
        # batch time 3 height width -> (batch time) channels height width
        features = self.front(active(self.enter(padded.flatten(0, 1)))).unflatten(0, (batch, time))
        related = self.epab(self.align(self.registered(features, padded)))
        # batch time channels height width -> batch (time channels) height width
        fused = self.fuse(related.flatten(1, 2))
        detail = self.tail(self.trunk(fused))
        return upscale(frames[:, time // 2], FACTOR) + detail[..., : FACTOR * height, : FACTOR * width]
