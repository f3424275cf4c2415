"""torchvision's video networks as they were trained on Kinetics-400, out of files that a person puts into WEIGHTS_ROOT.

Nothing is downloaded. They were trained on pixels that had a mean taken off and were divided by a deviation; here that
goes into the first convolution and the norm behind it, so that a network takes pixels in [0, 1] as all others do. At
the border of a frame, where the first convolution meets padding, it is another number.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

MEAN, DEVIATION = (
    (0.43216, 0.394666, 0.37645),
    (0.22803, 0.22145, 0.216989),
)  # torchvision's, of both networks
TRUNK = "encoders.video.trunk"


@dataclass(frozen=True, kw_only=True)
class PublicFile:
    """A file of torchvision's.

    Args:
        name: ends with the first digits of its sha256.
        parts: its names of the parts of the trunk, and ours.
        first: its names of the first convolution and the norm behind it.
    """

    name: str
    megabytes: int
    parts: Mapping[str, str]
    first: tuple[str, str]


FILES: Mapping[str, PublicFile] = {
    "s3d-kinetics": PublicFile(
        name="s3d-d76dad2f.pth",
        megabytes=32,
        parts={"features": TRUNK},
        first=("features.0.0.0", "features.0.0.1"),
    ),
    "r2plus1d-kinetics": PublicFile(
        name="r2plus1d_18-91a641e6.pth",
        megabytes=120,
        parts={
            name: f"{TRUNK}.{at}" for at, name in enumerate(("stem", "layer1", "layer2", "layer3", "layer4"))
        },
        first=("stem.0", "stem.1"),
    ),
}


def trunk(name: str) -> dict[str, Tensor]:
    """Tensors of a matcher's trunk; the classifier behind it is left.

    Raises:
        ValueError: the file is not there, or is another one.
    """
    file = FILES[name]
    path = Path(os.environ.get("WEIGHTS_ROOT") or ".").expanduser() / file.name
    if not path.is_file():
        raise ValueError(
            f"{name} needs torchvision's weights, not found at {path}: put {file.name} from "
            f"https://download.pytorch.org/models/{file.name} ({file.megabytes} MB) into WEIGHTS_ROOT"
        )
    digest, wanted = hashlib.sha256(path.read_bytes()).hexdigest(), path.stem.rpartition("-")[2]
    if not digest.startswith(wanted):
        raise ValueError(f"{path}: SHA-256 must begin {wanted}, got {digest[:8]}; fetch again")
    return ours(torch.load(path, map_location="cpu", weights_only=True), file)


def ours(found: Mapping[str, Tensor], file: PublicFile) -> dict[str, Tensor]:
    """Tensors of a file under our names, for pixels in [0, 1]."""
    tensors, (conv, norm) = dict(found), file.first
    mean, deviation = (torch.tensor(values)[None, :, None, None, None] for values in (MEAN, DEVIATION))
    weight = tensors[f"{conv}.weight"] / deviation
    tensors[f"{conv}.weight"] = weight
    tensors[f"{norm}.running_mean"] = tensors[f"{norm}.running_mean"] + (weight * mean).sum((1, 2, 3, 4))
    return {
        f"{ours}{name.removeprefix(theirs)}": tensor
        for name, tensor in tensors.items()
        for theirs, ours in file.parts.items()
        if name.startswith(f"{theirs}.")
    }
