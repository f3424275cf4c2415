"""Long audio in overlapping windows, and frames of windows back into frames of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from common.data.audio import AudioError, stream_audio
from common.data.cut_off import missing_sound
from common.data.media import shown
from speech_adapters.model.architecture import Architecture


@dataclass(frozen=True)
class Failure:
    """A file that could not be read to its end; nothing of it is kept, and the next one's turn comes."""

    path: Path
    reason: str  # names the file

    @classmethod
    def of(cls, path: Path, error: AudioError | OSError) -> Failure:
        if isinstance(error, OSError):  # such as a file that may not be read
            return cls(path, f"{shown(path)}: {error.strerror or error}")
        return cls(path, str(error))


def cut_off_note(path: Path) -> str:
    """What to tell of a file that was read, and ends too early; "" of others."""
    missing = missing_sound(path)
    return f"{shown(path)}: is cut off, {missing}; what is there is used" if missing else ""


@dataclass(frozen=True)
class Windows:
    """Windows whose frames lie on one grid: their starts are whole frames apart.

    Attributes:
        window_s: length, at most.
        overlap_s: shared by neighbours. Each side of it is context for the other half, see `Stitch`.
    """

    architecture: Architecture
    window_s: float
    overlap_s: float

    @property
    def overlap(self) -> int:
        """Frames that neighbours share."""
        return round(self.overlap_s / self.architecture.frame_s)

    @property
    def hop(self) -> int:
        """Frames from the start of one window to the next."""
        return round((self.window_s - self.overlap_s) / self.architecture.frame_s)

    def cut(self, path: Path) -> Iterator[tuple[int, Float32[ndarray, " sample"]]]:
        """(first frame, samples) of each window; memory is that of one window.

        Raises:
            AudioError: see `stream_audio`; or too short for one frame.
        """
        frame_s, fewest = self.architecture.frame_s, self.architecture.receptive_field
        hop_s = self.hop * frame_s
        windows = stream_audio(path, window_s=hop_s + self.overlap * frame_s, hop_s=hop_s)
        for number, (_, samples) in enumerate(windows):
            if len(samples) < fewest:  # the first one: later ones hold the overlap
                raise AudioError(path, f"must have {fewest} samples for one frame, got {len(samples)}")
            yield number * self.hop, samples

    def count(self, duration_s: float) -> int:
        """Windows of a file that long."""
        beyond_s = max(0.0, duration_s - self.window_s)
        return 1 + -int(-beyond_s // (self.hop * self.architecture.frame_s))


class Stitch:
    """Rows of windows in order -> rows of the whole: every overlap is cut in its middle.

    So a frame always has half an overlap or more on either side that its window saw too. One window's rows are held.
    """

    def __init__(self, windows: Windows):
        self._half = windows.overlap // 2
        self._first = 0  # frame that the first held row is
        self._held: Tensor | None = None

    def add(self, first: int, rows: Float[Tensor, "frame channel"]) -> Float[Tensor, "finished channel"]:
        """Takes a window that starts at frame `first`; gives the rows before it that are settled."""
        if self._held is None:
            self._first, self._held = first, rows
            return rows[:0]
        cut = first + self._half
        assert self._first <= cut <= self._first + len(self._held), "windows must overlap and come in order"
        settled = self._held[: cut - self._first]
        self._first, self._held = cut, rows[self._half :]
        return settled

    def rest(self) -> Float[Tensor, "frame channel"]:
        """The rows still held, once the last window is in."""
        held, self._held = self._held, None
        return torch.zeros(0, 0) if held is None else held
