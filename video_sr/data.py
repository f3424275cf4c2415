"""From pictures and clips on disk to training batches and test sequences; the only place that splits them.

`mini` and `gpu` train on camera motion over photographs. Photographs are few, so tests fold over them: a salted
hash deals them into six folds, one is for choosing settings and never tested, and seed s is tested on the s-th of
the other five and trained on the rest. Uncompressed stills and real clips are never trained on; the real
recordings too small to stand for video serve for development. `paper` trains on Vid3oC or REDS.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from common.checkpoint import write_atomically
from common.data.batching import Draw
from common.data.manifest import Bad
from common.data.packages import data_root
from common.data.splits import check_disjoint, components, even_folds
from video_sr import corpora, sources
from video_sr.motion import Motion, clip
from video_sr.protocol import SCALE, crop_to_multiple, degrade
from video_sr.sources import Source

SALT = "aim-2020-x16"
NUM_FOLDS = 6  # one for dev, five that take turns as the test
SHORT_SIDES = (720, 1080, 1440)  # pixels to which pictures are reduced for training, never enlarged
TEST_SHORT_SIDE = 1080
TEST_FRAME = (720, 1280)
SCORED_FRAMES = 2  # neighbours, so that flicker can be measured
CONTEXT_FRAMES = 3  # true frames before and after the scored ones, as many as the widest window needs
POOL_CLIPS, POOL_FRAMES, POOL_PATCH = 48, 5, 20  # a photograph; frames; low-resolution pixels a side
TEST_MOTIONS = {
    "pan": Motion(warped_share=0, object_share=0, cut_share=0, still_share=0),
    "handheld": Motion(warped_share=1, object_share=0, cut_share=0, still_share=0, jitter_px=3),
}


@dataclass(frozen=True)
class Batch:
    """Low-resolution windows and the high-resolution truth of their middle frames, in [0, 1]."""

    low: Float[Tensor, "batch time 3 height width"]
    high: Float[Tensor, "batch 3 sr_height sr_width"]

    def to(self, device: torch.device) -> Batch:
        return Batch(self.low.to(device, non_blocking=True), self.high.to(device, non_blocking=True))


@dataclass(frozen=True)
class Sequence:
    """One test item: high-resolution frames, of which the middle ones are scored."""

    id: str
    group: str
    part: str
    frames: Callable[[], Iterable[UInt8[ndarray, "height width 3"]]]
    scored: range


# ---- splits


@cache
def _folds() -> dict[str, int]:
    entries = sources.manifest("photographs").entries
    return even_folds(components(entries), SALT, NUM_FOLDS)


def photographs(split: str, seed: int) -> tuple[Source, ...]:
    """Photographs of "train", "dev" or "test" as seen by a seed. Dev is the same for every seed."""
    test_fold = 1 + seed % (NUM_FOLDS - 1)
    wanted = {"dev": {0}, "test": {test_fold}, "train": set(range(1, NUM_FOLDS)) - {test_fold}}
    if split not in wanted:
        raise ValueError(f"split must be train, dev or test, got {split!r}")
    return tuple(s for s in sources.sources("photographs") if _folds()[s.id] in wanted[split])


def _shots(split: str) -> tuple[Source, ...]:
    """Stills and clips beside the photographs. Small recordings are dev, all else is test."""
    small = {key for s in sources.sources("clips") if sources.is_small(s) for key in s.keys}
    rest = sources.sources("lossless", "clips", "animated")
    return tuple(s for s in rest if bool(small & set(s.keys)) == (split == "dev"))


def check_splits(seed: int) -> None:
    """Raises SplitLeak when a scene, a recording or a file stands on two sides."""
    listed = {entry.id: entry for entry in sources.manifest().entries}
    sides = {
        "train": photographs("train", seed),
        "dev": (*photographs("dev", seed), *_shots("dev")),
        "test": (*photographs("test", seed), *_shots("test")),
    }
    check_disjoint(**{side: [listed[source.id] for source in chosen] for side, chosen in sides.items()})


def manifest_sha256() -> str:
    """Hash of every source's content hash, of the split and of how clips are made of them."""
    made = json.dumps([SALT, NUM_FOLDS, SHORT_SIDES, POOL_CLIPS, POOL_FRAMES, POOL_PATCH, _POOL_VERSION])
    return hashlib.sha256((sources.manifest().sha256 + made).encode()).hexdigest()


