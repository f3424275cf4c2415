"""Lanczos enlargement, as picture programs offer it: a peer of every table, with nothing learned."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from video_sr.challenge import FACTOR

LOBES = 3  # of the kernel, to each side


class Lanczos(nn.Module):
    """Enlarges the centre frame by `sinc(x) sinc(x / 3)`, |x| < 3, weights divided by their sum, as Pillow does."""

    num_frames = 1

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        picture = frames[:, frames.shape[1] // 2]
        rows, columns = (_weights(side).to(picture) for side in picture.shape[-2:])
        return rows @ picture @ columns.T


@lru_cache(maxsize=16)
def _weights(length: int) -> Float[Tensor, "sr_length length"]:
    """Taps beyond the border are left out."""
    places = (torch.arange(FACTOR * length, dtype=torch.float64) + 0.5) / FACTOR - 0.5
    away = places[:, None] - torch.arange(length, dtype=torch.float64)
    weights = torch.sinc(away) * torch.sinc(away / LOBES) * (away.abs() < LOBES)
    return weights / weights.sum(1, keepdim=True)
