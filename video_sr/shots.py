"""The real pictures and clips that `mini` and `gpu` use: which files of which packages, and what stands on them.

The lists are `shots.json` and `common/data/photographs.json`, chosen by eye in November 2026. Photographs are natural
ones only: no vector art, no renderings, no textures. In `plasma-workspace-wallpapers` ten names lead to one file; only
the file itself is listed.

    photographs   37 pictures, 37 scenes, 1280x1024 to 6028x3391; motion over them is made (`motion.py`)
    lossless       3 uncompressed 16-bit stills of 4256x2832
    clips         18 shots of 11 recordings: 8 from 640x272 to 1280x720, and 3 small ones
    animated       2 computer animations

Left out: `noface_face.mov` and `single_face.mp4` (the recording of `door-portrait` again), the animated rest of
`face_noface.mov`, the last shot of `bikes.mp4` (8 frames), `carphone` (144 lines), `cap13_edit2` (as `map-portrait`).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from common.data import pinned
from common.data.manifest import Bad, Entry, Manifest
from common.data.media import MediaError
from common.data.packages import Package, data_root, fetch
from common.data.pictures import read_image
from common.data.video import read_frames
from video_sr.measures import ANIMATED, CLIPS, LOSSLESS, PHOTOGRAPHS

PARTS = tuple(part.name for part in (PHOTOGRAPHS, LOSSLESS, CLIPS, ANIMATED))
# Measured with every part; without "lossless" 217 MB come and 47 MB stay.
DOWNLOAD_BYTES, DISK_BYTES = 465_296_313, 264_304_537
MIN_PIXELS = 150_000  # 8 recordings lie above (from 640x272), 3 below (to 400x300)


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One photograph, or a run of frames of a recording without a cut."""

    id: str
    part: str  # one of PARTS
    package: str  # "MANAGER:NAME"
    path: str  # inside the package
    sha256: str  # of the file
    bytes: int
    width: int  # of the file, before cropping
    height: int
    licence: str
    keys: tuple[str, ...]  # "scene:..." or "recording:...": what no split may cut
    first_frame: int = 0
    stop_frame: int = 1  # exclusive; pictures have one frame
    crop: tuple[int, int, int, int] | None = None  # top, left, height, width
    interlaced: bool = False  # none is: every frame's flag was read
    letterboxed: bool = False  # none is: the outermost rows and columns were looked at
    note: str = ""

    @property
    def num_frames(self) -> int:
        return self.stop_frame - self.first_frame


@cache
def _content() -> tuple[tuple[Package, ...], tuple[Shot, ...]]:
    content = json.loads(Path(__file__).with_name("shots.json").read_text(encoding="utf-8"))
    packages = tuple(Package(**{**fields, "files": tuple(fields["files"])}) for fields in content["packages"])
    shots = [Shot(part="photographs", **vars(photograph)) for photograph in pinned.photographs()]
    for fields in content["shots"]:
        crop = fields.get("crop")
        shots.append(Shot(**{**fields, "keys": tuple(fields["keys"]), "crop": crop and tuple(crop)}))
    return (*pinned.photograph_packages(), *packages), tuple(shots)


def packages() -> tuple[Package, ...]:
    return _content()[0]


def listed(*parts: str) -> tuple[Shot, ...]:
    """The shots of the parts named, or all."""
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise ValueError(f"parts must be among {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    return tuple(shot for shot in _content()[1] if shot.part in (parts or PARTS))


def package_of(shot: Shot) -> Package:
    return next(p for p in packages() if f"{p.manager}:{p.name}" == shot.package)


def file_of(shot: Shot, root: Path | None = None) -> Path:
    return (root or data_root()) / package_of(shot).folder / shot.path


def is_small(shot: Shot) -> bool:
    """Fewer than `MIN_PIXELS` a frame: such clips are for development, never for test."""
    return shot.width * shot.height < MIN_PIXELS


def fetch_packages(root: Path | None = None, *parts: str) -> Path:
    """Fetches the packages that the parts (default: all) need; returns the data root. What is there already stays.

    Raises:
        FetchError: a package that cannot be had; says which file to place where.
    """
    root = root or data_root()
    for package in dict.fromkeys(package_of(shot) for shot in listed(*parts)):
        fetch(package, root)
    return root


def manifest(*parts: str) -> Manifest:
    """One entry per shot, with paths relative to the data root."""
    return Manifest(
        tuple(
            Entry(s.id, f"{package_of(s).folder}/{s.path}", s.sha256, s.bytes, s.keys, s.part)
            for s in listed(*parts)
        )
    )


def verify(root: Path | None = None, *parts: str) -> list[Bad]:
    """Hashes every file and decodes every frame once; returns what is wrong."""
    by_id = {shot.id: shot for shot in listed(*parts)}

    def decode(entry: Entry, path: Path) -> None:
        for _ in read_shot(by_id[entry.id], root):
            pass

    return manifest(*parts).verify(root or data_root(), decode)


def load_photograph(shot: Shot, root: Path | None = None) -> UInt8[np.ndarray, "height width 3"]:
    """A picture as 8-bit RGB, of the size that the list says.

    Raises:
        MediaError: missing (fetch it first), broken or of another size.
    """
    if shot.part not in ("photographs", "lossless"):
        raise ValueError(f"{shot.id} is of part {shot.part!r}; read clips with read_clip")
    path = file_of(shot, root)
    picture = read_gbr16(path, shot.width, shot.height) if path.suffix == ".raw" else read_image(path)
    if picture.shape != (shot.height, shot.width, 3):
        raise MediaError(
            path, f"must be {shot.width}x{shot.height}, got {picture.shape[1]}x{picture.shape[0]}"
        )
    return picture


def read_gbr16(path: Path, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """An uncompressed still stored as planes G, B, R of 16-bit little-endian words, to 8 bits: round(word / 257)."""
    if not path.is_file():
        raise MediaError(path, "no such file")
    if path.stat().st_size != 6 * width * height:
        raise MediaError(path, f"must be {6 * width * height} bytes, got {path.stat().st_size}")
    planes = np.memmap(path, "<u2", "r", shape=(3, height, width))
    rgb = np.empty((height, width, 3), np.uint8)
    for channel, plane in enumerate((2, 0, 1)):
        # 257 = 65535 / 255. Adding half of it rounds; 32 bits hold the sum. A plane at a time keeps memory low.
        rgb[..., channel] = (planes[plane].astype(np.uint32) + 128) // 257
    return rgb


def read_clip(
    shot: Shot, root: Path | None = None, start: int = 0, stop: int | None = None
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Frames `start` to `stop` (exclusive) of a shot, counted from its own first frame, cropped as the list says."""
    stop = shot.num_frames if stop is None else stop
    if not 0 <= start < stop <= shot.num_frames:
        raise ValueError(f"{shot.id} has frames 0:{shot.num_frames}, asked for {start}:{stop}")
    path = file_of(shot, root)
    top, left, height, width = shot.crop or (0, 0, shot.height, shot.width)
    for frame in read_frames(path, shot.first_frame + start, shot.first_frame + stop):
        if frame.shape != (shot.height, shot.width, 3):
            size = f"{frame.shape[1]}x{frame.shape[0]}"
            raise MediaError(path, f"must be {shot.width}x{shot.height}, got {size}")
        yield frame[top : top + height, left : left + width]


def read_shot(shot: Shot, root: Path | None = None) -> Iterable[UInt8[np.ndarray, "height width 3"]]:
    """Every frame of a shot; a picture has one."""
    if shot.part in ("photographs", "lossless"):
        return [load_photograph(shot, root)]
    return read_clip(shot, root)
