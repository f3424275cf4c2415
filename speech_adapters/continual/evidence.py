"""How a run is read for the report: what its recipe's name says, and its scores by the speech they are of."""

from __future__ import annotations

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from common.results import Item, Run

SOURCE, COST = "SOURCE", "COST"
LANGUAGES = {"EN": "English", "FR": "French", "ES": "Spanish", "RU": "Russian", "IT": "Italian"}
METHODS = {  # in the order in which they are given colours
    "FULL": "full continued pre-training",
    "ADAPTERS": "adapters",
    "JOINT": "joint training with English",
    "SCRATCH": "everything, from nothing",
    "LORA": "LoRA",
    "REPLAY": "full with a twentieth of English",
    SOURCE: "source model as it is",
    "FULL_FROZEN": "full, extractor frozen",
    "ANCHORED": "full, held near the source",
}
KINDS = {"all": "everything fine-tuned", "adapters": "adapters on top"}  # of recognition
PATTERN = re.compile(r"(?P<method>.+?)(?:_(?P<after>[A-Z]{2})_THEN)?_(?P<language>[A-Z]{2})")
SNAPSHOT = re.compile(r"ctc_nats@(\d+)")


@dataclass(frozen=True)
class Name:
    """ADAPTERS_FR_THEN_ES is method ADAPTERS with language ES, after FR."""

    method: str
    language: str = ""  # the last one learned; empty where the name does not end in one
    after: str = ""  # a language learned before, in the same run

    @property
    def words(self) -> str:
        learned = [language_words(code) for code in (self.after, self.language) if code]
        method = METHODS.get(self.method, self.method)
        return f"{' then '.join(learned)}: {method}" if learned else method


def parse(recipe: str) -> Name:
    """A name that follows no pattern is a method of its own, of no language."""
    found = PATTERN.fullmatch(recipe)
    return Name(found["method"], found["language"], found["after"] or "") if found else Name(recipe)


def language_words(code: str) -> str:
    return LANGUAGES.get(code, code)


def spoken(source: str) -> str:
    """Code of a source's language, by the end of its name: asterisk-fr and folder:unlabelled/fr are FR; else ""."""
    code = re.split(r"[-/]", source)[-1].upper()
    return code if code in LANGUAGES else ""


def speech_words(source: str) -> str:
    """A source with its language, e.g. "French (asterisk-fr)"."""
    return f"{language_words(code)} ({source})" if (code := spoken(source)) else source


def by_recipe(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Seeds of each arm in order: the source first, then by language, method and chain; times of updates left out."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.result.seed):
        if run.result.recipe != COST:
            found[run.result.recipe].append(run)
    return {recipe: found[recipe] for recipe in sorted(found, key=rank)}


def rank(recipe: str) -> tuple[bool, int, bool, int, str]:
    """Where an arm stands in figures and tables: the source first, then by language, chain and method."""
    name, languages, methods = parse(recipe), list(LANGUAGES), list(METHODS)
    language = languages.index(name.language) if name.language in languages else len(languages)
    method = methods.index(name.method) if name.method in methods else len(methods)
    return recipe != SOURCE, language, bool(name.after), method, recipe


# ---- scores


def part(run: Run, name: str) -> list[Item]:
    return [item for item in run.items if item.part == name]


def parts(run: Run, kind: str) -> dict[str, list[Item]]:
    """Items of the parts "KIND WHAT" by what, e.g. of "contrast" by source, as they were scored."""
    found: dict[str, list[Item]] = defaultdict(list)
    for item in run.items:
        first, _, what = item.part.partition(" ")
        if first == kind and what:
            found[what].append(item)
    return dict(found)


def every(runs: Iterable[Run], kind: str) -> list[str]:
    """What any of the runs has parts of, e.g. every source that some run was contrasted on."""
    return list(dict.fromkeys(what for run in runs for what in parts(run, kind)))


def mean(items: Sequence[Item], score: str) -> float:
    """nan where there are none, or one lacks the score."""
    return statistics.fmean(item.scores.get(score, math.nan) for item in items) if items else math.nan


def rate(items: Sequence[Item], counted: str = "ctc_nats", divided_by: str = "characters") -> float:
    """Σ counted / Σ divided_by; nan where nothing was counted, or an item lacks a count."""
    total = math.fsum(item.scores.get(divided_by, math.nan) for item in items)
    return math.fsum(item.scores.get(counted, math.nan) for item in items) / total if total else math.nan


def contrasts(runs: Sequence[Run], source: str) -> list[float]:
    """Mean nats of a source's pieces, of each run that was asked."""
    return [mean(items, "contrastive") for run in runs if (items := parts(run, "contrast").get(source))]


def letters(runs: Sequence[Run], source: str, counted: str = "ctc_nats") -> list[float]:
    """What a linear probe of letters counts a character at the end, of each run that was asked."""
    return [rate(items, counted) for run in runs if (items := parts(run, "letters").get(source))]


def average(values: Sequence[float]) -> float:
    """nan of none."""
    return statistics.fmean(values) if values else math.nan


def training_s(run: Run) -> float:
    """Seconds of the training, by the clock; nan where nothing was trained."""
    return float(run.result.wall_s.get("train", math.nan)) if run.result.settings.get("steps") else math.nan


def switched_off(run: Run) -> tuple[float, float] | None:
    """Largest difference to the source's outputs with the set off, and with it on; None where there is no set."""
    if not (items := part(run, "switched off")):
        return None
    return max(item.scores["off"] for item in items), max(item.scores["on"] for item in items)


# ---- learning


@dataclass(frozen=True)
class Point:
    """Where letters stood on the way."""

    step: int
    seconds: float  # of training
    nats: float  # a character


def snapshots(run: Run, source: str) -> list[int]:
    """Steps at which letters of a source were looked at on the way."""
    keys = {key for item in parts(run, "letters").get(source, []) for key in item.scores}
    return sorted(int(found[1]) for key in keys if (found := SNAPSHOT.fullmatch(key)))


def curve(run: Run, source: str, start: float) -> list[Point]:
    """Letters of the source model (`start` nats, nan leaves it out), of every snapshot and of the end, by step.

    A run that starts from nothing has no start.
    """
    items, settings, steps = (
        parts(run, "letters").get(source, []),
        run.result.settings,
        snapshots(run, source),
    )
    points = [Point(step, mean(items, f"train_s@{step}"), rate(items, f"ctc_nats@{step}")) for step in steps]
    if (last := int(settings.get("steps") or 0)) > (steps[-1] if steps else 0):
        points.append(Point(last, training_s(run), rate(items)))
    if settings.get("start_from", SOURCE) and points:
        points.insert(0, Point(0, 0.0, start))
    return [point for point in points if math.isfinite(point.nats) and math.isfinite(point.seconds)]
