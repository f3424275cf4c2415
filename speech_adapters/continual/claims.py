"""What the paper says of adapters in pre-training and what we ask beside it, each as a margin over raw scores.

Only its abstract could be read: a cut of 32 % in pre-training time and no forgetting. What the 32 % compares could not,
so time is asked in three ways: per update, to equal quality, in total.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from common.bootstrap import Arms
from common.claims import Claim, Twin
from common.kinds import AboveFloor, Equivalent, Exact, Kind, MoreThan, Superior
from common.measures import Measure, Part
from common.power import DROPPED
from common.sample import Drawn, NotScored, Sample, ratio
from common.verdicts import Word
from speech_adapters.continual.data import CORPORA, FOLDERS, TRANSCRIBED
from speech_adapters.continual.measures import (
    ADAPTED,
    ADAPTED_TRAINED,
    ADAPTERS,
    ALL,
    CONTRAST,
    CONTRASTIVE,
    FULL_CELL,
    FULL_FROZEN,
    LETTERS,
    OFF,
    ON,
    SECONDS,
    SWITCHED_OFF,
    TRAIN_S,
    TRAINING,
    UPDATE_S,
    at,
    steps_of,
)
from speech_adapters.ctc.measures import CHARACTER_ERRORS, CHARACTERS, CTC_NATS, DEAF_NATS, WORD_ERRORS, WORDS
from speech_adapters.data.sources import AMAZON_QUEEN

TITLE = "Adapters inside continued pre-training of wav2vec 2.0 (arXiv 2107.13530)"
JUDGED = ("mini", "night", "gpu", "paper")
NOT_AT_SMOKE = {"smoke": "made-up tones prove the path from file to verdict and judge nothing"}
NOT_AT_MINI = NOT_AT_SMOKE | {"mini": "its arms are run at gpu"}
PRINTED = 32.0  # % less time
BOUND_PERCENT, BOUND_NATS = 5.0, 0.05
SET_ON = "2026-11-22, before the first run"
BAR_ON = (
    "2026-11-27, after the runs of 2026-11-23: what counts as equal by the bound that was set before them"
)
LESS_TIME, APART = MoreThan(BOUND_PERCENT, BAR_ON), MoreThan(BOUND_NATS, BAR_ON)
GIVEN = "given this backbone"
EXTRACTOR = "the feature extractor is trained in full training and frozen with adapters"
OUTCOMES: dict[Word, str] = {
    "upheld": "Yes: {told} of an update's time is saved, on a CPU.",
    "not seen here": "No: {told} of an update's time is saved here.",
    "undecided": "Cannot be told: {told} of an update's time is saved.",
}
CONDITIONS = {
    scale: f"an encoder of our own of 2 M parameters and {steps} updates on less than an hour of a language"
    for scale, steps in (("mini", "360"), ("night", "4,000"), ("gpu", "4,000"))
}
# At every scale an update is of BASE's size. The paper's hardware, batch and precision could not be read.
TIMED_ON = {
    **dict.fromkeys(("mini", "night"), "one core of a CPU, in 32 bits"),
    "gpu": "one H100, in 16 bits, with 94 s of audio a batch, where an update is mostly not arithmetic",
}
ENGLISH = tuple(CONTRAST.on(source).name for source in (AMAZON_QUEEN, *FOLDERS["en"]))
ENGLISH_LETTERS = tuple(LETTERS.on(source).name for source in (AMAZON_QUEEN, CORPORA["en"]))


# ---- margins


def saved(cell: Part, than: Part) -> Callable[[Arms], Drawn]:
    """Margin: % of an update's seconds that one cell saves over another, the median over repeats."""

    def margin(arms: Arms) -> Drawn:
        first, second = (arms["COST"].part(one.name) for one in (cell, than))
        if first.group.tolist() != second.group.tolist():
            raise ValueError(f"{cell.name} and {than.name} must have the same repeats")
        ratios = first[UPDATE_S.name] / second[UPDATE_S.name]
        drawn = (np.repeat(ratios, times) for times in first.weights.astype(int))
        return 100 * (1 - np.array([np.median(one) if len(one) else np.nan for one in drawn]))

    return margin


