"""Every claim is upheld by made-up scores of which its sentence is true, and not by others."""

import subprocess
import sys

import pytest
from made_runs import check_that_draws_repeat_groups, holds, one_seed

from common import papers
from common.claims import judge
from common.results import Item
from common.sample import Sample
from speech_adapters.asr import claims, hubert_claims, night_claims
from speech_adapters.asr.measures import TOTAL_AT_BASE, TRAINED_AT_BASE
from speech_adapters.asr.recipes import SCALES
from speech_adapters.ctc.measures import CHARACTER_ERRORS, CHARACTERS, CTC_NATS, WORD_ERRORS, WORDS

ALL = (*claims.CLAIMS, *hubert_claims.CLAIMS, *night_claims.CLAIMS)
BY_ID = {claim.id: claim for claim in ALL}
JUDGED = [claim for claim in ALL if claim.scales]
TRAINED_AND_TOTAL = {"ADAPTERS_EN": (9_560_096, 103_894_944), "FULL_EN": (90_195_872, 94_396_320)}


def said(level, part, counted=CTC_NATS.name):
    """Two utterances a speaker, with a level of nats or errors a character that differs alike in every arm."""
    items = []
    for n, characters in enumerate(range(10, 16)):
        scores = {CTC_NATS.name: 0.0, CHARACTER_ERRORS.name: 0.0, CHARACTERS.name: characters}
        scores |= {WORD_ERRORS.name: 2.0 * level, WORDS.name: 2.0}
        scores[counted] = (level + n) * characters
        items.append(Item(f"{part}/{n}", f"speaker {n // 2}", part, scores))
    return items


def counted(trained, total):
    return [Item("p", "p", "parameters", {TRAINED_AT_BASE.name: trained, TOTAL_AT_BASE.name: total})]


def two(arm, than):
    """True of the first arm's level below the second's."""
    return [{arm: 1.0, than: 1.2}], [{arm: 1.2, than: 1.0}, {arm: 1.0, than: 1.0}]


def slightly(arm, than):
    """True of the first arm's level a little below the second's."""
    true, false = {arm: 1.0, than: 1.05}, [{arm: 1.0, than: 1.2}, {arm: 1.05, than: 1.0}]
    return [true], false


def lowest(template, best):
    depths = (1, 2, 4, 6, 8, 10)
    levels = [{template.format(n): abs(n - middle) / 10 for n in depths} for middle in (best, 2)]
    return [levels[0]], [levels[1]]


def close(arm, than):
    """True of two levels within the bound."""
    return tuple([{arm: level, than: 1.0} for level in levels] for levels in ((0.95, 1.05), (0.8, 1.2)))


def singles(layers, prefix=""):
    """True of adapters in each layer below fine-tuning of that layer."""
    arms = (("ADAPTER", 0.0), ("FINETUNE", 1.0))
    return tuple(
        [{f"{prefix}{arm}_LAYER{n}_EN": 1 + beats * by for n in range(1, layers + 1) for arm, by in arms}]
        for beats in (0.1, -0.1)
    )


def rising(layers, prefix=""):
    """True of the lower level, the higher the layer."""
    return tuple(
        [{f"{prefix}ADAPTER_LAYER{n}_EN": 2 - slope * n for n in range(1, layers + 1)}]
        for slope in (0.1, -0.1)
    )


def heard(arm, than, deaf):
    """As `two`, both better than one that hears nothing."""
    return tuple([levels | {deaf: 9.0} for levels in case] for case in two(arm, than))


def narrowed(arm, than, amount):
    """True of the first arm's lead that grows where labels are few, or from another encoder."""
    few = [name.replace("_EN", f"_{amount}_EN") for name in (arm, than)]
    gaps = {
        True: [(0.2, 0.1), (0.1, -0.1)],
        False: [(0.1, 0.2), (-0.1, 0.1)],
    }  # behind by, with all labels and with few
    return tuple(
        [{arm: 1 + all_, than: 1.0, few[0]: 2 + some, few[1]: 2.0} for all_, some in gaps[case]]
        for case in (True, False)
    )


