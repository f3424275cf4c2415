"""The recipe behind every arm: what is frozen stays, a set is all there is to a language, ranks change nothing."""

import copy
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import toy_recipe
from typer.testing import CliRunner

from common import checkpoint, journal, run, trainer
from common.errors import Diverged
from common.recipe import Shard
from common.schedule import Cosine, InTurn
from speech_adapters.checkpoints import by_name
from speech_adapters.checkpoints.adapter_sets import AdapterBank, AdapterSet
from speech_adapters.continual import forgetting
from speech_adapters.continual.recipes import SCALES
from speech_adapters.data import crops
from speech_adapters.data.sources import AMAZON_QUEEN, ASTERISK, TONES, TUXPAINT
from speech_adapters.model.arm import Arm
from speech_adapters.pretrain.recipe import FirstStage

# In full precision and of four short crops, so that shards are of different numbers of masked frames.
SHORT = {"crop_s": 1.0, "batch_s": 4.0, "cpu_bf16": False, "keep_every": 0}
FULL = replace(SCALES["smoke"].recipes["FULL_FR"], **SHORT)
ADAPTERS = replace(SCALES["smoke"].recipes["ADAPTERS_FR"], **SHORT)
ARMS = {
    "everything": FULL,
    "all but the extractor": replace(FULL, extractor_trained=False),
    "adapters": ADAPTERS,
    "adapters and the extractor": replace(ADAPTERS, extractor_trained=True),
    "lora": replace(ADAPTERS, arm=replace(ADAPTERS.arm, kind="lora")),
    "quantiser and projections": replace(ADAPTERS, arm=Arm(kind="head")),
}
MANY = 200  # updates
CROP = 16_000


def _trained(recipe, folder, seed=0):
    """The model that a training leaves."""
    model = recipe.model()
    model.load_state_dict(checkpoint.load(
        trainer.train(recipe, seed=seed, folder=folder, device="cpu").weights).tensors)  # fmt: skip
    return model.eval()


