"""What an update costs: every cell as often, in turns, and each trains what its name says."""

from collections import Counter
from dataclasses import replace

import pytest

from common.recipe import Measurement, Recipe
from speech_adapters.continual.measures import BACKWARD_S, CELLS, UPDATE_S
from speech_adapters.continual.recipes import SCALES

COST = replace(SCALES["smoke"].recipes["COST"], repeats=2)


def test_every_cell_is_timed_in_every_repeat_the_step_included():
    items, names = list(COST.measure(seed=0, split="test", device="cpu")), [cell.name for cell in CELLS]
    assert Counter(item.part for item in items) == dict.fromkeys(names, 2)
    assert [item.part for item in items[: len(CELLS)]] == names  # they take turns
    assert {item.group for item in items} == {"repeat 01", "repeat 02"}  # the first one does not count
    assert all(item.scores[UPDATE_S.name] >= item.scores[BACKWARD_S.name] > 0 for item in items)
    assert all(set(item.timed) == set(item.scores) for item in items)
    assert len({item.id for item in items}) == len(items)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_a_cell_gives_a_gradient_to_what_it_names(cell, monkeypatch):
    adapted, extractor = CELLS[cell]
    model, optimiser = COST._build(adapted, "cpu")
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    monkeypatch.setattr(optimiser, "zero_grad", lambda: None)
    COST._update(model, optimiser, extractor, "cpu")
    reached = {
        name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()
    }
    moved = {name for name, weight in model.named_parameters() if (weight != before[name]).any()}
    assert moved == reached
    assert any("extractor" in name for name in reached) == extractor
    assert any("attention.query" in name for name in reached) == (not adapted)
    assert any("after_attention" in name for name in reached) == adapted
    assert {"quantiser.codebook", "encoder.layers.0.attention_norm.weight"} <= reached


def test_the_device_asked_for_is_the_one_that_is_timed(monkeypatch):
    asked = []
    monkeypatch.setattr(type(COST), "_build", lambda self, adapted, device: (asked.append(device), None))
    monkeypatch.setattr(type(COST), "_update", lambda self, *rest: (asked.append(rest[-1]), 1.0, 1.0)[1:])
    list(COST.measure(seed=0, split="test", device="cuda"))
    assert set(asked) == {"cuda"}


def test_nothing_is_read_and_nothing_is_trained():
    assert isinstance(COST, Measurement)
    assert not isinstance(COST, Recipe)
    assert COST.manifest_sha256() == ""
