"""Figures of ranks: arm by arm and part by part, against noise, against batch size, and how deep one must look."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from common.measures import Measure, Part
from common.report.figures import headline, new_figure
from common.report.styles import FAINT, INK, label, tidy
from common.report.tables import number
from common.results import Item, Run
from multimodal_ssl.arms import Arm
from multimodal_ssl.measures import CLIPS, RANK, RANK_POOLED, RETRIEVED, SCORINGS, SHOWN
from multimodal_ssl.report.evidence import (
    BATCH_RATE,
    GROUPED,
    SIDE_BY_SIDE,
    arms_of,
    at_rate,
    chance_at,
    compared,
    found_at,
    median_rank,
    of_arm,
    of_run,
    queries,
    rates_of,
)
from multimodal_ssl.report.styles import legend_of, look, style_of

if TYPE_CHECKING:
    import matplotlib.figure

RECALLS = {"R@1 (%)": 1, "R@5 (%)": 5}
HEADLINE_K = 5
MOST_TOLD = 3  # arms in a title
Place = Callable[[Run], int]


def rank_figures(runs: Sequence[Run]) -> Iterator[tuple[str, matplotlib.figure.Figure]]:
    """(caption, figure) of what the runs can show; the two ways of scoring never share a line."""
    runs, others = compared([run for run in runs if queries(run)])
    for some, which in ((runs, ""), (others, ", other arms")):
        rates = [rate for rate in rates_of(some) if rate in SIDE_BY_SIDE]
        for scoring in SCORINGS if rates else ():
            caption = (
                f"Retrieval {scoring.words}, part by part{which}: means over seeds, and every seed a dot"
            )
            yield caption, _parts_figure(some, rates, scoring)
    noise = [run for run in runs if of_run(run).other_batch is None]
    if len({_rate(run) for run in noise}) > 1:
        caption = "Recall against the rate of wrong captions; hollow and dashed: captions of a neighbour in the film"
        yield f"{caption} ({RANK.words})", _noise_figure(noise)
    batches = [run for run in runs if _rate(run) == BATCH_RATE and not of_run(run).near]
    if len({_batch(run) for run in batches}) > 1:
        caption = f"Recall against batch size, equal samples seen, {BATCH_RATE} % of captions wrong"
        yield f"{caption} ({RANK.words})", _batch_figure(batches)
    for rate in [BATCH_RATE] if at_rate(runs, BATCH_RATE) else rates_of(runs)[-1:]:
        caption = f"Queries answered among the first k clips; dotted: {RANK_POOLED.words}"
        yield f"{caption}; {rate} % of captions wrong", _depth_figure(at_rate(runs, rate), rate)


def _rate(run: Run) -> int:
    return of_run(run).rate_percent


def _batch(run: Run) -> int:
    return of_run(run).recipe.batch_size


def _told(values: Mapping[Arm, Iterable[float]], unit: str = "") -> str:
    """ "12.0 % (coarse), 15.0 % (fine)" of the first arms: means over seeds."""
    lists = {arm: list(found) for arm, found in values.items()}
    means = [(arm.words, statistics.fmean(found)) for arm, found in lists.items() if found]
    some = [(words, mean) for words, mean in means if math.isfinite(mean)][:MOST_TOLD]
    return ", ".join(f"{number(mean)}{unit} ({words})" for words, mean in some)


# ---- part by part


def _parts_figure(runs: Sequence[Run], rates: Sequence[int], scoring: Measure) -> matplotlib.figure.Figure:
    measures = {words: partial(found_at, k=k, scoring=scoring) for words, k in RECALLS.items()}
    measures["median rank"] = partial(median_rank, scoring=scoring)
    figure = new_figure(5.0 + 3.2 * len(rates), 1.1 + 2.1 * len(measures))
    panels = figure.subplots(len(measures), len(rates), squeeze=False, sharex=True, sharey="row")
    chosen = [run for rate in rates for run in at_rate(runs, rate)]
    parts = [part for part in RETRIEVED if _some(chosen, (part,))]
    for column, rate in enumerate(rates):
        arms = {arm: of_arm(at_rate(runs, rate), arm) for arm in arms_of(chosen)}
        for axes, (words, measure) in zip(panels[:, column], measures.items(), strict=True):
            for at, part in enumerate(parts):
                _draw_part(axes, at, part, arms, measure)
                if words in RECALLS:
                    level = chance_at(_some(chosen, (part,)), RECALLS[words])
                    axes.plot([at - 0.42, at + 0.42], [level] * 2, color=FAINT, linewidth=2.5, zorder=1)
            tidy(axes, heights=True)
            axes.set_xlim(-0.55, len(parts) - 0.45)
            if not column:
                label(axes, y=words)
        panels[0, column].set_title(f"{rate} % of captions wrong", fontsize=10, color=INK, loc="left")
        panels[-1, column].set_xticks(
            range(len(parts)), [part.name.replace(", ", ",\n") for part in parts], fontsize=8
        )
    for axes in panels[: len(RECALLS), 0]:
        axes.set_ylim(bottom=0)
    panels[-1, 0].set_yscale("log")
    _plain_ticks(panels[-1, 0].yaxis)
    legend_of(panels[0, -1], arms_of(chosen))
    headline(figure, _parts_sentence(at_rate(runs, rates[-1]), rates[-1], scoring))
    return figure


def _draw_part(
    axes: Any, at: int, part: Part, arms: Mapping[Arm, Sequence[Run]], measure: Callable[[Sequence[Item]], float]
) -> None:  # fmt: skip
    for place, (arm, runs) in enumerate(arms.items()):
        x = at + 0.7 * ((place + 0.5) / len(arms) - 0.5)
        values = [measure(items) for run in runs if (items := queries(run, (part,)))]
        if values:
            axes.plot([x], [statistics.fmean(values)], linestyle="none", zorder=3, **look(arm))
            axes.plot([x] * len(values), values, ".", color=style_of(arm).colour, markersize=4, zorder=4)


def _some(runs: Sequence[Run], parts: tuple[Part, ...]) -> list[Item]:
    """Queries of the first run that has some; all runs are asked the same."""
    return next((found for run in runs if (found := queries(run, parts))), [])


def _parts_sentence(runs: Sequence[Run], rate: int, scoring: Measure) -> str:
    told = _told({arm: _found(of_arm(runs, arm), scoring) for arm in arms_of(runs)}, " %")
    how = "Own similarity" if scoring == RANK else "Pooled vectors"
    return f"{how}, {rate} % of captions wrong: R@{HEADLINE_K} on pairs that training showed is {told or 'not known'}"


def _found(runs: Iterable[Run], scoring: Measure = RANK) -> list[float]:
    """The headline's recall of each run that has it."""
    return [
        found_at(items, HEADLINE_K, scoring)
        for run in runs
        if (items := queries(run, SHOWN))
    ]  # fmt: skip


