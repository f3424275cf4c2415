"""fairseq's `.pt`: pre-training and CTC models, settings as `args` (a Namespace, to 2020) or `cfg` (after).

fairseq itself is not imported: its files name few classes, and inert ones stand in for those. Written files are
plain containers, so that fairseq reads them with torch's safe unpickler.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.files import write_atomically
from speech_adapters.checkpoints.interop import (
    ConversionError,
    EncoderNames,
    Names,
    ReadCheckpoint,
    Rules,
    Symbols,
    WrittenCheckpoint,
    epsilon_notes,
    label_rows,
    refuse_unless,
    rename_in,
    rename_out,
    unwrapped,
    with_symbols,
)
from speech_adapters.checkpoints.interop.pickles import allowed as allowed
from speech_adapters.checkpoints.interop.pickles import plain
from speech_adapters.checkpoints.model_files import StoredModel
from speech_adapters.model.architecture import SAMPLE_RATE_HZ, Architecture
from speech_adapters.model.objective import QuantiserSizes

FAMILY = "fairseq"
EPSILON = 1e-5  # of layer norm, by which fairseq normalises waveforms
BLANK_NAME, FIXED = "<s>", ("<s>", "<pad>", "</s>", "<unk>")  # every dictionary of fairseq begins with these
# Row of a symbol that fairseq's dictionary has and our head has not: its probability is exactly zero.
SILENT_BIAS = -1e4
ONLY = {
    "layer_type": "transformer", "activation_fn": "gelu", "pos_conv_depth": 1, "conv_pos_batch_norm": False,
    "quantize_input": False, "target_glu": False, "quantizer_depth": 1, "crop_seq_to_multiple": 1, "blank_weight": 0,
}  # fmt: skip
DEFAULT_CONV = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]"
TRIPLE = r"\(\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\)"
TERM = rf"\[\s*({TRIPLE}(?:\s*,\s*{TRIPLE})*)\s*,?\s*\](?:\s*\*\s*(\d{{1,2}}))?"
REST: Rules = (
    (r"head\.", "w2v_encoder.proj."),
    (r"quantiser\.logits\.", "quantizer.weight_proj."),
    (r"quantiser\.codebook", "quantizer.vars"),
    (r"code_projection\.", "project_q."),
    (r"context_projection\.", "final_proj."),
)


def names(architecture: Architecture) -> Names:
    """Our names to fairseq's, which count modules: a group norm is place 2, a layer norm stands between transposes."""
    norm = "2" if architecture.conv_norm == "group" else "2.1"
    encoder = EncoderNames(
        conv="feature_extractor.conv_layers.{n}.0",
        conv_norm=f"feature_extractor.conv_layers.{{n}}.{norm}",
        feature_norm="layer_norm",
        projection="post_extract_proj",
        mask_vector="mask_emb",
        positional="encoder.pos_conv.0",
        layer="encoder.layers.{n}",
        attention="self_attn",
        attention_norm="self_attn_layer_norm",
        expand="fc1",
        contract="fc2",
        feed_forward_norm="final_layer_norm",
        norm="encoder.layer_norm",
    )
    return Names(
        encoder=encoder.rules(),
        rest=REST,
        prefix={"encoder": "", "pretraining": "", "recogniser": "w2v_encoder.w2v_model."},
    )


# ---- reading


def is_checkpoint(content: Any) -> bool:
    """Whether an unpickled file is one of fairseq's."""
    return isinstance(content, Mapping) and "model" in content and ("args" in content or "cfg" in content)


def read(path: Path, content: Mapping[str, Any]) -> ReadCheckpoint:
    """The model of a checkpoint that is already unpickled.

    Raises:
        ConversionError: another network than wav2vec 2.0 with CTC or its own objective.
    """
    cfg = plain(content["cfg"] if content.get("cfg") is not None else content["args"])
    model = _table(path, cfg, "cfg or args").get("model", cfg)  # old settings are one flat list
    task = cfg.get("task", cfg)
    task, model = task if isinstance(task, dict) else cfg, _table(path, model, "cfg.model")
    tensors, notes = unwrapped(_table(path, content["model"], "model"))
    source = _read(path, content, model, task, tensors)
    return replace(source, notes=(*notes, *source.notes))


