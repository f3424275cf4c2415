"""The picture of the first page: every headline's interval against its bar, over frames that published runs made.

    python -m common.run verify --renew      draws it anew, from committed results and nothing else

It carries a digest of what it shows, by which `verify` tells a stale one: pixels differ from machine to machine.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from common.report.cards import IntervalBar, interval_bar
from common.report.figures import WORD_COLOURS, new_figure
from common.report.page import Picture
from common.report.styles import INK
from common.report.tables import ClaimRow

if TYPE_CHECKING:
    import matplotlib.figure

KEY = "drawn from"  # of the PNG's text
SHOWN_PX = 520  # its width on a page, where that is as wide
WIDTH_PX, RIM_PX = (
    760,
    14,
)  # what it is laid out in; letters of 22 are 10 pixels on a phone that shows it at 358
SHARPNESS = 1.5  # pixels drawn for each of those
ROW_PX, LEGEND_PX, CAPTION_PX, GAP_PX, LETTER_PX = 38, 34, 31, 8, 22
BAR = (300, 520)  # where intervals are drawn, from left to right
FRAME_SHAPE = 0.62  # height over width; the middle of a frame is shown
MARKS = {"upheld": "✓ ", "refuted": "✗ ", "not seen here": "○ ", "undecided": "~ "}
LEGEND = "shaded: holds; line: 95 % interval; each row has its own axis"


@dataclass(frozen=True)
class Headline:
    """A paper in a word or three, the verdict, and its interval where it has one."""

    topic: str
    word: str
    bar: IntervalBar | None


def headline_of(topic: str, row: ClaimRow) -> Headline:
    """Of the published evidence alone."""
    verdict = row.published
    topic = f"{topic}, our question" if row.claim.question else topic
    return (
        Headline(topic, verdict.word, interval_bar(row, verdict))
        if verdict
        else Headline(topic, "not run", None)
    )


def digest(headlines: Sequence[Headline], frames: Sequence[Picture]) -> str:
    """Of the words and numbers shown, rounded as they are told, the legend, and the frames' files."""
    told = [[one.topic, one.word, one.bar.told if one.bar else ""] for one in headlines]
    shown = [[one.caption, hashlib.sha256(one.content).hexdigest()] for one in frames]
    return hashlib.sha256(json.dumps([told, shown, LEGEND]).encode()).hexdigest()


def digest_in(path: Path) -> str:
    """What a committed picture was drawn from; "" where there is none."""
    if not path.is_file():
        return ""
    with Image.open(path) as picture:
        return str(picture.info.get(KEY, ""))


def markup(headlines: Sequence[Headline], frames: Sequence[Picture], address: str) -> str:
    """The picture in a page, with words for who does not see it."""
    told = [f"{one.topic} {one.word}" + (f" ({one.bar.told})" if one.bar else "") for one in headlines]
    alt = f"The four headlines: {'; '.join(told)}."
    if frames:
        alt += f" Below, a test picture: {', '.join(one.caption for one in frames)}."
    return f'<img src="{address}" width="{SHOWN_PX}" alt="{html.escape(alt)}">'


def draw(headlines: Sequence[Headline], frames: Sequence[Picture]) -> bytes:
    """PNG bytes."""
    frame_width = (WIDTH_PX - GAP_PX * (len(frames) - 1)) / max(1, len(frames))
    below = frame_width * FRAME_SHAPE + CAPTION_PX + GAP_PX if frames else 0.0
    height = ROW_PX * len(headlines) + LEGEND_PX + below
    figure = new_figure((WIDTH_PX + 2 * RIM_PX) / 100, (height + 2 * RIM_PX) / 100)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for place, one in enumerate(headlines):
        _draw_headline(axes, ROW_PX * (place + 0.5), one)
    _write(axes, 0, ROW_PX * len(headlines) + LEGEND_PX / 2, LEGEND, color="#5d6369")
    for place, frame in enumerate(frames):
        left = place * (frame_width + GAP_PX)
        top = height - below + GAP_PX
        axes.imshow(
            _middle(frame), extent=(left, left + frame_width, height - CAPTION_PX, top), aspect="auto"
        )
        _write(axes, left, height - CAPTION_PX / 2, frame.caption)
    axes.set(xlim=(-RIM_PX, WIDTH_PX + RIM_PX), ylim=(height + RIM_PX, -RIM_PX))
    return _png(figure, {KEY: digest(headlines, frames)})


def _draw_headline(axes: Any, y: float, one: Headline) -> None:
    colour = WORD_COLOURS.get(one.word, "#4f565c")
    _write(axes, 0, y, one.topic, fontweight="bold")
    _write(axes, BAR[1] + 16, y, MARKS.get(one.word, "") + one.word, color=colour, fontweight="bold")
    if one.bar is None:
        return

    def at(place: float) -> float:
        return BAR[0] + (BAR[1] - BAR[0]) * place / 100

    low, high = map(at, one.bar.region)
    axes.fill_between([low, high], y - 14, y + 14, color="#00664B", alpha=0.18, linewidth=0)
    for bound, _ in one.bar.bounds:
        axes.plot([at(bound)] * 2, [y - 17, y + 17], color=INK, linewidth=1.5)
    axes.plot(
        [at(one.bar.low), at(one.bar.high)], [y, y], color="#0060a0", linewidth=4, solid_capstyle="butt"
    )
    axes.plot([at(one.bar.point)], [y], "o", color="#0060a0", markersize=9)


def _write(axes: Any, x: float, y: float, text: str, *, color: str = INK, **look: Any) -> None:
    points = LETTER_PX * 72 / 100
    axes.text(x, y, text, ha="left", va="center_baseline", fontsize=points, color=color, **look)


def _middle(frame: Picture) -> Any:
    import numpy as np

    with Image.open(io.BytesIO(frame.content)) as whole:
        height = min(whole.height, round(whole.width * FRAME_SHAPE))
        top = (whole.height - height) // 2
        return np.asarray(whole.convert("RGB").crop((0, top, whole.width, top + height)))


def _png(figure: matplotlib.figure.Figure, text: dict[str, str]) -> bytes:
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=100 * SHARPNESS, metadata=text)
    return held.getvalue()
