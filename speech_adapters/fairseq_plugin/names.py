"""What fairseq trained with `wav2vec_ctc_adapters`, under our names and back. Needs no fairseq.

Theirs: `w2v_encoder.w2v_model.encoder.layers.0.dropout1.adapter.down.weight`, `w2v_encoder.proj.bias`;
ours, as in a `CTCModel`: `encoder.layers.0.after_attention.down.weight`, `head.bias`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.checkpoint import read_foreign
from speech_adapters.checkpoints.adapter_sets import AdapterSet, WrongBackbone
from speech_adapters.checkpoints.interop import Symbols, common_name
from speech_adapters.checkpoints.interop import fairseq as interop
from speech_adapters.checkpoints.model_files import backbone_sha256, base_tensors
from speech_adapters.data.text import Vocabulary
from speech_adapters.model.arm import NORMS, Arm
from speech_adapters.model.wav2vec2 import Wav2Vec2

PLACES = {
    "after_attention": "dropout1.adapter",
    "after_feed_forward": "dropout3.adapter",
    "attention_norm": "self_attn_layer_norm",
    "feed_forward_norm": "final_layer_norm",
}
_OURS = {theirs: ours for ours, theirs in PLACES.items()}
_LAYERS, _THEIR_LAYERS = "encoder.layers.", "w2v_encoder.w2v_model.encoder.layers."
_HEAD, _THEIR_HEAD = "head.", "w2v_encoder.proj."


def _place(name: str, layers: str, places: Mapping[str, str]) -> tuple[int, str, str] | None:
    """Layer, place there and the rest of a tensor's name; None for a tensor of another kind."""
    known = "|".join(map(re.escape, places))
    match = re.fullmatch(rf"{re.escape(layers)}(\d+)\.({known})\.(.+)", name)
    return (int(match[1]), match[2], match[3]) if match else None


def from_fairseq(weights: Mapping[str, Tensor], norms: str = "all") -> dict[str, Tensor]:
    """Adapters, Transformer layer norms and head of a model's weights, under our names, in 32 bits.

    Args:
        norms: the model's `adapter_norms`; "adapted" leaves out the norms of layers without an adapter.

    Raises:
        ValueError: a model without adapters.
    """
    if norms not in NORMS:
        raise ValueError(f"norms must be one of {', '.join(NORMS)}, got {norms!r}")
    heads, places = {}, {}
    for name, weight in weights.items():
        if name.startswith(_THEIR_HEAD):
            heads[_HEAD + name.removeprefix(_THEIR_HEAD)] = weight.float()
        elif found := _place(name, _THEIR_LAYERS, _OURS):
            places[found] = weight.float()
    adapted = {layer for layer, place, _ in places if place.endswith("adapter")}
    if not adapted:
        raise ValueError("the model must be a wav2vec_ctc_adapters, got one without adapters")
    return heads | {
        f"{_LAYERS}{layer}.{_OURS[place]}.{rest}": weight
        for (layer, place, rest), weight in places.items()
        if norms == "all" or layer in adapted
    }


def to_fairseq(adapters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `from_fairseq`, for `load_state_dict(..., strict=False)` of such a model.

    Raises:
        ValueError: a tensor that is none of an adapter's, a Transformer layer norm's or the head's.
    """
    renamed = {}
    for name, weight in adapters.items():
        if name.startswith(_HEAD):
            renamed[_THEIR_HEAD + name.removeprefix(_HEAD)] = weight
        elif found := _place(name, _LAYERS, PLACES):
            layer, place, rest = found
            renamed[f"{_THEIR_LAYERS}{layer}.{PLACES[place]}.{rest}"] = weight
        else:
            raise ValueError(f"tensors must be of adapters, layer norms or the head, got {name!r}")
    return renamed


def read_adapters(checkpoint: Path) -> dict[str, Tensor]:
    """What fairseq trained, out of one of its `.pt` files; the head's rows are in the order of its dictionary.

    Raises:
        CheckpointError: unreadable, or it could run code when opened.
        ValueError: no adapters in it.
    """
    content, arm = _read(checkpoint)
    return from_fairseq(content["model"], arm.norms)


def adapter_set(checkpoint: Path, encoder: Wav2Vec2, language: str) -> AdapterSet:
    """The same as one of our adapter sets; the head's rows are put in the order of our vocabularies.

    Args:
        encoder: read from the file that was `model.w2v_path`, without adapters.
        language: of the transcripts.

    Raises:
        CheckpointError, ValueError: as `read_adapters`; a dictionary without `|`.
        WrongBackbone: frozen weights in the checkpoint differ from the encoder's.
    """
    content, arm = _read(checkpoint)
    tensors = from_fairseq(content["model"], arm.norms)
    _check_frozen(content, encoder, trained=set(tensors), checkpoint=checkpoint)
    rows = tuple(interop.plain(content["task_state"]["target_dictionary"].symbols))
    symbols = Symbols(rows, blank=rows.index(interop.BLANK_NAME))
    for name in ("head.weight", "head.bias"):
        tensors[name] = tensors[name][symbols.order()]
    num_updates = content["optimizer_history"][-1]["num_updates"]
    return AdapterSet(
        tensors=tensors,
        arm=arm,
        language=language,
        vocabulary=Vocabulary(symbols.ours()),
        backbone=backbone_sha256(encoder),
        origin={"trainer": "fairseq", "file": checkpoint.name, "num_updates": num_updates},
    )


def _read(checkpoint: Path) -> tuple[dict[str, Any], Arm]:
    content = read_foreign(checkpoint, allow=interop.allowed())
    if not interop.is_checkpoint(content):
        raise ValueError(f"{checkpoint} must be a checkpoint of fairseq, got another file")
    settings = interop.plain(content["cfg"] or {}).get("model", {})
    if "adapter_bottleneck" not in settings:
        raise ValueError(
            f"{checkpoint} must hold a wav2vec_ctc_adapters, got {settings.get('_name', 'an unnamed model')}"
        )
    return content, Arm(
        kind="adapters",
        layers=settings["adapter_layers"],
        bottleneck=settings["adapter_bottleneck"],
        norms=settings["adapter_norms"],
    )


def _check_frozen(content: Mapping[str, Any], encoder: Wav2Vec2, trained: set[str], checkpoint: Path) -> None:
    common = interop.plain(content["cfg"]).get("common", {})
    # A run of 16 bits rounds frozen weights too; they are saved in 32 bits all the same.
    precision = (
        torch.float16 if common.get("fp16") else torch.bfloat16 if common.get("bf16") else torch.float32
    )
    names = interop.names(encoder.architecture)
    weights = {common_name(name): weight for name, weight in content["model"].items()}
    for name, mine in base_tensors(encoder).items():
        if f"encoder.{name}" in trained:
            continue
        theirs = weights.get(names.of(f"encoder.{name}", "recogniser"))
        if theirs is None or not torch.equal(mine.to(precision).float(), theirs.float()):
            raise WrongBackbone(
                f"{checkpoint} must have the encoder's {name}, got another; give the encoder of model.w2v_path"
            )
