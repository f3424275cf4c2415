"""MMS's `adapter.LANG.safetensors`: one adapter on what each layer puts out, and the head of a language.

They lie in the folder of the model that they share, which `huggingface` reads without them. Here they are adapter sets
of arms with `places=output` and `norms=none`, the only ones that have this form.
"""

from __future__ import annotations

import re
from pathlib import Path

from safetensors.torch import save as to_bytes

from common.files import write_atomically
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.checkpoints.interop import (
    ConversionError,
    ReadCheckpoint,
    Symbols,
    WrittenCheckpoint,
    huggingface,
    read_safetensors,
)
from speech_adapters.checkpoints.model_files import StoredModel, backbone_sha256, build, encoder_tensors
from speech_adapters.data import any_script
from speech_adapters.data.text import Vocabulary
from speech_adapters.model.arm import Arm
from speech_adapters.model.wav2vec2 import Wav2Vec2

FAMILY = "mms"
FILE = re.compile(r"adapter\.(.+)\.safetensors")
PARTS = {"norm": "norm", "down": "linear_1", "up": "linear_2"}


def is_adapter(path: Path) -> bool:
    return bool(FILE.fullmatch(path.name)) and not path.with_suffix(".json").exists()


def _names(layers: int) -> dict[str, str]:
    """Ours to theirs."""
    inside = {
        f"encoder.layers.{n}.after_layer.{ours}.{part}": f"wav2vec2.encoder.layers.{n}.adapter_layer.{theirs}.{part}"
        for n in range(layers)
        for ours, theirs in PARTS.items()
        for part in ("weight", "bias")
    }
    return inside | {f"head.{part}": f"lm_head.{part}" for part in ("weight", "bias")}


def read(path: Path, base: ReadCheckpoint, model: str) -> tuple[AdapterSet, dict[str, str]]:
    """A language's set over the encoder of `base`, and which tensor of theirs each of ours was.

    Args:
        model: how the base is called; it goes into the set, for who uses it.

    Raises:
        ConversionError: tensors of another network, or a head whose symbols have no names.
    """
    match = FILE.fullmatch(path.name)
    assert match is not None
    language, theirs = match[1], read_safetensors(path)
    architecture, names = base.stored.architecture, _names(base.stored.architecture.layers)
    if not architecture.pre_norm:
        raise ConversionError(
            f"{path}: MMS's adapters are of networks with norms before attention, {model} has not"
        )
    odd = sorted(set(theirs) ^ set(names.values()))
    if odd:
        raise ConversionError(
            f"{path}: is of another network than {model}: {len(odd)} names differ, such as {odd[0]}"
        )
    tensors = {ours: theirs[name].float().contiguous() for ours, name in names.items()}
    bottleneck, width = tensors["encoder.layers.0.after_layer.down.weight"].shape
    if width != architecture.width:
        raise ConversionError(f"{path}: adapters must be {architecture.width} wide as the model, got {width}")
    found = _symbols(path.parent, language, len(tensors["head.bias"]))
    order = found.order()
    tensors |= {name: tensors[name][order] for name in ("head.weight", "head.bias")}
    encoder = build(
        StoredModel(kind="encoder", architecture=architecture, tensors=encoder_tensors(base.stored))
    )
    assert isinstance(encoder, Wav2Vec2)
    arm = Arm(kind="adapters", bottleneck=bottleneck, norms="none", places="output")
    vocabulary = Vocabulary(found.ours())
    origin = {"family": FAMILY, "file": path.name, "model": model}
    return (
        AdapterSet(
            tensors, arm, language, vocabulary, backbone_sha256(encoder), origin, any_script.NORMALISER
        ),
        names,
    )


def _symbols(folder: Path, language: str, rows: int) -> Symbols:
    table = huggingface.json_of(folder / "vocab.json")
    places = table.get(language, table)
    named = {row: name for name, row in places.items() if isinstance(row, int)}
    if set(named) != set(range(rows)):
        raise ConversionError(
            f"{folder / 'vocab.json'}: must name {rows} symbols of {language}, got {len(named)}"
        )
    settings = huggingface.json_of(folder / "tokenizer_config.json")
    blank = places.get(settings.get("pad_token") or huggingface.PAD, 0)
    boundary = settings.get("word_delimiter_token") or "|"
    return Symbols(tuple(named[row] for row in range(rows)), blank, boundary)


def write(path: Path, adapters: AdapterSet) -> WrittenCheckpoint:
    """One file, to lie in the folder of its model.

    Raises:
        ConversionError: adapters in other places, norms beside them, or a name that transformers does not look for.
    """
    arm = adapters.arm
    if (arm.kind, arm.places, arm.norms, arm.layers) != (
        "adapters",
        "output",
        "none",
        0,
    ) or not arm.inner_norm:
        raise ConversionError(
            "MMS has one adapter on what each layer puts out and no norms of a language's own; train them with "
            f"--set arm.places=output --set arm.norms=none, got places {arm.places}, norms {arm.norms}"
        )
    if not FILE.fullmatch(path.name):
        raise ConversionError(f"MMS's file must be called adapter.LANG.safetensors, got {path.name}")
    layers = len({name.split(".")[2] for name in adapters.tensors if name.startswith("encoder.")})
    names = _names(layers)
    tensors = {theirs: adapters.tensors[ours].contiguous() for ours, theirs in names.items()}
    write_atomically(path, to_bytes(tensors, metadata={"format": "pt"}))
    symbols = list(adapters.vocabulary.symbols if adapters.vocabulary else ())
    told = f"transformers wants vocab.json for {len(symbols)} symbols, blank first: {' '.join(symbols)}"
    return WrittenCheckpoint(names=names, notes=(told,))
