"""Settings of published results as they were written, turned into today's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speech_adapters.pretrain.former import pretraining, source, sources

# What every run of the timing of updates carried without reading it.
UNREAD_BY_COST = (
    "accumulate", "batch_size", "betas", "clip_norm", "ema_decay", "final_lr_ratio", "peak_lr", "steps", "warmup_steps",
    "weight_decay",
)  # fmt: skip
RENAMED = {"source_model": "first_model"}
RECOGNITION_TRAIN_S = 900.0  # no setting then


def former_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of an arm, whose evaluation was told field by field, or of the timing of updates."""
    if "repeats" in settings:
        return {key: value for key, value in settings.items() if key not in UNREAD_BY_COST}
    told = {RENAMED.get(key, key): value for key, value in pretraining(settings).items()}
    if told["then"]:  # each language had a schedule, which nothing said
        told["schedule"] = {
            "kind": "InTurn",
            "first_steps": told["switch_step"],
            "schedule": told["schedule"],
        }
    told |= {key: sources(told[key]) for key in ("replayed", "then")}
    told["evaluation"] = {
        "contrast_on": sources(told.pop("matrix")),
        "letters_on": sources(told.pop("spelled")),
        "first_letters_on": _optional(told.pop("remembered")),
        "recognition_on": _optional(told.pop("recognised")),
        "probe": {
            "steps": told.pop("probe_steps"),
            "peak_lr": told.pop("probe_lr"),
            "train_s": told.pop("probe_train_s"),
        },
        "recognition": {
            "steps": told.pop("recognition_steps"),
            "peak_lr": told.pop("recognition_lr"),
            "train_s": RECOGNITION_TRAIN_S,
        },
    }
    return told


def _optional(name: str) -> dict[str, Any] | None:
    return source(name) if name else None
