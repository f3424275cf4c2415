"""Made-up speech, a tone a letter, for the scale that only proves the path from file to verdict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from common.data.pcm import FULL_SCALE
from speech_adapters.data.source import Source, check_part
from speech_adapters.data.tracks import SpeakerTracks
from speech_adapters.model.architecture import SAMPLE_RATE_HZ

COUNTS = {"train": 24, "dev": 6, "test": 10}
LETTER_S, LOWEST_HZ = 0.1, 300
LETTERS = "abcdefgh"


@dataclass(frozen=True)
class Tones(Source):
    """Two words an utterance, the same in every process."""

    language = "en"
    name = "tones"

    def prepare(self) -> None:
        """Nothing lies on the disk."""

    def utterances(self, part: str) -> tuple[ToneUtterance, ...]:
        check_part(part)
        return _utterances(part)

    def tracks(self, part: str, min_samples: int = 0) -> SpeakerTracks:
        return SpeakerTracks(self.name, self.utterances(part), min_samples)

    def content_sha256(self) -> str:
        return self.name


@dataclass(frozen=True)
class ToneUtterance:
    """An utterance that is computed."""

    id: str
    text: str
    group: str
    source: str = Tones.name
    language: str = Tones.language
    speaker: str = "nobody"

    @property
    def samples(self) -> int:
        return round(len(self.text) * LETTER_S * SAMPLE_RATE_HZ)

    def waveform(self) -> Int16[ndarray, " sample"]:
        """Samples at 16 kHz; a space is silence."""
        time_s = np.arange(round(LETTER_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        letters = []
        for letter in self.text:
            pitch_hz = LOWEST_HZ * 1.2 ** LETTERS.find(letter)
            loud = 0.3 if letter != " " else 0.0
            letters.append(loud * np.sin(2 * np.pi * pitch_hz * time_s))
        return (np.concatenate(letters) * FULL_SCALE).astype(np.int16)


@cache
def _utterances(part: str) -> tuple[ToneUtterance, ...]:
    rng = np.random.default_rng(sorted(COUNTS).index(part))
    made = []
    for number in range(COUNTS[part]):
        words = ["".join(rng.choice(list(LETTERS), size=rng.integers(2, 6))) for _ in range(2)]
        made.append(ToneUtterance(f"{part}-{number:02d}", " ".join(words), f"{part}-{number:02d}"))
    return tuple(made)
