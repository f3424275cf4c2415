"""A published corpus, or a labelled folder, as a source: read part by part whatever its layout, decoded once."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jaxtyping import Float32
from numpy import ndarray

from common.data.audio import AudioError, read_audio
from common.data.manifest import Bad, check_bad_share
from common.data.packages import data_root
from common.files import write_atomically
from common.progress import tracked
from speech_adapters.data.corpora.corpus import Corpus
from speech_adapters.data.source import PARTS, Source, check_part
from speech_adapters.data.tracks import SpeakerTracks

MOST_BAD = 0.05  # share of a corpus


@dataclass(frozen=True)
class CorpusUtterance:
    """An utterance that is read from its file when asked for."""

    id: str
    source: str
    language: str
    text: str
    group: str  # the speaker
    path: Path
    samples: int

    @property
    def speaker(self) -> str:
        return self.group

    def waveform(self) -> Float32[ndarray, " sample"]:
        """In [-1, 1] at 16 kHz."""
        return read_audio(self.path)


@dataclass(frozen=True)
class PublicCorpus(Source):
    """Transcribed speech that somebody placed under DATA_ROOT in its published layout; nothing is fetched.

    A new corpus is a subclass that says how its parts are read.
    """

    @abstractmethod
    def read(self, part: str) -> tuple[Corpus, ...]:
        """Corpora that make "train", "dev" or "test"; each test set keeps a name of its own in results.

        Raises:
            ValueError: nothing of its layout under `DATA_ROOT`.
        """

    def prepare(self) -> None:
        for part in PARTS:
            self.utterances(part)

    def utterances(self, part: str) -> tuple[CorpusUtterance, ...]:
        check_part(part)
        return _utterances(self, part, data_root())

    def tracks(self, part: str, min_samples: int = 0) -> SpeakerTracks:
        return SpeakerTracks(self.name, self.utterances(part), min_samples)

    def content_sha256(self) -> str:
        hashes = " ".join(corpus.sha256 for corpus in self._corpora())
        return hashlib.sha256(hashes.encode()).hexdigest()

    def bad(self) -> tuple[Bad, ...]:
        return tuple(
            fault
            for corpus in self._corpora()
            for fault in (*corpus.bad, *_faults(corpus, _lengths(corpus, data_root())))
        )

    def verify(self) -> list[Bad]:
        return [
            fault for corpus in self._corpora() for fault in _faults(corpus, _decode(corpus, data_root()))
        ]

    def _corpora(self) -> Iterator[Corpus]:
        return (corpus for part in PARTS for corpus in _read(self, part, data_root()))


# ---- the data root is an argument, so that a cache cannot outlive a change of it


@cache
def _read(source: PublicCorpus, part: str, root: Path) -> tuple[Corpus, ...]:
    return source.read(part)


@cache
def _utterances(source: PublicCorpus, part: str, root: Path) -> tuple[CorpusUtterance, ...]:
    found = []
    for corpus in _read(source, part, root):
        name = source.name if part == "train" else corpus.name
        lengths = _lengths(corpus, root)
        found += [
            CorpusUtterance(u.id, name, u.language, u.text, u.speaker, root / u.path, length)
            for u in corpus.utterances
            if isinstance(length := lengths[u.id], int)
        ]
    return tuple(sorted(found, key=lambda utterance: utterance.id))


def _lengths(corpus: Corpus, root: Path) -> dict[str, int | str]:
    """Samples of each recording at 16 kHz, or why it cannot be read: all are decoded once, and that is kept.

    So a broken file is named before training, and cannot end a run half-way.

    Raises:
        ValueError: more than `MOST_BAD` of the corpus is bad; what is bad is listed.
    """
    path = root / "speech" / "corpora" / f"{corpus.name}-{corpus.sha256[:16]}.json"
    if not path.exists():
        write_atomically(path, json.dumps(_decode(corpus, root)).encode())
    lengths: dict[str, int | str] = json.loads(path.read_text())
    faults = _faults(corpus, lengths)
    check_bad_share([*corpus.bad, *faults], len(corpus.bad) + len(lengths), MOST_BAD)
    return lengths


def _decode(corpus: Corpus, root: Path) -> dict[str, int | str]:
    with ThreadPoolExecutor() as pool:
        read = pool.map(lambda utterance: _length(root / utterance.path), corpus.utterances)
        told = tracked(read, f"{corpus.name}: decoding", len(corpus.utterances), "recording")
        return dict(zip((u.id for u in corpus.utterances), told, strict=True))


def _length(path: Path) -> int | str:
    try:
        return len(read_audio(path))
    except AudioError as error:
        return str(error)


def _faults(corpus: Corpus, lengths: dict[str, int | str]) -> list[Bad]:
    paths = {utterance.id: utterance.path for utterance in corpus.utterances}
    return [Bad(id_, paths[id_], told) for id_, told in lengths.items() if isinstance(told, str)]
