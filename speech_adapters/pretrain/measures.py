"""What pre-training is measured by: names that scores and tables of both papers share."""

from __future__ import annotations

from collections.abc import Iterable

from common.measures import Measure, Part
from common.results import Item

PHONES = Part(
    name="phones (Russian)", words="frames whose phone a linear probe names, by depth of the encoder"
)
FRAMES = Measure(name="frames", unit="frames", words="of a sentence")
BELOW_LAYERS = ("spectrum", "features", "embedding")
_RIGHT = "right/"


def depth_name(depth: int) -> str:
    """0 is the spectrum, then come conv features, embedding and every layer."""
    below = len(BELOW_LAYERS)
    return BELOW_LAYERS[depth] if depth < below else f"layer{depth - below + 1}"


def right(depth: str) -> Measure:
    """Frames whose phone is named right at a depth."""
    return Measure(name=f"{_RIGHT}{depth}", unit="frames", heading=depth, words=f"named right at {depth}")


def depths(items: Iterable[Item]) -> list[Measure]:
    """Those that some item has, from the spectrum upwards."""
    names = {key.removeprefix(_RIGHT) for item in items for key in item.scores if key.startswith(_RIGHT)}
    return [right(name) for name in sorted(names, key=_height)]


def _height(depth: str) -> int:
    if depth in BELOW_LAYERS:
        return BELOW_LAYERS.index(depth)
    return len(BELOW_LAYERS) + int(depth.removeprefix("layer"))