LAYERS = range(1, claims.LAYERS + 1)
WHISPERS = [f"WHISPER_{arm}_EN" for arm in ("ADAPTERS", "FULL", "RANDOM", "HEAD")]
CASES = {  # claim: levels of the arms for which it is true, and for which it is not
    "shares": (
        [TRAINED_AND_TOTAL],
        [TRAINED_AND_TOTAL | {"ADAPTERS_EN": (9_560_097, 103_894_944)}, TRAINED_AND_TOTAL | {"FULL_EN": (1, 2)}],
    ),
    "english": slightly("FULL_EN", "ADAPTERS_EN"),
    "french": slightly("ADAPTERS_FR", "FULL_FR"),
    "top-4": close("ADAPTERS_TOP4_EN", "ADAPTERS_EN"),
    "best-adapters": lowest("ADAPTERS_TOP{}_EN", 6),
    "best-finetuning": lowest("FINETUNE_TOP{}_EN", 8),
    "single-layer": singles(claims.LAYERS),
    "upper-layers": rising(claims.LAYERS),
    "two-a-layer": two("ADAPTERS_EN", "ONE_ADAPTER_EN"),
    "sooner": two("ADAPTERS_EN", "FULL_EN"),
    "pre-training": two("FULL_EN", "RANDOM_EN"),
    "adapters-over-nothing": two("ADAPTERS_EN", "RANDOM_EN"),
    "adapters-as-head": close("ADAPTERS_EN", "HEAD_EN"),
    "english-errors": two("FULL_EN", "ADAPTERS_EN"),
    "french-errors": two("ADAPTERS_FR", "FULL_FR"),
    **dict.fromkeys(("other-voices", "other-voices-errors"), heard("ADAPTERS_EN", "FULL_EN", "DEAF_EN")),
    "hubert-narrower": narrowed("ADAPTERS_EN", "FULL_EN", "HUBERT"),
    "hubert-english": slightly("FULL_HUBERT_EN", "ADAPTERS_HUBERT_EN"),
    "hubert-adapters": two("ADAPTERS_HUBERT_EN", "ADAPTERS_EN"),
    "hubert-full": two("FULL_HUBERT_EN", "FULL_EN"),
    "whisper-english": slightly(WHISPERS[1], WHISPERS[0]),
    "whisper-french": slightly("WHISPER_ADAPTERS_FR", "WHISPER_FULL_FR"),
    "whisper-pre-trained": two(WHISPERS[1], WHISPERS[2]),
    "whisper-adapters-over-nothing": two(WHISPERS[0], WHISPERS[2]),
    "whisper-adapters-over-head": two(WHISPERS[0], WHISPERS[3]),
    "whisper-top-2": close("WHISPER_ADAPTERS_TOP2_EN", WHISPERS[0]),
    "whisper-finetuning-top-4": close("WHISPER_FINETUNE_TOP4_EN", WHISPERS[1]),
    "whisper-single-layer": singles(night_claims.LAYERS, "WHISPER_"),
    "whisper-upper-layers": rising(night_claims.LAYERS, "WHISPER_"),
    "whisper-lora": close("WHISPER_LORA_EN", WHISPERS[0]),
    "whisper-bitfit": close("WHISPER_BITFIT_EN", WHISPERS[0]),
    "whisper-fewer-labels": narrowed(WHISPERS[0], WHISPERS[1], "QUARTER"),
    "whisper-other-voices": heard(WHISPERS[0], WHISPERS[1], "WHISPER_DEAF_EN"),
}  # fmt: skip


def made(claim, levels):
    if claim.id == "shares":
        return {arm: counted(*found) for arm, found in levels.items()}
    measure = CHARACTER_ERRORS.name if claim.unit == "CER" else CTC_NATS.name
    elsewhere = [Item("other", "other", "another part", {CTC_NATS.name: 1e6, CHARACTERS.name: 1})]
    return {arm: [*said(level, claim.parts[0], measure), *elsewhere] for arm, level in levels.items()}


