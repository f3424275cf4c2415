"""A network on tiles of a frame, for frames that are larger than memory, and the mean of its eight views of one."""

from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from video_sr.challenge import FACTOR

OVERLAP = (
    16  # of neighbouring tiles, low-resolution pixels; a multiple of 4, the step of the alignment's pyramid
)
UNUSED = 4  # at a tile's inner edges, where padding takes the place of the picture
SMALLEST_TILE = 32


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
        self.network, self.side = network, side
        self.num_frames = network.num_frames

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        height, width = frames.shape[-2:]
        if max(height, width) <= self.side:
            return cast(Tensor, self.network(frames))
        blended = frames.new_zeros(len(frames), 3, FACTOR * height, FACTOR * width, dtype=torch.float32)
        for top, bottom, down in self._cuts(height, frames.device):
            for left, right, across in self._cuts(width, frames.device):
                made = self.network(frames[..., top:bottom, left:right])
                place = blended[..., FACTOR * top : FACTOR * bottom, FACTOR * left : FACTOR * right]
                place += made * (down[:, None] * across)
        return blended

    def _cuts(self, size: int, device: torch.device) -> list[tuple[int, int, Tensor]]:
        """Start, end and weights of each tile along a side; weights sum to 1 at every enlarged pixel."""
        starts = list(range(0, max(1, size - OVERLAP), self.side - OVERLAP))
        spans = [(start, min(start + self.side, size)) for start in starts]
        weights = [torch.ones(FACTOR * (stop - start), device=device) for start, stop in spans]
        unused, ramp = FACTOR * UNUSED, FACTOR * (OVERLAP - 2 * UNUSED)
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
        self.network = network
        self.num_frames = network.num_frames

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        total = None
        for turns in range(4):
            for mirrored in (False, True):
                seen = torch.rot90(frames.flip(-1) if mirrored else frames, turns, (-2, -1))
                made = torch.rot90(self.network(seen), -turns, (-2, -1))
                made = made.flip(-1) if mirrored else made
                total = made if total is None else total + made
        return cast(Tensor, total) / 8


def seen_through(network: nn.Module, *, tile: int = 0, ensemble: bool = False) -> nn.Module:
    """The network, on tiles of `tile` pixels where that is not 0, and as the mean of eight views where asked for."""
    viewed = EightViews(network) if ensemble else network
    return (Tiled(viewed, tile) if tile else viewed).eval()
