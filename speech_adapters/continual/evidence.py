"""How a run is read for the report: what was trained on what, and its scores by the speech they are of."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from common.measures import Part
from common.results import Item, Run
from common.settings import decode
from speech_adapters.continual.continuing import Continue
from speech_adapters.continual.data import READ
from speech_adapters.continual.measures import (
    CELLS,
    CONTRAST,
    CONTRASTIVE,
    LETTERS,
    OFF,
    ON,
    RECOGNITION,
    SWITCHED_OFF,
    TRAIN_S,
    Family,
    at,
    steps_of,
)
from speech_adapters.ctc.measures import CTC_NATS, NATS, Rate, ratio

LANGUAGES = {"en": "English", "fr": "French", "es": "Spanish", "ru": "Russian", "it": "Italian"}
SOURCE = "source"
PAIR = ("full", "adapters")  # the paper's own comparison, which titles tell of
METHODS = {  # in the order in which they are given colours
    "full": "full continued pre-training",
    "adapters": "adapters",
    "joint": "joint training with English",
    "scratch": "everything, from nothing",
    "lora": "LoRA",
    "replay": "full with a twentieth of English",
    SOURCE: "source model as it is",
    "full-frozen": "full, extractor frozen",
    "anchored": "full, held near the source",
}
SPOKEN = {source.name: source.language for sources in READ.values() for source in sources}
KINDS = {"all": "everything fine-tuned", "adapters": "adapters on top"}  # of recognition


@dataclass(frozen=True)
class Variant:
    """What was trained on which language, after which other one in the same run."""

    method: str  # one of METHODS
    language: str = ""  # the last one learned; empty of the source
    after: str = ""

    @property
    def words(self) -> str:
        learned = [LANGUAGES[code] for code in (self.after, self.language) if code]
        method = METHODS[self.method]
        return f"{' then '.join(learned)}: {method}" if learned else method

    @property
    def in_pair(self) -> bool:
        """Whether it is one of the paper's own comparison, no chain."""
        return self.method in PAIR and not self.after

    @property
    def rank(self) -> tuple[bool, int, bool, int]:
        """Where it stands in figures and tables: the source first, then by language, chain and method."""
        languages = list(LANGUAGES)
        language = languages.index(self.language) if self.language else len(languages)
        return self.method != SOURCE, language, bool(self.after), list(METHODS).index(self.method)


def is_timing(run: Run) -> bool:
    """Whether it is of the timing of updates, which trains nothing."""
    return bool(run.items) and run.items[0].part in {cell.name for cell in CELLS}


def variant(run: Run) -> Variant:
    """Read from the settings of an arm."""
    return variant_of(decode(Continue, run.result.settings))


def variant_of(recipe: Continue) -> Variant:
    if not recipe.steps:
        return Variant(SOURCE)
    after = recipe.sources[0].language if recipe.then else ""
    return Variant(_method(recipe), recipe.language, after)


def _method(recipe: Continue) -> str:
    told = {
        "scratch": not recipe.start_from,
        "replay": recipe.replay_share > 0,
        "anchored": recipe.anchor_weight > 0,
        "joint": len({source.language for source in recipe.sources}) > 1,
        "full-frozen": recipe.arm.kind == "full" and not recipe.extractor_trained,
    }
    return next((method for method, holds in told.items() if holds), recipe.arm.kind)


def language_words(code: str) -> str:
    return LANGUAGES.get(code, code)


def spoken(source: str) -> str:
    """Language of a source that some scale reads, by its name; "" of another."""
    return SPOKEN.get(source, "")


def speech_words(source: str) -> str:
    """A source with its language, e.g. "French (asterisk-fr)"."""
    return f"{language_words(code)} ({source})" if (code := spoken(source)) else source


def by_variant(runs: Iterable[Run]) -> dict[Variant, list[Run]]:
    """Seeds of each arm in order: the source first, then by language, method and chain; times of updates left out."""
    found: dict[Variant, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.result.seed):
        if not is_timing(run):
            found[variant(run)].append(run)
    return {what: found[what] for what in sorted(found, key=lambda what: what.rank)}


# ---- scores


def of_part(run: Run, part: Part) -> list[Item]:
    return [item for item in run.items if item.part == part.name]


def parts(run: Run, family: Family) -> dict[str, list[Item]]:
    """Items of the parts of a family by what they are of, e.g. contrasts by source, as they were scored."""
    found: dict[str, list[Item]] = defaultdict(list)
    for item in run.items:
        if what := family.what(item.part):
            found[what].append(item)
    return dict(found)


def every(runs: Iterable[Run], family: Family) -> list[str]:
    """What any of the runs has parts of, e.g. every source that some run was contrasted on."""
    return list(dict.fromkeys(what for run in runs for what in parts(run, family)))


def mean(items: Sequence[Item], score: str) -> float:
    """nan where there are none, or one lacks the score."""
    return statistics.fmean(item.scores.get(score, math.nan) for item in items) if items else math.nan


def contrasts(runs: Sequence[Run], source: str) -> list[float]:
    """Mean nats of a source's crops, of each run that was asked."""
    return [mean(items, CONTRASTIVE.name) for run in runs if (items := parts(run, CONTRAST).get(source))]


def letters(runs: Sequence[Run], source: str, rate: Rate = NATS) -> list[float]:
    """Rate of a linear probe of letters at the end, of each run that was asked."""
    return [rate.of(items) for run in runs if (items := parts(run, LETTERS).get(source))]


def average(values: Sequence[float]) -> float:
    """nan of none."""
    return statistics.fmean(values) if values else math.nan


def training_s(run: Run) -> float:
    """Seconds of the training, by the clock; nan where nothing was trained."""
    return float(run.result.wall_s.get("train", math.nan)) if run.result.settings.get("steps") else math.nan


def switched_off(run: Run) -> tuple[float, float] | None:
    """Largest difference to the source's outputs with the set off, and with it on; None where there is no set."""
    if not (items := of_part(run, SWITCHED_OFF)):
        return None
    return max(item.scores[OFF.name] for item in items), max(item.scores[ON.name] for item in items)


# ---- learning


@dataclass(frozen=True)
class Point:
    """Where letters stood on the way."""

    step: int
    seconds: float  # of training
    nats: float  # a character


def snapshots(run: Run, source: str) -> list[int]:
    """Steps at which letters of a source were looked at on the way."""
    return steps_of(CTC_NATS, {key for item in parts(run, LETTERS).get(source, []) for key in item.scores})


def curve(run: Run, source: str, start: float) -> list[Point]:
    """Letters of the source model (`start` nats, nan leaves it out), of every snapshot and of the end, by step.

    A run that starts from nothing has no start.
    """
    items, recipe, steps = (
        parts(run, LETTERS).get(source, []),
        decode(Continue, run.result.settings),
        snapshots(run, source),
    )
    points = [Point(step, mean(items, at(TRAIN_S, step)), nats_at(items, step)) for step in steps]
    if recipe.steps > (steps[-1] if steps else 0):
        points.append(Point(recipe.steps, training_s(run), NATS.of(items)))
    if recipe.start_from and points:
        points.insert(0, Point(0, 0.0, start))
    return [point for point in points if math.isfinite(point.nats) and math.isfinite(point.seconds)]


def nats_at(items: Sequence[Item], step: int) -> float:
    """Nats a character of a snapshot."""
    return ratio(items, at(CTC_NATS, step), NATS.divided_by.name)


def recognised_on(run: Run) -> str:
    """Name of the speech that recognisers were trained on."""
    source = decode(Continue, run.result.settings).evaluation.recognition_on
    return source.name if source is not None and parts(run, RECOGNITION) else ""
