"""Clips in, clips out, one frame in memory at a time: x16 enlargement, and the protocol's degradation back."""

from __future__ import annotations

import re
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from jaxtyping import UInt8
from numpy import ndarray
from torch import nn

from common.data.container import Holes
from common.data.media import H264_SUFFIXES, PICTURE_SUFFIXES, MediaError
from common.data.pictures import has_transparency, read_image
from common.data.video import Frame, check_whole, probe, stream_frames
from common.data.video_writer import VideoWriter
from common.files import new_folder, replacing
from video_sr.challenge import FACTOR
from video_sr.models.views import factor_of
from video_sr.protocol import crop_to_multiple, degrade, super_resolve

LARGEST_PX = 16_384  # a side, of x264
STILL_SUFFIX = ".png"  # of one enlarged picture
MOST_HOLES = 20  # told one by one
MADE_UP = "is damaged, and the decoder made up what is missing"
SALVAGE = "--salvage keeps what can be decoded, and lists the rest"
Write = Callable[["Shown", ndarray], None]


class Shown(NamedTuple):
    """A frame, and when and under which name its clip shows it."""

    pixels: UInt8[ndarray, "height width 3"]
    time_s: float | None  # pictures have none
    length_s: float | None
    name: str  # of a picture's file, without its suffix; "" of a video's frames


@dataclass(frozen=True)
class Footage:
    """A clip to read: a video, a picture, or a folder with one picture a frame in natural order of their names."""

    path: Path
    width: int
    height: int
    rate_hz: Fraction | None  # pictures have none
    num_frames: int | None  # a video's is what the container claims, where it claims anything
    pictures: tuple[Path, ...] = ()
    steady: bool = True  # its frames come at one rate
    pixel_ratio: Fraction = Fraction(1)  # width of a pixel over its height
    told: tuple[str, ...] = ()  # what of the file does not come through, a sentence each
    holes: Holes | None = None  # where what could not be read is noted; None: it is an error

    @classmethod
    def open(cls, path: Path, *, salvage: bool = False) -> Footage:
        """Reads the first frame.

        Args:
            salvage: of a damaged video, reads what can be decoded and notes the holes.

        Raises:
            MediaError: nothing there, or nothing in it that can be read as a clip.
        """
        if path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES:
            return cls._of_pictures(path)
        info = probe(path, holes=Holes() if salvage else None)
        with _offering_salvage():
            steady = check_whole(path, holes=Holes() if salvage else None)
        left_out = (f"left out: {info.left_out}",) if info.left_out else ()
        return cls(
            path,
            info.width,
            info.height,
            info.rate_hz,
            info.num_frames,
            steady=steady and not salvage,
            pixel_ratio=info.pixel_ratio,
            told=(*info.odd, *left_out),
            holes=Holes() if salvage else None,
        )

    @classmethod
    def _of_pictures(cls, path: Path) -> Footage:
        pictures = pictures_in(path) if path.is_dir() else (path,)
        if not pictures:
            raise MediaError(path, f"the folder holds no pictures ({', '.join(PICTURE_SUFFIXES)})")
        names = [picture.stem for picture in pictures]
        if twice := [name for name in names if names.count(name) > 1]:
            raise MediaError(path, f"picture {twice[0]} is there twice, under two suffixes")
        height, width, _ = read_image(pictures[0]).shape
        told = ("transparency is dropped",) if has_transparency(pictures[0]) else ()
        return cls(path, width, height, None, len(pictures), pictures, told=told)

    def check_decoding(self) -> None:
        """Decodes everything once, so that hours of work do not end at a damaged frame; says nothing of what is to be
        salvaged.

        Raises:
            MediaError: as `frames`.
        """
        if not self.pictures and self.holes is None:
            for _ in self._decoded():
                pass

    def frames(self) -> Iterator[UInt8[ndarray, "height width 3"]]:
        """Every frame, as it is asked for.

        Raises:
            MediaError: a damaged file, with the number of frames before it, or a frame of another size.
        """
        return (frame.pixels for frame in self.shown())

    def shown(self) -> Iterator[Shown]:
        """As `frames`, with their times and names."""
        for index, frame in enumerate(self._from_pictures() if self.pictures else self._from_video()):
            if frame.pixels.shape != (self.height, self.width, 3):
                found = f"{frame.pixels.shape[1]}x{frame.pixels.shape[0]}"
                raise MediaError(
                    self.path, f"frame {index} is {found}, the first is {self.width}x{self.height}"
                )
            yield frame

    def _from_pictures(self) -> Iterator[Shown]:
        return (Shown(read_image(path), None, None, path.stem) for path in self.pictures)

    def _from_video(self) -> Iterator[Shown]:
        return (Shown(frame.rgb(), frame.time_s, frame.length_s, "") for frame in self._decoded())

    def _decoded(self) -> Iterator[Frame]:
        with _offering_salvage():
            for index, frame in enumerate(stream_frames(self.path, holes=self.holes)):
                if frame.damaged and self.holes is None:
                    raise MediaError(self.path, f"frame {index}, at {frame.time_s:.2f} s, {MADE_UP}")
                if frame.damaged and self.holes is not None:
                    self.holes.add(frame.time_s, frame.time_s + frame.length_s, MADE_UP)
                yield frame


