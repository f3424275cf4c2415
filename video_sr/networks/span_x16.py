"""SPAN's two x4 steps trained together for x16, with neighbours heard between them: ours, no entry of the challenge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network, at_least, check_odd

if TYPE_CHECKING:
    from video_sr.models.span_x16 import SPANx16


@dataclass(frozen=True, kw_only=True)
class SPANx16Sizes(Network):
    """SPAN x4, agreement of its picture with the neighbours, SPAN x4.

    Args:
        num_frames: odd, three or more.
        channels: width of SPAN's layers.
        blocks: of each SPAN.
        rounds: of back-projection between the two; 0 makes it SPAN twice.
        registration_rounds: of estimating motion at each of three sizes of a frame.
        pretrained: both SPANs start from the x4 weights of a public package, fetched when they are first needed.
    """

    num_frames: int = 5
    channels: int = 48
    blocks: int = 6
    rounds: int = 8
    registration_rounds: int = 4
    pretrained: bool = True

    def __post_init__(self) -> None:
        check_odd(self, "num_frames")
        at_least(self, 3, "num_frames")
        at_least(self, 1, "channels", "blocks")
        at_least(self, 0, "rounds", "registration_rounds")
        if self.pretrained and (self.channels, self.blocks) != (48, 6):
            raise ValueError(
                f"pretrained weights have 48 channels and 6 blocks, got {self.channels} and {self.blocks}"
            )

    def prepare(self) -> None:
        if self.pretrained:
            from video_sr.span_weights import fetch_span

            fetch_span()

    def empty(self) -> SPANx16:
        from video_sr.models.span_x16 import SPANx16

        return SPANx16(
            num_frames=self.num_frames, channels=self.channels, blocks=self.blocks, rounds=self.rounds,
            registration_rounds=self.registration_rounds,
        )  # fmt: skip

    def build(self) -> SPANx16:
        network = self.empty()
        if self.pretrained:
            from video_sr.span_weights import fetch_span

            published = fetch_span()
            for step in (network.first, network.second):
                step.load_state_dict(published)
        return network

    def pretrained_layers(self) -> tuple[str, ...]:
        return ("first.", "second.") if self.pretrained else ()

    def departures(self) -> tuple[str, ...]:
        return (
            "SPAN x16 is no entry of the challenge: it is ours, and starts from weights trained by others.",
        )
