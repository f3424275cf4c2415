"""How methods look in figures, and how axes do: one table of colours and markers for all papers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Okabe and Ito's colours, told apart with any colour vision; brown instead of their yellow, too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D", "#7A4A2B")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")  # nine and eight share no factor: 72 pairs
INK, FAINT = "#333333", "#B8B8B8"


@dataclass(frozen=True)
class Style:
    """How a method looks in every figure."""

    colour: str
    marker: str

    def look(self, size: float = 7, *, hollow: bool = False) -> dict[str, Any]:
        """What `axes.plot` takes; white rims keep markers apart where methods meet."""
        rim = {"markeredgecolor": self.colour if hollow else "white", "markeredgewidth": 0.8}
        inside = {"markerfacecolor": "white"} if hollow else {}
        return {"color": self.colour, "marker": self.marker, "markersize": size, **rim, **inside}


def style_at(place: int, turned: int = 0) -> Style:
    """The looks of a paper's method by its place among them: its variants keep the colour and turn the marker."""
    return Style(COLOURS[place % len(COLOURS)], MARKERS[(place + turned) % len(MARKERS)])


def method_styles(names: Iterable[str]) -> dict[str, Style]:
    """A colour and a marker for each name, given out in order of name."""
    return {name: style_at(place) for place, name in enumerate(sorted(set(names)))}


def tidy(axes: Any, *, heights: bool = False) -> None:
    """Axes as they look in every figure.

    Args:
        heights: with lines to read heights by.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(axis="both" if heights else "x", color=FAINT, alpha=0.35, linewidth=0.6)
    axes.set_axisbelow(True)


def label(axes: Any, *, x: str = "", y: str = "", title: str = "") -> None:
    """What the axes carry, and a title to their left."""
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    if title:
        axes.set_title(title, fontsize=10, color=INK, loc="left")


def legend(axes: Any, looks: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Words with the looks that they name, to the right of the axes."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=words, **{"linewidth": 1, **look}) for words, look in looks]
    axes.legend(handles=handles, frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
