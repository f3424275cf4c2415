"""A recurrent network after BasicVSR++ as a setting: ours, no entry of the challenge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network, at_least, check_groups, check_odd

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class BasicVSRSizes(Network):
    """BasicVSR++ on a window, with a tail to x16; defaults are those of its public code.

    Args:
        channels: width at LR size.
        blocks: residual blocks of each of the four passes.
        front_blocks: on every frame, and after the passes.
        groups: of offsets over two frames' features; even, and a divisor of twice the channels.
        farthest_px: how far offsets may leave the estimated motion.
        registration_rounds: of estimating motion at each of three sizes of a frame.
        tail_channels: as EVESRNet's.
    """

    num_frames: int = 7
    channels: int = 64
    blocks: int = 7
    front_blocks: int = 5
    groups: int = 16
    farthest_px: float = 10.0
    registration_rounds: int = 4
    tail_channels: tuple[int, ...] = (64, 64, 64, 64)

    def __post_init__(self) -> None:
        check_odd(self, "num_frames")
        at_least(self, 3, "num_frames")
        at_least(self, 1, "channels")
        at_least(self, 0, "blocks", "front_blocks", "registration_rounds")
        if self.groups % 2:
            raise ValueError(f"groups must be even, half of them for each of two frames, got {self.groups}")
        check_groups(self.groups, 2 * self.channels)
        if self.farthest_px <= 0:
            raise ValueError(f"farthest_px must be positive, got {self.farthest_px}")
        if len(self.tail_channels) not in (1, 2, 4):
            raise ValueError(f"tail_channels must name 1, 2 or 4 stages, got {self.tail_channels}")

    def build(self) -> nn.Module:
        from video_sr.models.basicvsr import BasicVSR

        return BasicVSR(
            num_frames=self.num_frames, channels=self.channels, blocks=self.blocks, front_blocks=self.front_blocks,
            groups=self.groups, farthest_px=self.farthest_px, registration_rounds=self.registration_rounds,
            tail_channels=self.tail_channels,
        )  # fmt: skip

    def departures(self) -> tuple[str, ...]:
        ours = "BasicVSR++ is no entry of the challenge; this one, with registered motion and a x16 tail, is ours."
        told = {
            f"BasicVSR++ cut down to {self.channels} channels and {self.blocks} blocks a pass.":
                (self.channels, self.blocks) != (64, 7),
            f"BasicVSR++ sees {self.num_frames} frames instead of 7.": self.num_frames != 7,
        }  # fmt: skip
        return (ours, *(sentence for sentence, holds in told.items() if holds))
