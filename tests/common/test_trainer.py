"""Laws of the training loop: what it minimises, guards, refuses and leaves behind."""

import math
from dataclasses import replace
from shutil import which

import pytest
import torch
from toy_recipe import NUM_ITEMS, Lettered, Toy

from common import checkpoint, journal, trainer
from common.errors import Diverged
from common.recipe import Shard
from common.schedule import Cosine

QUICK = Toy(steps=6)


def _train(folder, recipe=QUICK, **more):
    return trainer.train(recipe, **{"seed": 0, "folder": folder, "device": "cpu", **more})


def _rows(folder):
    """Training rows without what a clock decides."""
    rows = [row for row in journal.read(folder / "journal.jsonl") if row["event"] == "train"]
    return [{key: value for key, value in row.items() if key not in ("time", "wall_s")} for row in rows]


def _weights(folder):
    return checkpoint.load(folder / "weights.safetensors").tensors


def _unfinish(folder):
    """As a run killed right before it wrote its weights."""
    for suffix in (".safetensors", ".json"):
        (folder / "weights").with_suffix(suffix).unlink()


def _furthest(one, two):
    return max((one[name] - two[name]).abs().max().item() for name in one if name != "mean_output")


def test_training_learns_and_says_every_term(tmp_path):
    trained = _train(tmp_path, Toy(steps=60, dropout=0.0, log_every=2))
    rows = _rows(tmp_path)
    assert [row["step"] for row in rows] == list(range(2, 61, 2))
    assert sum(row["square"] for row in rows[-5:]) < 0.2 * sum(row["square"] for row in rows[:5])
    assert rows[0]["loss"] == pytest.approx(rows[0]["square"] + rows[0]["trap"])
    assert {"gradient_norm", "lr", "mean_output", "items"} <= rows[0].keys()
    assert (trained.steps, trained.weights) == (60, tmp_path / "weights.safetensors")


def test_a_fused_optimiser_trains_the_same_but_for_rounding(tmp_path):
    _train(tmp_path / "usual")
    _train(tmp_path / "fused", replace(QUICK, fused=True))
    assert _furthest(*(_weights(tmp_path / name) for name in ("usual", "fused"))) < 1e-6


@pytest.mark.slow  # torch's compiler takes half a minute
@pytest.mark.skipif(not which("g++"), reason="torch compiles with g++")
def test_a_compiled_network_trains_the_same_but_for_rounding(tmp_path):
    _train(tmp_path / "usual", replace(QUICK, dropout=0.0))
    _train(tmp_path / "compiled", replace(QUICK, dropout=0.0, compile="default"))
    assert _furthest(*(_weights(tmp_path / name) for name in ("usual", "compiled"))) < 1e-5


def test_an_unknown_mode_of_compiling_lists_the_known_ones():
    with pytest.raises(ValueError, match="compile must be one of default, reduce-overhead, got 'fast'"):
        replace(QUICK, compile="fast")


def test_equal_runs_are_equal_byte_for_byte_and_seeds_differ(tmp_path):
    weights = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        _train(tmp_path / name, seed=seed)
        weights.append(_weights(tmp_path / name))
    assert _furthest(weights[0], weights[1]) == 0
    assert _furthest(weights[0], weights[2]) > 1e-3
    assert _rows(tmp_path / "one") == _rows(tmp_path / "two")


def test_scored_weights_are_the_averaged_ones(tmp_path):
    averaged, last = (_train(tmp_path / str(decay), replace(QUICK, ema_decay=decay)) for decay in (0.9, 0.0))
    raw = checkpoint.newest(tmp_path / "0.9" / "checkpoints").tensors
    averages = {name.removeprefix("ema."): tensor for name, tensor in raw.items() if name.startswith("ema.")}
    assert len(averages) == 4
    final = checkpoint.load(averaged.weights).tensors
    assert all(torch.equal(final[name], average) for name, average in averages.items())
    # Averaging only watches: the weights it averages are those of a run without it.
    unaveraged = checkpoint.load(last.weights).tensors
    assert all(torch.equal(raw[f"model.{name}"], weight) for name, weight in unaveraged.items())
    assert _furthest(final, unaveraged) > 1e-3


