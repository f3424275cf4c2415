"""Batches of utterances by seconds: similar lengths together, in an order that is a function of seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from common.data.pcm import as_floats
from common.recipe import Shard
from common.sending import sent
from speech_adapters.model.wav2vec2 import pad

LENGTH_JITTER = 0.1  # relative; who meets whom in a batch changes from epoch to epoch


@dataclass(frozen=True)
class Batch:
    """Utterances padded to one length; `inputs` are waveforms, or activations of frozen layers."""

    ids: tuple[str, ...]
    inputs: Float[Tensor, "batch sample"] | Float[Tensor, "batch frame channel"]
    lengths: Int[Tensor, " batch"]  # of each one's own part
    labels: tuple[tuple[int, ...], ...] = ()

    def to(self, device: Any) -> Batch:
        """Inputs alone go there: a host that knows lengths and masks need not wait for a GPU to tell them."""
        return replace(self, inputs=sent(self.inputs, device))


@dataclass(frozen=True)
class MaskedBatch(Batch):
    """Unlabelled crops and which of their frames are masked, drawn for each crop alone: shards do not change it."""

    mask: Bool[Tensor, "batch frame"] = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.bool))
    targets: Int[Tensor, "batch frame"] | None = None  # what frames are to be named as, where that is kept
    seeds: tuple[int, ...] = ()  # of what else is drawn for a crop
    masked_frames_per_shard: float = 0.0  # masked frames of the global batch, divided by its shards


@lru_cache(maxsize=4)
def epoch(lengths: tuple[int, ...], budget: int, seed: int, number: int) -> tuple[tuple[int, ...], ...]:
    """An epoch's batches as places in `lengths`: every place once, each batch at most `budget` with its padding.

    Raises:
        ValueError: an utterance longer than the budget.
    """
    if not lengths or max(lengths) > budget:
        raise ValueError(
            f"a batch of {budget} must hold its longest utterance, got {max(lengths, default=0)}"
        )
    rng = np.random.default_rng((seed, number, len(lengths)))
    keys = np.array(lengths) * np.exp(LENGTH_JITTER * rng.standard_normal(len(lengths)))
    batches: list[tuple[int, ...]] = []
    held: list[int] = []
    longest = 0
    for place in np.argsort(keys, kind="stable").tolist():
        longest = max(longest, lengths[place])
        if held and longest * (len(held) + 1) > budget:
            batches.append(tuple(held))
            held, longest = [], lengths[place]
        held.append(place)
    batches.append(tuple(held))
    return tuple(batches[i] for i in rng.permutation(len(batches)))


@lru_cache(maxsize=4096)
def _place(lengths: tuple[int, ...], budget: int, seed: int, step: int) -> tuple[int, int]:
    """Epoch, and batch of that epoch, of a step; epochs differ in their number of batches."""
    if step == 0:
        return 0, 0
    # In strides, so that a resumed run does not recurse a thousand times.
    known = max(0, step - 64)
    number, batch = _place(lengths, budget, seed, known)
    for _ in range(step - known):
        batch += 1
        if batch == len(epoch(lengths, budget, seed, number)):
            number, batch = number + 1, 0
    return number, batch


def at(
    lengths: tuple[int, ...],
    budget: int,
    seed: int,
    step: int,
    shard: Shard = Shard(),  # noqa: B008
) -> tuple[int, ...]:
    """Places of the utterances in a step's batch, or in one shard of it.

    Raises:
        ValueError: a batch with fewer utterances than shards.
    """
    number, batch = _place(lengths, budget, seed, step)
    chosen = epoch(lengths, budget, seed, number)[batch]
    if len(chosen) < shard.count:
        raise ValueError(
            f"{shard.count} shards need as many utterances in a batch, got {len(chosen)}; raise batch_s"
        )
    return chosen[shard.index :: shard.count]


def collate(ids: Sequence[str], rows: Sequence[np.ndarray], labels: Sequence[Sequence[int]] = ()) -> Batch:
    """One batch of rows of unequal length: int16 or float32 waveforms, or features of frames."""
    inputs, lengths = pad([as_float(row) for row in rows])
    return Batch(tuple(ids), inputs, lengths, tuple(tuple(label) for label in labels))


def as_float(row: np.ndarray) -> Tensor:
    """Float32; int16 samples are scaled to [-1, 1)."""
    if row.dtype == np.int16:
        return torch.from_numpy(as_floats(row))
    return torch.from_numpy(np.array(row, dtype=np.float32))
