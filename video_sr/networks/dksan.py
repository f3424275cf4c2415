"""DKSAN of team WVU as a setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network, at_least, check_groups, check_odd, check_squeeze, check_stages

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class DKSANSizes(Network):
    """Deformable kernels that align frames and attend to places; the defaults are those of the public code.

    Args:
        channels: width of every layer.
        groups: of offsets in the alignment's deformable convolution; must divide `channels`.
        front_blocks: residual blocks on every frame.
        stages: enlargement of each level; their product must be 16.
        trunk_blocks: channel-attention blocks of each level.
        squeeze: of the channel attention.
    """

    num_frames: int = 5
    channels: int = 64
    groups: int = 8
    front_blocks: int = 5
    stages: tuple[int, ...] = (4, 4)
    trunk_blocks: tuple[int, ...] = (5, 3)
    squeeze: int = 16

    def __post_init__(self) -> None:
        check_odd(self, "num_frames")
        at_least(self, 1, "channels")
        at_least(self, 0, "front_blocks")
        check_groups(self.groups, self.channels)
        check_squeeze(self.squeeze, self.channels)
        check_stages(self.stages)
        if len(self.trunk_blocks) != len(self.stages) or min(self.trunk_blocks) < 0:
            raise ValueError(
                f"trunk_blocks must be 0 or more for each of {len(self.stages)} levels, got {self.trunk_blocks}"
            )

    def build(self) -> nn.Module:
        from video_sr.models.dksan import DKSAN

        return DKSAN(
            num_frames=self.num_frames, channels=self.channels, groups=self.groups, front_blocks=self.front_blocks,
            trunk_blocks=self.trunk_blocks, stages=self.stages, squeeze=self.squeeze,
        )  # fmt: skip

    def departures(self) -> tuple[str, ...]:
        told = {
            f"DKSAN cut down to {self.channels} channels and trunks of {self.trunk_blocks} blocks.":
                (self.channels, self.trunk_blocks) != (64, (5, 3)),
            f"DKSAN sees {self.num_frames} frames instead of 5.": self.num_frames != 5,
        }  # fmt: skip
        return tuple(sentence for sentence, holds in told.items() if holds)
