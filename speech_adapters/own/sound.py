"""A source of somebody's own sound, without texts: any folder, indexed beside what is trained on it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from common.settings import free
from speech_adapters.data import folder_index
from speech_adapters.data.source import PARTS
from speech_adapters.data.unlabelled import AudioFolder
from speech_adapters.model.architecture import SAMPLE_RATE_HZ

HELD_OUT = 20  # every how manieth recording, by path, is dev; few recordings hold none out


@dataclass(frozen=True)
class OwnSound(AudioFolder):
    """Every audio file below a folder. Nothing is tested on: all but dev is train."""

    path: str = free("")  # of the folder, absolute
    kept: str = free("")  # folder of the index

    @property
    def name(self) -> str:
        return f"sound:{Path(self.path).name}"

    def index_path(self) -> Path:
        digest = hashlib.sha256(json.dumps(folder_index.RULES).encode()).hexdigest()[:12]
        return Path(self.kept).absolute() / f"sound-{digest}.jsonl"

    def places(self, part: str) -> tuple[ndarray, ndarray]:
        every = [super(OwnSound, self).places(each) for each in PARTS]
        starts, samples = (np.concatenate(each) for each in zip(*every, strict=True))
        order = np.argsort(starts)  # that of the paths
        held = np.arange(len(order)) % HELD_OUT == HELD_OUT // 2
        chosen = order[held if part == "dev" else ~held & (part == "train")]
        return starts[chosen], samples[chosen]

    def _tell_parts(self) -> None:
        """What trains on it tells."""

    def seconds(self, part: str) -> ndarray:
        """Of each recording."""
        return self.places(part)[1] / SAMPLE_RATE_HZ
