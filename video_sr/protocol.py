"""The challenge's protocol: how a frame is degraded, how a clip is upscaled and how it is scored.

The paper's text on its data and metrics could not be read. What stands here is the custom of these challenges,
and each convention is part of a score's name: high-resolution frames cut to multiples of 16 (the last rows and
columns go, 1080 to 1072), low-resolution frames by MATLAB's bicubic `imresize` to 1/16 rounded to 8 bits, scores
on 8-bit RGB without a border crop, per frame, then averaged over a clip's frames, then over clips.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor, nn

from common.data.resize import downscale, from_8bit, to_8bit, upscale
from common.metrics.image_quality import GAUSS_TAPS, Convention, change_error
from video_sr.challenge import FACTOR
from video_sr.measures import CONSISTENCY, PSNR, PSNR_Y, SSIM, SSIM_Y, STRUCTURE, STRUCTURE_X4, TEMPORAL

Distance = Callable[[Tensor, Tensor], Tensor]  # of two batches of pictures in [0, 1]
PER_FRAME = (Convention("psnr"), Convention("ssim"), Convention("psnr", "y"), Convention("ssim", "y"))
MEASURES = (PSNR, SSIM, PSNR_Y, SSIM_Y, STRUCTURE, CONSISTENCY, TEMPORAL, STRUCTURE_X4)
SMALLEST_STRUCTURE_PX = 4 * GAUSS_TAPS  # a side: reduced to a quarter, a frame still holds SSIM's window
FLATTEST_LEVELS = 1.0  # standard deviation below which a frame, such as a black lead-in, is not scored


def crop_to_multiple(
    frame: UInt8[ndarray, "height width 3"], multiple: int = FACTOR
) -> UInt8[ndarray, "kept_height kept_width 3"]:
    """Drops the last rows and columns, so that the low-resolution grid starts at the origin."""
    height, width = frame.shape[:2]
    if min(height, width) < multiple:
        raise ValueError(f"a frame needs at least {multiple} pixels a side, got {height}x{width}")
    return frame[: height - height % multiple, : width - width % multiple]


def degrade(
    frame: UInt8[ndarray, "height width 3"], factor: int = FACTOR
) -> UInt8[ndarray, "lr_height lr_width 3"]:
    """Low-resolution frame: MATLAB's `imresize` by 1/factor, rounded to 8 bits."""
    planes = torch.from_numpy(np.ascontiguousarray(frame)).movedim(-1, 0)
    return to_8bit(downscale(from_8bit(planes), factor)).movedim(0, -1).contiguous().numpy()


def structure_at_x4(truth: UInt8[ndarray, "height width 3"]) -> dict[str, float]:
    """`STRUCTURE_X4` of a frame that is neither flat nor too small for it; else nothing."""
    if float(truth.std()) < FLATTEST_LEVELS or min(truth.shape[:2]) < SMALLEST_STRUCTURE_PX:
        return {}
    quarter = degrade(truth, 4)
    planes = from_8bit(torch.from_numpy(quarter)).movedim(-1, 0)
    restored = to_8bit(upscale(planes, 4)).movedim(0, -1).contiguous().numpy()
    return {STRUCTURE_X4.name: Convention("ssim").score(degrade(restored, 4), quarter)}


def windows(
    frames: Iterable[UInt8[ndarray, "height width 3"]], num_frames: int
) -> Iterator[UInt8[ndarray, "num_frames height width 3"]]:
    """The `num_frames` (odd) frames around each frame in turn; at the ends the outermost frame is repeated.

    Holds one window at a time, so that a clip of any length streams through.
    """
    if num_frames < 1 or num_frames % 2 == 0:
        raise ValueError(f"a window needs an odd number of frames, got {num_frames}")
    around = num_frames // 2
    held: deque[ndarray] = deque(maxlen=num_frames)
    for index, frame in enumerate(_repeat_last(frames, around)):
        held.extend([frame] * (1 if held else around + 1))
        if index >= around:
            yield np.stack(held)


def _repeat_last(frames: Iterable[ndarray], times: int) -> Iterator[ndarray]:
    last: list[ndarray] = []
    for frame in frames:
        last = [frame]
        yield frame
    yield from last * times


