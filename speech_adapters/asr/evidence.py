"""How a run is read for the report: what was trained, its utterances, its weights, its curve on the dev part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from common.results import Item, Run
from common.settings import decode
from speech_adapters.asr import curves
from speech_adapters.asr.finetune import FineTune
from speech_adapters.asr.measures import (
    DEV_CURVE,
    DEV_NATS,
    PARAMETERS,
    TOTAL,
    TOTAL_AT_BASE,
    TRAINED,
    TRAINED_AT_BASE,
)
from speech_adapters.ctc.measures import CHARACTERS
from speech_adapters.model.architecture import WhisperArchitecture, kind_of

LANGUAGES = {"en": "English", "fr": "French"}
METHODS = {  # in the order in which they are given colours
    "full": "fine-tuning",
    "adapters": "adapters",
    "head": "head alone",
    "random": "all, from random weights",
    "lora": "LoRA",
    "bitfit": "biases (BitFit)",
    "one-adapter": "one adapter a layer",
    "deaf": "hears nothing",
}
# Encoders that learned on by themselves after the one that a scale's arms start from.
FURTHER = {"small-en-hubert": "after HuBERT's iteration"}
# On fewer layers; the same method as on all.
METHOD_OF_KIND = {"finetune": "full", "single-finetune": "full", "single-adapter": "adapters"}


@dataclass(frozen=True)
class Variant:
    """What of a recogniser was trained, on which language and encoder; a number is None where it is as usual."""

    method: str  # one of METHODS
    language: str
    top: int | None = None
    layer: int | None = None
    width: int | None = None  # of adapters
    minutes: float | None = None  # of labels
    encoder: str = ""  # what it is, where that is no wav2vec 2.0
    further: str = ""  # what the encoder has learned since, one of FURTHER

    @property
    def whole(self) -> bool:
        """Whether the method works on every layer, at its usual width, with all labels, from the usual encoder."""
        return self.top is self.layer is self.width is self.minutes is None and not self.further

    @property
    def words(self) -> str:
        return METHODS[self.method]

    def is_all(self, method: str, language: str) -> bool:
        """Whether it is that method on every layer, whatever the encoder: a scale has one for each method."""
        return self.whole and (self.method, self.language) == (method, language)


def is_recogniser(run: Run) -> bool:
    """Whether it is of an arm; else it is of a stage of the backbone."""
    return "source" in run.result.settings


def variant(run: Run) -> Variant:
    """Read from the settings of a recogniser."""
    return variant_of(decode(FineTune, run.result.settings))


def variant_of(recipe: FineTune) -> Variant:
    whisper = isinstance(recipe.architecture, WhisperArchitecture)
    encoder = kind_of(recipe.architecture) if whisper else ""
    further = FURTHER.get(recipe.backbone, "")
    return replace(_trained_part(recipe), encoder=encoder, further=further, minutes=recipe.minutes or None)


def _trained_part(recipe: FineTune) -> Variant:
    arm, language = recipe.arm, recipe.language
    if not recipe.steps:
        return Variant("deaf", language)
    if not recipe.backbone:
        return Variant("random", language)
    method = METHOD_OF_KIND.get(arm.kind, arm.kind)
    if arm.kind.startswith("single"):
        return Variant(method, language, layer=arm.layers)
    if arm.layers:
        return Variant(method, language, top=arm.layers)
    if arm.kind == "adapters" and arm.places != "both":
        return Variant("one-adapter", language)
    unusual = arm.kind == "adapters" and arm.bottleneck != recipe.architecture.width // 3
    return Variant(method, language, width=arm.bottleneck if unusual else None)


def language_words(language: str) -> str:
    return LANGUAGES.get(language, language)


def utterances(run: Run) -> dict[str, list[Item]]:
    """Scored utterances by test set; the one that was also trained on comes first."""
    by_part: dict[str, list[Item]] = {}
    for item in run.items:
        if CHARACTERS.name in item.scores:
            by_part.setdefault(item.part, []).append(item)
    own = decode(FineTune, run.result.settings).source.name if is_recogniser(run) else ""
    return dict(sorted(by_part.items(), key=lambda pair: pair[0] != own))  # stable: the rest as scored


def own_utterances(run: Run) -> list[Item]:
    """Those of the voice that was trained on, or none."""
    return next(iter(utterances(run).values()), [])


def parameters(run: Run) -> dict[str, float | int]:
    """Numbers of weights, see `measures`; empty where they were not counted."""
    return next((dict(item.scores) for item in run.items if item.part == PARAMETERS.name), {})


def trained_share(run: Run, *, at_base: bool = False) -> float:
    """Of the weights, in %, what is inserted counting as well; nan where it was not counted.

    Args:
        at_base: as it would be in a BASE encoder.
    """
    trained, total = (TRAINED_AT_BASE, TOTAL_AT_BASE) if at_base else (TRAINED, TOTAL)
    counts = parameters(run)
    return 100 * counts[trained.name] / counts[total.name] if counts.get(total.name) else math.nan


def dev_curve(run: Run) -> dict[str, list[float]]:
    """Columns of the dev curve, or none where the dev part was never scored."""
    found = next((curves.read(item) for item in run.items if item.part == DEV_CURVE.name), {})
    return found if found.get(DEV_NATS.name) else {}


def dev_level(curve: Mapping[str, Sequence[float]], time_s: float) -> float:
    """Nats per character the last time that dev was scored not later than a time, or the first time."""
    looks = zip(curve["wall_s"], curve[DEV_NATS.name], strict=True)
    return [level for at, level in looks if at <= max(time_s, curve["wall_s"][0])][-1]
