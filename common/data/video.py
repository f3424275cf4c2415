"""Video files to frames with their times, one in memory at a time: the one reader of all tools and corpora.

A time is when a frame is on screen, in seconds after the first one: told by the file, so that a variable frame rate is
no matter. Colour: a decoded frame is converted to 8-bit RGB by swscale with the matrix and range that the stream names;
one that names none counts as BT.601, limited range (swscale's default). Frames come turned by the display matrix.
Pixel aspect ratios are told and not applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from common.data.media import MediaError, decoder_words, fault_of
from common.progress import progress

CUT_OFF_S = 0.5  # shorter than its header says by more than this, a file was cut off
# Where the header says how long a file is; of others FFmpeg guesses, from its size and rate of bits.
TELL_LENGTH = ("mov", "matroska", "avi", "asf", "flv")
GUESSED_HZ = 25.0  # of a stream that names no frame rate
STAMP_S = 6e-4  # containers round times to the millisecond


@dataclass(frozen=True)
class VideoInfo:
    """What a file says of itself; sizes are those of the upright picture."""

    path: Path
    width: int
    height: int
    rate_hz: Fraction  # average over the stream
    num_frames: int | None  # as the container claims; some claim a few more than they hold
    duration_s: float | None
    has_audio: bool
    rotation_deg: int  # counter-clockwise, already applied to the frames: 0, 90, 180 or 270


@dataclass(frozen=True)
class Frame:
    """A decoded frame; it becomes RGB when it is asked to, since RGB of 8K is 100 MB."""

    path: Path
    time_s: float  # after the first frame; never falls
    length_s: float  # that it stays on screen if nothing follows
    pixel_ratio: float  # width of a pixel over its height
    decoded: Any  # the decoder's own frame, as it is stored

    @property
    def quarter_turns(self) -> int:
        """Counter-clockwise, as the display matrix says; another angle is taken for the nearest."""
        return round(self.decoded.rotation / 90) % 4

    @property
    def shown_size(self) -> tuple[float, float]:
        """Width and height as a player shows them: upright, in square pixels."""
        wide, high = self.decoded.width * self.pixel_ratio, float(self.decoded.height)
        return (high, wide) if self.quarter_turns % 2 else (wide, high)

    def rgb(self, size: tuple[int, int] | None = None) -> UInt8[ndarray, "height width 3"]:
        """Upright pixels.

        Args:
            size: (height, width) to which the picture is scaled, by areas, before it becomes RGB; None: as stored.

        Raises:
            MediaError: pixels of a kind that cannot be converted.
        """
        import av

        scaling: dict[str, Any] = {}
        if size is not None:
            height, width = size[::-1] if self.quarter_turns % 2 else size
            scaling = {"width": width, "height": height, "interpolation": "AREA"}
        try:
            pixels = self.decoded.to_ndarray(format="rgb24", **scaling)
        except (av.FFmpegError, ValueError) as error:
            kind = self.decoded.format.name
            raise MediaError(self.path, f"{kind} pictures cannot be turned into RGB: {error}") from error
        return np.ascontiguousarray(np.rot90(pixels, self.quarter_turns))


def probe(path: Path) -> VideoInfo:
    """Reads the header and the first frame.

    Raises:
        MediaError: no such file, nothing in it, no video in it, or nothing that the decoder understands.
    """
    with _Opened(path, threads=1) as opened:
        first = next(opened.frames()).decoded
        rotation = first.rotation % 360
        size = (first.width, first.height) if rotation % 180 == 0 else (first.height, first.width)
        stream, container = opened.stream, opened.container
        duration_s = container.duration / 1_000_000 if container.duration else None
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise MediaError(path, "the video stream names no frame rate")
        return VideoInfo(
            path,
            *size,
            Fraction(rate),
            stream.frames or None,
            duration_s,
            bool(container.streams.audio),
            rotation,
        )


def check_whole(path: Path) -> None:
    """Reads a file to its end and decodes nothing: hours of work on it are not to end where it breaks off.

    Raises:
        MediaError: as `stream_frames`, as far as it shows without decoding.
    """
    with (
        _Opened(path, threads=1) as opened,
        progress(f"checking {path.name}", path.stat().st_size / 1e6, "MB", done=0.0) as bar,
    ):
        for packet in opened.packets():
            bar.reach(max(0, packet.pos or 0) / 1e6)


def stream_frames(path: Path, *, threads: int = 1) -> Iterator[Frame]:
    """Every frame, in order.

    Args:
        threads: the decoder's (0: as many as it likes); 1 keeps loader workers from fighting over cores, and each
            more holds some further frames in memory.

    Raises:
        MediaError: as `probe`; also, after the frames before it, where the file is damaged or breaks off.
    """
    with _Opened(path, threads) as opened:
        yield from opened.frames()


def read_frames(
    path: Path, start: int = 0, stop: int | None = None, *, threads: int = 1
) -> Iterator[UInt8[ndarray, "height width 3"]]:
    """RGB of frames `start` to `stop` (exclusive; None: to the end), upright, one at a time.

    Frames are counted as they are decoded from the beginning: exact for every codec, linear in `start`.

    Raises:
        MediaError: as `stream_frames`; also where the file has fewer.
    """
    if start < 0 or (stop is not None and stop <= start):
        raise ValueError(f"frames must be a range with 0 <= start < stop, got {start}:{stop}")
    found = 0
    for frame in islice(stream_frames(path, threads=threads), start, stop):
        found += 1
        yield frame.rgb()
    if found == 0 or (stop is not None and found < stop - start):
        raise MediaError(path, f"has {start + found} frames or fewer, asked for {start}:{stop}")


def frames_at(path: Path, times_s: Sequence[float]) -> Iterator[Frame]:
    """The frame on screen at each of some rising times; fewer where the file ends before the last of them.

    Raises:
        MediaError: as `stream_frames`; also where the file ends before the first.
    """
    before, done = None, 0
    for frame in stream_frames(path):
        while before is not None and done < len(times_s) and times_s[done] < frame.time_s - STAMP_S:
            yield before
            done += 1
        if done == len(times_s):
            return
        before = frame
    assert before is not None  # a stream without a frame is an error
    end_s = before.time_s + before.length_s
    while done < len(times_s) and times_s[done] < end_s - STAMP_S:
        yield before
        done += 1
    if not done:
        raise MediaError(path, f"ends before {times_s[0]:g} s, lasts {end_s:.3f} s")


class _Opened:
    """An open container and its first stream of moving pictures; every fault of the decoder becomes a MediaError."""

    def __init__(self, path: Path, threads: int):
        self.path, self.threads = path, threads
        self.num_packets, self.end_s = 0, 0.0  # of the stream; of the longest stream, so far

    def __enter__(self) -> _Opened:
        import av
        from av.stream import Disposition

        if fault := fault_of(self.path):
            raise MediaError(self.path, fault)
        try:
            # Of a relative name such as "http:a.mp4" FFmpeg would take the beginning for a protocol.
            self.container = av.open(str(self.path.absolute()))
        except (av.FFmpegError, OSError) as error:
            raise MediaError(self.path, f"cannot be read as a video: {decoder_words(error)}") from error
        streams = self.container.streams
        # The cover of a record is no video.
        moving = [s for s in streams.video if not s.disposition & Disposition.attached_pic]
        if not moving:
            kinds = ", ".join(sorted({s.type for s in streams if s.type != "video"})) or "nothing"
            self.container.close()
            raise MediaError(self.path, f"has no video stream, only {kinds}")
        self.stream = moving[0]
        self.stream.codec_context.thread_count = self.threads
        self.stream.thread_type = "AUTO"
        return self

    def __exit__(self, *exception: object) -> None:
        self.container.close()

    def packets(self) -> Iterator[Any]:
        """Those of the stream; those of all are looked at, since the longest tells where the file should end."""
        import av

        start_s = (self.container.start_time or 0) / 1_000_000
        try:
            for packet in self.container.demux():
                if packet.pts is not None:
                    end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                    self.end_s = max(self.end_s, end - start_s)
                if packet.stream.index != self.stream.index:
                    continue
                if packet.is_corrupt:
                    raise MediaError(self.path, f"breaks off or is damaged {self._place()}")
                yield packet
                self.num_packets += packet.size > 0
        except (av.FFmpegError, OSError) as error:
            raise MediaError(self.path, f"cannot be read {self._place()}: {decoder_words(error)}") from error
        expected_s = (self.container.duration or 0) / 1_000_000
        told = self.container.format.name.startswith(TELL_LENGTH)
        if told and expected_s - self.end_s > CUT_OFF_S:
            raise MediaError(
                self.path,
                f"breaks off {self._place()} of {expected_s:.2f} s; if that is all of it, have it written anew: "
                "ffmpeg -i IN -c copy OUT",
            )

    def _place(self) -> str:
        return f"after frame {self.num_packets}, at {self.end_s:.2f} s"

    def frames(self) -> Iterator[Frame]:
        import av

        length_s = float(1 / (self.stream.average_rate or self.stream.guessed_rate or GUESSED_HZ))
        pixel_ratio = float(self.stream.sample_aspect_ratio or 1)
        first_s, time_s, decoded = None, 0.0, 0
        for packet in self.packets():
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                where = f"cannot be decoded after frame {decoded}, at {time_s:.2f} s"
                raise MediaError(self.path, f"{where}: {decoder_words(error)}") from error
            for frame in frames:
                if (told_s := self._time_of(frame)) is not None:
                    first_s = told_s if first_s is None else first_s
                    time_s = max(time_s, told_s - first_s)
                elif decoded:
                    time_s += length_s
                yield Frame(self.path, time_s, length_s, pixel_ratio, frame)
                decoded += 1
        if not decoded:
            raise MediaError(self.path, "the video stream holds no frames")

    def _time_of(self, frame: Any) -> float | None:
        """AVI knows only the order of decoding: its H.264 frames of the future bear each other's times."""
        stamp = frame.dts if self.container.format.name == "avi" else frame.pts
        return None if stamp is None else float(stamp * frame.time_base)
