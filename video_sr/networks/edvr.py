"""The network of team sr xxx as a setting: EDVR with channel attention, then RCAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network, at_least, check_groups, check_odd, check_squeeze

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class EDVRAttentionSizes(Network):
    """EDVR with a trunk of channel attention to x4, then a single-frame RCAN to x16; defaults of EDVR-L and RCAN.

    Args:
        channels: width at LR size.
        groups: of offsets in each deformable convolution; must divide `channels`.
        front_blocks: residual blocks on every frame.
        trunk_blocks: channel-attention blocks on the fused frames.
        squeeze: of the channel attention, in both steps.
        tail_channels: width of the first step's last layers, at x4.
        second_channels: width of the second step.
        second_groups: residual groups of the second step.
        second_blocks: channel-attention blocks in each of them.
    """

    num_frames: int = 5
    channels: int = 128
    groups: int = 8
    front_blocks: int = 5
    trunk_blocks: int = 40
    squeeze: int = 16
    tail_channels: int = 64
    second_channels: int = 64
    second_groups: int = 10
    second_blocks: int = 20

    def __post_init__(self) -> None:
        check_odd(self, "num_frames")
        at_least(self, 1, "channels", "tail_channels", "second_channels")
        at_least(self, 0, "front_blocks", "trunk_blocks", "second_groups", "second_blocks")
        check_groups(self.groups, self.channels)
        check_squeeze(self.squeeze, min(self.channels, self.second_channels))

    def build(self) -> nn.Module:
        from video_sr.models.edvr import EDVRAttention

        return EDVRAttention(
            num_frames=self.num_frames, channels=self.channels, groups=self.groups, front_blocks=self.front_blocks,
            trunk_blocks=self.trunk_blocks, squeeze=self.squeeze, tail_channels=self.tail_channels,
            second_channels=self.second_channels, second_groups=self.second_groups, second_blocks=self.second_blocks,
        )  # fmt: skip

    def departures(self) -> tuple[str, ...]:
        ours = "Of team sr xxx's network nothing could be read; this one is ours, of EDVR's and RCAN's parts."
        told = {
            f"EDVR cut down to {self.channels} channels and {self.trunk_blocks} trunk blocks.":
                (self.channels, self.trunk_blocks) != (128, 40),
            f"RCAN cut down to {self.second_channels} channels and {self.second_groups} groups of "
            f"{self.second_blocks} blocks.":
                (self.second_channels, self.second_groups, self.second_blocks) != (64, 10, 20),
            f"EDVR sees {self.num_frames} frames instead of 5.": self.num_frames != 5,
        }  # fmt: skip
        return (ours, *(sentence for sentence, holds in told.items() if holds))
