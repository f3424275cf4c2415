"""What the report shows of adapter transfer to recognition: errors against what was trained, curves, transcripts."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.report.figures import headline, new_figure
from common.report.page import Panel
from common.report.styles import FAINT, INK, Style, legend, style_at, tidy
from common.report.tables import Table, number
from common.results import Run
from speech_adapters.asr.evidence import (
    LANGUAGES,
    METHODS,
    Variant,
    dev_curve,
    dev_level,
    is_recogniser,
    language_words,
    own_utterances,
    trained_share,
    variant,
    variant_of,
)
from speech_adapters.asr.finetune import FineTune
from speech_adapters.asr.measures import DEV_NATS
from speech_adapters.asr.panels import hypotheses, players
from speech_adapters.asr.recipes import SCALES
from speech_adapters.asr.score_tables import backbones, scores
from speech_adapters.ctc.measures import CER, NATS, WER, Rate

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

DRAWN = (NATS, CER, WER)
PAPER_SHARES = {"adapters": 9.2, "full": 95.6}  # % of the weights [Thomas22 abstract]
SHARE_TICKS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
AGAINST = {"step": "steps", "wall_s": "seconds of training"}
Place = Callable[[Run, Variant], "float | int | None"]


def style_of(what: Variant) -> Style:
    """A method keeps its colour; its recipes for another language have another marker."""
    place, turned = list(METHODS).index(what.method), 5 * list(LANGUAGES).index(what.language)
    return style_at(place, turned)


# The same in every figure of the page, whatever recipes a scale has.
STYLES = {
    name: style_of(variant_of(recipe))
    for scale in SCALES.values()
    for name, recipe in scale.recipes.items()
    if isinstance(recipe, FineTune)
}


def _usual(what: Variant) -> bool:
    return what.minutes is None and not what.further


# ---- figures


def figures(runs: Sequence[Run]) -> Iterator[tuple[str, matplotlib.figure.Figure]]:
    """(caption, figure) of what the runs can show: shares, single layers, top layers, learning."""
    # Not of a backbone; what fewer labels and a further iteration do is in the tables.
    runs = [run for run in runs if is_recogniser(run) and _usual(variant(run))]
    whole_or_top = [run for run in runs if variant(run).layer is None]
    if any(math.isfinite(trained_share(run)) for run in whole_or_top):
        caption = (
            "Errors on test prompts against the share of weights that was trained; dots are seeds, grey lines the "
            "shares of the paper's adapters and fine-tuning, a dotted line joins adapters of other widths"
        )
        yield caption, _share_figure(whole_or_top)
    layers = [run for run in runs if variant(run).layer is not None]
    if layers:
        yield (
            "One layer trained alone, counted from 1 below; dots are seeds",
            _numbered_figure(layers, lambda run, what: what.layer, "layer", "layer"),
        )
    tops = [run for run in runs if variant(run).top is not None]
    if tops:
        yield (
            "The top N layers trained; dots are seeds",
            _numbered_figure(tops, lambda run, what: what.top, "N, layers from the top", "top"),
        )
    if any(dev_curve(run) for run in runs if variant(run).whole):
        caption = "Nats per character on the dev prompts, at equal steps and at equal time; a line per seed"
        yield caption, _learning_figure([run for run in runs if variant(run).whole])


def _languages(runs: Sequence[Run]) -> list[str]:
    return sorted({variant(run).language for run in runs})


def _of_language(runs: Sequence[Run], language: str) -> list[Run]:
    return [run for run in runs if variant(run).language == language]


def _share_figure(runs: Sequence[Run]) -> matplotlib.figure.Figure:
    figure, panels = _grid(runs, lambda run, what: trained_share(run), "weights trained (%)")
    shares = [share for run in runs if math.isfinite(share := trained_share(run))]
    low, high = min([*shares, *PAPER_SHARES.values()]) / 1.6, 160
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        ticks = [tick for tick in SHARE_TICKS if low <= tick <= high]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([], minor=True)
        for share in PAPER_SHARES.values():
            axes.axvline(share, color=FAINT, linewidth=1.2, zorder=0)
    headline(figure, _share_sentence(runs))
    return figure


def _numbered_figure(runs: Sequence[Run], place: Place, label: str, word: str) -> matplotlib.figure.Figure:
    figure, panels = _grid(runs, place, label)
    places = {place(run, variant(run)) for run in runs}
    ticks = sorted(number for number in places if number is not None)
    for axes in panels:
        axes.set_xticks(ticks)
    headline(figure, _best_sentence(runs, place, word))
    return figure


def _grid(
    runs: Sequence[Run], place: Place, label: str
) -> tuple[matplotlib.figure.Figure, Sequence[matplotlib.axes.Axes]]:
    """A row per measure, a column per language; per method a line through the means, and every seed a dot."""
    languages = _languages(runs)
    figure = new_figure(9.5, 1.0 + 2.3 * len(DRAWN))
    panels = figure.subplots(len(DRAWN), len(languages), squeeze=False, sharex=True, sharey="row")
    for row, measure in zip(panels, DRAWN, strict=True):
        for axes, language in zip(row, languages, strict=True):
            _draw(axes, _of_language(runs, language), place, measure)
            tidy(axes, heights=True)
            axes.margins(y=0.12)
        row[0].set_ylabel(f"{measure.words} ({measure.unit})" * (measure.unit == "%") or measure.words)
    for axes, language in zip(panels[0], languages, strict=True):
        axes.set_title(language_words(language), fontsize=10, color=INK, loc="left")
    for axes in panels[-1]:
        axes.set_xlabel(label)
    for axes in panels.flat:
        axes.xaxis.label.set(fontsize=9, color=INK)
        axes.yaxis.label.set(fontsize=9, color=INK)
    _legend(panels[0, -1], runs)
    return figure, list(panels.flat)


def _look(method: str) -> dict[str, Any]:
    return style_of(Variant(method, "en")).look(9)


def _draw(axes: Any, runs: Sequence[Run], place: Place, measure: Rate) -> None:
    for (method, line), points in _points(runs, place, measure).items():
        means = [(x, statistics.fmean(values)) for x, values in points]
        axes.plot(*zip(*means, strict=True), line, color=_look(method)["color"], linewidth=1, alpha=0.5)
        axes.plot(*zip(*means, strict=True), linestyle="none", zorder=3, **_look(method))
        seeds = [(x, value) for x, values in points for value in values]
        dot = _look(method) | {"marker": ".", "markersize": 7.5}
        axes.plot(*zip(*seeds, strict=True), linestyle="none", zorder=4, **dot)


def _points(
    runs: Sequence[Run], place: Place, measure: Rate
) -> dict[tuple[str, str], list[tuple[float, list[float]]]]:
    """By method and line, (place, value of each seed) of its recipes from left to right; only what is finite.

    Other numbers of layers lie on one line, other widths on a dotted one.
    """
    by_recipe: dict[tuple[str, str, float, str], list[float]] = defaultdict(list)
    for run in runs:
        what = variant(run)
        x, value, line = place(run, what), measure.of(own_utterances(run)), ":" if what.width else "-"
        if x is not None and math.isfinite(x) and math.isfinite(value):
            by_recipe[what.method, line, x, run.result.recipe].append(value)
    found: dict[tuple[str, str], list[tuple[float, list[float]]]] = defaultdict(list)
    for (method, line, x, _), values in sorted(by_recipe.items()):
        found[method, line].append((x, values))
    return found


def _legend(axes: Any, runs: Sequence[Run]) -> None:
    methods = sorted({variant(run).method for run in runs}, key=list(METHODS).index)
    legend(axes, [(METHODS[one], _look(one)) for one in methods])


def _level(runs: Sequence[Run], method: str, language: str) -> float:
    """Mean over seeds of nats per character; nan where it was not run."""
    values = [NATS.of(own_utterances(run)) for run in runs if variant(run).is_all(method, language)]
    return statistics.fmean(values) if values else math.nan


def _share_sentence(runs: Sequence[Run]) -> str:
    told = []
    for language in _languages(runs):
        adapters, full = (_level(runs, method, language) for method in ("adapters", "full"))
        if math.isfinite(adapters) and math.isfinite(full):
            told.append(f"{number(adapters)} against {number(full)} ({language_words(language)})")
    if not told:
        return "Errors against the share of weights that was trained"
    return f"Nats per character, adapters against fine-tuning: {', '.join(told)}"


def _best_sentence(runs: Sequence[Run], place: Place, word: str) -> str:
    told = []
    for language in _languages(runs):
        of_method = _points(_of_language(runs, language), place, NATS)
        best = {
            method: min(points, key=lambda point: statistics.fmean(point[1]))[0]
            for (method, _), points in of_method.items()
        }
        if best:
            places = ", ".join(f"{METHODS[method]} {word} {x:g}" for method, x in best.items())
            told.append(f"{places} ({language_words(language)})")
    return f"Least nats per character: {'; '.join(told)}" if told else "Nothing finite to show"


# ---- learning


def _learning_figure(runs: Sequence[Run]) -> matplotlib.figure.Figure:
    runs = [run for run in runs if dev_curve(run)]
    languages = _languages(runs)
    figure = new_figure(9.5, 1.0 + 2.6 * len(languages))
    panels = figure.subplots(len(languages), len(AGAINST), squeeze=False, sharex="col", sharey="row")
    for row, language in zip(panels, languages, strict=True):
        for axes, key in zip(row, AGAINST, strict=True):
            for run in _of_language(runs, language):
                curve, look = dev_curve(run), _look(variant(run).method)
                axes.plot(curve[key], curve[DEV_NATS.name], linewidth=1, alpha=0.9, markevery=[-1], **look)
            tidy(axes, heights=True)
        row[0].set_ylabel("nats per character, dev", fontsize=9, color=INK)
        row[0].set_title(language_words(language), fontsize=10, color=INK, loc="left")
    for axes, words in zip(panels[-1], AGAINST.values(), strict=True):
        axes.set_xlabel(words, fontsize=9, color=INK)
    _legend(panels[0, -1], runs)
    headline(figure, _learning_sentence(runs))
    return figure


def _learning_sentence(runs: Sequence[Run]) -> str:
    """At the last time that every seed of both arms has reached, in each language that has both."""
    told = []
    for language in _languages(runs):
        arms = [
            [dev_curve(run) for run in runs if variant(run).is_all(method, language)]
            for method in ("adapters", "full")
        ]
        if all(arms):
            until = min(curve["wall_s"][-1] for arm in arms for curve in arm)
            levels = [statistics.fmean(dev_level(curve, until) for curve in arm) for arm in arms]
            told.append(
                f"{number(levels[0])} against {number(levels[1])} after {number(until)} s ({language_words(language)})"
            )
    return f"Adapters against fine-tuning on dev: {', '.join(told)}" if told else "How the arms learned"


# ---- tables and panels


def tables(runs: Sequence[Run]) -> list[Table]:
    """Scores and costs of every arm, corpus-level; then what the encoder itself can do."""
    return [*scores(runs), *backbones(runs)]


def details(runs: Sequence[Run]) -> list[Table]:
    """Some hypotheses of every arm beside their references."""
    return hypotheses([run for run in runs if is_recogniser(run)])


def panels(folder: Path) -> Iterator[Panel]:
    """Test utterances to play, each beside its hypotheses."""
    return players(folder)
