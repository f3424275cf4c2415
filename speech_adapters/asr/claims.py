"""What the paper says and what we ask beside it, each as a margin over raw scores.

Its WERs could not be read: rows carry directions and the parameter shares, which were read. At small scale the
measure is the held-out CTC loss in nats a character, because early in training most outputs are blank, so greedy
errors first show how often a letter beats the blank; beside every claim in nats stand its twins in character and in
word errors, and where two disagree the row says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from common.bootstrap import Arms
from common.claims import Claim, Twin
from common.kinds import (
    AboveFloor,
    BestOf,
    Equivalent,
    Exact,
    Kind,
    SlightlyBetter,
    SlightlyWorse,
    Superior,
    Trend,
)
from common.measures import Measure
from common.sample import Drawn, Sample
from common.verdicts import Word
from speech_adapters.asr import measures
from speech_adapters.asr.measures import PARAMETERS, TOTAL_AT_BASE, TRAINED_AT_BASE
from speech_adapters.ctc.measures import CHARACTER_ERRORS, CHARACTERS, CTC_NATS, WORD_ERRORS, WORDS

ENGLISH = tuple(part.name for part in measures.ENGLISH)
FRENCH = tuple(part.name for part in measures.FRENCH)
OTHER_ENGLISH = tuple(part.name for part in measures.OTHER_ENGLISH)
JUDGED = ("mini", "gpu", "paper")
BROAD = ("gpu", "paper")
TITLE = "Adapter transfer of wav2vec 2.0 to speech recognition (arXiv 2202.03218)"
NOT_AT_SMOKE = {"smoke": "made-up tones prove the path from file to verdict and judge nothing"}
NOT_AT_MINI = {"mini": "its arms are run at gpu and paper"}
BOUND, SET_ON = 0.1, "2026-11-22, before the first run on these data"  # nats a character
# In place of "adapters beat the head", which no number of seeds would decide; the bound is the one of above.
SET_ON_ANEW = "2026-11-27, with scores of 2026-11-23 known"
GIVEN = "given this backbone"
OUTCOMES: dict[Word, str] = {
    "upheld": "Yes: adapters are {told} worse than full fine-tuning, within the bar of 0.1.",
    "not seen here": "Not here: adapters are {told} worse than full fine-tuning, where 0.1 was our bar. The encoder is "
    "our own, of 2 M parameters, with 14 minutes of labelled speech; the paper's has 95 M and ten hours.",
    "undecided": "Cannot be told: adapters minus full fine-tuning is {told}.",
}
CONDITIONS = {
    scale: f"an encoder of our own of {size} M parameters, 14 minutes of labelled speech of one voice"
    f"{rates}; the paper has 95 M and ten hours"
    for scale, size, rates in (
        ("mini", "2", ""),
        ("gpu", "3.3", ", one rate for what is trained and the head"),
    )
}
BASE_SHARES = {  # trained, total of BASE with 32 symbols: what the printed 95.6 % and 9.2 % come to
    "FULL_EN": (90_195_872, 94_396_320),
    "ADAPTERS_EN": (9_560_096, 103_894_944),
}


LENGTHS: Mapping[Measure, Measure] = {CTC_NATS: CHARACTERS, CHARACTER_ERRORS: CHARACTERS, WORD_ERRORS: WORDS}


def rate(sample: Sample, counted: Measure = CTC_NATS) -> Drawn:
    """What is counted a character, or of word errors a word, over all of a draw."""
    return sample.rate(counted.name, LENGTHS[counted].name)


def lower(arm: str, than: str, counted: Measure = CTC_NATS) -> Callable[[Arms], Drawn]:
    """Margin: how much lower an arm's rate is than another's on the same items."""
    return lambda arms: rate(arms[than], counted) - rate(arms[arm], counted)


def narrower(
    pair: tuple[str, str], than: tuple[str, str], counted: Measure = CTC_NATS
) -> Callable[[Arms], Drawn]:
    """Margin: how much further an arm is behind another in the first pair than in the second."""
    first, second = (lower(other, arm, counted) for arm, other in (pair, than))
    return lambda arms: first(arms) - second(arms)


def better_than_deaf(
    *names: str, floor: str = "DEAF_EN", counted: Measure = CTC_NATS
) -> Callable[[Arms], Drawn]:
    """Margin: how much lower the rate of the best of some arms is than that of one that hears nothing."""

    def margin(arms: Arms) -> Drawn:
        return rate(arms[floor], counted) - np.minimum.reduce([rate(arms[name], counted) for name in names])

    return margin


def in_nats(margin: Callable[..., Any], *arms: Any, kind: Kind | None = None) -> dict[str, Any]:
    """What a claim asks in nats, and its twins in character and word errors, greedily decoded."""
    counted = {"character errors": (CHARACTER_ERRORS, "CER"), "word errors": (WORD_ERRORS, "WER")}
    twins = (
        Twin(words=words, margin=margin(*arms, counted=measure), unit=unit, kind=kind or Superior())
        for words, (measure, unit) in counted.items()
    )
    return {"margin": margin(*arms), "twins": tuple(twins)}


def lowest(counted: Measure = CTC_NATS) -> Callable[[Arms], dict[str, Drawn]]:
    """Margin: scores of all arms, the best of which has the lowest rate."""
    return lambda arms: {arm: -rate(sample, counted) for arm, sample in arms.items()}


def _shares_as_printed(arms: Arms) -> bool:
    shares = {
        arm: np.stack([arms[arm][TRAINED_AT_BASE.name], arms[arm][TOTAL_AT_BASE.name]], axis=1)
        for arm in BASE_SHARES
    }
    return all(bool((found == BASE_SHARES[arm]).all()) for arm, found in shares.items())


def slope(template: str, layers: int, counted: Measure = CTC_NATS) -> Callable[[Arms], Drawn]:
    """Margin: by how much the loss falls from one layer to the next above it, by least squares over all layers."""
    numbers = np.arange(1, layers + 1)
    weights = (numbers - numbers.mean()) / ((numbers - numbers.mean()) ** 2).sum()
    return lambda arms: -(weights @ np.stack([rate(arms[template.format(n)], counted) for n in numbers]))


def layer_by_layer(
    template: str, than: str, layers: int, counted: Measure = CTC_NATS
) -> Callable[[Arms], Drawn]:
    """Margin: how much lower what is done to one layer is than something else done to it, mean over layers."""
    margins = [lower(template.format(n), than.format(n), counted) for n in range(1, layers + 1)]
    return lambda arms: np.mean([margin(arms) for margin in margins], axis=0)


_paper = partial(
    Claim,
    where="abstract and a reader's notes",
    scales=JUDGED,
    unit="nats a character",
    conditions=CONDITIONS,
)
_question = partial(
    Claim, where="our question", paper="no number", kind=Superior(), scales=JUDGED, not_testable=NOT_AT_SMOKE,
    question=True, unit="nats a character",
)  # fmt: skip
LAYERS = 12  # of the encoders at gpu and paper
FOUR_LAYERS = {"mini": "the small encoder has four layers in all"}

CLAIMS = (
    Claim(
        id="shares",
        says="Adapters in all layers train fewer than 10 % of the parameters, full fine-tuning almost all: the printed "
        "shares are what adapters with an inner norm, all Transformer layer norms and the head come to in BASE.",
        where="abstract and a reader's notes",
        paper="9.2 % and 95.6 %",
        reads=("ADAPTERS_EN", "FULL_EN"),
        kind=Exact(),
        margin=_shares_as_printed,
        unit="share",
        parts=(PARAMETERS.name,),
        scales=JUDGED,
        not_testable=NOT_AT_SMOKE,
        by_design=True,
        consistent_with=True,
    ),
    _paper(
        id="english",
        says=f"English: adapters are slightly worse than full fine-tuning (our bar: by up to {BOUND} nats; {GIVEN}).",
        paper="direction only",
        reads=("ADAPTERS_EN", "FULL_EN"),
        kind=SlightlyWorse(BOUND, SET_ON),
        **in_nats(lower, "FULL_EN", "ADAPTERS_EN"),
        parts=ENGLISH,
        not_testable=NOT_AT_SMOKE,
        headline=True,
        outcomes=OUTCOMES,
    ),
    _paper(
        id="french",
        says="French from an English encoder: adapters are slightly better than full fine-tuning (our bar: by up to "
        f"{BOUND} nats; {GIVEN}).",
        paper="direction only",
        reads=("ADAPTERS_FR", "FULL_FR"),
        kind=SlightlyBetter(BOUND, SET_ON),
        **in_nats(lower, "ADAPTERS_FR", "FULL_FR"),
        parts=FRENCH,
        not_testable=NOT_AT_SMOKE,
    ),
    _paper(
        id="top-4",
        says="Adapters in the top four layers come close to adapters in all twelve.",
        paper="direction only",
        reads=("ADAPTERS_TOP4_EN", "ADAPTERS_EN"),
        kind=Equivalent(BOUND, SET_ON),
        **in_nats(lower, "ADAPTERS_TOP4_EN", "ADAPTERS_EN"),
        parts=ENGLISH,
        scales=BROAD,
        not_testable=NOT_AT_SMOKE | FOUR_LAYERS,
    ),
    _paper(
        id="best-adapters",
        says="Of adapters in the top N layers, N = 6 is best.",
        paper="4.85 % trained",
        reads=tuple(f"ADAPTERS_TOP{n}_EN" for n in (1, 2, 4, 6, 8, 10)),
        kind=BestOf("ADAPTERS_TOP6_EN"),
        **in_nats(lowest, kind=BestOf("ADAPTERS_TOP6_EN")),
        parts=ENGLISH,
        scales=BROAD,
        not_testable=NOT_AT_SMOKE | FOUR_LAYERS,
    ),
    _paper(
        id="best-finetuning",
        says="Of fine-tuning the top N layers, N = 8 is best.",
        paper="65.5 % trained",
        reads=tuple(f"FINETUNE_TOP{n}_EN" for n in (1, 2, 4, 6, 8, 10)),
        kind=BestOf("FINETUNE_TOP8_EN"),
        **in_nats(lowest, kind=BestOf("FINETUNE_TOP8_EN")),
        parts=ENGLISH,
        scales=BROAD,
        not_testable=NOT_AT_SMOKE | FOUR_LAYERS,
    ),
    _paper(
        id="single-layer",
        says="With one single layer to train, adapters beat fine-tuning that layer.",
        paper="direction only",
        reads=tuple(f"{kind}_LAYER{n}_EN" for kind in ("ADAPTER", "FINETUNE") for n in range(1, LAYERS + 1)),
        kind=Superior(),
        **in_nats(layer_by_layer, "ADAPTER_LAYER{}_EN", "FINETUNE_LAYER{}_EN", LAYERS),
        parts=ENGLISH,
        scales=BROAD,
        not_testable=NOT_AT_SMOKE | NOT_AT_MINI,
    ),
    _paper(
        id="upper-layers",
        says="Upper layers matter more than lower ones: an adapted layer serves better the higher it lies.",
        paper="direction only; doubted by the reader whose notes we have",
        reads=tuple(f"ADAPTER_LAYER{n}_EN" for n in range(1, LAYERS + 1)),
        kind=Trend(),
        **in_nats(slope, "ADAPTER_LAYER{}_EN", LAYERS),
        parts=ENGLISH,
        scales=BROAD,
        not_testable=NOT_AT_SMOKE | NOT_AT_MINI,
    ),
    _paper(
        id="two-a-layer",
        says="Two adapters a layer are better than one, after the feed-forward.",
        paper="direction only",
        reads=("ADAPTERS_EN", "ONE_ADAPTER_EN"),
        kind=Superior(),
        **in_nats(lower, "ADAPTERS_EN", "ONE_ADAPTER_EN"),
        parts=ENGLISH,
        scales=BROAD,
        not_testable=NOT_AT_SMOKE | NOT_AT_MINI,
    ),
    _paper(
        id="sooner",
        says="Adapters finish sooner: their best number of steps is smaller, and none of them has the encoder frozen.",
        paper="direction only",
        reads=("ADAPTERS_EN", "FULL_EN"),
        kind=Superior(),
        **in_nats(lower, "ADAPTERS_EN", "FULL_EN"),
        parts=ENGLISH,
        scales=(),
        not_testable=NOT_AT_SMOKE
        | dict.fromkeys(
            ("mini", "gpu"),
            "every arm has as many steps and as many of them with the encoder frozen; curves show equal time, "
            "benchmarks the cost of a step",
        )
        | {"paper": "its recipes fix the steps of each arm, so which number is best is not asked"},
    ),
    _paper(
        id="bilingual",
        says="A bilingual encoder was tried as well.",
        paper="heading only",
        reads=("ADAPTERS_EN",),
        kind=Superior(),
        **in_nats(lower, "ADAPTERS_EN", "ADAPTERS_EN"),
        parts=ENGLISH,
        scales=(),
        not_testable=dict.fromkeys(
            ("smoke", "mini", "gpu", "paper"),
            "no sentence of it could be read, and no public bilingual encoder of that time was named",
        ),
    ),
    _question(
        id="pre-training",
        says=f"Pre-training helps: from our own encoder full fine-tuning beats training all from nothing ({GIVEN}).",
        reads=("FULL_EN", "RANDOM_EN"),
        **in_nats(lower, "FULL_EN", "RANDOM_EN"),
        parts=ENGLISH,
    ),
    _question(
        id="adapters-over-nothing",
        says="Adapters over the frozen encoder beat training all from nothing.",
        reads=("ADAPTERS_EN", "RANDOM_EN"),
        **in_nats(lower, "ADAPTERS_EN", "RANDOM_EN"),
        parts=ENGLISH,
    ),
    _question(
        id="adapters-as-head",
        says=f"Adapters come to the same as training the head alone (our bar: within {BOUND} nats).",
        reads=("ADAPTERS_EN", "HEAD_EN"),
        kind=Equivalent(BOUND, SET_ON_ANEW),
        **in_nats(lower, "ADAPTERS_EN", "HEAD_EN"),
        parts=ENGLISH,
    ),
    _question(
        id="english-errors",
        says="English, in character errors: adapters make more of them than full fine-tuning.",
        reads=("ADAPTERS_EN", "FULL_EN"),
        margin=lower("FULL_EN", "ADAPTERS_EN", CHARACTER_ERRORS),
        unit="CER",
        parts=ENGLISH,
    ),
    _question(
        id="french-errors",
        says="French, in character errors: adapters make fewer of them than full fine-tuning.",
        reads=("ADAPTERS_FR", "FULL_FR"),
        margin=lower("ADAPTERS_FR", "FULL_FR", CHARACTER_ERRORS),
        unit="CER",
        parts=FRENCH,
    ),
    _question(
        id="other-voices",
        says="On voices never trained on, English adapters are better than full fine-tuning.",
        reads=("ADAPTERS_EN", "FULL_EN", "DEAF_EN"),
        kind=AboveFloor(Superior(), better_than_deaf("ADAPTERS_EN", "FULL_EN"), "one that hears nothing"),
        **in_nats(lower, "ADAPTERS_EN", "FULL_EN"),
        parts=OTHER_ENGLISH,
        not_testable=NOT_AT_SMOKE | {"paper": "at this scale every test speaker is a new one"},
    ),
    _question(
        id="other-voices-errors",
        says="The same in character errors.",
        reads=("ADAPTERS_EN", "FULL_EN", "DEAF_EN"),
        kind=AboveFloor(
            Superior(),
            better_than_deaf("ADAPTERS_EN", "FULL_EN", counted=CHARACTER_ERRORS),
            "one that hears nothing",
        ),
        margin=lower("ADAPTERS_EN", "FULL_EN", CHARACTER_ERRORS),
        unit="CER",
        parts=OTHER_ENGLISH,
        not_testable=NOT_AT_SMOKE | {"paper": "at this scale every test speaker is a new one"},
    ),
)