def saved_in_all(arm: str, than: str) -> Callable[[Arms], Drawn]:
    """Margin: % of the seconds of a whole training, with the same updates, that an arm saves."""
    return lambda arms: 100 * (1 - ratio(arms[arm].sum(SECONDS.name), arms[than].sum(SECONDS.name)))


def higher(arm: str, than: str, measure: Measure = CONTRASTIVE) -> Callable[[Arms], Drawn]:
    """Margin: how much higher the mean of a loss is in an arm."""
    return lambda arms: arms[arm].mean(measure.name) - arms[than].mean(measure.name)


def nats(sample: Sample, counted: str = CTC_NATS.name) -> Drawn:
    """Nats a character, over all characters of a draw."""
    return sample.rate(counted, CHARACTERS.name)


def lower(arm: str, than: str, counted: str = CTC_NATS.name) -> Callable[[Arms], Drawn]:
    """Margin: how many nats, or what else is counted, a character fewer an arm needs."""
    return lambda arms: nats(arms[than], counted) - nats(arms[arm], counted)


def above_deaf(kind: Kind, *names: str) -> AboveFloor:
    """No ruling where every arm's letters are worse than those of one that hears nothing."""

    def margin(arms: Arms) -> Drawn:
        try:
            floor = nats(arms[names[0]], DEAF_NATS.name)  # of the same texts in every arm
        except NotScored:  # results until 2026-11-28
            return np.array([np.nan])
        return floor - np.minimum.reduce([nats(arms[name]) for name in names])

    return AboveFloor(kind, margin, "one that hears nothing")


def in_nats(arm: str, than: str) -> dict[str, Any]:
    """What a claim asks in nats, and its twin in character errors."""
    errors = lower(arm, than, CHARACTER_ERRORS.name)
    return {"margin": lower(arm, than), "twins": (Twin(words="character errors", margin=errors, unit="CER"),)}


def recognising(arm: str, than: str) -> dict[str, Any]:
    """As `in_nats`, with a twin in word errors, greedily decoded."""

    def errors(sample: Sample) -> Drawn:
        return sample.rate(WORD_ERRORS.name, WORDS.name)

    asked = in_nats(arm, than)
    twin = Twin(words="word errors", margin=lambda arms: errors(arms[than]) - errors(arms[arm]), unit="WER")
    return asked | {"twins": (*asked["twins"], twin)}


def curve(sample: Sample) -> list[tuple[float, Drawn]]:
    """(seconds of training, nats a character) of the snapshots on the way, in order of time."""
    steps = steps_of(CTC_NATS, set(sample.items[0].scores))
    return [(float(sample[at(TRAIN_S, step)][0]), nats(sample, at(CTC_NATS, step))) for step in steps]


def seconds_to(points: Sequence[tuple[float, Drawn]], level: Drawn) -> Drawn:
    """When a curve first comes down to a level, on straight lines between its points; infinite when it never does."""
    reached: Drawn = np.full_like(level, np.inf)
    for (begin, high), (end, low) in reversed([*itertools.pairwise(points)]):
        between = begin + (end - begin) * (high - level) / (high - low)
        reached = np.where(high <= level, begin, np.where(low <= level, between, reached))
    return reached


def saved_to_equal_quality(arm: str, than: str) -> Callable[[Arms], Drawn]:
    """Margin: % of the seconds that an arm saves until its letters are as good as the other arm can get, or it itself.

    The level is the worse of the two arms' best, so both reach it; no number comes out where that is the source itself.
    """

    def margin(arms: Arms) -> Drawn:
        start = (0.0, nats(arms["SOURCE"]))
        curves = {name: [start, *curve(arms[name])] for name in (arm, than)}
        best = [np.min([nats for _, nats in points], axis=0) for points in curves.values()]
        taken = {name: seconds_to(points, np.maximum(*best)) for name, points in curves.items()}
        return 100 * (1 - ratio(taken[arm], taken[than]))

    return margin


