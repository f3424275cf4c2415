"""The stand-in for the network of team ZZX as a setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network, at_least, check_odd, l1_of

if TYPE_CHECKING:
    from torch import Tensor, nn


SCALES = 3  # the input's size, x4 and x16


@dataclass(frozen=True, kw_only=True)
class MultiDistillationSizes(Network):
    """Information multi-distillation at three sizes of the picture; widths and numbers of blocks are IMDN's.

    Args:
        channels: width at the input's size, at x4 and at x16; multiples of 4.
        blocks: at each of these sizes.
        squeeze: of the contrast-aware channel attention.
    """

    num_frames: int = 3
    channels: tuple[int, ...] = (64, 64, 64)
    blocks: tuple[int, ...] = (6, 6, 6)
    squeeze: int = 16

    def __post_init__(self) -> None:
        check_odd(self, "num_frames")
        if len(self.channels) != SCALES or any(width < 4 or width % 4 for width in self.channels):
            raise ValueError(f"channels must name {SCALES} multiples of 4, got {self.channels}")
        if len(self.blocks) != SCALES or min(self.blocks) < 1:
            raise ValueError(f"blocks must name {SCALES} numbers of 1 or more, got {self.blocks}")
        at_least(self, 1, "squeeze")
        if self.squeeze > min(self.channels):
            raise ValueError(f"squeeze must be in 1..{min(self.channels)} (the channels), got {self.squeeze}")

    def build(self) -> nn.Module:
        from video_sr.models.multi_distillation import MultiDistillation

        return MultiDistillation(
            num_frames=self.num_frames, channels=self.channels, blocks=self.blocks, squeeze=self.squeeze
        )

    def losses(self, model: nn.Module, low: Tensor, high: Tensor, *, eps: float) -> dict[str, Tensor]:
        return l1_of(model, low, high)

    def departures(self) -> tuple[str, ...]:
        ours = "Of team ZZX's network nothing could be read; this one is ours, of IMDN's blocks."
        cut = f"It is cut down to {self.channels} channels and {self.blocks} blocks."
        return (ours, cut) if (self.channels, self.blocks) != ((64,) * SCALES, (6,) * SCALES) else (ours,)