@contextmanager
def _offering_salvage() -> Iterator[None]:
    try:
        yield
    except MediaError as error:
        raise ValueError(f"{error}; {SALVAGE}") from error


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """Pictures in natural order: 2.png comes before 10.png."""
    return tuple(path for path in visible(folder) if path.suffix.lower() in PICTURE_SUFFIXES)


def visible(folder: Path) -> list[Path]:
    """What a folder holds, in natural order, without hidden files."""
    inside = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(
        inside, key=lambda path: [int(t) if t.isdecimal() else t for t in re.split(r"(\d+)", path.name)]
    )


def upscale(
    source: Footage,
    target: Path,
    network: nn.Module,
    *,
    rate_hz: Fraction | None = None,
    crf: int = 16,
    compare: Path | None = None,
    advance: Callable[[], object] = lambda: None,
    tell: Callable[[str], object] = warnings.warn,
) -> int:
    """Writes every frame of the source, enlarged, and returns their number.

    Memory depends on the size of a frame, not on their number. Frames keep their times and their pixels' shape; the
    main sound is kept. The target appears when it is whole: whatever interrupts, nothing is left behind.

    Args:
        target: a video; of a picture a .png; without a suffix a folder of PNG files, which keep their names.
        rate_hz: of a video made of pictures; that of a video is kept.
        crf: constant rate factor of H.264, 0 (best) to 51.
        compare: a further video, whose left half is bicubic and whose right half is the network's.
        advance: called after each frame.
        tell: takes a sentence on each thing of the source that does not come through.
    """
    source.check_decoding()
    scale = factor_of(network)
    video: VideoWriter | None = None
    writing: AbstractContextManager[Write]
    if not is_file_name(target):
        writing = _frame_folder(target)
    elif target.suffix.lower() == STILL_SUFFIX:
        writing = _still(source, target)
    else:
        video = _video(source, target, rate_hz, crf, scale)
        writing = _writing(video)
    for line in source.told:
        tell(f"{source.path}: {line}")
    if video is None and source.pixel_ratio != 1:
        tell(
            f"{source.path}: its pixels are {source.pixel_ratio} times as wide as high, and PNG files do not say so"
        )
    awaiting: deque[Shown] = deque()  # read, and not yet written: a network sees some frames ahead

    def read() -> Iterator[ndarray]:
        for frame in source.shown():
            awaiting.append(frame)
            yield frame.pixels

    num_frames = 0
    beside = _writing(_video(source, compare, rate_hz, crf, scale)) if compare else nullcontext(None)
    with writing as write, beside as write_beside:
        for made in super_resolve(network, read()):
            shown = awaiting.popleft()
            write(shown, made)
            if write_beside:
                write_beside(shown, split_view(shown.pixels, made))
            num_frames += 1
            advance()
    for line in [*(video.told if video else ()), *_told_of(source.holes)]:
        tell(f"{source.path}: {line}")
    return num_frames


def _told_of(holes: Holes | None) -> list[str]:
    found = holes.found if holes else []
    lines = [
        why if stop == float("inf") else f"{start:.2f} to {stop:.2f} s: {why}" for start, stop, why in found
    ]
    more = [f"and {len(lines) - MOST_HOLES} holes more"] if len(lines) > MOST_HOLES else []
    return lines[:MOST_HOLES] + more


def degrade_footage(source: Footage, target: Path, *, advance: Callable[[], object] = lambda: None) -> int:
    """Writes the challenge's input for a high-resolution clip, as a folder of PNG files; returns their number."""
    num_frames = 0
    if min(source.width, source.height) < FACTOR:
        raise ValueError(
            f"{source.path}: frames need at least {FACTOR} pixels a side, got {source.width}x{source.height}"
        )
    with _frame_folder(target) as write:
        for frame in source.shown():
            write(frame, degrade(crop_to_multiple(frame.pixels)))
            num_frames += 1
            advance()
    return num_frames


def is_file_name(path: Path) -> bool:
    """Whether the name ends as a file's does: "a.mp4" and "a.xyz" do, the folders "v1.5 results" and "v2.0" do not."""
    suffix = path.suffix[1:]
    known = path.suffix.lower() in (*H264_SUFFIXES, *PICTURE_SUFFIXES)
    return known or (bool(re.fullmatch(r"[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*", suffix)) and not path.is_dir())


