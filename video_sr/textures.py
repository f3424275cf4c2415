"""Made-up textures that move, for the smoke scale: no file is read, and nothing is judged on them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from common.data.order import Draw
from video_sr.challenge import FACTOR
from video_sr.data import CONTEXT_FRAMES, SCORED_FRAMES, ScoredSequence
from video_sr.known_motion import KnownMotion, known_motion
from video_sr.motion import Motion, Plan, clip, plan
from video_sr.protocol import degrade

NUM_TEXTURES = 7
SIDE = 480


@cache
def texture(number: int) -> UInt8[ndarray, "480 480 3"]:
    """A sum of waves between a few and a few hundred pixels long."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    total = np.zeros((SIDE, SIDE, 3))
    for wavelength in np.geomspace(6, 200, 12):
        angle, phase = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi, 3)
        along = (rows * np.sin(angle) + columns * np.cos(angle)) * 2 * np.pi / wavelength
        total += np.sqrt(wavelength) * np.sin(along[..., None] + phase)
    return np.clip(128 + 3 * total, 0, 255).astype(np.uint8)


def sample(draw: Draw, *, num_frames: int, patch: int) -> tuple[ndarray, ndarray]:
    """One training example: low-resolution frames and the truth of the middle one, uint8."""
    frames = _plan(draw, num_frames, patch).frames(texture(draw.item))
    return np.stack([degrade(frame) for frame in frames]), frames[num_frames // 2]


def motion_of(draw: Draw, *, num_frames: int, patch: int) -> KnownMotion:
    """How the same example moves."""
    return known_motion(_plan(draw, num_frames, patch))


def _plan(draw: Draw, num_frames: int, patch: int) -> Plan:
    size = patch * FACTOR
    return plan((SIDE, SIDE), Motion(), num_frames=num_frames, size=(size, size), rng=draw.generator())


def sequences() -> Iterator[ScoredSequence]:
    """Two test clips of textures that no training example shows."""
    scored = range(CONTEXT_FRAMES, CONTEXT_FRAMES + SCORED_FRAMES)
    for number in (NUM_TEXTURES, NUM_TEXTURES + 1):
        yield ScoredSequence(
            f"texture-{number}", f"texture-{number}", "photographs", partial(_frames, number), scored
        )


def _frames(number: int) -> UInt8[ndarray, "time height width 3"]:
    rng = np.random.default_rng(number)
    num_frames = SCORED_FRAMES + 2 * CONTEXT_FRAMES
    return clip(texture(number), Motion(), num_frames=num_frames, size=(128, 192), rng=rng)
