"""From pictures and clips on disk to training batches and test sequences; the only place that splits them.

`mini` and `gpu` train on camera motion over photographs. Photographs are few, so tests fold over them: a salted
hash deals them into six folds, one is for choosing settings and never tested, and seed s is tested on the s-th of
the other five and trained on the rest. Uncompressed stills and real clips are never trained on; the real
recordings too small to stand for video serve for development. `paper` trains on Vid3oC or REDS.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from common.data import sealed
from common.data.arrays import save_array
from common.data.manifest import Bad, check_bad_share
from common.data.media import MediaError
from common.data.packages import data_root, file_sha256
from common.data.packs import open_pack, write_pack
from common.data.splits import check_disjoint, components, even_folds
from common.data.workers import workers
from common.files import only_writer, write_atomically
from common.progress import say, tracked
from video_sr import shots
from video_sr.challenge import FACTOR
from video_sr.known_motion import KnownMotion, known_motion
from video_sr.layouts import FrameSequence
from video_sr.motion import PLAIN, Motion, Plan, clip, plan
from video_sr.shots import Shot

SALT = "aim-2020-x16"
NUM_FOLDS = 6  # one for dev, five that take turns as the test
SHORT_SIDES = (720, 1080, 1440)  # pixels to which pictures are reduced for training, never enlarged
PREPARED_FRAMES, PREPARED_PATCH = 5, 20  # frames of a prepared clip; low-resolution pixels a side
TEST_SHORT_SIDE = 1080
TEST_FRAME = (720, 1280)
TEST_GRID = 16  # pixels that both sides of a frame are multiples of
SCORED_FRAMES = 2  # neighbours, so that flicker can be measured
CONTEXT_FRAMES = 3  # true frames before and after the scored ones, as many as the widest window needs
TEST_MOTIONS = {
    "pan": Motion(warped_share=0, object_share=0, cut_share=0, still_share=0),
    "handheld": Motion(warped_share=1, object_share=0, cut_share=0, still_share=0, jitter_px=3),
}


@dataclass(frozen=True)
class ScoredSequence:
    """One item of a dev or test set: high-resolution frames, and which of them are scored."""

    id: str
    group: str
    part: str
    frames: Callable[[], Iterable[UInt8[ndarray, "height width 3"]]]
    scored: range


# ---- splits


@cache
def _folds() -> dict[str, int]:
    entries = shots.manifest("photographs").entries
    return even_folds(components(entries), SALT, NUM_FOLDS)


def photographs(split: str, seed: int) -> tuple[Shot, ...]:
    """Photographs of "train", "dev" or "test" as seen by a seed. Dev is the same for every seed."""
    test_fold = 1 + seed % (NUM_FOLDS - 1)
    wanted = {"dev": {0}, "test": {test_fold}, "train": set(range(1, NUM_FOLDS)) - {test_fold}}
    if split not in wanted:
        raise ValueError(f"split must be train, dev or test, got {split!r}")
    bad = _bad_ids()
    return tuple(
        s for s in shots.listed("photographs") if _folds()[s.id] in wanted[split] and s.id not in bad
    )


def _bad_ids() -> set[str]:
    return {id_ for id_, _ in bad_shots()}


def _never_trained_on(split: str) -> tuple[Shot, ...]:
    """Stills and clips beside the photographs. Small recordings are dev, all else is test."""
    small = {key for s in shots.listed("clips") if shots.is_small(s) for key in s.keys}
    rest = shots.listed("lossless", "clips", "animated")
    bad = _bad_ids()
    return tuple(s for s in rest if bool(small & set(s.keys)) == (split == "dev") and s.id not in bad)


def check_splits(seed: int) -> None:
    """Raises SplitLeak when a scene, a recording or a file stands on two sides."""
    listed = {entry.id: entry for entry in shots.manifest().entries}
    sides = {
        "train": photographs("train", seed),
        "dev": (*photographs("dev", seed), *_never_trained_on("dev")),
        "test": (*photographs("test", seed), *_never_trained_on("test")),
    }
    check_disjoint(**{side: [listed[shot.id] for shot in chosen] for side, chosen in sides.items()})


@cache  # asked for by every training example
def manifest_sha256(motion: Motion = PLAIN) -> str:
    """Hash of every shot's content hash, of the split and of how clips are made of them."""
    motions = [each.told() for each in (motion, *TEST_MOTIONS.values())]
    layers = [_LAYERS_VERSION] if motion.layered_share else []
    tested = [TEST_SHORT_SIDE, TEST_FRAME, SCORED_FRAMES, CONTEXT_FRAMES]
    made = json.dumps(
        [
            SALT,
            NUM_FOLDS,
            SHORT_SIDES,
            PREPARED_FRAMES,
            PREPARED_PATCH,
            _CLIPS_VERSION,
            motions,
            tested,
            *layers,
        ]
    )
    return hashlib.sha256((shots.manifest().sha256 + made).encode()).hexdigest()


# ---- preparation

MOST_BAD = 0.1  # share of shots that may be bad before preparation stops
PACK = "extreme-vsr"
_CLIPS_VERSION = 2  # raise when `motion.py` changes what a seed gives
_LAYERS_VERSION = 1  # or this one, when it does for clips with a nearer layer alone


