"""The stand-in for the network of team lyl as a setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network, at_least

if TYPE_CHECKING:
    from torch import Tensor, nn


LEVELS = 4  # of x2


@dataclass(frozen=True, kw_only=True)
class CoarseToFineSizes(Network):
    """A Laplacian pyramid over one frame.

    Args:
        channels: width after each of the 4 steps of x2.
        blocks: residual blocks at each level.
    """

    channels: tuple[int, ...] = (64, 64, 64, 64)
    blocks: int = 5

    def __post_init__(self) -> None:
        if len(self.channels) != LEVELS or min(self.channels) < 1:
            raise ValueError(f"channels must name {LEVELS} positive widths, got {self.channels}")
        at_least(self, 0, "blocks")

    @property
    def num_frames(self) -> int:
        return 1

    def build(self) -> nn.Module:
        from video_sr.models.coarse_to_fine import CoarseToFine

        return CoarseToFine(channels=self.channels, blocks=self.blocks)

    def losses(self, model: nn.Module, low: Tensor, high: Tensor, *, eps: float) -> dict[str, Tensor]:
        """L1 at every level, against the truth reduced to its size: 1/8, 1/4, 1/2 and 1 of it, coarsest first."""
        from common.data.resize import downscale
        from video_sr.objective import l1

        pictures = model.pictures(low)  # type: ignore[operator]
        halvings = range(LEVELS - 1, -1, -1)
        return {
            f"l1-x{2 ** (LEVELS - halved)}": l1(picture, downscale(high, 2**halved)) / 2**halved
            for picture, halved in zip(pictures, halvings, strict=True)
        }

    def departures(self) -> tuple[str, ...]:
        ours = "Of team lyl's network nothing could be read; this one is ours."
        cut = f"It is cut down to {self.channels} channels and {self.blocks} blocks a level."
        return (ours, cut) if (self.channels, self.blocks) != ((64,) * LEVELS, 5) else (ours,)
