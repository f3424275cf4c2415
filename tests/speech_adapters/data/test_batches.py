"""Batches by seconds: everything once an epoch, within the budget, a function of seed and step alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.recipe import Shard
from speech_adapters.data import batches

LENGTHS = tuple(np.random.default_rng(0).integers(3, 40, size=83).tolist())


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(50, 120), st.integers(0, 5))
def test_an_epoch_holds_everything_once_within_the_budget(lengths, budget, seed):
    found = batches.epoch(tuple(lengths), budget, seed, 0)
    assert sorted(place for batch in found for place in batch) == list(range(len(lengths)))
    assert all(max(lengths[p] for p in batch) * len(batch) <= budget for batch in found)


def test_steps_run_through_epoch_after_epoch():
    first, second = (batches.epoch(LENGTHS, 100, 3, number) for number in (0, 1))
    steps = [batches.at(LENGTHS, 100, 3, step) for step in range(len(first) + len(second))]
    assert steps == [*first, *second]
    assert first != second


def test_a_late_step_needs_no_earlier_one():
    expected = batches.at(LENGTHS, 100, 1, 500)
    batches._place.cache_clear()
    batches.epoch.cache_clear()
    assert batches.at(LENGTHS, 100, 1, 500) == expected


def test_shards_are_disjoint_and_together_the_batch():
    whole = batches.at(LENGTHS, 100, 0, 7)
    parts = [batches.at(LENGTHS, 100, 0, 7, Shard(i, 2)) for i in range(2)]
    assert sorted(parts[0] + parts[1]) == sorted(whole)


def test_padding_is_little():
    filled = [sum(LENGTHS[p] for p in b) / (len(b) * max(LENGTHS[p] for p in b))
              for b in batches.epoch(LENGTHS, 200, 0, 0)]  # fmt: skip
    assert np.mean(filled) > 0.8


def test_what_cannot_fit_is_refused_with_the_numbers():
    with pytest.raises(ValueError, match="batch of 30 must hold its longest utterance, got 40"):
        batches.epoch((10, 40), 30, 0, 0)
    with pytest.raises(ValueError, match="9 shards"):
        batches.at((10, 10), 30, 0, 0, Shard(0, 9))


def test_samples_become_floats_and_rows_are_padded_with_zeros():
    rows = [np.array([16384, -32768], np.int16), np.array([0.5], np.float32)]
    batch = batches.collate(["a", "b"], rows, [(1, 2), (3,)])
    assert torch.equal(batch.inputs, torch.tensor([[0.5, -1.0], [0.5, 0.0]]))
    assert batch.lengths.tolist() == [2, 1]
    assert batch.labels == ((1, 2), (3,))
