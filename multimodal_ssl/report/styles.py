"""How arms look in every figure: an arm keeps its colour, however many of its captions were wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common.report.figures import COLOURS, FAINT, INK, MARKERS, Style
from common.report.figures import tidy as tidied
from multimodal_ssl.arms import ARMS, Arm, Condition


def style(of: Condition) -> Style:
    """An arm has a colour; rates and batches of it differ in the marker."""
    place = ARMS.index(of.arm)
    turned = 3 * (of.rate_percent // 25) + 5 * of.near + (of.other_batch or 0).bit_length()
    return Style(COLOURS[place % len(COLOURS)], MARKERS[(place + turned) % len(MARKERS)])


def colour(arm: Arm) -> str:
    return COLOURS[ARMS.index(arm) % len(COLOURS)]


def look(arm: Arm, size: float = 8, *, hollow: bool = False) -> dict[str, Any]:
    """Colour and marker; white rims keep markers apart where arms meet."""
    marker = MARKERS[ARMS.index(arm) % len(MARKERS)]
    rim = {"markeredgecolor": colour(arm) if hollow else "white", "markeredgewidth": 0.8}
    inside = {"markerfacecolor": "white"} if hollow else {}
    return {"color": colour(arm), "marker": marker, "markersize": size, **rim, **inside}


def tidy(axes: Any) -> None:
    """As in every figure, with lines to read heights by."""
    tidied(axes)
    axes.grid(axis="y", color=FAINT, alpha=0.35, linewidth=0.6)


def label(axes: Any, *, x: str = "", y: str = "", title: str = "") -> None:
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    axes.set_title(title, fontsize=10, color=INK, loc="left")


def plain_ticks(axis: Any) -> None:
    """1, 2, 5, 10 in place of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend(axes: Any, arms: Sequence[Arm], *, chance: bool = True) -> None:
    """Arms with their words, to the right, and the grey of chance."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=arm.words, linewidth=1, **look(arm)) for arm in arms]
    if chance:
        handles.append(Line2D([], [], label="chance", linewidth=2.5, color=FAINT))
    axes.legend(handles=handles, frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
