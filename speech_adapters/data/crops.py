"""Crops of equal length from tracks of speech: drawn fairly to train on, or one after the other to score."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from speech_adapters.data.source import Source, Track, Tracks
from speech_adapters.data.tracks import SpeakerTrack
from speech_adapters.data.unlabelled import Recording, Unreadable

REPLACEMENTS = 50  # tried for a crop that cannot be decoded; where so many fail, a disk is gone


@dataclass(frozen=True)
class Crop:
    """A part of a track."""

    track: Track
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
        except Unreadable as error:
            return self._replaced(error)

    def _replaced(self, error: Unreadable) -> Int16[ndarray, " sample"]:
        assert isinstance(self.track, Recording)
        source, part = self.track.folder, self.track.part
        key = int.from_bytes(hashlib.sha256(self.id.encode()).digest()[:8], "big")
        failed = {self.track.id}
        for other in draw((source,), part, self.end - self.begin, REPLACEMENTS, (key,)):
            if other.track.id not in failed:
                try:
                    return other.track.waveform(other.begin, other.end)
                except Unreadable:
                    failed.add(other.track.id)
        raise Unreadable(
            f"{error}; nor could {len(failed) - 1} other recordings be read in its place: look after the disk"
        ) from error


def draw(
    sources: tuple[Source, ...], part: str, samples: int, count: int, key: tuple[int, ...]
) -> list[Crop]:
    """`count` crops of `samples` each, every place as likely as any other; a pure function of its arguments.

    Raises:
        ValueError: no track has that much.
    """
    found, ends, shares = _long_enough(sources, part, samples)
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
    sources: tuple[Source, ...], part: str, samples: int
) -> tuple[list[Tracks], ndarray, ndarray]:
    """Tracks of each source, where they end in the row of all of them, and the share of each in that row."""
    found = [source.tracks(part, samples) for source in sources]
    lengths = np.concatenate([tracks.samples for tracks in found])
    if not len(lengths):
        named = ", ".join(source.name for source in sources)
        raise ValueError(
            f"a crop of {samples} samples needs a speaker with as much, none of {named} has; shorten crop_s"
        )
    spare = (lengths - samples + 1).astype(float)
    return found, np.cumsum([len(tracks) for tracks in found]), spare / spare.sum()


def consecutive(source: Source, part: str, samples: int) -> Iterator[Crop]:
    """All of a source in order, cut every `samples`; of what remains of a track, nothing under a quarter of it."""
    for track in source.tracks(part):
        yield from _cut(track, samples, samples / 4)


def in_turns(source: Source, part: str, samples: int) -> Iterator[Crop]:
    """Crops of one group (dialogue, prompt) each, every group in its turn: the first crop of each, then the second.

    A speaker's utterances belong to many groups, so they are joined within each. Most groups are short, so only what
    is under an eighth of `samples` is left out.
    """
    of_groups: dict[str, list[Crop]] = {}
    for track in source.tracks(part):
        for one in track.by_group() if isinstance(track, SpeakerTrack) else (track,):
            of_groups.setdefault(one.group, []).extend(_cut(one, samples, samples / 8))
    for turn in itertools.zip_longest(*of_groups.values()):
        yield from (crop for crop in turn if crop is not None)


def _cut(track: Track, samples: int, shortest: float) -> Iterator[Crop]:
    for begin in range(0, track.samples, samples):
        if (end := min(begin + samples, track.samples)) - begin >= shortest:
            yield Crop(track, begin, end)
