"""Folders of audio without texts, of any size, as a source of speech: indexed once, then read crop by crop.

    folder:PATH                                     a source; PATH is relative to DATA_ROOT
    DATA_ROOT/speech/unlabelled/NAME-DIGEST.jsonl   its index, see `folder_index`

Every file is decoded once, to find what is wrong with it (see `audio_files`). A file with a fault is left out, named
and counted, and so is a twin: one with the very bytes of an earlier file, which may lie in another part. A folder of
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
from collections.abc import Iterator
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

PREFIX = "folder:"


class Unreadable(ValueError):
    """A recording that was sound when it was indexed, and is not any more."""


@dataclass(frozen=True)
class Recording:
    """A file, as a track of its own."""

    source: str
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
        return f"{self.source}/{self.name}"

    def waveform(self, begin: int, end: int) -> Int16[ndarray, " sample"]:
        """Samples `begin` to before `end`; the whole recording has the peak that all sources are brought to.

        Raises:
            Unreadable: it is gone, changed or broken since it was indexed.
        """
        path = _folder(self.source) / self.name
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

    def __init__(self, source: str, part: str, least_samples: int):
        self._source, self._index = source, _index(_index_path(source))
        starts, samples = self._index.places[part]
        self._starts, self.samples = starts[samples >= least_samples], samples[samples >= least_samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> Recording:
        line = self._index.line(int(self._starts[place])) | {"source": self._source}
        return Recording(**{field.name: line[field.name] for field in fields(Recording)})

    def __iter__(self) -> Iterator[Recording]:
        return (self[place] for place in range(len(self)))


def is_folder(source: str) -> bool:
    return source.startswith(PREFIX)


def prepare(source: str) -> None:
    """Examines every file that the index does not have as it now is; at once where nothing changed.

    Raises:
        ValueError: no such folder, no audio in it, or too much of it is left out, with the list.
    """
    path, asked_ns = _index_path(source), time.time_ns()
    with only_writer(path.parent, wait=True):
        if path.exists() and path.stat().st_mtime_ns >= asked_ns:
            return  # another rank looked while this one waited
        names = [u.id.partition("/")[2] for u in audio_folder(Path(source.removeprefix(PREFIX)))]
        folder_index.update(path, _folder(source), names, _marked(path))
        shutil.rmtree(_marks(path), ignore_errors=True)
        os.utime(path)
        _index.cache_clear()


def recordings(source: str, split: str, least_samples: int = 0) -> Recordings:
    """Of "train", "dev" or "test", all that have `least_samples` at 16 kHz.

    Raises:
        ValueError: an unknown split, or a folder that was not prepared.
    """
    if split not in (parts := folder_index.SPLIT[1]):
        raise ValueError(f"split must be {', '.join(parts)}, got {split!r}")
    return Recordings(source, split, least_samples)


def manifest_sha256(source: str) -> str:
    """Hash over the rules and, of every file, its name, the hash of its bytes, its part or why it has none."""
    return _index(_index_path(source)).manifest_sha256


def bad(source: str) -> tuple[Bad, ...]:
    """What was left out when the folder was prepared, and what broke since."""
    path = _index_path(source)
    _index(path)
    faults = folder_index.faults(path) | _marked(path)
    folder = source.removeprefix(PREFIX)
    return tuple(Bad(f"{source}/{name}", f"{folder}/{name}", fault) for name, fault in faults.items())


def _folder(source: str) -> Path:
    return data_root() / source.removeprefix(PREFIX)


def _index_path(source: str) -> Path:
    """The name says which folder, and by which rules."""
    folder = source.removeprefix(PREFIX)
    if not folder.strip("./"):
        raise ValueError(
            f"a folder below DATA_ROOT must be named, as in folder:unlabelled/fr, got {source!r}"
        )
    digest = hashlib.sha256(json.dumps([folder, folder_index.RULES]).encode()).hexdigest()[:12]
    plain = re.sub(r"[^A-Za-z0-9]+", "-", folder).strip("-")[-80:]
    return data_root() / "speech" / "unlabelled" / f"{plain}-{digest}.jsonl"


@cache
def _index(path: Path) -> folder_index.Index:
    if not path.exists():
        raise ValueError(f"{path} must be the index of a folder and is not there; prepare the source first")
    return folder_index.Index(path)


# ---- what broke since: a file for each, so that ranks and workers together tell it once, and results name it


def _marks(index_path: Path) -> Path:
    return index_path.with_suffix(".broken")


def _mark(recording: Recording, fault: str) -> None:
    marks = _marks(_index_path(recording.source))
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
