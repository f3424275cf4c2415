"""How arms look in every figure of continued pre-training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.report.figures import COLOURS, INK, MARKERS, Style
from speech_adapters.continual.continuing import Continue
from speech_adapters.continual.evidence import LANGUAGES, METHODS, Variant, variant_of
from speech_adapters.continual.recipes import SCALES


def style_of(what: Variant) -> Style:
    """A method keeps its colour; languages and chains differ in the marker."""
    place = list(METHODS).index(what.method)
    turned = list(LANGUAGES).index(what.language) if what.language else 0
    marker = MARKERS[(place + turned + 5 * bool(what.after)) % len(MARKERS)]
    return Style(COLOURS[place % len(COLOURS)], marker)


VARIANTS = {
    name: variant_of(recipe)
    for scale in SCALES.values()
    for name, recipe in scale.recipes.items()
    if isinstance(recipe, Continue)
}
STYLES = {name: style_of(what) for name, what in VARIANTS.items()}


def look(what: Variant, size: float) -> dict[str, Any]:
    """Colour and marker; white rims keep markers apart where arms meet."""
    style, rim = style_of(what), {"markeredgecolor": "white", "markeredgewidth": 0.7}
    return {"color": style.colour, "marker": style.marker, "markersize": size, **rim}


def legend(axes: Any, arms: Mapping[Variant, str]) -> None:
    """Arms with their words, to the right."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=words, linewidth=1, **look(arm, 7)) for arm, words in arms.items()]
    axes.legend(handles=handles, frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def label(axes: Any, *, x: str = "", y: str = "", title: str = "") -> None:
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    if title:
        axes.set_title(title, fontsize=10, color=INK, loc="left")
