"""What we ask of adapters on an encoder that others trained well: the paper's sentences again, as questions of ours.

Whisper-base's encoder is supervised, so nothing here is evidence for the paper; see `night`. Bars are those of the
paper's claims (`claims.BOUND`).
"""

from __future__ import annotations

from functools import partial

from common.claims import Claim
from common.kinds import AboveFloor, Equivalent, SlightlyBetter, SlightlyWorse, Superior, Trend
from common.verdicts import Word
from speech_adapters.asr.claims import (
    BOUND,
    ENGLISH,
    FRENCH,
    NOT_AT_SMOKE,
    OTHER_ENGLISH,
    better_than_deaf,
    in_nats,
    layer_by_layer,
    lower,
    narrower,
    slope,
)
from speech_adapters.model.architecture import WHISPER_BASE

ABOUT = "the method on a real backbone (Whisper-base's encoder, supervised and multilingual)"
# The prototype's code was other; what it found stands in docs/evidence.md.
SET_ON = "2026-11-27, before these runs, with a prototype's figures known"
LAYERS = WHISPER_BASE.layers
ADAPTERS, FULL, HEAD, RANDOM = (f"WHISPER_{arm}_EN" for arm in ("ADAPTERS", "FULL", "HEAD", "RANDOM"))

_OVER_WHISPER = "Over Whisper-base's encoder, which others trained with transcripts (a question of ours), "
_BEHIND = ": adapters are {told} worse than full fine-tuning, where 0.1 was our bar ({reason})."
OUTCOMES: dict[Word, str] = {
    "upheld": f"{_OVER_WHISPER}the first sentence holds{_BEHIND}",
    "refuted": f"{_OVER_WHISPER}the first sentence does not hold{_BEHIND}",
    "undecided": f"{_OVER_WHISPER}it cannot be told{_BEHIND}",
}

_question = partial(
    Claim, where="our question", paper="no number", kind=Superior(), scales=("night",), not_testable=NOT_AT_SMOKE,
    question=True, about=ABOUT, unit="nats a character", parts=ENGLISH,
)  # fmt: skip

CLAIMS = (
    _question(
        id="whisper-english",
        says=f"English: adapters are slightly worse than full fine-tuning (our bar: by up to {BOUND} nats).",
        reads=(ADAPTERS, FULL),
        kind=SlightlyWorse(BOUND, SET_ON),
        **in_nats(lower, FULL, ADAPTERS),
        outcomes=OUTCOMES,
    ),
    _question(
        id="whisper-french",
        says=f"French: adapters are slightly better than full fine-tuning (our bar: by up to {BOUND} nats).",
        reads=("WHISPER_ADAPTERS_FR", "WHISPER_FULL_FR"),
        kind=SlightlyBetter(BOUND, SET_ON),
        **in_nats(lower, "WHISPER_ADAPTERS_FR", "WHISPER_FULL_FR"),
        parts=FRENCH,
    ),
    _question(
        id="whisper-pre-trained",
        says="Full fine-tuning of the encoder beats training all of it from nothing.",
        reads=(FULL, RANDOM),
        **in_nats(lower, FULL, RANDOM),
    ),
    _question(
        id="whisper-adapters-over-nothing",
        says="Adapters over the frozen encoder beat training all of it from nothing.",
        reads=(ADAPTERS, RANDOM),
        **in_nats(lower, ADAPTERS, RANDOM),
    ),
    _question(
        id="whisper-adapters-over-head",
        says="Adapters beat training the head alone.",
        reads=(ADAPTERS, HEAD),
        **in_nats(lower, ADAPTERS, HEAD),
    ),
    _question(
        id="whisper-top-2",
        says="Adapters in the top two layers, a third of them, come close to adapters in all six "
        f"(our bar: within {BOUND} nats).",
        reads=("WHISPER_ADAPTERS_TOP2_EN", ADAPTERS),
        kind=Equivalent(BOUND, SET_ON),
        **in_nats(lower, "WHISPER_ADAPTERS_TOP2_EN", ADAPTERS),
    ),
    _question(
        id="whisper-finetuning-top-4",
        says="Fine-tuning the top four layers, two thirds of them, comes close to fine-tuning all six "
        f"(our bar: within {BOUND} nats).",
        reads=("WHISPER_FINETUNE_TOP4_EN", FULL),
        kind=Equivalent(BOUND, SET_ON),
        **in_nats(lower, "WHISPER_FINETUNE_TOP4_EN", FULL),
    ),
    _question(
        id="whisper-single-layer",
        says="With one single layer to train, adapters beat fine-tuning that layer.",
        reads=tuple(
            f"WHISPER_{kind}_LAYER{n}_EN" for kind in ("ADAPTER", "FINETUNE") for n in range(1, LAYERS + 1)
        ),
        **in_nats(layer_by_layer, "WHISPER_ADAPTER_LAYER{}_EN", "WHISPER_FINETUNE_LAYER{}_EN", LAYERS),
    ),
    _question(
        id="whisper-upper-layers",
        says="An adapted layer serves better the higher it lies.",
        reads=tuple(f"WHISPER_ADAPTER_LAYER{n}_EN" for n in range(1, LAYERS + 1)),
        kind=Trend(),
        **in_nats(slope, "WHISPER_ADAPTER_LAYER{}_EN", LAYERS),
    ),
    _question(
        id="whisper-lora",
        says=f"LoRA of as many weights comes to the same as adapters (our bar: within {BOUND} nats).",
        reads=("WHISPER_LORA_EN", ADAPTERS),
        kind=Equivalent(BOUND, SET_ON),
        **in_nats(lower, "WHISPER_LORA_EN", ADAPTERS),
    ),
    _question(
        id="whisper-bitfit",
        says=f"Biases alone (BitFit) come close to adapters (our bar: within {BOUND} nats).",
        reads=("WHISPER_BITFIT_EN", ADAPTERS),
        kind=Equivalent(BOUND, SET_ON),
        **in_nats(lower, "WHISPER_BITFIT_EN", ADAPTERS),
    ),
    _question(
        id="whisper-fewer-labels",
        says="The fewer labels, the better adapters stand against full fine-tuning: with 3.5 minutes instead of 14 "
        "they are less far behind, or further ahead.",
        reads=(ADAPTERS, FULL, "WHISPER_ADAPTERS_QUARTER_EN", "WHISPER_FULL_QUARTER_EN"),
        **in_nats(narrower, (ADAPTERS, FULL), ("WHISPER_ADAPTERS_QUARTER_EN", "WHISPER_FULL_QUARTER_EN")),
    ),
    _question(
        id="whisper-other-voices",
        says="On voices never trained on, English adapters are better than full fine-tuning.",
        reads=(ADAPTERS, FULL, "WHISPER_DEAF_EN"),
        kind=AboveFloor(
            Superior(), better_than_deaf(ADAPTERS, FULL, floor="WHISPER_DEAF_EN"), "one that hears nothing"
        ),
        **in_nats(lower, ADAPTERS, FULL),
        parts=OTHER_ENGLISH,
    ),
)
