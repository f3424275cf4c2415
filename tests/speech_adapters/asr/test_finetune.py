"""The recipe behind every arm: what is frozen stays, what is kept changes nothing, what is scored is jiwer's."""

import itertools
import json
from dataclasses import replace

import jiwer
import pytest
import torch

from common import journal, trainer
from common.data import sealed
from common.recipe import Shard
from common.schedule import TriStage
from speech_adapters.asr import curves, evaluation, recipes
from speech_adapters.asr.finetune import NO_MASKING, FineTune
from speech_adapters.asr.measures import DEV_NATS
from speech_adapters.ctc import training
from speech_adapters.ctc.scoring import feasible
from speech_adapters.data import synthetic
from speech_adapters.data.sources import TONES
from speech_adapters.data.synthetic import Tones, ToneUtterance
from speech_adapters.model.architecture import TINY, Masking
from speech_adapters.model.arm import Arm

ADAPTERS = recipes.SCALES["smoke"].recipes["ADAPTERS_EN"]
ARMS = [
    Arm(kind="full"),
    Arm(kind="adapters", bottleneck=8),
    Arm(kind="adapters", layers=1, bottleneck=8, norms="adapted"),
    Arm(kind="head"),
    Arm(kind="finetune", layers=1, strict=True),
    Arm(kind="lora", bottleneck=8),
    Arm(kind="bitfit"),
]


@pytest.fixture(autouse=True)
def _data_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))


def _trained(recipe: FineTune, folder) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(trainer.train(recipe, seed=0, folder=folder, device="cpu").weights)


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: f"{arm.kind}-{arm.layers}")
def test_what_is_frozen_is_bit_equal_after_training_and_the_rest_has_moved(arm, tmp_path):
    recipe = replace(ADAPTERS, arm=arm, peak_lr=1e-2, time_masking=NO_MASKING)
    before = recipe.model()
    torch.manual_seed(0)
    after = _trained(recipe, tmp_path)
    named = dict(before.named_parameters())
    frozen = {name for name, weight in named.items() if not weight.requires_grad}
    moved = {
        name
        for name, weight in named.items()
        if weight.requires_grad and "encoder" in name and not torch.equal(after[name], weight)
    }
    assert all(torch.equal(after[name], named[name]) for name in frozen)
    assert moved or arm.kind == "head"


@pytest.mark.parametrize("arm", ARMS[:4], ids=lambda arm: f"{arm.kind}-{arm.layers}")
@pytest.mark.parametrize("masking", [NO_MASKING, Masking(start=0.1, span=3)], ids=["plain", "masked"])
def test_kept_activations_train_to_the_same_bits(arm, masking, tmp_path):
    recipe = replace(ADAPTERS, arm=arm, time_masking=masking, peak_lr=1e-2)
    computed = _trained(replace(recipe, cache_frozen=False), tmp_path / "computed")
    kept = _trained(replace(recipe, cache_frozen=True), tmp_path / "kept")
    assert all(torch.equal(kept[name], computed[name]) for name in computed)


@pytest.mark.parametrize(
    ("setting", "within"), [("packed", 1e-4), ("onednn", 1e-4), ("fused", 1e-4), ("cpu_bf16", 0.05)]
)
def test_settings_of_speed_change_the_losses_by_their_rounding_alone(setting, within, tmp_path, monkeypatch):
    monkeypatch.setattr("speech_adapters.model.onednn.pays", lambda: True)
    monkeypatch.setattr("common.provenance.cpu_has_bf16", lambda: True)
    recipe = replace(ADAPTERS, log_every=1, dev_every=0)
    assert replace(recipe, **{setting: False}).settings_hash() == recipe.settings_hash()  # as published
    losses = []
    for name, one in (("usual", recipe), ("fast", replace(recipe, **{setting: True}))):
        _trained(one, tmp_path / name)
        rows = journal.read(tmp_path / name / "journal.jsonl")
        losses.append([row["loss"] for row in rows if row["event"] == "train"])
    usual, fast = losses
    assert len(usual) == recipe.steps
    assert fast == pytest.approx(usual, rel=within)


def test_damaged_kept_activations_are_one_sentence_and_not_trained_on(tmp_path):
    recipe = replace(ADAPTERS, arm=ARMS[3], time_masking=NO_MASKING, cache_frozen=True)
    _trained(recipe, tmp_path / "first")
    (kept,) = recipe.activations_folder().glob("*.npy")
    content = bytearray(kept.read_bytes())
    content[-400:] = bytes(400)
    kept.write_bytes(content)
    training._frozen_activations.cache_clear()  # as the next process begins
    sealed.check_once.cache_clear()
    with pytest.raises(ValueError, match=r"depth\d\.npy: sha256 must be .*; remove .* and start again"):
        _trained(recipe, tmp_path / "second")


