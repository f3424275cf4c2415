"""The places where composed clips happen: 37 natural photographs of four Debian packages, split by picture.

The list is `backgrounds.json`. The video paper trains on the same photographs; tests hold the two lists together. A
salted hash deals pictures into six folds: one is for choosing settings, one for testing, four are trained on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from common.data.manifest import Entry
from common.data.media import MediaError
from common.data.packages import Package, data_root, fetch, file_sha256
from common.data.pictures import read_image
from common.data.splits import check_disjoint, components, even_folds

SALT = "composed-backgrounds-0"
NUM_FOLDS = 6
FOLD_OF = {"dev": 0, "test": 1}  # all others are trained on
PARTS = ("train", "dev", "test")
KEPT_SIDE_PX = 320  # the shorter side that a picture is reduced to


@dataclass(frozen=True)
class Picture:
    """One photograph."""

    id: str
    package: str  # "MANAGER:NAME"
    path: str  # inside the package
    sha256: str
    bytes: int
    licence: str
    keys: tuple[str, ...]  # "scene:...": what no split may cut


@cache
def _listed() -> tuple[tuple[Package, ...], tuple[Picture, ...]]:
    listed = json.loads(Path(__file__).with_name("backgrounds.json").read_text(encoding="utf-8"))
    packages = tuple(Package(**{**fields, "files": tuple(fields["files"])}) for fields in listed["packages"])
    pictures = tuple(Picture(**{**fields, "keys": tuple(fields["keys"])}) for fields in listed["pictures"])
    return packages, pictures


def packages() -> tuple[Package, ...]:
    return _listed()[0]


def pictures() -> tuple[Picture, ...]:
    """All photographs, by id."""
    return tuple(sorted(_listed()[1], key=lambda picture: picture.id))


def part_of(picture: Picture) -> str:
    """ "train", "dev" or "test"."""
    return _parts()[picture.id]


@cache
def _parts() -> dict[str, str]:
    entries = [_entry(picture, "") for picture in pictures()]
    folds = even_folds(components(entries), SALT, NUM_FOLDS)
    named = {fold: part for part, fold in FOLD_OF.items()}
    parts = {id_: named.get(fold, "train") for id_, fold in folds.items()}
    check_disjoint(**{part: [e for e in entries if parts[e.id] == part] for part in PARTS})
    return parts


def _entry(picture: Picture, part: str) -> Entry:
    path = f"{_package_of(picture).folder}/{picture.path}"
    return Entry(picture.id, path, picture.sha256, picture.bytes, picture.keys, part)


def entries() -> list[Entry]:
    """A line of a manifest for each photograph, with its part."""
    return [_entry(picture, part_of(picture)) for picture in pictures()]


def _package_of(picture: Picture) -> Package:
    return next(one for one in packages() if f"{one.manager}:{one.name}" == picture.package)


def fetch_pictures(root: Path | None = None) -> None:
    """
    Raises:
        FetchError: a package that cannot be had; says which file to place where.
    """
    for package in packages():
        fetch(package, root or data_root())


def load(picture: Picture, root: Path | None = None) -> UInt8[ndarray, "height width 3"]:
    """A photograph as RGB, its shorter side reduced to `KEPT_SIDE_PX` pixels.

    Raises:
        MediaError: missing, of other bytes than the listed ones, or broken.
    """
    path = (root or data_root()) / _package_of(picture).folder / picture.path
    if not path.is_file():
        raise MediaError(path, "no such file")
    if (found := file_sha256(path)) != picture.sha256:
        raise MediaError(path, f"sha256 must be {picture.sha256}, got {found}")
    return reduced(read_image(path))


def reduced(picture: UInt8[ndarray, "height width 3"]) -> UInt8[ndarray, "lower narrower 3"]:
    """The picture with a shorter side of `KEPT_SIDE_PX`; a smaller one stays."""
    height, width = picture.shape[:2]
    ratio = KEPT_SIDE_PX / min(height, width)
    if ratio >= 1:
        return picture
    size = (round(width * ratio), round(height * ratio))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
