"""Unlabelled speech in long pieces: the lines of one voice end to end, since a line alone lasts two seconds.

A contrast inside so short a line is between neighbouring frames of the same few sounds, and teaches little.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

if TYPE_CHECKING:
    from speech_adapters.speech_data import Clip

UNKNOWN = "other"  # a source's name for voices that it does not tell apart


@dataclass(frozen=True)
class Stretch:
    """Lines of one voice by id, as if they were one recording."""

    id: str
    source: str
    group: str  # of its first line
    lines: tuple[Clip, ...]

    @cached_property
    def _ends(self) -> ndarray:
        return np.cumsum([line.samples for line in self.lines])

    @property
    def samples(self) -> int:
        return int(self._ends[-1])

    def waveform(self, begin: int, end: int) -> Int16[ndarray, " sample"]:
        """Samples `begin` to before `end`; only lines inside are read."""
        parts = []
        for place in range(
            int(np.searchsorted(self._ends, begin, "right")), int(np.searchsorted(self._ends, end)) + 1
        ):
            line, first = self.lines[place], int(self._ends[place]) - self.lines[place].samples
            parts.append(line.waveform()[max(0, begin - first) : max(0, end - first)])
        return np.concatenate(parts)


@cache
def stretches(source: str, split: str, least_samples: int = 0) -> tuple[Stretch, ...]:
    """One for each voice of a source, or for each group, such as a dialogue, where voices are not told apart."""
    from speech_adapters import speech_data

    voices = defaultdict(list)
    for clip in speech_data.clips(source, split):
        voices[clip.group if clip.speaker == UNKNOWN else clip.speaker].append(clip)
    found = [
        Stretch(f"{source}/{voice}", source, lines[0].group, tuple(lines)) for voice, lines in voices.items()
    ]
    return tuple(sorted((s for s in found if s.samples >= least_samples), key=lambda stretch: stretch.id))


@dataclass(frozen=True)
class Piece:
    """A part of a stretch."""

    stretch: Stretch
    begin: int  # samples
    end: int

    @property
    def id(self) -> str:
        return f"{self.stretch.id}+{self.begin}"

    def waveform(self) -> Int16[ndarray, " sample"]:
        return self.stretch.waveform(self.begin, self.end)


def draw(sources: tuple[str, ...], split: str, samples: int, count: int, key: tuple[int, ...]) -> list[Piece]:
    """`count` pieces of `samples` each, every place as likely as any other; a pure function of its arguments.

    Raises:
        ValueError: no voice has that much.
    """
    found, shares = _long_enough(sources, split, samples)
    rng = np.random.default_rng(key)
    pieces = []
    for place in rng.choice(len(found), count, p=shares).tolist():
        begin = int(rng.integers(found[place].samples - samples + 1))
        pieces.append(Piece(found[place], begin, begin + samples))
    return pieces


@cache
def _long_enough(sources: tuple[str, ...], split: str, samples: int) -> tuple[tuple[Stretch, ...], ndarray]:
    found = tuple(stretch for source in sources for stretch in stretches(source, split, samples))
    if not found:
        raise ValueError(
            f"a piece of {samples} samples needs a voice with as much, none of {', '.join(sources)} has; shorten crop_s"
        )
    spare = np.array([stretch.samples - samples + 1 for stretch in found], dtype=float)
    return found, spare / spare.sum()


def pieces(source: str, split: str, samples: int) -> Iterator[Piece]:
    """All of a source in order, cut every `samples`; of what remains of a voice, nothing under a quarter of it."""
    for stretch in stretches(source, split):
        for begin in range(0, stretch.samples, samples):
            if (end := min(begin + samples, stretch.samples)) - begin >= samples / 4:
                yield Piece(stretch, begin, end)
