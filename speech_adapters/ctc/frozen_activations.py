"""What a frozen prefix makes of every clip, computed once and kept on disk: nothing is computed for what is frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from common.data.arrays import writing_rows
from common.data.packages import data_root
from common.data.pcm import as_floats
from common.progress import say, tracked

if TYPE_CHECKING:
    from speech_adapters.data.prepared import Clip
    from speech_adapters.model.ctc_model import CTCModel

SAID_FROM_BYTES = 1_000_000_000  # a bigger cache is announced before it is written


class FrozenActivations:
    """Float32 rows of frames for each clip, all of them end to end in one file.

    Every clip goes through the prefix alone, so a row depends on no batch, and a run that computes its prefix as it
    goes (`CTCModel.prefix`) gets the same bits.
    """

    def __init__(self, clips: Sequence[Clip], backbone: str, depth: int, manifest: str):
        """
        Args:
            backbone: sha256 of the encoder that the prefix belongs to.
            depth: where it ends, see `adapters.frozen_depth`.
            manifest: sha256 of the data.
        """
        self.clips = tuple(clips)
        ids = hashlib.sha256("\n".join(clip.id for clip in self.clips).encode()).hexdigest()
        key = hashlib.sha256(f"{backbone} {depth} {manifest} {ids}".encode()).hexdigest()[:16]
        self.path = data_root() / "speech" / "prefix" / f"{key}-depth{depth}.npy"
        self.depth = depth
        self._starts: dict[str, tuple[int, int]] = {}

    def fill(self, model: CTCModel) -> None:
        """Computes the file unless it is there. Two runs that start at once both compute; the last one stays."""
        import torch

        architecture = model.encoder.architecture
        place = 0
        for clip in self.clips:
            frames = architecture.num_frames(clip.samples)
            self._starts[clip.id] = (place, frames)
            place += frames
        if self.path.exists() or not self.clips:
            return
        width = architecture.conv[-1][0] if self.depth == 0 else architecture.width
        if (size := 4 * width * place) > SAID_FROM_BYTES:
            say(f"keeping {size / 1e9:.1f} GB of frozen features in {self.path.parent}")
        device = next(model.parameters()).device
        clips = tracked(self.clips, "computing what is frozen", len(self.clips), "clip")
        with writing_rows(self.path, place) as rows:
            for clip in clips:
                waveform = torch.from_numpy(as_floats(clip.waveform())).to(device)
                rows.add(model.prefix(waveform, self.depth).float().cpu().numpy())

    def __getitem__(self, clip_id: str) -> Float32[ndarray, "frame channel"]:
        start, frames = self._starts[clip_id]
        rows: ndarray = _mapped(self.path)[start : start + frames]
        return rows


@cache
def _mapped(path: Path) -> ndarray:
    rows: ndarray = np.load(path, mmap_mode="r")
    return rows
