"""Times `imresize` on a 1072x1920 RGB frame, down and up by 16: `python -m benchmarks.resize`.

Against a plain numpy transcription of MATLAB's rule, which gives the same picture, and against torch's own
antialiased bicubic, which does not (other border rule; the small pictures agree to about 50 dB).
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy import ndarray

from benchmarks.harness import Race, Rounds, race
from benchmarks.records import options, publish
from common.data.resize import downscale, imresize, upscale

FRAME = (1072, 1920)
FACTOR = 16


def imresize_by_taps(picture: ndarray, size: tuple[int, int]) -> ndarray:
    """MATLAB's imresize of (height, width, ...), written from its description: per axis, pixel and tap."""
    return _along_rows(_along_rows(picture, size[0]).swapaxes(0, 1), size[1]).swapaxes(0, 1)


def _along_rows(picture: ndarray, out_length: int) -> ndarray:
    length = len(picture)
    scale = out_length / length
    shrink = min(scale, 1.0)
    result = np.empty((out_length, *picture.shape[1:]))
    for x in range(1, out_length + 1):  # 1-based, as MATLAB counts
        u = x / scale + 0.5 * (1 - 1 / scale)
        first = math.floor(u - 2 / shrink)
        taps = range(first, first + math.ceil(4 / shrink) + 2)
        weights = [shrink * _cubic(shrink * (u - tap)) for tap in taps]
        row = np.zeros(picture.shape[1:])
        for tap, weight in zip(taps, weights, strict=True):
            row += weight / sum(weights) * picture[_mirror(tap, length) - 1]
        result[x - 1] = row
    return result


def _cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def _mirror(tap: int, length: int) -> int:
    while not 1 <= tap <= length:
        tap = 1 - tap if tap < 1 else 2 * length + 1 - tap
    return tap


def races(rounds: Rounds) -> list[Race]:
    large = torch.rand(3, *FRAME, generator=torch.Generator().manual_seed(0))
    small = downscale(large, FACTOR)
    jobs = {"down by 16": (large, small, downscale), "up by 16": (small, large, upscale)}
    results = []
    for job, (source, target, ours) in jobs.items():
        size = (target.shape[-2], target.shape[-1])
        pixels_last = source.permute(1, 2, 0).contiguous().numpy()
        theirs = torch.from_numpy(imresize_by_taps(pixels_last, size)).permute(2, 0, 1)
        difference = float((imresize(source, size=size) - theirs).abs().max())
        assert difference < 1e-5, f"contenders must agree, they differ by {difference}"
        contenders = {
            "imresize": lambda ours=ours, source=source: ours(source, FACTOR),
            "numpy, tap by tap, same picture": lambda p=pixels_last, s=size: imresize_by_taps(p, s),
            "torch antialias, another border": lambda i=source, s=size: F.interpolate(
                i[None], size=s, mode="bicubic", antialias=True
            ),
        }
        results.append(race(job, contenders, rounds))
    return results


if __name__ == "__main__":
    chosen = options("Times MATLAB's bicubic resize by 16 of one 1072x1920 RGB frame.")
    publish("resize", chosen, {"all": races})
