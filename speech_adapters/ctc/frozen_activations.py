"""A cache of frozen activations: what the layers that are never trained make of each utterance, computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Float32
from numpy import ndarray

from common.data import sealed
from common.data.arrays import writing_rows
from common.progress import say, tracked
from speech_adapters.data.source import Utterance

if TYPE_CHECKING:
    from speech_adapters.model.ctc_model import CTCModel

SAID_FROM_BYTES = 1_000_000_000  # a bigger cache is announced before it is written


class FrozenActivations:
    """Float32 rows of frames for each utterance, all of them end to end in one file.

    Every utterance goes through the frozen layers alone, so a row depends on no batch, and a run that computes them as
    it goes (`CTCModel.frozen_activations`) gets the same bits.
    """

    def __init__(
        self, folder: Path, utterances: Sequence[Utterance], backbone: str, depth: int, manifest: str
    ):
        """
        Args:
            folder: holds the file.
            backbone: which encoder the layers belong to, such as its sha256.
            depth: up to where they are frozen, see `adapters.frozen_depth`.
            manifest: sha256 of the data.
        """
        self.utterances = tuple(utterances)
        ids = hashlib.sha256("\n".join(one.id for one in self.utterances).encode()).hexdigest()
        key = hashlib.sha256(f"{backbone} {depth} {manifest} {ids}".encode()).hexdigest()[:16]
        self.path = folder / f"{key}-depth{depth}.npy"
        self.depth = depth
        self._places: dict[str, tuple[int, int]] = {}

    def fill(self, model: CTCModel) -> None:
        """Computes the file unless it is there. Two runs that start at once both compute; the last one stays."""
        from speech_adapters.data.batches import as_float

        architecture, place = model.encoder.architecture, 0
        for utterance in self.utterances:
            frames = architecture.num_frames(utterance.samples)
            self._places[utterance.id] = (place, frames)
            place += frames
        seal_path = sealed.seal_of(self.path)
        if self.path.exists() or not self.utterances:
            sealed.check_once(seal_path)
            return
        width = architecture.conv[-1][0] if self.depth == 0 else architecture.width
        if (size := 4 * width * place) > SAID_FROM_BYTES:
            say(f"keeping {size / 1e9:.1f} GB of frozen activations in {self.path.parent}")
        device = next(model.parameters()).device
        waited = tracked(self.utterances, "frozen activations", len(self.utterances), "utterance")
        with writing_rows(self.path, place) as rows:
            for utterance in waited:
                waveform = as_float(utterance.waveform()).to(device)
                rows.add(model.frozen_activations(waveform, self.depth).float().cpu().numpy())
        sealed.seal(seal_path, [self.path])

    def __getitem__(self, utterance_id: str) -> Float32[ndarray, "frame channel"]:
        start, frames = self._places[utterance_id]
        rows: ndarray = self._rows[start : start + frames]
        return rows

    @cached_property
    def _rows(self) -> ndarray:
        return sealed.mapped(self.path, sealed.seal_of(self.path))
