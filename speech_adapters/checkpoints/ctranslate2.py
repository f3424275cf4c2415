"""Whisper's encoder out of a model.bin of CTranslate2, as faster-whisper has it; the decoder is left where it is.

Little-endian. Header: u32 binary version, text of the specification, u32 revision, u32 number of tensors. A tensor:
text of its name, u8 rank, that many u32 sizes, u8 type, u32 bytes, data. At last u32 number of aliases, two texts each.
A text is u16 length and bytes with zeros at its end. The reader is strict: every size is checked against the bytes
that are there before anything is made of it, and nothing may remain.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from speech_adapters.checkpoints.interop import ConversionError
from speech_adapters.checkpoints.model_files import StoredModel
from speech_adapters.model.architecture import WhisperArchitecture

VERSION, SPECIFICATION = 6, "WhisperSpec"
TYPES: dict[int, np.dtype[Any]] = {
    0: np.dtype("<f4"),
    1: np.dtype("i1"),
    2: np.dtype("<i2"),
    3: np.dtype("<i4"),
    4: np.dtype("<f2"),
}
BFLOAT16 = 5  # numpy has none
MOST_TENSORS, MOST_RANK = 10_000, 8
PLACES = "encoder/position_encodings/encodings"
FIRST = struct.pack("<I", VERSION) + struct.pack("<H", len(SPECIFICATION) + 1) + SPECIFICATION.encode()


@dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]
    kind: int
    data: memoryview


class _Bytes:
    """The bytes of one file, taken from front to back."""

    def __init__(self, path: Path, content: memoryview):
        self.path, self.content, self.place = path, content, 0

    def wrong(self, sentence: str) -> NoReturn:
        raise ConversionError(f"{self.path}: {sentence}, at byte {self.place}")

    def take(self, count: int, what: str) -> memoryview:
        left = len(self.content) - self.place
        if count > left:
            self.wrong(f"ends inside {what}: {count} bytes are due, {left} are left")
        self.place += count
        return self.content[self.place - count : self.place]

    def number(self, form: str, what: str) -> int:
        (found,) = struct.unpack(f"<{form}", self.take(struct.calcsize(form), what))
        return int(found)

    def text(self, what: str) -> str:
        found = bytes(self.take(self.number("H", what), what)).rstrip(b"\0")
        try:
            return found.decode()
        except UnicodeDecodeError:
            self.wrong(f"{what} is no text")


def is_model(path: Path) -> bool:
    """Whether a file begins as Whisper's models of CTranslate2 do."""
    with path.open("rb") as file:
        return file.read(len(FIRST)) == FIRST


def read(path: Path) -> StoredModel:
    """The encoder of a file, in half precision where the file is.

    Raises:
        ConversionError: another layout, damaged, quantised, or no encoder of Whisper.
    """
    tensors = _tensors(_Bytes(path, memoryview(path.read_bytes())))
    return _encoder(path, tensors)


def _tensors(read: _Bytes) -> dict[str, _Tensor]:
    version, name = read.number("I", "the version"), read.text("the specification")
    if (version, name) != (VERSION, SPECIFICATION):
        read.wrong(f"must be {SPECIFICATION} of binary version {VERSION}, got {name!r} of {version}")
    read.number("I", "the revision")
    count = read.number("I", "the number of tensors")
    if count > MOST_TENSORS:
        read.wrong(f"must have at most {MOST_TENSORS} tensors, got {count}")
    found = dict[str, _Tensor]()
    for _ in range(count):
        name = read.text("a tensor's name")
        if name in found:
            read.wrong(f"has {name} twice")
        found[name] = _tensor(read, name)
    for _ in range(read.number("I", "the number of aliases")):
        read.text("an alias")
        read.text("an alias")
    if left := len(read.content) - read.place:
        read.wrong(f"must end after its aliases, {left} bytes are left")
    return found


def _tensor(read: _Bytes, name: str) -> _Tensor:
    rank = read.number("B", name)
    if rank > MOST_RANK:
        read.wrong(f"{name} must have at most {MOST_RANK} axes, got {rank}")
    shape = tuple(read.number("I", name) for _ in range(rank))
    kind = read.number("B", name)
    if kind not in TYPES and kind != BFLOAT16:
        read.wrong(f"{name} must be of a type in 0..{BFLOAT16}, got {kind}")
    size = read.number("I", name)
    due = math.prod(shape) * (2 if kind == BFLOAT16 else TYPES[kind].itemsize)
    if size != due:
        read.wrong(f"{name} of shape {shape} must have {due} bytes, got {size}")
    return _Tensor(shape, kind, read.take(size, name))


# ---- the encoder


