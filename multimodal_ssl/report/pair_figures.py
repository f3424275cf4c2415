"""Figures of what tells noisy pairs from right ones, and of what a linear probe makes of pooled vectors."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from common.report.figures import headline, new_figure
from common.report.styles import COLOURS, INK, label, tidy
from common.report.tables import number
from common.results import Run
from multimodal_ssl.arms import ARMS
from multimodal_ssl.composed.plan import MOTIONS
from multimodal_ssl.contrast import PairWeights
from multimodal_ssl.report.evidence import (
    arms_of,
    at_rate,
    auroc_of,
    named_right,
    of_arm,
    of_run,
    pairs,
    probed,
    rates_of,
    weights_of,
)

if TYPE_CHECKING:
    import matplotlib.figure

MOST_ARMS = 3  # side by side
BINS = 36
RIGHT, WRONG = COLOURS[0], COLOURS[1]
SHORT = {"moving left": "left", "moving right": "right", "moving up": "up", "moving down": "down",
         "standing still": "still"}  # fmt: skip


def pair_figures(runs: Sequence[Run]) -> Iterator[tuple[str, matplotlib.figure.Figure]]:
    """(caption, figure) of scores of training pairs, and of the weights that they make."""
    noisy = [run for run in runs if all(pairs(run)) and of_run(run).other_batch is None]
    if noisy:
        caption = "Own scores of training pairs after training, all seeds, above them AUROC"
        yield caption, _scores_figure(noisy)
    if weighted := [run for run in noisy if of_run(run).recipe.pair_weights]:
        caption = "What these pairs would count in a loss, were they one batch; 1 is the mean"
        yield caption, _weights_figure(weighted)


def _scores_figure(runs: Sequence[Run]) -> matplotlib.figure.Figure:
    arms = arms_of(runs)[:MOST_ARMS]
    noises = sorted({_noise(run) for run in runs if of_run(run).arm in arms})
    figure = new_figure(1.4 + 3.0 * len(arms), 1.1 + 2.2 * len(noises))
    panels = figure.subplots(len(noises), len(arms), squeeze=False, sharex="col")
    for row, noise in zip(panels, noises, strict=True):
        for axes, arm in zip(row, arms, strict=True):
            found = [run for run in of_arm(runs, arm) if _noise(run) == noise]
            _draw_both(axes, [pairs(run) for run in found])
            area = number(statistics.fmean(map(auroc_of, found))) if found else "not run"
            title = f"{arm.words}, {_noise_words(noise)}: {area}"
            label(axes, x="own score" * (noise == noises[-1]), y="share (%)" * (axes is row[0]), title=title)
    _explain(panels[0, 0])
    least = [run for run in runs if _noise(run) == noises[0]]
    told = [
        f"{number(statistics.fmean(map(auroc_of, found)))} ({arm.words})"
        for arm in arms
        if (found := of_arm(least, arm))
    ]
    words = f"AUROC of right above wrong pairs, {_noise_words(noises[0])}: {', '.join(told)}; 0.5 is chance"
    headline(figure, words)
    return figure


def _noise(run: Run) -> tuple[int, bool]:
    return of_run(run).rate_percent, of_run(run).near


def _noise_words(noise: tuple[int, bool]) -> str:
    rate, near = noise
    return f"{rate} % wrong" + ", neighbours'" * near


def _draw_both(axes: Any, of_seeds: Sequence[tuple[list[float], list[float]]], **ends: float) -> None:
    """Histograms of right and wrong, each of area 100 %, seeds together; and the mean of either."""
    right, wrong = ([value for seed in of_seeds for value in seed[side]] for side in (0, 1))
    tidy(axes, heights=True)
    if not (right and wrong):
        return
    low, high = ends.get("low", min(right + wrong)), ends.get("high", max(right + wrong))
    edges = [low + (high - low) * i / BINS for i in range(BINS + 1)]
    looks: tuple[dict[str, Any], ...] = (
        {"color": RIGHT, "alpha": 0.35, "histtype": "stepfilled"},
        {"color": WRONG, "linewidth": 1.4, "histtype": "step"},
    )
    for values, colour, how in zip((right, wrong), (RIGHT, WRONG), looks, strict=True):
        axes.hist(values, edges, weights=[100 / len(values)] * len(values), **how)
        axes.axvline(statistics.fmean(values), color=colour, linewidth=1.2, linestyle="--")


def _explain(axes: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=RIGHT, alpha=0.35, label="right"),
        Patch(facecolor="none", edgecolor=WRONG, linewidth=1.4, label="wrong"),
        Line2D([], [], color=INK, linewidth=1.2, linestyle="--", label="mean"),
    ]
    axes.legend(handles=handles, frameon=False, fontsize=8)


def _weights_figure(runs: Sequence[Run]) -> matplotlib.figure.Figure:
    shown = sorted({(_noise(run), ARMS.index(of_run(run).arm)) for run in runs})[:MOST_ARMS]
    figure = new_figure(max(6.5, 1.4 + 3.0 * len(shown)), 3.3)
    panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    told = []
    for axes, (noise, place) in zip(panels, shown, strict=True):
        arm = ARMS[place]
        found = [run for run in of_arm(runs, arm) if _noise(run) == noise]
        both, words = [_weights(run) for run in found], f"{arm.words}, {_noise_words(noise)}"
        _draw_both(axes, both, low=0.0, high=_pair_weights(found[0]).cap)
        label(axes, x="weight", y="share (%)" * (axes is panels[0]), title=words)
        right, wrong = (statistics.fmean(value for seed in both for value in seed[side]) for side in (0, 1))
        told.append(f"{number(wrong)} against {number(right)} ({words})")
    _explain(panels[-1])
    headline(figure, f"Mean weight of wrong pairs against right ones: {'; '.join(told)}")
    return figure


def _weights(run: Run) -> tuple[list[float], list[float]]:
    right, wrong = pairs(run)
    both = weights_of([*right, *wrong], _pair_weights(run).h, _pair_weights(run).cap)
    return both[: len(right)], both[len(right) :]


def _pair_weights(run: Run) -> PairWeights:
    found = of_run(run).recipe.pair_weights
    assert found is not None, f"{run.result.name} weighs no pairs"
    return found


# ---- probes


def probe_figures(runs: Sequence[Run]) -> Iterator[tuple[str, matplotlib.figure.Figure]]:
    """(caption, figure) of the confusion of motions, at the lowest rate of wrong captions."""
    asked = [run for run in runs if probed(run, "motion")]
    for rate in rates_of(asked)[:1]:
        caption = "What a linear probe of pooled clip vectors says of every motion (row), all seeds together"
        yield f"{caption}; {rate} % of captions wrong", _confusion_figure(at_rate(asked, rate))


def _confusion_figure(runs: Sequence[Run]) -> matplotlib.figure.Figure:
    arms = arms_of(runs)[:MOST_ARMS]
    figure = new_figure(1.6 + 3.4 * len(arms), 4.6)
    panels = figure.subplots(1, len(arms), squeeze=False, sharey=True)[0]
    told = []
    for axes, arm in zip(panels, arms, strict=True):
        found = of_arm(runs, arm)
        shares = _confusion([pair for run in found for pair in probed(run, "motion")])
        drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        for row, column in ((i, j) for i in range(len(MOTIONS)) for j in range(len(MOTIONS))):
            if shares[row][column] >= 0.5:
                colour = "white" if shares[row][column] > 55 else INK
                text = f"{shares[row][column]:.0f}"
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
        names = [SHORT.get(motion, motion) for motion in MOTIONS]
        axes.set_xticks(range(len(names)), names, fontsize=8, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.tick_params(length=0, colors=INK)
        axes.spines[:].set_visible(False)
        label(axes, x="said", y="shown" * (axes is panels[0]), title=arm.words)
        told.append(
            f"{number(statistics.fmean(named_right(run, 'motion') for run in found))} % ({arm.words})"
        )
    figure.colorbar(drawn, ax=list(panels), shrink=0.7, label="of a motion (%)")
    headline(
        figure, f"The probe names {', '.join(told)} of motions; chance is {number(100 / len(MOTIONS))} %"
    )
    return figure


def _confusion(told: Sequence[tuple[str, str]]) -> list[list[float]]:
    """Per cent of clips of each motion (row) that the probe takes for each (column); nan for a motion never shown."""
    counts, shown = Counter(told), Counter(true for true, _ in told)
    return [
        [100 * counts[true, said] / shown[true] if shown[true] else 0.0 for said in MOTIONS]
        for true in MOTIONS
    ]
