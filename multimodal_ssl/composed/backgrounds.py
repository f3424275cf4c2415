"""The places where composed clips happen: the photographs that papers share, split by picture.

A salted hash deals them into six folds: one is for choosing settings, one for testing, four are trained on.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from common.data import pinned
from common.data.manifest import Entry
from common.data.media import MediaError
from common.data.packages import Package, data_root, fetch, file_sha256
from common.data.pictures import read_image
from common.data.pinned import Photograph
from common.data.splits import check_disjoint, components, even_folds

SALT = "composed-backgrounds-0"
NUM_FOLDS = 6
FOLD_OF = {"dev": 0, "test": 1}  # all others are trained on
PARTS = ("train", "dev", "test")
KEPT_SIDE_PX = 320  # the shorter side that a picture is reduced to


@cache
def photographs() -> tuple[Photograph, ...]:
    """All photographs, by id."""
    return tuple(sorted(pinned.photographs(), key=lambda photograph: photograph.id))


def part_of(photograph: Photograph) -> str:
    """ "train", "dev" or "test"."""
    return _parts()[photograph.id]


@cache
def _parts() -> dict[str, str]:
    entries = [_entry(photograph, "") for photograph in photographs()]
    folds = even_folds(components(entries), SALT, NUM_FOLDS)
    named = {fold: part for part, fold in FOLD_OF.items()}
    parts = {id_: named.get(fold, "train") for id_, fold in folds.items()}
    check_disjoint(**{part: [e for e in entries if parts[e.id] == part] for part in PARTS})
    return parts


def _entry(photograph: Photograph, part: str) -> Entry:
    path = f"{_package_of(photograph).folder}/{photograph.path}"
    return Entry(photograph.id, path, photograph.sha256, photograph.bytes, photograph.keys, part)


def entries() -> list[Entry]:
    """A line of a manifest for each photograph, with its part."""
    return [_entry(photograph, part_of(photograph)) for photograph in photographs()]


def _package_of(photograph: Photograph) -> Package:
    return next(
        one for one in pinned.photograph_packages() if f"{one.manager}:{one.name}" == photograph.package
    )


def fetch_photographs(root: Path | None = None) -> None:
    """
    Raises:
        FetchError: a package that cannot be had; says which file to place where.
    """
    for package in pinned.photograph_packages():
        fetch(package, root or data_root())


def load(photograph: Photograph, root: Path | None = None) -> UInt8[ndarray, "height width 3"]:
    """A photograph as RGB, its shorter side reduced to `KEPT_SIDE_PX` pixels.

    Raises:
        MediaError: missing, of other bytes than the listed ones, or broken.
    """
    path = (root or data_root()) / _package_of(photograph).folder / photograph.path
    if not path.is_file():
        raise MediaError(path, "no such file")
    if (found := file_sha256(path)) != photograph.sha256:
        raise MediaError(path, f"sha256 must be {photograph.sha256}, got {found}")
    return reduced(read_image(path))


def reduced(picture: UInt8[ndarray, "height width 3"]) -> UInt8[ndarray, "lower narrower 3"]:
    """The picture with a shorter side of `KEPT_SIDE_PX`; a smaller one stays."""
    height, width = picture.shape[:2]
    ratio = KEPT_SIDE_PX / min(height, width)
    if ratio >= 1:
        return picture
    size = (round(width * ratio), round(height * ratio))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
