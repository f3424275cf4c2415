"""The loader that follows the order of items: whole batches by number, from workers that keep no state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from common import stopping
from common.recipe import Shard


class _Batches(Dataset):
    """Map from a running number to a whole batch, so that workers keep no state and order is the index."""

    def __init__(self, load: Callable[[int, Shard], Any], rank: int, world: int, accumulate: int):
        self.load, self.rank, self.world, self.accumulate = load, rank, world, accumulate

    def __getitem__(self, index: int) -> Any:
        step, part = divmod(index, self.accumulate)
        return self.load(step, Shard(part * self.world + self.rank, self.world * self.accumulate))


def _start_worker(_: int) -> None:
    torch.set_num_threads(1)  # workers times threads would fight for the cores
    # A signal may reach the whole process group; the trainer saves and then ends its workers itself.
    stopping.leave_stops_to_the_owner()


def load_batches(
    load: Callable[[int, Shard], Any],
    *,
    first_step: int,
    last_step: int,
    rank: int = 0,
    world: int = 1,
    accumulate: int = 1,
    workers: int = 0,
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
        # Not "forkserver": its workers are nobody's children, and outlive a run that is killed. Not "fork":
        # W&B's threads may hold locks at that moment.
        multiprocessing_context="spawn" if workers else None,
    )
    return iter(loader)
