"""Other people's wav2vec 2.0 checkpoints in our names and back: what the families have in common.

Each family is a module with a table of names (ours to theirs), a reader of the architecture out of its settings, and
where the family has a file format of its own a writer. Tensors are renamed, never computed, so a way there and back is
exact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from common.checkpoint import CheckpointError
from speech_adapters.checkpoints.model_files import StoredModel, shapes
from speech_adapters.data.text import BLANK, BOUNDARY
from speech_adapters.model.architecture import Architecture
from speech_adapters.model.objective import QuantiserSizes

Rules = tuple[tuple[str, str], ...]  # patterns at the start of our names, and what they are in theirs
# Symbols of dictionaries that no recogniser is taught to write; they stand last in ours.
SPECIALS = ("<s>", "<bos>", "<pad>", "</s>", "<unk>", "[PAD]", "[UNK]")
WRAPPERS = ("_orig_mod.", "module.")  # put before names by torch.compile and by data parallelism
SHOWN = 4  # tensors named in a message
MASK_VECTOR = "mask_vector"  # the one tensor that a checkpoint may lack: fine-tuning may do without


class ConversionError(ValueError):
    """A checkpoint that cannot become what was asked for; the message says why and the way out."""


@dataclass(frozen=True, kw_only=True)
class EncoderNames:
    """What a family calls the modules of an encoder; `{n}` stands for the number of a convolution or a layer."""

    conv: str
    conv_norm: str
    feature_norm: str
    projection: str
    mask_vector: str
    positional: str
    layer: str
    attention: (
        str  # this and what follows, inside a layer; its four projections have one name in all families
    )
    attention_norm: str
    expand: str
    contract: str
    feed_forward_norm: str
    norm: str
    positional_layer: str = ""  # of several convolutions, where the family has them

    def rules(self) -> Rules:
        """By patterns of our names."""
        ours_layer, layer = r"layers\.(\d+)\.", f"{self.layer}."
        inside = {
            rf"attention\.{ours}": f"{self.attention}.{theirs}_proj"
            for ours, theirs in (("query", "q"), ("key", "k"), ("value", "v"), ("output", "out"))
        }
        inside |= {"attention_norm": self.attention_norm, "expand": self.expand, "contract": self.contract}
        inside |= {"feed_forward_norm": self.feed_forward_norm}
        rules = {
            r"extractor\.layers\.(\d+)\.conv\.": f"{self.conv}.",
            r"extractor\.layers\.(\d+)\.norm\.": f"{self.conv_norm}.",
            r"feature_norm\.": f"{self.feature_norm}.",
            r"projection\.": f"{self.projection}.",
            r"mask_vector": self.mask_vector,
            r"positional\.gain": f"{self.positional}.weight_g",
            r"positional\.direction": f"{self.positional}.weight_v",
            r"positional\.bias": f"{self.positional}.bias",
            **(
                {r"positional\.layers\.(\d+)\.": f"{self.positional_layer}."} if self.positional_layer else {}
            ),
            **{rf"{ours_layer}{ours}\.": f"{layer}{theirs}." for ours, theirs in inside.items()},
            r"norm\.": f"{self.norm}.",
        }
        return tuple((ours, theirs.replace("{n}", r"\g<1>")) for ours, theirs in rules.items())


@dataclass(frozen=True)
class Names:
    """Our tensor names to a family's."""

    encoder: Rules
    rest: Rules  # of heads and quantisers
    prefix: Mapping[str, str]  # of the encoder's names, for each kind of model

    def of(self, ours: str, kind: str) -> str:
        """Their name of one of our tensors."""
        prefix, local = self.prefix[kind], ours
        if kind != "encoder":
            if not ours.startswith("encoder."):
                return _first_match(self.rest, ours)
            local = ours.removeprefix("encoder.")
        return prefix + _first_match(self.encoder, local)

    def is_of_encoder(self, theirs: str, kind: str) -> bool:
        """Whether one of their names stands where their encoder's do, one of ours or not."""
        prefix = self.prefix[kind]
        roots = {re.split(r"[.\\]", name)[0] for _, name in self.encoder}
        return theirs.startswith(prefix) and theirs.removeprefix(prefix).split(".")[0] in roots


def _first_match(rules: Rules, name: str) -> str:
    for pattern, theirs in rules:
        renamed, hits = re.subn(f"^{pattern}", theirs, name)
        if hits:
            return renamed
    raise AssertionError(f"no rule for {name}")


