"""Media files as FFmpeg sees them: opened under their whole name, which streams are taken, what is left out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from common.data.media import MediaError, decoder_words, fault_of

LEAST_GAP_S = 0.1  # between stamps of sound: less is how containers round and encoders begin
MOST_GAP_S = 3600.0  # more is a clock that was set anew
SILENT_SAMPLES = 1 << 16  # at once
RESTART_S = 1.0  # a clock that falls back by more was started anew, as where recordings were joined
HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273


def open_container(path: Path, what: str) -> Any:
    """Opens a file for reading.

    Raises:
        MediaError: no such file, nothing in it, or nothing that FFmpeg knows as `what`.
    """
    import av

    if fault := fault_of(path):
        raise MediaError(path, fault)
    try:
        # Of a relative name such as "12:30.mp4" FFmpeg would take the beginning for a protocol.
        return av.open(str(path.absolute()))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(path, f"cannot be read as {what}: {decoder_words(error)}") from error


def moving_pictures(container: Any) -> Any | None:
    """The video stream that a player shows: the one marked as default, else the first; a cover is no video."""
    from av.stream import Disposition

    return _preferred([s for s in container.streams.video if not s.disposition & Disposition.attached_pic])


def main_sound(container: Any) -> Any | None:
    """The audio stream that a player plays: the one marked as default, else the first."""
    return _preferred(container.streams.audio)


def _preferred(streams: Any) -> Any | None:
    from av.stream import Disposition

    marked = [stream for stream in streams if stream.disposition & Disposition.default]
    return next(iter([*marked, *streams]), None)


def left_out(container: Any) -> str:
    """What of a file neither `moving_pictures` nor `main_sound` takes, in words; "" where that is nothing."""
    from av.stream import Disposition

    taken = (moving_pictures(container), main_sound(container))
    others: dict[str, list[str]] = {}
    for stream in container.streams:
        if stream not in taken:
            kind = {"audio": "sound", "subtitle": "subtitles"}.get(stream.type, stream.type)
            kind = "cover" if stream.disposition & Disposition.attached_pic else kind
            others.setdefault(kind, []).append(stream.language or "no language")
    named = [f"{len(each)} x {kind} ({', '.join(each)})" for kind, each in others.items()]
    if chapters := len(container.chapters()):
        named.append(f"{chapters} chapters")
    return "; ".join(named)


def odd_pictures(stream: Any, first: Any) -> list[str]:
    """What of a stream's pictures 8-bit RGB frames do not show, a sentence each.

    Args:
        first: its first frame, as decoded.
    """
    found = []
    if hdr := HDR.get(int(first.color_trc or 0)):
        found.append(f"high dynamic range ({hdr}) is read as if it were standard: colours come out pale")
    if first.interlaced_frame:
        found.append("is interlaced: fields are enlarged as they are, comb and all; deinterlace it first")
    alpha = first.format.name.startswith(("rgba", "bgra", "argb", "abgr", "yuva", "gbrap", "ya", "pal8"))
    if alpha or (stream.codec_context.name in ("vp8", "vp9") and stream.metadata.get("alpha_mode") == "1"):
        found.append("transparency is dropped")
    if (angle := orientation(first)[2]) % 90:
        found.append(f"is to be turned by {angle:g} degrees; turned by the nearest quarter instead")
    return found


def orientation(frame: Any) -> tuple[bool, int, float]:
    """How a decoded frame is to be shown: mirrored left to right first, then so many quarter turns counter-clockwise;
    and the angle that its display matrix names, in degrees."""
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return False, 0, 0.0
    (a, b, _), (c, d, _) = np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2].tolist()
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    angle = round(-math.degrees(math.atan2(b, a)), 3) % 360
    return mirrored, math.floor(angle / 90 + 0.5) % 4, float(angle)


@dataclass
class Clock:
    """Seconds that never fall, of stamps that may be missing or start anew."""

    now_s: float | None = None
    shift_s: float = 0.0

    def at(self, told_s: float | None, length_s: float) -> float:
        """Time of what bears the stamp `told_s`; `length_s` after the last where it bears none or one of the past."""
        expected_s = 0.0 if self.now_s is None else self.now_s + length_s
        if told_s is None:
            self.now_s = expected_s
            return expected_s
        if self.now_s is not None and told_s + self.shift_s < self.now_s - RESTART_S:
            self.shift_s = expected_s - told_s
        time_s = told_s + self.shift_s
        self.now_s = time_s if self.now_s is None else max(self.now_s, time_s)
        return self.now_s


class Gaps:
    """Silence that the stamps of sound ask for, so that its samples' times are those of the file.

    Times begin where the file's first stream does, as a player shows them.
    """

    def __init__(self, container: Any):
        self._shift_s = -(container.start_time or 0) / 1_000_000
        self._lasts_s = container.duration / 1_000_000 if container.duration else math.inf

    def before(self, frame: Any, read: int, rate_hz: int) -> Iterator[ndarray]:
        """Zeros (samples, 1), in blocks, between the `read` samples so far and a frame of sound."""
        if frame.pts is None:
            return
        now_s, told_s = read / rate_hz, float(frame.pts * frame.time_base) + self._shift_s
        gap_s = told_s - now_s
        if gap_s < -RESTART_S or gap_s > MOST_GAP_S or told_s > self._lasts_s + RESTART_S:
            self._shift_s -= gap_s
        elif gap_s > LEAST_GAP_S:
            missing = round(gap_s * rate_hz)
            for begin in range(0, missing, SILENT_SAMPLES):
                yield np.zeros((min(SILENT_SAMPLES, missing - begin), 1), np.float32)


@dataclass
class Holes:
    """Where a damaged file gave nothing, or nothing whole, while the rest was read: stretches of time with reasons."""

    found: list[tuple[float, float, str]] = field(default_factory=list)  # start, stop, why

    def add(self, start_s: float, stop_s: float, why: str) -> None:
        """Notes a stretch; one that goes on where the last one of its kind ended makes that one longer."""
        if self.found and self.found[-1][2] == why and start_s <= self.found[-1][1] + 1e-3:
            begin_s, end_s, _ = self.found[-1]
            self.found[-1] = (min(begin_s, start_s), max(end_s, stop_s), why)
        else:
            self.found.append((start_s, stop_s, why))

    def __str__(self) -> str:
        return "; ".join(f"{start:.2f} to {stop:.2f} s: {why}" for start, stop, why in self.found)
