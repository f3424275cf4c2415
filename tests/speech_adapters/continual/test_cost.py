"""What an update costs: every cell as often, in turns, and each trains what its name says."""

from collections import Counter
from dataclasses import replace

import pytest

from common.recipe import Shard
from speech_adapters.continual.cost import CELLS
from speech_adapters.continual.recipes import SCALES

COST = replace(SCALES["smoke"].recipes["COST"], repeats=2)


def test_every_cell_is_timed_in_every_repeat_the_step_included(tmp_path):
    items = list(COST.score(COST.model(), seed=0, split="test", pictures=tmp_path))
    assert Counter(item.part for item in items) == dict.fromkeys(CELLS, 2)
    assert [item.part for item in items[: len(CELLS)]] == list(CELLS)  # they take turns
    assert {item.group for item in items} == {"repeat 01", "repeat 02"}  # the first one does not count
    assert all(item.scores["update_s"] >= item.scores["backward_s"] > 0 for item in items)
    assert len({item.id for item in items}) == len(items)


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_gives_a_gradient_to_what_it_names(cell, monkeypatch):
    adapted, extractor = CELLS[cell]
    model, optimiser = COST._build(adapted, "cpu")
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    monkeypatch.setattr(optimiser, "zero_grad", lambda: None)
    COST._update(model, optimiser, adapted, extractor, "cpu")
    reached = {
        name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()
    }
    moved = {name for name, weight in model.named_parameters() if (weight != before[name]).any()}
    assert moved == reached
    assert any("extractor" in name for name in reached) == extractor
    assert any("attention.query" in name for name in reached) == (not adapted)
    assert any("after_attention" in name for name in reached) == adapted
    assert {"quantiser.codebook", "encoder.layers.0.attention_norm.weight"} <= reached


def test_nothing_is_read_and_nothing_is_trained():
    assert COST.steps == 0
    assert not list(COST.model().parameters())
    assert COST.manifest_sha256() == ""
    with pytest.raises(AssertionError, match="nothing is trained"):
        COST.batch(0, 0, Shard())
    with pytest.raises(ValueError, match="steps must be 0, got 3"):
        replace(COST, steps=3)
