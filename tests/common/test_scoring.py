"""Laws of scoring: the result is of the very weights, settings and data it names."""

import hashlib
import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from toy_recipe import WIDTH, Toy

from common import checkpoint, papers, results, scoring, trainer, training_run
from common.provenance import provenance
from common.recipe import name_of
from common.results import Item

TOY = Toy(steps=3)
PAPER = replace(papers.find("extreme-vsr"), slug="toy")


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Folder of a trained toy."""
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    folder = PAPER.run_folder("smoke", "TOY", 0)
    trainer.train(TOY, seed=0, folder=folder, device="cpu")
    return folder


def _score(recipe=TOY, **more):
    options = {"scale": "smoke", "seed": 0, "device": "cpu"} | more
    return results.read_run(scoring.score(PAPER, "TOY", recipe, **options))


def test_own_runs_follow_runs_root(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    assert PAPER.run_folder("mini", "TOY", 2) == tmp_path / "toy" / "mini" / "TOY" / "seed2"
    monkeypatch.delenv("RUNS_ROOT")
    assert PAPER.own_results("mini") == scoring.ROOT / "runs" / "toy" / "mini" / "results"


def test_a_result_names_its_weights_settings_and_data(trained):
    result = _score().result
    assert result.weights_sha256 == hashlib.sha256((trained / "weights.safetensors").read_bytes()).hexdigest()
    assert (result.settings_hash, result.manifest_sha256) == (TOY.settings_hash(), "toys")
    assert result.settings == TOY.settings()
    assert result.wall_s["train"] > 0
    assert (result.paper, result.recipe, result.scale, result.split) == ("toy", "TOY", "smoke", "test")


def test_scores_come_from_the_saved_weights_without_dropout(trained):
    network = TOY.model().eval()
    network.load_state_dict(checkpoint.load(trained / "weights.safetensors").tensors)
    with torch.inference_mode():
        expected = [network(torch.full((1, WIDTH), float(number))).item() for number in range(3)]
    assert [item.scores["output"] for item in _score().items] == expected
    assert _score().items == _score().items


@pytest.mark.parametrize("when_trained", [False, True])
@pytest.mark.parametrize("when_scored", [False, True])
def test_a_checkout_that_was_changed_at_either_time_counts_as_dirty(
    tmp_path, monkeypatch, when_trained, when_scored
):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    for module, dirty in ((training_run, when_trained), (scoring, when_scored)):
        found = partial(lambda dirty, *told, **more: provenance(*told, **more) | {"dirty": dirty}, dirty)
        monkeypatch.setattr(module, "provenance", found)
    trainer.train(TOY, seed=0, folder=PAPER.run_folder("smoke", "TOY", 0), device="cpu")
    assert _score().result.dirty is (when_trained or when_scored)


def test_totals_are_mean_and_median_per_part():
    scores = {"few": [1.0, 2.0, 9.0], "many": [4.0, 6.0]}
    items = [Item(f"{part}{v}", "g", part, {"psnr": v}) for part, values in scores.items() for v in values]
    assert scoring.totals(items) == {
        "few/psnr/mean": 4.0, "few/psnr/median": 2.0, "many/psnr/mean": 5.0, "many/psnr/median": 5.0
    }  # fmt: skip


def test_every_opening_of_test_is_counted_and_dev_counts_apart(trained):
    assert [_score().result.test_opened for _ in range(3)] == [1, 2, 3]
    assert _score(split="dev").result.test_opened == 1
    assert json.loads((trained / "opened.json").read_text()) == {"test": 3, "dev": 1}
    assert sorted(run.result.split for run in results.read(PAPER.own_results("smoke"))) == ["dev", "test"]


def test_pictures_are_those_of_the_last_scoring(trained):
    (trained / "pictures-test").mkdir()
    (trained / "pictures-test" / "stale.txt").write_text("of another network")
    _score()
    assert sorted(path.name for path in (trained / "pictures-test").iterdir()) == ["0.txt", "1.txt", "2.txt"]


def test_weights_of_other_settings_or_data_are_not_scored(trained, monkeypatch):
    other = replace(TOY, dropout=0.5)
    told = (
        f"trained with settings {TOY.settings_hash()}, this recipe has {other.settings_hash()}; train again"
    )
    with pytest.raises(ValueError, match=told):
        _score(other)
    monkeypatch.setattr(Toy, "manifest_sha256", lambda self: "others")
    with pytest.raises(ValueError, match="trained with data toys, this recipe has others"):
        _score()
    assert results.read(PAPER.own_results("smoke")) == []


def test_missing_or_damaged_weights_are_not_scored(trained):
    path = trained / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"weights\.safetensors: its checksum does not match"):
        _score()
    with pytest.raises(ValueError, match="holds no finished weights; train first"):
        _score(seed=1)
    assert results.read(PAPER.own_results("smoke")) == []


def test_a_method_without_training_is_scored_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    result = _score(replace(TOY, steps=0)).result
    assert (result.weights_sha256, result.wall_s["train"]) == (None, 0.0)


def test_only_registered_settings_bear_a_recipes_name():
    assert name_of("TOY", Toy(steps=3), TOY) == "TOY"
    other = replace(TOY, peak_lr=0.5)
    assert name_of("TOY", other, TOY) == f"TOY-set-{other.settings_hash()}"


def test_weights_are_published_of_their_own_scale_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(scoring.results, "find", lambda folder, name, seed: asked.append((folder.name, name)))
    paper = papers.find("extreme-vsr")
    for scale in ("gpu", "mini"):
        assert scoring.publish_weights(paper, scale) == []
    assert asked == [("mini", "EVESRNET"), ("mini", "WIDE")]
