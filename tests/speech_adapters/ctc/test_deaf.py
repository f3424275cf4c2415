"""A recogniser that hears nothing: its best blank share, by hand, and that an arm below it is not ruled on."""

import math

import numpy as np
import pytest
import torch
from made_runs import made_run

from common.claims import judge
from common.results import Item
from speech_adapters.asr import claims, recipes
from speech_adapters.ctc.deaf import BLANK_SHARES, DeafModel, fitted
from speech_adapters.ctc.measures import CHARACTER_ERRORS, CHARACTERS, CTC_NATS
from speech_adapters.ctc.scoring import ctc_nats
from speech_adapters.data.sources import TONES
from speech_adapters.data.text import Vocabulary

DEAF = recipes.SCALES["smoke"].recipes["DEAF_EN"]


@pytest.fixture
def utterances():
    return TONES.utterances("train")[:6]


def test_the_distribution_is_that_of_the_texts_and_its_blank_share_the_likeliest(utterances, monkeypatch):
    frames = [60 + 10 * i for i in range(len(utterances))]
    found = fitted(utterances, frames, 30).exp()
    assert float(found.sum()) == pytest.approx(1)
    assert found[0].item() in [pytest.approx(share) for share in BLANK_SHARES]
    letters = [c for one in utterances for c in one.text]
    most = max(set(letters), key=letters.count)
    assert int(found[1:].argmax()) + 1 == Vocabulary.of(utterances[0].language).encode(most)[0]


def test_one_symbol_in_many_frames_by_hand():
    """Of a text of one symbol in two frames: paths a-, -a, aa."""
    blank = 0.6
    rows = torch.tensor([blank, 1 - blank]).log().expand(1, 2, -1)
    by_hand = -math.log(2 * blank * (1 - blank) + (1 - blank) ** 2)
    assert ctc_nats(rows, torch.tensor([2]), [(1,)]).item() == pytest.approx(by_hand, rel=1e-5)


def test_it_is_scored_on_the_items_of_every_other_arm(tmp_path):
    items = list(DEAF.score(DEAF.model().eval(), seed=0, split="test", pictures=tmp_path))
    ids = [item.id for item in items if CTC_NATS.name in item.scores]
    tested = [f"{one.source}/{one.id}" for one in DEAF.utterances("test")]
    assert ids == tested
    assert isinstance(DEAF.model(), DeafModel)


@pytest.mark.parametrize(("deaf", "word"), [(4.0, "upheld"), (1.0, "undecided")])
def test_two_arms_that_are_worse_than_it_are_not_ruled_on(deaf, word):
    (claim,) = [claim for claim in claims.CLAIMS if claim.id == "other-voices"]
    levels = {"ADAPTERS_EN": 2.0, "FULL_EN": 3.0, "DEAF_EN": deaf}
    runs = [
        made_run(arm, _said(level + seed / 100 * (arm == "FULL_EN"), claim.parts[0]), seed=seed)
        for arm, level in levels.items()
        for seed in range(3)
    ]
    (verdict,) = judge([claim], runs, "mini")
    assert (verdict.word, verdict.point) == (word, pytest.approx(1.01, rel=0.01))
    assert ("no arm is better than one that hears nothing (the best by" in verdict.reason) == (
        word == "undecided"
    )


def _said(level, part):
    noise = np.random.default_rng(0).normal(0, 0.1, 12)
    scores = [
        {CTC_NATS.name: 10 * (level + noise[n] * level), CHARACTERS.name: 10, CHARACTER_ERRORS.name: level}
        for n in range(12)
    ]
    return [Item(f"{n}", f"speaker {n}", part, scores[n]) for n in range(12)]
