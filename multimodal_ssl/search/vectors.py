"""Vectors of windows as bytes: 16-bit floats, or half of that, 8-bit whole numbers and one 16-bit scale a vector.

In 8 bits `vector = scale * number`, numbers in -127..127. A vector of unit length and 128 channels is then off by less
than 0.01 of its length, a score by less than 0.002, and the best windows stay the best: recall against 16 bits is
benchmarked (`python -m benchmarks clip_search`).
"""

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

BITS = (8, 16)
MOST = 127  # largest number; -128 is not used, so that both signs are alike
SCALE_BYTES = 2


def packed(units: Float32[ndarray, "position channel"], bits: int) -> bytes:
    """A window's vectors; in 8 bits all numbers, then all scales. Zeros give zeros alone."""
    if bits == 16:
        return units.astype(np.float16).tobytes()
    scales = (np.abs(units).max(axis=1) / MOST).astype(np.float16)
    kept = scales.astype(np.float32)[:, None]  # what is smaller than 16 bits can tell is zero
    numbers = np.divide(units, kept, out=np.zeros_like(units), where=kept > 0)
    return np.clip(np.rint(numbers), -MOST, MOST).astype(np.int8).tobytes() + scales.tobytes()


def unpacked(
    windows: ndarray | bytes, num: int, shape: tuple[int, int], bits: int
) -> Float32[ndarray, "window position channel"]:
    """Vectors of `num` windows of (positions, channels) that lie one after another.

    Raises:
        ValueError: these are more or fewer bytes.
    """
    positions, channels = shape
    rows = np.frombuffer(windows, np.uint8).reshape(num, size_of(shape, bits))
    found: ndarray
    if bits == 16:
        found = rows.view(np.float16).reshape(num, positions, channels).astype(np.float32)
        return found
    split = positions * channels
    numbers = rows[:, :split].view(np.int8).reshape(num, positions, channels)
    scales = np.ascontiguousarray(rows[:, split:]).view(np.float16)
    found = np.multiply(numbers, scales.astype(np.float32)[:, :, None], dtype=np.float32)
    return found


def size_of(shape: tuple[int, int], bits: int) -> int:
    """Bytes of a window of (positions, channels)."""
    positions, channels = shape
    return positions * (2 * channels if bits == 16 else channels + SCALE_BYTES)