def check_target(source: Path, target: Path, *, overwrite: bool = False) -> None:
    """Refuses, before any work, a target that could not or should not be written.

    Raises:
        ValueError: an unknown suffix, no such folder, something there already, or the source itself.
    """
    still = not source.is_dir() and source.suffix.lower() in PICTURE_SUFFIXES
    endings = (*H264_SUFFIXES, STILL_SUFFIX) if still else H264_SUFFIXES
    if is_file_name(target) and target.suffix.lower() not in endings:
        raise ValueError(
            f"{target}: the output must end in {', '.join(endings)}, "
            f"or in nothing for a folder of PNG files, got {target.suffix!r}"
        )
    if not target.parent.is_dir():
        raise ValueError(f"{target}: there is no folder {target.parent}; create it first")
    if target.exists() and source.exists() and target.samefile(source):
        raise ValueError(f"{target}: is the input itself; give the output another name")
    if target.is_dir():
        raise ValueError(f"{target}: is a folder, which is never overwritten; give another name or remove it")
    if target.exists() and not overwrite:
        raise ValueError(f"{target}: exists already; give another name or --overwrite")


def check_beside(source: Path, target: Path, compare: Path | None, *, overwrite: bool = False) -> None:
    """As `check_target`, of a video that is written beside the target.

    Raises:
        ValueError: it is no video by its name, or the target itself.
    """
    if compare is None:
        return
    if compare.suffix.lower() not in H264_SUFFIXES:
        raise ValueError(f"{compare}: what is compared is a video, which ends in {', '.join(H264_SUFFIXES)}")
    if compare.absolute() == target.absolute():
        raise ValueError(f"{compare}: is the output itself; give the comparison another name")
    check_target(source, compare, overwrite=overwrite)


def split_view(
    small: UInt8[ndarray, "height width 3"], made: UInt8[ndarray, "large_height large_width 3"]
) -> UInt8[ndarray, "large_height large_width 3"]:
    """Bicubic on the left, what was made on the right, and a white line between."""
    import torch

    from common.data.resize import from_8bit, imresize, to_8bit

    height, width = made.shape[:2]
    planes = from_8bit(torch.from_numpy(small.copy())).movedim(-1, 0)
    whole = to_8bit(imresize(planes, size=(height, width))).movedim(0, -1).numpy().copy()
    whole[:, width // 2 :] = made[:, width // 2 :]
    whole[:, width // 2 - 1 : width // 2 + 1] = 255
    return whole


def _video(source: Footage, target: Path, rate_hz: Fraction | None, crf: int, scale: int) -> VideoWriter:
    if source.rate_hz is not None and rate_hz is not None:
        raise ValueError(f"{source.path}: has its own rate of {float(source.rate_hz):g} Hz; leave out --rate")
    rate_hz = source.rate_hz or rate_hz
    if rate_hz is None:
        raise ValueError(f"{source.path}: pictures have no frame rate; give one, such as --rate 25")
    if max(source.width, source.height) * scale > LARGEST_PX:
        raise ValueError(
            f"{source.path}: {source.width}x{source.height} becomes more than H.264's {LARGEST_PX} pixels a side; "
            "give an output without a suffix, for a folder of PNG files"
        )
    return VideoWriter(
        target,
        width=source.width * scale,
        height=source.height * scale,
        rate_hz=rate_hz,
        variable=not source.steady,
        pixel_ratio=source.pixel_ratio,
        audio_from=None if source.pictures else source.path,
        holes=source.holes,
        crf=crf,
    )


@contextmanager
def _writing(writer: VideoWriter) -> Iterator[Write]:
    with writer:
        yield lambda shown, made: writer.write(made, shown.time_s, shown.length_s)


@contextmanager
def _frame_folder(path: Path) -> Iterator[Write]:
    """Writes NAME.png, of a video's frames 000000.png, 000001.png, ..., into a hidden folder that takes its name at the
    end."""
    from PIL import Image

    num_frames = 0

    def write(shown: Shown, made: UInt8[ndarray, "height width 3"]) -> None:
        nonlocal num_frames
        name = shown.name or f"{num_frames:06d}"
        Image.fromarray(made).save(partial / f"{name}.png", compress_level=1)
        num_frames += 1

    with new_folder(path) as partial:
        yield write


@contextmanager
def _still(source: Footage, path: Path) -> Iterator[Write]:
    from PIL import Image

    if source.path.is_dir() or not source.pictures:
        raise ValueError(f"{path}: one picture is made of one picture; give a video or a folder as output")
    with replacing(path) as partial:
        yield lambda shown, made: Image.fromarray(made).save(partial, format="PNG", compress_level=1)
