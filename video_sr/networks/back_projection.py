"""The network of team TTI as a setting: recurrent back-projection with projections of x16."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network, at_least, check_odd, l1_of

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class BackProjectionSizes(Network):
    """RBPN's path in space, as STARnet holds it.

    Args:
        num_frames: odd, 3 or more; each but the middle one corrects once.
        wide: width at LR size.
        channels: width of the projections and at HR size.
        stages: up-projections of the target's own features.
        blocks: residual blocks in each of the three rows of them.
    """

    num_frames: int = 3
    wide: int = 256
    channels: int = 64
    stages: int = 3
    blocks: int = 5

    def __post_init__(self) -> None:
        check_odd(self, "num_frames")
        at_least(self, 3, "num_frames")
        at_least(self, 1, "wide", "channels", "stages")
        at_least(self, 0, "blocks")

    def build(self) -> nn.Module:
        from video_sr.models.back_projection import BackProjectionSR

        return BackProjectionSR(
            num_frames=self.num_frames,
            wide=self.wide,
            channels=self.channels,
            stages=self.stages,
            blocks=self.blocks,
        )

    def losses(self, model: nn.Module, low: Tensor, high: Tensor, *, eps: float) -> dict[str, Tensor]:
        return l1_of(model, low, high)

    def departures(self) -> tuple[str, ...]:
        flow = "Back-projection is given no optical flow."
        cut = f"It is cut down to {self.wide} and {self.channels} channels, {self.stages} stages, {self.blocks} blocks."
        whole = (self.wide, self.channels, self.stages, self.blocks) == (256, 64, 3, 5)
        return (flow,) if whole else (flow, cut)
