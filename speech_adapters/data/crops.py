"""Unlabelled speech in long crops: the lines of one voice end to end, since a line alone lasts two seconds.

A contrast inside so short a line is between neighbouring frames of the same few sounds, and teaches little. Of a
folder of recordings (`unlabelled`) each is a track as it is.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from speech_adapters.data import unlabelled

if TYPE_CHECKING:
    from speech_adapters.data.prepared import Clip

UNKNOWN = "other"  # a source's name for voices that it does not tell apart
REPLACEMENTS = 50  # tried for a crop that cannot be decoded; where so many fail, a disk is gone


@dataclass(frozen=True)
class SpeakerTrack:
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
def tracks(
    source: str, split: str, least_samples: int = 0
) -> tuple[SpeakerTrack, ...] | unlabelled.Recordings:
    """One for each voice of a source, or for each group, such as a dialogue, where voices are not told apart."""
    from speech_adapters.data import prepared

    if unlabelled.is_folder(source):
        return unlabelled.recordings(source, split, least_samples)
    voices = defaultdict(list)
    for clip in prepared.clips(source, split):
        voices[clip.group if clip.speaker == UNKNOWN else clip.speaker].append(clip)
    found = [
        SpeakerTrack(f"{source}/{voice}", source, lines[0].group, tuple(lines))
        for voice, lines in voices.items()
    ]
    return tuple(sorted((s for s in found if s.samples >= least_samples), key=lambda track: track.id))


@dataclass(frozen=True)
class Crop:
    """A part of a track."""

    track: SpeakerTrack | unlabelled.Recording
    begin: int  # samples
    end: int

    @property
    def id(self) -> str:
        return f"{self.track.id}+{self.begin}"

    def waveform(self) -> Int16[ndarray, " sample"]:
        """Its samples; where the recording broke since it was indexed, those of another crop, a function of the id.

        Raises:
            Unreadable: `REPLACEMENTS` others are not to be had either.
        """
        try:
            return self.track.waveform(self.begin, self.end)
        except unlabelled.Unreadable as error:
            return self._replaced(error)

    def _replaced(self, error: unlabelled.Unreadable) -> Int16[ndarray, " sample"]:
        assert isinstance(self.track, unlabelled.Recording)
        source, part = self.track.source, self.track.part
        key = int.from_bytes(hashlib.sha256(self.id.encode()).digest()[:8], "big")
        failed = {self.track.id}
        for other in draw((source,), part, self.end - self.begin, REPLACEMENTS, (key,)):
            if other.track.id not in failed:
                try:
                    return other.track.waveform(other.begin, other.end)
                except unlabelled.Unreadable:
                    failed.add(other.track.id)
        raise unlabelled.Unreadable(
            f"{error}; nor could {len(failed) - 1} other recordings be read in its place: look after the disk"
        ) from error


def draw(sources: tuple[str, ...], split: str, samples: int, count: int, key: tuple[int, ...]) -> list[Crop]:
    """`count` crops of `samples` each, every place as likely as any other; a pure function of its arguments.

    Raises:
        ValueError: no voice has that much.
    """
    found, ends, shares = _long_enough(sources, split, samples)
    rng = np.random.default_rng(key)
    drawn = []
    for place in rng.choice(len(shares), count, p=shares).tolist():
        which = int(np.searchsorted(ends, place, "right"))  # source
        track = found[which][place - int(ends[which])]  # a negative place, counted from the source's end
        begin = int(rng.integers(track.samples - samples + 1))
        drawn.append(Crop(track, begin, begin + samples))
    return drawn


@cache
def _long_enough(
    sources: tuple[str, ...], split: str, samples: int
) -> tuple[list[tuple[SpeakerTrack, ...] | unlabelled.Recordings], ndarray, ndarray]:
    """Stretches of each source, where they end in the row of all of them, and the share of each in that row."""
    found = [tracks(source, split, samples) for source in sources]
    lengths = np.concatenate([_lengths(each) for each in found])
    if not len(lengths):
        raise ValueError(
            f"a crop of {samples} samples needs a voice with as much, none of {', '.join(sources)} has; shorten crop_s"
        )
    spare = (lengths - samples + 1).astype(float)
    return found, np.cumsum([len(each) for each in found]), spare / spare.sum()


def _lengths(found: tuple[SpeakerTrack, ...] | unlabelled.Recordings) -> ndarray:
    if isinstance(found, unlabelled.Recordings):
        return found.samples
    return np.array([track.samples for track in found], dtype=np.int64)


def consecutive(source: str, split: str, samples: int) -> Iterator[Crop]:
    """All of a source in order, cut every `samples`; of what remains of a voice, nothing under a quarter of it."""
    for track in tracks(source, split):
        for begin in range(0, track.samples, samples):
            if (end := min(begin + samples, track.samples)) - begin >= samples / 4:
                yield Crop(track, begin, end)
