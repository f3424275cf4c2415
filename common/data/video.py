"""Video and picture files to RGB frames and back, one frame in memory at a time.

Colour: a decoded frame is converted to 8-bit RGB by swscale with the matrix and range that the stream names;
one that names none counts as BT.601, limited range (swscale's default). Written streams are BT.709, limited
range, and say so. Pixel aspect ratios are not applied: frames come as stored, turned by the display matrix.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import UInt8

from common.data.soundtrack import Soundtrack


class MediaError(ValueError):
    """`PATH: reason`, with the decoder's own words where it had any."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{path}: {reason}")


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


def probe(path: Path) -> VideoInfo:
    """Reads the header and the first frame.

    Raises:
        MediaError: no such file, nothing in it, no video in it, or nothing that the decoder understands.
    """
    with _Opened(path, threads=1) as opened:
        frame = next(opened.frames(), None)
        if frame is None:
            raise MediaError(path, "the video stream holds no frames")
        stream, container = opened.stream, opened.container
        rotation = frame.rotation % 360
        size = (frame.width, frame.height) if rotation % 180 == 0 else (frame.height, frame.width)
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


def read_frames(
    path: Path, start: int = 0, stop: int | None = None, *, threads: int = 1
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Frames `start` to `stop` (exclusive; None: to the end) as RGB, upright, one at a time.

    Frames are counted as they are decoded from the beginning: exact for every codec, linear in `start`.
    `threads` is the decoder's (0: as many as it likes); 1 keeps loader workers from fighting over cores.

    Raises:
        MediaError: as `probe`; also where the file breaks off or is damaged in the middle.
    """
    if start < 0 or (stop is not None and stop <= start):
        raise ValueError(f"frames must be a range with 0 <= start < stop, got {start}:{stop}")
    with _Opened(path, threads) as opened:
        found = 0
        for frame in islice(opened.frames(), start, stop):
            found += 1
            yield upright_rgb(frame)
    if found == 0 or (stop is not None and found < stop - start):
        raise MediaError(path, f"has {start + found} frames or fewer, asked for {start}:{stop}")


def upright_rgb(frame: Any) -> UInt8[np.ndarray, "height width 3"]:
    """RGB of a decoded frame, turned by its display matrix (quarter turns only)."""
    if frame.rotation % 90:
        raise ValueError(f"rotation must be a multiple of 90 degrees, got {frame.rotation}")
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90))


def read_image(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """An 8-bit picture as RGB, turned as its EXIF says; transparency is dropped.

    Raises:
        MediaError: no such file, nothing in it, no picture, a broken one, or more than 8 bits a channel.
    """
    from PIL import Image, ImageOps

    _check_there(path)
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise MediaError(path, f"pictures must have 8 bits a channel, got mode {image.mode}")
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).copy()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow's names for a broken file
        raise MediaError(path, f"cannot be read as a picture: {error}") from error


def _check_there(path: Path) -> None:
    if not path.exists():
        raise MediaError(path, "no such file")
    if not path.is_file():
        raise MediaError(path, "is a folder, not a file")
    if path.stat().st_size == 0:
        raise MediaError(path, "is empty (0 bytes)")


def _words(error: Any) -> str:
    """The decoder's own words: the last line of its log beside the name of the error."""
    log = getattr(error, "log", None)
    return f"{error.strerror}" + (f" ({log[1]}: {log[2].strip()})" if log else "")


class _Opened:
    """An open container and its first video stream; every fault of the decoder becomes a MediaError."""

    def __init__(self, path: Path, threads: int):
        self.path, self.threads = path, threads

    def __enter__(self) -> "_Opened":
        import av

        _check_there(self.path)
        try:
            self.container = av.open(str(self.path))
        except av.FFmpegError as error:
            raise MediaError(self.path, f"cannot be read as a video: {_words(error)}") from error
        if not self.container.streams.video:
            kinds = ", ".join(stream.type for stream in self.container.streams) or "nothing"
            self.container.close()
            raise MediaError(self.path, f"has no video stream, only {kinds}")
        self.stream = self.container.streams.video[0]
        self.stream.codec_context.thread_count = self.threads
        self.stream.thread_type = "AUTO"
        return self

    def __exit__(self, *exception: object) -> None:
        self.container.close()

    def frames(self) -> Iterator[Any]:
        import av

        decoded = 0
        try:
            for packet in self.container.demux(self.stream):
                if packet.is_corrupt:
                    raise MediaError(self.path, f"breaks off or is damaged after frame {decoded}")
                for frame in packet.decode():
                    yield frame
                    decoded += 1
        except av.FFmpegError as error:
            raise MediaError(
                self.path, f"cannot be decoded after frame {decoded}: {_words(error)}"
            ) from error


class VideoWriter:
    """Writes RGB frames as H.264 (yuv420p, constant rate factor `crf`) and keeps the sound of another file.

    A context manager. Frames go to a temporary file beside `path`, which takes its name at the end; an
    exception, Ctrl-C included, removes it. Memory does not grow with the number of frames. The sound is
    copied as it is where the container takes its codec, else as AAC, shifted so that it fits frame 0.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        rate_hz: Fraction,
        audio_from: Path | None = None,
        crf: int = 16,
    ):
        if width % 2 or height % 2 or width < 2 or height < 2:
            raise ValueError(f"yuv420p needs even sizes, got {width}x{height}; crop or pad by one pixel")
        if rate_hz <= 0:
            raise ValueError(f"rate_hz must be above 0, got {rate_hz}")
        self.path, self.audio_from = path, audio_from
        self.width, self.height, self.crf = width, height, crf
        self.rate_hz = Fraction(rate_hz).limit_denominator(100_000)  # codecs keep rates as 32-bit fractions
        self.partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
        self.num_frames = 0

    def __enter__(self) -> "VideoWriter":
        import av

        self.sound = None
        try:
            self.sound = Soundtrack(self.audio_from) if self.audio_from else None
            self.container = av.open(str(self.partial), "w")
            stream = self.container.add_stream("libx264", rate=self.rate_hz, options={"crf": str(self.crf)})
            stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
            stream.codec_context.color_range, stream.codec_context.colorspace = 1, 1  # limited range, BT.709
            stream.codec_context.color_primaries, stream.codec_context.color_trc = 1, 1
            self.stream = stream
            if self.sound:
                self.sound.add_to(self.container)
        except (av.FFmpegError, ValueError) as error:
            self._discard()
            raise MediaError(self.path, f"cannot be written: {error}") from error
        return self

    def write(self, frame: UInt8[np.ndarray, "height width 3"]) -> None:
        """Appends a frame of exactly the writer's size."""
        import av

        if frame.shape != (self.height, self.width, 3):
            raise ValueError(f"frames must be {(self.height, self.width, 3)}, got {frame.shape}")
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        picture.pts, picture.time_base = self.num_frames, 1 / self.rate_hz
        self.num_frames += 1
        self._mux(self.stream.encode(picture))
        if (
            self.sound
        ):  # up to this picture's time, so that the container never has to hold one back for the other
            self._copy_sound(float(self.num_frames / self.rate_hz))

    def _mux(self, packets: Any) -> None:
        import av

        try:
            self.container.mux(packets)
        except av.FFmpegError as error:
            raise MediaError(self.path, f"cannot be written: {_words(error)}") from error

    def _copy_sound(self, end_s: float) -> None:
        import av

        assert self.sound is not None
        try:
            self.sound.copy_until(self.container, end_s)
        except av.FFmpegError as error:
            raise MediaError(self.sound.path, f"the sound cannot be copied: {_words(error)}") from error

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.num_frames:
            try:
                self._mux(self.stream.encode(None))
                if self.sound:
                    self._copy_sound(float("inf"))
                self.container.close()
                self.partial.replace(self.path)
            except BaseException:
                self._discard()
                raise
            if self.sound:
                self.sound.close()
        else:
            self._discard()
            if kind is None:
                raise MediaError(self.path, "no frame was written")

    def _discard(self) -> None:
        import av

        if self.sound:
            self.sound.close()
        try:
            if hasattr(self, "container"):
                self.container.close()
        except av.FFmpegError:
            pass  # the trailer of a file that goes away next; the first error is the one to show
        finally:
            self.partial.unlink(missing_ok=True)
