"""The objects of composed clips: pictures with transparency, a name, spoken descriptions and sounds of their own.

They are the stamps of a children's drawing program: photographs cut out, and drawings. `STEM.png` is the picture; the
first line of `STEM.txt` describes it in English; `STEM_desc_LANGUAGE.ogg` is a volunteer saying the description
(`STEM_desc.ogg` in English); `STEM.ogg` is the sound of the thing itself.

Used is what this rule keeps, and nobody's eye: a PNG outside `symbols` (coins, digits, flags of countries); an
English line of an article and one to three words, all letters, all with a vector, that no other stamp has; at least
a quarter of the picture's box opaque, the box at least 24 pixels a side and at most three times as long as wide.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from common.data.media import MediaError
from common.data.pinned import stamps
from multimodal_ssl.model.vocabulary import tokenise

LANGUAGES = ("en", "fr", "es", "ru", "ca")  # whose descriptions are used, of a dozen that there are
PACKAGE = stamps(
    "*.txt",
    "*.png",
    "*[!_]??.ogg",  # not *_desc_fr.ogg and its like: effects, English descriptions
    *(f"*_desc_{language}.ogg" for language in LANGUAGES if language != "en"),
)
LEFT_OUT_FOLDERS = ("symbols",)
LEAST_OPAQUE, OPAQUE = 0.25, 128  # share of the box; alpha from which a pixel counts
LEAST_SIDE_PX, MOST_ELONGATED = 24, 3.0
MOST_NAME_WORDS = 3
KEPT_SIDE_PX = 128  # pictures are reduced to this, never enlarged
SALT = "objects-0"
DESCRIBED = re.compile(r"(a|an|the|some)\s+([a-z][a-z -]*[a-z])\s*[.!]?")


@dataclass(frozen=True)
class Stamp:
    """One object. Paths are relative to the folder of stamps."""

    id: str  # path without its ending
    article: str
    name: str  # English, one to three words
    texts: Mapping[str, str]  # language to description, of those languages that have a sound
    sounds: Mapping[str, str]  # language to path
    effect: str | None  # path of the thing's own sound

    @property
    def category(self) -> str:
        return self.id.partition("/")[0]

    @property
    def folder(self) -> str:
        return self.id.rpartition("/")[0]

    @property
    def phrase(self) -> str:
        """As captions have it: "a dog", "some cherries"."""
        return f"{self.article} {self.name}"

    @property
    def recordings(self) -> tuple[str, ...]:
        """Paths of all its sounds, sorted."""
        return tuple(sorted([*self.sounds.values(), *([self.effect] if self.effect else [])]))


def read(folder: Path, known: Container[str]) -> tuple[list[Stamp], Counter[str]]:
    """Stamps whose text the rule keeps, sorted by id, and how many each reason left out. Pictures are not opened.

    Args:
        known: words that have a vector.
    """
    kept, left_out = [], Counter[str]()
    for picture in sorted(folder.rglob("*.png")):
        found = _described(folder, picture, known)
        if isinstance(found, str):
            left_out[found] += 1
        else:
            kept.append(found)
    names = Counter(stamp.name for stamp in kept)
    left_out["name is another's too"] = sum(count for count in names.values() if count > 1)
    return [stamp for stamp in kept if names[stamp.name] == 1], +left_out


def _described(folder: Path, picture: Path, known: Container[str]) -> Stamp | str:
    """The stamp of a picture, or why it is left out."""
    path = picture.relative_to(folder)
    if path.parts[0] in LEFT_OUT_FOLDERS:
        return f"of {path.parts[0]}"
    listed = picture.with_suffix(".txt")
    lines = listed.read_text("utf-8", "replace").splitlines() if listed.is_file() else []
    described = DESCRIBED.fullmatch(lines[0].strip().lower()) if lines else None
    if described is None:
        return "no English name after an article"
    article, name = described[1], " ".join(tokenise(described[2]))
    if len(name.split()) > MOST_NAME_WORDS:
        return f"name of more than {MOST_NAME_WORDS} words"
    if any(word not in known for word in name.split()):
        return "word without a vector"
    stem = path.with_suffix("").as_posix()
    sounds = {language: f"{stem}_desc_{language}.ogg" for language in LANGUAGES if language != "en"}
    sounds = {"en": f"{stem}_desc.ogg"} | sounds
    sounds = {language: sound for language, sound in sounds.items() if (folder / sound).is_file()}
    marked = dict(line.split(".utf8=", 1) for line in lines[1:] if ".utf8=" in line)
    texts = {language: lines[0] if language == "en" else marked.get(language, "") for language in sounds}
    effect = f"{stem}.ogg"
    return Stamp(stem, article, name, texts, sounds, effect if (folder / effect).is_file() else None)


def cut_out(path: Path) -> UInt8[ndarray, "height width 4"] | str:
    """A stamp's picture, cropped to what is opaque and reduced to `KEPT_SIDE_PX`; or which rule leaves it out.

    Raises:
        MediaError: it cannot be decoded.
    """
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for damaged PNG files
        raise MediaError(path, str(error)) from error
    opaque = np.asarray(picture)[..., 3] >= OPAQUE
    if not opaque.any():
        return "nothing opaque"
    rows, columns = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    sides = sorted((bottom - top, right - left))
    if sides[0] < LEAST_SIDE_PX:
        return f"smaller than {LEAST_SIDE_PX} pixels"
    if sides[1] > MOST_ELONGATED * sides[0]:
        return f"more than {MOST_ELONGATED:g} times as long as wide"
    if opaque[top:bottom, left:right].mean() < LEAST_OPAQUE:
        return f"less than {100 * LEAST_OPAQUE:g} % opaque"
    cropped = picture.crop((int(left), int(top), int(right), int(bottom)))
    cropped.thumbnail((KEPT_SIDE_PX, KEPT_SIDE_PX), Image.Resampling.LANCZOS)
    return np.asarray(cropped)


def objects(described: Sequence[Stamp], num: int = 0) -> list[Stamp]:
    """`num` stamps no two of which have like names, or all that there are; fewer are the first of more.

    Folders take turns, in the order of a salted hash; so do the stamps of a folder. A stamp is passed over when a word
    of its name is, or is part of, a word of one taken before: of "dolphin" and "dolphinfish" one stays.

    Raises:
        ValueError: more are asked for than there are.
    """
    taken, words = [], set[str]()
    for stamp in _in_turns(described):
        named = set(stamp.name.split())
        if not any(a in b or b in a for a in named for b in words if min(len(a), len(b)) >= 3 or a == b):
            taken.append(stamp)
            words |= named
    if num > len(taken):
        raise ValueError(f"there are {len(taken)} objects of unlike names, got num = {num}")
    return taken[: num or None]


def _in_turns(described: Sequence[Stamp]) -> Iterator[Stamp]:
    waiting: dict[str, list[Stamp]] = defaultdict(list)
    for stamp in sorted(described, key=lambda stamp: (_draw(stamp.id), stamp.id)):
        waiting[stamp.folder].append(stamp)
    folders = sorted(waiting, key=lambda folder: (_draw(folder), folder))
    while any(waiting.values()):
        for folder in folders:
            if waiting[folder]:
                yield waiting[folder].pop(0)


def _draw(name: str) -> bytes:
    return hashlib.sha256(f"{SALT}\n{name}".encode()).digest()
