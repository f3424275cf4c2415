"""A recogniser as `model.onnx`, `vocab.txt`, `config.json`, as onnx-asr (`wav2vec2-ctc`) and sherpa-onnx read them.

Inputs are `input_values` (batch, samples) at 16 kHz and `input_lengths` (batch), which may be left out where no row is
padded: sherpa-onnx gives none. The output `logprobs` (batch, frames, symbols) is certain of blank past an utterance's
end, since readers round the number of frames up. What normalises the waveform is inside.
"""

from __future__ import annotations

import importlib.util
import json
import re
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from common.files import write_atomically
from speech_adapters.checkpoints.interop import ConversionError, WrittenCheckpoint
from speech_adapters.checkpoints.model_files import StoredModel, build
from speech_adapters.data.text import BOUNDARY, NO_LETTERS
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import ConvLayer, PaddingAwareGroupNorm, Wav2Vec2

FAMILY = "onnx"
OPSET = 17
BLANK, SPACE = "<blk>", "\u2581"  # as both readers have them
INPUTS, OUTPUT = ("input_values", "input_lengths"), "logprobs"
UNLIKELY = -100.0  # nats
MOST_BYTES = 2**31 - 2**20  # of one protobuf


class Exported(nn.Module):
    """A recogniser in operations on tensors alone; its `forward` differs from `CTCModel`'s in nothing else."""

    def __init__(self, model: CTCModel, kept: list[int]):
        super().__init__()
        assert isinstance(model.encoder, Wav2Vec2)  # `convert.write` refuses others
        self.encoder: Wav2Vec2 = model.encoder
        self.head = nn.Linear(model.head.in_features, len(kept))
        self.head.load_state_dict({name: weight[kept] for name, weight in model.head.state_dict().items()})

    def forward(
        self, waveform: Float[Tensor, "batch sample"], num_samples: Int[Tensor, " lengths"]
    ) -> Float[Tensor, "batch frame symbol"]:
        encoder = self.encoder
        lengths = num_samples.minimum(torch.ones_like(num_samples) * waveform.shape[1]).expand(
            waveform.shape[0]
        )
        x = self._normalised(waveform, lengths) if encoder.architecture.normalise_input else waveform
        x = x[:, None]
        for layer in encoder.extractor.layers:
            x, lengths = _convolved(layer, x, lengths)
        x = encoder.projection(encoder.feature_norm(x.transpose(1, 2)))
        own = _own(x.shape[1], lengths)
        x = x * own[:, :, None]
        x = x + encoder.positional(x, own)
        if not encoder.architecture.pre_norm:
            x = encoder.norm(x)
        for layer in encoder.layers:
            x = layer(x, own[:, None, None])
        if encoder.architecture.pre_norm:
            x = encoder.norm(x)
        log_probs = self.head(x).log_softmax(dim=2)
        blank = torch.full((log_probs.shape[2],), UNLIKELY).index_fill(0, torch.tensor([0]), 0.0)
        return torch.where(own[:, :, None], log_probs, blank)

    def _normalised(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        own, count = _own(waveform.shape[1], lengths), lengths[:, None].to(waveform.dtype)
        centred = (waveform - (waveform * own).sum(dim=1, keepdim=True) / count) * own
        variance = centred.square().sum(dim=1, keepdim=True) / count
        return centred * (variance + self.encoder.architecture.input_epsilon).rsqrt()


def _own(length: Any, lengths: Tensor) -> Tensor:
    return torch.arange(length)[None] < lengths[:, None]


def _convolved(layer: Any, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    assert isinstance(layer, ConvLayer)
    x = layer.conv(x)
    lengths = (torch.div(lengths - layer.kernel, layer.conv.stride[0], rounding_mode="floor") + 1).clamp(
        min=0
    )
    if isinstance(layer.norm, PaddingAwareGroupNorm):
        own, count = _own(x.shape[2], lengths)[:, None], lengths[:, None, None].to(x.dtype)
        centred = x - (x * own).sum(dim=2, keepdim=True) / count
        variance = (centred * own).square().sum(dim=2, keepdim=True) / count
        x = centred * (variance + layer.norm.eps).rsqrt()
        x = (x * layer.norm.weight[:, None] + layer.norm.bias[:, None]) * own
    elif layer.norm is not None:
        x = layer.norm(x, lengths)
    return F.gelu(x), lengths


def write(folder: Path, stored: StoredModel) -> WrittenCheckpoint:
    """The three files; symbols that are no letters, such as <unk>, are left out.

    Raises:
        ConversionError: no recogniser of wav2vec 2.0, symbols without names, more than 2 GB, or `onnx` is missing.
    """
    if importlib.util.find_spec("onnx") is None:
        raise ConversionError("onnx is not installed; pip install 'speech-video-reproductions[onnx]'")
    if stored.kind != "recogniser" or stored.vocabulary is None:
        raise ConversionError(
            "onnx wants a recogniser whose symbols have names: a set, or a whole recogniser"
        )
    if sum(t.numel() * t.element_size() for t in stored.tensors.values()) > MOST_BYTES:
        raise ConversionError("onnx holds at most 2 GB in one file, and this model is larger")
    model = build(stored)
    assert isinstance(model, CTCModel)
    if not isinstance(model.encoder, Wav2Vec2):
        raise ConversionError(f"onnx is written of wav2vec 2.0, got {type(model.encoder).__name__}")
    kept = [row for row, name in enumerate(stored.vocabulary) if row == 0 or not NO_LETTERS.fullmatch(name)]
    symbols = [
        BLANK,
        *(SPACE if name == BOUNDARY else name for name in (stored.vocabulary[row] for row in kept[1:])),
    ]
    if odd := [symbol for symbol in symbols if re.search(r"\s", symbol)]:
        raise ConversionError(f"symbols must have no space in them, got {odd[0]!r}")
    settings = {"model_type": "wav2vec2-ctc", "subsampling_factor": stored.architecture.stride}
    write_atomically(folder / "model.onnx", _graph(Exported(model, kept).eval(), stored))
    lines = "".join(f"{symbol} {row}\n" for row, symbol in enumerate(symbols))
    write_atomically(folder / "vocab.txt", lines.encode())
    write_atomically(folder / "config.json", (json.dumps(settings, indent=1) + "\n").encode())
    return WrittenCheckpoint(names={name: name for name in stored.tensors}, notes=_notes(stored, len(kept)))


def _graph(model: Exported, stored: StoredModel) -> bytes:
    """The network as ONNX, in which the second input has a value of its own."""
    import numpy as np
    import onnx

    length = stored.architecture.receptive_field + 20 * stored.architecture.stride
    example = (torch.zeros(2, length), torch.tensor([length, length - 5 * stored.architecture.stride]))
    axes = {
        INPUTS[0]: {0: "batch", 1: "samples"},
        INPUTS[1]: {0: "lengths"},
        OUTPUT: {0: "batch", 1: "frames"},
    }
    with (
        TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        torch.no_grad(),
    ):
        warnings.simplefilter(
            "ignore"
        )  # of tracing: what does not depend on the input is a constant, as it should
        made = Path(folder) / "model.onnx"
        torch.onnx.export(
            model, example, str(made), input_names=list(INPUTS), output_names=[OUTPUT], dynamic_axes=axes,
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        graph = onnx.load(made)
    whole = np.array([np.iinfo(np.int64).max], np.int64)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(whole, INPUTS[1]))
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString())


def _notes(stored: StoredModel, num_kept: int) -> tuple[str, ...]:
    told: tuple[str, ...] = ()
    if dropped := stored.num_symbols - num_kept:
        told += (f"{dropped} symbols that are no letters were left out",)
    if not stored.architecture.normalise_input and stored.architecture.conv_norm != "group":
        told += ("sherpa-onnx normalises waveforms, which this model was not trained with",)
    return told
