"""Settings of published results as they were written, turned into today's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.schedule import from_former
from speech_adapters.pretrain.former import pretraining, source, sources

RENAMED = {"cache_prefix": "cache_frozen", "probes": "other_voices"}
SEARCH = {"lm_order": "order", "lm_weight": "lm_weight", "word_score": "word_score", "beam": "beam"}


def former_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a backbone or of an arm, which named its language beside its source."""
    if "sources" in settings:
        return pretraining(settings)
    told = {RENAMED.get(key, key): value for key, value in from_former(settings).items() if key != "language"}
    told["search"] = {today: told.pop(key) for key, today in SEARCH.items()}
    return told | {"source": source(told["source"]), "other_voices": sources(told["other_voices"])}
