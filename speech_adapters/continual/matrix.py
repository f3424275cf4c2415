"""The forgetting matrix as a picture: what each arm made of each language, against the model that it started from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from common.report.figures import headline, new_figure
from common.report.styles import COLOURS, INK
from common.report.tables import number
from common.results import Run
from speech_adapters.continual import evidence
from speech_adapters.continual.evidence import METHODS, PAIR, SOURCE, Variant, language_words
from speech_adapters.continual.measures import CONTRAST

if TYPE_CHECKING:
    import matplotlib.figure

SATURATES = (
    0.5  # nats beyond which a colour says no more, so that one arm from nothing cannot pale the others
)
TOLD = 2  # languages that the title tells of
LEAST_SPAN = 0.05  # nats at full colour at least, so that noise looks pale
ROW, COLUMN = 0.66, 1.75  # inches


def matrix_figure(runs: Sequence[Run]) -> matplotlib.figure.Figure:
    """Rows are arms, columns held-out speech; nats, the difference to the source, and the seeds' differences."""
    arms = evidence.by_variant(run for run in runs if evidence.parts(run, CONTRAST))
    sources = evidence.every(runs, CONTRAST)
    levels = {arm: [evidence.contrasts(seeds, source) for source in sources] for arm, seeds in arms.items()}
    start = [evidence.average(values) for values in levels.get(Variant(SOURCE), [[] for _ in sources])]
    higher = [
        [evidence.average(cell) - at for cell, at in zip(row, start, strict=True)] for row in levels.values()
    ]
    figure = new_figure(max(8.0, 3.2 + COLUMN * len(sources)), max(3.0, 1.5 + ROW * len(arms)))
    axes = figure.subplots()
    _colour(figure, axes, higher)
    for y, (arm, row) in enumerate(levels.items()):
        for x, (values, at) in enumerate(zip(row, start, strict=True)):
            _tell(
                axes,
                x,
                y,
                values,
                math.nan if arm.method == SOURCE else at,
                abs(higher[y][x]) > 0.7 * _span(higher),
            )
            if values and evidence.spoken(sources[x]) in {arm.language, arm.after} - {""}:
                _outline(axes, x, y)
    axes.set_yticks(range(len(arms)), [arm.words for arm in arms])
    columns = [f"{source}\n{language_words(evidence.spoken(source))}".strip() for source in sources]
    axes.set_xticks(range(len(sources)), columns)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.spines[:].set_visible(False)
    headline(figure, forgetting_sentence(arms, sources))
    return figure


def _span(higher: Sequence[Sequence[float]]) -> float:
    known = [abs(value) for row in higher for value in row if math.isfinite(value)]
    return min(SATURATES, max([LEAST_SPAN, *known]))


def _colour(figure: Any, axes: Any, higher: Sequence[Sequence[float]]) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    # Blue and vermillion, told apart with any colour vision; the numbers say the same.
    colours: Any = LinearSegmentedColormap.from_list("worse", [COLOURS[0], "white", COLOURS[1]])
    colours = colours.with_extremes(bad="#F4F4F4")
    span = _span(higher)
    picture = axes.imshow(higher, cmap=colours, vmin=-span, vmax=span, aspect="auto")
    known = [value for row in higher for value in row if math.isfinite(value)]
    if known:
        beyond = "both" if max(map(abs, known)) > span else "neither"
        bar = figure.colorbar(picture, ax=axes, extend=beyond, fraction=0.04, pad=0.02)
        bar.set_label("nats above the source (below 0: better)", fontsize=9, color=INK)
        bar.ax.tick_params(labelsize=8, colors=INK)
        bar.outline.set_visible(False)


def _tell(axes: Any, x: int, y: int, values: Sequence[float], start: float, dark: bool) -> None:
    level, ink = evidence.average(values), "white" if dark else INK
    if not math.isfinite(level):
        axes.text(x, y, "not scored", ha="center", va="center", fontsize=8, color="#777777")
        return
    if not math.isfinite(start):
        axes.text(x, y, number(level), ha="center", va="center", fontsize=12, color=INK)
        return
    more = [value - start for value in values]
    axes.text(x, y - 0.02, number(level), ha="right", va="center", fontsize=12, color=ink)
    axes.text(x + 0.03, y - 0.02, f" {signed(level - start)}", ha="left", va="center", fontsize=9, color=ink)
    if len(more) > 1:
        spread = f"seeds {signed(min(more))} to {signed(max(more))}"
        axes.text(x, y + 0.33, spread, ha="center", va="center", fontsize=7, color=ink)


def _outline(axes: Any, x: int, y: int) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, fill=False, edgecolor=INK, linewidth=1.2))


def signed(value: float) -> str:
    """Thousandths of a nat with a sign, a true minus; +0.000 for less."""
    return f"{value:+.3f}".replace("-0.000", "+0.000").replace("-", "−")


def forgetting_sentence(arms: Mapping[Variant, Sequence[Run]], sources: Sequence[str]) -> str:
    """What became of the language that was learned first, by full training and by adapters, switched on and off."""
    first = next(iter(sources), "")
    start = evidence.average(evidence.contrasts(arms.get(Variant(SOURCE), []), first))
    told = []
    for method in PAIR:
        more = {
            arm.language: evidence.average(values) - start
            for arm, seeds in arms.items()
            if arm.method == method and arm.in_pair and (values := evidence.contrasts(seeds, first))
        }
        if more and math.isfinite(start):
            few = list(more.items())[:TOLD]
            after = ", ".join(f"{signed(value)} after {language_words(code)}" for code, value in few)
            told.append(f"{METHODS[method]} {after}")
    told += _off_words([run for seeds in arms.values() for run in seeds])
    words = evidence.speech_words(first)
    return (
        f"{words} against the source, nats: {'; '.join(told)}"
        if told
        else "Contrast on held-out speech, nats"
    )


def _off_words(runs: Sequence[Run]) -> list[str]:
    found = [pair for run in runs if (pair := evidence.switched_off(run))]
    if not found:
        return []
    most = max(off for off, _ in found)
    return [
        f"switched off, {'the source to the bit' if most == 0 else f'outputs differ by up to {most:.2g}'}"
    ]
