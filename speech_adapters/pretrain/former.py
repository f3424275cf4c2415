"""Settings of pre-training as results older than nested settings spell them, turned into today's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from common.schedule import from_former
from common.settings import KIND, encode
from speech_adapters.data.sources import former
from speech_adapters.model.objective import ContrastiveObjective

RENAMED = {"probed": "scored_on", "visible_weight": "unmasked_weight"}
QUANTISER = {"groups": "groups", "codes": "codes", "code_width": "code_width", "target_width": "width"}
OBJECTIVE = tuple(one.name for one in fields(ContrastiveObjective))


def source(name: str) -> dict[str, Any]:
    """A source, by its name."""
    found = former(name)
    return {KIND: type(found).__name__, **encode(found)}


def sources(names: list[str]) -> list[dict[str, Any]]:
    return [source(name) for name in names]


def pretraining(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of `FirstStage` and `Pretrain`, which held names of sources, and quantiser and objective field by field."""
    told = {RENAMED.get(key, key): value for key, value in from_former(settings).items()}
    told |= {key: sources(told[key]) for key in ("sources", "scored_on")}
    if "num_negatives" in told:
        told["quantiser"] = {today: told.pop(key) for key, today in QUANTISER.items()}
        told["objective"] = {key: told.pop(key) for key in OBJECTIVE}
    return told