def _table(path: Path, value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConversionError(f"{path}: its {name} must be a table of names, got {type(value).__name__}")
    return value


def _read(
    path: Path,
    content: Mapping[str, Any],
    model: Mapping[str, Any],
    task: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> ReadCheckpoint:
    if any(name.startswith("decoder.") for name in tensors):
        raise ConversionError(f"{path}: must be a CTC or a pre-training model, got one with a decoder")
    if any(".adapter." in name for name in tensors):
        raise ConversionError(
            f"{path}: holds adapters of our fairseq plug-in; `fairseq_plugin.names.adapter_set` reads them as a set"
        )
    normalise = bool(task.get("normalize", model.get("normalize", False)))
    if "w2v_encoder.proj.weight" in tensors:
        refuse_unless(model, ONLY, FAMILY)
        inside = model.get("w2v_args")
        if not isinstance(inside, dict):
            raise ConversionError(
                f"{path}: must carry the settings of its encoder (w2v_args), got {inside!r}"
            )
        architecture = architecture_of(inside.get("model", inside), normalise)
        source = rename_in(
            tensors, names(architecture), family=FAMILY, kind="recogniser", architecture=architecture
        )
        return with_symbols(source, _symbols(path, content, task, source.stored.tensors))
    sizes = quantiser_sizes(model)
    architecture = architecture_of(model, normalise)
    kind = "pretraining" if sizes else "encoder"
    return rename_in(tensors, names(architecture), family=FAMILY, kind=kind, architecture=architecture,
                     sizes=sizes)  # fmt: skip


def architecture_of(model: Mapping[str, Any], normalise_input: bool) -> Architecture:
    """Sizes out of a wav2vec 2.0's settings; what they leave out has fairseq's defaults, which are BASE's.

    Raises:
        ConversionError: settings of a network that ours is not.
    """
    refuse_unless(model, ONLY, FAMILY)
    conv = conv_layers(model.get("conv_feature_layers") or DEFAULT_CONV)
    width = int(model.get("encoder_embed_dim", 768))
    if conv[-1][0] == width:
        raise ConversionError(
            f"fairseq has no projection where conv channels are the width ({width}), ours has one"
        )
    return Architecture(
        conv=conv,
        conv_norm="layer" if model.get("extractor_mode", "default") == "layer_norm" else "group",
        conv_bias=bool(model.get("conv_bias", False)),
        width=width,
        layers=int(model.get("encoder_layers", 12)),
        heads=int(model.get("encoder_attention_heads", 12)),
        inner=int(model.get("encoder_ffn_embed_dim", 3072)),
        pre_norm=bool(model.get("layer_norm_first", False)),
        positional_kernel=int(model.get("conv_pos", 128)),
        positional_groups=int(model.get("conv_pos_groups", 16)),
        normalise_input=normalise_input,
    )


def quantiser_sizes(model: Mapping[str, Any]) -> QuantiserSizes | None:
    """Sizes of the quantiser; None without one."""
    if not model.get("quantize_targets", False):
        return None
    width = model.get("final_dim") or model.get("encoder_embed_dim", 768)
    return QuantiserSizes(groups=model.get("latent_groups", 2), codes=model.get("latent_vars", 320), width=width,
                   code_width=model.get("latent_dim") or width)  # fmt: skip


def conv_layers(text: str) -> tuple[tuple[int, int, int], ...]:
    """Layers of an expression such as `[(512, 10, 5)] + [(512, 3, 2)] * 4`, which fairseq would just run.

    Raises:
        ConversionError: anything but lists of three numbers, joined and repeated.
    """
    if not re.fullmatch(rf"{TERM}(\s*\+\s*{TERM})*", text.strip()):
        raise ConversionError(
            f"conv_feature_layers must be lists of (channels, kernel, stride), got {text!r}"
        )
    layers: list[tuple[int, int, int]] = []
    for triples, repeats in re.findall(TERM, text):
        sizes = re.findall(r"(\d+)\s*,\s*(\d+)\s*,\s*(\d+)", triples)
        layers += [(int(c), int(k), int(s)) for c, k, s in sizes] * int(repeats or 1)
    return tuple(layers)


def _symbols(
    path: Path, content: Mapping[str, Any], task: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> Symbols | None:
    """The dictionary inside the checkpoint, or the one that lies beside it."""
    dictionary = (content.get("task_state") or {}).get("target_dictionary")
    beside = path.parent / f"dict.{task.get('labels') or 'ltr'}.txt"
    if dictionary is not None:
        rows = tuple(plain(dictionary.__dict__["symbols"]))
    elif beside.exists():
        rows = (*FIXED, *read_dictionary(beside))
    else:
        return None
    mute = (tensors["head.weight"].abs().sum(dim=1) == 0) & (tensors["head.bias"] <= SILENT_BIAS)
    silent = [row for row, name in enumerate(rows[: len(mute)]) if row and name in FIXED and mute[row]]
    return Symbols(rows, blank=rows.index(BLANK_NAME), silent=frozenset(silent))


def read_dictionary(path: Path) -> list[str]:
    """Symbols of a `dict.*.txt`, a line each: symbol, count."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.removesuffix(" #fairseq:overwrite").rpartition(" ")[0] for line in lines if line.strip()]


# ---- writing


def write(path: Path, stored: StoredModel) -> WrittenCheckpoint:
    """A `.pt` that fairseq loads; a recogniser's dictionary goes beside it as `dict.ltr.txt`.

    An encoder alone becomes a pre-training model without quantiser, whose two projections are zeros of width 1.

    Raises:
        ConversionError: conv channels as many as the width, since fairseq then has no projection; adapters; data2vec;
            a recogniser whose symbols have no names.
    """
    architecture = stored.architecture
    if architecture.positional_layers:
        raise ConversionError("fairseq's wav2vec 2.0 has no place for data2vec's positions")
    if architecture.conv[-1][0] == architecture.width:
        raise ConversionError(
            f"fairseq has no projection where conv channels are the width, got {architecture.width} of both"
        )
    added: tuple[str, ...] = ()
    if stored.kind == "recogniser":
        stored, symbols, added = _with_fixed(stored)
        lines = "".join(f"{symbol} 1\n" for symbol in symbols[len(FIXED) :])
        write_atomically(path.with_name("dict.ltr.txt"), lines.encode())
    tensors, renamed = rename_out(stored, names(architecture))
    if stored.kind == "encoder":
        spare = {"project_q": architecture.conv[-1][0], "final_proj": architecture.width}
        for name, width in spare.items():
            tensors |= {f"{name}.weight": torch.zeros(1, width), f"{name}.bias": torch.zeros(1)}
            added += (f"{name}.weight", f"{name}.bias")
    _save(path, tensors, _settings(path, stored))
    return WrittenCheckpoint(names=renamed, added=added, notes=epsilon_notes(architecture, EPSILON, FAMILY))


def _with_fixed(stored: StoredModel) -> tuple[StoredModel, list[str], tuple[str, ...]]:
    """The recogniser with the four rows that every dictionary of fairseq begins with."""
    vocabulary = list(label_rows(stored.vocabulary, FAMILY))
    # Elsewhere "<s>" need not be the blank.
    known = [BLANK_NAME, *("<bos>" if name == BLANK_NAME else name for name in vocabulary[1:])]
    symbols = [*FIXED, *(name for name in known if name not in FIXED)]
    tensors = dict(stored.tensors)
    for part, silent in (("weight", 0.0), ("bias", SILENT_BIAS)):
        rows = tensors[f"head.{part}"]
        none = torch.full_like(rows[0], silent)
        tensors[f"head.{part}"] = torch.stack(
            [rows[known.index(name)] if name in known else none for name in symbols]
        )
    added = tuple(f"w2v_encoder.proj, row of {name}" for name in FIXED if name not in known)
    return replace(stored, tensors=tensors, vocabulary=tuple(symbols)), symbols, added


def _settings(path: Path, stored: StoredModel) -> dict[str, Any]:
    a, sizes = stored.architecture, stored.quantiser_sizes
    model = {
        "_name": "wav2vec2",
        "extractor_mode": "layer_norm" if a.conv_norm == "layer" else "default",
        "conv_feature_layers": repr([tuple(layer) for layer in a.conv]),
        "conv_bias": a.conv_bias,
        "encoder_embed_dim": a.width,
        "encoder_layers": a.layers,
        "encoder_attention_heads": a.heads,
        "encoder_ffn_embed_dim": a.inner,
        "layer_norm_first": a.pre_norm,
        "conv_pos": a.positional_kernel,
        "conv_pos_groups": a.positional_groups,
        "quantize_targets": sizes is not None,
        "final_dim": sizes.width if sizes else 1,
    }
    if sizes:
        model |= {
            "latent_groups": sizes.groups,
            "latent_vars": sizes.codes,
            "latent_dim": sizes.code_width,
        }
    data = os.fspath(path.parent)  # where fairseq looks for the dictionary; moved files need it told anew
    task = {"_name": "audio_pretraining", "data": data, "normalize": a.normalise_input,
            "sample_rate": SAMPLE_RATE_HZ}  # fmt: skip
    if stored.kind != "recogniser":
        return {"model": model, "task": task}
    inside = {"model": model, "task": dict(task), "criterion": None, "lr_scheduler": None}
    ctc = {"_name": "wav2vec_ctc", "w2v_path": "", "no_pretrained_weights": True, "w2v_args": inside,
           "normalize": a.normalise_input, "data": data, "ddp_backend": "legacy_ddp"}  # fmt: skip
    return {"model": ctc, "task": task | {"_name": "audio_finetuning", "labels": "ltr"}}


def _save(path: Path, tensors: Mapping[str, Tensor], cfg: Mapping[str, Any]) -> None:
    blob = io.BytesIO()
    history = [{"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}]
    content = {"args": None, "cfg": cfg, "model": tensors, "optimizer_history": history, "extra_state": {}}
    torch.save(content, blob)
    write_atomically(path, blob.getvalue())
