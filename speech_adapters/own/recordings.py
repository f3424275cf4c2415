"""A source of somebody's own recordings: read and checked once, kept as samples beside what is trained on them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from common.data import own_files
from common.data.own_files import Prepared
from common.settings import free
from speech_adapters.data import any_script
from speech_adapters.data.source import Source, check_part
from speech_adapters.data.text import Vocabulary
from speech_adapters.data.tracks import SpeakerTracks
from speech_adapters.model.architecture import SAMPLE_RATE_HZ, Architecture
from speech_adapters.own import checking
from speech_adapters.own.checking import Checked
from speech_adapters.own.reading import Recording, read

RULES = (1, any_script.NORMALISER, checking.MOST_S)  # raise the first for new code
DEV_SHARE, MOST_DEV_SHARE = 0.1, 0.3  # of the seconds
SAMPLES = ".samples"
SHORT = 8  # digits of a hash that tell a recording
LEAST_SPEAKERS = 4  # fewer are not divided by speaker: dev would be one voice alone


@dataclass(frozen=True)
class OwnUtterance:
    """An utterance whose samples lie in its source's file."""

    id: str
    source: str
    language: str
    text: str
    group: str  # its speaker; where nobody knows, itself
    speaker: str
    start: int  # in the file
    samples: int
    file: Path = field(default=Path(), compare=False, repr=False)

    def waveform(self) -> Int16[ndarray, " sample"]:
        """Samples at 16 kHz, mapped from disk: copy before changing."""
        return np.memmap(self.file, np.int16, "r", 2 * self.start, (self.samples,))


@dataclass(frozen=True)
class OwnSpeech(Source):
    """Recordings of a folder, and of another one for dev; without, a tenth of them by speaker or by text."""

    language: str
    architecture: Architecture  # whose frames must be able to spell the texts
    folder: str = free("")
    dev_folder: str = free("")
    kept: str = free("")  # folder of the samples
    layout: str = free("")  # of both folders, see `reading.read`

    @property
    def name(self) -> str:
        return Path(self.folder).resolve().stem

    def prepare(self) -> None:
        recordings = read(Path(self.folder), self.layout)
        dev = read(Path(self.dev_folder), self.layout) if self.dev_folder else []
        key = _key(recordings, dev, self.architecture)
        self._prepared.prepare(key, partial(_make, self, recordings, dev))

    def utterances(self, part: str) -> tuple[OwnUtterance, ...]:
        check_part(part)
        return _utterances(self._prepared, self._prepared.index["key"], part, self.name, self.language)

    def tracks(self, part: str, min_samples: int = 0) -> SpeakerTracks:
        return SpeakerTracks(self.name, self.utterances(part), min_samples)

    def content_sha256(self) -> str:
        return str(self.index()["content"])

    def heard(self) -> str:
        """What is trained on, by the first eight hexadecimal digits of each recording's hash, end to end."""
        lines = self.index()["utterances"]
        return "".join(sorted(line["sha256"][:SHORT] for line in lines if line["part"] == "train"))

    def vocabulary(self) -> Vocabulary:
        """What the training texts are written with."""
        return _vocabulary(self.utterances("train"))

    def index(self) -> dict[str, Any]:
        """
        Raises:
            ValueError: it is not prepared.
        """
        return self._prepared.index

    @property
    def _prepared(self) -> Prepared:
        return Prepared(Path(self.kept))


@cache
def _utterances(
    prepared: Prepared, key: str, part: str, source: str, language: str
) -> tuple[OwnUtterance, ...]:
    file = prepared.stem.with_suffix(SAMPLES)
    told = {one.name for one in fields(OwnUtterance)} - {"source", "language", "file"}
    made = (
        OwnUtterance(**{key: line[key] for key in told}, source=source, language=language, file=file)
        for line in prepared.index["utterances"]
        if line["part"] == part
    )
    return tuple(sorted(made, key=lambda one: one.id))


@lru_cache(maxsize=4)
def _vocabulary(utterances: tuple[OwnUtterance, ...]) -> Vocabulary:
    return any_script.vocabulary(one.text for one in utterances)


