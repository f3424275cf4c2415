"""Published video corpora in their own layout, and plain folders: sequences of RGB frames read by index range.

DATA_ROOT/vid3oc/{train,validation,test}/NAME.mp4           or NAME/%06d.png
DATA_ROOT/reds/train_sharp/000/00000000.png ...             and val_sharp/
any folder of videos or of folders of frames
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from common.data.media import PICTURE_SUFFIXES, VIDEO_SUFFIXES, MediaError
from common.data.pictures import read_image
from common.data.video import probe, read_frames

# The four sequences of REDS' train set that papers test on [EDVR, §4.1].
REDS4 = ("000", "011", "015", "020")
SPLITS = ("train", "dev", "test")

Frames = Iterator[UInt8[np.ndarray, "height width 3"]]


@dataclass(frozen=True)
class FrameSequence:
    """One video, or one folder of frames."""

    id: str
    keys: tuple[str, ...]  # what no split may cut
    num_frames: int | None  # exact for a folder of frames; what the container claims for a video
    read: Callable[[int, int | None], Frames]  # (start, stop): RGB frames, stop exclusive, None: to the end


def vid3oc(root: Path, split: str) -> list[FrameSequence]:
    """Vid3oC [Kim19]: its `validation` set is our dev."""
    names = {"train": "train", "dev": "validation", "test": "test"}
    return folder(root / "vid3oc" / names[_known(split)], prefix=f"vid3oc-{split}-")


def reds(root: Path, split: str) -> list[FrameSequence]:
    """REDS [Nah19]: REDS4 is test and never in train; the official validation set is dev."""
    base = root / "reds" / ("val_sharp" if _known(split) == "dev" else "train_sharp")
    prefix = "reds-val-" if split == "dev" else "reds-train-"
    found = folder(base, prefix=prefix)
    if split == "dev":
        return found
    test = {prefix + name for name in REDS4}
    if split == "test" and (missing := test - {sequence.id for sequence in found}):
        raise ValueError(
            f"REDS4 needs {', '.join(REDS4)} in {base}; missing are {', '.join(sorted(missing))}"
        )
    return [sequence for sequence in found if (sequence.id in test) == (split == "test")]


def folder(path: Path, prefix: str = "") -> list[FrameSequence]:
    """Every video and every folder of frames directly inside `path`, sorted by name; ids are the names.

    Raises:
        ValueError: no such folder, nothing usable in it, the same name twice, or a gap in numbered frames.
    """
    if not path.is_dir():
        raise ValueError(f"{path} is no folder; place the sequences there or set DATA_ROOT")
    found = [sequence for child in sorted(path.iterdir()) if (sequence := _sequence(child, prefix))]
    if not found:
        raise ValueError(f"{path} holds no video ({', '.join(VIDEO_SUFFIXES)}) and no folder of frames")
    ids = [sequence.id for sequence in found]
    if len(set(ids)) < len(ids):
        raise ValueError(f"{path} holds the same name twice: {sorted({i for i in ids if ids.count(i) > 1})}")
    return found


def _known(split: str) -> str:
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    return split


def _sequence(path: Path, prefix: str) -> FrameSequence | None:
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        name = prefix + path.stem
        return FrameSequence(name, (f"recording:{name}",), probe(path).num_frames, partial(read_frames, path))
    frames = frame_files(path) if path.is_dir() else []
    if not frames:
        return None
    name = prefix + path.name
    return FrameSequence(name, (f"recording:{name}",), len(frames), partial(_read_folder, path, frames))


def frame_files(path: Path) -> list[Path]:
    """Picture files in order: by number where all names are numbers, then without a gap; else by name."""
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in PICTURE_SUFFIXES]
    if not all(file.stem.isdigit() for file in files):
        return files
    files.sort(key=lambda file: int(file.stem))
    for before, after in pairwise(files):
        if int(after.stem) != int(before.stem) + 1:
            raise ValueError(
                f"{path}: frames must be numbered without a gap, {after.name} follows {before.name}"
            )
    return files


def _read_folder(path: Path, files: list[Path], start: int = 0, stop: int | None = None) -> Frames:
    stop = len(files) if stop is None else stop
    if not 0 <= start < stop <= len(files):
        raise MediaError(path, f"has frames 0:{len(files)}, asked for {start}:{stop}")
    shape = None
    for file in files[start:stop]:
        frame = read_image(file)
        if shape not in (None, frame.shape):
            raise MediaError(
                file, f"frames of a sequence must have one size, got {frame.shape} after {shape}"
            )
        shape = frame.shape
        yield frame
