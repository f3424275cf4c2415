"""A corpus of somebody's own films, as the one trainer and the scorer take it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.data.order import Draw
from common.measures import Part
from common.settings import free
from video_sr.corpora import Corpus

if TYPE_CHECKING:
    from numpy import ndarray

    from video_sr.data import ScoredSequence

DEV = Part(name="own", words="files of your own, held out")


@dataclass(frozen=True, kw_only=True)
class OwnFilms(Corpus):
    """Clips of a folder's videos and pictures, divided by file.

    Args:
        clips: that are cut of all files together, fewer where some are bad.
        folder: that was given.
        dev_folder: of files to score on; "" holds a tenth of the others out.
        kept: where what is cut lies.
    """

    clips: int = 1500
    folder: str = free("")
    dev_folder: str = free("")
    kept: str = free("")

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips must be 1 or more, got {self.clips}")

    def cut(self, *, num_frames: int, patch: int) -> None:
        """Reads the files and cuts what is trained and scored on; at once where that was done."""
        from video_sr.own import clips

        dev = Path(self.dev_folder) if self.dev_folder else None
        clips.prepare(
            Path(self.folder), dev, Path(self.kept), clips=self.clips, num_frames=num_frames, patch=patch
        )

    def files(self, part: str) -> list[dict[str, Any]]:
        """Of "train" or "dev": name, hash and number of clips."""
        from video_sr.own import clips

        return [line for line in clips.index(Path(self.kept))["files"] if line["part"] == part]

    def num_items(self, seed: int) -> int:
        return sum(line["clips"] for line in self.files("train"))

    def _clip(self, item: int) -> tuple[dict[str, Any], int]:
        for line in self.files("train"):
            if item < line["clips"]:
                return line, item
            item -= line["clips"]
        raise IndexError(item)

    def item_id(self, seed: int, draw: Draw) -> str:
        line, number = self._clip(draw.item)
        return f"{line['name']}/clip{number}"

    def example(self, seed: int, draw: Draw, *, num_frames: int, patch: int) -> tuple[ndarray, ndarray]:
        import numpy as np

        from video_sr.samples import augment

        line, number = self._clip(draw.item)
        low, high = (
            np.load(Path(self.kept) / f"{line['file']}-{side}.npy", mmap_mode="r")[number]
            for side in ("low", "high")
        )
        return augment(low, high, draw.generator())

    def scored(self, split: str, seed: int) -> Iterator[ScoredSequence]:
        import numpy as np

        from video_sr.data import CONTEXT_FRAMES, SCORED_FRAMES, ScoredSequence

        for line in self.files("dev"):
            read = partial(np.load, Path(self.kept) / f"{line['file']}-dev.npy")
            middle = range(CONTEXT_FRAMES, CONTEXT_FRAMES + SCORED_FRAMES)
            yield ScoredSequence(line["name"], line["name"], DEV.name, read, middle)

    def manifest_sha256(self) -> str:
        from video_sr.own import clips

        return str(clips.index(Path(self.kept))["content"])

    def bad_items(self) -> tuple[tuple[str, ...], float]:
        from video_sr.own import clips

        found = clips.index(Path(self.kept))
        left = tuple(found["left_out"])
        return left, len(left) / max(1, len(left) + len(found["files"]))

    def departures(self) -> tuple[str, ...]:
        return ("Trained on films of one's own: no number here compares with the paper's tables.",)