def _key(recordings: Sequence[Recording], dev: Sequence[Recording], architecture: Architecture) -> str:
    """Changes with the texts and with the files, as far as their sizes and times tell."""
    told: list[Any] = [RULES, asdict(architecture)]
    for one in (*recordings, *dev):
        size, mtime_ns = 0, 0
        if one.path.is_file():
            found = one.path.stat()
            size, mtime_ns = found.st_size, found.st_mtime_ns
        told.append([one.id, one.text, one.speaker, one.part, one.start_s, one.length_s, size, mtime_ns])
    return hashlib.sha256(json.dumps([len(dev), told]).encode()).hexdigest()


def _make(
    source: OwnSpeech, recordings: Sequence[Recording], dev: Sequence[Recording], stem: Path
) -> dict[str, Any]:
    left, lines = list[own_files.LeftOut](), list[dict[str, Any]]()
    with stem.with_suffix(SAMPLES).open("wb") as opened:
        start = 0
        for given, those in (("", recordings), ("dev", dev)):
            for found in checking.checked(those, source.architecture):
                if isinstance(found, own_files.LeftOut):
                    left.append(found)
                    continue
                opened.write(found.samples.tobytes())
                lines.append(_line(found, given or ("train" if dev else found.recording.part), start))
                start += len(found.samples)
    own_files.tell(left, len(recordings) + len(dev), stem.parents[1] / "left-out.txt", what="recordings")
    if dev:
        lines = own_files.without_leaks(lines)
    by = "as given" if dev or own_files.is_divided(lines) else _divide(lines)
    for part in ("train", "dev"):
        if not any(line["part"] == part for line in lines):
            raise ValueError(
                f"{source.folder}: no recordings are left for {part}; {_way_out(part, bool(dev), lines)}"
            )
    content = hashlib.sha256(json.dumps(sorted(lines, key=lambda line: line["id"])).encode()).hexdigest()
    return {"content": content, "divided": by, "left_out": len(left), "utterances": lines}


def _way_out(part: str, given: bool, lines: Sequence[dict[str, Any]]) -> str:
    """What to do where a part is empty."""
    if part == "train" or not lines:
        return "see what was left out above"
    if given:
        return "all of --dev is in the training data or was left out; give others, or leave --dev out"
    return "all that can be used has one text, and dev must have another; record more, or give --dev"


def _line(found: Checked, part: str, start: int) -> dict[str, Any]:
    one = found.recording
    return {"id": one.id, "text": found.text, "group": one.speaker or one.id, "speaker": one.speaker,
            "start": start, "samples": len(found.samples), "sha256": found.sha256, "part": part}  # fmt: skip


def _divide(lines: list[dict[str, Any]]) -> str:
    """Gives every line a part; says by what."""
    speakers = {line["speaker"] for line in lines}
    by = "speaker" if len(speakers) >= LEAST_SPEAKERS and "" not in speakers else "text"
    groups, total = defaultdict(list), sum(line["samples"] for line in lines)
    for line in lines:
        groups[line[by]].append(line)
        line["part"] = "train"
    held = 0
    for name in own_files.by_hash(groups):
        size = sum(line["samples"] for line in groups[name])
        if held >= DEV_SHARE * total or len(groups) == 1:
            break
        if not held or held + size <= MOST_DEV_SHARE * total:
            held += size
            for line in groups[name]:
                line["part"] = "dev"
    return f"by {by}"


def summary(source: OwnSpeech) -> list[str]:
    """Sentences on hours, speakers, letters and shared texts."""
    told, texts, voices_of = [], {}, {}
    for part in ("train", "dev"):
        found = source.utterances(part)
        speakers = voices_of[part] = {one.speaker for one in found} - {""}
        texts[part] = [one.text for one in found]
        minutes = sum(one.samples for one in found) / SAMPLE_RATE_HZ / 60
        length = f"{minutes / 60:.2f} h" if minutes >= 60 else f"{minutes:.1f} min"
        voices = f"{len(speakers)} speakers" if speakers else "speakers unknown"
        told.append(f"{part}: {length} in {len(found)} recordings, {voices}")
    letters = "".join(source.vocabulary().symbols[2:])
    told.append(f"dev part: {source.index()['divided']}; {len(letters)} letters: {letters}")
    if shared := len([text for text in texts["dev"] if text in set(texts["train"])]):
        told.append(f"{shared} of {len(texts['dev'])} dev texts occur in training too: its scores flatter")
    if same := voices_of["dev"] & voices_of["train"]:
        counted = f"{len(same)} of {len(voices_of['dev'])} dev speakers are trained on too"
        told.append(f"{counted}: other voices do worse than dev says")
    return told
