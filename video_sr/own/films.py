"""What of a folder can be trained on: videos, pictures and folders of frames; what cannot be used is named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from common.data.media import PICTURE_SUFFIXES, VIDEO_SUFFIXES, shown
from common.data.packages import file_sha256
from video_sr.motion import Motion, clip
from video_sr.protocol import FLATTEST_LEVELS, crop_to_multiple
from video_sr.upscale import Footage

LEAST_FRAMES = 5  # pictures in a row that make a folder a film


@dataclass(frozen=True)
class Film:
    """A video, a folder of frames, or a picture over which motion is made."""

    name: str  # its path inside the folder that was given
    path: Path
    still: bool
    size_bytes: int
    mtime_ns: int

    @property
    def told(self) -> tuple[str, bool, int, int]:
        """What changes with it, as far as sizes and times tell."""
        return self.name, self.still, self.size_bytes, self.mtime_ns

    def sha256(self) -> str:
        """Of its bytes; of a folder's, of the hashes of its frames in order."""
        if not self.path.is_dir():
            return file_sha256(self.path)
        return hashlib.sha256("".join(map(file_sha256, _numbered(self.path))).encode()).hexdigest()

    def frames(self, num_frames: int) -> Iterator[UInt8[ndarray, "height width 3"]]:
        """Those of the film, cut to multiples of 16; of a picture, `num_frames` of made motion, the middle one intact.

        Raises:
            ValueError: it cannot be read, whole, as a clip.
        """
        footage = Footage.open(self.path)
        if not self.still:
            yield from (crop_to_multiple(frame) for frame in footage.frames())
            return
        (picture,) = footage.frames()
        picture = crop_to_multiple(picture)
        rng = np.random.default_rng(list(self.name.encode()))
        yield from clip(picture, Motion(), num_frames=num_frames, size=_inner(picture), rng=rng)


def _inner(picture: ndarray) -> tuple[int, int]:
    """Size of the frames that are made of a whole picture: multiples of 16, with some room to move."""
    height, width = (max(16, 16 * int(side * 0.9 / 16)) for side in picture.shape[:2])
    return height, width


def found_in(folder: Path) -> list[Film]:
    """Everything below a folder that is a film or a picture by its name.

    A folder below that holds nothing but five or more pictures numbered in a row is one film.

    Raises:
        ValueError: no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: is no folder; give one that holds videos, pictures or folders of frames")
    films, taken = list[Film](), set[Path]()
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or path.parent in taken:
            continue
        if path.is_dir():
            if frames := _numbered(path):
                taken.add(path)
                films.append(_film(folder, path, frames, still=False))
        elif path.suffix.lower() in (*VIDEO_SUFFIXES, *PICTURE_SUFFIXES):
            films.append(_film(folder, path, [path], still=path.suffix.lower() in PICTURE_SUFFIXES))
    if not films:
        kinds = ", ".join((*VIDEO_SUFFIXES[:3], *PICTURE_SUFFIXES[:2]))
        raise ValueError(f"{folder}: holds no videos and no pictures ({kinds}, ...)")
    return films


def _film(folder: Path, path: Path, files: Sequence[Path], *, still: bool) -> Film:
    found = [file.stat() for file in files]
    size, when = sum(one.st_size for one in found), max(one.st_mtime_ns for one in found)
    return Film(shown(path.relative_to(folder)), path, still, size, when)


def _numbered(folder: Path) -> list[Path]:
    """Pictures of a folder that are numbered in a row, in order; [] where they, or something else, are not."""
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    told = {
        path: re.search(r"(\d+)$", path.stem) for path in inside if path.suffix.lower() in PICTURE_SUFFIXES
    }
    numbers = {path: int(number[1]) for path, number in told.items() if number}
    if len(numbers) < LEAST_FRAMES or len(numbers) < len(inside):
        return []
    order = sorted(numbers, key=numbers.__getitem__)
    in_a_row = all(numbers[b] - numbers[a] == 1 for a, b in pairwise(order))
    return order if in_a_row else []


def is_flat(frame: ndarray) -> bool:
    """Whether it shows next to nothing, such as a black lead-in."""
    return float(frame.std()) < FLATTEST_LEVELS