@dataclass(frozen=True, kw_only=True)
class ReadCheckpoint:
    """A checkpoint that was read: the model, and what became of its tensors."""

    family: str
    stored: StoredModel
    names: Mapping[str, str]  # ours: theirs
    missing: tuple[str, ...] = ()  # ours, filled with zeros
    unused: tuple[str, ...] = ()  # theirs
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WrittenCheckpoint:
    """A checkpoint that was written."""

    names: Mapping[str, str]  # ours: theirs
    added: tuple[str, ...] = ()  # theirs, which the format asks for and no tensor of ours became
    notes: tuple[str, ...] = ()


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """
    Raises:
        CheckpointError: cut off, damaged, or not to be read.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read, it may be cut off or damaged ({error})") from error


def unwrapped(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Tensors by their names without what wrappers put before them, and a note of what was taken away."""
    found, taken = dict(tensors), []
    for wrapper in WRAPPERS * 2:  # in either order
        if any(name.startswith(wrapper) for name in found):
            found = {name.removeprefix(wrapper): tensor for name, tensor in found.items()}
            taken.append(wrapper)
    return found, tuple(f"names stood under {wrapper!r}, which was taken away" for wrapper in taken)


def common_name(theirs: str) -> str:
    """One spelling of weight norm: torch's parametrizations and its older attributes are the same numbers."""
    return theirs.replace(".parametrizations.weight.original0", ".weight_g").replace(
        ".parametrizations.weight.original1", ".weight_v"
    )


def rename_in(
    theirs: Mapping[str, Tensor],
    names: Names,
    *,
    family: str,
    kind: str,
    architecture: Architecture,
    sizes: QuantiserSizes | None = None,
) -> ReadCheckpoint:
    """Their tensors as ours, float32.

    Raises:
        ConversionError: a tensor that is missing, of a shape that the settings do not tell, with both shapes, or of
            the encoder and without a place in ours.
    """
    spelled = {common_name(name): name for name in theirs}
    head = {"head.bias": theirs[names.of("head.bias", kind)]} if kind == "recogniser" else {}
    stored = StoredModel(kind=kind, architecture=architecture, tensors=head, quantiser_sizes=sizes)
    tensors, found, missing = {}, {}, []
    for ours, shape in shapes(stored).items():
        wanted = names.of(ours, kind)
        if wanted not in spelled:
            missing.append(ours)
            tensors[ours] = torch.zeros(shape)
            continue
        tensor = theirs[spelled[wanted]]
        if ours == "quantiser.codebook" and tensor.shape[:2] == (1, shape[0] * shape[1]):
            tensor = tensor.reshape(shape)
        if tensor.shape != shape:
            raise ConversionError(
                f"{spelled[wanted]} must be {tuple(shape)} by the settings, got {tuple(tensor.shape)}"
            )
        tensors[ours] = tensor.detach().to(torch.float32).contiguous().clone()
        found[ours] = spelled[wanted]
    lacking = [name for name in missing if name.removeprefix("encoder.") != MASK_VECTOR]
    if lacking:
        raise ConversionError(f"the {family} checkpoint lacks {len(lacking)} tensors of a {kind} model: "
                              f"{', '.join(names.of(name, kind) for name in lacking[:SHOWN])}")  # fmt: skip
    unused = sorted(set(theirs) - set(found.values()))
    if odd := [name for name in unused if names.is_of_encoder(common_name(name), kind)]:
        raise ConversionError(
            f"the {family} checkpoint's encoder has {len(odd)} tensors that its settings know nothing of: "
            f"{', '.join(odd[:SHOWN])}; these settings are of another network"
        )
    precisions = {str(theirs[name].dtype).removeprefix("torch.") for name in found.values()}
    return ReadCheckpoint(
        family=family,
        stored=replace(stored, tensors=tensors),
        names=found,
        missing=tuple(missing),
        unused=tuple(unused),
        notes=tuple(f"{precision} made float32" for precision in sorted(precisions - {"float32"})),
    )


