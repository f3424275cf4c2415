"""What networks are trained and scored on, as settings; what reads files is imported once it is asked for.

A corpus names its items, makes an example of each and says what is scored. A further one is one more class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from common.data.order import Draw
from common.measures import Part
from common.settings import later
from video_sr import measures

if TYPE_CHECKING:
    from numpy import ndarray

    from video_sr.data import ScoredSequence
    from video_sr.known_motion import KnownMotion
    from video_sr.layouts import FrameSequence
    from video_sr.motion import Motion


@dataclass(frozen=True, kw_only=True)
class Corpus(ABC):
    """Frames to train on and to score on, split so that nothing scored was trained on."""

    @abstractmethod
    def num_items(self, seed: int) -> int:
        """How many items an epoch has."""

    @abstractmethod
    def item_id(self, seed: int, draw: Draw) -> str:
        """Name of a drawn item; nothing is loaded."""

    @abstractmethod
    def example(self, seed: int, draw: Draw, *, num_frames: int, patch: int) -> tuple[ndarray, ndarray]:
        """One augmented training example, a function of its arguments alone.

        Returns:
            low-resolution frames (num_frames, patch, patch, 3) and the truth of the middle one, both uint8.
        """

    def motion(self, seed: int, draw: Draw, *, num_frames: int, patch: int) -> KnownMotion:
        """How the same example as of `example` moves.

        Raises:
            ValueError: nobody knows.
        """
        raise ValueError(
            f"how clips of {type(self).__name__} move is not known, as of Textures and PreparedClips"
        )

    @abstractmethod
    def scored(self, split: str, seed: int) -> Iterator[ScoredSequence]:
        """What is scored of "dev" or "test"."""

    def check(self, *, num_frames: int, patch: int) -> None:  # noqa: B027  a default that allows everything
        """Raises ValueError for a training window that no example can have."""

    def prepare(self) -> None:  # noqa: B027  a default that does nothing
        """Fetches and prepares it; at once where that was done."""

    def manifest_sha256(self) -> str:
        """Hash of what it is made of; empty where that is made up or lies in a folder of the user's."""
        return ""

    def bad_items(self) -> tuple[tuple[str, ...], float]:
        """ "id: reason" of all that was left out because it could not be read, and its share in 0..1."""
        return (), 0.0

    def departures(self) -> tuple[str, ...]:
        """In what it differs from the paper's, one sentence each."""
        return ("Not run on Vid3oC: no number here compares with the paper's tables.",)


@dataclass(frozen=True, kw_only=True)
class Textures(Corpus):
    """Made-up textures that move; no file is read."""

    def num_items(self, seed: int) -> int:
        from video_sr import textures

        return textures.NUM_TEXTURES

    def item_id(self, seed: int, draw: Draw) -> str:
        return f"texture-{draw.item}"

    def example(self, seed: int, draw: Draw, *, num_frames: int, patch: int) -> tuple[ndarray, ndarray]:
        from video_sr import textures

        return textures.sample(draw, num_frames=num_frames, patch=patch)

    def motion(self, seed: int, draw: Draw, *, num_frames: int, patch: int) -> KnownMotion:
        from video_sr import textures

        return textures.motion_of(draw, num_frames=num_frames, patch=patch)

    def scored(self, split: str, seed: int) -> Iterator[ScoredSequence]:
        from video_sr import textures

        return textures.sequences()


# ---- camera motion over photographs


@dataclass(frozen=True, kw_only=True)
class Photographs(Corpus, ABC):
    """Camera motion over photographs for training; the same, uncompressed stills and real recordings for scoring."""

    clips: int = 48  # of each photograph in an epoch

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips must be 1 or more, got {self.clips}")

    def num_items(self, seed: int) -> int:
        from video_sr import samples

        return len(samples.clip_ids(seed, self.clips))

    def scored(self, split: str, seed: int) -> Iterator[ScoredSequence]:
        from video_sr import data

        return data.sequences(split, seed)

    def prepare(self) -> None:
        from video_sr import data

        data.prepare(self.clips)

    def manifest_sha256(self) -> str:
        from video_sr import data

        return data.manifest_sha256()

    def bad_items(self) -> tuple[tuple[str, ...], float]:
        from video_sr import data, shots

        bad = tuple(f"{id_}: {reason}" for id_, reason in data.bad_shots())
        return bad, len(bad) / len(shots.listed())

    def departures(self) -> tuple[str, ...]:
        still = "Trained on camera motion over still photographs: real parallax and object motion are absent."
        return (*super().departures(), still)