def super_resolve_centre(
    network: nn.Module, window: UInt8[ndarray, "time height width 3"]
) -> UInt8[ndarray, "sr_height sr_width 3"]:
    """The middle frame of a low-resolution window x16, rounded to 8 bits.

    Args:
        network: one of `video_sr.models`, in evaluation mode, on the device it is to run on.
    """
    weight = next(network.parameters(), None)
    device = weight.device if weight is not None else torch.device("cpu")
    planes = from_8bit(torch.from_numpy(np.ascontiguousarray(window))).movedim(-1, 1)[None].to(device)
    with torch.inference_mode():
        return to_8bit(network(planes)[0].float().cpu()).movedim(0, -1).contiguous().numpy()


def super_resolve(
    network: nn.Module, frames: Iterable[UInt8[ndarray, "height width 3"]]
) -> Iterator[UInt8[ndarray, "sr_height sr_width 3"]]:
    """Each low-resolution frame of a clip x16, from the window around it; streams."""
    network.eval()
    for window in windows(frames, int(network.num_frames)):  # type: ignore[arg-type]
        yield super_resolve_centre(network, window)


class AllFlat(ValueError):
    """No frame of a clip could be scored."""


@dataclass
class SequenceScore:
    """Scores of one clip, frame by frame as it streams; flat frames are counted and left out."""

    distances: Mapping[str, Distance] = field(default_factory=dict)  # further measures, by name
    frames: list[dict[str, float]] = field(default_factory=list)
    flat_frames: int = 0
    _last: tuple[ndarray, ndarray] | None = None

    def add(
        self,
        sr: UInt8[ndarray, "height width 3"],
        hr: UInt8[ndarray, "height width 3"],
        lr: UInt8[ndarray, "lr_height lr_width 3"] | None = None,
    ) -> None:
        """Scores one frame; with `lr` also how well the output, degraded again, gives the input back."""
        scores = {}
        if float(hr.std()) < FLATTEST_LEVELS:
            self.flat_frames += 1
        else:
            scores = {convention.name: convention.score(sr, hr) for convention in PER_FRAME}
            if min(hr.shape[:2]) >= SMALLEST_STRUCTURE_PX:
                scores[STRUCTURE.name] = Convention("ssim").score(degrade(sr, 4), degrade(hr, 4))
            scores |= {name: between(distance, sr, hr) for name, distance in self.distances.items()}
            if lr is not None:
                scores[CONSISTENCY.name] = Convention("psnr").score(degrade(sr), lr)
        if self._last is not None:
            before, now = (np.stack(pair) for pair in zip(self._last, (sr, hr), strict=True))
            scores[TEMPORAL.name] = change_error(before, now)
        self._last = (sr, hr)
        self.frames.append(scores)

    def add_beside(self, scores: Mapping[str, float]) -> None:
        """What else was measured of the frame that was added last."""
        self.frames[-1].update(scores)

    def is_scored(self, index: int) -> bool:
        """Whether a frame that was added was not flat."""
        return PSNR.name in self.frames[index]

    def means(self) -> dict[str, float]:
        """Mean over frames of each measure that was taken at all; infinite ones, of identical frames, only where there
        are no others.

        Raises:
            AllFlat: no frame could be scored.
        """
        if len(self.frames) == self.flat_frames:
            raise AllFlat(f"none of {len(self.frames)} frames could be scored, {self.flat_frames} are flat")
        names = (*(measure.name for measure in MEASURES), *self.distances)
        columns = {name: [s[name] for s in self.frames if name in s] for name in names}
        return {name: finite_mean(column) for name, column in columns.items() if column}


def between(
    distance: Distance, a: UInt8[ndarray, "height width 3"], b: UInt8[ndarray, "height width 3"]
) -> float:
    """A distance of two frames."""
    pictures = (from_8bit(torch.tensor(frame)).movedim(-1, 0)[None] for frame in (a, b))
    with torch.inference_mode():
        return float(distance(*pictures))


def finite_mean(values: Iterable[float]) -> float:
    """Mean of the values that are finite; infinity of values that all are infinite."""
    column = list(values)
    finite = [value for value in column if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.inf
