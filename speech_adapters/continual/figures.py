"""What the report shows of continued pre-training: what was forgotten, what it costs, what letters and words gain."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.report.figures import headline, new_figure, to_svg
from common.report.page import Panel, Picture
from common.report.styles import COLOURS, FAINT, INK, label, tidy
from common.report.tables import Table, number
from common.results import Run
from speech_adapters.continual import evidence, score_tables
from speech_adapters.continual.claims import PRINTED
from speech_adapters.continual.evidence import KINDS, PAIR, SOURCE, Variant, is_timing, language_words
from speech_adapters.continual.learning import journal_figure, letters_figure, read_journals, watched_sources
from speech_adapters.continual.matrix import matrix_figure
from speech_adapters.continual.measures import CELLS, CONTRAST, RECOGNITION, UPDATE_S
from speech_adapters.continual.score_tables import RATES, TIMES, shares
from speech_adapters.continual.styles import STYLES, style_of
from speech_adapters.ctc.measures import NATS

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["STYLES", "details", "figures", "panels", "tables"]  # what the report asks of this room


def figures(runs: Sequence[Run]) -> Iterator[tuple[str, matplotlib.figure.Figure]]:
    """(caption, figure) of what the runs can show: forgetting, costs, letters on the way, recognition."""
    if evidence.every(runs, CONTRAST):
        caption = (
            "Contrastive loss on held-out crops, the positives being the source model's: mean over seeds and the "
            "difference to the source; adapters are switched on; an outline marks an arm's own language"
        )
        yield caption, matrix_figure(runs)
    if timed := [run for run in runs if is_timing(run)]:
        caption = (
            "Seconds of an update at BASE's size in % of the first cell's; dots are seeds, the grey line is the "
            "paper's 32 % less"
        )
        yield caption, _cost_figure(timed)
    if sources := watched_sources(runs):
        caption = (
            "Letters by a linear probe on frozen outputs, from the source model over snapshots to the end, at equal "
            "time and at equal updates; a line per seed, the dashed line is the source"
        )
        yield caption, letters_figure(runs, sources)
    if evidence.every(runs, RECOGNITION):
        caption = "Recognition of test prompts after a short fine-tuning from each arm; small dots are seeds"
        yield caption, _recognition_figure(runs)


# ---- costs


def _cost_figure(runs: Sequence[Run]) -> matplotlib.figure.Figure:
    figure = new_figure(8.5, 4.2)
    axes = figure.subplots()
    for y, (cell, (adapted, _)) in enumerate(CELLS.items()):
        for row, (time, words) in enumerate(TIMES.items()):
            values, place = shares(runs, cell, time), y + (-0.19, 0.19)[row]
            if not values:
                continue
            colour = style_of(Variant("adapters" if adapted else "full")).colour
            axes.barh(
                place, statistics.fmean(values), 0.34, color=colour, alpha=(0.85, 0.4)[row], linewidth=0,
                hatch=("", "///")[row], edgecolor="white",
            )  # fmt: skip
            axes.plot(values, [place] * len(values), ".", color=INK, markersize=4, linestyle="none")
            seconds = evidence.average(
                [evidence.mean(evidence.of_part(run, cell), time.name) for run in runs]
            )
            told = f"{statistics.fmean(values):.0f} %, {number(seconds)} s {words}"
            axes.text(max(values) + 1.5, place, told, va="center", fontsize=8.5, color=INK)
    axes.axvline(100 - PRINTED, color=FAINT, linewidth=1.6, zorder=0)
    axes.text(
        100 - PRINTED, -0.62, f" the paper: {PRINTED:.0f} % less", fontsize=8.5, color="#666666", va="bottom"
    )
    axes.set_yticks(range(len(CELLS)), [cell.name.replace(", ", ",\n") for cell in CELLS])
    axes.set_ylim(len(CELLS) - 0.5, -0.65)
    axes.set_xlim(0, 150)
    axes.set_xticks(range(0, 101, 20))
    tidy(axes)
    label(axes, x="time of an update, % of everything trained")
    headline(figure, _cost_sentence(runs))
    return figure


def _cost_sentence(runs: Sequence[Run]) -> str:
    told = []
    for cell, (adapted, extractor) in CELLS.items():
        if adapted and (values := shares(runs, cell, UPDATE_S)):
            where = "trained" if extractor else "frozen"
            told.append(f"{100 - statistics.fmean(values):.0f} % with the extractor {where}")
    if not told:
        return "Time of an update"
    return f"Adapters cut an update by {' and '.join(told)}; the paper prints {PRINTED:.0f} %"


# ---- recognition


def _recognition_figure(runs: Sequence[Run]) -> matplotlib.figure.Figure:
    by_speech = score_tables.recognised(runs)
    rows = [max(1, len(evidence.by_variant(found))) for found in by_speech.values()]
    figure = new_figure(9.5, 1.2 + sum(0.5 * count + 0.6 for count in rows))
    panels = figure.subplots(len(by_speech), len(RATES), squeeze=False, sharey="row", height_ratios=rows)
    for row, (speech, found) in zip(panels, by_speech.items(), strict=True):
        arms = evidence.by_variant(found)
        for axes, rate in zip(row, RATES, strict=True):
            for y, (arm, seeds) in enumerate(arms.items()):
                for kind in KINDS:
                    _dots(axes, y, arm, kind, score_tables.measured(seeds, RECOGNITION.of(kind), rate))
            axes.margins(x=0.12)
            tidy(axes)
            label(axes, x=RATES[rate])
        row[0].set_yticks(range(len(arms)), [arm.words for arm in arms])
        row[0].set_ylim(len(arms) - 0.5, -0.5)
        label(row[0], x=RATES[NATS], title=evidence.speech_words(speech) if speech else "")
    _kinds_legend(figure)
    headline(figure, _recognition_sentence(by_speech))
    return figure


def _dots(axes: Any, y: int, arm: Variant, kind: str, values: Sequence[float]) -> None:
    if not values:
        return
    place, colour = y + (-0.14 if kind == "all" else 0.14), style_of(arm).colour
    face = colour if kind == "all" else "white"
    mean = statistics.fmean(values)
    axes.plot(
        [mean], [place], "o" if kind == "all" else "D", color=face, markeredgecolor=colour, markersize=7
    )
    axes.plot(values, [place] * len(values), ".", color=INK, markersize=4, linestyle="none", zorder=4)


def _kinds_legend(figure: Any) -> None:
    from matplotlib.lines import Line2D

    looks = {"all": ("o", COLOURS[6]), "adapters": ("D", "white")}
    handles = [
        Line2D(
            [], [], linestyle="none", marker=marker, color=face, markeredgecolor=COLOURS[6], label=KINDS[kind]
        )
        for kind, (marker, face) in looks.items()
    ]
    figure.legend(handles=handles, frameon=False, fontsize=9, loc="outside lower right", ncols=len(handles))


def _recognition_sentence(by_speech: Mapping[str, Sequence[Run]]) -> str:
    speech, runs = next(iter(by_speech.items()))
    told, arms = [], evidence.by_variant(runs)
    for kind, words in KINDS.items():
        levels = {
            arm: evidence.average(values)
            for arm, seeds in arms.items()
            if arm.method in (SOURCE, *PAIR)
            and (values := score_tables.measured(seeds, RECOGNITION.of(kind), NATS))
        }
        named = {SOURCE: "the source", "full": "full", "adapters": "adapters"}
        parts = [f"{number(level)} from {named[arm.method]}" for arm, level in levels.items()]
        if parts:
            told.append(f"{words} {', '.join(parts)}")
    language = language_words(evidence.spoken(speech)) or "Held-out"
    return f"{language} recognition, nats per character: {'; '.join(told)}" if told else "Recognition"


# ---- tables and panels


def tables(runs: Sequence[Run]) -> list[Table]:
    """Forgetting, costs, letters, recognition and phones, each where some run has it."""
    return score_tables.scores(runs)


def details(runs: Sequence[Run]) -> list[Table]:
    """Some transcripts of every arm beside what was said."""
    return score_tables.transcripts(runs)


def panels(folder: Path) -> Iterator[Panel]:
    """How the contrast and the use of codes went in own runs.

    Args:
        folder: of a scale: runs lie in it as RECIPE/seedN, with a journal each.
    """
    if journals := read_journals(folder):
        caption = (
            "From the journals, a line per seed: contrast, frames told apart, codes in use (running means)"
        )
        picture = Picture(caption, to_svg(journal_figure(journals)))
        yield Panel("How the pre-training went", pictures=[picture])
