"""What clips are composed of: a small folder that `gather.py` makes of three kinds of packages.

DATA_ROOT/multimodal/material-HASH/stamps/*.png      pictures cut out and reduced
                                  /pictures/*.png    photographs reduced
                                  /sounds/*.ogg      descriptions and effects, as their package has them
                                  /words.npz         vectors of the words of names and motions
                                  /index.json        written last: what belongs together, and to which split
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int16
from numpy import ndarray
from PIL import Image

from common.data.manifest import Bad
from common.data.packages import file_sha256
from common.data.packs import Member, write_pack
from common.data.pcm import levelled
from common.data.pinned import photograph_packages
from common.progress import tracked
from multimodal_ssl.composed import backgrounds, sprites
from multimodal_ssl.composed.plan import MOTIONS, SPLITS, TINTS, Cast, wide_caption
from multimodal_ssl.model import vocabulary
from multimodal_ssl.model.vocabulary import Vocabulary

EXPECTED = Path(__file__).with_name("manifests.json")
VERSION = 1  # raise when other files come out of the same packages
MOST_SOUND_S = 3.0  # the loudest stretch of a recording
PACK = "fine-grained-ssl"
SALT = "recordings-0"


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that clips of a composition are made of, in memory but for the sounds."""

    cast: Cast
    sprites: tuple[ndarray, ...]  # of the objects, with alpha
    pictures: Mapping[str, ndarray]
    words: Vocabulary
    folder: Path


def pins() -> str:
    """What the folder's name says: which packages, by which rules."""
    packages = (sprites.PACKAGE, vocabulary.PACKAGE, *photograph_packages())
    rules = [
        VERSION, SALT, sprites.SALT, sprites.LANGUAGES, sprites.KEPT_SIDE_PX, sprites.LEAST_OPAQUE,
        sprites.LEAST_SIDE_PX, sprites.MOST_ELONGATED, sprites.MOST_NAME_WORDS, sprites.LEFT_OUT_FOLDERS,
        backgrounds.SALT, backgrounds.NUM_FOLDS, backgrounds.KEPT_SIDE_PX,
    ]  # fmt: skip
    return json.dumps([[f"{one.label} {one.sha256}" for one in packages], rules])


def folder_of(root: Path) -> Path:
    return root / "multimodal" / f"material-{hashlib.sha256(pins().encode()).hexdigest()[:12]}"


def flat(path: str) -> str:
    """A path as one file's name."""
    return path.replace("/", "__")


def texts(phrases: Sequence[str]) -> list[str]:
    """All that captions can say."""
    wide = [wide_caption(tint, motion) for tint, motion in product(TINTS, MOTIONS)]
    return [*phrases, *wide]


# ---- reading


def expected() -> str:
    """Hash of the material that results were published with; packages may change."""
    return str(json.loads(EXPECTED.read_text(encoding="utf-8"))["material"])


def manifest_sha256(root: Path) -> str:
    """Hash of what is here; where nothing is, of what is expected, so that results can be judged without data."""
    return str(index(root)["manifest_sha256"]) if (folder_of(root) / "index.json").exists() else expected()


@cache
def index(root: Path) -> dict[str, Any]:
    path = folder_of(root) / "index.json"
    if not path.exists():
        raise ValueError(f"{path} is not there; prepare the data first")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@cache
def load(root: Path, num_objects: int) -> Material:
    """Pictures of the first `num_objects` objects (0: all) and of all places.

    Raises:
        ValueError: there are fewer objects.
    """
    held, folder = index(root), folder_of(root)
    if num_objects > len(held["objects"]):
        raise ValueError(f"there are {len(held['objects'])} objects, got num_objects = {num_objects}")
    lines = held["objects"][: num_objects or None]
    recordings = {
        part: tuple(tuple(one["path"] for one in line["recordings"] if one["part"] == part) for line in lines)
        for part in SPLITS
    }
    cast = Cast(
        tuple(line["phrase"] for line in lines),
        {part: tuple(ids) for part, ids in held["pictures"].items()},
        recordings,
    )
    sprites = tuple(_read_png(folder / "stamps" / f"{flat(line['id'])}.png") for line in lines)
    pictures = {
        id_: _read_png(folder / "pictures" / f"{id_}.png") for ids in cast.pictures.values() for id_ in ids
    }
    return Material(
        cast, sprites, pictures, Vocabulary.load(folder / "words.npz").of(texts(cast.phrases)), folder
    )


def _read_png(path: Path) -> ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened)


def waveform(content: bytes, name: Path) -> Int16[ndarray, " sample"]:
    """The loudest `MOST_SOUND_S` seconds of a recording at 16 kHz, brought to the peak of all recordings.

    Raises:
        AudioError: it cannot be decoded, or is silent.
    """
    from common.data.audio import SAMPLE_RATE_HZ, AudioError, decode_audio

    sound = _loudest(decode_audio(content, name=name), round(MOST_SOUND_S * SAMPLE_RATE_HZ))
    if not sound.any():
        raise AudioError(name, "is silent from beginning to end")
    return levelled(sound)


def _loudest(sound: Float32[ndarray, " sample"], most: int) -> Float32[ndarray, " part"]:
    """The stretch of `most` samples with the largest energy; of a shorter sound, all of it."""
    if len(sound) <= most:
        return sound
    energy = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    start = int(np.argmax(energy[most:] - energy[:-most]))
    return sound[start : start + most]


def verify(root: Path) -> list[Bad]:
    """Reads every gathered file again; what is no longer what was gathered, by name."""
    held, folder, found = index(root), folder_of(root), list[Bad]()
    for line in tracked(held["objects"], "reading", len(held["objects"]), "object"):
        found += _undecodable(line["id"], folder / "stamps" / f"{flat(line['id'])}.png")
        for one in line["recordings"]:
            path = folder / "sounds" / flat(one["path"])
            if not path.is_file() or file_sha256(path) != one["sha256"]:
                found.append(Bad(one["path"], str(path), f"missing, or its sha256 is not {one['sha256']}"))
    for id_ in (id_ for ids in held["pictures"].values() for id_ in ids):
        found += _undecodable(id_, folder / "pictures" / f"{id_}.png")
    return found


def _undecodable(id_: str, path: Path) -> Iterator[Bad]:
    try:
        _read_png(path)
    except (OSError, ValueError, SyntaxError) as error:
        yield Bad(id_, str(path), str(error))


def pack(path: Path, root: Path) -> str:
    """Writes the folder into one tar file, to be unpacked into another data root; returns its sha256.

    Raises:
        ValueError: it is too large, with the size of each kind of file.
    """
    folder = folder_of(root)
    wanted = {flat(one["path"]) for line in index(root)["objects"] for one in line["recordings"]}
    parts: dict[str, list[Member]] = {}
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        if file.parent.name == "sounds" and file.name not in wanted:
            continue
        part = "words" if file.parent == folder else file.parent.name
        parts.setdefault(part, []).append((str(file.relative_to(root)), file))
    return write_pack(path, PACK, manifest_sha256(root), parts)
