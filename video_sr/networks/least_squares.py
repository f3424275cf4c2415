"""The best linear filter as a setting: no entry, but what a network has to beat before it is worth its layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network, at_least, check_odd

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class LeastSquaresSizes(Network):
    """A linear filter, fitted on training pictures in closed form.

    Args:
        side: of the neighbourhood in low-resolution pixels, odd. A filter of as many pixels of the enlarged picture
            gains half as much on dev, and one that mixes R, G and B no more.
        examples: that it is fitted on.
    """

    side: int = 5
    examples: int = 1500

    def __post_init__(self) -> None:
        check_odd(self, "side")
        at_least(self, 3, "side")
        at_least(self, 1, "examples")

    @property
    def num_frames(self) -> int:
        return 1

    @property
    def fitted_on(self) -> int:
        return self.examples

    def build(self) -> nn.Module:
        from video_sr.models.least_squares import LeastSquares

        return LeastSquares(self.side)

    def fit(self, model: nn.Module, examples: Iterable[tuple[ndarray, ndarray]]) -> None:
        from video_sr.models.least_squares import LeastSquares

        assert isinstance(model, LeastSquares)
        model.fit(examples)

    def departures(self) -> tuple[str, ...]:
        return ("A linear filter is no entry of the challenge; it stands beside them as a bar.",)
