"""Any video file to overlapping windows of a few small frames, one window in memory at a time.

Frames are those on screen 0, 1, 2, ... steps after the first, told by their own times, so that a variable frame rate
is no matter. They are scaled down before they become RGB: 8K as RGB is 100 MB a frame, and is never made. Pictures come
upright and with the shape of their pixels applied; the whole picture is kept, nothing is cut off its sides.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from common.data.container import Holes
from common.data.video import Frame, pictures_start_s, stream_frames
from multimodal_ssl.model.matching import Matching

DECODER_THREADS = 2  # each more holds some further frames, which are 50 MB at 8K
DETAIL = 2  # frames are decoded so many times larger than a network sees them, for people to look at
CELL_PX = 16  # sides are multiples, so that places of a feature map are equal parts of the picture
LONGEST = 3  # times the shorter side; what is longer is squeezed to it


Picture = UInt8[ndarray, "height width 3"]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How files are cut: windows of `num_frames` frames, `rate_hz` a second, each half over the one before."""

    num_frames: int
    size_px: int  # the shorter side, as a network sees it
    rate_hz: float = 4.0

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.size_px < CELL_PX or not 0 < self.rate_hz <= 1000:
            raise ValueError(
                f"windows need 1 frame or more, sides of {CELL_PX} pixels or more and a rate in (0, 1000] Hz, got "
                f"{self.num_frames}, {self.size_px} and {self.rate_hz:g}"
            )

    @property
    def hop(self) -> int:
        """Frames from a window's first to the next one's."""
        return max(1, self.num_frames // 2)

    def __str__(self) -> str:
        window_s, hop_s = self.num_frames / self.rate_hz, self.hop / self.rate_hz
        return (
            f"{self.num_frames} frames at {self.rate_hz:g} Hz ({window_s:g} s, a new one every {hop_s:g} s)"
        )


def cut_of(matching: Matching, rate_hz: float | None) -> Cut:
    """How videos are cut for a model; None: as many frames per second as it is made for."""
    rate_hz = matching.rate_hz if rate_hz is None else rate_hz
    return Cut(num_frames=matching.num_frames, size_px=matching.size_px, rate_hz=rate_hz)


@dataclass(frozen=True)
class Window:
    """Some frames of a file, `DETAIL` times as large as a network sees them."""

    start_s: float  # as a player shows the file, in which sound may begin before the pictures
    stop_s: float
    frames: UInt8[ndarray, "time height width 3"]

    @property
    def small(self) -> UInt8[ndarray, "time small_height small_width 3"]:
        """Frames as a network sees them: means of squares of pixels."""
        time, height, width, _ = self.frames.shape
        squares = self.frames.reshape(time, height // DETAIL, DETAIL, width // DETAIL, DETAIL, 3)
        return np.rint(squares.mean(axis=(2, 4))).astype(np.uint8)


def windows(path: Path, cut: Cut, *, holes: Holes | None = None) -> Iterator[Window]:
    """Windows of a file in the order of time. The last ends with the file; a shorter file is padded by repeating its
    last frame.

    Args:
        holes: where what cannot be read or decoded is noted, and passed over; None: it is an error.

    Raises:
        MediaError: no such file, no video in it, or, after the windows before it, where it is damaged or breaks off.
    """
    late_s = pictures_start_s(path, holes=None if holes is None else Holes())
    held: deque[tuple[float, Picture]] = deque(maxlen=cut.num_frames)
    fresh, begun = 0, False
    for shown in _sampled(path, cut, holes):
        held.append(shown)
        fresh += 1
        if len(held) == cut.num_frames and (fresh >= cut.hop or not begun):
            yield _window(held, cut, late_s)
            fresh, begun = 0, True
    if fresh:
        yield _window(held, cut, late_s)


def size_of(width: float, height: float, size_px: int) -> tuple[int, int]:
    """(height, width) that a picture of that shape is scaled to."""
    ratio = min(max(width, height) / min(width, height), LONGEST)
    longer = max(size_px, round(size_px * ratio / CELL_PX) * CELL_PX)
    return (size_px, longer) if width >= height else (longer, size_px)


def _window(held: Iterable[tuple[float, Picture]], cut: Cut, late_s: float) -> Window:
    times, pictures = zip(*held, strict=True)
    lasting = pictures + pictures[-1:] * (cut.num_frames - len(pictures))
    return Window(late_s + times[0], late_s + times[-1] + 1 / cut.rate_hz, np.stack(lasting))


def _sampled(path: Path, cut: Cut, holes: Holes | None) -> Iterator[tuple[float, Picture]]:
    """(time, picture on screen) at every step. What stays longer than two windows is shown for two, and its middle
    left out: a clock that jumps by years would else fill the disk with one picture."""
    shape: tuple[int, int] | None = None
    number, last_s = 0, 0.0
    frame: Frame | None = None
    picture: Picture | None = None

    def until(end_s: float) -> Iterator[tuple[float, Picture]]:
        nonlocal number, picture
        due = math.ceil(end_s * cut.rate_hz - 1e-6)  # a hair before a step is meant to be at it
        left_out = number + cut.num_frames
        for count in chain(
            range(number, min(left_out, due)), range(max(left_out, due - cut.num_frames), due)
        ):
            if picture is None:
                assert frame is not None  # nothing is on screen before the first
                picture = frame.rgb(shape)
            yield count / cut.rate_hz, picture
        number = max(number, due)

    for found in stream_frames(path, threads=DECODER_THREADS, holes=holes):
        if shape is None:
            height, width = size_of(*found.shown_size, cut.size_px)
            shape = height * DETAIL, width * DETAIL
        else:
            yield from until(found.time_s)
        frame, picture, last_s = found, None, found.time_s + found.length_s
    yield from until(max(last_s, 1e-3))  # a file of one picture shows it once
