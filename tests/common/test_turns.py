"""Optimisers that take turns: each moves its own weights by its own losses, and nothing else changes."""

import pytest
import torch
from toy_recipe import Rivals, Toy

from common import checkpoint, journal, trainer


def _train(folder, recipe, **more):
    return trainer.train(recipe, seed=0, folder=folder, device="cpu", **more)


def _weights(folder):
    return checkpoint.load(folder / "weights.safetensors").tensors


def test_losses_of_every_turn_are_logged_and_summed(tmp_path):
    _train(tmp_path, Rivals(steps=3))
    rows = [row for row in journal.read(tmp_path / "journal.jsonl") if row["event"] == "train"]
    assert all(row["loss"] == pytest.approx(row["square"] + row["fooling"] + row["rival"]) for row in rows)


def test_one_turn_moves_its_own_weights_alone(tmp_path):
    class OnlyRival(Rivals):
        def turns(self):
            return ("rival",)

    torch.manual_seed(0)
    _train(tmp_path / "rival", OnlyRival(steps=4))
    _train(tmp_path / "none", OnlyRival(steps=4, peak_lr=0.0))
    moved, still = _weights(tmp_path / "rival"), _weights(tmp_path / "none")
    changed = {name for name in moved if not torch.equal(moved[name], still[name])}
    assert changed
    assert all(name.startswith("rival.") for name in changed)


def test_several_shards_are_refused(tmp_path):
    with pytest.raises(ValueError, match="optimisers that take turns are for one process"):
        _train(tmp_path, Rivals(accumulate=2))


def test_a_group_of_no_turn_is_of_the_only_one():
    assert Toy().turns() == ("",)
