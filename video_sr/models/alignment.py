"""Alignment of frames to the middle one, as EDVR does it: a pyramid of deformable convolutions, and a last one.

Departures: deformable masks start at 1 rather than 0.5; pictures are padded at the bottom and right to multiples of 4,
where EDVR refuses other sizes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from video_sr.models.blocks import DeformableConv, active, conv3x3, leaky

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
        guide = active(self.compare(frames, centre))
        if coarser is None:
            guide = active(self.refine(guide))
            return self.sample(frames, guide), guide
        assert self.refine_more is not None
        assert self.join is not None
        coarse_aligned, coarse_guide = (
            F.interpolate(each, scale_factor=2, mode="bilinear", align_corners=False) for each in coarser
        )
        # A step of one coarse pixel is two pixels here.
        guide = active(self.refine(torch.cat((guide, 2 * coarse_guide), 1)))
        guide = active(self.refine_more(guide))
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
            nn.Sequential(conv3x3(channels, channels, 2), leaky(), conv3x3(channels, channels), leaky())
            for _ in range(LEVELS - 1)
        )
        self.levels = nn.ModuleList(
            PyramidLevel(channels, groups, coarsest=level == LEVELS - 1) for level in range(LEVELS)
        )
        self.cascade_compare = Compare(channels)
        self.cascade_refine = conv3x3(channels, channels)
        self.cascade_sample = DeformableConv(channels, groups)

    @contextmanager
    def watched(self) -> Iterator[list[tuple[int, Tensor]]]:
        """Within, a forward leaves what each deformable layer steers by: the level of its pixels, and its offsets
        (item two_groups_taps height width), with their gradient. The last is the cascade's."""
        seen: list[tuple[int, Tensor]] = []

        def note(level: int, steer: Tensor) -> None:
            seen.append((level, steer[:, : steer.shape[1] // 3 * 2]))

        samplers = [
            *enumerate(cast(PyramidLevel, level).sample for level in self.levels),
            (0, self.cascade_sample),
        ]
        hooks = [
            sampler.steer.register_forward_hook(lambda _, __, steer, level=level: note(level, steer))
            for level, sampler in samplers
        ]
        try:
            yield seen
        finally:
            for hook in hooks:
                hook.remove()

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
            coarser = (active(aligned), guide) if level else None
        guide = active(self.cascade_refine(active(self.cascade_compare(aligned, centres[0]))))
        return active(self.cascade_sample(aligned, guide)).unflatten(0, (batch, time))