def _off_is_source(arm: str) -> Callable[[Arms], bool]:
    """Whether the output with the set switched off is the source's to the bit, and the set does something."""
    return lambda arms: bool((arms[arm][OFF.name] == 0).all() and (arms[arm][ON.name] > 0).all())


# ---- claims

_paper = partial(Claim, where="abstract", scales=JUDGED, not_testable=NOT_AT_SMOKE, conditions=CONDITIONS)
_question = partial(
    Claim, where="our question", paper="no number", scales=JUDGED, not_testable=NOT_AT_SMOKE, question=True
)
LANGUAGES = {"FR": "French", "ES": "Spanish"}


def _letters(language: str) -> tuple[str, ...]:
    """Letters of a language on the speech that each scale has of it."""
    return tuple(LETTERS.on(speech[language]).name for speech in (TRANSCRIBED, CORPORA))


def _costs() -> list[Claim]:
    per_update = partial(
        _paper, paper="32 % less", unit="%", reads=("COST",), conditions=TIMED_ON, repeats=True
    )
    near = Equivalent(BOUND_PERCENT, SET_ON)

    def off(cell: Part, than: Part) -> Callable[[Arms], Drawn]:
        return lambda arms: saved(cell, than)(arms) - PRINTED

    return [
        per_update(
            id="update",
            says="Adapters cut the time of an update of pre-training, against training everything, the feature "
            "extractor too (here: BASE's size; adapters, norms, quantiser and projections over a frozen encoder).",
            kind=LESS_TIME,
            margin=saved(ADAPTED, FULL_CELL),
            parts=(ADAPTED.name, FULL_CELL.name),
        ),
        per_update(
            id="update-32",
            says="The cut of an update is the printed 32 %, to within 5 points (the extractor frozen with adapters).",
            kind=near,
            margin=off(ADAPTED, FULL_CELL),
            parts=(ADAPTED.name, FULL_CELL.name),
            consistent_with=True,
        ),
        per_update(
            id="update-32-extractor",
            says="The cut of an update is the printed 32 %, to within 5 points (the extractor trained in both).",
            kind=near,
            margin=off(ADAPTED_TRAINED, FULL_CELL),
            parts=(ADAPTED_TRAINED.name, FULL_CELL.name),
            consistent_with=True,
        ),
        per_update(
            id="adapters-alone",
            says="Adapters cut the time of an update of pre-training, like with like: BASE's size, the feature "
            "extractor frozen in both.",
            kind=LESS_TIME,
            margin=saved(ADAPTED, FULL_FROZEN),
            parts=(ADAPTED.name, FULL_FROZEN.name),
            headline=True,
            outcomes=OUTCOMES,
        ),
    ]


