"""What recognition is measured by: counts of single utterances and rates over a corpus, named alike in both papers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from common.measures import Measure
from common.results import Item

CTC_NATS = Measure(name="ctc_nats", unit="nats", words="CTC loss of an utterance")
DEAF_NATS = Measure(name="ctc_nats/deaf", unit="nats", words="CTC loss of one distribution at every frame")
CHARACTERS = Measure(name="characters", unit="characters", words="of the reference, spaces included")
CHARACTER_ERRORS = Measure(name="character_errors", unit="characters", words="edits, greedy decoding")
WORDS = Measure(name="words", unit="words", words="of the reference")
WORD_ERRORS = Measure(name="word_errors", unit="words", words="edits, greedy decoding")
BEAM_WORD_ERRORS = Measure(
    name="word_errors/beam", unit="words", words="edits, beam search with an n-gram of the training texts"
)
BLANK_SHARE = Measure(name="blank_share", unit="share", words="frames whose likeliest symbol is the blank")


@dataclass(frozen=True)
class Rate:
    """A rate over a corpus: what is counted and what it is divided by, each summed over all utterances first."""

    words: str
    counted: Measure
    divided_by: Measure
    unit: str
    factor: float = 1.0

    def of(self, items: Iterable[Item]) -> float:
        """factor · Σ counted / Σ divided_by; nan where nothing was counted, or an utterance lacks the count."""
        return self.factor * ratio(items, self.counted.name, self.divided_by.name)


def ratio(items: Iterable[Item], counted: str, divided_by: str) -> float:
    """Σ counted / Σ divided_by over scores of items; nan where nothing was counted, or an item lacks a count."""
    pairs = [(item.scores.get(counted, math.nan), item.scores.get(divided_by, math.nan)) for item in items]
    total = math.fsum(length for _, length in pairs)
    return math.fsum(count for count, _ in pairs) / total if total else math.nan


NATS = Rate("nats per character", CTC_NATS, CHARACTERS, "nats")
CER = Rate("CER", CHARACTER_ERRORS, CHARACTERS, "%", 100)
WER = Rate("WER", WORD_ERRORS, WORDS, "%", 100)
BEAM_WER = Rate("WER with n-gram", BEAM_WORD_ERRORS, WORDS, "%", 100)
