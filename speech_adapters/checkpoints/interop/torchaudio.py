"""torchaudio's state dicts of `Wav2Vec2Model`, with or without its `aux` head. Reading alone: it has no file format.

They carry no settings. Sizes are those of the tensors; what no tensor shows (strides, heads, places of norms,
normalisation of the input) follows torchaudio's own factories, or is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from speech_adapters.checkpoints.interop import (
    ConversionError,
    Names,
    ReadCheckpoint,
    common_name,
    huggingface,
    rename_in,
    unwrapped,
    with_symbols,
)
from speech_adapters.model.architecture import BASE_CONV, Architecture

FAMILY = "torchaudio"
HEADS_OF_WIDTH = {768: 12, 1024: 16, 1280: 16, 1920: 16}
ENCODER = replace(
    huggingface.ENCODER,
    feature_norm="encoder.feature_projection.layer_norm",
    projection="encoder.feature_projection.projection",
    mask_vector="mask_embedding",  # never there
    positional="encoder.transformer.pos_conv_embed.conv",
    layer="encoder.transformer.layers.{n}",
    norm="encoder.transformer.layer_norm",
)
NAMES = Names(
    encoder=ENCODER.rules(),
    rest=((r"head\.", "aux."),),
    prefix={"encoder": "", "recogniser": ""},
)


def is_checkpoint(content: Any) -> bool:
    """Whether an unpickled file is a state dict of theirs."""
    return isinstance(content, Mapping) and any(
        str(name).endswith("encoder.transformer.layer_norm.weight") for name in content
    )


def read(tensors: Mapping[str, Tensor], architecture: Architecture | None = None) -> ReadCheckpoint:
    """The model of a state dict.

    Raises:
        ConversionError: sizes of no factory of theirs, and no architecture told.
    """
    tensors, notes = unwrapped(tensors)
    architecture = architecture or architecture_of(tensors)
    kind = "recogniser" if "aux.weight" in tensors else "encoder"
    source = rename_in(tensors, NAMES, family=FAMILY, kind=kind, architecture=architecture)
    source = replace(source, notes=(*notes, *source.notes))
    return with_symbols(source, None) if kind == "recogniser" else source


def architecture_of(tensors: Mapping[str, Tensor]) -> Architecture:
    """Sizes out of the tensors' shapes; norms come first in the layers where the extractor has layer norms.

    Raises:
        ConversionError: convolutions or a width that no factory of theirs has.
    """
    shapes = {common_name(name): tuple(tensor.shape) for name, tensor in tensors.items()}
    conv = "feature_extractor.conv_layers"
    sizes = [shapes[f"{conv}.{i}.conv.weight"] for i in range(_count(shapes, conv))]
    if [(size[0], size[2]) for size in sizes] != [(channels, kernel) for channels, kernel, _ in BASE_CONV]:
        raise ConversionError(
            f"a state dict does not tell strides, and convolutions {sizes} are not BASE's; pass architecture="
        )
    width = shapes["encoder.transformer.layer_norm.weight"][0]
    if width not in HEADS_OF_WIDTH:
        known = ", ".join(map(str, HEADS_OF_WIDTH))
        raise ConversionError(
            f"a state dict does not tell heads; width must be among {known}, got {width}; pass architecture="
        )
    layer_norms = f"{conv}.1.layer_norm.weight" in shapes
    layers = "encoder.transformer.layers"
    direction = shapes["encoder.transformer.pos_conv_embed.conv.weight_v"]
    return Architecture(
        conv=BASE_CONV,
        conv_norm="layer" if layer_norms else "group",
        conv_bias=f"{conv}.0.conv.bias" in shapes,
        width=width,
        layers=_count(shapes, layers),
        heads=HEADS_OF_WIDTH[width],
        inner=shapes[f"{layers}.0.feed_forward.intermediate_dense.weight"][0],
        pre_norm=layer_norms,
        positional_kernel=direction[2],
        positional_groups=width // direction[1],
        normalise_input=layer_norms,
    )


def _count(names: Mapping[str, Any], stem: str) -> int:
    return len({name[len(stem) + 1 :].split(".")[0] for name in names if name.startswith(f"{stem}.")})