def rename_out(stored: StoredModel, names: Names) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Our tensors as theirs, and which became which.

    Raises:
        ConversionError: adapters or LoRA terms, which no other family has a place for.
    """
    known = shapes(stored)
    foreign = sorted(set(stored.tensors) - set(known))
    if foreign:
        raise ConversionError(
            f"other families have no place for adapters, got {foreign[0]} and {len(foreign) - 1} more; "
            "convert the model without them and keep them as a set"
        )
    renamed = {ours: names.of(ours, stored.kind) for ours in stored.tensors}
    tensors = {renamed[ours]: tensor.contiguous() for ours, tensor in stored.tensors.items()}
    if stored.kind == "pretraining":
        codebook = renamed["quantiser.codebook"]
        tensors[codebook] = tensors[codebook].flatten(0, 1)[None]
    return tensors, renamed


# ---- symbols of a head


@dataclass(frozen=True)
class Symbols:
    """Symbols of a foreign head, row by row."""

    rows: tuple[str, ...]
    blank: int
    boundary: str = BOUNDARY
    silent: frozenset[int] = field(default=frozenset())  # rows of specials that can never be written

    def order(self) -> list[int]:
        """Rows in our order: blank, word boundary, the rest, specials last; silent ones are left out."""

        def place(row: int) -> int:
            if row == self.blank:
                return 0
            return 1 if self.rows[row] == self.boundary else 3 if self.rows[row] in SPECIALS else 2

        return sorted((row for row in range(len(self.rows)) if row not in self.silent), key=place)

    def ours(self) -> tuple[str, ...]:
        """Our names, in our order. Letters are lower case where that keeps them apart."""
        names = [self.rows[row] for row in self.order()]
        names[0] = BLANK
        if self.boundary in names:
            names[names.index(self.boundary)] = BOUNDARY
        lower = [name if name in SPECIALS else _lower(name, turkish="İ" in names) for name in names]
        return tuple(lower if len(set(lower)) == len(names) else names)


def _lower(name: str, *, turkish: bool) -> str:
    """Where there is a capital i with a dot, one without it is the capital of an i without it."""
    return (name.replace("İ", "i").replace("I", "ı") if turkish else name).lower()


def with_symbols(source: ReadCheckpoint, symbols: Symbols | None, blank: int = 0) -> ReadCheckpoint:
    """The recogniser with its head's rows in our order and their names.

    Raises:
        ConversionError: another number of symbols than the head has rows.
    """
    stored, notes = source.stored, source.notes
    rows = stored.num_symbols
    if symbols is None:
        order = [blank, *(row for row in range(rows) if row != blank)]
        notes += ("no dictionary was found: the head's symbols have no names",)
    else:
        if len(symbols.rows) != rows:
            raise ConversionError(
                f"the dictionary must have {rows} symbols as the head, got {len(symbols.rows)}"
            )
        order = symbols.order()
        if dropped := [symbols.rows[row] for row in sorted(symbols.silent)]:
            notes += (f"dropped from the head, as it can never write them: {', '.join(dropped)}",)
    if order != list(range(rows)):
        notes += ("rows of the head were put in our order: blank, word boundary, letters, specials",)
    tensors = {
        name: tensor[order].clone() if name.startswith("head.") else tensor
        for name, tensor in stored.tensors.items()
    }
    vocabulary = symbols.ours() if symbols else None
    return replace(source, stored=replace(stored, tensors=tensors, vocabulary=vocabulary), notes=notes)


def refuse_unless(settings: Mapping[str, Any], expected: Mapping[str, Any], family: str) -> None:
    """
    Raises:
        ConversionError: a setting that changes what the network computes, with the one value we can have.
    """
    for key, only in expected.items():
        if (value := settings.get(key, only)) != only:
            raise ConversionError(
                f"{family}'s {key} must be {only!r}, got {value!r}: it is not wav2vec 2.0 as ours"
            )


def epsilon_notes(architecture: Architecture, theirs: float, family: str) -> tuple[str, ...]:
    """What to say where a family normalises waveforms by another epsilon than the model was trained with."""
    ours = architecture.input_epsilon
    if not architecture.normalise_input or ours == theirs:
        return ()
    return (
        f"{family} adds {theirs:g} to the variance of a waveform, this model {ours:g}: quiet sound differs",
    )


def label_rows(vocabulary: Sequence[str] | None, family: str) -> Sequence[str]:
    """
    Raises:
        ConversionError: a recogniser whose symbols have no names.
    """
    if vocabulary is None:
        raise ConversionError(f"{family} wants names of the head's symbols; pass vocabulary=")
    return vocabulary
