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
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from common.data.video import MediaError

DECODER_THREADS = 2  # each more holds some further frames, which are 50 MB at 8K
DETAIL = 2  # frames are decoded so many times larger than a network sees them, for people to look at
CELL_PX = 16  # sides are multiples, so that places of a feature map are equal parts of the picture
LONGEST = 3  # times the shorter side; what is longer is squeezed to it
CUT_OFF_S = 0.5  # shorter than its header says by more than this, a file was cut off


@dataclass(frozen=True)
class Decoded:
    """The decoder's own frame, and when it is on screen."""

    time_s: float  # after the first
    length_s: float  # that it stays if nothing follows
    frame: Any
    pixel_ratio: float  # width of a pixel over its height

    @property
    def upright(self) -> tuple[float, float]:
        """Width and height as a player shows them."""
        wide, high = self.frame.width * self.pixel_ratio, float(self.frame.height)
        return (high, wide) if _quarter_turns(self.frame) % 2 else (wide, high)


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


@dataclass(frozen=True)
class Window:
    """Some frames of a file, `DETAIL` times as large as a network sees them."""

    start_s: float  # after the file's first frame
    stop_s: float
    frames: UInt8[ndarray, "time height width 3"]

    @property
    def small(self) -> UInt8[ndarray, "time small_height small_width 3"]:
        """Frames as a network sees them: means of squares of pixels."""
        time, height, width, _ = self.frames.shape
        squares = self.frames.reshape(time, height // DETAIL, DETAIL, width // DETAIL, DETAIL, 3)
        return np.rint(squares.mean(axis=(2, 4))).astype(np.uint8)


def windows(path: Path, cut: Cut) -> Iterator[Window]:
    """Windows of a file in the order of time. The last ends with the file; a file shorter than one lasts on.

    Raises:
        MediaError: no such file, no video in it, or, after the windows before it, where it is damaged or breaks off.
    """
    held: deque[tuple[float, Picture]] = deque(maxlen=cut.num_frames)
    fresh, begun = 0, False
    for shown in _sampled(path, cut):
        held.append(shown)
        fresh += 1
        if len(held) == cut.num_frames and (fresh >= cut.hop or not begun):
            yield _window(held, cut)
            fresh, begun = 0, True
    if fresh:
        yield _window(held, cut)


def size_of(width: float, height: float, size_px: int) -> tuple[int, int]:
    """(height, width) that a picture of that shape is scaled to."""
    ratio = min(max(width, height) / min(width, height), LONGEST)
    longer = max(size_px, round(size_px * ratio / CELL_PX) * CELL_PX)
    return (size_px, longer) if width >= height else (longer, size_px)


def _window(held: Iterable[tuple[float, Picture]], cut: Cut) -> Window:
    times, pictures = zip(*held, strict=True)
    lasting = pictures + pictures[-1:] * (cut.num_frames - len(pictures))
    return Window(times[0], times[-1] + 1 / cut.rate_hz, np.stack(lasting))


def _sampled(path: Path, cut: Cut) -> Iterator[tuple[float, Picture]]:
    """(time, picture on screen) at every step. What stays longer than two windows is shown for two, and its middle
    left out: a clock that jumps by years would else fill the disk with one picture."""
    shape: tuple[int, int] | None = None
    number, last_s = 0, 0.0
    frame, picture = None, None

    def until(end_s: float) -> Iterator[tuple[float, Picture]]:
        nonlocal number, picture
        due = math.ceil(end_s * cut.rate_hz - 1e-6)  # a hair before a step is meant to be at it
        left_out = number + cut.num_frames
        for count in chain(
            range(number, min(left_out, due)), range(max(left_out, due - cut.num_frames), due)
        ):
            picture = _scaled(path, frame, shape) if picture is None else picture
            yield count / cut.rate_hz, picture
        number = max(number, due)

    for found in _decoded(path):
        if shape is None:
            height, width = size_of(*found.upright, cut.size_px)
            shape = height * DETAIL, width * DETAIL
        else:
            yield from until(found.time_s)
        frame, picture, last_s = found.frame, None, found.time_s + found.length_s
    yield from until(max(last_s, 1e-3))  # a file of one picture shows it once


def _quarter_turns(frame: Any) -> int:
    """Counter-clockwise; another angle is taken for the nearest."""
    return round(frame.rotation / 90) % 4


def _scaled(path: Path, frame: Any, shape: tuple[int, int] | None) -> Picture:
    import av

    assert shape is not None
    turns = _quarter_turns(frame)
    height, width = shape[::-1] if turns % 2 else shape
    try:
        small = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(path, f"{frame.format.name} pictures cannot be turned into RGB: {error}") from error
    return np.ascontiguousarray(np.rot90(small, turns))


def _decoded(path: Path) -> Iterator[Decoded]:
    """Every frame, times never falling."""
    import av

    if path.is_file() and path.stat().st_size == 0:
        raise MediaError(path, "is empty (0 bytes)")
    first_s, time_s, count = None, 0.0, 0
    try:
        with av.open(str(path.absolute())) as container:
            stream = _video_of(path, container)
            length_s = float(1 / (stream.average_rate or stream.guessed_rate or 25))
            pixel_ratio = float(stream.sample_aspect_ratio or 1)
            for frame in _frames(path, container, stream):
                if (told_s := _time_of(frame, container.format.name)) is not None:
                    first_s = told_s if first_s is None else first_s
                    time_s = max(time_s, told_s - first_s)
                elif count:
                    time_s += length_s
                yield Decoded(time_s, length_s, frame, pixel_ratio)
                count += 1
    except (av.FFmpegError, OSError) as error:
        told = f"{error.strerror}" if error.strerror else str(error)
        where = f"cannot be decoded after {time_s:.2f} s" if count else "cannot be read as a video"
        raise MediaError(path, f"{where}: {told}") from error
    if not count:
        raise MediaError(path, "the video stream holds no frames")


def _time_of(frame: Any, container: str) -> float | None:
    """AVI knows only the order of decoding: its H.264 frames of the future bear each other's times."""
    stamp = frame.dts if container == "avi" else frame.pts
    return None if stamp is None else float(stamp * frame.time_base)


def _video_of(path: Path, container: Any) -> Any:
    """The first stream of moving pictures; the cover of a record is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            stream.codec_context.thread_count, stream.thread_type = DECODER_THREADS, "AUTO"
            return stream
    kinds = ", ".join(sorted({s.type for s in container.streams if s.type != "video"})) or "nothing"
    raise MediaError(path, f"has no video stream, only {kinds}")


def _frames(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    """Frames of one stream; packets of all are looked at, since the longest tells where the file should end."""
    end_s, start_s = 0.0, (container.start_time or 0) / 1_000_000
    for packet in container.demux():
        if packet.pts is not None:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base) - start_s)
        if packet.stream.index != stream.index:
            continue
        if packet.is_corrupt:
            raise MediaError(path, f"breaks off or is damaged at {end_s:.2f} s")
        yield from packet.decode()
    expected_s = (container.duration or 0) / 1_000_000
    if expected_s - end_s > CUT_OFF_S:
        raise MediaError(path, f"breaks off at {end_s:.2f} s of {expected_s:.2f} s")
