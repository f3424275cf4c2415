"""The order of items, a pure function of seed and step, and the loader that follows it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

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


class _Batches(Dataset):
    """Map from a running number to a whole batch, so that workers keep no state and order is the index."""

    def __init__(self, load: Callable[[int, Shard], Any], rank: int, world: int, accumulate: int):
        self.load, self.rank, self.world, self.accumulate = load, rank, world, accumulate

    def __getitem__(self, index: int) -> Any:
        step, part = divmod(index, self.accumulate)
        return self.load(step, Shard(part * self.world + self.rank, self.world * self.accumulate))


def _start_worker(_: int) -> None:
    torch.set_num_threads(1)  # workers times threads would fight for the cores
    # Both reach the whole process group; the trainer saves and then ends its workers itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def load_batches(
    load: Callable[[int, Shard], Any],
    *,
    first_step: int,
    last_step: int,
    rank: int = 0,
    world: int = 1,
    accumulate: int = 1,
    workers: int = 0,
    pin_memory: bool = False,
) -> Iterator[Any]:
    """This rank's batches of steps `first_step` up to before `last_step`, `accumulate` of them a step.

    Args:
        load: makes the shard of a step; called in a worker process when `workers` is above 0.
    """
    loader = DataLoader(
        _Batches(load, rank, world, accumulate),
        batch_size=None,
        sampler=range(first_step * accumulate, last_step * accumulate),
        num_workers=workers,
        worker_init_fn=_start_worker,
        pin_memory=pin_memory,
        # Not "forkserver": its workers are nobody's children, and outlive a run that is killed. Not "fork":
        # W&B's threads may hold locks at that moment.
        multiprocessing_context="spawn" if workers else None,
    )
    return iter(loader)