@dataclass(frozen=True, kw_only=True)
class PreparedClips(Photographs):
    """Clips that are made once, for machines with few cores."""

    layered_share: float = later(0.0)  # of clips, with a nearer layer that moves with the camera by more

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.layered_share <= 1:
            raise ValueError(f"layered_share must be in 0..1, got {self.layered_share}")

    def moves(self) -> Motion:
        """How its clips move."""
        from video_sr.motion import Motion

        return Motion(layered_share=self.layered_share)

    def prepare(self) -> None:
        from video_sr import data

        data.prepare(self.clips, self.moves())

    def manifest_sha256(self) -> str:
        from video_sr import data

        return data.manifest_sha256(self.moves())

    def departures(self) -> tuple[str, ...]:
        if not self.layered_share:
            return super().departures()
        layers = (
            f"Trained on camera motion over still photographs: parallax is of two flat layers, in "
            f"{100 * self.layered_share:g} % of the clips, and real object motion is absent."
        )
        return (*super().departures()[:-1], layers)

    def check(self, *, num_frames: int, patch: int) -> None:
        from video_sr.data import PREPARED_FRAMES, PREPARED_PATCH

        if not (1 <= num_frames <= PREPARED_FRAMES and num_frames % 2 and 1 <= patch <= PREPARED_PATCH):
            raise ValueError(
                f"prepared clips hold an odd number of frames up to {PREPARED_FRAMES} "
                f"and patches up to {PREPARED_PATCH}, got {num_frames} and {patch}"
            )

    def item_id(self, seed: int, draw: Draw) -> str:
        from video_sr import samples

        photograph, number = samples.clip_ids(seed, self.clips)[draw.item]
        return f"{photograph}/clip{number}"

    def example(self, seed: int, draw: Draw, *, num_frames: int, patch: int) -> tuple[ndarray, ndarray]:
        from video_sr import samples

        return samples.prepared(
            seed, draw, clips=self.clips, num_frames=num_frames, patch=patch, motion=self.moves()
        )

    def motion(self, seed: int, draw: Draw, *, num_frames: int, patch: int) -> KnownMotion:
        from video_sr import samples

        return samples.motion_prepared(
            seed, draw, clips=self.clips, num_frames=num_frames, patch=patch, motion=self.moves()
        )


@dataclass(frozen=True, kw_only=True)
class LiveClips(Photographs):
    """Clips that are made while training, each seen once, for machines with cores to spare."""

    def item_id(self, seed: int, draw: Draw) -> str:
        from video_sr import samples

        return f"{samples.photograph_of(seed, draw).id}/live{draw.position}"

    def example(self, seed: int, draw: Draw, *, num_frames: int, patch: int) -> tuple[ndarray, ndarray]:
        from video_sr import samples

        return samples.live(seed, draw, num_frames=num_frames, patch=patch)


# ---- published corpora


@dataclass(frozen=True, kw_only=True)
class Published(Corpus, ABC):
    """Real footage under `DATA_ROOT` in the layout and split that it is published with."""

    @abstractmethod
    def listed(self, root: Path, split: str) -> list[FrameSequence]:
        """Its sequences of "train", "dev" or "test" under a data root."""

    @property
    @abstractmethod
    def part(self) -> Part:
        """The part of the scores that is of this corpus."""

    def sequences(self, split: str) -> list[FrameSequence]:
        """Its sequences of "train", "dev" or "test".

        Raises:
            ValueError: none are there, with the folder that was looked in.
        """
        from common.data.packages import data_root

        found = self.listed(data_root(), split)
        if not found:
            raise ValueError(
                f"no {split} sequences of {self.part.words} under {data_root()}; set DATA_ROOT to where it lies"
            )
        return found

    def num_items(self, seed: int) -> int:
        return len(_trained(self))

    def item_id(self, seed: int, draw: Draw) -> str:
        return _trained(self)[draw.item].id

    def example(self, seed: int, draw: Draw, *, num_frames: int, patch: int) -> tuple[ndarray, ndarray]:
        from video_sr import samples

        return samples.footage(_trained(self)[draw.item], draw, num_frames=num_frames, patch=patch)

    def scored(self, split: str, seed: int) -> Iterator[ScoredSequence]:
        from video_sr import data

        return (data.whole(sequence, self.part.name) for sequence in self.sequences(split))


@cache
def _trained(corpus: Published) -> list[FrameSequence]:
    return corpus.sequences("train")


@dataclass(frozen=True, kw_only=True)
class Vid3oC(Published):
    """The challenge's own corpus [Kim19]."""

    @property
    def part(self) -> Part:
        return measures.VID3OC

    def listed(self, root: Path, split: str) -> list[FrameSequence]:
        from video_sr import layouts

        return layouts.vid3oc(root, split)

    def departures(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, kw_only=True)
class REDS(Published):
    """Another corpus of real motion [Nah19]."""

    @property
    def part(self) -> Part:
        return measures.REDS

    def listed(self, root: Path, split: str) -> list[FrameSequence]:
        from video_sr import layouts

        return layouts.reds(root, split)