def _of_language(code: str) -> list[Claim]:
    name, low = LANGUAGES[code], code.lower()
    full, adapters = f"FULL_{code}", f"ADAPTERS_{code}"
    letters = _letters(low)
    return [
        _paper(
            id=f"equal-quality-{low}",
            says=f"{name}: adapters need less time than full continued pre-training until a linear probe tells "
            f"letters apart equally well ({GIVEN}; {EXTRACTOR}).",
            paper="32 % less",
            reads=(adapters, full, "SOURCE"),
            kind=LESS_TIME,
            margin=saved_to_equal_quality(adapters, full),
            unit="%",
            parts=letters,
        ),
        _paper(
            id=f"total-{low}",
            says=f"{name}: with the same number of updates the whole pre-training takes less time ({EXTRACTOR}).",
            paper="32 % less",
            reads=(adapters, full),
            kind=LESS_TIME,
            margin=saved_in_all(adapters, full),
            unit="%",
            repeats=True,
            parts=(TRAINING.name,),
        ),
        _paper(
            id=f"kept-{low}",
            says=f"After {name} the first language's representation is not forgotten: with the new set switched off "
            "the encoder is the source to the bit.",
            paper="yes",
            reads=(adapters,),
            kind=Exact(),
            margin=_off_is_source(adapters),
            unit="share",
            parts=(SWITCHED_OFF.name,),
            by_design=True,
        ),
        _question(
            id=f"forgetting-{low}",
            says=f"Full continued pre-training on {name} forgets: its contrast on English game lines is worse than the "
            f"source's ({GIVEN}).",
            reads=(full, "SOURCE"),
            kind=APART,
            margin=higher(full, "SOURCE"),
            unit="nats",
            parts=ENGLISH,
        ),
        _question(
            id=f"forgetting-letters-{low}",
            says=f"Full continued pre-training on {name} forgets what counts: a linear probe tells English letters "
            "apart worse than on the source.",
            reads=(full, "SOURCE"),
            kind=above_deaf(APART, full, "SOURCE"),
            **in_nats("SOURCE", full),
            unit="nats a character",
            parts=ENGLISH_LETTERS,
            not_testable=NOT_AT_SMOKE | ({"mini": DROPPED} if low == "es" else {}),
        ),
        _paper(
            id=f"useful-{low}",
            says=f"The {name} representation is useful: after adapters have learned from its sound, a linear probe "
            f"tells its letters apart better than on the source ({GIVEN}).",
            paper="stated, no number read",
            reads=(adapters, "SOURCE"),
            kind=above_deaf(APART, adapters, "SOURCE"),
            **in_nats(adapters, "SOURCE"),
            unit="nats a character",
            parts=letters,
        ),
        _question(
            id=f"as-good-{low}",
            says=f"{name}: after the same updates, letters by adapters are as good as by full continued pre-training "
            f"(our bar: within {BOUND_NATS} nats).",
            reads=(adapters, full),
            kind=above_deaf(Equivalent(BOUND_NATS, SET_ON), adapters, full),
            **in_nats(adapters, full),
            unit="nats a character",
            not_testable=NOT_AT_SMOKE | {"mini": DROPPED},
            parts=letters,
        ),
    ]


def _recognition() -> list[Claim]:
    recognised = partial(_question, kind=APART, unit="nats a character")
    return [
        recognised(
            id="recognition",
            says=f"French recognition, everything fine-tuned, is better from adapters' pre-training than from "
            f"the source ({GIVEN}).",
            reads=("ADAPTERS_FR", "SOURCE"),
            **recognising("ADAPTERS_FR", "SOURCE"),
            parts=(ALL.name,),
        ),
        recognised(
            id="recognition-stacked",
            says="French recognition by adapters is better on top of French adapters than on the source.",
            reads=("ADAPTERS_FR", "SOURCE"),
            **recognising("ADAPTERS_FR", "SOURCE"),
            parts=(ADAPTERS.name,),
        ),
        _paper(
            id="forward",
            says="What was learned before helps the next language: Spanish from French's adapters beats Spanish from "
            "fresh ones.",
            where="abstract of the first version",
            paper="stated, no number read",
            reads=("ADAPTERS_FR_THEN_ES", "ADAPTERS_ES"),
            kind=above_deaf(APART, "ADAPTERS_FR_THEN_ES", "ADAPTERS_ES"),
            **in_nats("ADAPTERS_FR_THEN_ES", "ADAPTERS_ES"),
            unit="nats a character",
            parts=_letters("es"),
            scales=("night", "gpu"),
            not_testable=NOT_AT_MINI,
        ),
        _question(
            id="replay",
            says="A twentieth of English among the French crops halves what full continued pre-training forgets.",
            reads=("REPLAY_FR", "FULL_FR", "SOURCE"),
            kind=Superior(),
            margin=lambda arms: 0.5 * higher("FULL_FR", "SOURCE")(arms) - higher("REPLAY_FR", "SOURCE")(arms),
            unit="nats",
            parts=ENGLISH,
            scales=("night", "gpu"),
            not_testable=NOT_AT_MINI,
        ),
    ]


CLAIMS = (*_costs(), *(claim for code in LANGUAGES for claim in _of_language(code)), *_recognition())