def test_the_frozen_depth_ends_where_something_is_trained_or_masked():
    depths = {
        f"{arm.kind}-{arm.layers}": replace(ADAPTERS, arm=arm, time_masking=NO_MASKING).frozen_depth()
        for arm in ARMS
    }
    assert depths["full-0"] == 0
    assert depths["adapters-0"] == 1
    assert depths["adapters-1"] == TINY.layers
    assert depths["head-0"] == TINY.layers + 1
    assert replace(ADAPTERS, arm=ARMS[3], time_masking=Masking(start=0.1, span=3)).frozen_depth() == 0
    assert recipes.SCALES["smoke"].recipes["RANDOM_EN"].frozen_depth() == -1


@pytest.mark.parametrize("shards", [2, 3])
@pytest.mark.parametrize("name", ["FULL_EN", "ADAPTERS_EN"])
def test_shards_weighted_by_their_characters_have_the_loss_of_the_whole_batch(name, shards):
    recipe = replace(
        recipes.SCALES["smoke"].recipes[name],
        time_masking=NO_MASKING,
        channel_masking=NO_MASKING,
        batch_s=24.0,
    )
    torch.manual_seed(0)
    model = recipe.model().eval()
    batches = [recipe.batch(0, 1, Shard()), *(recipe.batch(0, 1, Shard(n, shards)) for n in range(shards))]
    losses = [sum(recipe.losses(model, batch, 1).values()).item() for batch in batches]
    weights = [recipe.weight(batch) for batch in batches]
    assert len(set(weights[1:])) > 1
    assert weights[0] == sum(weights[1:])
    mean = sum(weight * loss for weight, loss in zip(weights[1:], losses[1:], strict=True)) / weights[0]
    assert losses[0] == pytest.approx(mean, rel=1e-6)
    assert losses[0] != pytest.approx(sum(losses[1:]) / shards, rel=1e-5)  # as if all had as many characters


def test_everything_is_trained_from_nothing():
    model = recipes.SCALES["smoke"].recipes["RANDOM_EN"].model()
    assert all(weight.requires_grad for weight in model.parameters())


def test_the_head_alone_moves_while_the_encoder_is_frozen(tmp_path):
    recipe = replace(ADAPTERS, arm=Arm(kind="full"), head_only_steps=4, weight_decay=0.0)
    before = dict(recipe.model().named_parameters())
    after = _trained(recipe, tmp_path)
    assert all(torch.equal(after[n], w) for n, w in before.items() if n.startswith("encoder"))


