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
from torch.nn import functional as F

from common.data.resize import upscale
from video_sr.challenge import FACTOR
from video_sr.models.blocks import (
    SLOPE,
    ChannelAttentionBlock,
    DeformableConv,
    ResidualBlock,
    UpscaleStage,
    conv3x3,
    start_small,
)

LEVELS = 3  # of the alignment pyramid; the coarsest is 2^(LEVELS - 1) times smaller
MULTIPLE = 2 ** (LEVELS - 1)


def pad_to_multiple(
    frames: Float[Tensor, "batch time channels height width"], multiple: int
) -> Float[Tensor, "batch time channels padded_height padded_width"]:
    """Extends pictures at the bottom and right by reflection; repeats the edge of very small ones."""
    height, width = frames.shape[-2:]
    below, right = -height % multiple, -width % multiple
    if not below and not right:
        return frames
    mode = "reflect" if below < height and right < width else "replicate"
    padded = F.pad(frames.flatten(0, 1), (0, right, 0, below), mode=mode)
    return padded.unflatten(0, frames.shape[:2])


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


class Compare(nn.Module):
    """3x3 convolution over (frame, centre) features, `conv(concat(frame, centre))` for every frame of a clip.

    A convolution is linear in its input's channels, so the centre's half is computed once for all frames.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv = conv3x3(2 * channels, channels)

    def forward(
        self,
        frames: Float[Tensor, "item channels height width"],
        centre: Float[Tensor, "batch channels height width"],
    ) -> Float[Tensor, "item channels height width"]:
        """`item` runs over the frames of the first clip, then of the second."""
        of_frame, of_centre = self.conv.weight.chunk(2, dim=1)
        seen = F.conv2d(frames, of_frame, self.conv.bias, padding=1)
        expected = F.conv2d(centre, of_centre, padding=1)
        # item channels height width -> batch time channels height width -> item channels height width
        return (seen.unflatten(0, (len(centre), -1)) + expected[:, None]).flatten(0, 1)


class PyramidLevel(nn.Module):
    """One level of the pyramid: predicts where to look, looks there, and joins what the coarser level saw."""

    def __init__(self, channels: int, groups: int, *, coarsest: bool):
        super().__init__()
        self.compare = Compare(channels)
        self.refine = conv3x3(channels if coarsest else 2 * channels, channels)
        self.refine_more = None if coarsest else conv3x3(channels, channels)
        self.sample = DeformableConv(channels, groups)
        self.join = None if coarsest else conv3x3(2 * channels, channels)

    def forward(
        self,
        frames: Float[Tensor, "item channels height width"],
        centre: Float[Tensor, "batch channels height width"],
        coarser: tuple[Tensor, Tensor] | None,
    ) -> tuple[Float[Tensor, "item channels height width"], Float[Tensor, "item channels height width"]]:
        """Returns the aligned features, before any activation, and those that offsets are read from."""
        guide = _active(self.compare(frames, centre))
        if coarser is None:
            guide = _active(self.refine(guide))
            return self.sample(frames, guide), guide
        assert self.refine_more is not None
        assert self.join is not None
        coarse_aligned, coarse_guide = (
            F.interpolate(each, scale_factor=2, mode="bilinear", align_corners=False) for each in coarser
        )
        # A step of one coarse pixel is two pixels here.
        guide = _active(self.refine(torch.cat((guide, 2 * coarse_guide), 1)))
        guide = _active(self.refine_more(guide))
        return self.join(torch.cat((self.sample(frames, guide), coarse_aligned), 1)), guide


class PcdAlignment(nn.Module):
    """Pyramid, cascading, deformable alignment of every frame to the centre  [Wang19 EDVR].

    From the coarsest of three levels down, offsets are predicted from a frame and the centre, each level
    helped by the coarser one; a last deformable convolution refines. All frames, the centre too, go through
    in one batch.
    """

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.shrink = nn.ModuleList(
            nn.Sequential(conv3x3(channels, channels, 2), _leaky(), conv3x3(channels, channels), _leaky())
            for _ in range(LEVELS - 1)
        )
        self.levels = nn.ModuleList(
            PyramidLevel(channels, groups, coarsest=level == LEVELS - 1) for level in range(LEVELS)
        )
        self.cascade_compare = Compare(channels)
        self.cascade_refine = conv3x3(channels, channels)
        self.cascade_sample = DeformableConv(channels, groups)

    @property
    def mean_offset_px(self) -> Float[Tensor, ""]:
        """Largest mean |offset| of the four deformable layers in the last forward, in LR pixels."""
        samplers = [(cast(PyramidLevel, level).sample, 2**n) for n, level in enumerate(self.levels)]
        samplers.append((self.cascade_sample, 1))
        return torch.stack([sampler.mean_offset_px * pixel for sampler, pixel in samplers]).max()

    def forward(
        self, features: Float[Tensor, "batch time channels height width"]
    ) -> Float[Tensor, "batch time channels height width"]:
        """Height and width must be multiples of 4."""
        batch, time, _, height, width = features.shape
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(
                f"height and width must be multiples of {MULTIPLE}, got {height}x{width}; see pad_to_multiple"
            )
        # batch time channels height width -> (batch time) channels height width, finest first
        pyramid = [features.flatten(0, 1)]
        for shrink in self.shrink:
            pyramid.append(shrink(pyramid[-1]))
        centres = [frames.unflatten(0, (batch, time))[:, time // 2] for frames in pyramid]
        coarser = None
        for level in reversed(range(LEVELS)):
            aligned, guide = self.levels[level](pyramid[level], centres[level], coarser)
            coarser = (_active(aligned), guide) if level else None
        guide = _active(self.cascade_refine(_active(self.cascade_compare(aligned, centres[0]))))
        return _active(self.cascade_sample(aligned, guide)).unflatten(0, (batch, time))


def _leaky() -> nn.Module:
    return nn.LeakyReLU(SLOPE, inplace=True)


def _active(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE, inplace=True)


def _tail(channels: int, widths: tuple[int, ...]) -> nn.Sequential:
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
        tail.extend((conv3x3(widths[-1], widths[-1]), _leaky(), last))
    start_small(last, gain=0.0)
    return tail


class EVESRNet(nn.Module):
    """Enlarges the centre of `num_frames` frames x16  [Fuoli20, team KirinUK].

    `bicubic(centre) + tail(trunk(fuse(epab(align(front(frames))))))`; everything but the tail works at
    LR size, so memory at full HD is set by the last tail channels. A new network returns the bicubic
    enlargement exactly.

    Args: see `networks.EVESRNetSizes`, which checks them.
    """

    def __init__(
        self, *, num_frames: int, channels: int, groups: int, front_blocks: int, trunk_blocks: int,
        trunk_channels: int, squeeze: int, tail_channels: tuple[int, ...],
    ):  # fmt: skip
        super().__init__()
        self.num_frames = num_frames
        self.enter = conv3x3(3, channels)
        self.front = nn.Sequential(*(ResidualBlock(channels) for _ in range(front_blocks)))
        self.align = PcdAlignment(channels, groups)
        self.epab = Epab(num_frames, channels)
        self.fuse = nn.Conv2d(num_frames * channels, trunk_channels, 1)
        blocks = (ChannelAttentionBlock(trunk_channels, squeeze) for _ in range(trunk_blocks))
        self.trunk = nn.Sequential(*blocks)
        self.tail = _tail(trunk_channels, tail_channels)
        # Convolutions with few channels at HR size take a sixth of the time in this layout on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def mean_offset_px(self) -> Float[Tensor, ""]:
        """Largest mean |offset| of the alignment in the last forward, in LR pixels; detached."""
        return self.align.mean_offset_px

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        batch, time, _, height, width = frames.shape
        if time != self.num_frames:
            raise ValueError(f"this network takes {self.num_frames} frames, got {time}")
        padded = pad_to_multiple(frames - 0.5, MULTIPLE)
        # batch time 3 height width -> (batch time) channels height width
        features = self.front(_active(self.enter(padded.flatten(0, 1))))
        related = self.epab(self.align(features.unflatten(0, (batch, time))))
        # batch time channels height width -> batch (time channels) height width
        fused = self.fuse(related.flatten(1, 2))
        detail = self.tail(self.trunk(fused))
        return upscale(frames[:, time // 2], FACTOR) + detail[..., : FACTOR * height, : FACTOR * width]
