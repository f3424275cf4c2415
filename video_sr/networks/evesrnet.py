"""EVESRNet of team KirinUK as a setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.settings import later
from video_sr.networks.network import Network, at_least, check_groups, check_odd, check_squeeze

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class EVESRNetSizes(Network):
    """The multi-frame network.

    Args:
        channels: width at LR size.
        groups: of offsets in each deformable convolution; must divide `channels`.
        front_blocks: residual blocks on every frame.
        trunk_blocks: channel-attention blocks on the fused frames.
        trunk_channels: width of the trunk where it differs from `channels`; the trunk sees one picture per clip, the
            layers before it see `num_frames`.
        squeeze: of the channel attention.
        tail_channels: width after each pixel-shuffle stage; 4 stages of x2, 2 of x4 or 1 of x16. Two convolutions at HR
            size follow; a last width of 3 leaves them out, and the last stage writes the picture itself.
        registration_rounds: of estimating one affine motion a frame, by which its features are moved onto the centre
            before they are aligned; 0 moves none. Ours.
    """

    num_frames: int = 7  # odd; the middle one is enlarged
    channels: int = 128
    groups: int = 8
    front_blocks: int = 5
    trunk_blocks: int = 20
    trunk_channels: int | None = None
    squeeze: int = 16
    tail_channels: tuple[int, ...] = (128, 64, 64, 64)
    registration_rounds: int = later(0)

    def __post_init__(self) -> None:
        check_odd(self, "num_frames")
        check_groups(self.groups, self.channels)
        at_least(self, 0, "front_blocks", "trunk_blocks", "registration_rounds")
        at_least(self, 1, "channels", "trunk_width")
        check_squeeze(self.squeeze, self.trunk_width)
        if len(self.tail_channels) not in (1, 2, 4):
            raise ValueError(f"tail_channels must name 1, 2 or 4 stages, got {self.tail_channels}")

    @property
    def trunk_width(self) -> int:
        return self.channels if self.trunk_channels is None else self.trunk_channels

    def build(self) -> nn.Module:
        from video_sr.models.evesrnet import EVESRNet

        return EVESRNet(
            num_frames=self.num_frames, channels=self.channels, groups=self.groups, front_blocks=self.front_blocks,
            trunk_blocks=self.trunk_blocks, trunk_channels=self.trunk_width, squeeze=self.squeeze,
            tail_channels=self.tail_channels, registration_rounds=self.registration_rounds,
        )  # fmt: skip

    def departures(self) -> tuple[str, ...]:
        told = {
            "EVESRNet's frames are registered by an estimated motion first: ours.": self.registration_rounds > 0,
            f"EVESRNet cut down to {self.channels} channels and {self.trunk_blocks} trunk blocks.":
                (self.channels, self.trunk_blocks) != (128, 20),
            f"EVESRNet sees {self.num_frames} frames instead of 7.": self.num_frames != 7,
            f"EVESRNet enlarges in {len(self.tail_channels)} stages instead of 4.": len(self.tail_channels) != 4,
        }  # fmt: skip
        return tuple(sentence for sentence, holds in told.items() if holds)
