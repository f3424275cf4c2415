"""Weights as they are committed: a backbone in sixteen bits, and adapter sets, which `transcribe` loads by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from common.papers import WeightsFile
from speech_adapters.asr.finetune import FineTune
from speech_adapters.checkpoints import by_name
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.data.text import Vocabulary
from speech_adapters.pretrain.recipe import Pretrain, Unlabelled


def of_backbone(
    folder: Path, file: str, recipe: Unlabelled, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> WeightsFile:
    """What the next stage starts from, in half precision and in the form of `model_files.py`.

    Of the first stage that is the encoder alone, of pre-training the quantiser as well.
    """
    described = {
        "kind": "encoder",
        "architecture": asdict(recipe.architecture),
        "targets": None,
        "vocabulary": None,
        "origin": state["origin"] | {"settings": recipe.settings(), "provenance": state["provenance"]},
    }
    if isinstance(recipe, Pretrain):
        model: Any = recipe.model()
        described |= {"kind": "pretraining", "targets": asdict(model.quantiser_sizes)}
    else:
        named = "encoder."
        tensors = {name.removeprefix(named): t for name, t in tensors.items() if name.startswith(named)}
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    return folder / f"{file}.safetensors", halves, described


def of_adapters(
    folder: Path, file: str, recipe: FineTune, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> WeightsFile:
    """Adapters, layer norms and head, with vocabulary, normaliser and the hash of the backbone they fit."""
    model: Any = recipe.model()
    model.load_state_dict(tensors)
    origin = state["origin"] | {"source": recipe.source.name}
    made = AdapterSet.of(model, recipe.arm, recipe.language, by_name.sha256(recipe.backbone), origin)
    assert made.vocabulary == Vocabulary.of(recipe.language)
    return folder / f"{file}.safetensors", made.tensors, made.state()
