"""What a source of speech is: a value that recipes hold, which brings its data here and hands them out by part.

A source is a frozen dataclass, so that a recipe's settings tell which it is. A new one is a class beside these, and
nothing else has to know of it:

    packages/     speech inside packages of an ordinary registry, decoded once (`prepared.PackagedSpeech`)
    corpora/      published corpora and folders that somebody placed under DATA_ROOT (`corpora.public.PublicCorpus`)
    unlabelled    a folder of any audio, without texts (`AudioFolder`)
    synthetic     made-up speech (`Tones`)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float32, Int, Int16
from numpy import ndarray

from common.data.manifest import Bad

PARTS = ("train", "dev", "test")


@runtime_checkable
class Utterance(Protocol):
    """What somebody says and its text."""

    @property
    def id(self) -> str: ...
    @property
    def source(self) -> str:
        """The test set that it belongs to in results, as a rule its source's name."""

    @property
    def language(self) -> str: ...
    @property
    def text(self) -> str:
        """Normalised, see `text`."""

    @property
    def group(self) -> str:
        """What no split and no bootstrap cuts: a dialogue, a speaker, parallel prompts."""

    @property
    def speaker(self) -> str: ...
    @property
    def samples(self) -> int:
        """At 16 kHz."""

    def waveform(self) -> Int16[ndarray, " sample"] | Float32[ndarray, " sample"]:
        """At 16 kHz, mapped from disk where it can be: copy before changing."""

    def __hash__(self) -> int: ...


@runtime_checkable
class Track(Protocol):
    """Speech of one voice of any length, from which crops are cut."""

    @property
    def id(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def samples(self) -> int:
        """At 16 kHz."""

    def waveform(self, begin: int, end: int) -> Int16[ndarray, " sample"]:
        """Samples `begin` to before `end`."""


@runtime_checkable
class Tracks(Protocol):
    """Tracks of one part; one is made when it is asked for, since a folder may have millions."""

    samples: Int[ndarray, " track"]  # of each

    def __len__(self) -> int: ...
    def __getitem__(self, place: int) -> Track: ...
    def __iter__(self) -> Iterator[Track]: ...


class Source(ABC):
    """Speech of one kind; subclasses are frozen dataclasses whose fields are settings."""

    language: str  # "" where nobody knows

    @property
    @abstractmethod
    def name(self) -> str:
        """In results, on disk and for people; no two sources share one."""

    @abstractmethod
    def prepare(self) -> None:
        """Brings the data here and looks at every item once; at once where that was done.

        Raises:
            FetchError: a package that cannot be had.
            ValueError: nothing there, or too much of it is bad; what is bad is listed.
        """

    @abstractmethod
    def utterances(self, part: str) -> Sequence[Utterance]:
        """Transcribed utterances of "train", "dev" or "test", sorted by id.

        Raises:
            ValueError: an unknown part, a source that was not prepared, or one without texts.
        """

    @abstractmethod
    def tracks(self, part: str, min_samples: int = 0) -> Tracks:
        """Tracks of a part that are at least so long, sorted by id."""

    def count(self, part: str) -> int:
        """Items of a part: utterances, or recordings where there are no texts."""
        return len(self.utterances(part))

    @abstractmethod
    def content_sha256(self) -> str:
        """Hash of what it holds; where it is not prepared, of what is expected, so that results can be judged."""

    def bad(self) -> tuple[Bad, ...]:
        """What could not be used when it was prepared, and what broke since."""
        return ()

    def verify(self) -> list[Bad]:
        """Reads and decodes everything once more; what is not as it was prepared, by name."""
        return []

    def from_pack(self) -> bool:
        """Whether it came here in a pack, see `packs`."""
        return False


def check_part(part: str) -> None:
    """Raises ValueError for a part that there is not."""
    if part not in PARTS:
        raise ValueError(f"part must be {', '.join(PARTS[:-1])} or {PARTS[-1]}, got {part!r}")
