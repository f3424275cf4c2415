"""Which composed clips a scale has, and what the command line asks of them: prepare, verify, pack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from common.data.manifest import Bad
from common.data.packages import data_root
from multimodal_ssl.composed import clips, gather, material
from multimodal_ssl.composed.plan import Composition

COMPOSITIONS: Mapping[str, Composition] = {
    "smoke": Composition(num_objects=4, size_px=32, views=2, scene_views=1, renditions=1, made_up=True),
    "mini": Composition(),
    "night": Composition(num_objects=0),
    "gpu": Composition(
        num_objects=0, size_px=96, num_frames=8, frame_step=1, views=12, scene_views=12, renditions=1
    ),
}


def verify(scale: str) -> list[Bad]:
    """Reads every file that clips are made of and every clip once more; what is no longer what it was, by name."""
    composition = COMPOSITIONS[scale]
    return [] if composition.made_up else [*material.verify(data_root()), *clips.verify(composition)]


def pack(path: Path, scale: str) -> str:
    """Writes all that clips of any scale are made of into one archive; returns its sha256."""
    if COMPOSITIONS[scale].made_up:
        raise ValueError(
            f"fine-grained-ssl at scale {scale} trains on nothing that a pack could hold; mini and gpu do"
        )
    gather.gather(data_root())
    return material.pack(path, data_root())


def scorable() -> bool:
    """Whether what is scored is here: a pack holds everything, so always."""
    return True
