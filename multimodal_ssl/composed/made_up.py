"""Objects, places and sounds drawn by code, for the scale that only proves the path from file to verdict."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Int16, UInt8
from numpy import ndarray

from common.data.pcm import FULL_SCALE

COLOURS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 80, 230), "white": (240, 240, 240)}
SHAPES = ("square", "ball", "cross", "ring")
SIDE_PX, PICTURE_SIDE_PX, PICTURES_A_SPLIT = 48, 320, 2
SOUND_S, LOWEST_HZ = 0.5, 300.0


@cache
def names() -> tuple[str, ...]:
    """Colour and shape, no two next to each other alike: "a red square", "a green ball", ..."""
    colours = list(COLOURS)
    pairs = [(colours[(i + turn) % 4], SHAPES[i]) for turn in range(4) for i in range(4)]
    return tuple(f"a {colour} {shape}" for colour, shape in pairs)


def sprite(phrase: str) -> UInt8[ndarray, "height width 4"]:
    _, colour, shape = phrase.split()
    down, right = np.abs(np.mgrid[:SIDE_PX, :SIDE_PX] - (SIDE_PX - 1) / 2) * 2 / SIDE_PX
    far = np.hypot(down, right)
    inside = {
        "square": np.maximum(down, right) <= 1, "ball": far <= 1, "cross": np.minimum(down, right) <= 0.35,
        "ring": (far <= 1) & (far > 0.5),
    }[shape]  # fmt: skip
    drawn = np.zeros((SIDE_PX, SIDE_PX, 4), np.uint8)
    drawn[..., :3], drawn[..., 3] = COLOURS[colour], 255 * inside
    return drawn


@cache
def picture(name: str) -> UInt8[ndarray, "320 320 3"]:
    """A sum of waves between some and a few hundred pixels long, of low contrast."""
    rng = np.random.default_rng([*name.encode()])
    rows, columns = np.mgrid[:PICTURE_SIDE_PX, :PICTURE_SIDE_PX]
    total = np.zeros((PICTURE_SIDE_PX, PICTURE_SIDE_PX, 3))
    for wavelength in np.geomspace(12, 250, 8):
        angle, phase = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi, 3)
        along = (rows * np.sin(angle) + columns * np.cos(angle)) * 2 * np.pi / wavelength
        total += np.sqrt(wavelength) * np.sin(along[..., None] + phase)
    return np.clip(120 + 2 * total, 0, 255).astype(np.uint8)


def pictures(split: str) -> tuple[str, ...]:
    return tuple(f"waves-{split}-{number}" for number in range(PICTURES_A_SPLIT))


def sound(number: int, split: str) -> Int16[ndarray, " sample"]:
    """An object's tone at 16 kHz, a little higher in every split."""
    from common.data.audio import SAMPLE_RATE_HZ

    pitch_hz = LOWEST_HZ * 1.2**number * {"train": 1.0, "dev": 1.02, "test": 1.04}[split]
    time_s = np.arange(round(SOUND_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.3 * FULL_SCALE * np.sin(2 * np.pi * pitch_hz * time_s)).astype(np.int16)
