"""The challenge's networks as settings: what must be equal for weights to fit; no torch, so that recipes load fast.

A network is a class of sizes here and a module in `models/`; a further one is one more of each.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.challenge import FACTOR

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Network(ABC):
    """Sizes of a network that enlarges the middle one of `num_frames` frames x16."""

    @property
    @abstractmethod
    def num_frames(self) -> int:
        """Frames of the window it sees, odd; 1 for a single-frame network."""

    @abstractmethod
    def build(self) -> nn.Module:
        """A new network, from torch's random state."""

    def departures(self) -> tuple[str, ...]:
        """In what its sizes differ from the paper's, one sentence each."""
        return ()


def _at_least(owner: object, least: int, *keys: str) -> None:
    for key in keys:
        if getattr(owner, key) < least:
            raise ValueError(f"{key} must be {least} or more, got {getattr(owner, key)}")


def _check_squeeze(squeeze: int, channels: int) -> None:
    if not 1 <= squeeze <= channels:
        raise ValueError(f"squeeze must be in 1..{channels} (the channels), got {squeeze}")


@dataclass(frozen=True, kw_only=True)
class BicubicSizes(Network):
    """Bicubic enlargement has no sizes; nothing is learned."""

    @property
    def num_frames(self) -> int:
        return 1

    def build(self) -> nn.Module:
        from video_sr.models.bicubic import Bicubic

        return Bicubic()


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
    """

    num_frames: int = 7  # odd; the middle one is enlarged
    channels: int = 128
    groups: int = 8
    front_blocks: int = 5
    trunk_blocks: int = 20
    trunk_channels: int | None = None
    squeeze: int = 16
    tail_channels: tuple[int, ...] = (128, 64, 64, 64)

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.num_frames % 2 == 0:
            raise ValueError(f"num_frames must be odd, for there to be a centre, got {self.num_frames}")
        if self.groups < 1 or self.channels % self.groups:
            raise ValueError(f"groups must divide the {self.channels} channels, got {self.groups}")
        _at_least(self, 0, "front_blocks", "trunk_blocks")
        _at_least(self, 1, "channels", "trunk_width")
        _check_squeeze(self.squeeze, self.trunk_width)
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
            tail_channels=self.tail_channels,
        )  # fmt: skip

    def departures(self) -> tuple[str, ...]:
        told = {
            f"EVESRNet cut down to {self.channels} channels and {self.trunk_blocks} trunk blocks.":
                (self.channels, self.trunk_blocks) != (128, 20),
            f"EVESRNet sees {self.num_frames} frames instead of 7.": self.num_frames != 7,
            f"EVESRNet enlarges in {len(self.tail_channels)} stages instead of 4.": len(self.tail_channels) != 4,
        }  # fmt: skip
        return tuple(sentence for sentence, holds in told.items() if holds)


@dataclass(frozen=True, kw_only=True)
class WideActivationSizes(Network):
    """The light single-frame network.

    Args:
        channels: width at LR size and after every stage but the last, whose output is the picture.
        expansion: the ReLU of a block sees `expansion` times the channels.
        linear_ratio: the 3x3 convolution of a block reads that share of the channels, in 0..1.
        squeeze: of the channel attention.
        stages: enlargement of each stage; their product must be 16.
    """

    channels: int = 64
    blocks: int = 16
    expansion: int = 6
    linear_ratio: float = 0.8
    squeeze: int = 16
    stages: tuple[int, ...] = (4, 4)

    def __post_init__(self) -> None:
        _at_least(self, 0, "blocks")
        _at_least(self, 1, "channels", "expansion")
        _check_squeeze(self.squeeze, self.channels)
        if not 1 <= self.narrow_channels <= self.channels:
            raise ValueError(
                f"linear_ratio must leave 1..{self.channels} channels, got {self.linear_ratio} "
                f"({self.narrow_channels} channels)"
            )
        if math.prod(self.stages) != FACTOR:
            raise ValueError(f"stages must multiply to {FACTOR}, got {self.stages}")

    @property
    def num_frames(self) -> int:
        return 1

    @property
    def narrow_channels(self) -> int:
        """That the 3x3 convolution of a block reads."""
        return int(self.channels * self.linear_ratio)

    def build(self) -> nn.Module:
        from video_sr.models.wide_activation import WideActivation

        return WideActivation(
            channels=self.channels, blocks=self.blocks, wide=self.channels * self.expansion,
            narrow=self.narrow_channels, squeeze=self.squeeze, stages=self.stages,
        )  # fmt: skip

    def departures(self) -> tuple[str, ...]:
        told = {
            f"Wide activation cut down to {self.channels} channels and {self.blocks} blocks.":
                (self.channels, self.blocks) != (64, 16),
            f"Wide activation enlarges in {len(self.stages)} stage instead of 2.": self.stages != (4, 4),
        }  # fmt: skip
        return tuple(sentence for sentence, holds in told.items() if holds)