def test_the_average_follows_its_formula(tmp_path):
    trainer.runtime.seed_all(0, "init")
    start = QUICK.model().state_dict()["layers.0.weight"].clone()
    _train(tmp_path, replace(QUICK, steps=1, schedule=Cosine()))
    raw = checkpoint.newest(tmp_path / "checkpoints").tensors
    expected = 0.9 * start + 0.1 * raw["model.layers.0.weight"]
    assert torch.allclose(raw["ema.layers.0.weight"], expected, atol=1e-7)


@pytest.mark.parametrize("recipe", [QUICK, Lettered(steps=6)], ids=["equal shards", "shards of letters"])
@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulating_changes_no_number(tmp_path, accumulate, recipe):
    exact = replace(recipe, dropout=0.0)
    _train(tmp_path / "whole", exact)
    _train(tmp_path / "parts", replace(exact, accumulate=accumulate))
    assert _furthest(_weights(tmp_path / "whole"), _weights(tmp_path / "parts")) < 1e-5
    for whole, parts in zip(_rows(tmp_path / "whole"), _rows(tmp_path / "parts"), strict=True):
        assert whole["loss"] == pytest.approx(parts["loss"], abs=1e-5)
        assert whole["gradient_norm"] == pytest.approx(parts["gradient_norm"], abs=1e-5)
        assert whole["items"] == parts["items"]


def test_a_recipe_that_shards_would_change_is_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(Toy, "not_in_shards", lambda self: "a pair needs its negatives; use accumulate=1")
    _train(tmp_path / "one")
    with pytest.raises(
        ValueError, match=r"^2 shards of a batch do not train what one process does: a pair needs"
    ):
        _train(tmp_path / "two", replace(QUICK, accumulate=2))


@pytest.mark.parametrize("clip_norm", [0.0, 0.01])
def test_clipping_bounds_the_gradient_that_is_stepped_on(tmp_path, monkeypatch, clip_norm):
    seen = []
    step = torch.optim.AdamW.step

    def watching(optimizer, *rest, **more):
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        seen.append(torch.stack([weight.grad.norm() for weight in weights]).norm().item())
        return step(optimizer, *rest, **more)

    monkeypatch.setattr(torch.optim.AdamW, "step", watching)
    _train(tmp_path, replace(QUICK, clip_norm=clip_norm))
    logged = [row["gradient_norm"] for row in _rows(tmp_path)]  # before clipping
    assert min(logged) > 0.02
    assert seen == pytest.approx([min(norm, clip_norm or math.inf) for norm in logged], rel=1e-3)


# ---- a run that must not go on


@pytest.mark.parametrize("fault", ["nan_loss_at", "nan_gradient_at"])
@pytest.mark.parametrize("log_every", [1, 5])
def test_a_run_without_numbers_stops_and_names_step_items_and_last_good(tmp_path, fault, log_every):
    recipe = replace(QUICK, log_every=log_every, save_every_s=-1.0 if log_every == 1 else 60.0, **{fault: 3})
    items = ", ".join(recipe.item_ids(0, 3, Shard()))
    with pytest.raises(
        Diverged, match=rf"^step 4: loss or gradient is no number .*; items: {items}; "
    ) as error:
        _train(tmp_path, recipe)
    good = "step 3 is the last good checkpoint" if log_every == 1 else "no checkpoint was saved"
    assert good in str(error.value)
    assert ('"square": "nan"' in str(error.value)) == (fault == "nan_loss_at")
    assert not (tmp_path / "weights.safetensors").exists()
    found = checkpoint.newest(tmp_path / "checkpoints")
    assert (found.state["step"] if found else 0) == (3 if log_every == 1 else 0)
    assert journal.read(tmp_path / "journal.jsonl")[-1]["event"] == "diverged"
    assert len(items.split(", ")) == 4


def test_an_exploding_rate_is_stopped_before_anything_bad_is_saved(tmp_path):
    with pytest.raises(Diverged, match=r"no number|NaN or infinity"):
        _train(tmp_path, replace(QUICK, peak_lr=1e30, save_every_s=-1.0))
    assert not (tmp_path / "weights.safetensors").exists()
    for path in checkpoint.steps_saved(tmp_path / "checkpoints"):
        assert all(torch.isfinite(tensor).all() for tensor in checkpoint.load(path).tensors.values())


