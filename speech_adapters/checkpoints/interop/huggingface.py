"""Hugging Face's folders: `Wav2Vec2Model`, `Wav2Vec2ForPreTraining`, `Wav2Vec2ForCTC` with their JSON files.

HuBERT computes what wav2vec 2.0 does under other names, data2vec-audio has other positions; both are read too, and the
base of MMS, whose adapters are files of their own (`mms`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save as to_bytes
from torch import Tensor

from common.checkpoint import read_foreign
from common.files import write_atomically
from common.strict_json import parsed
from speech_adapters.checkpoints.interop import (
    ConversionError,
    EncoderNames,
    Names,
    ReadCheckpoint,
    Symbols,
    WrittenCheckpoint,
    epsilon_notes,
    read_safetensors,
    refuse_unless,
    rename_in,
    rename_out,
    unwrapped,
    with_symbols,
)
from speech_adapters.checkpoints.model_files import StoredModel
from speech_adapters.data.text import BOUNDARY
from speech_adapters.model.architecture import SAMPLE_RATE_HZ, Architecture
from speech_adapters.model.objective import QuantiserSizes

FAMILY = "huggingface"
EPSILON = 1e-7  # of Wav2Vec2FeatureExtractor, fixed in its code
ONLY = {
    "hidden_act": "gelu", "feat_extract_activation": "gelu", "layer_norm_eps": 1e-5, "add_adapter": False,
    "feat_proj_layer_norm": True, "conv_pos_batch_norm": False,
}  # fmt: skip
DATA2VEC = "data2vec-audio"
# By `model_type`, what names of the encoder's tensors begin with in a model with a head.
PREFIXES = {"wav2vec2": "wav2vec2.", "hubert": "hubert.", DATA2VEC: "data2vec_audio."}
CLASSES = {"encoder": "Model", "pretraining": "ForPreTraining", "recogniser": "ForCTC"}
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
PAD = "<pad>"  # their name of CTC's blank
ENCODER = EncoderNames(
    conv="feature_extractor.conv_layers.{n}.conv",
    conv_norm="feature_extractor.conv_layers.{n}.layer_norm",
    feature_norm="feature_projection.layer_norm",
    projection="feature_projection.projection",
    mask_vector="masked_spec_embed",
    positional="encoder.pos_conv_embed.conv",
    layer="encoder.layers.{n}",
    attention="attention",
    attention_norm="layer_norm",
    expand="feed_forward.intermediate_dense",
    contract="feed_forward.output_dense",
    feed_forward_norm="final_layer_norm",
    norm="encoder.layer_norm",
    positional_layer="encoder.pos_conv_embed.layers.{n}.conv",
)
NAMES = Names(
    encoder=ENCODER.rules(),
    rest=(
        (r"head\.", "lm_head."),
        (r"quantiser\.logits\.", "quantizer.weight_proj."),
        (r"quantiser\.codebook", "quantizer.codevectors"),
        (r"code_projection\.", "project_q."),
        (r"context_projection\.", "project_hid."),
    ),
    prefix={"encoder": "", "pretraining": "wav2vec2.", "recogniser": "wav2vec2."},
)


# ---- reading


@dataclass(frozen=True)
class Folder:
    """A model's folder, read."""

    settings: dict[str, Any]
    preprocessor: dict[str, Any]
    tensors: dict[str, Tensor] = field(repr=False)


def read(folder: Path, weights: Path | None = None) -> ReadCheckpoint:
    """The model of a folder.

    Args:
        weights: the one file to read; None: those that the folder's index lists, or its only ones.

    Raises:
        ConversionError: no model in it, or another network than ours.
    """
    found = _open(folder, weights)
    settings, (tensors, notes) = found.settings, unwrapped(found.tensors)
    refuse_unless(settings, ONLY, FAMILY)
    if (model_type := settings.get("model_type", "wav2vec2")) not in PREFIXES:
        raise ConversionError(
            f"{FAMILY}'s model_type must be one of {', '.join(PREFIXES)}, got {model_type!r}"
        )
    if settings.get("adapter_attn_dim") is not None:
        tensors, told = _without_adapters(tensors)
        notes += told
    architecture = architecture_of(settings, found.preprocessor)
    sizes, kind = None, "encoder"
    if "lm_head.weight" in tensors:
        kind = "recogniser"
    elif "project_hid.weight" in tensors:
        kind, sizes = "pretraining", quantiser_sizes(settings)
    # A model with another head has the encoder under the same prefix as these.
    prefix = PREFIXES[model_type]
    prefixed = any(name.startswith(prefix) for name in tensors)
    names = Names(NAMES.encoder, NAMES.rest, dict.fromkeys(NAMES.prefix, prefix if prefixed else ""))
    source = rename_in(tensors, names, family=FAMILY, kind=kind, architecture=architecture, sizes=sizes)
    source = replace(source, notes=(*notes, *source.notes))
    if kind != "recogniser":
        return source
    blank = settings.get("pad_token_id", 0) or 0
    return with_symbols(source, symbols(folder, source.stored.num_symbols, blank), blank)


