"""How arms look in every figure of continued pre-training."""

from __future__ import annotations

from common.report.styles import Style, style_at
from speech_adapters.continual.continuing import Continue
from speech_adapters.continual.evidence import LANGUAGES, METHODS, Variant, variant_of
from speech_adapters.continual.recipes import SCALES


def style_of(what: Variant) -> Style:
    """A method keeps its colour; languages and chains differ in the marker."""
    place = list(METHODS).index(what.method)
    turned = list(LANGUAGES).index(what.language) if what.language else 0
    return style_at(place, turned + 5 * bool(what.after))


VARIANTS = {
    name: variant_of(recipe)
    for scale in SCALES.values()
    for name, recipe in scale.recipes.items()
    if isinstance(recipe, Continue)
}
STYLES = {name: style_of(what) for name, what in VARIANTS.items()}
