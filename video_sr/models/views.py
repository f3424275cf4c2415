"""A network seen otherwise: on tiles of frames that are larger than memory, by eight views of one, at another scale."""

from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from common.data.resize import downscale
from video_sr.challenge import FACTOR

OVERLAP = (
    16  # of neighbouring tiles, low-resolution pixels; a multiple of 4, the step of the alignment's pyramid
)
UNUSED = 4  # at a tile's inner edges, where padding takes the place of the picture
SMALLEST_TILE = 32
SCALES = (4, 8, 16)


def factor_of(network: nn.Module) -> int:
    """How many times larger its output is."""
    return int(getattr(network, "factor", FACTOR))


class AtScale(nn.Module):
    """A x16 network for x4 or x8: by its own x4 step where it has one, else its output reduced.

    Args:
        network: from (batch, time, 3, height, width) to the middle frame x16.
        scale: 4 or 8.
    """

    def __init__(self, network: nn.Module, scale: int):
        super().__init__()
        self.network, self.factor = network, scale
        self.num_frames = network.num_frames

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 large_height large_width"]:
        x4 = getattr(self.network, "x4", None)
        if self.factor == 4 and x4 is not None:
            return cast(Tensor, x4(frames))
        return downscale(self.network(frames), FACTOR // self.factor)


class Tiled(nn.Module):
    """Tiles that overlap by 16 pixels, blended linearly; what lies within 4 pixels of a cut is not used.

    Far from cuts the result is the network's own where the network looks no further than a tile. Channel attention
    looks at all of a tile, so there it differs a little.

    Args:
        network: from (batch, time, 3, height, width) to the middle frame x16.
        side: of a tile in low-resolution pixels, a multiple of 4.
    """

    def __init__(self, network: nn.Module, side: int):
        super().__init__()
        if side < SMALLEST_TILE or side % 4:
            raise ValueError(f"a tile must be a multiple of 4, {SMALLEST_TILE} or more, got {side}")
        self.network, self.side, self.factor = network, side, factor_of(network)
        self.num_frames = network.num_frames

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 large_height large_width"]:
        height, width = frames.shape[-2:]
        if max(height, width) <= self.side:
            return cast(Tensor, self.network(frames))
        blended = frames.new_zeros(
            len(frames), 3, self.factor * height, self.factor * width, dtype=torch.float32
        )
        for top, bottom, down in self._cuts(height, frames.device):
            for left, right, across in self._cuts(width, frames.device):
                made = self.network(frames[..., top:bottom, left:right])
                place = blended[
                    ..., self.factor * top : self.factor * bottom, self.factor * left : self.factor * right
                ]
                place += made * (down[:, None] * across)
        return blended

    def _cuts(self, size: int, device: torch.device) -> list[tuple[int, int, Tensor]]:
        """Start, end and weights of each tile along a side; weights sum to 1 at every enlarged pixel."""
        starts = list(range(0, max(1, size - OVERLAP), self.side - OVERLAP))
        spans = [(start, min(start + self.side, size)) for start in starts]
        weights = [torch.ones(self.factor * (stop - start), device=device) for start, stop in spans]
        unused, ramp = self.factor * UNUSED, self.factor * (OVERLAP - 2 * UNUSED)
        steps = torch.arange(-unused, ramp + unused, device=device)
        rise = ((steps + 0.5) / ramp).clamp(0, 1)
        for before, after in pairwise(weights):
            before[-len(rise) :] *= 1 - rise
            after[: len(rise)] *= rise
        return [(*span, weight) for span, weight in zip(spans, weights, strict=True)]


class EightViews(nn.Module):
    """The mean of what a network makes of a window turned and mirrored in eight ways, turned back  [Timofte16].

    It takes eight times as long. The mean of views is as turned as its input: a picture mirrored gives the mirrored
    result.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.factor = network, factor_of(network)
        self.num_frames = network.num_frames

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 large_height large_width"]:
        total = None
        for turns in range(4):
            for mirrored in (False, True):
                seen = torch.rot90(frames.flip(-1) if mirrored else frames, turns, (-2, -1))
                made = torch.rot90(self.network(seen), -turns, (-2, -1))
                made = made.flip(-1) if mirrored else made
                total = made if total is None else total + made
        return cast(Tensor, total) / 8


def seen_through(
    network: nn.Module, *, tile: int = 0, ensemble: bool = False, scale: int = FACTOR
) -> nn.Module:
    """The network, at another scale, on tiles of `tile` pixels where that is not 0, as the mean of eight views.

    Raises:
        ValueError: a scale or a tile that there is not.
    """
    if scale not in SCALES:
        raise ValueError(f"scale must be 4, 8 or 16, got {scale}")
    scaled = network if scale == FACTOR else AtScale(network, scale)
    viewed = EightViews(scaled) if ensemble else scaled
    return (Tiled(viewed, tile) if tile else viewed).eval()