def test_the_rate_rises_holds_and_decays_to_its_end():
    schedule = TriStage(warmup_steps=10, hold_share=0.4, final_ratio=0.05)
    recipe = replace(ADAPTERS, steps=100, schedule=schedule, peak_lr=1.0)
    rates = [recipe.lr(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert set(rates[9:51]) == {1.0}
    assert rates[100] == pytest.approx(0.05)
    assert all(late < early for early, late in itertools.pairwise(rates[51:]))


def _scored(tmp_path) -> list:
    recipe = ADAPTERS
    trainer.train(recipe, seed=0, folder=tmp_path, device="cpu")
    model = recipe.model()
    (tmp_path / "pictures-test").mkdir()
    return list(recipe.score(model.eval(), seed=0, split="test", pictures=tmp_path / "pictures-test"))


def test_scores_are_jiwers_and_hypotheses_curve_and_shares_are_kept(tmp_path):
    items = _scored(tmp_path)
    spoken = [item for item in items if item.part == "tones"]
    assert len(spoken) == synthetic.COUNTS["test"]
    references, hypotheses = [i.texts["reference"] for i in spoken], [i.texts["greedy"] for i in spoken]
    for counted, per, jiwers in (
        ("word_errors", "words", jiwer.wer),
        ("character_errors", "characters", jiwer.cer),
    ):
        ours = sum(i.scores[counted] for i in spoken) / sum(i.scores[per] for i in spoken)
        assert ours == pytest.approx(jiwers(references, hypotheses))
    (shares,) = [item for item in items if item.part == "parameters"]
    assert shares.scores["trained_at_base"] == 9_560_096
    (curve,) = [item for item in items if item.part == "dev curve"]
    assert [row[0] for row in json.loads(curve.texts["curve"])["rows"]] == [2, 4]
    assert list((tmp_path / "pictures-test").iterdir())


def test_a_curve_is_equal_in_equal_runs_but_for_its_seconds(tmp_path):
    curves_of = []
    for pace in (1.0, 2.0):
        rows = [{"event": "train", "step": n, "wall_s": n * pace, "dev": 1 / n} for n in (1, 2)]
        (tmp_path / "journal.jsonl").write_text("\n".join(map(json.dumps, rows)))
        curves_of.append(curves.carry(tmp_path / "journal.jsonl", "dev"))
    one, two = curves_of
    assert (one.timed, one.texts["curve"]) == (("wall_s",), two.texts["curve"])
    assert curves.read(two) == {"step": [1, 2], "wall_s": [2.0, 4.0], "dev": [1.0, 0.5]}
    former = {"columns": ["step", "wall_s", "dev"], "rows": [[1, 1.0, 1.0], [2, 2.0, 0.5]]}
    assert curves.read(replace(one, texts={"curve": json.dumps(former)})) == curves.read(one)


def test_the_search_knows_training_texts_alone(tmp_path, monkeypatch):
    seen: list[str] = []
    original = evaluation.ngram.estimate

    def spy(texts, order):
        seen.extend(texts)
        return original(texts, order=order)

    monkeypatch.setattr(evaluation.ngram, "estimate", spy)
    _scored(tmp_path)
    assert sorted(seen) == sorted(one.text for one in TONES.utterances("train"))


def test_what_frames_cannot_spell_is_named_with_both_numbers(monkeypatch):
    hasty = replace(TONES.utterances("train")[0], id="hasty", text="aa" * 20)
    monkeypatch.setattr(ToneUtterance, "samples", property(lambda self: 16_000))
    monkeypatch.setattr(Tones, "utterances", lambda self, part: (hasty,))
    kept, refused = feasible(TONES, "train", TINY)  # of a data root of its own, so nothing is remembered
    assert kept == ()
    assert refused == ("hasty: 79 frames are needed to spell its text, it has 49",)


def test_a_batch_is_a_function_of_seed_and_step():
    first, again = (ADAPTERS.batch(0, 3, Shard()) for _ in range(2))
    assert torch.equal(first.inputs, again.inputs)
    assert list(first.ids) == ADAPTERS.item_ids(0, 3, Shard())
    assert first.labels == again.labels


def test_dev_is_looked_at_every_so_often_and_at_the_end(tmp_path):
    recipe = replace(ADAPTERS, steps=5, dev_every=2)
    trainer.train(recipe, seed=0, folder=tmp_path, device="cpu")
    rows = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    looked = [row["step"] for row in rows if DEV_NATS.name in row]
    assert looked == [2, 4, 5]


def test_fewer_minutes_are_a_part_of_more_and_what_is_tested_stays():
    every = {one.id for one in ADAPTERS.utterances("train")}
    seconds = sum(one.samples for one in ADAPTERS.utterances("train")) / 16_000
    few, more = (replace(ADAPTERS, minutes=share * seconds / 60) for share in (0.4, 0.7))
    drawn = [{one.id for one in recipe.utterances("train")} for recipe in (few, more)]
    assert drawn[0] < drawn[1] < every
    for recipe in (few, more):
        held = sum(one.samples for one in recipe.utterances("train")) / 16_000
        longest = max(one.samples for one in ADAPTERS.utterances("train")) / 16_000
        assert 60 * recipe.minutes - longest < held <= 60 * recipe.minutes
        assert recipe.utterances("test") == ADAPTERS.utterances("test")
        assert {id_ for step in range(20) for id_ in recipe.item_ids(0, step, Shard())} == {
            one.id for one in recipe.utterances("train")
        }
    assert replace(ADAPTERS, minutes=seconds / 60).utterances("train") == ADAPTERS.utterances("train")
    assert replace(ADAPTERS, minutes=0.0).settings_hash() == ADAPTERS.settings_hash()


@pytest.mark.parametrize("minutes", [-1.0, 1000.0, 1e-4])
def test_minutes_that_are_not_there_are_refused_with_what_is(minutes):
    with pytest.raises(ValueError, match=f"minutes.*{minutes:g}"):
        replace(ADAPTERS, minutes=minutes).utterances("train")
