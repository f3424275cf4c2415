"""SPAN, a light single-frame x4 network, run twice: no entry, but what people would use instead of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network, at_least

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class SPANSizes(Network):
    """SPAN x4 twice, each time with weights of its own.

    Args:
        channels: width of every layer.
        blocks: of parameter-free attention; the second last and the first lend their features to the output.
        pretrained: both start from the x4 weights of a public package, fetched when they are first needed.
    """

    channels: int = 48
    blocks: int = 6
    pretrained: bool = True

    def __post_init__(self) -> None:
        at_least(self, 1, "channels", "blocks")
        if self.pretrained and (self.channels, self.blocks) != (48, 6):
            raise ValueError(
                f"pretrained weights have 48 channels and 6 blocks, got {self.channels} and {self.blocks}"
            )

    @property
    def num_frames(self) -> int:
        return 1

    def prepare(self) -> None:
        if self.pretrained:
            from video_sr.span_weights import fetch_span

            fetch_span()

    def pretrained_layers(self) -> tuple[str, ...]:
        return ("first.", "second.") if self.pretrained else ()

    def build(self) -> nn.Module:
        from video_sr.models.span import SPANTwice

        network = SPANTwice(channels=self.channels, blocks=self.blocks)
        if self.pretrained:
            from video_sr.span_weights import fetch_span

            published = fetch_span()
            for step in (network.first, network.second):
                step.load_state_dict(published)
        return network

    def departures(self) -> tuple[str, ...]:
        return ("SPAN is no entry of the challenge; it stands beside them as a peer.",)
