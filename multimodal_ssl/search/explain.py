"""Which place and which moment matched which phrase: a picture of one result of a search."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray

from common.report.figures import headline, new_figure
from common.report.styles import COLOURS, FAINT, INK, tidy
from multimodal_ssl.model.matcher import Matcher
from multimodal_ssl.model.similarity import mean_pooled
from multimodal_ssl.model.units import Units
from multimodal_ssl.search.index import Index, shown_frames
from multimodal_ssl.search.query import Hit, Question, score_windows

if TYPE_CHECKING:
    import matplotlib.figure

MOST_PHRASES = 10  # that are drawn, those with the highest scores
ROW_IN, CURVE_IN, MARGINS_IN = (
    1.2,
    2.6,
    2.6,
)  # inches: height of a frame; width of a curve; of labels and scale
PLACES = (("upper", "middle", "lower"), ("left", "centre", "right"))


@dataclass(frozen=True)
class Explained:
    """One phrase in one window: S_kl of every place k of the feature map, and its score along the video."""

    phrase: str
    score: float  # of the phrase alone with this window, by the model's own similarity
    map: Float32[ndarray, "place_time place_height place_width"]  # cosines
    along: Float32[ndarray, " window"]  # the same score of every window of the video

    @property
    def best(self) -> tuple[int, int, int]:
        """The place (time, height, width) that agrees most."""
        time, height, width = np.unravel_index(int(self.map.argmax()), self.map.shape)
        return int(time), int(height), int(width)

    @property
    def where(self) -> str:
        """ "upper left", in words."""
        thirds = [at * 3 // size for at, size in zip(self.best[1:], self.map.shape[1:], strict=True)]
        down, right = (names[third] for names, third in zip(PLACES, thirds, strict=True))
        return "centre" if (down, right) == ("middle", "centre") else f"{down} {right}"


def explain(index: Index, matcher: Matcher, question: Question, hit: Hit) -> list[Explained]:
    """Every phrase of a question in one result, the best first.

    Raises:
        ValueError: the model makes one vector of a clip, so that there are no places.
    """
    grid = matcher.encoders.video.grid(index.cut.num_frames, *hit.video.frame_size)
    if hit.video.units[0] != int(np.prod(grid)):
        raise ValueError(
            f"{index.model} makes one vector of a clip; only models with places can be explained"
        )
    valid = question.units.valid[0]
    # Each phrase as a text of its own.
    phrases = Units.one(question.units.vectors[0][valid])
    window = torch.from_numpy(index.units(hit.video, hit.folder, hit.window, hit.window + 1)[0])
    maps = mean_pooled(Units.one(window), phrases).numpy()
    along, _ = score_windows(index, hit.video, hit.folder, matcher, phrases)
    found = [
        Explained(phrase, float(along[hit.window, number]), maps[:, number].reshape(grid), along[:, number])
        for number, phrase in enumerate(question.phrases)
    ]
    return sorted(found, key=lambda one: -one.score)


def draw(index: Index, question: Question, hit: Hit, explained: list[Explained]) -> matplotlib.figure.Figure:
    """A row for each phrase: where in the frames it agrees, and when in the video."""
    shown = explained[:MOST_PHRASES]
    frames = _frames(hit.picture, hit.video.frame_size)
    frame_in = ROW_IN * frames[0].shape[1] / frames[0].shape[0]
    figure = new_figure(len(frames) * frame_in + CURVE_IN + MARGINS_IN, (ROW_IN + 0.15) * len(shown) + 1.2)
    widths = [frame_in] * len(frames) + [CURVE_IN]
    axes = figure.subplots(len(shown), len(frames) + 1, squeeze=False, width_ratios=widths)
    values = np.concatenate([one.map.ravel() for one in shown])
    limits = (float(values.min()), float(values.max()))
    for row, one in zip(axes, shown, strict=True):
        heat = _draw_maps(row[:-1], frames, one, limits)
        _draw_along(row[-1], one, hit)
        label = f"{_plain(textwrap.fill(one.phrase, 16))}\n{one.score:.2f}"
        row[0].set_ylabel(label, fontsize=10, color=INK, rotation=0, ha="right", va="center")
    for at, number in enumerate(shown_frames(index.cut.num_frames)):
        axes[0][at].set_title(f"{hit.start_s + number / index.cut.rate_hz:.2f} s", fontsize=9, color=INK)
    axes[0][-1].set_title("score of each window", fontsize=9, color=INK)
    axes[-1][0].set_xlabel("circle: best place", fontsize=9, color=INK)
    axes[-1][-1].set_xlabel("seconds", fontsize=9, color=INK)
    figure.colorbar(heat, ax=axes[:, -1], label="cosine of place and phrase", shrink=min(1, 3 / len(shown)))
    left_out = f", {len(explained) - len(shown)} weaker phrases left out" * (len(explained) > len(shown))
    best = shown[0]
    headline(
        figure,
        _plain(
            f"“{question.text}” in {hit.video.path}, {hit.start_s:g} to {hit.stop_s:g} s: “{best.phrase}” fits best, "
            f"{best.where}{left_out}"
        ),
    )
    return figure


def _plain(text: str) -> str:
    """Text that a figure shows as it stands: dollar signs would begin mathematics."""
    return text.replace("$", r"\$")


def _frames(picture: Path, frame_size: tuple[int, int]) -> list[UInt8[ndarray, "height width 3"]]:
    """What the network saw, cut out of the picture that the index keeps of a window."""
    from PIL import Image

    with Image.open(picture) as opened:
        strip = np.asarray(opened.convert("RGB"))
    width = strip.shape[0] * frame_size[1] // frame_size[0]
    return [strip[:, left : left + width] for left in range(0, strip.shape[1], width)]


def _draw_maps(row: Any, frames: list[Any], one: Explained, limits: tuple[float, float]) -> Any:
    """Cosines over grey frames; a frame belongs to the place in time that it lies in."""
    times, heights, widths = one.map.shape
    best_time, best_height, best_width = one.best
    drawn = None
    for number, (axes, frame) in enumerate(zip(row, frames, strict=True)):
        time = min(times - 1, number * times // len(frames))
        height, width = frame.shape[:2]
        extent = (0, width, height, 0)
        axes.imshow(frame.mean(axis=2), cmap="gray", vmin=0, vmax=255, extent=extent)
        drawn = axes.imshow(
            one.map[time], cmap="inferno", alpha=0.55, extent=extent, interpolation="bilinear",
            vmin=limits[0], vmax=limits[1],
        )  # fmt: skip
        if time == best_time:
            middle = ((best_width + 0.5) * width / widths, (best_height + 0.5) * height / heights)
            axes.plot(
                *middle,
                "o",
                markersize=13,
                markerfacecolor="none",
                markeredgecolor="white",
                markeredgewidth=2,
            )
        axes.set(xticks=[], yticks=[])
    return drawn


def _draw_along(axes: Any, one: Explained, hit: Hit) -> None:
    middles = [(start + stop) / 2 for start, stop in hit.video.times_s]
    axes.axvspan(hit.start_s, hit.stop_s, color=FAINT, alpha=0.6)  # the window that is shown
    axes.plot(middles, one.along, color=COLOURS[0], linewidth=1.2, marker="." if len(middles) < 60 else "")
    tidy(axes)
