"""Utterances of one speaker end to end, since one alone lasts two seconds.

A contrast inside so short an utterance is between neighbouring frames of the same few sounds, and teaches little.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from common.data.pcm import levelled
from speech_adapters.data.source import Utterance

UNKNOWN = "other"  # a source's name for speakers that it does not tell apart


@dataclass(frozen=True)
class SpeakerTrack:
    """Utterances of one speaker by id, as if they were one recording."""

    id: str
    group: str  # of the first utterance
    utterances: tuple[Utterance, ...]

    def by_group(self) -> list[SpeakerTrack]:
        """Its utterances of each group end to end."""
        held = defaultdict(list)
        for utterance in self.utterances:
            held[utterance.group].append(utterance)
        return [SpeakerTrack(f"{self.id}/{group}", group, tuple(lines)) for group, lines in held.items()]

    @cached_property
    def _ends(self) -> ndarray:
        return np.cumsum([utterance.samples for utterance in self.utterances])

    @property
    def samples(self) -> int:
        return int(self._ends[-1])

    def waveform(self, begin: int, end: int) -> Int16[ndarray, " sample"]:
        """Samples `begin` to before `end`; only utterances inside are read."""
        first, last = np.searchsorted(self._ends, begin, "right"), np.searchsorted(self._ends, end)
        parts = []
        for place in range(int(first), int(last) + 1):
            utterance, start = self.utterances[place], int(self._ends[place]) - self.utterances[place].samples
            sound = utterance.waveform()
            samples = sound if sound.dtype == np.int16 else levelled(sound)
            parts.append(samples[max(0, begin - start) : max(0, end - start)])
        return np.concatenate(parts)


class SpeakerTracks:
    """Tracks of one part of a source: one for each speaker, or where they are not told apart for each group.

    Args:
        name: of the source.
        min_samples: what a track must have at least.
    """

    def __init__(self, name: str, utterances: Iterable[Utterance], min_samples: int = 0):
        held = defaultdict(list)
        for utterance in utterances:
            held[utterance.group if utterance.speaker == UNKNOWN else utterance.speaker].append(utterance)
        found = (SpeakerTrack(f"{name}/{who}", lines[0].group, tuple(lines)) for who, lines in held.items())
        self._tracks = sorted((t for t in found if t.samples >= min_samples), key=lambda track: track.id)
        self.samples = np.array([track.samples for track in self._tracks], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._tracks)

    def __getitem__(self, place: int) -> SpeakerTrack:
        return self._tracks[place]

    def __iter__(self) -> Iterator[SpeakerTrack]:
        return iter(self._tracks)
