"""The best linear filter of a small neighbourhood: what learning brings before a network is anything more."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from common.data.resize import from_8bit
from video_sr.challenge import FACTOR

AT_ONCE = 50  # examples


class LeastSquares(nn.Module):
    """Every high-resolution pixel as the low-resolution one that it lies in, plus a weighted sum of how its neighbours
    differ from that; weights for each of the 16 x 16 places in a pixel, the same for R, G and B.

    A flat picture stays as it is. Bicubic enlargement is such a filter of four by four. Unfitted, all weights are 0.

    Args:
        side: of the neighbourhood in low-resolution pixels, odd.
    """

    num_frames = 1

    def __init__(self, side: int):
        super().__init__()
        self.side = side
        self.weights: Tensor
        self.register_buffer("weights", torch.zeros(side * side - 1, FACTOR * FACTOR))

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        low, around = frames[:, frames.shape[1] // 2], self.side // 2
        batch, _, height, width = low.shape
        centre, differences = self._seen(F.pad(low, (around,) * 4, mode="replicate"))
        places = centre + differences @ self.weights
        planes = places.reshape(batch * 3, height, width, -1).movedim(-1, 1)
        return F.pixel_shuffle(planes, FACTOR).reshape(batch, 3, FACTOR * height, FACTOR * width)

    def _seen(
        self, low: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "pixel 1"], Float[Tensor, "pixel neighbour"]]:
        """Every pixel whose neighbourhood lies inside, and the differences of its neighbours from it."""
        seen = F.unfold(low.reshape(-1, 1, *low.shape[2:]), self.side).movedim(1, 2).flatten(0, 1)
        at = self.side * self.side // 2
        centre = seen[:, at : at + 1]
        return centre, torch.cat([seen[:, :at], seen[:, at + 1 :]], dim=1) - centre

    def fit(
        self, examples: Iterable[tuple[UInt8[ndarray, "1 low low 3"], UInt8[ndarray, "high high 3"]]]
    ) -> None:
        """Weights of the least squared error over all pixels of some examples, by the normal equations."""
        num, places = self.weights.shape
        squares = torch.zeros(num, num, dtype=torch.float64)
        products = torch.zeros(num, places, dtype=torch.float64)
        held = list[tuple[ndarray, ndarray]]()
        for example in examples:
            held.append(example)
            if len(held) == AT_ONCE:
                self._add(held, squares, products)
                held.clear()
        if held:
            self._add(held, squares, products)
        # Flat examples alone leave weights open; those nearest 0 are then taken.
        self.weights.copy_(torch.linalg.lstsq(squares, products, driver="gelsd").solution)

    def _add(self, examples: list[tuple[ndarray, ndarray]], squares: Tensor, products: Tensor) -> None:
        low, high = (
            from_8bit(torch.from_numpy(np.stack(planes))).movedim(-1, 1)
            for planes in ([low[0] for low, _ in examples], [high for _, high in examples])
        )
        centre, differences = self._seen(low)
        edge = self.side // 2 * FACTOR
        inside = high[..., edge:-edge, edge:-edge].flatten(0, 1)[:, None]
        truth = F.pixel_unshuffle(inside, FACTOR).flatten(2).movedim(1, 2).flatten(0, 1)
        squares += (differences.T @ differences).double()
        products += (differences.T @ (truth - centre)).double()
