"""Training clips and dev frames, cut out of somebody's films once and kept beside what is trained on them."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from common.data import own_files
from common.data.arrays import save_array
from common.data.own_files import LeftOut, Prepared
from common.progress import progress, tracked
from video_sr.challenge import FACTOR
from video_sr.data import CONTEXT_FRAMES, SCORED_FRAMES, TEST_FRAME
from video_sr.motion import Motion, clip
from video_sr.own.films import Film, found_in, is_flat
from video_sr.protocol import crop_to_multiple, degrade
from video_sr.upscale import Footage

RULES = 1  # raise it when code changes what is cut
DEV_SHARE = 0.1  # of the files, by a hash of their content
MOST_SCORED = 20  # files of the dev part that are scored
INDEX = "films.json"
Cut = tuple[UInt8[ndarray, "time patch patch 3"], UInt8[ndarray, "sr_patch sr_patch 3"]]


def prepare(
    folder: Path, dev_folder: Path | None, kept: Path, *, clips: int, num_frames: int, patch: int
) -> None:
    """Cuts clips of the training files and sequences of the dev files; at once where that was done.

    Raises:
        ValueError: fewer than two files can be used, or none for dev.
    """
    films, dev = found_in(folder), found_in(dev_folder) if dev_folder else []
    told = [[film.told for film in given] for given in (films, dev)]
    asked = json.dumps([RULES, clips, num_frames, patch, told])
    key = hashlib.sha256(asked.encode()).hexdigest()
    Prepared(kept).prepare(key, partial(_make, folder, dev_folder, films, dev, clips, num_frames, patch))


def _make(
    folder: Path, dev_folder: Path | None, films: list[Film], dev: list[Film], clips: int, num_frames: int,
    patch: int, stem: Path,
) -> dict[str, Any]:  # fmt: skip
    found = _Found(stem, num_frames, patch)
    found.score(dev or _by_hash(films), MOST_SCORED if dev else max(1, round(DEV_SHARE * len(films))))
    found.train([film for film in films if film not in found.seen], clips)
    own_files.tell(found.left, len(films) + len(dev), stem.parents[1] / "left-out.txt", what="files")
    found.check(folder, dev_folder)
    content = hashlib.sha256(json.dumps(found.lines).encode()).hexdigest()
    return {"content": content, "left_out": [str(one) for one in found.left], "files": found.lines}


def index(kept: Path) -> dict[str, Any]:
    """What was cut: content, files with their part and clips, and what was left out.

    Raises:
        ValueError: nothing was prepared there.
    """
    return Prepared(kept).index


def _by_hash(films: Sequence[Film]) -> list[Film]:
    named = {film.name: film for film in films}
    return [named[name] for name in own_files.by_hash(named)]


class _Found:
    """What is cut so far, by files in the order that they are looked at."""

    def __init__(self, stem: Path, num_frames: int, patch: int):
        self.stem, self.num_frames, self.patch = stem, num_frames, patch
        self.left: list[LeftOut] = []
        self.lines: list[dict[str, Any]] = []
        self.seen: set[Film] = set()

    def score(self, films: Sequence[Film], most: int) -> None:
        """Keeps frames of the first files that can be used, until there are `most`."""
        with progress("cutting dev frames", min(most, len(films)), "file") as bar:
            for film in films:
                if sum(line["part"] == "dev" for line in self.lines) >= min(most, MOST_SCORED):
                    break
                self._keep(film, "dev", self._dev)
                bar.advance()

    def train(self, films: Sequence[Film], clips: int) -> None:
        """Keeps so many clips, of all files alike."""
        each = max(1, -(-clips // max(1, len(films))))
        for film in tracked(films, "cutting training clips", len(films), "file"):
            self._keep(film, "train", partial(self._train, clips=each))

    def _keep(self, film: Film, part: str, cut: Callable[[Film, str, str], int]) -> None:
        self.seen.add(film)
        try:
            digest = film.sha256()
            if first := next((line["name"] for line in self.lines if line["sha256"] == digest), None):
                raise ValueError(f"has the same content as another: {first}")
            name = f"{self.stem.name}-{digest[:16]}-{len(self.lines)}"
            count = cut(film, name, digest)
        except (ValueError, OSError) as error:
            self.left.append(LeftOut(film.name, "", str(error).removeprefix(f"{film.path}: ")))
            return
        self.lines.append({"name": film.name, "part": part, "sha256": digest, "file": name, "clips": count})

    def check(self, folder: Path, dev_folder: Path | None) -> None:
        for part, of in (("train", folder), ("dev", dev_folder or folder)):
            if not any(line["part"] == part for line in self.lines):
                raise ValueError(
                    f"{of}: no file is left for {part}; it takes two or more that can be read, one to train on and "
                    "one to score on, or --dev with a folder of its own"
                )

    def _train(self, film: Film, name: str, digest: str, clips: int) -> int:
        rng = np.random.default_rng([*bytes.fromhex(digest)[:8]])
        cuts = [*(self._of_picture(film, clips, rng) if film.still else self._of_film(film, clips, rng))]
        save_array(self.stem.parent / f"{name}-low.npy", np.stack([low for low, _ in cuts]))
        save_array(self.stem.parent / f"{name}-high.npy", np.stack([high for _, high in cuts]))
        return len(cuts)

    def _of_picture(self, film: Film, clips: int, rng: np.random.Generator) -> Iterator[Cut]:
        (picture,) = Footage.open(film.path).frames()
        side = (self.patch + 4) * FACTOR  # two low-resolution pixels around, which borders would spoil
        if min(picture.shape[:2]) < side:
            raise ValueError(_too_small(picture, side))
        if is_flat(picture):
            raise ValueError("shows nothing: all of it is of one colour")
        for _ in range(clips):
            frames = clip(picture, Motion(), num_frames=self.num_frames, size=(side, side), rng=rng)
            low = np.stack([degrade(frame) for frame in frames])
            yield self._cut(low, frames[self.num_frames // 2], 2, 2)

    def _of_film(self, film: Film, clips: int, rng: np.random.Generator) -> list[Cut]:
        """Clips at random times and places: each window of the film is as likely to stay  [Vitter85]."""
        window: deque[ndarray] = deque(maxlen=self.num_frames)
        chosen, seen = dict[int, Cut](), 0
        for frame in film.frames(self.num_frames):
            if min(frame.shape[:2]) < self.patch * FACTOR:
                raise ValueError(_too_small(frame, self.patch * FACTOR))
            window.append(frame)
            if len(window) < self.num_frames or is_flat(window[self.num_frames // 2]):
                continue
            seen += 1
            # The first window fills every place, the n-th takes each with a chance of one in n.
            if len(taken := np.flatnonzero(rng.random(clips) * seen < 1)):
                low = np.stack([degrade(each) for each in window])
                middle = window[self.num_frames // 2]
                chosen |= {int(place): self._cut(low, middle, *self._place(low, rng)) for place in taken}
        if not chosen:
            raise ValueError(f"has no {self.num_frames} frames in a row that show something")
        return list(chosen.values())

    def _place(self, low: ndarray, rng: np.random.Generator) -> tuple[int, int]:
        top, left = (int(rng.integers(side - self.patch + 1)) for side in low.shape[1:3])
        return top, left

    def _cut(self, low: ndarray, high: ndarray, top: int, left: int) -> Cut:
        rows, columns = slice(top, top + self.patch), slice(left, left + self.patch)
        outer = (slice(FACTOR * top, FACTOR * rows.stop), slice(FACTOR * left, FACTOR * columns.stop))
        return low[:, rows, columns], high[outer].copy()

    def _dev(self, film: Film, name: str, digest: str) -> int:
        """Frames in the middle of a film, of their middle part where they are large."""
        wanted = SCORED_FRAMES + 2 * CONTEXT_FRAMES
        held: deque[ndarray] = deque(maxlen=wanted)
        best: list[ndarray] = []
        total = Footage.open(film.path).num_frames or 0
        for number, frame in enumerate(film.frames(wanted)):
            held.append(_middle(frame))
            if len(held) == wanted and (not best or number < (total + wanted) // 2):
                best = list(held)
        if not best:
            raise ValueError(f"has fewer than {wanted} frames")
        if all(is_flat(frame) for frame in best[CONTEXT_FRAMES:-CONTEXT_FRAMES]):
            raise ValueError("shows nothing in its middle: black, or of one colour")
        save_array(self.stem.parent / f"{name}-dev.npy", np.stack(best))
        return 1


def _middle(frame: UInt8[ndarray, "height width 3"]) -> UInt8[ndarray, "kept_height kept_width 3"]:
    cut = crop_to_multiple(frame)
    starts = [max(0, (side - most) // 2) for side, most in zip(cut.shape[:2], TEST_FRAME, strict=True)]
    return cut[starts[0] : starts[0] + TEST_FRAME[0], starts[1] : starts[1] + TEST_FRAME[1]]


def _too_small(frame: ndarray, side: int) -> str:
    return f"needs {side} pixels a side for this patch, has {frame.shape[1]}x{frame.shape[0]}"
