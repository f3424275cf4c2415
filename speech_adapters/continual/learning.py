"""Curves of continued pre-training: letters on the way, and what the journals of own runs say of loss and codes."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import journal
from common.report.figures import headline, new_figure, training_figure
from common.report.styles import FAINT, label, legend, tidy
from common.report.tables import number
from common.results import Run
from speech_adapters.continual import evidence
from speech_adapters.continual.evidence import METHODS, SOURCE, Point, Variant, language_words
from speech_adapters.continual.measures import ACCURACY, CONTRASTIVE, LETTERS
from speech_adapters.continual.styles import STYLES, VARIANTS, style_of

if TYPE_CHECKING:
    import matplotlib.figure

    Journals = Mapping[str, Mapping[int, Sequence[Mapping[str, Any]]]]  # recipe -> seed -> rows

# What a journal tells of learning, with units: codes in use go from one in each group to all of them.
WATCHED = {
    CONTRASTIVE.name: CONTRASTIVE.unit,
    ACCURACY.name: ACCURACY.unit,
    "perplexity": "codes used",
    "soft_perplexity": "codes expected",
}
FEW = 2  # languages that a title tells of, arms whose every snapshot has a marker
RUNNING = 5  # rows of a journal that a running mean is of
LAST = 0.1  # of a run's rows, over which its end is averaged: single batches are noisy


# ---- letters on the way


def source_nats(runs: Sequence[Run], source: str) -> float:
    """Letters of the model as it is, mean over seeds; nan where it was not run."""
    return evidence.average(evidence.letters(evidence.by_variant(runs).get(Variant(SOURCE), []), source))


def watched_sources(runs: Sequence[Run]) -> list[str]:
    """Those whose letters some run looked at on the way."""
    return [source for source in evidence.every(runs, LETTERS) if curves(runs, source)]


def curves(runs: Sequence[Run], source: str) -> dict[Variant, list[list[Point]]]:
    """By arm the curve of each seed that looked on the way."""
    start = source_nats(runs, source)
    found: dict[Variant, list[list[Point]]] = defaultdict(list)
    for arm, seeds in evidence.by_variant(runs).items():
        for run in seeds:
            if evidence.snapshots(run, source) and (points := evidence.curve(run, source, start)):
                found[arm].append(points)
    return dict(found)


def letters_figure(runs: Sequence[Run], sources: Sequence[str]) -> matplotlib.figure.Figure:
    """A row per source, at equal time and at equal updates; a line per seed."""
    figure = new_figure(10.5, 1.0 + 2.7 * len(sources))
    panels = figure.subplots(len(sources), 2, squeeze=False, sharex="col", sharey="row")
    for row, source in zip(panels, sources, strict=True):
        start, learned = source_nats(runs, source), curves(runs, source)
        for axes, axis in zip(row, ("seconds", "step"), strict=True):
            _draw_letters(axes, axis, learned, start)
        label(row[0], y="nats per character", title=evidence.speech_words(source))
        top = _keep_scale(row[0], learned, start)
        looks = [(_end_words(arm, seeds, top), style_of(arm).look()) for arm, seeds in learned.items()]
        legend(row[-1], looks)
    for axes, words in zip(panels[-1], ("seconds of training", "updates"), strict=True):
        label(axes, x=words, y=axes.get_ylabel())
    headline(figure, _letters_sentence(runs, sources))
    return figure


def _draw_letters(
    axes: Any, axis: str, learned: Mapping[Variant, Sequence[Sequence[Point]]], start: float
) -> None:
    on_the_way = None if len(learned) <= FEW else [-1]  # markers of many arms would hide the lines
    for arm, seeds in learned.items():
        for points in seeds:
            places, nats = [getattr(point, axis) for point in points], [point.nats for point in points]
            axes.plot(places, nats, linewidth=0.9, alpha=0.85, markevery=on_the_way, **style_of(arm).look(6))
    if math.isfinite(start):
        axes.axhline(start, color=FAINT, linewidth=1.2, linestyle="--", zorder=0)
    tidy(axes, heights=True)


def _keep_scale(axes: Any, learned: Mapping[Variant, Sequence[Sequence[Point]]], start: float) -> float:
    """Cuts the axis above arms that left from the source, so that none from nothing flattens them; its end."""
    left = [
        point.nats
        for seeds in learned.values()
        for points in seeds
        for point in points
        if points[0].step == 0
    ]
    if not left or not math.isfinite(start):
        return math.inf
    spare = 0.08 * (max(left) - min(left)) or 0.01
    axes.set_ylim(min(axes.get_ylim()[0], min(left) - spare), max(left) + spare)
    return max(left) + spare


def _end_words(arm: Variant, seeds: Sequence[Sequence[Point]], top: float) -> str:
    ends = [points[-1].nats for points in seeds]
    above = f" (above, ends at {number(statistics.fmean(ends))})" if min(ends) > top else ""
    return arm.words + above


def _letters_sentence(runs: Sequence[Run], sources: Sequence[str]) -> str:
    told = []
    for source in sources[:FEW]:
        ends = {}
        for arm, seeds in curves(runs, source).items():
            if arm.in_pair:
                last = [points[-1] for points in seeds]
                nats, seconds = (
                    statistics.fmean(getattr(p, key) for p in last) for key in ("nats", "seconds")
                )
                ends[METHODS[arm.method]] = f"{number(nats)} after {number(seconds)} s"
        words = [f"{method} {end}" for method, end in ends.items()]
        if math.isfinite(start := source_nats(runs, source)):
            words.append(f"source {number(start)}")
        if ends:
            told.append(f"{language_words(evidence.spoken(source)) or source}: {', '.join(words)}")
    return f"Letters, nats per character. {'; '.join(told)}" if told else "Letters on the way"


# ---- journals


def read_journals(folder: Path) -> Journals:
    """Training rows of own runs in the order of arms; runs with a person's own settings are left out."""
    found: dict[str, dict[int, list[dict[str, Any]]]] = defaultdict(dict)
    for path in sorted(folder.glob("*/seed*/journal.jsonl")):
        recipe, seed = path.parts[-3], path.parts[-2].removeprefix("seed")
        rows = [row for row in journal.read(path) if row["event"] == "train"]
        if rows and recipe in VARIANTS:
            found[recipe][int(seed)] = rows
    return {recipe: found[recipe] for recipe in sorted(found, key=lambda recipe: VARIANTS[recipe].rank)}


