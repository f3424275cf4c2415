"""Made-up speech, a tone a letter, for the scale that only proves the path from file to verdict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from common.data.pcm import FULL_SCALE
from speech_adapters.model.architecture import SAMPLE_RATE_HZ

SOURCE = "tones"
COUNTS = {"train": 24, "dev": 6, "test": 10}
LETTER_S, LOWEST_HZ = 0.1, 300
LETTERS = "abcdefgh"


@dataclass(frozen=True)
class Tones:
    """An utterance of the form of `prepared.Clip`."""

    id: str
    text: str
    group: str
    source: str = SOURCE
    language: str = "en"
    speaker: str = "nobody"

    @property
    def samples(self) -> int:
        return round(len(self.text) * LETTER_S * SAMPLE_RATE_HZ)

    def waveform(self) -> Int16[ndarray, " sample"]:
        """Samples at 16 kHz; a space is silence."""
        time_s = np.arange(round(LETTER_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        pieces = []
        for letter in self.text:
            pitch_hz = LOWEST_HZ * 1.2 ** LETTERS.find(letter)
            loud = 0.3 if letter != " " else 0.0
            pieces.append(loud * np.sin(2 * np.pi * pitch_hz * time_s))
        return (np.concatenate(pieces) * FULL_SCALE).astype(np.int16)


@cache
def clips(split: str) -> tuple[Tones, ...]:
    """Two words each, the same in every process."""
    rng = np.random.default_rng(sorted(COUNTS).index(split))
    made = []
    for number in range(COUNTS[split]):
        words = ["".join(rng.choice(list(LETTERS), size=rng.integers(2, 6))) for _ in range(2)]
        made.append(Tones(f"{split}-{number:02d}", " ".join(words), f"{split}-{number:02d}"))
    return tuple(made)
