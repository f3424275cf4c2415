"""How many weights each arm trains, counted on networks that take no memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from speech_adapters.model.adapters import Share, apply, share
from speech_adapters.model.architecture import Architecture
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.encoders import build


def count(architecture: Architecture, arm: Arm, num_symbols: int) -> Share:
    """Trained and all weights of a recogniser, head and inserted modules included.

    Raises:
        ValueError: layers or a bottleneck that the architecture has no place for.
    """
    with torch.device("meta"):
        model = CTCModel(build(architecture), num_symbols)
        apply(arm, model.encoder, model.head)
    return share(model)


def every_arm(architecture: Architecture, arm: Arm) -> list[Arm]:
    """Arms worth comparing, with the other settings of `arm`: of 12 layers the top 8 and 6 as well as all."""
    layers = architecture.layers
    parts = [0, -(-layers * 2 // 3), layers // 2]
    rows = [("full", 0), *(("finetune", part) for part in parts), *(("adapters", part) for part in parts)]
    rows += [("single-finetune", layers), ("single-adapter", layers), ("lora", 0), ("bitfit", 0), ("head", 0)]
    return [replace(arm, kind=kind, layers=number) for kind, number in rows]


def records(architecture: Architecture, arms: Sequence[Arm], num_symbols: int) -> list[dict[str, Any]]:
    """Settings and counts of each arm."""
    counted = [(arm, count(architecture, arm, num_symbols)) for arm in arms]
    return [
        {
            "arm": arm.kind,
            "layers": arm.layers,
            "trained": found.trained,
            "total": found.total,
            "percent": round(found.percent, 4),
        }
        for arm, found in counted
    ]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Records as people read them."""
    lines = [f"{'arm':<17}{'layers':<10}{'trained':>13}{'of':>13}{'share':>9}"]
    lines += [
        f"{row['arm']:<17}{_layers_in_words(row['arm'], row['layers']):<10}{row['trained']:>13,}"
        f"{row['total']:>13,}{row['percent']:>8.2f}%"
        for row in rows
    ]
    return "\n".join(lines)


def _layers_in_words(kind: str, layers: int) -> str:
    if kind in ("full", "head"):
        return "-"
    if kind.startswith("single"):
        return f"layer {layers}"
    return f"top {layers}" if layers else "all"
