"""What the report shows of x16 super-resolution beside the verdicts: gains by picture, and pictures side by side."""

from __future__ import annotations

import glob
import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from common.kept import evenly
from common.measures import Part
from common.report.figures import group_gains, headline, new_figure, per_group_figure
from common.report.page import Panel, Picture, per_group_table
from common.report.styles import FAINT, label, legend, method_styles, style_at, tidy
from common.report.tables import Cell, Table, number
from common.results import Run
from video_sr.measures import FEATURES, PARTS, PSNR, SSIM

if TYPE_CHECKING:
    import matplotlib.figure

BASELINE = "BICUBIC"
CURVE = ("CRITIC_NONE", "CRITIC_LIGHT", "CRITIC_HEAVY")  # by the weight of a critic
UNTRAINED = "SPAN_TWICE"  # whose weights they start from
COMPARED = ("BICUBIC", "EVESRNET", "COPIES", "WIDE", "SPAN_TWICE", "LEAST_SQUARES")  # those that claims read
BESIDE = (
    *(
        "DKSAN",
        "MGBP3D",
        "EDVR",
        "MULTI_DISTILLATION",
        "COARSE_TO_FINE",
        "BACK_PROJECTION",
        "SPAN_X16",
        "BASICVSR",
    ),
    *CURVE,  # track 2
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
FIRST_PAGE = (  # caption, recipe, which of its pictures
    ("what goes in", BASELINE, "low"),
    ("trained here", "WIDE", "output"),
    ("SPAN twice", "SPAN_TWICE", "output"),
    ("the truth", BASELINE, "truth"),
)
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
        if (figure := trade_off_figure(chosen, part.words)) is not None:
            yield f"Perception against distortion on {part.words}", figure


def trade_off_figure(runs: Sequence[Run], words: str) -> matplotlib.figure.Figure | None:
    """Likeness over fidelity, a point an arm of the curve and a dot a seed, and where nobody trained on; None where an
    arm lacks a score."""
    points: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        both = [item for item in run.items if FEATURES.name in item.scores]
        if run.result.recipe in (*CURVE, UNTRAINED) and both:
            means = (statistics.fmean(item.scores[m.name] for item in both) for m in (PSNR, FEATURES))
            points.setdefault(run.result.recipe, []).append((next(means), next(means)))
    if not set(CURVE) <= set(points):
        return None
    figure = new_figure(7.5, 4.2)
    axes = figure.subplots()
    shown = [arm for arm in (*CURVE, UNTRAINED) if arm in points]
    middles = {arm: tuple(map(statistics.fmean, zip(*points[arm], strict=True))) for arm in shown}
    axes.plot(*zip(*(middles[arm] for arm in CURVE), strict=True), color=FAINT, linewidth=1)
    for arm, (psnr, features) in middles.items():
        hollow = arm == UNTRAINED
        axes.plot(
            *zip(*points[arm], strict=True), linestyle="", alpha=0.45, **STYLES[arm].look(4, hollow=hollow)
        )
        axes.plot([psnr], [features], linestyle="", **STYLES[arm].look(9, hollow=hollow))
    label(axes, x=f"{PSNR.name} (dB), right is truer", y=f"{FEATURES.name}, lower looks more alike")
    names = {arm: f"{arm}, the start, not trained" if arm == UNTRAINED else arm for arm in shown}
    looks = {arm: STYLES[arm].look(hollow=arm == UNTRAINED) for arm in shown}
    legend(axes, [(names[arm], {"linestyle": "", **looks[arm]}) for arm in shown])
    tidy(axes)
    lost, won = (middles[CURVE[0]][n] - middles[CURVE[-1]][n] for n in (0, 1))
    headline(
        figure,
        f"The heaviest critic {'costs' if lost > 0 else 'gains'} {abs(lost):.2f} dB and the distance of features "
        f"{'falls' if won > 0 else 'rises'} by {abs(won):.3f}, on {words}",
    )
    return figure


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
    seeds = sorted({path.parent.name for path in folder.glob("*/seed*/pictures-test")})
    for seed in seeds[:MOST_SEEDS]:
        truths = {path.name: path for path in _of_any_recipe(folder, seed, "*.truth.jpg")}
        for truth in evenly([truths[name] for name in sorted(truths)], MOST_PICTURES):
            stem = truth.name.removesuffix(".truth.jpg")
            strip = [
                ("input", path) for path in _of_any_recipe(folder, seed, f"{glob.escape(stem)}.low.jpg")[:1]
            ]
            strip += [
                (w, folder / r / seed / "pictures-test" / f"{stem}.output.jpg") for r, w in SHOWN.items()
            ]
            strip.append(("truth", truth))
            there = [Picture(caption, path.read_bytes()) for caption, path in strip if path.exists()]
            if len(there) > 3:
                title = f"{stem.replace('--', ', ')} ({seed.replace('seed', 'seed ')})"
                yield Panel(title, there, compared=True)


def frames(folder: Path) -> Iterator[Picture]:
    """One test picture for the first page: what goes in, what two networks make of it, and the truth."""
    for caption, recipe, kind in FIRST_PAGE:
        path = folder / recipe / "seed0" / "pictures-test" / f"clock.{kind}.jpg"
        if path.is_file():
            yield Picture(caption, path.read_bytes())


def _of_any_recipe(folder: Path, seed: str, name: str) -> list[Path]:
    """What is the same with every recipe, and lies under any."""
    return sorted(folder.glob(f"*/{seed}/pictures-test/{name}"))


def details(runs: Sequence[Run]) -> list[Table]:
    """PSNR of every picture."""
    of_parts = [chosen for part in PARTS if (chosen := _of_part(runs, part))]
    return [per_group_table(chosen, PSNR.name, PSNR.unit) for chosen in of_parts]
