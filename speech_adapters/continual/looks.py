"""How arms look in every figure of continued pre-training."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from common.report.figures import COLOURS, INK, MARKERS, Style
from speech_adapters.continual.evidence import LANGUAGES, METHODS, SOURCE, parse


def _style(recipe: str) -> Style:
    """A method keeps its colour; languages and chains differ in the marker."""
    name, methods, languages = parse(recipe), list(METHODS), list(LANGUAGES)
    place = methods.index(name.method) if name.method in methods else zlib.crc32(name.method.encode())
    turned = languages.index(name.language) if name.language in languages else 0
    return Style(
        COLOURS[place % len(COLOURS)], MARKERS[(place + turned + 5 * bool(name.after)) % len(MARKERS)]
    )


class _Styles(dict[str, Style]):
    """The same in every figure of the page, whatever recipes a scale adds."""

    def __missing__(self, recipe: str) -> Style:
        return _style(recipe)


STYLES = _Styles({SOURCE: _style(SOURCE)})  # never empty, which would read as not given


def look(recipe: str, size: float) -> dict[str, Any]:
    """Colour and marker; white rims keep markers apart where arms meet."""
    style, rim = STYLES[recipe], {"markeredgecolor": "white", "markeredgewidth": 0.7}
    return {"color": style.colour, "marker": style.marker, "markersize": size, **rim}


def legend(axes: Any, arms: Mapping[str, str]) -> None:
    """Arms with their words, to the right."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=words, linewidth=1, **look(arm, 7)) for arm, words in arms.items()]
    axes.legend(handles=handles, frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def label(axes: Any, *, x: str = "", y: str = "", title: str = "") -> None:
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    if title:
        axes.set_title(title, fontsize=10, color=INK, loc="left")