class _Named:
    """Tensors of a file by their names, in the shapes that are asked for; -1 is any size."""

    def __init__(self, path: Path, tensors: dict[str, _Tensor]):
        self.path, self.tensors = path, tensors

    def __call__(self, name: str, *shape: int) -> Tensor:
        if (found := self.tensors.get(name)) is None:
            raise ConversionError(f"{self.path}: has no {name}")
        if len(shape) != len(found.shape) or any(
            a not in (b, -1) for a, b in zip(shape, found.shape, strict=True)
        ):
            wanted = "x".join("any" if size < 0 else str(size) for size in shape)
            got = "x".join(map(str, found.shape)) or "one number"
            raise ConversionError(f"{self.path}: {name} must be {wanted}, got {got}")
        return _floats(self.path, name, found)


def _encoder(path: Path, tensors: dict[str, _Tensor]) -> StoredModel:
    of = _Named(path, tensors)
    conv = of("encoder/conv1/weight", -1, -1, -1)
    (width, bands, kernel), (most_frames, _) = conv.shape, of(PLACES, -1, conv.shape[0]).shape
    inner = of("encoder/layer_0/ffn/linear_0/bias", -1).shape[0]
    layers = 0
    while f"encoder/layer_{layers}/ffn/linear_0/weight" in tensors:
        layers += 1
    if kernel != 3 or width < 4 or width % 2:
        raise ConversionError(f"{path}: must have kernels of 3 and an even width, got {kernel} and {width}")
    architecture = WhisperArchitecture(
        width=width, bands=bands, inner=inner, layers=layers, most_frames=most_frames,
        conv=((width, kernel, 1), (width, kernel, 2)), heads=_heads(path, tensors, width),
    )  # fmt: skip
    ours = {
        "places": of(PLACES, most_frames, width),
        "extractor.convs.0.weight": conv,
        "extractor.convs.0.bias": of("encoder/conv1/bias", width),
        "extractor.convs.1.weight": of("encoder/conv2/weight", width, width, kernel),
        "extractor.convs.1.bias": of("encoder/conv2/bias", width),
    }
    for kind, name in (("weight", "gamma"), ("bias", "beta")):
        ours[f"norm.{kind}"] = of(f"encoder/layer_norm/{name}", width)
    for number in range(layers):
        ours |= _layer(of, number, width, inner)
    return StoredModel(kind="encoder", architecture=architecture, tensors=ours)


def _layer(of: _Named, number: int, width: int, inner: int) -> dict[str, Tensor]:
    """One Transformer layer; its key has no bias in Whisper, and zeros in the file."""
    there, here, ours = f"encoder/layer_{number}", f"layers.{number}", dict[str, Tensor]()
    for norm, place in (("attention_norm", "self_attention"), ("feed_forward_norm", "ffn")):
        ours[f"{here}.{norm}.weight"] = of(f"{there}/{place}/layer_norm/gamma", width)
        ours[f"{here}.{norm}.bias"] = of(f"{there}/{place}/layer_norm/beta", width)
    for kind, shape in (("weight", (width,)), ("bias", ())):
        stacked = of(f"{there}/self_attention/linear_0/{kind}", 3 * width, *shape).chunk(3)
        for part, tensor in zip(("query", "key", "value"), stacked, strict=True):
            ours[f"{here}.attention.{part}.{kind}"] = tensor.clone()
        ours[f"{here}.attention.output.{kind}"] = of(f"{there}/self_attention/linear_1/{kind}", width, *shape)
    ours[f"{here}.expand.weight"] = of(f"{there}/ffn/linear_0/weight", inner, width)
    ours[f"{here}.expand.bias"] = of(f"{there}/ffn/linear_0/bias", inner)
    ours[f"{here}.contract.weight"] = of(f"{there}/ffn/linear_1/weight", width, inner)
    ours[f"{here}.contract.bias"] = of(f"{there}/ffn/linear_1/bias", width)
    return ours


def _heads(path: Path, tensors: dict[str, _Tensor], width: int) -> int:
    found = tensors.get("encoder/num_heads")
    if found is None or found.shape or found.kind not in (1, 2, 3):
        raise ConversionError(f"{path}: does not say how many heads its encoder has")
    heads = int(np.frombuffer(found.data, TYPES[found.kind])[0])
    if not 1 <= heads <= width or width % heads:
        raise ConversionError(f"{path}: heads must divide the width {width}, got {heads}")
    return heads


def _floats(path: Path, name: str, found: _Tensor) -> Tensor:
    if found.kind in (1, 2, 3):
        raise ConversionError(
            f"{path}: {name} is quantised to integers; take a model of float16, float32 or bfloat16"
        )
    if found.kind == BFLOAT16:
        bits = np.frombuffer(found.data, "<u2").astype(np.uint32) << 16
        values = torch.from_numpy(bits.view(np.float32).copy())
    else:
        values = torch.from_numpy(np.frombuffer(found.data, TYPES[found.kind]).copy())
    if not bool(torch.isfinite(values).all()):
        raise ConversionError(f"{path}: {name} holds values that are no numbers")
    return values.reshape(found.shape)