# ---- against noise and batch


def _noise_figure(runs: Sequence[Run]) -> matplotlib.figure.Figure:
    ticks = sorted({_rate(run) for run in runs})
    figure = _lines_figure(runs, _rate, "wrong captions (%)", ticks)
    rates = rates_of(runs) or ticks
    falls = {
        arm: [
            before - after
            for before, after in zip(
                *(_found(of_arm(at_rate(runs, rate), arm)) for rate in (rates[0], rates[-1])), strict=False
            )
        ]
        for arm in arms_of(runs)
    }
    told = _told(falls) or "not known"
    headline(figure, f"Points of R@{HEADLINE_K} lost from {rates[0]} to {rates[-1]} % wrong captions: {told}")
    return figure


def _batch_figure(runs: Sequence[Run]) -> matplotlib.figure.Figure:
    sizes = sorted({_batch(run) for run in runs})
    figure = _lines_figure(runs, _batch, "clips in a batch", sizes, log=True)
    ends = [
        f"in batches of {size}: {told}"
        for size in (sizes[0], sizes[-1])
        if (told := _told({
            arm: _found(run for run in of_arm(runs, arm) if _batch(run) == size) for arm in arms_of(runs)
        }))
    ]  # fmt: skip
    headline(figure, f"R@{HEADLINE_K} in % " + "; ".join(ends))
    return figure