# ---- preparation

_POOL_VERSION = 1  # raise when `motion.py` changes what a seed gives


def _prepared() -> Path:
    return data_root() / "video_sr" / manifest_sha256()[:12]


def prepare(scale: str) -> None:
    """Fetches packages, decodes photographs and makes the training clips; at once when that was done.

    Raises:
        FetchError: a package that cannot be had.
    """
    if scale not in ("mini", "gpu"):
        return
    folder = _prepared()
    if (folder / "done").exists():
        return
    _say(
        f"extreme-vsr: {sources.DOWNLOAD_BYTES / 1e6:.0f} MB of packages to download once, "
        f"2.2 GB on disk in {data_root()}"
    )
    sources.fetch_sources()
    check_splits(0)
    folder.mkdir(parents=True, exist_ok=True)
    _say("decoding photographs and making training clips")
    todo = sources.sources("photographs")
    with ProcessPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for number, source in enumerate(pool.map(partial(_prepare_photograph, folder), todo), 1):
            if number % 10 == 0 or number == len(todo):
                _say(f"{number} of {len(todo)} photographs, last {source}")
    write_atomically(folder / "done", b"")


def _prepare_photograph(folder: Path, source: Source) -> str:
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    with threadpool_limits(1):
        picture = sources.load_photograph(source)
        reduced = [reduce_to(picture, side) for side in SHORT_SIDES if side <= min(picture.shape[:2])]
        for side, array in zip(SHORT_SIDES, reduced, strict=False):
            _save_array(folder / f"{source.id}-{side}.npy", array)
        size = (POOL_PATCH + 4) * SCALE  # two low-resolution pixels around, which borders would spoil
        inside, outer = slice(2, 2 + POOL_PATCH), slice(2 * SCALE, (2 + POOL_PATCH) * SCALE)
        low = np.empty((POOL_CLIPS, POOL_FRAMES, POOL_PATCH, POOL_PATCH, 3), np.uint8)
        high = np.empty((POOL_CLIPS, POOL_PATCH * SCALE, POOL_PATCH * SCALE, 3), np.uint8)
        for number in range(POOL_CLIPS):
            rng = np.random.default_rng([*hashlib.sha256(f"{source.id}/{number}".encode()).digest()[:8]])
            frames = clip(
                reduced[number % len(reduced)], Motion(), num_frames=POOL_FRAMES, size=(size, size), rng=rng
            )
            low[number] = np.stack([degrade(frame) for frame in frames])[:, inside, inside]
            high[number] = frames[POOL_FRAMES // 2][outer, outer]
        _save_array(folder / f"{source.id}-low.npy", low)
        _save_array(folder / f"{source.id}-high.npy", high)
    return source.id


def reduce_to(
    picture: UInt8[ndarray, "height width 3"], short_side: int
) -> UInt8[ndarray, "lower narrower 3"]:
    """Picture with its shorter side reduced to `short_side` pixels (antialiased), or as it is when smaller."""
    height, width = picture.shape[:2]
    ratio = short_side / min(height, width)
    if ratio >= 1:
        return picture
    size = (round(width * ratio), round(height * ratio))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def _save_array(path: Path, array: ndarray) -> None:
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    with open(beside, "wb") as file:
        np.save(file, array)
    os.replace(beside, path)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def verify() -> list[Bad]:
    """Hashes and decodes every source once; what is bad, by name."""
    return sources.verify()


def footage(corpus: str, split: str) -> list[corpora.Sequence]:
    """Sequences of a corpus under `DATA_ROOT`, in its own published layout and split.

    Raises:
        ValueError: none are there, with the folder that was looked in.
    """
    reader = {"vid3oc": corpora.vid3oc, "reds": corpora.reds}[corpus]
    found = reader(data_root(), split)
    if not found:
        raise ValueError(
            f"no {split} sequences of {corpus} under {data_root()}; set DATA_ROOT to where it lies"
        )
    return found


# ---- training clips


@cache
def _array(path: Path) -> ndarray:
    found: ndarray = np.load(path, mmap_mode="r")
    return found


@cache
def pool_ids(seed: int) -> tuple[tuple[str, int], ...]:
    """Clips that a seed may train on: photograph and number."""
    return tuple((source.id, number) for source in photographs("train", seed) for number in range(POOL_CLIPS))


def pool_sample(seed: int, draw: Draw, *, num_frames: int, patch: int) -> tuple[ndarray, ndarray]:
    """One augmented training example out of the prepared clips.

    Returns:
        low-resolution frames (time, patch, patch, 3) and the truth of the middle one, both uint8.
    """
    if not (1 <= num_frames <= POOL_FRAMES and num_frames % 2 and 1 <= patch <= POOL_PATCH):
        raise ValueError(
            f"prepared clips hold an odd number of frames up to {POOL_FRAMES} and patches up to {POOL_PATCH}, "
            f"got {num_frames} and {patch}"
        )
    photograph, number = pool_ids(seed)[draw.item]
    rng = draw.generator()
    top, left = rng.integers(0, POOL_PATCH - patch + 1, 2)
    around = slice(POOL_FRAMES // 2 - num_frames // 2, POOL_FRAMES // 2 + num_frames // 2 + 1)
    low = _array(_prepared() / f"{photograph}-low.npy")[
        number, around, top : top + patch, left : left + patch
    ]
    high = _array(_prepared() / f"{photograph}-high.npy")[
        number, top * SCALE : (top + patch) * SCALE, left * SCALE : (left + patch) * SCALE
    ]
    return _augment(low, high, rng)


def live_sample(seed: int, draw: Draw, *, num_frames: int, patch: int) -> tuple[ndarray, ndarray]:
    """One augmented training example made on the spot, for machines with cores to spare; as `pool_sample`."""
    rng = draw.generator()
    photograph = photographs("train", seed)[draw.item % len(photographs("train", seed))].id
    sides = [path for side in SHORT_SIDES if (path := _prepared() / f"{photograph}-{side}.npy").exists()]
    size = (patch + 4) * SCALE
    picture = _array(sides[rng.integers(len(sides))])
    frames = clip(picture, Motion(), num_frames=num_frames, size=(size, size), rng=rng)
    inside, outer = slice(2, 2 + patch), slice(2 * SCALE, (2 + patch) * SCALE)
    low = np.stack([degrade(frame) for frame in frames])[:, inside, inside]
    return _augment(low, frames[num_frames // 2][outer, outer], rng)


def corpus_sample(
    sequences: list[corpora.Sequence], draw: Draw, *, num_frames: int, patch: int
) -> tuple[ndarray, ndarray]:
    """One augmented training example out of real sequences such as Vid3oC or REDS; as `pool_sample`."""
    rng = draw.generator()
    sequence = sequences[draw.item]
    if sequence.num_frames is None or sequence.num_frames < num_frames:
        raise ValueError(f"{sequence.id} needs at least {num_frames} frames, has {sequence.num_frames}")
    start = int(rng.integers(sequence.num_frames - num_frames + 1))
    frames = np.stack([crop_to_multiple(frame) for frame in sequence.read(start, start + num_frames)])
    low = np.stack([degrade(frame) for frame in frames])
    room = np.array(low.shape[1:3]) - patch
    if room.min() < 0:
        raise ValueError(
            f"{sequence.id} is {low.shape[1]}x{low.shape[2]} at low resolution, patch is {patch}"
        )
    top, left = rng.integers(0, room + 1)
    high = frames[num_frames // 2][top * SCALE : (top + patch) * SCALE, left * SCALE : (left + patch) * SCALE]
    return _augment(low[:, top : top + patch, left : left + patch], high, rng)


def _augment(low: ndarray, high: ndarray, rng: np.random.Generator) -> tuple[ndarray, ndarray]:
    """One of eight flips and turns, and the clip played either way."""
    upside_down, mirrored, turned, backwards = rng.random(4) < 0.5
    if upside_down:
        low, high = low[:, ::-1], high[::-1]
    if mirrored:
        low, high = low[:, :, ::-1], high[:, ::-1]
    if turned:
        low, high = low.swapaxes(1, 2), high.swapaxes(0, 1)
    if backwards:
        low = low[::-1]
    return np.ascontiguousarray(low), np.ascontiguousarray(high)


def collate(examples: list[tuple[ndarray, ndarray]], *, copies: bool) -> Batch:
    """A batch; with `copies` every frame is the middle one, the control for what several frames bring."""
    low = torch.from_numpy(np.stack([low for low, _ in examples])).movedim(-1, 2).float() / 255
    high = torch.from_numpy(np.stack([high for _, high in examples])).movedim(-1, 1).float() / 255
    if copies:
        low = low[:, low.shape[1] // 2, None].expand_as(low).contiguous()
    return Batch(low.contiguous(), high.contiguous())


# ---- sequences for dev and test


def sequences(corpus: str, split: str, seed: int) -> Iterator[Sequence]:
    """Items to score. Of "pool" and "live": made clips of photographs and of uncompressed stills, then shots of
    real recordings, two neighbouring frames each. Of a corpus: all of its frames.
    """
    if split not in ("dev", "test"):
        raise ValueError(f"split must be dev or test, got {split!r}")
    if corpus not in ("pool", "live"):
        for one in footage(corpus, split):
            yield Sequence(
                one.id, one.keys[0], corpus, partial(one.read, 0, None), range(one.num_frames or 10**9)
            )
        return
    shots = _shots(split)
    scored = range(CONTEXT_FRAMES, CONTEXT_FRAMES + SCORED_FRAMES)
    for source in (*photographs(split, seed), *(s for s in shots if s.part == "lossless")):
        for name, motion in TEST_MOTIONS.items():
            frames = partial(_made_clip, source, name, motion)
            yield Sequence(f"{source.id}/{name}", source.keys[0], source.part, frames, scored)
    for source in (s for s in shots if s.part != "lossless"):
        yield Sequence(source.id, source.keys[0], source.part, partial(_real_clip, source), scored)


def _made_clip(source: Source, name: str, motion: Motion) -> UInt8[ndarray, "time height width 3"]:
    prepared = _prepared() / f"{source.id}-{TEST_SHORT_SIDE}.npy"
    if prepared.exists():
        picture = np.asarray(_array(prepared))
    else:
        picture = reduce_to(sources.load_photograph(source), TEST_SHORT_SIDE)
    rng = np.random.default_rng([*hashlib.sha256(f"{SALT}/{source.id}/{name}".encode()).digest()[:8]])
    frame = tuple(
        min(side, whole - whole % SCALE) for side, whole in zip(TEST_FRAME, picture.shape[:2], strict=True)
    )
    return clip(picture, motion, num_frames=SCORED_FRAMES + 2 * CONTEXT_FRAMES, size=frame, rng=rng)


def _real_clip(source: Source) -> UInt8[ndarray, "time height width 3"]:
    """Frames in the middle of a shot."""
    wanted = SCORED_FRAMES + 2 * CONTEXT_FRAMES
    start = (source.num_frames - wanted) // 2
    return np.stack(
        [crop_to_multiple(frame) for frame in sources.read_clip(source, None, start, start + wanted)]
    )
