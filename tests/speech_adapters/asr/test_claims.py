"""Margins of the paper's claims on made scores."""

import subprocess
import sys

import pytest

from common.results import Item
from speech_adapters.asr import claims, recipes

BY_ID = {claim.id: claim for claim in claims.CLAIMS}


def _said(nats, errors=0, group="g"):
    scores = {"ctc_nats": nats, "characters": 10, "character_errors": errors}
    return Item(f"{group}-{nats}", group, "asterisk-en", scores)


def test_rates_are_of_the_corpus():
    items = [
        Item("a", "a", "p", {"ctc_nats": 10, "characters": 5}),
        Item("b", "b", "p", {"ctc_nats": 3, "characters": 15}),
    ]
    assert claims.nats(items) == 13 / 20


def test_worse_adapters_give_a_positive_amount_of_being_worse():
    arms = {"ADAPTERS_EN": [_said(21)], "FULL_EN": [_said(20)]}
    assert BY_ID["english"].margin(arms) == pytest.approx(0.1)


def test_better_adapters_give_a_positive_amount_of_being_better():
    arms = {"ADAPTERS_FR": [_said(19)], "FULL_FR": [_said(20)]}
    assert BY_ID["french"].margin(arms) == pytest.approx(0.1)


def test_pre_training_helps_when_nothing_is_worse():
    assert BY_ID["pre-training"].margin({"FULL_EN": [_said(20)], "RANDOM_EN": [_said(25)]}) == pytest.approx(
        0.5
    )


@pytest.mark.parametrize(("trained", "upheld"), [(9_560_096, True), (9_560_097, False)])
def test_the_shares_must_be_exact(trained, upheld):
    def counted(trained, total):
        return [Item("p", "p", "parameters", {"trained_at_base": trained, "total_at_base": total})]

    arms = {"ADAPTERS_EN": counted(trained, 103_894_944), "FULL_EN": counted(90_195_872, 94_396_320)}
    assert BY_ID["shares"].margin(arms) is upheld


def test_a_loss_that_falls_from_layer_to_layer_is_a_positive_slope():
    arms = {f"ADAPTER_LAYER{n}_EN": [_said(40 - 2 * n)] for n in range(1, 13)}
    assert BY_ID["upper-layers"].margin(arms) == pytest.approx(0.2)


def test_what_claims_read_is_run_at_their_scales():
    for claim in claims.CLAIMS:
        for scale in set(claim.scales) - set(claim.not_testable):
            assert set(claim.reads) <= set(recipes.SCALES[scale].recipes), (claim.id, scale)


def test_judging_needs_no_torch():
    line = "import sys, speech_adapters.asr.claims, speech_adapters.asr.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0
