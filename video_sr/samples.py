"""Training examples: a low-resolution window and the high-resolution truth of its middle, drawn and augmented."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from common.data.order import Draw
from video_sr import data
from video_sr.challenge import FACTOR
from video_sr.data import PREPARED_FRAMES, PREPARED_PATCH
from video_sr.known_motion import KnownMotion
from video_sr.layouts import FrameSequence
from video_sr.motion import PLAIN, Motion, clip
from video_sr.protocol import crop_to_multiple, degrade
from video_sr.shots import Shot


@dataclass(frozen=True)
class Batch:
    """Low-resolution windows and the high-resolution truth of their middle frames, in [0, 1]."""

    low: Float[Tensor, "batch time 3 height width"]
    high: Float[Tensor, "batch 3 sr_height sr_width"]

    def to(self, device: torch.device) -> Batch:
        return Batch(self.low.to(device, non_blocking=True), self.high.to(device, non_blocking=True))


@dataclass(frozen=True)
class MovedBatch(Batch):
    """A batch of which the motion is known, as `KnownMotion` has it."""

    offset_px: Float[Tensor, "batch time 2 height width"]
    known: Bool[Tensor, "batch time height width"]

    def to(self, device: torch.device) -> MovedBatch:
        return MovedBatch(*(each.to(device, non_blocking=True) for each in vars(self).values()))


def moved(batch: Batch, motions: list[KnownMotion]) -> MovedBatch:
    """The batch, and how its examples move."""
    offset, known = (
        torch.from_numpy(np.stack([getattr(m, key) for m in motions])) for key in ("offset_px", "known")
    )
    return MovedBatch(batch.low, batch.high, offset, known)


@cache
def clip_ids(seed: int, clips: int) -> tuple[tuple[str, int], ...]:
    """Clips that a seed may train on: photograph and number."""
    return tuple((shot.id, number) for shot in data.photographs("train", seed) for number in range(clips))


def prepared(
    seed: int, draw: Draw, *, clips: int, num_frames: int, patch: int, motion: Motion = PLAIN
) -> tuple[ndarray, ndarray]:
    """One augmented training example out of the prepared clips.

    Args:
        clips: how many were prepared of each photograph.
        motion: how they move.

    Returns:
        low-resolution frames (time, patch, patch, 3) and the truth of the middle one, both uint8.
    """
    photograph, number = clip_ids(seed, clips)[draw.item]
    rng = draw.generator()
    top, left = rng.integers(0, PREPARED_PATCH - patch + 1, 2)
    around = slice(PREPARED_FRAMES // 2 - num_frames // 2, PREPARED_FRAMES // 2 + num_frames // 2 + 1)
    ending = data.kept_as(clips, motion)
    low = data.array(data.prepared_folder() / f"{photograph}-low{ending}.npy")[
        number, around, top : top + patch, left : left + patch
    ]
    high = data.array(data.prepared_folder() / f"{photograph}-high{ending}.npy")[
        number, top * FACTOR : (top + patch) * FACTOR, left * FACTOR : (left + patch) * FACTOR
    ]
    return augment(low, high, rng)


def motion_prepared(
    seed: int, draw: Draw, *, clips: int, num_frames: int, patch: int, motion: Motion = PLAIN
) -> KnownMotion:
    """How the same example as of `prepared` moves."""
    photograph, number = clip_ids(seed, clips)[draw.item]
    rng = draw.generator()
    top, left = rng.integers(0, PREPARED_PATCH - patch + 1, 2)
    around = slice(PREPARED_FRAMES // 2 - num_frames // 2, PREPARED_FRAMES // 2 + num_frames // 2 + 1)
    known = data.known_motion_of(photograph, number, motion).cropped(around, int(top), int(left), patch)
    return Turn.drawn(rng).motion(known)


def photograph_of(seed: int, draw: Draw) -> Shot:
    """Over which photograph a clip is made that is not prepared."""
    trained = data.photographs("train", seed)
    return trained[draw.item % len(trained)]


def live(seed: int, draw: Draw, *, num_frames: int, patch: int) -> tuple[ndarray, ndarray]:
    """One augmented training example made on the spot, for machines with cores to spare; as `prepared`."""
    rng = draw.generator()
    photograph = photograph_of(seed, draw).id
    sides = [
        path
        for side in data.SHORT_SIDES
        if (path := data.prepared_folder() / f"{photograph}-{side}.npy").exists()
    ]
    size = (patch + 4) * FACTOR
    picture = data.array(sides[rng.integers(len(sides))])
    frames = clip(picture, Motion(), num_frames=num_frames, size=(size, size), rng=rng)
    inside, outer = slice(2, 2 + patch), slice(2 * FACTOR, (2 + patch) * FACTOR)
    low = np.stack([degrade(frame) for frame in frames])[:, inside, inside]
    return augment(low, frames[num_frames // 2][outer, outer], rng)


def footage(sequence: FrameSequence, draw: Draw, *, num_frames: int, patch: int) -> tuple[ndarray, ndarray]:
    """One augmented training example out of a real sequence such as one of Vid3oC; as `prepared`."""
    rng = draw.generator()
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
    high = frames[num_frames // 2][
        top * FACTOR : (top + patch) * FACTOR, left * FACTOR : (left + patch) * FACTOR
    ]
    return augment(low[:, top : top + patch, left : left + patch], high, rng)


@dataclass(frozen=True)
class Turn:
    """One of eight flips and turns, and the clip played either way."""

    upside_down: bool
    mirrored: bool
    turned: bool
    backwards: bool

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Turn:
        return cls(*map(bool, rng.random(4) < 0.5))

    def window(self, low: ndarray) -> ndarray:
        return np.ascontiguousarray(self.truth(low)[:: -1 if self.backwards else 1])

    def truth(self, high: ndarray) -> ndarray:
        """Of a picture, or of all pictures of a window."""
        rows, columns = high.ndim - 3, high.ndim - 2
        high = np.flip(high, rows) if self.upside_down else high
        high = np.flip(high, columns) if self.mirrored else high
        return np.ascontiguousarray(high.swapaxes(rows, columns) if self.turned else high)

    def motion(self, motion: KnownMotion) -> KnownMotion:
        """Offsets point where the turned pictures show them."""
        signs = np.array((-1 if self.upside_down else 1, -1 if self.mirrored else 1), np.float32)
        offset = motion.offset_px * signs[:, None, None]
        offset = offset[:, ::-1] if self.turned else offset
        # time down_right height width -> time height width down_right, as pictures have their channels
        offset = self.window(np.moveaxis(offset, 1, -1))
        return KnownMotion(np.moveaxis(offset, -1, 1), self.window(motion.known[..., None])[..., 0])


def augment(low: ndarray, high: ndarray, rng: np.random.Generator) -> tuple[ndarray, ndarray]:
    """A window and the truth of its middle frame, turned alike."""
    turn = Turn.drawn(rng)
    return turn.window(low), turn.truth(high)


def collate(examples: list[tuple[ndarray, ndarray]], *, copies: bool) -> Batch:
    """A batch; with `copies` every frame is the middle one, the control for what several frames bring."""
    # Channels stay last in memory, as they come: a copy would cost a tenth of a step on a CPU.
    low = torch.from_numpy(np.stack([low for low, _ in examples])).float().div_(255).movedim(-1, 2)
    high = torch.from_numpy(np.stack([high for _, high in examples])).float().div_(255).movedim(-1, 1)
    if copies:
        low = low[:, low.shape[1] // 2, None].expand_as(low)
    return Batch(low, high)
