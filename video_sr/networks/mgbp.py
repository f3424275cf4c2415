"""MGBP-3D of team BOE-IOT-AIBD as a setting, and MGBPv2 for stills, which it extends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.networks.network import Network, at_least, check_odd, l1_of

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class MGBP3DSizes(Network):
    """Multi-grid back-projection over bicubically enlarged frames.

    Args:
        channels: at each of the 5 levels, the coarsest first.
        visits: how often a level visits the next coarser one; every visit has its own weights.
        kernels: side of the convolutions, odd; several make the sum of as many networks.
        frame_taps: frames that a convolution sees, odd; 1 is MGBPv2.
        noise_channels: of drawn noise that every level is given, 0 for none.
        noise_amplitude: 0 for fidelity, 1 for the perceptual track.
    """

    num_frames: int = 5
    channels: tuple[int, ...] = (128, 96, 64, 24, 9)
    visits: int = 2
    kernels: tuple[int, ...] = (3,)
    frame_taps: int = 3
    noise_channels: int = 1
    noise_amplitude: float = 0.0

    def __post_init__(self) -> None:
        if len(self.channels) != 5:
            raise ValueError(f"channels must name 5 levels, got {self.channels}")
        if min(self.channels) < 1 or self.channels[-1] < 3:
            raise ValueError(f"channels must be positive, 3 or more at the finest level, got {self.channels}")
        at_least(self, 1, "visits")
        at_least(self, 0, "noise_channels", "noise_amplitude")
        check_odd(self, "num_frames", "frame_taps")
        if not self.kernels or any(kernel < 3 or kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"kernels must be odd, 3 or more, got {self.kernels}")

    def build(self) -> nn.Module:
        from video_sr.models.mgbp import MGBP3D

        return MGBP3D(
            num_frames=self.num_frames, channels=self.channels, visits=self.visits, kernels=self.kernels,
            frame_taps=self.frame_taps, noise_channels=self.noise_channels, noise_amplitude=self.noise_amplitude,
        )  # fmt: skip

    def losses(self, model: nn.Module, low: Tensor, high: Tensor, *, eps: float) -> dict[str, Tensor]:
        return l1_of(model, low, high)

    def departures(self) -> tuple[str, ...]:
        ours = "MGBP-3D's sizes could not be read; they are ours."
        told = {
            f"MGBP-3D cut down to {self.channels} channels.": self.channels != (128, 96, 64, 24, 9),
            f"MGBP-3D visits a level {self.visits} times instead of 2.": self.visits != 2,
            f"MGBP-3D sees {self.num_frames} frames instead of 5.": self.num_frames != 5,
        }
        return (ours, *(sentence for sentence, holds in told.items() if holds))


def mgbpv2(*kernels: int, noise_amplitude: float = 0.0) -> MGBP3DSizes:
    """MGBPv2 for x16 stills: the sum over kernels of 3, 5 and 7 for fidelity, that of 3 with noise for perception."""
    return MGBP3DSizes(
        num_frames=1,
        channels=(256, 192, 128, 48, 9),
        kernels=kernels,
        frame_taps=1,
        noise_amplitude=noise_amplitude,
    )
