"""Folders of audio without texts, of any size, as a source of speech: indexed once, then read crop by crop.

    DATA_ROOT/speech/unlabelled/NAME-DIGEST.jsonl   the index, see `folder_index`

Every file is decoded once, to find what is wrong with it (see `audio_files`). A file with a fault is left out, named
and counted, and so is an exact duplicate of an earlier file, which may lie in another part. A folder of
which more than `folder_index.MOST_BAD` is left out is refused. What breaks later never ends a run: crops of it are
replaced (see `crops.Crop`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from jaxtyping import Int16
from numpy import ndarray

from common.data.manifest import Bad
from common.data.packages import data_root
from common.data.pcm import levelled
from common.files import only_writer
from common.progress import say
from speech_adapters.data import audio_files, folder_index
from speech_adapters.data.corpora.folders import audio_folder
from speech_adapters.data.source import PARTS, Source, Utterance, check_part


class Unreadable(ValueError):
    """A recording that was sound when it was indexed, and is not any more."""


@dataclass(frozen=True)
class AudioFolder(Source):
    """Every audio file below a folder of DATA_ROOT, as a track of its own, without texts."""

    path: str
    language: str = ""

    def __post_init__(self) -> None:
        if not self.path.strip("./"):
            raise ValueError(
                f"path must name a folder below DATA_ROOT, such as unlabelled/fr, got {self.path!r}"
            )

    @property
    def name(self) -> str:
        return f"folder:{self.path}"

    def prepare(self) -> None:
        """Examines every file that the index does not have as it now is; at once where nothing changed.

        Raises:
            ValueError: no such folder, no audio in it, or too much of it is left out, with the list.
        """
        path, asked_ns = self.index_path(), time.time_ns()
        with only_writer(path.parent, wait=True):
            if path.exists() and path.stat().st_mtime_ns >= asked_ns:
                return  # another rank looked while this one waited
            names = [u.id.partition("/")[2] for u in audio_folder(Path(self.path))]
            changed = folder_index.update(path, data_root() / self.path, names, _marked(path))
            shutil.rmtree(_marks(path), ignore_errors=True)
            os.utime(path)
            _index.cache_clear()
            if changed:
                self._tell_parts()

    def _tell_parts(self) -> None:
        parts = {part: self.places(part)[1] for part in PARTS}
        folder_index.tell_hours(data_root() / self.path, parts)

    def utterances(self, part: str) -> Sequence[Utterance]:
        raise ValueError(f"{self.name} has no texts; name a source of transcribed speech")

    def tracks(self, part: str, min_samples: int = 0) -> Recordings:
        check_part(part)
        return Recordings(self, part, min_samples)

    def places(self, part: str) -> tuple[ndarray, ndarray]:
        """Where the lines of a part's recordings begin in the index, and their samples at 16 kHz."""
        return _index(self.index_path()).places[part]

    def count(self, part: str) -> int:
        return len(self.tracks(part))

    def content_sha256(self) -> str:
        """Over the rules and, of every file, its name, the hash of its bytes, its part or why it has none."""
        return _index(self.index_path()).manifest_sha256

    def bad(self) -> tuple[Bad, ...]:
        """What was left out when the folder was prepared, and what broke since."""
        path = self.index_path()
        _index(path)
        faults = folder_index.faults(path) | _marked(path)
        return tuple(
            Bad(f"{self.name}/{name}", f"{self.path}/{name}", fault) for name, fault in faults.items()
        )

    def verify(self) -> list[Bad]:
        """Examines every file again."""
        names = [u.id.partition("/")[2] for u in audio_folder(Path(self.path))]
        known = folder_index.faults(self.index_path())
        found = folder_index.examined(data_root() / self.path, names)
        return [
            Bad(f"{self.name}/{line['name']}", f"{self.path}/{line['name']}", line["fault"])
            for line in found
            if line["fault"] and line["name"] not in known
        ]

    def index_path(self) -> Path:
        """The name says which folder, and by which rules."""
        digest = hashlib.sha256(json.dumps([self.path, folder_index.RULES]).encode()).hexdigest()[:12]
        plain = re.sub(r"[^A-Za-z0-9]+", "-", self.path).strip("-")[-80:]
        return data_root() / "speech" / "unlabelled" / f"{plain}-{digest}.jsonl"


@dataclass(frozen=True)
class Recording:
    """A file, as a track of its own."""

    folder: AudioFolder
    name: str  # its path inside the folder
    group: str
    part: str
    samples: int  # at 16 kHz
    rate_hz: int  # its own
    peak: float
    bytes: int
    mtime_ns: int

    @property
    def id(self) -> str:
        return f"{self.folder.name}/{self.name}"

    def waveform(self, begin: int, end: int) -> Int16[ndarray, " sample"]:
        """Samples `begin` to before `end`; the whole recording has the peak that all sources are brought to.

        Raises:
            Unreadable: it is gone, changed or broken since it was indexed.
        """
        path = data_root() / self.folder.path / self.name
        try:
            if audio_files.identity(path) != (self.bytes, self.mtime_ns):
                raise ValueError("is gone or was changed since it was indexed")
            sound = audio_files.crop(path, self.rate_hz, begin, end)
        except Exception as error:  # whatever a decoder raises
            fault = f"broken: {str(error).removeprefix(f'{path}: ')}"
            _mark(self, fault)
            raise Unreadable(f"{self.id}: {fault}") from error
        return levelled(sound, self.peak)


class Recordings:
    """Those of one part, in the order of their paths; what is known of one is read when it is asked for."""

    def __init__(self, folder: AudioFolder, part: str, min_samples: int):
        self._folder, self._part, self._index = folder, part, _index(folder.index_path())
        starts, samples = folder.places(part)
        self._starts, self.samples = starts[samples >= min_samples], samples[samples >= min_samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> Recording:
        line = self._index.line(int(self._starts[place])) | {"folder": self._folder, "part": self._part}
        return Recording(**{field.name: line[field.name] for field in fields(Recording)})

    def __iter__(self) -> Iterator[Recording]:
        return (self[place] for place in range(len(self)))


@cache
def _index(path: Path) -> folder_index.Index:
    if not path.exists():
        raise ValueError(f"{path} must be the index of a folder and is not there; prepare the source first")
    return folder_index.Index(path)


# ---- what broke since: a file for each, so that ranks and workers together tell it once, and results name it


def _marks(index_path: Path) -> Path:
    return index_path.with_suffix(".broken")


def _mark(recording: Recording, fault: str) -> None:
    marks = _marks(recording.folder.index_path())
    try:
        marks.mkdir(exist_ok=True)
        with (marks / hashlib.sha256(recording.name.encode()).hexdigest()).open(
            "x", encoding="utf-8"
        ) as file:
            file.write(json.dumps([recording.name, fault]))
    except FileExistsError:
        return
    except OSError as error:
        fault = f"{fault} (and cannot be marked: {error})"
    say(f"bad from now on, crops of it are replaced: {recording.id}: {fault}")


def _marked(index_path: Path) -> dict[str, str]:
    written = (mark.read_bytes() for mark in sorted(_marks(index_path).glob("*")))
    return dict(json.loads(mark) for mark in written if mark)  # one that was opened just now is empty
