"""RGB frames to H.264 video files, one frame in memory at a time, with the sound of another file.

Streams are BT.709, limited range, and say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from common.data.media import MediaError, decoder_words
from common.data.soundtrack import Soundtrack
from common.files import scratch_folder


class VideoWriter:
    """Writes RGB frames as H.264 (yuv420p, constant rate factor `crf`) and keeps the sound of another file.

    A context manager. Frames go to a temporary file beside `path`, which takes its name at the end; an
    exception, Ctrl-C included, removes it. The sound is copied as it is where the container takes its codec,
    else as AAC, shifted so that it fits frame 0.
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
        self.num_frames = 0
        self.sound: Soundtrack | None = None
        self.container: Any = None

    def __enter__(self) -> VideoWriter:
        import av

        with ExitStack() as opened, self._telling(self.path, "cannot be written"):
            # In a folder of its own the file has its own name, and with it the suffix that says what container it is.
            self._partial = opened.enter_context(scratch_folder(self.path)) / self.path.name
            opened.callback(self._let_go)
            self.sound = Soundtrack(self.audio_from) if self.audio_from else None
            self.container = av.open(str(self._partial.absolute()), "w")
            stream = self.container.add_stream("libx264", rate=self.rate_hz, options={"crf": str(self.crf)})
            stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
            stream.codec_context.color_range, stream.codec_context.colorspace = 1, 1  # limited range, BT.709
            stream.codec_context.color_primaries, stream.codec_context.color_trc = 1, 1
            self.stream = stream
            if self.sound:
                self.sound.add_to(self.container)
            self._opened = opened.pop_all()
        return self

    def write(self, frame: UInt8[ndarray, "height width 3"]) -> None:
        """Appends a frame of exactly the writer's size."""
        import av

        if frame.shape != (self.height, self.width, 3):
            raise ValueError(f"frames must be {(self.height, self.width, 3)}, got {frame.shape}")
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        picture.pts, picture.time_base = self.num_frames, 1 / self.rate_hz
        self.num_frames += 1
        with self._telling(self.path, "cannot be written"):
            self.container.mux(self.stream.encode(picture))
        # Sound up to this picture's time, so that the container never has to hold one back for the other.
        self._copy_sound(float(self.num_frames / self.rate_hz))

    def _copy_sound(self, end_s: float) -> None:
        if self.sound:
            with self._telling(self.sound.path, "the sound cannot be copied"):
                self.sound.copy_until(self.container, end_s)

    @contextmanager
    def _telling(self, path: Path, what: str) -> Iterator[None]:
        import av

        try:
            yield
        except (
            av.FFmpegError,
            ValueError,
        ) as error:  # PyAV's own words for an unknown container are a ValueError
            raise MediaError(path, f"{what}: {decoder_words(error)}") from error

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._opened.__exit__(kind, value, trace)
            return
        with self._opened:
            if not self.num_frames:
                raise MediaError(self.path, "no frame was written")
            with self._telling(self.path, "cannot be written"):
                self.container.mux(self.stream.encode(None))
            self._copy_sound(float("inf"))
            with self._telling(self.path, "cannot be written"):
                self.container.close()
            self._partial.replace(self.path)

    def _let_go(self) -> None:
        import av

        if self.sound:
            self.sound.close()
        # Of what failed, the trailer of a file that goes away next may fail too; the first error is the one to show.
        with suppress(av.FFmpegError):
            if self.container is not None:
                self.container.close()
