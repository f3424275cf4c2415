"""What scores look like: a figure of them over the frames, and a page whose pictures slide over one another."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxtyping import UInt8
from numpy import ndarray

from common.measures import Measure
from common.report.figures import new_figure, to_svg
from common.report.page import Picture
from video_sr import peers
from video_sr.measures import PSNR, VIF, XPSNR
from video_sr.peers import Peer
from video_sr.protocol import crop_to_multiple, degrade, finite_mean, super_resolve_centre
from video_sr.score_kit import MEASURES, Scored, cells, notes, overall

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN = (PSNR, XPSNR, VIF)  # each where it was taken
TEMPLATE = Path(__file__).with_name("score_page.html.j2")
MOST_SHOWN = 12  # sequences with pictures, so that a page can be opened
WORST, OTHERS, MARK = "#0072B2", "#B8B8B8", "#D55E00"


def plot(scored: Sequence[Scored]) -> Figure:
    """Scores over the frames of every sequence; the one with the worst frame, by PSNR, stands out."""
    curves = {s.pair.name: [frame.get(PSNR.name, math.nan) for frame in s.frames] for s in scored}
    finite = [(v, name, i) for name, curve in curves.items() for i, v in enumerate(curve) if math.isfinite(v)]
    drawn = [PSNR, *(m for m in DRAWN[1:] if any(m.name in s.means for s in scored))]
    figure = new_figure(8, 1.4 + 2.6 * len(drawn))
    panels = figure.subplots(len(drawn), sharex=True, squeeze=False)[:, 0]
    if not finite:
        panels[0].set_title("Every frame is identical to the truth")
    worst_db, worst, frame = min(finite, default=(math.nan, "", 0))
    for measure, axes in zip(drawn, panels, strict=True):
        _draw(axes, scored, measure, worst)
    panels[-1].set_xlabel("frame")
    if not finite:
        return figure
    panels[0].plot([frame], [worst_db], "v", color=MARK, zorder=4)
    panels[0].annotate(
        f"{worst}, frame {frame}", (frame, worst_db), (6, -10), textcoords="offset points", fontsize=9
    )
    mean_db = finite_mean(value for value, _, _ in finite)
    panels[0].set_title(
        f"Worst is frame {frame} of {worst} with {worst_db:.1f} dB; "
        f"the mean of {len(finite)} frames is {mean_db:.1f} dB",
        fontsize=10,
    )
    return figure


def _draw(axes: Any, scored: Sequence[Scored], measure: Measure, worst: str) -> None:
    from matplotlib.ticker import MaxNLocator

    for s in scored:
        values = [frame.get(measure.name, math.nan) for frame in s.frames]
        shown = [value if math.isfinite(value) else math.nan for value in values]
        look = {"color": WORST, "zorder": 3} if s.pair.name == worst else {"color": OTHERS}
        axes.plot(shown, marker="." if len(shown) < 60 else "", linewidth=1.2, **look)
    unit = f" ({measure.unit})" if measure.unit == "dB" else ""
    axes.set_ylabel(f"{measure.name}{unit}", fontsize=8 if measure is not PSNR else None)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.15)


class Compared(NamedTuple):
    """One frame of a sequence, three ways."""

    title: str
    pictures: tuple[Picture, Picture, Picture]  # restored, original, bicubic


def page(scored: Sequence[Scored], beside: Sequence[Peer] = ()) -> str:
    """Every score, peers beside them, the figure, and the worst frame of the first sequences under a slider; one HTML
    file, which asks for nothing else. Every string is escaped."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    means = overall(scored)
    rows = [(s.pair.name, len(s.frames), cells(s.means, means)) for s in scored]
    text: str = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        headings=[MEASURES[name].heading for name in means],
        rows=[*rows, ("mean", sum(len(s.frames) for s in scored), cells(means, means))],
        peers=peers.rows(scored, beside) if beside else [],
        notes=[*notes(scored), *([peers.NOTE] if beside else [])],
        figure=Picture("Scores over the frames of every sequence.", to_svg(plot(scored))),
        compared=[_compared(s) for s in scored[:MOST_SHOWN]],
        num_left_out=max(0, len(scored) - MOST_SHOWN),
    )
    return text


def _compared(scored: Scored) -> Compared:
    """Of the frame with the lowest PSNR, which is read again."""
    values = [frame.get(PSNR.name, math.inf) for frame in scored.frames]
    index = values.index(min(values))
    sr, hr = next(islice(scored.pair.frames(), index, None))
    title = f"{scored.pair.name}, frame {index}: {cells({PSNR.name: values[index]}, [PSNR.name])[0]} dB"
    shown = {"restored": sr, "original": hr, "bicubic": _bicubic(hr)}
    restored, original, bicubic = (Picture(f"{way}, {title}", _jpeg(frame)) for way, frame in shown.items())
    return Compared(title, (restored, original, bicubic))


def _bicubic(hr: UInt8[ndarray, "height width 3"]) -> UInt8[ndarray, "height width 3"]:
    from video_sr.models.by_name import load

    return super_resolve_centre(load("bicubic"), degrade(crop_to_multiple(hr))[None])


def _jpeg(frame: UInt8[ndarray, "height width 3"]) -> bytes:
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(frame).save(held, "JPEG", quality=92, subsampling=0)
    return held.getvalue()
