"""wav2vec 2.0 checkpoints of fairseq, Hugging Face and torchaudio into ours, and ours into others' forms.

report = convert(Path("wav2vec_small.pt"), Path("base.safetensors"))
convert(Path("base.safetensors"), Path("base-hf"), to="huggingface")
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.checkpoint import CheckpointError, read_foreign
from speech_adapters.checkpoints import ctranslate2, model_files
from speech_adapters.checkpoints.interop import (
    ConversionError,
    ReadCheckpoint,
    WrittenCheckpoint,
    fairseq,
    huggingface,
    onnx,
    peft,
    read_safetensors,
    torchaudio,
)
from speech_adapters.checkpoints.model_files import StoredModel
from speech_adapters.model.architecture import Architecture, WhisperArchitecture

PART = re.compile(r"-\d+-of-\d+\.")  # in the name of a file that holds a part of the weights
FORMATS = ("ours", "fairseq", "huggingface", "peft", "onnx")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of every tensor; the model's numbers are the same on both sides but for `missing`."""

    source: str  # ours, fairseq, huggingface or torchaudio
    to: str  # one of FORMATS
    kind: str  # encoder, pretraining, recogniser or adapter set
    architecture: Architecture | None  # None of an adapter set
    mapped: tuple[tuple[str, str], ...]  # name there, name in the written file
    missing: tuple[str, ...]  # names in the written file that nothing there became: filled with constants
    unused: tuple[str, ...]  # names there that the written file has no place for
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = (f"{self.kind} from {self.source} to {self.to}: {len(self.mapped)} tensors mapped, "
                f"{len(self.missing)} missing, {len(self.unused)} unused")  # fmt: skip
        lines = [f"  {theirs} -> {ours}" for theirs, ours in self.mapped]
        lines += [f"  missing: {name}" for name in self.missing]
        lines += [f"  unused: {name}" for name in self.unused]
        return "\n".join([head, *lines, *(f"  note: {note}" for note in self.notes)])


def convert(
    source: Path,
    target: Path,
    to: str = "ours",
    *,
    architecture: Architecture | None = None,
    vocabulary: Sequence[str] | None = None,
) -> Report:
    """Reads a checkpoint of any family and writes it as another.

    Args:
        source: fairseq's `.pt`; a Hugging Face folder or the weights in it; a torchaudio state dict; a file of ours.
        target: `.safetensors` of ours, `.pt` of fairseq, a folder of Hugging Face, PEFT or ONNX.
        architecture: of torchaudio state dicts that are not of one of its factories' sizes.
        vocabulary: names of the head's symbols in our order (blank first), where the checkpoint names none.

    Raises:
        ConversionError: of no family, another network, or no place for it in the format.
        CheckpointError: damaged, or it could run code when opened; nothing of it is run.
    """
    _check_target(target, to)
    return write(read(source, architecture), source, target, to, vocabulary)


def _check_target(target: Path, to: str) -> None:
    if to not in FORMATS:
        raise ConversionError(f"to must be one of {', '.join(FORMATS)}, got {to!r}")
    if to == "ours" and target.suffix != ".safetensors":
        raise ConversionError(f"a file of ours must end in .safetensors, got {target.name!r}")


def write(
    found: ReadCheckpoint, source: Path, target: Path, to: str, vocabulary: Sequence[str] | None = None
) -> Report:
    """Writes what was read of `source`; see `convert`."""
    _check_target(target, to)
    stored = _named(found.stored, vocabulary)
    if to != "ours" and isinstance(stored.architecture, WhisperArchitecture):
        raise ConversionError(
            f"{source} has an encoder of Whisper, for which {to} has no place; only ours has"
        )
    if to == "ours":
        origin = {"family": found.family, "file": source.name, "sha256": _sha256(source)}
        stored = replace(stored, origin=dict(stored.origin) or origin)
        model_files.write(target, stored)
        written = WrittenCheckpoint(names={name: name for name in stored.tensors})
    else:
        written = WRITERS[to](target, stored)
    return Report(
        source=found.family,
        to=to,
        kind=stored.kind,
        architecture=stored.architecture,
        mapped=tuple(
            (found.names[ours], theirs) for ours, theirs in written.names.items() if ours in found.names
        ),
        missing=(*(written.names[name] for name in found.missing), *written.added),
        unused=found.unused,
        notes=(*found.notes, *written.notes),
    )


WRITERS = {
    "fairseq": fairseq.write,
    "huggingface": huggingface.write,
    "peft": peft.write,
    "onnx": onnx.write,
}


# ---- reading


def read(path: Path, architecture: Architecture | None = None) -> ReadCheckpoint:
    """The model of a checkpoint of any family; which family it is, the file itself tells.

    Raises:
        ConversionError: none of those that are known.
    """
    if not path.exists():
        raise ConversionError(f"{path}: no such file or folder")
    try:
        return _read(path, architecture)
    except (ConversionError, CheckpointError):
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConversionError(
            f"{path}: is not as any family writes its checkpoints ({type(error).__name__}: "
            f"{(str(error).splitlines() or [''])[0]})"
        ) from error


def _read(path: Path, architecture: Architecture | None) -> ReadCheckpoint:
    if path.is_dir():
        return huggingface.read(path)
    if path.suffix == ".safetensors" and path.with_suffix(".json").exists():
        stored = model_files.read(path)
        return ReadCheckpoint(family="ours", stored=stored, names={name: name for name in stored.tensors})
    if path.suffix == ".bin" and ctranslate2.is_model(path):
        return ReadCheckpoint(family="ctranslate2", stored=ctranslate2.read(path), names={})
    content: Any = (
        read_safetensors(path) if path.suffix == ".safetensors" else read_foreign(path, fairseq.allowed())
    )
    if fairseq.is_checkpoint(content):
        return fairseq.read(path, content)
    if torchaudio.is_checkpoint(content):
        return torchaudio.read(content, architecture)
    if (path.parent / "config.json").exists():
        return huggingface.read(path.parent, None if PART.search(path.name) else path)
    raise ConversionError(
        f"{path}: must be a checkpoint of fairseq (with settings), Hugging Face (in a folder with config.json), "
        f"torchaudio (a state dict) or ours (with its JSON), got {_outline(content)}"
    )


def _outline(content: Any) -> str:
    if not isinstance(content, dict):
        return type(content).__name__
    keys = [str(key) for key in content][:4]
    return f"a table of {len(content)} with {', '.join(keys)}"


def _named(stored: StoredModel, vocabulary: Sequence[str] | None) -> StoredModel:
    if vocabulary is None:
        return stored
    if stored.kind != "recogniser" or stored.vocabulary is not None:
        raise ConversionError(
            "vocabulary= is for recognisers whose checkpoint names no symbols; leave it out"
        )
    if len(vocabulary) != stored.num_symbols:
        raise ConversionError(f"vocabulary must have {stored.num_symbols} symbols, got {len(vocabulary)}")
    return replace(stored, vocabulary=tuple(vocabulary))


def _sha256(path: Path) -> str:
    """Of the file; of a folder's weights."""
    files = [path] if path.is_file() else sorted((*path.glob("*.safetensors"), *path.glob("*.bin")))
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