def journal_figure(journals: Journals) -> matplotlib.figure.Figure:
    """The contrast with its chance level, frames told apart, and how many codes are in use."""
    drawn = {
        recipe: {seed: _running(rows) for seed, rows in seeds.items()} for recipe, seeds in journals.items()
    }
    figure = training_figure(
        drawn, title=_journal_sentence(journals), measures=tuple(WATCHED), units=WATCHED, styles=STYLES
    )
    chance = _end(journals, "chance")
    if math.isfinite(chance):
        for axes in figure.axes:
            if axes.get_ylabel().startswith(CONTRASTIVE.name):
                axes.axhline(chance, color=FAINT, linewidth=1.4, linestyle="--", zorder=0)
                place = axes.get_yaxis_transform()
                axes.text(0.01, chance, "chance", fontsize=8, color="#666666", va="top", transform=place)
    return figure


def _running(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Means over a row and those just before it: a batch of a few crops is noisy."""
    found = []
    for place, row in enumerate(rows):
        around = rows[max(0, place + 1 - RUNNING) : place + 1]
        means = {
            key: statistics.fmean(values)
            for key in WATCHED
            if (values := [float(one[key]) for one in around if isinstance(one.get(key), int | float)])
        }
        found.append({"step": row["step"], **means})
    return found


def _journal_sentence(journals: Journals) -> str:
    told = []
    for recipe, seeds in journals.items():
        if VARIANTS[recipe].in_pair:
            nats, codes = (_end({recipe: seeds}, key) for key in (CONTRASTIVE.name, "soft_perplexity"))
            told.append(f"{VARIANTS[recipe].words} {number(nats)} ({number(codes)} codes)")
    level = _end(journals, "chance")
    chance = f", chance {number(level)}" if math.isfinite(level) else ""
    return (
        f"Contrast at the end of training, nats{chance}: {'; '.join(told)}"
        if told
        else "How the contrast went"
    )


def _end(journals: Journals, key: str) -> float:
    """Mean over seeds of the last tenth of the rows; nan where no row has it."""
    ends = []
    for rows in (rows for seeds in journals.values() for rows in seeds.values()):
        values = [float(row[key]) for row in rows if isinstance(row.get(key), int | float)]
        ends += [statistics.fmean(values[-max(1, round(LAST * len(values))) :])] if values else []
    return evidence.average(ends)
