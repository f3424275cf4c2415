"""A stream of log-probabilities to segments that end where nobody speaks, so that hours are never held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

PAUSE_S = 0.5  # without letters and with a word boundary: a segment may end
SILENCE_S = 2.0  # without letters: a word ends, boundary or not
SEGMENT_S = 30.0  # where nobody pauses, a segment ends about here all the same


class Segments:
    """Cuts by the likeliest symbol of each frame, letters against blank and boundary; silence is dropped.

    Where it cuts depends on the stream alone, not on the pieces that it comes in. The words of a segment are those of
    the whole stream's likeliest path, with two exceptions: after `SILENCE_S` a word ends in any case, and a word that
    would make a segment longer than `SEGMENT_S` is cut, at its longest gap.
    """

    def __init__(self, frame_s: float):
        self._pause, self._silence, self._most = (
            round(seconds / frame_s) for seconds in (PAUSE_S, SILENCE_S, SEGMENT_S)
        )
        self._first = 0  # frame that the first held row is
        self._held = torch.zeros(0, 0)

    def add(self, rows: Float[Tensor, "frame symbol"]) -> list[tuple[int, Float[Tensor, "_ symbol"]]]:
        """(first frame, log-probabilities) of the segments that are complete with these rows."""
        if len(rows):
            self._held = torch.cat([self._held, rows]) if len(self._held) else rows
        return list(self._cut(ended=False))

    def rest(self) -> list[tuple[int, Float[Tensor, "_ symbol"]]]:
        """The segments still held at the stream's end."""
        return list(self._cut(ended=True))

    def _cut(self, ended: bool) -> Iterator[tuple[int, Tensor]]:
        while self._skip_silence():
            at = self._next_cut(ended)
            if at is None:
                return
            yield self._first, self._held[:at]
            self._drop(at)

    def _drop(self, count: int) -> None:
        self._first, self._held = self._first + count, self._held[count:]

    def _skip_silence(self) -> bool:
        """Drops frames well before the first letter; whether there is one."""
        if not len(self._held):
            return False
        letters = (self._held.argmax(dim=1) > 1).nonzero()
        before = int(letters[0, 0]) if len(letters) else len(self._held)
        self._drop(max(0, before - self._pause // 2))
        return len(letters) > 0

    def _next_cut(self, ended: bool) -> int | None:
        symbols = self._held.argmax(dim=1).numpy()
        gaps = [
            (start, stop, bool((symbols[start:stop] == 1).any()))
            for start, stop in _runs(symbols <= 1)
            if 0 < start < self._most
        ]
        for start, stop, bounded in gaps:
            complete = ended or stop < len(symbols)
            length = stop - start
            if length >= self._silence or (complete and bounded and length >= self._pause):
                return start + self._pause // 2
        if len(symbols) < (self._most + 1 if ended else self._most + self._silence):
            return len(symbols) if ended else None
        start, stop, _ = max(
            gaps, key=lambda gap: (gap[2], gap[1] - gap[0]), default=(self._most, self._most, False)
        )
        return (start + stop) // 2


def _runs(flags: Bool[ndarray, " frame"]) -> list[tuple[int, int]]:
    """[start, stop) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
