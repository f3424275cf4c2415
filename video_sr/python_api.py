"""The tool in Python, of the command line's parts: `video_sr.load("evesrnet").upscale("small.mp4", "large.mp4")`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray
from torch import nn

from common.runtime import find_device
from video_sr.models import by_name
from video_sr.models.views import seen_through
from video_sr.protocol import super_resolve
from video_sr.upscale import Footage, check_target, upscale

__all__ = ["Upscaler", "load"]


@dataclass(frozen=True, eq=False)
class Upscaler:
    """Enlarges x16. `network` is the bare module, from frames in 0..1 to the middle one of them, enlarged."""

    network: nn.Module

    def upscale(
        self,
        source: str | Path,
        target: str | Path,
        *,
        rate_hz: float | None = None,
        crf: int = 16,
        overwrite: bool = False,
        salvage: bool = False,
        advance: Callable[[], object] = lambda: None,
    ) -> int:
        """Enlarges a video of any length, a picture, or a folder of frames, in constant memory; returns the number of
        frames. What of the source does not come through is told as a warning.

        Args:
            target: a video, which keeps the sound, or without a suffix a folder of PNGs. It appears when it is whole.
            rate_hz: frames per second, when the source is a folder and the target a video.
            crf: H.264 quality, 0 (best) to 51.
            overwrite: replace the target.
            salvage: of a damaged video, keep what can be decoded.
            advance: called after each frame.

        Raises:
            ValueError: what cannot be read or written; nothing is left behind.
        """
        check_target(Path(source), Path(target), overwrite=overwrite)
        rate = None if rate_hz is None else Fraction(rate_hz).limit_denominator(1001)
        footage = Footage.open(Path(source), salvage=salvage)
        return upscale(footage, Path(target), self.network, rate_hz=rate, crf=crf, advance=advance)

    def frames(
        self, frames: Iterable[UInt8[ndarray, "height width 3"]]
    ) -> Iterator[UInt8[ndarray, "sr_height sr_width 3"]]:
        """Each 8-bit RGB frame of a clip, enlarged; streams."""
        return super_resolve(self.network, frames)


def load(
    model: str | None = None, *, device: str = "auto", tile: int = 0, ensemble: bool = False, scale: int = 16
) -> Upscaler:
    """A network that enlarges.

    Args:
        model: a name (span-x16, span-twice, wide, evesrnet, bicubic), a folder that `train` has left, or a run's
            weights.safetensors; by default the best on dev that needs no network.
        device: auto, cpu or cuda.
        tile: works on tiles of so many low-resolution pixels a side, a multiple of 4; 0 on whole frames.
        ensemble: the mean of eight flips and turns, in eight times the time.
        scale: 4, 8 or 16 times as large.

    Raises:
        ValueError: no such model or device.
        FetchError: the package with the weights of SPAN cannot be had.
    """
    network = seen_through(
        by_name.load(model or by_name.usual()[0]), tile=tile, ensemble=ensemble, scale=scale
    )
    return Upscaler(network.to(find_device(device).kind))
