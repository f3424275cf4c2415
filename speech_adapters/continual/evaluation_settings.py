"""What every arm is scored on, as settings; no torch, so that recipes load fast."""

from __future__ import annotations

from dataclasses import dataclass, field

from speech_adapters.data.source import Source
from speech_adapters.data.sources import AMAZON_QUEEN, ASTERISK, DRASCULA


@dataclass(frozen=True, kw_only=True)
class ShortTraining:
    """How a recogniser, or a linear probe of letters, is trained on what an encoder makes."""

    steps: int
    peak_lr: float
    train_s: float  # seconds of speech, at most


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Speech that an arm is scored on; transcribed where it is not for the contrast."""

    contrast_on: tuple[Source, ...] = (AMAZON_QUEEN, DRASCULA["en"], ASTERISK["fr"], ASTERISK["es"])
    letters_on: tuple[Source, ...] = (ASTERISK["fr"],)  # by linear probes, on the way too
    first_letters_on: Source | None = AMAZON_QUEEN  # the same of the first language, at the end
    recognition_on: Source | None = None
    probe: ShortTraining = field(default=ShortTraining(steps=300, peak_lr=1.25e-2, train_s=600.0))
    recognition: ShortTraining = field(default=ShortTraining(steps=200, peak_lr=5e-3, train_s=900.0))

    @property
    def sources(self) -> tuple[Source, ...]:
        """All of them, each once."""
        some = (self.first_letters_on, self.recognition_on)
        given = (source for source in some if source is not None)
        return tuple(dict.fromkeys((*self.contrast_on, *self.letters_on, *given)))