def _rows(folder):
    rows = [row for row in journal.read(folder / "journal.jsonl") if row["event"] == "train"]
    return [{key: value for key, value in row.items() if key not in ("time", "wall_s")} for row in rows]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Adapters after hundreds of updates at a high rate, and where they were trained."""
    folder = tmp_path_factory.mktemp("learned")
    recipe = replace(
        ADAPTERS,
        steps=MANY,
        peak_lr=1e-2,
        schedule=Cosine(warmup_steps=10),
        crop_s=0.5,
        batch_s=1.0,
        log_every=10,
    )
    return recipe, _trained(recipe, folder), folder


def _set(recipe, model, language="fr"):
    return AdapterSet.of(model, recipe.arm, language, by_name.sha256(recipe.first_model), {})


def _waveform(seed=0, samples=CROP):
    return 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))


# ---- what is trained


@pytest.mark.parametrize("name", ARMS)
def test_what_is_frozen_is_bit_equal_after_training_and_the_rest_has_moved(name, tmp_path):
    recipe = replace(ARMS[name], peak_lr=1e-2)
    after, source = dict(_trained(recipe, tmp_path).named_parameters()), recipe.model()
    kept = {name for name, weight in source.named_parameters() if not weight.requires_grad}
    assert all(torch.equal(after[name], weight) for name, weight in source.named_parameters() if name in kept)
    mine = {name.removeprefix("encoder."): weight for name, weight in after.items()}
    moved = {
        name
        for name, weight in by_name.load(recipe.first_model).named_parameters()
        if name in mine and not torch.equal(mine[name], weight)
    }
    trained = {name.removeprefix("encoder.") for name in set(after) - kept}
    assert moved <= trained
    assert moved or recipe.arm.kind in ("head", "lora")
    assert any("extractor" in name for name in moved) == recipe.extractor_trained
    assert all("quantiser" not in name for name in kept)


@pytest.mark.parametrize("name", ARMS)
def test_the_optimiser_has_state_of_what_is_trained_and_of_nothing_else(name, tmp_path):
    recipe = replace(ARMS[name], steps=1, schedule=Cosine())
    model = _trained(recipe, tmp_path)
    tensors = checkpoint.newest(tmp_path / "checkpoints").tensors
    held = {int(key.split(".")[1]) for key in tensors if key.startswith("optimizer.")}
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert held == set(range(len(trained)))
    assert all(tensors[f"optimizer.{i}.exp_avg"].shape == weight.shape for i, weight in enumerate(trained))


def test_an_anchor_pulls_back_to_the_source(tmp_path):
    free, anchored = (replace(FULL, peak_lr=1e-2, steps=8, anchor_weight=weight) for weight in (0.0, 100.0))
    source = by_name.load(FULL.first_model).state_dict()

    def moved(recipe):
        after = _trained(recipe, tmp_path / str(recipe.anchor_weight)).encoder.state_dict()
        return sum(float((after[name] - weight).square().sum()) for name, weight in source.items())

    assert moved(anchored) < 0.5 * moved(free)
    terms = [row["anchor"] for row in _rows(tmp_path / "100.0")]
    assert terms[0] == 0
    assert min(terms[1:]) > 0


# ---- sets


def test_switched_off_after_hundreds_of_updates_the_encoder_is_the_source_to_the_bit(learned):
    recipe, model, _ = learned
    source = recipe.first_language_model().encoder
    before, frames = source(_waveform())
    bank = AdapterBank(copy.deepcopy(source))
    bank.add("fr", _set(recipe, model))
    lengths = torch.full((2,), CROP)
    off, same_frames = bank.encode(_waveform(), lengths, [None, None])
    assert torch.equal(off, before)
    assert torch.equal(same_frames, frames)
    assert not torch.allclose(bank.encode(_waveform(), lengths, ["fr", "fr"])[0], before, atol=0.1)
    items = list(forgetting.switched_off_items(source, _set(recipe, model), TONES, "test", CROP))
    assert items
    assert all(item.scores["off"] == 0 and item.scores["on"] > 0.1 for item in items)


def test_a_set_saved_alone_gives_the_trained_model_back_to_the_bit(learned, tmp_path):
    recipe, model, _ = learned
    _set(recipe, model).save(tmp_path / "fr.safetensors")
    again = recipe.first_language_model()
    AdapterSet.load(tmp_path / "fr.safetensors").put_into(again)
    state = again.eval().state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(state[name], weight) for name, weight in model.state_dict().items())
    batch = recipe.batch(3, 0, Shard())
    losses = [
        one(batch.inputs, batch.lengths, batch.mask, seeds=batch.seeds, negatives=None)
        for one in (model, again)
    ]
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])


def test_a_set_holds_what_was_trained_and_no_matrix_of_the_encoder(learned):
    recipe, model, _ = learned
    names = set(_set(recipe, model).tensors)
    assert {"quantiser.codebook", "code_projection.weight", "context_projection.bias"} <= names
    assert {"encoder.layers.0.attention_norm.weight", "encoder.layers.1.after_feed_forward.up.bias"} <= names
    assert names == {name for name, weight in recipe.model().named_parameters() if weight.requires_grad}
    assert not [
        name for name in names if any(part in name for part in ("extractor", ".attention.", "expand"))
    ]


def test_one_languages_set_never_touches_anothers(learned, tmp_path):
    recipe, model, _ = learned
    spanish = _trained(replace(recipe, language="es", steps=3), tmp_path, seed=5)
    bank, lengths = AdapterBank(recipe.first_language_model().encoder), torch.full((2,), CROP)
    bank.add("fr", _set(recipe, model))
    alone, _ = bank.encode(_waveform(), lengths, ["fr", "fr"])
    bank.add("es", _set(recipe, spanish, "es"))
    for languages in (["fr", "es"], ["es", "fr"]):
        both, _ = bank.encode(_waveform(), lengths, languages)
        row = languages.index("fr")
        torch.testing.assert_close(both[row], alone[row], atol=1e-5, rtol=0)  # another size of batch
    assert torch.equal(bank.encode(_waveform(), lengths, ["fr", "fr"])[0], alone)
    assert not torch.allclose(bank.encode(_waveform(), lengths, ["es", "es"])[0], alone, atol=0.05)


# ---- what it is trained on


@pytest.fixture
def named_crops(monkeypatch):
    """Crops that are names of their sources."""

    def draw(sources, split, samples, count, key):
        return [
            SimpleNamespace(id=f"{'+'.join(source.name for source in sources)} {split}") for _ in range(count)
        ]

    monkeypatch.setattr(crops, "draw", draw)


def _drawn(recipe, steps):
    return [id_ for step in steps for id_ in recipe.item_ids(0, step, Shard())]


@pytest.mark.usefixtures("named_crops")
@pytest.mark.parametrize("share", [0.0, 0.05, 0.125, 0.25])
def test_the_share_of_replay_comes_out(share):
    recipe = replace(FULL, sources=(ASTERISK["fr"],), replayed=(AMAZON_QUEEN,), replay_share=share)
    counts = Counter(_drawn(recipe, range(400)))
    assert counts["fotaq-en train"] == share * 1600
    assert sum(counts.values()) == 1600
    half = Counter(_drawn(recipe, range(200)))  # spread over the training
    assert half["fotaq-en train"] == pytest.approx(share * 800, abs=1)


@pytest.mark.usefixtures("named_crops")
def test_a_chain_switches_sources_and_begins_its_rate_anew():
    first = replace(FULL, sources=(ASTERISK["fr"],), steps=50, schedule=Cosine(warmup_steps=5), peak_lr=1.0)
    chain = replace(
        first,
        then=(ASTERISK["es"], TUXPAINT["es"]),
        steps=100,
        switch_step=50,
        schedule=InTurn(first_steps=50, schedule=first.schedule),
    )
    assert set(_drawn(chain, range(50))) == {"asterisk-fr train"}
    assert set(_drawn(chain, range(50, 100))) == {"asterisk-es+tuxpaint-es train"}
    assert [chain.lr(step) for step in range(100)] == 2 * [first.lr(step) for step in range(50)]


def test_the_rate_of_a_chain_begins_anew_where_its_sources_switch():
    with pytest.raises(ValueError, match=r"InTurn.*must switch at step 3 as the sources do"):
        replace(ADAPTERS, then=(TONES,), switch_step=3)
    with pytest.raises(ValueError, match="must switch at step 3"):
        replace(ADAPTERS, then=(TONES,), switch_step=3, schedule=InTurn(first_steps=2))


def test_a_chain_goes_on_from_what_the_first_language_left(tmp_path):
    """Its first half is the run of the first language alone."""
    first = replace(ADAPTERS, steps=3, keep_every=3)
    in_turn = InTurn(first_steps=3, schedule=first.schedule)
    chain = replace(first, then=(TONES,), steps=5, switch_step=3, schedule=in_turn)
    alone = _trained(first, tmp_path / "first").state_dict()
    _trained(chain, tmp_path / "chain")
    kept = checkpoint.load(tmp_path / "chain" / "snapshots" / "step-00000003.safetensors").tensors
    assert all(torch.equal(kept[name], weight) for name, weight in alone.items())


@pytest.mark.parametrize("step", [0, 7])
def test_shards_together_are_the_whole_batch_masks_and_draws_included(step):
    whole, parts = FULL.batch(0, step, Shard()), [FULL.batch(0, step, Shard(i, 2)) for i in range(2)]
    for name in ("inputs", "mask"):
        together = torch.stack([getattr(part, name) for part in parts], dim=1).flatten(0, 1)
        assert torch.equal(together, getattr(whole, name))
    assert whole.seeds == tuple(
        seed for pair in zip(*(part.seeds for part in parts), strict=True) for seed in pair
    )
    assert {part.masked_frames_per_shard for part in parts} == {float(whole.mask.sum()) / 2}
    assert len(set(whole.seeds)) == 4


# ---- ranks, resumes, collapses


def test_codes_used_evenly_are_not_asked_of_parts_one_after_another(tmp_path):
    """Processes exchange how often each code is used; what is accumulated cannot."""
    with pytest.raises(
        ValueError, match=r"^2 shards of a batch .* accumulate=2 sees parts .* more processes$"
    ):
        _trained(replace(FULL, batch_size=2, accumulate=2), tmp_path)
    free = replace(FULL.objective, diversity_weight=0.0)
    assert replace(FULL, batch_size=2, accumulate=2, objective=free).not_in_shards() == ""


def test_a_batch_is_not_cut_into_unequal_shards():
    with pytest.raises(
        ValueError, match="3 shards must hold equally many of a batch's 4 crops; change batch_s"
    ):
        FULL.batch(0, 0, Shard(0, 3))


@pytest.mark.parametrize("unmasked_weight", [0.0, 0.5])
def test_shards_of_the_first_stage_average_to_the_whole_batch(unmasked_weight):
    recipe = FirstStage(
        architecture=FULL.architecture, sources=FULL.sources, scored_on=(), batch_s=FULL.batch_s,
        crop_s=FULL.crop_s, steps=3, batch_size=FULL.batch_size, peak_lr=1e-3, schedule=FULL.schedule,
        unmasked_weight=unmasked_weight, masking=FULL.masking,
    )  # fmt: skip
    model = recipe.model().eval()
    whole = recipe.losses(model, recipe.batch(0, 0, Shard()), 0)
    parts = [recipe.batch(0, 0, Shard(i, 2)) for i in range(2)]
    assert parts[0].mask.sum() != parts[1].mask.sum()
    losses = [recipe.losses(model, part, 0) for part in parts]
    for name, loss in whole.items():
        assert sum(of_part[name].item() for of_part in losses) / 2 == pytest.approx(loss.item(), rel=1e-5), (
            name
        )


@pytest.mark.parametrize("recipe", [FULL, ADAPTERS], ids=["everything", "adapters"])
def test_two_ranks_train_like_one(recipe, tmp_path):
    recipe = replace(recipe, steps=3, log_every=1)
    assert toy_recipe.run(tmp_path / "one", recipe) == 0, (tmp_path / "one" / "said.txt").read_text()
    assert toy_recipe.two_ranks(tmp_path / "two", recipe) == [0, 0]
    for ours, theirs in zip(_rows(tmp_path / "one"), _rows(tmp_path / "two"), strict=True):
        for name in ("loss", "contrastive", "diversity", "soft_perplexity"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-5), name
    one, two = (checkpoint.load(tmp_path / name / "weights.safetensors").tensors for name in ("one", "two"))
    # Its gradient is rounding alone, which Adam brings to full length.
    far = {name: (one[name] - two[name]).abs().max() for name in one if "attention.key.bias" not in name}
    assert max(far.values()) < 1e-4, max(far, key=far.get)


@pytest.mark.parametrize("recipe", [FULL, ADAPTERS], ids=["everything", "adapters"])
def test_a_resumed_run_equals_an_uninterrupted_one(recipe, tmp_path):
    recipe = replace(recipe, save_every_s=-1.0)
    assert toy_recipe.run(tmp_path / "uncut", recipe) == 0
    assert toy_recipe.run(tmp_path / "cut", recipe, fault=("step", 3)) < 0
    assert toy_recipe.run(tmp_path / "cut", recipe) == 0
    assert "resumed step 2 from" in (tmp_path / "cut" / "said.txt").read_text()
    assert _rows(tmp_path / "cut") == _rows(tmp_path / "uncut")
    cut, uncut = (tmp_path / name / "weights.safetensors" for name in ("cut", "uncut"))
    assert cut.read_bytes() == uncut.read_bytes()


def _call(monkeypatch, folder, *settings):
    monkeypatch.setenv("RUNS_ROOT", str(folder))
    chosen = ("steps=40", "crop_s=1.0", "batch_s=2.0", "schedule.warmup_steps=0", "keep_every=0", *settings)
    line = ["train", "continual-pretraining", "FULL_FR", "--scale", "smoke", "--device", "cpu"]
    done = CliRunner().invoke(run.cli, line + [part for setting in chosen for part in ("--set", setting)])
    return done.exit_code, done.output


def test_a_run_made_to_collapse_is_stopped_with_its_own_code_and_told_what_to_do(tmp_path, monkeypatch):
    code, said = _call(monkeypatch, tmp_path, "objective.diversity_weight=0.0", "peak_lr=1.0")
    assert code == Diverged.exit_code
    assert (
        "step 20: the codebook collapsed: perplexity 2.00 of 16 is below 3.0; raise objective.diversity_weight"
        in said
    )


def test_a_run_that_learns_is_left_alone(learned, tmp_path, monkeypatch):
    code, said = _call(monkeypatch, tmp_path)
    assert code == 0, said
    recipe, _, folder = learned  # the guard watched its second half
    rows = _rows(folder)
    assert rows[-1]["step"] == MANY
    assert sum(row["contrastive"] for row in rows[-5:]) / 5 < rows[0]["contrastive"]
    assert rows[-1]["soft_perplexity"] > 1.5 * recipe.quantiser.groups


def test_sixteen_bits_on_a_cpu_are_used_where_it_has_instructions_for_them(tmp_path, monkeypatch):
    losses = {}
    for has in (False, True):
        monkeypatch.setattr("common.provenance.cpu_has_bf16", lambda has=has: has)
        for wanted in (False, True):
            folder = tmp_path / f"{has} {wanted}"
            _trained(replace(FULL, cpu_bf16=wanted), folder)
            losses[has, wanted] = [row["loss"] for row in _rows(folder)]
    assert losses[False, True] == losses[False, False] == losses[True, False] != losses[True, True]
    assert losses[True, True] == pytest.approx(losses[True, False], rel=0.05)
