"""The baseline as a setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class BicubicSizes(Network):
    """Bicubic enlargement has no sizes; nothing is learned."""

    @property
    def num_frames(self) -> int:
        return 1

    def control(self, truth: ndarray) -> dict[str, float]:
        """The structure that is left where the frame was reduced to a quarter alone."""
        from video_sr.protocol import structure_at_x4

        return structure_at_x4(truth)

    def build(self) -> nn.Module:
        from video_sr.models.bicubic import Bicubic

        return Bicubic()
