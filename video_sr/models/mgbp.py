"""MGBP-3D of team BOE-IOT-AIBD: multi-grid back-projection over bicubically enlarged frames.

The paper's text on it was not available. What stands here is MGBPv2, the same author's network for x16 stills, whose
code is public, with convolutions that also see neighbouring frames.

Departures: a new network is the bicubic enlargement (the finest analysis passes the picture on, corrections start at
zero), where MGBPv2 starts all layers at zero or at random; pictures are enlarged as MATLAB does it, not as Pillow;
noise is drawn after padding. Over time convolutions keep the number of frames, with zeros beyond the ends.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from common.data.resize import upscale
from video_sr.challenge import FACTOR
from video_sr.models.blocks import check_frames

LEVELS = 5  # of the grid: the coarsest is 2^(LEVELS - 1) = 16 times smaller, about the input's own size


class BackProjection(nn.Module):
    """Corrects features at one level from all coarser ones, `visits` times; each visit owns its weights  [Navarrete21].

    `low = down(high)`, `high = high + up(relu(concat(reference, correct(low), noise)))`, where `correct` is the next
    coarser level's back-projection.

    Args:
        channels: at this level and the coarser ones, the coarsest first; two or more.
    """

    def __init__(self, channels: tuple[int, ...], *, visits: int, kernel: int, frame_taps: int, noise: int):
        super().__init__()
        *_, coarse, fine = channels
        size, stride, around = (frame_taps, kernel, kernel), (1, 2, 2), (frame_taps // 2, 0, 0)
        self.down = nn.ModuleList(nn.Conv3d(fine, coarse, size, stride, around) for _ in range(visits))
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(2 * coarse + noise, fine, size, stride, around) for _ in range(visits)
        )
        deeper = len(channels) > 2
        self.inner = nn.ModuleList(
            BackProjection(channels[:-1], visits=visits, kernel=kernel, frame_taps=frame_taps, noise=noise)
            if deeper
            else nn.Identity()
            for _ in range(visits)
        )

    def forward(self, high: Tensor, references: list[Tensor]) -> Tensor:
        """`references` are what the analysis found at each coarser level (with noise, where there is any)."""
        for down, inner, up in zip(self.down, self.inner, self.up, strict=True):
            low = down(high)
            corrected = inner(low, references[:-1]) if isinstance(inner, BackProjection) else low
            seen = references[-1]
            channels = corrected.shape[1]
            joined = torch.cat((seen[:, :channels], corrected, seen[:, channels:]), 1)
            high = high + up(F.relu(joined))
        return high


class MultiGrid(nn.Module):
    """One pyramid with kernels of one size: analysis of the enlarged frames, back-projection, synthesis."""

    def __init__(
        self,
        channels: tuple[int, ...],
        *,
        visits: int,
        kernel: int,
        frame_taps: int,
        noise: int,
        amplitude: float,
    ):
        super().__init__()
        self.kernel, self.amplitude = kernel, amplitude
        self.analysis = nn.ModuleList(_analysis(width, level, kernel) for level, width in enumerate(channels))
        self.noise_analysis = nn.ModuleList(
            _analysis(noise, level, kernel) for level in range(len(channels) if noise else 0)
        )
        self.correct = BackProjection(
            channels, visits=visits, kernel=kernel, frame_taps=frame_taps, noise=noise
        )
        self.synthesis = nn.Conv3d(channels[-1], 3, 1)

    def start_as_bicubic(self, gain: float) -> None:
        """The picture passes times `gain`, which is 0 or 1; no correction yet, and none without a gradient."""
        with torch.no_grad():
            for module in self.correct.modules():
                if isinstance(module, nn.ConvTranspose3d):
                    module.weight.zero_()
                    nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            for layer in (cast(nn.Conv3d, self.analysis[-1]), self.synthesis):
                for channel in range(3):
                    layer.weight[channel].zero_()
                    layer.weight[channel, channel] = 1.0
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            self.synthesis.weight[:, 3:].zero_()
            self.synthesis.weight.mul_(gain)

    def forward(
        self, enlarged: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """The middle frame, restored."""
        padded, (top, left) = _pad(enlarged, self.kernel)
        found = [analysis(padded) for analysis in self.analysis]
        if self.noise_analysis:
            drawn = torch.randn_like(padded) if self.amplitude else torch.zeros_like(padded)
            noises = [self.amplitude * analysis(drawn) for analysis in self.noise_analysis]
            found = [torch.cat(pair, 1) for pair in zip(found[:-1], noises[:-1], strict=True)] + found[-1:]
        corrected = self.correct(found[-1], found[:-1])
        height, width = enlarged.shape[-2:]
        middle = corrected.shape[2] // 2
        restored = self.synthesis(corrected[:, :, middle, None])[:, :, 0]
        return restored[..., top : top + height, left : left + width]


def _analysis(channels: int, level: int, kernel: int) -> nn.Conv3d:
    """From the enlarged picture straight to a level; level 0 is the coarsest."""
    stride = 2 ** (LEVELS - 1 - level)
    side = (kernel - 1) * (stride - 1) + 1
    return nn.Conv3d(3, channels, (1, side, side), (1, stride, stride))


def padded_side(side: int, kernel: int) -> int:
    """The least size, not below `side`, that every level of the grid comes back to without a rest."""
    coarse = 1
    while True:
        coarse, size = coarse + 1, coarse + 1
        for _ in range(LEVELS - 1):
            size = (size - 1) * 2 + kernel
        if size >= side:
            return size


def _pad(enlarged: Tensor, kernel: int) -> tuple[Tensor, tuple[int, int]]:
    """Pads by reflection, the larger half of an odd number before; and how much was put above and to the left."""
    *lead, height, width = enlarged.shape
    down, across = padded_side(height, kernel) - height, padded_side(width, kernel) - width
    top, left = down - down // 2, across - across // 2
    mode = "reflect" if top < height and left < width else "replicate"
    flat = enlarged.reshape(-1, 1, height, width)
    padded = F.pad(flat, (left, across // 2, top, down // 2), mode=mode)
    return padded.view(*lead, *padded.shape[-2:]), (top, left)


class MGBP3D(nn.Module):
    """Restores the bicubic enlargement of the centre of `num_frames` frames  [Fuoli20, team BOE-IOT-AIBD].

    With several kernels it is the sum of as many pyramids, as MGBPv2's model for fidelity is. With noise of an
    amplitude above 0 two calls differ: what is invented is drawn.

    Args: see `networks.MGBP3DSizes`.
    """

    def __init__(
        self, *, num_frames: int, channels: tuple[int, ...], visits: int, kernels: tuple[int, ...], frame_taps: int,
        noise_channels: int, noise_amplitude: float,
    ):  # fmt: skip
        super().__init__()
        self.num_frames = num_frames
        self.grids = nn.ModuleList(
            MultiGrid(
                channels, visits=visits, kernel=kernel, frame_taps=frame_taps, noise=noise_channels,
                amplitude=noise_amplitude,
            )
            for kernel in kernels
        )  # fmt: skip
        for place, grid in enumerate(self.grids):
            grid.start_as_bicubic(gain=float(place == 0))  # type: ignore[operator]

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        check_frames(frames, self.num_frames)
        enlarged = upscale(frames, FACTOR).transpose(1, 2)
        return torch.stack([grid(enlarged) for grid in self.grids]).sum(0)
