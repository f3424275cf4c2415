"""PEFT's folders of a LoRA: `adapter_config.json` and `adapter_model.safetensors`, over Hugging Face's `ForCTC`.

The terms and the output head are there, the encoder's own weights are not: to load them, `from_pretrained` makes the
base with as many symbols (`vocab_size=`), and `PeftModel.from_pretrained` puts these in.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save as to_bytes
from torch import Tensor

from common.files import write_atomically
from speech_adapters.checkpoints.interop import (
    ConversionError,
    ReadCheckpoint,
    WrittenCheckpoint,
    huggingface,
    read_safetensors,
    refuse_unless,
    with_symbols,
)
from speech_adapters.checkpoints.model_files import StoredModel

FAMILY = "peft"
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
ROOT = "base_model.model."
HEAD = "lm_head"
PARTS = {"down": "lora_A", "up": "lora_B"}
ONLY = {
    "peft_type": "LORA", "bias": "none", "use_dora": False, "rank_pattern": {}, "alpha_pattern": {},
    "fan_in_fan_out": False,
}  # fmt: skip


def is_folder(path: Path) -> bool:
    return (path / CONFIG).is_file()


def _module(ours: str) -> str:
    """Their name of one of our linear layers, such as wav2vec2.encoder.layers.0.attention.q_proj."""
    return huggingface.NAMES.of(f"{ours}.weight", "recogniser").removesuffix(".weight")


# ---- writing


def write(folder: Path, stored: StoredModel) -> WrittenCheckpoint:
    """The terms and head of a recogniser that arm lora trained.

    Raises:
        ConversionError: no LoRA terms, adapters beside them, or ranks that differ.
    """
    terms = _terms(stored.tensors)
    if stored.kind != "recogniser" or not terms:
        raise ConversionError("PEFT's folder holds LoRA terms; train a recogniser with --arm lora")
    if foreign := [name for name in stored.tensors if ".after_" in name]:
        raise ConversionError(f"PEFT's LoRA has no place for adapters, got {foreign[0]}")
    ranks = {tensor.shape[0] for name, tensor in stored.tensors.items() if _is_term(name, "down", terms)}
    if len(ranks) != 1:
        raise ConversionError(f"PEFT's LoRA must have one rank, got {sorted(ranks)}")
    names = {
        f"{owner}.{part}.weight": f"{ROOT}{_module(owner)}.{theirs}.weight"
        for owner in terms
        for part, theirs in PARTS.items()
    }
    names |= {f"head.{part}": f"{ROOT}{HEAD}.{part}" for part in ("weight", "bias")}
    tensors = {theirs: stored.tensors[ours].contiguous() for ours, theirs in names.items()}
    files = {CONFIG: _config(terms, ranks.pop(), stored), **huggingface.side_files(stored)}
    write_atomically(folder / WEIGHTS, to_bytes(tensors, metadata={"format": "pt"}))
    for name in sorted(files, reverse=True):
        write_atomically(folder / name, json.dumps(files[name], indent=1, ensure_ascii=False).encode())
    note = f"the encoder's own weights stay where they are: load it with vocab_size={stored.num_symbols}"
    return WrittenCheckpoint(names=names, notes=(note,))


def _terms(tensors: Mapping[str, Tensor]) -> list[str]:
    """Our names of linear layers with a term."""
    return [name.removesuffix(".linear.weight") for name in tensors if name.endswith(".linear.weight")]


def _is_term(name: str, part: str, terms: list[str]) -> bool:
    return name.endswith(f".{part}.weight") and name.removesuffix(f".{part}.weight") in terms


def _config(terms: list[str], rank: int, stored: StoredModel) -> dict[str, Any]:
    modules = sorted(_module(term) for term in terms)
    last = sorted({module.rpartition(".")[2] for module in modules})
    everywhere = len(modules) == len(last) * stored.architecture.layers
    return {
        "peft_type": "LORA", "task_type": None, "base_model_name_or_path": None, "inference_mode": True, "r": rank,
        "lora_alpha": rank, "lora_dropout": 0.0, "bias": "none", "use_rslora": False, "use_dora": False,
        "target_modules": last if everywhere else modules, "modules_to_save": [HEAD],
    }  # fmt: skip


# ---- reading


def read(folder: Path, base: ReadCheckpoint) -> ReadCheckpoint:
    """The base with terms put beside its weights, and with the folder's head, if any.

    Raises:
        ConversionError: not a plain LoRA, or of another network than the base.
    """
    config = huggingface.json_of(folder / CONFIG)
    refuse_unless(config, ONLY, FAMILY)
    theirs = read_safetensors(folder / WEIGHTS)
    rank = config.get("r", 8)
    scale = config.get("lora_alpha", 8) / (math.sqrt(rank) if config.get("use_rslora") else rank)
    kind, prefix = base.stored.kind, "" if base.stored.kind == "encoder" else "encoder."
    tensors = {f"{'' if prefix else 'encoder.'}{name}": t for name, t in base.stored.tensors.items()}
    if kind == "pretraining":
        tensors = {name: t for name, t in tensors.items() if name.startswith("encoder.")}
    modules = {_bare(_module(name.removesuffix(".weight"))): name.removesuffix(".weight") for name in tensors
               if re.fullmatch(r"encoder\.layers\.\d+\.(attention\.\w+|expand|contract)\.weight", name)}  # fmt: skip
    names, unused = dict[str, str](), list[str]()
    for name, tensor in theirs.items():
        local = _bare(name.removeprefix(ROOT))
        ours = _ours(local, modules)
        if not ours:
            unused.append(name)
            continue
        if ours.endswith((".down.weight", ".up.weight")):
            _check(name, ours, tensor, tensors)
        tensors[ours] = (tensor * scale if ours.endswith(".up.weight") else tensor).float().contiguous()
        names[ours] = name
    if unused:
        raise ConversionError(f"the encoder has no place for {len(unused)} tensors of {FAMILY}: {unused[0]}")
    for owner in {name.removesuffix(".down.weight") for name in names if name.endswith(".down.weight")}:
        for part in ("weight", "bias"):
            tensors[f"{owner}.linear.{part}"] = tensors.pop(f"{owner}.{part}")
    if "head.weight" not in tensors:
        raise ConversionError(f"{folder}: neither it nor the model it belongs to has an output head")
    found = _recogniser(base, tensors, names, scale)
    if "head.weight" not in names:
        return found
    places = huggingface.json_of(folder / "vocab.json")
    pad = huggingface.json_of(folder / "tokenizer_config.json").get("pad_token", huggingface.PAD)
    blank = int(places.get(pad, 0))
    return with_symbols(found, huggingface.symbols(folder, found.stored.num_symbols, blank), blank)


def _recogniser(
    base: ReadCheckpoint, tensors: dict[str, Tensor], names: Mapping[str, str], scale: float
) -> ReadCheckpoint:
    told = () if scale == 1 else (f"lora_alpha's factor {scale:g} was multiplied into the terms",)
    stored = StoredModel(
        kind="recogniser", architecture=base.stored.architecture, tensors=tensors,
        vocabulary=base.stored.vocabulary,
    )  # fmt: skip
    return replace(base, family=FAMILY, stored=stored, names=names, unused=(), notes=(*base.notes, *told))


def _bare(theirs: str) -> str:
    """Without what the encoder's names begin with in a model with a head."""
    for prefix in huggingface.PREFIXES.values():
        theirs = theirs.removeprefix(prefix)
    return theirs


def _ours(local: str, modules: Mapping[str, str]) -> str:
    """Our name of one of their tensors; "" where we have none."""
    if head := re.fullmatch(rf"{HEAD}\.(?:modules_to_save\.\w+\.)?(weight|bias)", local):
        return f"head.{head[1]}"
    for part, theirs in PARTS.items():
        module, found, _ = local.partition(f".{theirs}.")
        if found and module in modules:
            return f"{modules[module]}.{part}.weight"
    return ""


def _check(name: str, ours: str, tensor: Tensor, tensors: Mapping[str, Tensor]) -> None:
    owner, part, _ = ours.rsplit(".", 2)
    rows, columns = tensors[f"{owner}.weight"].shape
    axis, wanted = (1, columns) if part == "down" else (0, rows)
    if tensor.ndim != 2 or tensor.shape[axis] != wanted:
        raise ConversionError(
            f"{name} must have {wanted} along axis {axis} as the model, got {tuple(tensor.shape)}"
        )