@pytest.mark.parametrize("claim", JUDGED, ids=lambda claim: claim.id)
def test_a_claim_holds_where_its_sentence_is_true(claim):
    true, false = CASES[claim.id]
    assert [holds(claim, made(claim, levels)) for levels in true] == [True] * len(true)
    assert [holds(claim, made(claim, levels)) for levels in false] == [False] * len(false)


@pytest.mark.parametrize("claim", JUDGED, ids=lambda claim: claim.id)
def test_draws_repeat_groups(claim):
    check_that_draws_repeat_groups(claim, made(claim, CASES[claim.id][0][0]))


def test_rates_are_of_the_corpus():
    items = [
        Item("a", "a", "p", {CTC_NATS.name: 10, CHARACTERS.name: 5}),
        Item("b", "b", "p", {CTC_NATS.name: 3, CHARACTERS.name: 15}),
    ]
    assert claims.rate(Sample.of(items)).tolist() == [13 / 20]


@pytest.mark.parametrize(
    ("claim", "levels", "margin"),
    [
        ("english", {"ADAPTERS_EN": 2.1, "FULL_EN": 2.0}, 0.1),
        ("french", {"ADAPTERS_FR": 1.9, "FULL_FR": 2.0}, 0.1),
        ("upper-layers", {f"ADAPTER_LAYER{n}_EN": 4 - 0.2 * n for n in LAYERS}, 0.2),
        ("single-layer", singles(claims.LAYERS)[0][0], 0.1),
        ("best-adapters", CASES["best-adapters"][0][0], 0.2),
    ],
)
def test_margins_are_in_nats_a_character(claim, levels, margin):
    assert one_seed(BY_ID[claim], made(BY_ID[claim], levels)).point == pytest.approx(margin)


def test_beside_a_claim_in_nats_stands_the_same_in_character_and_in_word_errors():
    claim = BY_ID["adapters-as-head"]
    levels = {"ADAPTERS_EN": 1.0, "HEAD_EN": 1.2}
    told = [
        twin.margin({arm: Sample.of(said(level, "p")) for arm, level in levels.items()})
        for twin in claim.twins
    ]
    assert [twin.unit for twin in claim.twins] == ["CER", "WER"]
    assert [margin.item() for margin in told] == pytest.approx([0.0, 0.2])
    assert all(claim.twins for claim in ALL if claim.unit == "nats a character")


def test_no_published_ruling_is_of_arms_that_are_all_worse_than_one_that_hears_nothing():
    """By the lowest loss that the deaf one has in any published run and part; both papers' claims in nats."""
    deaf = [
        run
        for run in papers.find("asr-adapters").evidence("mini", own=False)
        if run.result.recipe == "DEAF_EN"
    ]
    parts = {item.part for run in deaf for item in run.items}
    level = min(
        claims.rate(Sample.of(of_part)).item() for run in deaf for part in parts if (of_part := of(run, part))
    )
    assert level > 2.9
    for paper in map(papers.find, ("asr-adapters", "continual-pretraining")):
        runs = paper.evidence("mini", own=False)
        for claim, verdict in zip(paper.claims, judge(paper.claims, runs, "mini"), strict=True):
            if claim.twins and verdict.word in ("upheld", "refuted", "not seen here"):
                read = [run for run in runs if run.result.recipe in claim.reads]
                scored = [found for run in read for part in claim.parts if (found := of(run, part))]
                assert min(claims.rate(Sample.of(items)).item() for items in scored) < level, claim.id


def of(run, part):
    return [item for item in run.items if item.part == part and CTC_NATS.name in item.scores]


def test_what_claims_read_is_run_at_their_scales():
    for claim in ALL:
        for scale in set(claim.scales) - set(claim.not_testable):
            assert set(claim.reads) <= set(SCALES[scale].recipes), (claim.id, scale)


def test_judging_needs_no_torch():
    line = "import sys, speech_adapters.asr.claims, speech_adapters.asr.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0