def test_weights_that_break_without_a_sign_end_the_run_too(tmp_path, monkeypatch):
    """Loss and gradient are numbers, and what an optimiser made of them is none."""

    def poison(optimizer, *rest, **more):
        optimizer.param_groups[0]["params"][0].data[0, 0] = math.inf

    monkeypatch.setattr(torch.optim.AdamW, "step", poison)
    with pytest.raises(Diverged, match=r"step 1: .*layers\.0\.weight holds NaN or infinity; items: toy-"):
        _train(tmp_path, replace(QUICK, steps=1))
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_collapse_the_recipe_knows_stops_the_run(tmp_path):
    with pytest.raises(Diverged, match=r"^step 4: the toy has collapsed; items: toy-"):
        _train(tmp_path, replace(QUICK, collapse_at=4))
    assert not (tmp_path / "weights.safetensors").exists()


# ---- resuming (kills are in test_trainer_faults.py)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_run_on_a_gpu_goes_on_from_its_checkpoint_to_the_same_weights(tmp_path, capsys):
    recipe = replace(QUICK, save_every_s=0.0)
    _train(tmp_path, recipe, device="cuda")
    whole = _weights(tmp_path)
    oldest, *newer = sorted((tmp_path / "checkpoints").glob("*.safetensors"))
    for path in newer:
        path.unlink()
    _unfinish(tmp_path)
    _train(tmp_path, recipe, device="cuda", resume="must")
    assert f"from {oldest}" in capsys.readouterr().err
    assert newer
    assert _furthest(whole, _weights(tmp_path)) < 1e-6


@pytest.mark.parametrize(
    ("key", "change", "told"),
    [
        (
            "settings",
            {"recipe": replace(QUICK, weight_decay=0.5)},
            replace(QUICK, weight_decay=0.5).settings_hash(),
        ),
        ("seed", {"seed": 5}, "5"),
        ("data", {"recipe": QUICK}, "other toys"),
    ],
)
def test_another_run_is_not_resumed_and_both_values_are_named(tmp_path, monkeypatch, key, change, told):
    _train(tmp_path)
    before = (tmp_path / "weights.safetensors").read_bytes()
    if key == "data":
        monkeypatch.setattr(Toy, "manifest_sha256", lambda self: "other toys")
    ours = {"settings": QUICK.settings_hash(), "seed": "0", "data": "toys"}[key]
    with pytest.raises(ValueError, match=f"made with {key} {ours}, this run has {told}; .*--resume never"):
        _train(tmp_path, **change)
    assert (tmp_path / "weights.safetensors").read_bytes() == before


def test_another_number_of_ranks_is_not_resumed(tmp_path):
    _train(tmp_path)
    _unfinish(tmp_path)
    path = checkpoint.steps_saved(tmp_path / "checkpoints")[0]
    found = checkpoint.load(path)
    identity = found.state["identity"] | {"world_size": 2}
    checkpoint.save(path, found.tensors, found.state | {"identity": identity})
    with pytest.raises(ValueError, match="made with world_size 2, this run has 1"):
        _train(tmp_path)


def test_resume_must_fails_without_a_checkpoint_and_unknown_words_fail(tmp_path):
    with pytest.raises(ValueError, match=r"no intact checkpoint in .*checkpoints; start with --resume auto"):
        _train(tmp_path, resume="must")
    with pytest.raises(ValueError, match="resume must be auto, must, never or replace, got 'yes'"):
        _train(tmp_path, resume="yes")


def test_resume_never_starts_anew_and_forgets_the_old_run(tmp_path, capsys):
    _train(tmp_path, seed=1)
    with pytest.raises(Diverged):
        _train(tmp_path, replace(QUICK, collapse_at=2), resume="never")
    assert "fresh run of 6 steps" in capsys.readouterr().err
    assert not (tmp_path / "weights.safetensors").exists()
    assert not (tmp_path / "weights.json").exists()
    assert checkpoint.newest(tmp_path / "checkpoints") is None
    assert [row["event"] for row in journal.read(tmp_path / "journal.jsonl")] == [
        "start",
        "train",
        "diverged",
    ]


def test_a_run_whose_weights_alone_are_missing_trains_nothing_and_writes_equal_ones(tmp_path, capsys):
    _train(tmp_path)
    before, rows = _weights(tmp_path), _rows(tmp_path)
    _unfinish(tmp_path)
    _train(tmp_path, resume="must")
    assert "resumed step 6 from" in capsys.readouterr().err
    assert _furthest(before, _weights(tmp_path)) == 0
    assert _rows(tmp_path) == rows


