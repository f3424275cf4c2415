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

from common.data.container import Holes
from common.data.media import MediaError, decoder_words
from common.data.soundtrack import Soundtrack, faults
from common.files import scratch_folder

TICK_S = Fraction(
    1, 90_000
)  # of frames that come at times of their own; 1/1000, 1/30 and 1001/30000 are multiples
ONE_RATE = ".avi"  # the container that knows no times


class VideoWriter:
    """Writes RGB frames as H.264 (yuv420p, constant rate factor `crf`) and keeps the sound of another file.

    A context manager. Frames go to a temporary file beside `path`, which takes its name at the end; an
    exception, Ctrl-C included, removes it. The sound is copied as it is where the container takes it, else as AAC,
    shifted so that it fits frame 0. It is carried over for trial before the first frame; where it fails later all the
    same, it ends there, `told` says so, and the pictures stay.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        rate_hz: Fraction,
        variable: bool = False,
        pixel_ratio: Fraction = Fraction(1),
        audio_from: Path | None = None,
        holes: Holes | None = None,
        crf: int = 16,
    ):
        """Says what is to be written.

        Args:
            rate_hz: of the frames; where they are variable, about.
            variable: each frame comes with its time.
            pixel_ratio: width of a pixel over its height, as a player is to show it.
            holes: where is noted what of the sound cannot be carried over; None: that is an error.
        """
        if width % 2 or height % 2 or width < 2 or height < 2:
            raise ValueError(f"yuv420p needs even sizes, got {width}x{height}; crop or pad by one pixel")
        if rate_hz <= 0:
            raise ValueError(f"rate_hz must be above 0, got {rate_hz}")
        if variable and path.suffix.lower() == ONE_RATE:
            raise ValueError(
                f"{path}: {ONE_RATE} holds frames at one rate, and these come at times of their own; "
                "write .mp4, .mov or .mkv"
            )
        self.path, self.audio_from, self.holes = path, audio_from, holes
        self.width, self.height, self.crf, self.pixel_ratio = width, height, crf, pixel_ratio
        self.rate_hz = Fraction(rate_hz).limit_denominator(100_000)  # codecs keep rates as 32-bit fractions
        self.tick_s = TICK_S if variable else 1 / self.rate_hz
        self.num_frames, self.last_tick = 0, -1
        self.told: list[str] = []  # what of the sound was lost
        self.sound: Soundtrack | None = None
        self.container: Any = None

    def __enter__(self) -> VideoWriter:
        import av

        with ExitStack() as opened, self._telling(self.path, "cannot be written"):
            # In a folder of its own the file has its own name, and with it the suffix that says what container it is.
            self._partial = opened.enter_context(scratch_folder(self.path)) / self.path.name
            opened.callback(self._let_go)
            if self.audio_from:
                trial = self._partial.with_stem("sound")
                self.sound = Soundtrack.proven(self.audio_from, trial, holes=self.holes)
            self.container = av.open(str(self._partial.absolute()), "w")
            options = {"crf": str(self.crf)}
            if self.tick_s == TICK_S:
                options["bf"] = (
                    "0"  # of frames in another order than they are shown, mp4 counts lengths wrongly
                )
            stream = self.container.add_stream("libx264", rate=self.rate_hz, options=options)
            stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
            stream.codec_context.time_base = self.tick_s
            stream.codec_context.sample_aspect_ratio = self.pixel_ratio.limit_denominator(255)
            stream.codec_context.color_range, stream.codec_context.colorspace = 1, 1  # limited range, BT.709
            stream.codec_context.color_primaries, stream.codec_context.color_trc = 1, 1
            self.stream = stream
            if self.sound:
                self.sound.add_to(self.container)
                self.told += filter(None, [self.sound.told])
            self._opened = opened.pop_all()
        return self

    def write(
        self,
        frame: UInt8[ndarray, "height width 3"],
        time_s: float | None = None,
        length_s: float | None = None,
    ) -> None:
        """Appends a frame of exactly the writer's size.

        Args:
            time_s: when it comes on screen, after the first frame; None: as the rate says. Of a video that is not
                variable it is passed over.
            length_s: how long it stays there if nothing follows; None: as the rate says.
        """
        import av

        if frame.shape != (self.height, self.width, 3):
            raise ValueError(f"frames must be {(self.height, self.width, 3)}, got {frame.shape}")
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        told_s = self.num_frames / self.rate_hz
        length = 1 / self.rate_hz
        if self.tick_s == TICK_S:
            told_s = told_s if time_s is None else Fraction(time_s)
            length = length if length_s is None else Fraction(length_s)
        # Frames that share a time, as in what is damaged, follow each other as closely as can be.
        self.last_tick = max(round(told_s / self.tick_s), self.last_tick + 1)
        picture.pts, picture.time_base = self.last_tick, self.tick_s
        picture.duration = max(1, round(length / self.tick_s))
        self.num_frames += 1
        with self._telling(self.path, "cannot be written"):
            self.container.mux(self.stream.encode(picture))
        # Sound up to this picture's end, so that the container never has to hold one back for the other.
        self._copy_sound(float(told_s + length))

    def _copy_sound(self, end_s: float) -> None:
        if self.sound is None:
            return
        try:
            self.sound.copy_until(self.container, end_s)
        except faults() as error:
            at_s = (self.num_frames - 1) / self.rate_hz if self.tick_s != TICK_S else self.last_tick * TICK_S
            self.told.append(f"the sound ends at {float(at_s):.2f} s: {decoder_words(error)}")
            self.sound.close()
            self.sound = None

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
