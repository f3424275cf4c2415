"""Vectors of windows as bytes: 16-bit floats, or half of that, 8-bit whole numbers and one 16-bit scale a vector.

In 8 bits `vector = scale * number`, numbers in -127..127: a number is off by at most 0.4 % (1 in 254) of its vector's
largest. Unit vectors of noise in 128 channels are then off by less than 0.01, their scores by less than 0.002;
`python -m benchmarks clip_search` prints how many of the best windows of such noise stay the best. Sparse vectors, such
as shares of 1,000 classes, keep to the first bound alone, and what is smaller than it becomes zero.
"""

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

BITS = (8, 16)
MOST = 127  # largest number; -128 is not used, so that both signs are alike
SCALE_BYTES = 2


def check_bits(bits: int | None) -> None:
    """Raises ValueError for any others than `BITS`; None is for whoever takes the default."""
    if bits not in (None, *BITS):
        raise ValueError(f"bits must be one of {', '.join(map(str, BITS))}, got {bits}")


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