def prepared_folder() -> Path:
    """Where the arrays of this very data and split lie, and the clips that move as `PLAIN` has it; others beside."""
    return data_root() / "video_sr" / manifest_sha256()[:12]


def kept_as(clips: int, motion: Motion = PLAIN) -> str:
    """How names of files end that hold, or tell of, so many clips of each photograph that move so."""
    return str(clips) if motion == PLAIN else f"{clips}-{manifest_sha256(motion)[:8]}"


def prepare(clips: int, motion: Motion = PLAIN) -> None:
    """Fetches packages, decodes photographs and makes so many training clips of each; at once when that was done.

    Raises:
        FetchError: a package that cannot be had.
        ValueError: more than a tenth of the shots are bad; they are listed.
    """
    marker = _marker(kept_as(clips, motion))
    if marker.exists():
        sealed.check_once(marker.parent / sealed.SEAL)
        return
    with only_writer(data_root() / "video_sr", wait=True):  # ranks of one run start at once
        if marker.exists():
            return
        say(
            f"extreme-vsr: {shots.DOWNLOAD_BYTES / 1e6:.0f} MB of packages to download once, "
            f"{1 + clips / 90:.1f} GB on disk in {data_root()}"
        )
        # A packed machine trains; what is scored, on real clips and uncompressed stills, is scored elsewhere.
        parts = shots.PARTS if scorable() else ("photographs",)
        shots.fetch_packages(None, *parts)
        check_splits(0)
        listed = shots.listed(*parts)
        todo = [shot for shot in listed if shot.part == "photographs"]
        bad = [fault for shot in listed if shot not in todo and (fault := _altered(shot))]
        marker.parent.mkdir(parents=True, exist_ok=True)
        with workers() as pool:
            made = pool.map(partial(_prepare_photograph, marker.parent, clips, motion=motion), todo)
            for fault in tracked(made, "making training clips", len(todo), "photograph"):
                bad += [fault] if fault else []
        for fault in bad:
            say(f"bad, left out: {fault}")
        check_bad_share(bad, len(listed), MOST_BAD)
        sealed.seal(marker.parent / sealed.SEAL, marker.parent.glob("*.npy"))
        write_atomically(marker, json.dumps([(fault.id, fault.reason) for fault in bad]).encode())


def _marker(ending: str) -> Path:
    """Written last, with what was bad; another name would make everybody prepare anew."""
    return prepared_folder() / f"bad-sources-{ending}.json"


def bad_shots() -> tuple[tuple[str, str], ...]:
    """(id, reason) of the shots that could not be used when the clips were made."""
    found = sorted(prepared_folder().glob("bad-sources-*.json"))
    return tuple(
        dict.fromkeys((id_, reason) for path in found for id_, reason in json.loads(path.read_text()))
    )


def _altered(shot: Shot) -> Bad | None:
    """What is wrong with a shot's file, if anything: packages may change, and these bytes are what was seen."""
    path = shots.file_of(shot)
    if not path.is_file():
        return Bad(shot.id, str(path), "no such file")
    found = file_sha256(path)
    return (
        None
        if found == shot.sha256
        else Bad(shot.id, str(path), f"sha256 must be {shot.sha256}, got {found}")
    )


