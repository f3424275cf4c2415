"""16-bit samples, as recordings are kept, and the floats in [-1, 1] that everything computes with."""

import numpy as np
from jaxtyping import Float32, Int16
from numpy import ndarray

FULL_SCALE = 32_767  # the largest sample
PEAK = 0.9  # of full scale, to which every recording is brought


def levelled(sound: Float32[ndarray, " sample"], peak: float | None = None) -> Int16[ndarray, " sample"]:
    """16-bit samples, brought to `PEAK`: rounded, and clipped where a part is louder than it was said to be.

    Args:
        peak: largest magnitude of the recording that `sound` is a part of; None: its own, which must not be 0.
    """
    loudest = np.abs(sound).max() if peak is None else peak
    scaled = np.round(sound * (PEAK * FULL_SCALE / loudest))
    return scaled.clip(-FULL_SCALE - 1, FULL_SCALE).astype(np.int16)


def as_floats(samples: Int16[ndarray, " sample"]) -> Float32[ndarray, " sample"]:
    """Samples in [-1, 1): each divided by 32,768."""
    return samples.astype(np.float32) / 32_768.0
