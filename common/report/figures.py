"""Figures as functions from rows to a matplotlib `Figure`; no screen and no global state.

A method keeps its colour and marker in every figure: see `styles.py`.
"""

import io
import math
import statistics
import textwrap
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from common.claims import Claim
from common.report.styles import INK, Style, method_styles, tidy
from common.results import Run
from common.verdicts import Verdict

if TYPE_CHECKING:
    import matplotlib.figure

WORD_COLOURS = {"upheld": "#00664B", "refuted": "#A63D00", "not seen here": "#6F5300"}


def new_figure(width: float, height: float) -> "matplotlib.figure.Figure":
    """An empty one, in inches, drawn without a screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def headline(figure: "matplotlib.figure.Figure", text: str) -> None:
    """The finding, above the figure, wrapped to its width."""
    width = max(30, round(figure.get_figwidth() * 9.5))
    figure.suptitle(textwrap.fill(text, width), x=0.01, ha="left", fontsize=12, color=INK, fontweight="bold")


def to_svg(figure: "matplotlib.figure.Figure") -> bytes:
    """Equal figures give equal bytes: no date, fixed ids."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "report"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def margin_figure(
    claims: Sequence[Claim], verdicts: Sequence[Verdict], title: str
) -> "matplotlib.figure.Figure":
    """Forest plot: a dot per seed, the interval, and the shaded region where the claim would be upheld.

    One panel per unit, because margins of different units share no axis. Claims that ask no number and those
    without a point are left out.
    """
    by_id = {claim.id: claim for claim in claims}
    units: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if by_id[verdict.claim].kind.region and math.isfinite(verdict.point):
            units[by_id[verdict.claim].unit].append(verdict)
    num_rows = [len(rows) for rows in units.values()] or [1]
    figure = new_figure(8.5, 0.9 + 0.62 * sum(num_rows) + 0.75 * len(num_rows))
    panels = figure.subplots(len(num_rows), squeeze=False, height_ratios=[rows + 0.6 for rows in num_rows])[
        :, 0
    ]
    for axes, (unit, rows) in zip(panels, units.items(), strict=False):
        for y, verdict in enumerate(rows):
            _draw_margin(axes, y, by_id[verdict.claim], verdict)
        axes.axvline(0, color=INK, linewidth=1)
        names = [textwrap.fill(by_id[verdict.claim].id, 28) + f"\n{verdict.word}" for verdict in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(f"margin ({unit})", fontsize=9, color=INK)
        tidy(axes)
    if not units:
        panels[0].set_axis_off()
        panels[0].text(0.5, 0.5, "no margin to show yet", ha="center", color=INK)
    headline(figure, title)
    return figure


def _draw_margin(axes: Any, y: int, claim: Claim, verdict: Verdict) -> None:
    colour = WORD_COLOURS.get(verdict.word, "#666666")
    low, high = claim.kind.region or (0.0, math.inf)
    if math.isfinite(high):
        axes.fill_betweenx([y - 0.32, y + 0.32], low, high, color="#0072B2", alpha=0.12, linewidth=0)
    if math.isfinite(verdict.low):
        axes.plot([verdict.low, verdict.high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
        for end in (verdict.low, verdict.high):
            axes.plot([end, end], [y - 0.1, y + 0.1], color=colour, linewidth=2.2)
    margins = [margin for margin in verdict.per_seed.values() if math.isfinite(margin)]
    axes.plot(
        margins, [y + 0.22] * len(margins), "o", color=colour, alpha=0.65, markersize=4.5, linestyle="none"
    )
    axes.plot(
        [verdict.point], [y], "D", color="white", markeredgecolor=colour, markeredgewidth=1.8, markersize=7
    )


def group_gains(runs: Sequence[Run], measure: str, baseline: str) -> dict[str, dict[str, float]]:
    """Per recipe and group, the mean over seeds and items of the measure minus the baseline's on that item.

    Seeds that the baseline lacks, and items not finite in either, are left out.
    """
    of_seed = {run.result.seed: {i.id: i for i in run.items} for run in runs if run.result.recipe == baseline}
    if not of_seed:
        known = ", ".join(sorted({run.result.recipe for run in runs}))
        raise ValueError(f"baseline must be one of the recipes with results ({known}), got {baseline}")
    gains: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        for item in run.items if run.result.recipe != baseline else ():
            other = of_seed.get(run.result.seed, {}).get(item.id)
            pair = [side.scores.get(measure, math.nan) for side in (item, other) if side is not None]
            if len(pair) == 2 and all(map(math.isfinite, pair)):
                gains[run.result.recipe][item.group].append(pair[0] - pair[1])
    return {
        arm: {group: statistics.fmean(g) for group, g in groups.items()}
        for arm, groups in sorted(gains.items())
    }


def per_group_figure(
    runs: Sequence[Run],
    measure: str,
    *,
    baseline: str,
    unit: str,
    group_word: str = "picture",
    styles: Mapping[str, Style] | None = None,
    title: str | None = None,
) -> "matplotlib.figure.Figure":
    """Gain over the baseline on every group, a line per recipe; groups sorted by their mean gain."""
    gains = group_gains(runs, measure, baseline)
    styles = styles or method_styles(run.result.recipe for run in runs)
    groups = sorted({group for arm in gains.values() for group in arm})
    groups.sort(key=lambda group: statistics.fmean(arm[group] for arm in gains.values() if group in arm))
    figure = new_figure(8.5, 4.4)
    axes = figure.subplots()
    for arm, by_group in gains.items():
        ranks = [rank for rank, group in enumerate(groups, 1) if group in by_group]
        values = [by_group[groups[rank - 1]] for rank in ranks]
        style = styles[arm]
        label = f"{arm} ({statistics.fmean(values):+.3g} {unit})"
        # White rims keep markers apart where methods overlap.
        axes.plot(
            ranks,
            values,
            style.marker,
            color=style.colour,
            label=label,
            markersize=6,
            markeredgecolor="white",
        )
        axes.plot(ranks, values, color=style.colour, linewidth=0.8, alpha=0.45)
    axes.axhline(0, color=INK, linewidth=1)
    axes.set_xlabel(f"{group_word}s, from least to most gained", fontsize=9, color=INK)
    axes.set_ylabel(f"{measure} above {baseline} ({unit})", fontsize=9, color=INK)
    tidy(axes)
    if gains:
        axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0), title="mean gain")
    headline(figure, title or _gain_sentence(gains, baseline, group_word))
    return figure


def _gain_sentence(gains: Mapping[str, Mapping[str, float]], baseline: str, group_word: str) -> str:
    if not gains:
        return f"No other recipe was scored on the {group_word}s of {baseline} yet"
    best = max(gains, key=lambda arm: statistics.fmean(gains[arm].values()))
    ahead = sum(gain > 0 for gain in gains[best].values())
    return f"{best} gains most, and is ahead of {baseline} on {ahead} of {len(gains[best])} {group_word}s"


def training_figure(
    journals: Mapping[str, Mapping[int, Sequence[Mapping[str, Any]]]],
    *,
    title: str,
    measures: Collection[str] | None = None,
    units: Mapping[str, str] | None = None,
    styles: Mapping[str, Style] | None = None,
) -> "matplotlib.figure.Figure":
    """Curves over steps, a panel per measure, a line per recipe and seed.

    Args:
        journals: {recipe: {seed: rows of its journal}}; every row that holds a measure counts, so that dev
            scores are drawn too.
        measures: which keys to draw; by default every number but step and time.
    """
    styles = styles or method_styles(journals)
    curves = _curves(journals, measures)
    figure = new_figure(8.5, 0.8 + 2.4 * max(1, len(curves)))
    panels = figure.subplots(max(1, len(curves)), squeeze=False, sharex=True)[:, 0]
    for axes, (measure, by_run) in zip(panels, curves.items(), strict=False):
        labelled = set()
        for (recipe, _), points in by_run.items():
            style = styles[recipe]
            axes.plot(
                *zip(*points, strict=True),
                color=style.colour,
                marker=style.marker,
                markevery=max(1, len(points) // 8),
                markersize=4.5,
                linewidth=1.2,
                alpha=0.85,
                label=None if recipe in labelled else recipe,
            )
            labelled.add(recipe)
        unit = (units or {}).get(measure)
        axes.set_ylabel(f"{measure} ({unit})" if unit else measure, fontsize=9, color=INK)
        tidy(axes)
    if curves:
        panels[0].legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    panels[-1].set_xlabel("step", fontsize=9, color=INK)
    headline(figure, title)
    return figure


def _curves(
    journals: Mapping[str, Mapping[int, Sequence[Mapping[str, Any]]]], measures: Collection[str] | None
) -> dict[str, dict[tuple[str, int], list[tuple[float, float]]]]:
    """Finite points (step, value) by measure and run."""
    curves: dict[str, dict[tuple[str, int], list[tuple[float, float]]]] = {}
    for recipe, seeds in journals.items():
        for seed, rows in seeds.items():
            for row in rows:
                for key, value in row.items():
                    wanted = key in measures if measures is not None else key not in ("step", "time")
                    is_number = isinstance(value, int | float) and not isinstance(value, bool)
                    if wanted and is_number and math.isfinite(value):
                        curves.setdefault(key, {}).setdefault((recipe, seed), []).append(
                            (float(row["step"]), float(value))
                        )
    return curves
