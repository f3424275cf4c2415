"""The order of training items, a pure function of seed and step; no torch, so that naming items stays cheap."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from common.recipe import Shard


@dataclass(frozen=True)
class Draw:
    """One item of a batch: which, and the seed of whatever is random about it."""

    item: int  # index into the training items
    position: int  # since step 0, over all epochs
    seed: int

    def generator(self) -> np.random.Generator:
        """Randomness of this draw alone; the same whichever worker or rank loads it."""
        return np.random.default_rng((self.seed, self.position))


@lru_cache(maxsize=8)
def _epoch_order(num_items: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch, num_items)).permutation(num_items)


def draws(num_items: int, batch_size: int, seed: int, step: int, shard: Shard = Shard()) -> list[Draw]:  # noqa: B008
    """Items of one shard of a step's batch: every epoch is a new shuffle, and batches run on across epochs.

    The shards of a step are disjoint and together are the batch that one process would see.

    Raises:
        ValueError: no items, or a batch that cannot be cut into that many equal shards.
    """
    if num_items < 1:
        raise ValueError(f"a batch needs items to draw from, got {num_items}")
    if batch_size % shard.count:
        raise ValueError(f"batch_size must be a multiple of its {shard.count} shards, got {batch_size}")
    size = batch_size // shard.count
    first = step * batch_size + shard.index * size
    return [
        Draw(int(_epoch_order(num_items, seed, position // num_items)[position % num_items]), position, seed)
        for position in range(first, first + size)
    ]
