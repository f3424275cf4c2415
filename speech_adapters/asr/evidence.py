"""How a run is read for the report: what its recipe's name says, its utterances, its weights, rates over a corpus."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from common.results import Item, Run
from speech_adapters.asr import curves

LANGUAGES = {"EN": "English", "FR": "French"}
METHODS = {
    "FULL": "fine-tuning",
    "ADAPTERS": "adapters",
    "HEAD": "head alone",
    "RANDOM": "all, from random weights",
    "LORA": "LoRA",
    "BITFIT": "biases (BitFit)",
    "ONE_ADAPTER": "one adapter a layer",
}
SAME_METHOD = {"FINETUNE": "FULL", "ADAPTER": "ADAPTERS"}  # on fewer layers
DEV_NATS = "dev_ctc_nats_per_character"  # a column of the dev curve
PATTERN = re.compile(
    r"(?P<method>.+?)(?:_TOP(?P<top>\d+)|_LAYER(?P<layer>\d+)|_WIDTH(?P<width>\d+))?_(?P<language>[A-Z]{2})"
)


@dataclass(frozen=True)
class Name:
    """FINETUNE_TOP4_FR is method FULL with top 4 and language FR; a number is None where the name has none."""

    method: str
    language: str = ""  # empty where the name does not end in one
    top: int | None = None
    layer: int | None = None
    width: int | None = None  # of adapters, where it is not the usual one

    @property
    def whole(self) -> bool:
        """Whether the method works on every layer, at its usual width."""
        return self.top is self.layer is self.width is None

    @property
    def words(self) -> str:
        return METHODS.get(self.method, self.method)


def parse(recipe: str) -> Name:
    """A name that follows no pattern is a method of its own, of no language."""
    found = PATTERN.fullmatch(recipe)
    if found is None:
        return Name(recipe)
    numbers = (int(number) if number else None for number in found.group("top", "layer", "width"))
    return Name(SAME_METHOD.get(found["method"], found["method"]), found["language"], *numbers)


def language_words(language: str) -> str:
    return LANGUAGES.get(language, language or "no language")


@dataclass(frozen=True)
class Measure:
    """A rate over a corpus: what is counted and what it is divided by, each summed over all utterances first."""

    words: str
    counted: str
    divided_by: str
    unit: str
    factor: float = 1.0

    def of(self, items: Iterable[Item]) -> float:
        """factor · Σ counted / Σ divided_by; nan where nothing was counted, or an utterance lacks the count."""
        pairs = [
            (item.scores.get(self.counted, math.nan), item.scores.get(self.divided_by, math.nan))
            for item in items
        ]
        total = math.fsum(length for _, length in pairs)
        return self.factor * math.fsum(count for count, _ in pairs) / total if total else math.nan


NATS = Measure("nats per character", "ctc_nats", "characters", "nats")
CER = Measure("CER", "character_errors", "characters", "%", 100)
WER = Measure("WER", "word_errors", "words", "%", 100)
WER_BEAM = Measure("WER with n-gram", "word_errors/beam", "words", "%", 100)


def utterances(run: Run) -> dict[str, list[Item]]:
    """Scored utterances by test set; the one that was also trained on comes first."""
    by_part: dict[str, list[Item]] = {}
    for item in run.items:
        if NATS.divided_by in item.scores:
            by_part.setdefault(item.part, []).append(item)
    own = run.result.settings.get("source")
    return dict(sorted(by_part.items(), key=lambda pair: pair[0] != own))  # stable: the rest as scored


def own_utterances(run: Run) -> list[Item]:
    """Those of the voice that was trained on, or none."""
    return next(iter(utterances(run).values()), [])


def parameters(run: Run) -> dict[str, float | int]:
    """trained, total, trained_at_base, total_at_base: numbers of weights; empty where they were not counted."""
    return next((dict(item.scores) for item in run.items if item.part == "parameters"), {})


def trained_share(run: Run, size: str = "") -> float:
    """Of the weights, in %, what is added counting as well, and with "_at_base" as it would be in a BASE encoder; nan
    where it was not counted."""
    counts = parameters(run)
    total = counts.get(f"total{size}", 0)
    return 100 * counts[f"trained{size}"] / total if total else math.nan


def dev_curve(run: Run) -> dict[str, list[float]]:
    """Columns of the dev curve, or none where the run never looked."""
    found = next((curves.read(item) for item in run.items if item.part == curves.PART), {})
    return found if found.get(DEV_NATS) else {}


def dev_level(curve: Mapping[str, Sequence[float]], time_s: float) -> float:
    """Nats per character at the last look not later than a time, or at the first look."""
    looks = zip(curve["wall_s"], curve[DEV_NATS], strict=True)
    return [level for at, level in looks if at <= max(time_s, curve["wall_s"][0])][-1]
