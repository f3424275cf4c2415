"""`convert` of what belongs to an encoder: adapter sets, PEFT's LoRA, MMS's adapters; all else goes to `convert`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from common import checkpoint
from speech_adapters.checkpoints import by_name
from speech_adapters.checkpoints import convert as converting
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.checkpoints.convert import Report
from speech_adapters.checkpoints.interop import (
    ConversionError,
    ReadCheckpoint,
    WrittenCheckpoint,
    huggingface,
    mms,
    peft,
)

OURS = "ours"


def convert(
    source: Path,
    target: Path,
    to: str = OURS,
    *,
    vocabulary: Sequence[str] | None = None,
    model: str = "",
) -> Report:
    """As `convert.convert`, from adapters too.

    A set of ours becomes a whole recogniser of any family, or MMS's file; a file of MMS a set, or a whole recogniser of
    another family; a folder of PEFT a whole recogniser.

    Args:
        model: name or path of the encoder that the adapters belong to; empty takes the one that a set or PEFT's folder
            names, or in whose folder MMS's file lies.

    Raises:
        ConversionError, CheckpointError: as there, or no encoder is named.
        ValueError: no such encoder, or it is not the one the adapters belong to.
    """
    source, target = Path(source), Path(target)
    if mms.is_adapter(source) and source.is_file():
        base = by_name.find(model) if model else source.parent
        adapters, names = mms.read(source, converting.read(base), str(base.resolve()))
        if to in (OURS, mms.FAMILY):
            return _written_set(adapters, names, target, to, mms.FAMILY)
        return converting.write(_merged(adapters, str(base)), source, target, to, vocabulary)
    if _is_set(source):
        adapters = AdapterSet.load(source)
        if to == mms.FAMILY:
            return _written_set(adapters, {}, target, to, OURS)
        return converting.write(_merged(adapters, model), source, target, to, vocabulary)
    if peft.is_folder(source):
        return converting.write(_with_lora(source, model), source, target, to, vocabulary)
    if to == mms.FAMILY:
        raise ConversionError(f"MMS's file holds adapters of a language; {source} is no adapter set")
    return converting.convert(source, target, to, vocabulary=vocabulary)


def _is_set(source: Path) -> bool:
    if source.suffix != ".safetensors" or not source.with_suffix(".json").is_file():
        return False
    return checkpoint.load(source).state.get("kind") == "adapter set"


def _merged(adapters: AdapterSet, model: str) -> ReadCheckpoint:
    named = model or str(adapters.origin.get("model", ""))
    if not named:
        raise ConversionError("the set does not name the encoder it belongs to; give --model")
    stored = adapters.merged(converting.read(by_name.find(named)).stored)
    return ReadCheckpoint(family=OURS, stored=stored, names={name: name for name in stored.tensors})


def _with_lora(folder: Path, model: str) -> ReadCheckpoint:
    named = model or str(huggingface.json_of(folder / peft.CONFIG).get("base_model_name_or_path") or "")
    if not named:
        raise ConversionError(f"{folder}: does not name the model it belongs to; give --model")
    return peft.read(folder, converting.read(by_name.find(named)))


def _written_set(
    adapters: AdapterSet, names: Mapping[str, str], target: Path, to: str, family: str
) -> Report:
    if to == mms.FAMILY:
        written = mms.write(target, adapters)
    elif target.suffix != ".safetensors":
        raise ConversionError(f"a file of ours must end in .safetensors, got {target.name!r}")
    else:
        adapters.save(target)
        written = WrittenCheckpoint(names={name: name for name in adapters.tensors})
    mapped = tuple((names.get(ours, ours), theirs) for ours, theirs in written.names.items())
    return Report(source=family, to=to, kind="adapter set", architecture=None, mapped=mapped, missing=(), unused=(),
                  notes=written.notes)  # fmt: skip
