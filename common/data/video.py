"""Video files to frames with their times, one in memory at a time: the one reader of all tools and corpora.

A time is when a frame is on screen, in seconds after the first one: told by the file, so that a variable frame rate is
no matter; a clock that starts anew, as where recordings were joined, goes on. Colour: a decoded frame is converted to
8-bit RGB by swscale with the matrix and range that the stream names; one that names none counts as BT.601, limited
range (swscale's default). Frames come mirrored and turned by the display matrix. Pixel aspect ratios are told and not
applied.
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

from common.data.container import (
    Clock,
    Holes,
    left_out,
    moving_pictures,
    odd_pictures,
    open_container,
    orientation,
)
from common.data.cut_off import missing_end
from common.data.media import MediaError, decoder_words
from common.progress import progress

CUT_OFF_S = 0.5  # shorter than its header says by more than this, a file was cut off
# Where the header says how long a file is; of others FFmpeg guesses, from its size and rate of bits.
TELL_LENGTH = ("mov", "matroska", "avi", "asf", "flv")
GUESSED_HZ = 25.0  # of a stream that names no frame rate
MOST_FAULTS = 100  # in a row, after which a damaged file is given up
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
    pixel_ratio: Fraction  # width of a pixel of the upright picture over its height
    start_s: float  # time of the first frame by the file's own clock, by which its sound goes too
    odd: tuple[str, ...]  # what of the pictures the frames do not show, a sentence each
    left_out: str  # what the file holds beside its main pictures and sound


@dataclass(frozen=True)
class Frame:
    """A decoded frame; it becomes RGB when it is asked to, since RGB of 8K is 100 MB."""

    path: Path
    time_s: float  # after the first frame; never falls
    length_s: float  # that it stays on screen if nothing follows
    pixel_ratio: float  # width of a pixel over its height, as it is stored
    mirrored: bool  # is to be shown mirrored left to right, and turned after that
    quarter_turns: (
        int  # counter-clockwise, as the display matrix says; another angle is taken for the nearest
    )
    decoded: Any  # the decoder's own frame, as it is stored

    @property
    def damaged(self) -> bool:
        """The decoder lacked a part of it and made that up."""
        return bool(self.decoded.is_corrupt)

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
        upright = np.rot90(pixels[:, ::-1] if self.mirrored else pixels, self.quarter_turns)
        return np.ascontiguousarray(upright)


def probe(path: Path, *, holes: Holes | None = None) -> VideoInfo:
    """Reads the header and the first frame.

    Args:
        holes: as in `stream_frames`.

    Raises:
        MediaError: no such file, nothing in it, no video in it, or nothing that the decoder understands.
    """
    with _Opened(path, threads=1, holes=holes) as opened:
        found = next(opened.frames())
        first, stream, container = found.decoded, opened.stream, opened.container
        sideways = found.quarter_turns % 2 == 1
        size = (first.height, first.width) if sideways else (first.width, first.height)
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise MediaError(path, "the video stream names no frame rate")
        ratio = Fraction(stream.sample_aspect_ratio or 1)
        return VideoInfo(
            path,
            *size,
            rate_hz=Fraction(rate),
            num_frames=stream.frames or None,
            duration_s=container.duration / 1_000_000 if container.duration else None,
            has_audio=bool(container.streams.audio),
            rotation_deg=90 * found.quarter_turns,
            pixel_ratio=1 / ratio if sideways else ratio,
            start_s=opened.stamp_s(first) or 0.0,
            odd=tuple(odd_pictures(stream, first)),
            left_out=left_out(container),
        )


def pictures_start_s(path: Path, *, holes: Holes | None = None) -> float:
    """When a player that begins with the file shows the first frame: later than 0 where sound begins before it.

    Raises:
        MediaError: as `probe`.
    """
    with _Opened(path, threads=1, holes=holes) as opened:
        first_s = opened.stamp_s(next(opened.frames()).decoded)
        if first_s is None or opened.counts_decoding:  # whose stamps are no times
            return 0.0
        start_s = first_s - (opened.container.start_time or 0) / 1_000_000
        return start_s if start_s > STAMP_S else 0.0


def check_whole(path: Path, *, holes: Holes | None = None) -> bool:
    """Reads a file to its end and decodes nothing: hours of work on it are not to end where it breaks off.

    Args:
        holes: as in `stream_frames`.

    Returns:
        Whether its frames come at one rate, none left out.

    Raises:
        MediaError: as `stream_frames`, as far as it shows without decoding; also where the sound is damaged.
    """
    with (
        _Opened(path, threads=1, holes=holes) as opened,
        progress(f"checking {path.name}", path.stat().st_size / 1e6, "MB", done=0.0) as bar,
    ):
        steady = _Steady(opened.stream)
        for packet in opened.packets():
            steady.add(packet.dts if opened.counts_decoding else packet.pts)
            bar.reach(max(0, packet.pos or 0) / 1e6)
        if opened.damaged_beside and holes is None:
            raise MediaError(path, opened.damaged_beside)
        return steady.is_so


def stream_frames(path: Path, *, threads: int = 1, holes: Holes | None = None) -> Iterator[Frame]:
    """Every frame, in order.

    Args:
        threads: the decoder's (0: as many as it likes); 1 keeps loader workers from fighting over cores, and each
            more holds some further frames in memory.
        holes: where what cannot be read or decoded is noted, and passed over; None: it is an error.

    Raises:
        MediaError: as `probe`; also, after the frames before it, where the file is damaged or breaks off.
    """
    with _Opened(path, threads, holes=holes) as opened:
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
    """The frame that a player shows at each of some rising times, before late pictures the first; fewer past the end.

    Raises:
        MediaError: as `stream_frames`; also where it ends before the first.
    """
    late_s, before, done = pictures_start_s(path), None, 0
    for frame in stream_frames(path):
        while before is not None and done < len(times_s) and times_s[done] < late_s + frame.time_s - STAMP_S:
            yield before
            done += 1
        if done == len(times_s):
            return
        before = frame
    assert before is not None  # a stream without a frame is an error
    end_s = late_s + before.time_s + before.length_s
    while done < len(times_s) and times_s[done] < end_s - STAMP_S:
        yield before
        done += 1
    if not done:
        raise MediaError(path, f"ends before {times_s[0]:g} s, lasts {end_s:.3f} s")


class _Opened:
    """An open file and its moving pictures; every fault of the decoder becomes a MediaError, or a hole."""

    def __init__(self, path: Path, threads: int, *, holes: Holes | None = None):
        self.path, self.threads, self.holes = path, threads, holes
        self.num_packets, self.end_s = 0, 0.0  # of the stream; of the longest stream, so far
        self.damaged_beside = ""  # where another stream is first damaged

    def __enter__(self) -> _Opened:
        self.container = open_container(self.path, "a video")
        stream = moving_pictures(self.container)
        if stream is None:
            kinds = {s.type for s in self.container.streams if s.type != "video"}
            self.container.close()
            raise MediaError(self.path, f"has no video stream, only {', '.join(sorted(kinds)) or 'nothing'}")
        self.stream = stream
        self.stream.codec_context.thread_count = self.threads
        self.stream.thread_type = "AUTO"
        self.length_s = float(1 / (stream.average_rate or stream.guessed_rate or GUESSED_HZ))
        # AVI knows only the order of decoding: its H.264 frames of the future bear each other's times.
        self.counts_decoding = self.container.format.name == "avi"
        return self

    def __exit__(self, *exception: object) -> None:
        self.container.close()

    def packets(self) -> Iterator[Any]:
        """Those of the stream; those of all are looked at, since the longest tells where the file should end."""
        import av

        faults = 0
        while True:
            try:
                for packet in self.container.demux():
                    faults = 0
                    if self._looked_at(packet):
                        yield packet
                        self.num_packets += packet.size > 0
                break
            except (av.FFmpegError, OSError) as error:
                faults += 1
                if self.holes is None or faults > MOST_FAULTS:
                    words = decoder_words(error)
                    raise MediaError(self.path, f"cannot be read {self._place()}: {words}") from error
                self.holes.add(self.end_s, self.end_s, "cannot be read")
        self._check_end()

    def _looked_at(self, packet: Any) -> bool:
        """Whether a packet is the stream's; one of which a part is missing is an error, or noted."""
        if packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self.end_s = max(self.end_s, end - (self.container.start_time or 0) / 1_000_000)
        ours = bool(packet.stream.index == self.stream.index)
        if packet.is_corrupt:
            damage = f"breaks off or is damaged {self._place()}"
            if ours and self.holes is None:
                raise MediaError(self.path, damage)
            if packet.stream.type == "audio":
                self.damaged_beside = self.damaged_beside or f"its sound {damage}"
        return ours

    def _check_end(self) -> None:
        expected_s = (self.container.duration or 0) / 1_000_000
        if self.counts_decoding:  # of an AVI that was cut FFmpeg puts what is left in place of its length
            expected_s = max(expected_s, self.stream.frames * self.length_s)
        told = self.container.format.name.startswith(TELL_LENGTH)
        short = told and expected_s - self.end_s > CUT_OFF_S
        why = missing_end(self.path)
        if not short and not why:
            return
        if self.holes is not None:
            self.holes.add(self.end_s, max(self.end_s, expected_s), "the file breaks off")
            return
        of = f" of {expected_s:.2f} s" if short else f": {why}"
        raise MediaError(
            self.path,
            f"breaks off {self._place()}{of}; if that is all of it, have it written anew: "
            "ffmpeg -i IN -c copy OUT",
        )

    def _place(self) -> str:
        return f"after frame {self.num_packets}, at {self.end_s:.2f} s"

    def frames(self) -> Iterator[Frame]:
        pixel_ratio = float(self.stream.sample_aspect_ratio or 1)
        clock, first_s, decoded, time_s = Clock(), 0.0, 0, 0.0
        angle, mirrored, quarter_turns = None, False, 0
        shown_s, packets_s = 0.0, 0.0  # where what was decoded ends, and what there was to decode
        for packet in self.packets():
            if (stamp_s := self._packet_s(packet)) is not None and not packet.is_discard:
                packets_s = max(packets_s, stamp_s)
            at_s = time_s if stamp_s is None or not decoded else max(0.0, stamp_s + clock.shift_s - first_s)
            if packet.is_corrupt and self.holes is not None:
                self.holes.add(at_s, at_s + self.length_s, "is damaged")
            for frame in self._decoded(packet, decoded, at_s):
                if frame.rotation != angle:
                    # Seldom: what a frame is asked beside its pixels keeps it alive until garbage is collected.
                    angle, (mirrored, quarter_turns, _) = frame.rotation, orientation(frame)
                length_s = float((frame.duration or 0) * frame.time_base) or self.length_s
                told_s = clock.at(self.stamp_s(frame), self.length_s)
                first_s = first_s if decoded else told_s
                time_s = told_s - first_s
                shown_s = max(shown_s, (self.stamp_s(frame) or told_s) + length_s)
                yield Frame(self.path, time_s, length_s, pixel_ratio, mirrored, quarter_turns, frame)
                decoded += 1
        if not decoded:
            raise MediaError(self.path, "the video stream holds no frames")
        if packets_s - shown_s > CUT_OFF_S:
            if self.holes is None:
                raise MediaError(
                    self.path,
                    f"goes on for {packets_s - shown_s:.2f} s after the last frame that can be decoded",
                )
            self.holes.add(time_s, time_s + packets_s - shown_s, "cannot be decoded")

    def _decoded(self, packet: Any, decoded: int, time_s: float) -> list[Any]:
        import av

        try:
            frames: list[Any] = packet.decode()
        except av.FFmpegError as error:
            words = decoder_words(error)
            if self.holes is None:
                where = f"cannot be decoded after frame {decoded}, at {time_s:.2f} s"
                raise MediaError(self.path, f"{where}: {words}") from error
            self.holes.add(time_s, time_s + self.length_s, "cannot be decoded")
            return []
        return frames

    def _packet_s(self, packet: Any) -> float | None:
        stamp = packet.dts if self.counts_decoding else packet.pts
        return None if stamp is None else float(stamp * packet.time_base)

    def stamp_s(self, frame: Any) -> float | None:
        """Time of a decoded frame by the file's own clock."""
        stamp = frame.dts if self.counts_decoding else frame.pts
        return None if stamp is None else float(stamp * frame.time_base)


class _Steady:
    """Whether packets, as they are added in any order, make up one rate without a gap."""

    def __init__(self, stream: Any):
        self.rate, self.tick = float(stream.average_rate or 0), float(stream.time_base)
        self.first: int | None = None
        self.on_grid, self.least, self.most, self.count = bool(self.rate), 0, 0, 0

    @property
    def is_so(self) -> bool:
        return self.on_grid and self.count == self.most - self.least + 1

    def add(self, stamp: int | None) -> None:
        if stamp is None:
            return
        self.first = stamp if self.first is None else self.first
        at = (stamp - self.first) * self.tick * self.rate
        number = round(at)
        self.least, self.most = min(self.least, number), max(self.most, number)
        self.count += 1
        self.on_grid = self.on_grid and abs(at - number) / self.rate <= STAMP_S
