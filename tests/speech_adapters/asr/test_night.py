"""Arms over Whisper's encoder: how much each trains, what stays as it was, and that what is kept changes nothing."""

from dataclasses import replace

import pytest
import torch

from common import trainer
from common.results import Item
from common.sample import Sample
from speech_adapters.asr import claims, night, night_claims
from speech_adapters.asr.claims import ENGLISH
from speech_adapters.checkpoints import by_name, whisper_base
from speech_adapters.checkpoints.model_files import without_weights
from speech_adapters.model.adapters import EMBEDDED, apply, share
from speech_adapters.model.architecture import WHISPER_BASE, WHISPER_TINY
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.whisper import Whisper

SYMBOLS = 29  # of English
SHARES = {  # % of the weights, inserted ones included
    "WHISPER_FULL_EN": 95.4,
    "WHISPER_ADAPTERS_EN": 9.7,
    "WHISPER_LORA_EN": 9.8,
    "WHISPER_BITFIT_EN": 0.25,
    "WHISPER_HEAD_EN": 0.075,
    "WHISPER_ADAPTERS_TOP1_EN": 1.8,
    "WHISPER_FINETUNE_TOP4_EN": 63.7,
    "WHISPER_ADAPTER_LAYER3_EN": 1.8,
    "WHISPER_FINETUNE_LAYER3_EN": 16.0,
}


@pytest.fixture(autouse=True)
def _data_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))


@pytest.mark.parametrize("name", SHARES)
def test_every_arm_trains_its_share(name):
    with without_weights():
        model = CTCModel(Whisper(WHISPER_BASE), SYMBOLS)
        apply(night.NIGHT.recipes[name].arm, model.encoder, model.head)
    assert share(model).percent == pytest.approx(SHARES[name], rel=0.05)
    assert not name.startswith("WHISPER_ADAPTER") or share(model).percent < 10


ARMS = {
    "full": (Arm(kind="full"), EMBEDDED),
    "adapters": (Arm(kind="adapters", bottleneck=8), EMBEDDED),
    "top": (night.SMOKE["WHISPER_ADAPTERS_TOP1_EN"].arm, WHISPER_TINY.layers),
    "single": (Arm(kind="single-finetune", layers=2), WHISPER_TINY.layers),
    "head": (Arm(kind="head"), EMBEDDED + WHISPER_TINY.layers),
}


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("name", ARMS)
def test_what_is_frozen_stays_and_what_is_kept_trains_to_the_same_bits(name, onednn, tmp_path):
    arm, depth = ARMS[name]
    recipe = replace(night.SMOKE["WHISPER_ADAPTERS_EN"], arm=arm, peak_lr=1e-2, steps=3, onednn=onednn)
    assert recipe.frozen_depth() == depth
    torch.manual_seed(0)
    before = dict(recipe.model().named_parameters())
    computed = _trained(recipe, tmp_path / "computed")
    kept = _trained(replace(recipe, cache_frozen=True), tmp_path / "kept")
    for one in computed:
        # On some processors oneDNN adds in another order where a product has other rows: one utterance's or a batch's.
        torch.testing.assert_close(kept[one], computed[one], rtol=0, atol=1e-3 if onednn else 0)
    frozen = {one for one, weight in before.items() if not weight.requires_grad}
    assert frozen
    assert all(torch.equal(kept[one], before[one]) for one in frozen)
    assert any(not torch.equal(kept[one], before[one]) for one in before.keys() - frozen)


def _trained(recipe, folder) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(trainer.train(recipe, seed=0, folder=folder, device="cpu").weights)


def test_the_head_learns_at_a_rate_of_its_own_and_everything_trained_is_in_one_group():
    recipe = night.SMOKE["WHISPER_FULL_EN"]
    model = recipe.model()
    rest, head = recipe.parameter_groups(model)
    assert recipe.lr(1) * head["lr_ratio"] == pytest.approx(recipe.head_lr)
    assert {id(weight) for weight in head["params"]} == {id(weight) for weight in model.head.parameters()}
    both = [id(weight) for weight in [*rest["params"], *head["params"]]]
    assert sorted(both) == sorted(id(weight) for weight in model.parameters() if weight.requires_grad)
    alone = replace(recipe, arm=Arm(kind="head"))
    (group,) = alone.parameter_groups(alone.model())
    assert alone.lr(1) * group["lr_ratio"] == pytest.approx(recipe.head_lr)


def test_from_nothing_all_of_whispers_encoder_is_trained():
    recipe = replace(night.SMOKE["WHISPER_FULL_EN"], backbone="")
    model = recipe.model()
    assert isinstance(model.encoder, Whisper)
    assert all(weight.requires_grad for weight in model.parameters())


def test_results_over_whisper_are_judged_where_its_weights_are_not(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    monkeypatch.setattr(whisper_base, "fetch", lambda package: pytest.fail("judging fetches nothing"))
    assert by_name.sha256(whisper_base.NAME) == whisper_base.ENCODER_SHA256


def test_the_gap_that_fewer_labels_narrow_is_the_gap_of_all_minus_theirs():
    (claim,) = [claim for claim in night_claims.CLAIMS if claim.id == "whisper-fewer-labels"]
    # Adapters are behind by 0.10 nats with all labels, and by 0.02 with few.
    rates = dict(zip(claim.reads, (0.60, 0.50, 0.92, 0.90), strict=True))
    arms = {name: Sample.of([_spoken(10 * rate)]) for name, rate in rates.items()}
    assert claim.margin(arms) == pytest.approx(0.08)


def _spoken(ctc_nats):
    return Item("one", "one", ENGLISH[0], {"ctc_nats": ctc_nats, "characters": 10.0})


def test_the_paper_is_not_judged_by_a_supervised_encoder():
    assert not any("night" in claim.scales for claim in claims.CLAIMS)
    for claim in night_claims.CLAIMS:
        assert claim.question
        assert "supervised" in claim.about
        assert all(name.startswith("WHISPER_") for name in claim.reads)