def _prepare_photograph(folder: Path, clips: int, shot: Shot, motion: Motion = PLAIN) -> Bad | None:
    import torch
    from threadpoolctl import threadpool_limits

    from video_sr.protocol import degrade

    torch.set_num_threads(1)
    if fault := _altered(shot):
        return fault
    try:
        picture = shots.load_photograph(shot)
    except MediaError as error:
        return Bad(shot.id, str(shots.file_of(shot)), str(error))
    with threadpool_limits(1):
        reduced = [reduce_to(picture, side) for side in SHORT_SIDES if side <= min(picture.shape[:2])]
        for side, array in zip(SHORT_SIDES, reduced, strict=False):
            save_array(folder / f"{shot.id}-{side}.npy", array)
        inside, outer = slice(2, 2 + PREPARED_PATCH), slice(2 * FACTOR, (2 + PREPARED_PATCH) * FACTOR)
        low = np.empty((clips, PREPARED_FRAMES, PREPARED_PATCH, PREPARED_PATCH, 3), np.uint8)
        high = np.empty((clips, PREPARED_PATCH * FACTOR, PREPARED_PATCH * FACTOR, 3), np.uint8)
        for number in range(clips):
            reduced_picture = reduced[number % len(reduced)]
            planned = _plan_of(shot.id, number, reduced_picture.shape[:2], motion)
            frames = planned.frames(reduced_picture)
            low[number] = np.stack([degrade(frame) for frame in frames])[:, inside, inside]
            high[number] = frames[PREPARED_FRAMES // 2][outer, outer]
        save_array(folder / f"{shot.id}-low{kept_as(clips, motion)}.npy", low)
        save_array(folder / f"{shot.id}-high{kept_as(clips, motion)}.npy", high)
    return None


def _plan_of(photograph: str, number: int, picture_size: tuple[int, ...], motion: Motion = PLAIN) -> Plan:
    """How a prepared clip moves; it is cut later, by two low-resolution pixels around, which borders would spoil."""
    side, (height, width) = (PREPARED_PATCH + 4) * FACTOR, picture_size
    rng = np.random.default_rng([*hashlib.sha256(f"{photograph}/{number}".encode()).digest()[:8]])
    return plan((height, width), motion, num_frames=PREPARED_FRAMES, size=(side, side), rng=rng)


@lru_cache(maxsize=10_000)  # two kilobytes each
def known_motion_of(photograph: str, number: int, motion: Motion = PLAIN) -> KnownMotion:
    """Of a prepared clip."""
    there = [
        path for side in SHORT_SIDES if (path := prepared_folder() / f"{photograph}-{side}.npy").exists()
    ]
    size = array(there[number % len(there)]).shape[:2]
    every = slice(0, PREPARED_FRAMES)
    return known_motion(_plan_of(photograph, number, size, motion)).cropped(every, 2, 2, PREPARED_PATCH)


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


def pack(path: Path, scale: str) -> str:
    """Writes the photographs, as their packages have them, into one tar file; returns its sha256.

    Unpacked into the `DATA_ROOT` of a machine without a network it is all that training at `gpu` needs. It holds
    no real clip and no uncompressed still, so nothing can be tuned on those there.
    """
    if scale not in ("mini", "night", "gpu"):
        raise ValueError(
            f"extreme-vsr at scale {scale} trains on nothing that a pack could hold; mini, night and gpu do"
        )
    root = shots.fetch_packages(None, "photographs")
    folders = dict.fromkeys(shots.package_of(shot).folder for shot in shots.listed("photographs"))
    parts = {
        Path(folder).name: [
            (str(file.relative_to(root)), file)
            for file in sorted((root / folder).rglob("*"))
            if file.is_file()
        ]
        for folder in folders
    }
    return write_pack(path, PACK, manifest_sha256(), parts)


def scorable() -> bool:
    """Whether what is scored is here; on a machine that got its data from a pack it is not."""
    return open_pack(data_root(), PACK) is None


def verify(scale: str) -> list[Bad]:
    """Hashes and decodes every shot of a scale once, and hashes what was made of them; what is bad, by name.

    Vid3oC's frames are read as they are.
    """
    if scale not in ("mini", "night", "gpu"):
        return []
    return [*shots.verify(), *sealed.faults(prepared_folder() / sealed.SEAL)]


@cache
def array(path: Path) -> ndarray:
    """A prepared array, mapped into memory and shared between processes."""
    return sealed.mapped(path, path.parent / sealed.SEAL)


# ---- sequences for dev and test


def whole(sequence: FrameSequence, part: str) -> ScoredSequence:
    """A sequence of a published corpus, all of whose frames are scored."""
    every = range(sequence.num_frames or 10**9)
    return ScoredSequence(sequence.id, sequence.keys[0], part, partial(sequence.read, 0, None), every)


def sequences(split: str, seed: int) -> Iterator[ScoredSequence]:
    """Made clips of photographs and of uncompressed stills, then shots of real recordings; two neighbouring frames
    of each are scored."""
    if split not in ("dev", "test"):
        raise ValueError(f"split must be dev or test, got {split!r}")
    held_out = _never_trained_on(split)
    scored = range(CONTEXT_FRAMES, CONTEXT_FRAMES + SCORED_FRAMES)
    for shot in (*photographs(split, seed), *(s for s in held_out if s.part == "lossless")):
        for name, motion in TEST_MOTIONS.items():
            frames = partial(_made_clip, shot, name, motion)
            yield ScoredSequence(f"{shot.id}/{name}", shot.keys[0], shot.part, frames, scored)
    for shot in (s for s in held_out if s.part != "lossless"):
        yield ScoredSequence(shot.id, shot.keys[0], shot.part, partial(_real_clip, shot), scored)


def _made_clip(shot: Shot, name: str, motion: Motion) -> UInt8[ndarray, "time height width 3"]:
    prepared = prepared_folder() / f"{shot.id}-{TEST_SHORT_SIDE}.npy"
    if prepared.exists():
        picture = np.asarray(array(prepared))
    else:
        picture = reduce_to(shots.load_photograph(shot), TEST_SHORT_SIDE)
    rng = np.random.default_rng([*hashlib.sha256(f"{SALT}/{shot.id}/{name}".encode()).digest()[:8]])
    frame = tuple(
        min(side, whole - whole % TEST_GRID)
        for side, whole in zip(TEST_FRAME, picture.shape[:2], strict=True)
    )
    return clip(picture, motion, num_frames=SCORED_FRAMES + 2 * CONTEXT_FRAMES, size=frame, rng=rng)


def _real_clip(shot: Shot) -> Iterator[UInt8[ndarray, "height width 3"]]:
    """Frames in the middle of a shot."""
    wanted = SCORED_FRAMES + 2 * CONTEXT_FRAMES
    start = (shot.num_frames - wanted) // 2
    return shots.read_clip(shot, None, start, start + wanted)