def test_a_resumed_run_hears_from_its_mirrors_where_it_goes_on(tmp_path):
    first_steps = []

    def mirrors(first_step):
        first_steps.append(first_step)
        return []

    _train(tmp_path, mirrors=mirrors)
    _unfinish(tmp_path)
    _train(tmp_path, mirrors=mirrors)
    assert first_steps == [0, 6]


def test_previews_are_pictures_with_rows(tmp_path):
    _train(tmp_path, replace(QUICK, preview_every=4))
    rows = [row for row in journal.read(tmp_path / "journal.jsonl") if row["event"] == "picture"]
    assert [(row["step"], row["file"]) for row in rows] == [(4, "grey-000004.png"), (6, "grey-000006.png")]
    assert all((tmp_path / "previews" / row["file"]).stat().st_size > 0 for row in rows)


def test_steps_run_on_across_epochs():
    """What the drills rely on: six steps of four of seven items end in the fourth epoch."""
    ids = [id_ for step in range(6) for id_ in QUICK.item_ids(0, step, Shard())]
    for epoch in range(3):
        assert len(set(ids[epoch * NUM_ITEMS : (epoch + 1) * NUM_ITEMS])) == NUM_ITEMS


def test_resume_replace_starts_anew_over_another_runs_checkpoint_and_goes_on_from_its_own(tmp_path, capfd):
    before = _train(tmp_path).weights.read_bytes()
    _unfinish(tmp_path)
    again = _train(tmp_path, resume="replace")
    assert "resumed step" in capfd.readouterr().err
    assert again.weights.read_bytes() == before
    trainer.train(Toy(size=2.0), seed=0, folder=tmp_path, device="cpu", resume="replace")
    assert "is of other settings or data, so this run starts anew" in capfd.readouterr().err
    assert (tmp_path / "former-1" / "weights.safetensors").read_bytes() == before
    assert journal.read(tmp_path / "former-1" / "journal.jsonl")[-1]["event"] == "end"


# ---- weights on the way

KEPT = replace(QUICK, keep_every=2)


def _snapshots(folder):
    return [path.stem for path in sorted((folder / "snapshots").glob("*.safetensors"))]


def test_weights_on_the_way_are_those_of_a_run_that_ended_there(tmp_path):
    _train(tmp_path / "kept", KEPT)
    assert _snapshots(tmp_path / "kept") == ["step-00000002", "step-00000004", "step-00000006"]
    # At a constant rate the first steps of a long run are a short run.
    steady = replace(KEPT, schedule=Cosine(final_ratio=1.0), ema_decay=0.0)
    _train(tmp_path / "long", steady)
    _train(tmp_path / "short", replace(steady, steps=4))
    found = checkpoint.load(tmp_path / "long" / "snapshots" / "step-00000004.safetensors")
    ended = _weights(tmp_path / "short")
    assert found.tensors.keys() == ended.keys()
    assert all(torch.equal(found.tensors[name], ended[name]) for name in ended)
    assert found.state["step"] == 4
    assert (
        0
        <= found.state["wall_s"]
        <= checkpoint.load(tmp_path / "long" / "weights.safetensors").state["wall_s"]
    )


def test_keeping_weights_on_the_way_changes_no_number(tmp_path):
    _train(tmp_path / "kept", KEPT)
    _train(tmp_path / "plain")
    assert not (tmp_path / "plain" / "snapshots").exists()
    assert _furthest(_weights(tmp_path / "kept"), _weights(tmp_path / "plain")) == 0
    assert KEPT.settings_hash() == QUICK.settings_hash()


def test_a_fresh_run_forgets_the_snapshots_of_the_one_before(tmp_path):
    _train(tmp_path, KEPT)
    _train(tmp_path, replace(KEPT, keep_every=4), resume="never")
    assert _snapshots(tmp_path) == ["step-00000004"]


def test_a_resumed_run_forgets_what_was_kept_after_the_step_it_goes_on_from(tmp_path, monkeypatch):
    recipe = replace(QUICK, keep_every=1, save_every_s=-1.0)
    _train(tmp_path, recipe)
    newest, _ = checkpoint.steps_saved(tmp_path / "checkpoints")
    newest.unlink()
    _unfinish(tmp_path)
    monkeypatch.setattr(Toy, "check", lambda self, values, step: "stop right after the resume")
    with pytest.raises(Diverged, match="step 6: stop"):
        _train(tmp_path, recipe)
    assert _snapshots(tmp_path) == [f"step-{step:08d}" for step in range(1, 6)]
