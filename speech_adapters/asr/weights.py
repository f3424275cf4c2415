"""Weights as they are committed: a backbone in sixteen bits, and adapter sets, which `transcribe` loads by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from speech_adapters import backbone
from speech_adapters.adapter_sets import AdapterSet
from speech_adapters.asr.finetune import FineTune
from speech_adapters.pretraining_recipe import Pretrain
from speech_adapters.text import Vocabulary

FOLDER = Path(__file__).parent / "weights"
File = tuple[Path, Mapping[str, Tensor], dict[str, Any]]


def of_backbone(file: str, recipe: Pretrain, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> File:
    """The whole of pre-training, quantiser included, in half precision and in the form of `checkpoints.py`."""
    from speech_adapters.pretraining import Pretraining

    model = recipe.model()
    assert isinstance(model, Pretraining)
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    described = {
        "kind": "pretraining",
        "architecture": asdict(recipe.architecture),
        "targets": asdict(model.targets),
        "vocabulary": None,
        "origin": state["origin"] | {"settings": recipe.settings(), "provenance": state["provenance"]},
    }
    return backbone.WEIGHTS / f"{file}.safetensors", halves, described


def of_adapters(file: str, recipe: FineTune, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> File:
    """Adapters, layer norms and head, with vocabulary, normaliser and the hash of the backbone they fit."""
    model: Any = recipe.model()
    model.load_state_dict(tensors)
    origin = state["origin"] | {"source": recipe.source}
    made = AdapterSet.of(model, recipe.arm, recipe.language, backbone.sha256(recipe.backbone), origin)
    assert made.vocabulary == Vocabulary.of(recipe.language)
    return FOLDER / f"{file}.safetensors", made.tensors, made.state()
