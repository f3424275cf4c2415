"""Clips in, clips out, one frame in memory at a time: x16 enlargement, and the protocol's degradation back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray
from torch import nn

from common.data.media import H264_SUFFIXES, PICTURE_SUFFIXES, MediaError
from common.data.pictures import read_image
from common.data.video import check_whole, probe, read_frames
from common.data.video_writer import VideoWriter
from common.files import new_folder
from video_sr.challenge import FACTOR
from video_sr.protocol import crop_to_multiple, degrade, super_resolve

LARGEST_PX = 16_384  # a side, of x264
Write = Callable[[ndarray], None]


@dataclass(frozen=True)
class Footage:
    """A clip to read: a video, or a folder with one picture a frame in natural order of their names."""

    path: Path
    width: int
    height: int
    rate_hz: Fraction | None  # pictures have none
    num_frames: int | None  # a video's is what the container claims, where it claims anything
    pictures: tuple[Path, ...] = ()

    @classmethod
    def open(cls, path: Path) -> Footage:
        """Reads the first frame.

        Raises:
            MediaError: nothing there, or nothing in it that can be read as a clip.
        """
        if not path.is_dir():
            info = probe(path)
            check_whole(path)
            return cls(path, info.width, info.height, info.rate_hz, info.num_frames)
        pictures = pictures_in(path)
        if not pictures:
            raise MediaError(path, f"the folder holds no pictures ({', '.join(PICTURE_SUFFIXES)})")
        height, width, _ = read_image(pictures[0]).shape
        return cls(path, width, height, None, len(pictures), pictures)

    def frames(self) -> Iterator[UInt8[ndarray, "height width 3"]]:
        """Every frame, as it is asked for.

        Raises:
            MediaError: a damaged file, with the number of frames before it, or a frame of another size.
        """
        frames = map(read_image, self.pictures) if self.pictures else read_frames(self.path)
        for index, frame in enumerate(frames):
            if frame.shape != (self.height, self.width, 3):
                found = f"{frame.shape[1]}x{frame.shape[0]}"
                raise MediaError(
                    self.path, f"frame {index} is {found}, the first is {self.width}x{self.height}"
                )
            yield frame


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
    advance: Callable[[], object] = lambda: None,
) -> int:
    """Writes every frame of the source x16 and returns their number.

    Memory depends on the size of a frame, not on their number. Sound is kept. The target appears when it is
    whole: whatever interrupts, nothing is left behind.

    Args:
        target: a video, or without a suffix a folder of PNG files.
        rate_hz: of a video made of pictures; that of a video is kept.
        crf: constant rate factor of H.264, 0 (best) to 51.
        advance: called after each frame.
    """
    writing = _video(source, target, rate_hz, crf) if target.suffix else _frame_folder(target)
    num_frames = 0
    with writing as write:
        for frame in super_resolve(network, source.frames()):
            write(frame)
            num_frames += 1
            advance()
    return num_frames


def degrade_footage(source: Footage, target: Path, *, advance: Callable[[], object] = lambda: None) -> int:
    """Writes the challenge's input for a high-resolution clip, as a folder of PNG files; returns their number."""
    num_frames = 0
    with _frame_folder(target) as write:
        for frame in source.frames():
            write(degrade(crop_to_multiple(frame)))
            num_frames += 1
            advance()
    return num_frames


def check_target(source: Path, target: Path, *, overwrite: bool = False) -> None:
    """Refuses, before any work, a target that could not or should not be written.

    Raises:
        ValueError: an unknown suffix, no such folder, something there already, or the source itself.
    """
    if target.suffix and target.suffix.lower() not in H264_SUFFIXES:
        raise ValueError(
            f"{target}: the output must end in {', '.join(H264_SUFFIXES)}, "
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


def _video(
    source: Footage, target: Path, rate_hz: Fraction | None, crf: int
) -> AbstractContextManager[Write]:
    if source.rate_hz is not None and rate_hz is not None:
        raise ValueError(f"{source.path}: has its own rate of {float(source.rate_hz):g} Hz; leave out --rate")
    rate_hz = source.rate_hz or rate_hz
    if rate_hz is None:
        raise ValueError(f"{source.path}: pictures have no frame rate; give one, such as --rate 25")
    if max(source.width, source.height) * FACTOR > LARGEST_PX:
        raise ValueError(
            f"{source.path}: {source.width}x{source.height} becomes more than H.264's {LARGEST_PX} pixels a side; "
            "give an output without a suffix, for a folder of PNG files"
        )
    return _writing(
        VideoWriter(
            target,
            width=source.width * FACTOR,
            height=source.height * FACTOR,
            rate_hz=rate_hz,
            audio_from=None if source.pictures else source.path,
            crf=crf,
        )
    )


@contextmanager
def _writing(writer: VideoWriter) -> Iterator[Write]:
    with writer:
        yield writer.write


@contextmanager
def _frame_folder(path: Path) -> Iterator[Write]:
    """Writes 000000.png, 000001.png, ... into a hidden folder that takes its name at the end."""
    from PIL import Image

    num_frames = 0

    def write(frame: UInt8[ndarray, "height width 3"]) -> None:
        nonlocal num_frames
        Image.fromarray(frame).save(partial / f"{num_frames:06d}.png", compress_level=1)
        num_frames += 1

    with new_folder(path) as partial:
        yield write