def _without_adapters(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The encoder that MMS's languages share."""
    kept = {
        name: t for name, t in tensors.items() if ".adapter_layer." not in name and "lm_head." not in name
    }
    told = "adapters and head of one language were left out: adapter.LANG.safetensors beside it makes a set"
    return kept, (told,) if len(kept) < len(tensors) else ()


def _open(folder: Path, weights: Path | None) -> Folder:
    if not (folder / "config.json").exists():
        raise ConversionError(
            f"{folder}: a Hugging Face model is a folder with config.json, which is not there"
        )
    settings, preprocessor = (json_of(folder / f"{name}.json") for name in ("config", "preprocessor_config"))
    tensors: dict[str, Tensor] = {}
    for part in [weights] if weights else _parts(folder):
        tensors |= read_safetensors(part) if part.suffix == ".safetensors" else read_foreign(part)
    return Folder(settings, preprocessor, tensors)


def _parts(folder: Path) -> list[Path]:
    """The files that hold a folder's weights, as its index lists them; copies beside them are none."""
    for name in WEIGHTS:
        if index := json_of(folder / f"{name}.index.json"):
            listed = sorted({str(part) for part in index.get("weight_map", {}).values()})
            if lost := [part for part in listed if not (folder / part).is_file()]:
                raise ConversionError(f"{folder}: lacks {lost[0]}, one of {len(listed)} parts of its weights")
            return [folder / part for part in listed]
        if (folder / name).is_file():
            return [folder / name]
    raise ConversionError(f"{folder}: must hold {' or '.join(WEIGHTS)}, got neither, nor an index of parts")


def json_of(path: Path) -> dict[str, Any]:
    """A table in JSON; an empty one where there is no file."""
    if not path.exists():
        return {}
    try:
        found = parsed(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConversionError(f"{path}: is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise ConversionError(f"{path}: must be a table of names, got {type(found).__name__}")
    return found


def architecture_of(settings: Mapping[str, Any], preprocessor: Mapping[str, Any]) -> Architecture:
    """Sizes out of `config.json`; what it leaves out has BASE's values, as there.

    Whether the waveform is normalised stands in `preprocessor_config.json`; without one, it is where the extractor
    has layer norms. There 1e-7 is added to the variance, in fairseq and ours 1e-5: with that, one of rms r would come
    out smaller by 1 - (1 + 1e-5 / r^2)^-1/2, which is 5 % at r = 0.01 and 0.05 % at r = 0.1.
    """
    conv = zip(
        settings.get("conv_dim", (512,) * 7),
        settings.get("conv_kernel", (10, 3, 3, 3, 3, 2, 2)),
        settings.get("conv_stride", (5, 2, 2, 2, 2, 2, 2)),
        strict=True,
    )
    data2vec = settings.get("model_type") == DATA2VEC
    norm = "layer" if data2vec else settings.get("feat_extract_norm", "group")
    normalise = bool(preprocessor.get("do_normalize", norm == "layer"))
    return Architecture(
        conv=tuple(conv),
        conv_norm=norm,
        conv_bias=settings.get("conv_bias", False),
        width=settings.get("hidden_size", 768),
        layers=settings.get("num_hidden_layers", 12),
        heads=settings.get("num_attention_heads", 12),
        inner=settings.get("intermediate_size", 3072),
        pre_norm=settings.get("do_stable_layer_norm", False),
        positional_kernel=(
            settings.get("conv_pos_kernel_size", 19)
            if data2vec
            else settings.get("num_conv_pos_embeddings", 128)
        ),
        positional_layers=settings.get("num_conv_pos_embeddings", 5) if data2vec else 0,
        positional_groups=settings.get("num_conv_pos_embedding_groups", 16),
        normalise_input=normalise,
        # The key is ours, of models that were trained with another.
        input_epsilon=float(preprocessor.get("input_epsilon", EPSILON))
        if normalise
        else Architecture.input_epsilon,
    )


def quantiser_sizes(settings: Mapping[str, Any]) -> QuantiserSizes:
    """Sizes of the quantiser."""
    return QuantiserSizes(
        groups=settings.get("num_codevector_groups", 2),
        codes=settings.get("num_codevectors_per_group", 320),
        code_width=settings.get("codevector_dim", 256),
        width=settings.get("proj_codevector_dim", 256),
    )


def symbols(folder: Path, num_rows: int, blank: int) -> Symbols | None:
    """Of a head, as `vocab.json` numbers them; None where it does not name all."""
    places = json_of(folder / "vocab.json") | json_of(folder / "added_tokens.json")
    if odd := [name for name, row in places.items() if not isinstance(row, int)]:
        raise ConversionError(
            f"{folder / 'vocab.json'}: must number symbols, but under {odd[0]!r} holds no number; one of several "
            "languages needs that language's own table"
        )
    named = {row: name for name, row in places.items() if row < num_rows}
    if len(named) < num_rows:
        return None
    boundary = json_of(folder / "tokenizer_config.json").get("word_delimiter_token") or BOUNDARY
    return Symbols(tuple(named[row] for row in range(num_rows)), blank, boundary)


# ---- writing


def write(folder: Path, stored: StoredModel) -> WrittenCheckpoint:
    """A folder for `from_pretrained`: settings, weights, preprocessor, and of a recogniser the tokenizer's files.

    Raises:
        ConversionError: adapters, or a quantiser beside data2vec's positions.
    """
    if stored.architecture.positional_layers and stored.kind == "pretraining":
        raise ConversionError(f"{FAMILY}'s {DATA2VEC} has no quantiser; take the encoder alone")
    prefix = PREFIXES[DATA2VEC if stored.architecture.positional_layers else "wav2vec2"]
    prefixes = {kind: prefix if given else "" for kind, given in NAMES.prefix.items()}
    tensors, renamed = rename_out(stored, replace(NAMES, prefix=prefixes))
    files = {"config.json": _settings(stored), **side_files(stored)}
    # The weights come first: a folder without config.json is no model yet.
    write_atomically(folder / "model.safetensors", to_bytes(tensors, metadata={"format": "pt"}))
    for name in sorted(files, reverse=True):
        write_atomically(folder / name, json.dumps(files[name], indent=1, ensure_ascii=False).encode())
    return WrittenCheckpoint(names=renamed, notes=epsilon_notes(stored.architecture, EPSILON, FAMILY))


def side_files(stored: StoredModel) -> dict[str, dict[str, Any]]:
    """The preprocessor's JSON, and of a recogniser whose symbols have names the tokenizer's."""
    files = {"preprocessor_config.json": _preprocessor(stored.architecture)}
    if stored.kind == "recogniser" and stored.vocabulary:
        symbols = [PAD, *("<blank>" if name == PAD else name for name in stored.vocabulary[1:])]
        files["vocab.json"] = {name: row for row, name in enumerate(symbols)}
        files["tokenizer_config.json"] = {
            "tokenizer_class": "Wav2Vec2CTCTokenizer", "pad_token": PAD, "unk_token": "<unk>",
            "word_delimiter_token": BOUNDARY, "do_lower_case": False,
        }  # fmt: skip
    return files


def _settings(stored: StoredModel) -> dict[str, Any]:
    a = stored.architecture
    data2vec = a.positional_layers > 0
    channels, kernels, strides = (list(sizes) for sizes in zip(*a.conv, strict=True))
    settings: dict[str, Any] = {
        "model_type": DATA2VEC if data2vec else "wav2vec2",
        "architectures": [("Data2VecAudio" if data2vec else "Wav2Vec2") + CLASSES[stored.kind]],
        "conv_dim": channels,
        "conv_kernel": kernels,
        "conv_stride": strides,
        "num_feat_extract_layers": len(channels),
        "conv_bias": a.conv_bias,
        "feat_extract_norm": a.conv_norm,
        "hidden_size": a.width,
        "num_hidden_layers": a.layers,
        "num_attention_heads": a.heads,
        "intermediate_size": a.inner,
        "do_stable_layer_norm": a.pre_norm,
        "num_conv_pos_embeddings": a.positional_layers or a.positional_kernel,
        "num_conv_pos_embedding_groups": a.positional_groups,
        "hidden_act": "gelu",
        "feat_extract_activation": "gelu",
        "layer_norm_eps": 1e-5,
        "mask_time_prob": 0.05,  # above zero, else there is no place for the mask vector
    }
    if data2vec:
        settings["conv_pos_kernel_size"] = a.positional_kernel
    if sizes := stored.quantiser_sizes:
        settings |= {"num_codevector_groups": sizes.groups, "num_codevectors_per_group": sizes.codes,
                     "codevector_dim": sizes.code_width, "proj_codevector_dim": sizes.width}  # fmt: skip
    if stored.kind == "recogniser":
        settings |= {"vocab_size": stored.num_symbols, "pad_token_id": 0}
    return settings


def _preprocessor(architecture: Architecture) -> dict[str, Any]:
    epsilon = {"input_epsilon": architecture.input_epsilon} if architecture.normalise_input else {}
    return epsilon | {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": SAMPLE_RATE_HZ,
        "padding_value": 0.0,
        "padding_side": "right",
        "do_normalize": architecture.normalise_input,
        # Their group norm takes padding into its statistics, so that a mask would not help.
        "return_attention_mask": architecture.conv_norm == "layer",
    }