def _lines_figure(
    runs: Sequence[Run], place: Place, words: str, ticks: Sequence[int], log: bool = False
) -> matplotlib.figure.Figure:
    """A row per recall, a column per kind of pairs; per arm a line through the means, and every seed a dot."""
    figure = new_figure(11, 1.1 + 2.3 * len(RECALLS))
    panels = figure.subplots(len(RECALLS), len(GROUPED), squeeze=False, sharex=True, sharey="row")
    for place_down, (row, (measure, k)) in enumerate(zip(panels, RECALLS.items(), strict=True)):
        for axes, (title, parts) in zip(row, GROUPED.items(), strict=True):
            _draw_lines(axes, runs, place, parts, k)
            if log:
                axes.set_xscale("log", base=2)
            axes.set_xticks(ticks, [str(tick) for tick in ticks])
            axes.margins(x=0.08)
            tidy(axes, heights=True)
            first, last = place_down == 0, place_down == len(panels) - 1
            label(axes, x=words * last, y=measure * (axes is row[0]), title=title * first)
        row[0].set_ylim(bottom=0)
    legend_of(panels[0, -1], arms_of(runs))
    return figure


def _draw_lines(axes: Any, runs: Sequence[Run], place: Place, parts: tuple[Part, ...], k: int) -> None:
    points: dict[tuple[Arm, bool], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        is_of, x, value = of_run(run), place(run), found_at(queries(run, parts), k)
        if math.isfinite(value):
            # Without wrong captions it does not matter whose they would be.
            for near in {is_of.near, is_of.near or x == 0}:
                points[is_of.arm, near][x].append(value)
    for (arm, near), by_place in points.items():
        if near and len(by_place) < 2:
            continue
        means = sorted((x, statistics.fmean(values)) for x, values in by_place.items())
        seeds = [(x, value) for x, values in by_place.items() for value in values]
        line = {"color": style_of(arm).colour, "linestyle": "--" if near else "-", "linewidth": 1.2}
        axes.plot(*zip(*means, strict=True), alpha=0.7, **line)
        axes.plot(*zip(*means, strict=True), linestyle="none", zorder=3, **look(arm, hollow=near))
        axes.plot(*zip(*seeds, strict=True), ".", color=line["color"], markersize=4, zorder=4)
    axes.axhline(chance_at(_some(runs, parts), k), color=FAINT, linewidth=2, zorder=1)


# ---- how deep one must look


def _depth_figure(runs: Sequence[Run], rate: int) -> matplotlib.figure.Figure:
    figure = new_figure(11, 3.7)
    panels = figure.subplots(1, len(GROUPED), squeeze=False, sharey=True)[0]
    for axes, (title, parts) in zip(panels, GROUPED.items(), strict=True):
        asked = _some(runs, parts)
        depths = _depths(int(max((item.scores[CLIPS.name] for item in asked), default=1)))
        for arm in arms_of(runs):
            items = [item for run in of_arm(runs, arm) for item in queries(run, parts)]
            for scoring, line in zip(SCORINGS, ("-", ":"), strict=True):
                marks = look(arm, 6) if scoring == RANK else {"color": style_of(arm).colour}
                found = [found_at(items, k, scoring) for k in depths]
                axes.plot(depths, found, linestyle=line, linewidth=1.4, **marks)
        axes.plot(depths, [chance_at(asked, k) for k in depths], color=FAINT, linewidth=2, zorder=1)
        axes.set_xscale("log")
        _plain_ticks(axes.xaxis)
        tidy(axes, heights=True)
        label(axes, x="k, clips looked at", y="answered (%)" * (axes is panels[0]), title=title)
    legend_of(panels[-1], arms_of(runs))
    told = [
        f"{half:g} ({arm.words})"
        for arm in arms_of(runs)[:MOST_TOLD]
        if math.isfinite(half := median_rank([i for run in of_arm(runs, arm) for i in queries(run, SHOWN)]))
    ]
    headline(
        figure, f"{rate} % of captions wrong: half of the queries are answered by rank {', '.join(told)}"
    )
    return figure


def _depths(most: int) -> list[int]:
    """1, 2, 5, 10, 20, ... up to the gallery."""
    return [*(base * 10**power for power in range(5) for base in (1, 2, 5) if base * 10**power < most), most]


def _plain_ticks(axis: Any) -> None:
    """1, 2, 5, 10 in place of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
