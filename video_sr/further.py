"""Measures that are taken when asked for, beside the protocol's: each costs time, or files that are not everywhere."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from common.metrics.image_quality import ALEXNET_FILE, Lpips
from video_sr.by_ffmpeg import FilterScores
from video_sr.feature_distance import feature_distance
from video_sr.measures import FEATURES, LPIPS, VIF, VMAF, WARPED, WARPED_TRUTH, XPSNR
from video_sr.over_time import SMALLEST_FLOW_PX, warped_errors
from video_sr.protocol import Distance, SequenceScore, finite_mean

Frame = UInt8[ndarray, "height width 3"]
FURTHER = (XPSNR, VIF, VMAF, WARPED, WARPED_TRUTH, FEATURES, LPIPS)
OF_PAIRS = (WARPED, WARPED_TRUTH)  # of neighbouring frames: flat ones count


@dataclass(frozen=True)
class Further:
    """Which measures are taken beside the protocol's.

    Args:
        distances: between two batches of pictures in [0, 1], by the measure's name.
        ffmpeg: the program whose filters score; None leaves them out.
        warped: whether changes are followed along the truth's flow.
    """

    distances: Mapping[str, Distance] = field(default_factory=dict)
    ffmpeg: Path | None = None
    warped: bool = False

    def score(
        self, frames: Iterable[tuple[Frame, Frame]], advance: Callable[[], object] = lambda: None
    ) -> tuple[SequenceScore, dict[str, float]]:
        """Streams frames of SR and HR once; scores of each frame, and their means.

        Raises:
            ValueError: every frame is flat.
        """
        sequence, last = SequenceScore(self.distances), None
        with FilterScores(self.ffmpeg) if self.ffmpeg else nullcontext() as filters:
            for sr, hr in frames:
                sequence.add(sr, hr)
                scores = sequence.frames[-1]
                if filters:
                    filters.add(sr, hr)
                if self.warped and last and min(hr.shape[:2]) >= SMALLEST_FLOW_PX:
                    both = (np.stack(pair) for pair in zip(last, (sr, hr), strict=True))
                    found = zip(OF_PAIRS, warped_errors(*both), strict=True)
                    scores |= {measure.name: value for measure, value in found if not math.isnan(value)}
                last = (sr, hr)
                advance()
            means = sequence.means()
            for index, more in enumerate(filters.frames() if filters else ()):
                if sequence.is_scored(index):
                    sequence.frames[index] |= more
        columns = {m.name: [s[m.name] for s in sequence.frames if m.name in s] for m in FURTHER}
        return sequence, means | {name: finite_mean(column) for name, column in columns.items() if column}


def load_lpips() -> Lpips:
    """The learned distance, from the file in the folder that WEIGHTS_ROOT names.

    Raises:
        ValueError: WEIGHTS_ROOT is not set.
        FileNotFoundError: the file is not there.
    """
    if not (root := os.environ.get("WEIGHTS_ROOT")):
        raise ValueError(f"--lpips needs WEIGHTS_ROOT, the folder that holds {ALEXNET_FILE}; it is not set")
    return Lpips(Path(root) / ALEXNET_FILE)


def distances(*, features: bool, lpips: bool) -> dict[str, Distance]:
    """The feature distance and LPIPS, by their measures' names, as asked for.

    Raises:
        FetchError: the weights of the feature distance cannot be had.
        ValueError, FileNotFoundError: as `load_lpips`.
    """
    found: dict[str, Distance] = {FEATURES.name: feature_distance()} if features else {}
    return found | ({LPIPS.name: load_lpips()} if lpips else {})


def lpips_is_here() -> bool:
    """Whether its file lies in WEIGHTS_ROOT."""
    root = os.environ.get("WEIGHTS_ROOT")
    return bool(root) and (Path(root or "") / ALEXNET_FILE).is_file()
