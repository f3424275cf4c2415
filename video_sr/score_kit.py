"""The challenge's scoring kit: which clips belong together, how close they are, and a page that says how."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from common.data.media import VIDEO_SUFFIXES
from common.data.resize import from_8bit
from common.metrics.image_quality import ALEXNET_FILE, Lpips
from common.results import jsonable
from video_sr.challenge import FACTOR
from video_sr.measures import LPIPS, PSNR, PSNR_Y, SSIM, SSIM_Y, STRUCTURE, TEMPORAL
from video_sr.protocol import FLATTEST_LEVELS, SequenceScore, crop_to_multiple
from video_sr.upscale import Footage, pictures_in, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURES = {measure.name: measure for measure in (PSNR, SSIM, PSNR_Y, SSIM_Y, STRUCTURE, TEMPORAL, LPIPS)}
FINE_UNITS = (SSIM.unit, LPIPS.unit)  # shown with four decimals instead of two
Distance = Callable[[Tensor, Tensor], Tensor]  # of two batches of pictures in [0, 1]
AVERAGING = "a sequence's score is the mean over its frames; the mean counts every sequence alike"
BORDERS = (
    f"8-bit RGB, no border left out (crop0); the last rows and columns go, down to multiples of {FACTOR}"
)


@dataclass(frozen=True)
class Pair:
    """One sequence and its truth, known to agree in size (after the protocol's cut) and number of frames."""

    name: str
    sr: Footage
    hr: Footage

    def __post_init__(self) -> None:
        sr, hr = (self.sr.width, self.sr.height), (self.hr.width, self.hr.height)
        cut = (hr[0] - hr[0] % FACTOR, hr[1] - hr[1] % FACTOR)
        if sr not in (hr, cut):
            expected = _size(hr) if hr == cut else f"{_size(hr)}, or {_size(cut)} after the protocol's cut"
            raise ValueError(f"{self.name}: SR frames must be {expected}, as HR's, got {_size(sr)}")
        if self.sr.pictures and self.hr.pictures and self.sr.num_frames != self.hr.num_frames:
            raise ValueError(f"{self.name}: SR has {self.sr.num_frames} frames, HR has {self.hr.num_frames}")

    @property
    def cut(self) -> str:
        """What the protocol leaves of the truth, in words; empty where it leaves everything."""
        width, height = self.hr.width, self.hr.height
        kept = (width - width % FACTOR, height - height % FACTOR)
        return "" if kept == (width, height) else f"from {_size((width, height))} to {_size(kept)}"

    def frames(self) -> Iterator[tuple[UInt8[ndarray, "height width 3"], UInt8[ndarray, "height width 3"]]]:
        """Frames of SR and HR side by side; both videos must end together."""
        both = enumerate(zip_longest(self.sr.frames(), self.hr.frames()))
        for index, (sr, hr) in both:
            if sr is None or hr is None:
                more = index + 1 + sum(1 for _ in both)
                counts = (index, more) if sr is None else (more, index)
                raise ValueError(f"{self.name}: SR has {counts[0]} frames, HR has {counts[1]}")
            yield crop_to_multiple(sr), crop_to_multiple(hr)


@dataclass(frozen=True)
class Scored:
    """Scores of one pair."""

    pair: Pair
    frames: Sequence[Mapping[str, float]]
    flat_frames: int
    means: Mapping[str, float]


def find_pairs(sr: Path, hr: Path) -> list[Pair]:
    """Two clips, or the sequences of the same names in two folders; the first frame of each is read.

    Raises:
        ValueError: a name on one side only, sizes or numbers of frames that differ, or nothing to read.
    """
    if _is_clip(sr) and _is_clip(hr):
        return [Pair(hr.stem, Footage.open(sr), Footage.open(hr))]
    if _is_clip(sr) or _is_clip(hr):
        one, many = (sr, hr) if _is_clip(sr) else (hr, sr)
        raise ValueError(f"{one} is one sequence and {many} a folder of sequences; give two of a kind")
    ours, truths = _sequences(sr), _sequences(hr)
    only = [f"only in {side}: {', '.join(names)}" for side, names in (
        (sr, [name for name in ours if name not in truths]),
        (hr, [name for name in truths if name not in ours]),
    ) if names]  # fmt: skip
    if only:
        raise ValueError(f"SR and HR must hold the same sequences; {'; '.join(only)}")
    return [Pair(name, Footage.open(ours[name]), Footage.open(path)) for name, path in truths.items()]


def _is_clip(path: Path) -> bool:
    return not path.is_dir() or bool(pictures_in(path))


def _sequences(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in visible(folder):
        if path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES:
            name = path.name if path.is_dir() else path.stem
            if name in found:
                raise ValueError(
                    f"{folder}: sequence {name} is there twice, {found[name].name} and {path.name}"
                )
            found[name] = path
    if not found:
        raise ValueError(f"{folder}: holds neither frames nor sequences")
    return found


def score(pair: Pair, lpips: Distance | None = None, advance: Callable[[], object] = lambda: None) -> Scored:
    """Streams both clips once.

    Raises:
        ValueError: the clips differ in length, or every frame is flat.
    """
    sequence = SequenceScore()
    for sr, hr in pair.frames():
        sequence.add(sr, hr)
        if lpips and PSNR.name in sequence.frames[-1]:  # flat frames have none
            sequence.frames[-1][LPIPS.name] = _lpips(lpips, sr, hr)
        advance()
    try:
        means = sequence.means()
    except ValueError as error:
        raise ValueError(f"{pair.name}: {error}; leave the sequence out") from error
    if lpips:
        name = LPIPS.name
        means[name] = _mean(frame[name] for frame in sequence.frames if name in frame)
    return Scored(pair, sequence.frames, sequence.flat_frames, means)


def _lpips(
    lpips: Distance, sr: UInt8[ndarray, "height width 3"], hr: UInt8[ndarray, "height width 3"]
) -> float:
    a, b = (from_8bit(torch.tensor(frame)).movedim(-1, 0)[None] for frame in (sr, hr))
    with torch.inference_mode():
        return float(lpips(a, b))


def load_lpips() -> Lpips:
    """The learned distance, from the file in the folder that WEIGHTS_ROOT names.

    Raises:
        ValueError: WEIGHTS_ROOT is not set.
        FileNotFoundError: the file is not there.
    """
    if not (root := os.environ.get("WEIGHTS_ROOT")):
        raise ValueError(f"--lpips needs WEIGHTS_ROOT, the folder that holds {ALEXNET_FILE}; it is not set")
    return Lpips(Path(root) / ALEXNET_FILE)


def _mean(values: Iterable[float]) -> float:
    column = list(values)
    return math.fsum(column) / len(column)


def overall(scored: Sequence[Scored]) -> dict[str, float]:
    """Mean over the sequences that have the measure, each counting alike (one-frame clips have no tdiff)."""
    columns = {name: [s.means[name] for s in scored if name in s.means] for name in MEASURES}
    return {name: _mean(column) for name, column in columns.items() if column}


def table(scored: Sequence[Scored]) -> str:
    """A line per sequence, their mean, and every convention by name."""
    means = overall(scored)
    rows = [["sequence", "frames", "flat", *(MEASURES[name].heading for name in means)]]
    for s in scored:
        rows.append([s.pair.name, str(len(s.frames)), str(s.flat_frames), *_cells(s.means, means)])
    totals = [str(sum(len(s.frames) for s in scored)), str(sum(s.flat_frames for s in scored))]
    rows.append(["mean", *totals, *_cells(means, means)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *right]))
    return "\n".join([*lines, "", *notes(scored)])


def _cells(means: Mapping[str, float], names: Iterable[str]) -> list[str]:
    decimals = {name: 4 if MEASURES[name].unit in FINE_UNITS else 2 for name in names}
    return [f"{means[name]:.{decimals[name]}f}" if name in means else "-" for name in names]


def notes(scored: Sequence[Scored]) -> list[str]:
    """What was measured, in sentences."""
    lines = [f"{m.heading} is {m.name}: {m.words}" for m in map(MEASURES.__getitem__, overall(scored))]
    flat = (
        f"flat frames, where the truth's standard deviation is below {FLATTEST_LEVELS:g} level, "
        f"are left out of all but tdiff: {sum(s.flat_frames for s in scored)}"
    )
    cuts = [f"HR of {s.pair.name} was cut {s.pair.cut}" for s in scored if s.pair.cut]
    return [*lines, BORDERS, *cuts, AVERAGING, flat]


def report(scored: Sequence[Scored]) -> dict[str, Any]:
    """Everything, frame by frame, as JSON holds it; infinity (identical frames) is the text "inf"."""
    sequences = {
        s.pair.name: {
            "means": s.means,
            "num_frames": len(s.frames),
            "flat_frames": s.flat_frames,
            "hr_cut": s.pair.cut,
            "frames": s.frames,
        }
        for s in scored
    }
    content: dict[str, Any] = jsonable(
        {"means": overall(scored), "conventions": notes(scored), "sequences": sequences}
    )
    return content


def plot(scored: Sequence[Scored]) -> Figure:
    """PSNR over the frames of every sequence; the one with the worst frame stands out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    curves = {s.pair.name: [frame.get(PSNR.name, math.nan) for frame in s.frames] for s in scored}
    finite = [(v, name, i) for name, curve in curves.items() for i, v in enumerate(curve) if math.isfinite(v)]
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="frame", ylabel=f"{PSNR.name} ({PSNR.unit})")
    if not finite:
        axes.set_title("Every frame is identical to the truth")
        return figure
    worst_db, worst, frame = min(finite)
    mean_db = _mean(value for value, _, _ in finite)
    for name, curve in curves.items():
        shown = [value if math.isfinite(value) else math.nan for value in curve]
        look = {"color": "#0072B2", "zorder": 3} if name == worst else {"color": "#B8B8B8"}
        axes.plot(shown, marker="." if len(shown) < 60 else "", linewidth=1.2, **look)
    axes.plot([frame], [worst_db], "v", color="#D55E00", zorder=4)
    axes.annotate(
        f"{worst}, frame {frame}", (frame, worst_db), (6, -10), textcoords="offset points", fontsize=9
    )
    axes.set_title(
        f"Worst is frame {frame} of {worst} with {worst_db:.1f} dB; "
        f"the mean of {len(finite)} frames is {mean_db:.1f} dB",
        fontsize=10,
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.15)
    return figure


def _size(width_height: tuple[int, int]) -> str:
    return f"{width_height[0]}x{width_height[1]}"
