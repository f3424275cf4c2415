"""What is scored of every arm: which items there are, and what each of them does and does not depend on."""

import copy
import json
from collections import Counter
from dataclasses import replace

import pytest
import torch

from common import checkpoint, trainer
from speech_adapters.continual import evaluation, forgetting
from speech_adapters.continual.recipes import SCALES
from speech_adapters.data import synthetic
from speech_adapters.data.sources import TONES

SMOKE = {name: SCALES["smoke"].recipes[name] for name in ("FULL_FR", "ADAPTERS_FR", "SOURCE")}
CROP = 16_000


def _scored(recipe, folder):
    (folder / "pictures").mkdir(parents=True)
    model = recipe.model()
    if recipe.steps:
        trained = trainer.train(recipe, seed=0, folder=folder, device="cpu")
        model.load_state_dict(checkpoint.load(trained.weights).tensors)
    return list(recipe.score(model.eval(), seed=0, split="test", pictures=folder / "pictures"))


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Items of each arm at smoke."""
    return {name: _scored(recipe, tmp_path_factory.mktemp(name)) for name, recipe in SMOKE.items()}


def _of(items, part):
    return [item for item in items if item.part == part]


def test_every_arm_has_its_parts_and_no_item_twice(scored):
    common = {"contrast tones", "letters tones", "recognition all", "recognition adapters"}
    parts = {name: {item.part for item in items} for name, items in scored.items()}
    assert parts == {
        "FULL_FR": common | {"training"},
        "ADAPTERS_FR": common | {"training", "switched off"},
        "SOURCE": common,
    }
    assert all(max(Counter(item.id for item in items).values()) == 1 for items in scored.values())


def test_all_arms_are_asked_about_the_same_items(scored):
    for part in ("contrast tones", "letters tones", "recognition all", "recognition adapters"):
        asked = {tuple((item.id, item.group) for item in _of(items, part)) for items in scored.values()}
        assert len(asked) == 1, part


def test_letters_have_a_curve_over_steps_and_seconds(scored):
    for name, items in scored.items():
        letters = _of(items, "letters tones")
        assert len(letters) == synthetic.COUNTS["test"]
        marks = ("@2", "@4") if SMOKE[name].steps else ()
        assert {key for key in letters[0].scores if "@" in key} == {
            f"{value}{mark}" for value in ("ctc_nats", "train_s") for mark in marks
        }
        first = _of(scored["SOURCE"], "letters tones")
        deaf = [{item.id: item.scores["ctc_nats/deaf"] for item in items} for items in (letters, first)]
        assert deaf[0] == deaf[1]  # of texts and lengths alone
        for item in letters:
            assert item.scores["characters"] == len(next(
                one.text for one in TONES.utterances("test") if item.id.endswith(one.id)))  # fmt: skip
            if marks:
                assert 0 < item.scores["train_s@2"] <= item.scores["train_s@4"]
                assert item.scores["ctc_nats@4"] == item.scores["ctc_nats"]  # the last snapshot is the model


def test_recognition_keeps_references_and_hypotheses(scored):
    for item in _of(scored["ADAPTERS_FR"], "recognition adapters"):
        assert {"reference", "greedy"} == item.texts.keys()
        assert {"words", "word_errors", "characters", "character_errors", "ctc_nats"} <= item.scores.keys()


def test_a_set_switched_off_is_the_source_to_the_bit_and_the_set_does_something(scored):
    items = _of(scored["ADAPTERS_FR"], "switched off")
    assert items
    assert all(item.scores["off"] == 0 < item.scores["on"] for item in items)


# ---- the forgetting matrix


def _contrast(model, source):
    return [
        (item.id, *item.scores.values())
        for item in forgetting.contrast_items(model, source, TONES, "test", CROP)
    ]


@pytest.fixture
def source():
    torch.manual_seed(0)
    return SMOKE["FULL_FR"].first_language_model()


def test_forgetting_is_asked_on_fixed_crops_masks_and_negatives(source):
    torch.manual_seed(1)
    first = _contrast(source, source)
    torch.manual_seed(2)
    assert _contrast(source, source) == first
    assert all(nats > 0 and 0 <= right <= 1 for _, nats, right in first)


def test_a_piece_of_which_nothing_can_be_masked_is_left_out(source, monkeypatch):
    """It has no frame to tell, and its loss would be no number."""
    whole = list(forgetting.contrast_items(source, source, TONES, "test", SMOKE["FULL_FR"].crop_samples))
    span_mask, made = forgetting.span_mask, []

    def nothing_of_the_first(lengths, size, masking):
        made.append(size)
        mask = span_mask(lengths, size, masking)
        return torch.zeros_like(mask) if len(made) == 1 else mask

    monkeypatch.setattr(forgetting, "span_mask", nothing_of_the_first)
    left = list(forgetting.contrast_items(source, source, TONES, "test", SMOKE["FULL_FR"].crop_samples))
    assert left == whole[1:]
    assert len(whole) > 1


def test_answers_are_the_source_models_codes_whatever_became_of_ones_own(source):
    model = copy.deepcopy(source)
    with torch.no_grad():
        for module in (model.quantiser, model.code_projection):
            for weight in module.parameters():
                weight.normal_()
    assert _contrast(model, source) == _contrast(source, source)
    with torch.no_grad():
        model.context_projection.weight.normal_()
    assert _contrast(model, source) != _contrast(source, source)


def test_features_of_the_answers_are_the_source_models_too(source):
    """An extractor that forgot everything and a source that did not: what is predicted stays what it was."""
    model, asked = copy.deepcopy(source), []
    quantise = source.quantiser.forward
    source.quantiser.forward = lambda features, *rest: asked.append(features) or quantise(features, *rest)
    _contrast(source, source)
    with torch.no_grad():
        for weight in model.encoder.extractor.parameters():
            weight.normal_()
    before, asked[:] = list(asked), []
    _contrast(model, source)
    assert all(torch.equal(one, two) for one, two in zip(before, asked, strict=True))


# ---- seconds of training


def _journal(folder, rows):
    path = folder / "journal.jsonl"
    lines = [json.dumps({"event": "train", "step": step, "wall_s": wall_s}) for step, wall_s in rows]
    path.write_text("".join(line + "\n" for line in [json.dumps({"event": "start", "step": 0}), *lines]))
    return path


def test_tenths_of_a_training_add_up_to_its_seconds(tmp_path):
    path = _journal(
        tmp_path, [(step, 0.1 * step + (5.0 if step > 50 else 0.0)) for step in range(10, 101, 10)]
    )
    items = list(evaluation.seconds(path, 100))
    assert [item.id for item in items] == [f"training/tenth {n}" for n in range(1, 11)]
    assert [item.scores["seconds"] for item in items] == pytest.approx([1.0] * 5 + [6.0] + [1.0] * 4)
    assert sum(item.scores["seconds"] for item in items) == pytest.approx(15.0)


def test_a_journal_with_few_rows_gives_the_tenths_it_can(tmp_path):
    """Each stands for a tenth of the steps, though it was measured over more."""
    items = list(evaluation.seconds(_journal(tmp_path, [(50, 5.0), (100, 15.0)]), 100))
    assert [(item.id, item.scores["seconds"]) for item in items] == [
        ("training/tenth 5", pytest.approx(1.0)), ("training/tenth 10", pytest.approx(2.0))]  # fmt: skip


def test_seconds_are_no_part_of_the_raw_scores_that_are_hashed(tmp_path, scored):
    items = list(evaluation.seconds(_journal(tmp_path, [(50, 5.0), (100, 15.0)]), 100))
    assert all(item.timed == ("seconds",) for item in items)
    letters = [item for items in scored.values() for item in items if item.part == "letters tones"]
    assert any(item.timed for item in letters)
    assert all(
        set(item.timed) == {key for key in item.scores if key.startswith("train_s")} for item in letters
    )


def test_what_was_not_trained_has_no_seconds(tmp_path):
    assert list(evaluation.seconds(_journal(tmp_path, []), 100)) == []
    assert list(evaluation.seconds(_journal(tmp_path, [(1, 1.0)]), 0)) == []


def test_phones_are_asked_of_russian_alone():
    assert replace(SMOKE["FULL_FR"], language="ru").phones
    assert not SMOKE["FULL_FR"].phones
