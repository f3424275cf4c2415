"""Laws of the order of items: it depends on seed and step alone, and no item is lost or doubled by cutting."""

import collections

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data.batching import load_batches
from common.data.order import draws
from common.recipe import Shard


@settings(max_examples=60, deadline=None)
@given(
    num_items=st.integers(1, 12),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 9),
    epoch=st.integers(0, 3),
)
def test_every_epoch_is_a_permutation(num_items, batch_size, seed, epoch):
    first, last = epoch * num_items, (epoch + 1) * num_items
    steps = range(first // batch_size, -(-last // batch_size))
    drawn = [draw for step in steps for draw in draws(num_items, batch_size, seed, step)]
    assert sorted(draw.item for draw in drawn if first <= draw.position < last) == list(range(num_items))


@settings(max_examples=60, deadline=None)
@given(num_items=st.integers(1, 12), size=st.integers(1, 4), count=st.integers(1, 4), step=st.integers(0, 20))
def test_shards_are_disjoint_and_together_the_whole_batch(num_items, size, count, step):
    whole = draws(num_items, size * count, 3, step)
    parts = [draws(num_items, size * count, 3, step, Shard(index, count)) for index in range(count)]
    assert [draw for part in parts for draw in part] == whole
    assert len({draw.position for draw in whole}) == size * count


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [[d.item for d in draws(50, 50, seed, step)] for seed in (0, 1) for step in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)


def test_asking_again_or_out_of_order_changes_nothing():
    forwards = [draws(7, 3, 5, step) for step in range(20)]
    backwards = [draws(7, 3, 5, step) for step in reversed(range(20))]
    assert forwards == backwards[::-1]


def test_randomness_of_a_draw_is_its_own_and_differs_between_epochs():
    first, later = (next(d for d in draws(4, 4, 0, step) if d.item == 2) for step in (0, 1))
    assert first.generator().random() == first.generator().random()
    assert first.generator().random() != later.generator().random()
    one, two = (draws(4, 4, seed, 0)[0] for seed in (0, 1))
    assert one.generator().random() != two.generator().random()


def test_impossible_batches_are_refused_with_the_value():
    with pytest.raises(ValueError, match="needs items to draw from, got 0"):
        draws(0, 4, 0, 0)
    with pytest.raises(ValueError, match="multiple of its 3 shards, got 4"):
        draws(7, 4, 0, 0, Shard(0, 3))


def _load(step: int, shard: Shard) -> list[tuple[int, int]]:
    return [(step, draw.item) for draw in draws(7, 12, 0, step, shard)]


def _loaded(**more):
    return list(load_batches(_load, **{"first_step": 0, "last_step": 5, **more}))


def test_starting_later_is_the_tail_of_starting_at_zero():
    assert _loaded(first_step=3) == _loaded()[3:]
    assert _loaded(first_step=3, accumulate=2) == _loaded(accumulate=2)[6:]
    assert _loaded(first_step=5) == []


def test_ranks_and_accumulation_cut_one_global_batch():
    cut = [_loaded(rank=rank, world=2, accumulate=3) for rank in (0, 1)]
    assert [len(part) for part in cut] == [15, 15]
    per_step = collections.defaultdict(list)
    for step, item in (pair for part in cut for batch in part for pair in batch):
        per_step[step].append(item)
    whole = {step: sorted(item for _, item in batch) for step, batch in enumerate(_loaded())}
    assert {step: sorted(items) for step, items in per_step.items()} == whole


@pytest.mark.slow  # processes start; the drills of test_trainer_faults.py use workers as well
@pytest.mark.parametrize("first_step", [0, 3])
def test_workers_deliver_what_no_workers_do(first_step):
    assert _loaded(workers=2, first_step=first_step) == _loaded(first_step=first_step)


def test_order_does_not_read_global_random_state():
    before = draws(7, 7, 0, 0)
    np.random.seed(5)
    torch.manual_seed(5)
    assert draws(7, 7, 0, 0) == before
