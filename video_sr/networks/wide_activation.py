"""The network of team CET CVLab as a setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network, at_least, check_squeeze, check_stages

if TYPE_CHECKING:
    from torch import nn


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
        at_least(self, 0, "blocks")
        at_least(self, 1, "channels", "expansion")
        check_squeeze(self.squeeze, self.channels)
        if not 1 <= self.narrow_channels <= self.channels:
            raise ValueError(
                f"linear_ratio must leave 1..{self.channels} channels, got {self.linear_ratio} "
                f"({self.narrow_channels} channels)"
            )
        check_stages(self.stages)

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
