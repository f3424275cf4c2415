"""A source of somebody's own clips: read and checked once, kept as small frames beside what is trained on them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from common.data import own_files
from common.data.own_files import Prepared
from common.settings import free
from multimodal_ssl.model.vocabulary import Vocabulary
from multimodal_ssl.own import checking
from multimodal_ssl.own.checking import Checked
from multimodal_ssl.own.reading import OwnClip, read
from multimodal_ssl.search.windows import Cut

RULES = (2, checking.MOST_WINDOWS)  # raise the first for new code
DEV_SHARE, LEAST_DEV = 0.1, 5  # of the clips
MOST_DEV_SHARE = 0.34
LEAST_VIDEOS = 4  # fewer are not divided by video: dev would be one alone
PARTS = ("train", "dev")
FRAMES = ".frames"


@dataclass(frozen=True)
class KeptClip:
    """A clip whose frames lie in its source's file."""

    id: str
    video: str
    captions: tuple[str, ...]
    part: str
    start: int  # of its bytes in the file
    shape: tuple[int, int, int, int, int]
    file: Path

    @property
    def windows(self) -> UInt8[ndarray, "window time height width 3"]:
        """Mapped from disk: copy before changing."""
        return np.memmap(self.file, np.uint8, "r", self.start, self.shape)


@dataclass(frozen=True)
class OwnClips:
    """Clips of a place, and of another one for dev; without, a tenth of them by video or by time."""

    cut: Cut
    vocabulary_sha256: str  # of the words that captions are read with
    folder: str = free("")
    dev_folder: str = free("")
    kept: str = free("")  # folder of the frames

    @property
    def name(self) -> str:
        return Path(self.folder).resolve().stem

    def prepare(self, words: Vocabulary) -> None:
        """Reads the videos, unless they are as they were read before.

        Raises:
            ValueError: data that cannot be used, or too few clips for a part.
        """
        given = {"": read(Path(self.folder))} | (
            {"dev": read(Path(self.dev_folder))} if self.dev_folder else {}
        )
        key = self._key({name: clips for name, (clips, _) in given.items()})
        self._prepared.prepare(key, partial(_make, self, given, words))

    def clips(self, part: str) -> tuple[KeptClip, ...]:
        """In the order of ids."""
        if part not in PARTS:
            raise ValueError(f"own clips have parts {', '.join(PARTS)}, got {part!r}")
        return _clips(self._prepared, self._prepared.index["key"], part)

    def content_sha256(self) -> str:
        return str(self.index()["content"])

    def index(self) -> dict[str, Any]:
        """
        Raises:
            ValueError: it is not prepared.
        """
        return self._prepared.index

    @property
    def _prepared(self) -> Prepared:
        return Prepared(Path(self.kept))

    def _key(self, given: dict[str, list[OwnClip]]) -> str:
        """Changes with the captions and with the files, as far as their sizes and times tell."""
        told: list[Any] = [RULES, asdict(self.cut), self.vocabulary_sha256]
        for name, clips in given.items():
            for one in clips:
                size, mtime_ns = 0, 0
                if one.path.is_file():
                    found = one.path.stat()
                    size, mtime_ns = found.st_size, found.st_mtime_ns
                times = [one.start_s, one.stop_s, size, mtime_ns]
                told.append([name, one.id, one.member, one.captions, one.part, *times])
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@lru_cache(maxsize=8)
def _clips(prepared: Prepared, key: str, part: str) -> tuple[KeptClip, ...]:
    file = prepared.stem.with_suffix(FRAMES)
    made = (
        KeptClip(
            line["id"],
            line["video"],
            tuple(line["captions"]),
            part,
            line["start"],
            tuple(line["shape"]),
            file,
        )
        for line in prepared.index["clips"]
        if line["part"] == part
    )
    return tuple(sorted(made, key=lambda one: one.id))


Given = dict[str, tuple[list[OwnClip], list[own_files.LeftOut]]]


def _make(source: OwnClips, given: Given, words: Vocabulary, stem: Path) -> dict[str, Any]:
    left, lines, start, total = list[own_files.LeftOut](), list[dict[str, Any]](), 0, 0
    with stem.with_suffix(FRAMES).open("wb") as opened:
        for name, (clips, faults) in given.items():
            left += faults
            total += len(clips) + len(faults)
            for found in checking.checked(clips, source.cut, words):
                if isinstance(found, own_files.LeftOut):
                    left.append(found)
                    continue
                opened.write(found.windows.tobytes())
                part = name or ("train" if source.dev_folder else found.clip.part)
                lines.append(_line(found, part, start))
                start += found.windows.nbytes
    own_files.tell(left, total, stem.parents[1] / "left-out.txt", what="clips")
    if source.dev_folder:
        lines = own_files.without_leaks(lines)
    by = "as given" if source.dev_folder or own_files.is_divided(lines) else _divide(lines)
    for part in PARTS:
        if (num := sum(line["part"] == part for line in lines)) < 2:
            raise ValueError(
                f"{source.folder}: {part} needs 2 clips or more, {num} are left; see what was left out above"
            )
    content = hashlib.sha256(json.dumps(sorted(lines, key=lambda line: line["id"])).encode()).hexdigest()
    return {"content": content, "divided": by, "left_out": len(left), "clips": lines}


def _line(found: Checked, part: str, start: int) -> dict[str, Any]:
    one = found.clip
    return {"id": one.id, "video": one.video, "captions": found.captions, "at_s": one.start_s, "start": start,
            "shape": found.windows.shape, "sha256": found.sha256, "part": part}  # fmt: skip


def _divide(lines: list[dict[str, Any]]) -> str:
    """Gives every line a part; says by what."""
    by_video = defaultdict(list)
    for line in lines:
        by_video[line["video"]].append(line)
        line["part"] = "train"
    wanted = min(max(DEV_SHARE * len(lines), LEAST_DEV), MOST_DEV_SHARE * len(lines))
    if len(by_video) < LEAST_VIDEOS:
        for those in by_video.values():  # the last of each, which share the fewest moments with the others
            those.sort(key=lambda line: line["at_s"])
            for line in those[len(those) - round(wanted * len(those) / len(lines)) :]:
                line["part"] = "dev"
        return "by time"
    held, names = 0, own_files.by_hash(by_video)
    fitting = [name for name in names if len(by_video[name]) <= MOST_DEV_SHARE * len(lines)]
    for name in fitting or [min(names, key=lambda name: len(by_video[name]))]:
        those = by_video[name]
        if held >= wanted:
            break
        if not held or held + len(those) <= MOST_DEV_SHARE * len(lines):
            held += len(those)
            for line in those:
                line["part"] = "dev"
    return "by video"


def summary(source: OwnClips) -> list[str]:
    """Sentences on clips, videos, words and shared captions."""
    told, captions = [], {}
    for part in PARTS:
        found = source.clips(part)
        captions[part] = {text for one in found for text in one.captions}
        num = sum(len(one.captions) for one in found)
        videos = len({one.video for one in found})
        told.append(
            f"{part}: {len(found)} clips of {videos} videos, {num} captions, {len(captions[part])} of them differ"
        )
    words = {word for text in captions["train"] for word in text.split()}
    told.append(f"dev part: {source.index()['divided']}; {len(words)} words are trained on")
    if shared := len(captions["dev"] & captions["train"]):
        told.append(f"{shared} of {len(captions['dev'])} dev captions occur in training too")
    return told


def words_of(source: OwnClips, words: Vocabulary) -> Vocabulary:
    """Those that captions use."""
    return words.of(text for part in PARTS for one in source.clips(part) for text in one.captions)
