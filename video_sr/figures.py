"""What the report shows of x16 super-resolution beside the verdicts: gains by picture, and pictures side by side."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from common.kept import evenly
from common.measures import Part
from common.report.figures import group_gains, per_group_figure
from common.report.page import Panel, Picture, per_group_table
from common.report.styles import method_styles, style_at
from common.report.tables import Cell, Table, number
from common.results import Run
from video_sr.measures import PARTS, PSNR, SSIM

if TYPE_CHECKING:
    import matplotlib.figure

BASELINE = "BICUBIC"
COMPARED = ("BICUBIC", "EVESRNET", "COPIES", "WIDE", "SPAN_TWICE", "LEAST_SQUARES")  # with several seeds
BESIDE = (
    *("DKSAN", "MGBP3D", "EDVR", "MULTI_DISTILLATION", "COARSE_TO_FINE", "BACK_PROJECTION", "SPAN_X16"),
    *("PERCEPTUAL", "PERCEPTUAL_EVESRNET"),  # track 2
)
STYLES = method_styles(COMPARED) | {  # the same in every figure
    name: style_at(len(COMPARED) + place) for place, name in enumerate(BESIDE)
}
SHOWN = {
    "BICUBIC": "bicubic",
    "WIDE": "one frame (WIDE)",
    "EVESRNET": "several frames (EVESRNet)",
    "SPAN_TWICE": "SPAN x4, twice",
    "SPAN_X16": "SPAN x16, five frames",
}
MOST_SEEDS, MOST_PICTURES = 3, 4  # on the page


def _of_part(runs: Sequence[Run], part: Part) -> list[Run]:
    chosen = [Run(run.result, [item for item in run.items if item.part == part.name]) for run in runs]
    return [run for run in chosen if run.items]


def figures(runs: Sequence[Run]) -> Iterator[tuple[str, matplotlib.figure.Figure]]:
    """(caption, figure) of each part that was scored."""
    for part in PARTS:
        chosen = _of_part(runs, part)
        if (
            any(run.result.recipe == BASELINE for run in chosen)
            and len({r.result.recipe for r in chosen}) > 1
        ):
            caption = f"PSNR gained over bicubic on {part.words}"
            yield (
                caption,
                per_group_figure(chosen, PSNR.name, baseline=BASELINE, unit=PSNR.unit, styles=STYLES),
            )


def tables(runs: Sequence[Run]) -> list[Table]:
    """Gains over bicubic, mean and median over pictures, and PSNR picture by picture."""
    rows = []
    for part in PARTS:
        chosen = _of_part(runs, part)
        if not any(run.result.recipe == BASELINE for run in chosen):
            continue
        psnr, ssim = (group_gains(chosen, measure.name, BASELINE) for measure in (PSNR, SSIM))
        for recipe in psnr:
            of_psnr, of_ssim = list(psnr[recipe].values()), list(ssim[recipe].values())
            middle = (statistics.fmean(of_psnr), statistics.median(of_psnr))
            cells = [
                *middle,
                min(of_psnr),
                max(of_psnr),
                statistics.fmean(of_ssim),
                statistics.median(of_ssim),
            ]
            numbers = [Cell(_signed(value), "number") for value in cells]
            rows.append(
                [
                    Cell(part.name, "", part.words),
                    Cell(recipe, "code"),
                    *numbers,
                    Cell(str(len(of_psnr)), "number"),
                ]
            )
    columns = (
        "part", "recipe", "PSNR mean (dB)", "median", "least", "most", "SSIM mean", "median", "pictures",
    )  # fmt: skip
    caption = (
        f"Gain over bicubic, each picture or recording counting once. {PSNR.name}, {SSIM.name}; "
        "mean of frames, then clips."
    )
    return [Table("Gain over bicubic", columns, rows, caption)]


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else ("+" if value > 0 else "") + number(value)


def panels(folder: Path) -> Iterator[Panel]:
    """Input, bicubic, networks and truth side by side, from the pictures that scoring kept; a few of each seed."""
    for bicubic in sorted((folder / BASELINE).glob("seed*/pictures-test"))[:MOST_SEEDS]:
        for truth in evenly(sorted(bicubic.glob("*.truth.jpg")), MOST_PICTURES):
            stem, seed = truth.name.removesuffix(".truth.jpg"), bicubic.parent.name
            strip = [("input", bicubic / f"{stem}.low.jpg")]
            strip += [(w, folder / r / seed / bicubic.name / f"{stem}.output.jpg") for r, w in SHOWN.items()]
            strip.append(("truth", truth))
            there = [Picture(caption, path.read_bytes()) for caption, path in strip if path.exists()]
            if len(there) > 3:
                title = f"{stem.replace('--', ', ')} ({seed.replace('seed', 'seed ')})"
                yield Panel(title, there, compared=True)


def details(runs: Sequence[Run]) -> list[Table]:
    """PSNR of every picture."""
    of_parts = [chosen for part in PARTS if (chosen := _of_part(runs, part))]
    return [per_group_table(chosen, PSNR.name, PSNR.unit) for chosen in of_parts]
