"""What the report shows: gains over bicubic by group, and panels only where every picture is there."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from common.results import Item, Result, Run
from video_sr import figures
from video_sr.measures import FEATURES, PSNR, SSIM

RESULT = Result(
    paper="extreme-vsr", recipe="BICUBIC", scale="mini", seed=0, split="test", settings={}, settings_hash="a",
    totals={}, wall_s={}, peak_memory_bytes=1, items_per_s=1.0, commit="c", dirty=False, lock_sha256="l",
    manifest_sha256="m", hardware={}, threads=1, versions={}, test_opened=1, finished_at="2026-11-22T00:00:00",
)  # fmt: skip


def run(recipe, psnr_of_group, part="photographs"):
    items = [Item(f"{g}/pan", g, part, {PSNR.name: v, SSIM.name: v / 100}) for g, v in psnr_of_group.items()]
    return Run(replace(RESULT, recipe=recipe), items)


@pytest.fixture
def runs():
    return [run("BICUBIC", {"a": 20.0, "b": 30.0, "c": 25.0}), run("WIDE", {"a": 23.0, "b": 30.5, "c": 25.4})]


def test_the_table_gives_mean_and_median_gain_beside_each_other(runs):
    (table,) = figures.tables(runs)
    (row,) = table.rows
    assert [cell.text for cell in row[1:6]] == ["WIDE", "+1.30", "+0.500", "+0.400", "+3.00"]


def test_every_part_with_a_baseline_has_a_figure(runs):
    runs += [run("BICUBIC", {"d": 20.0}, "clips"), run("WIDE", {"d": 21.0}, "clips")]
    runs[2] = Run(replace(runs[2].result, seed=1), runs[2].items)
    runs[3] = Run(replace(runs[3].result, seed=1), runs[3].items)
    assert [caption for caption, _ in figures.figures(runs)] == [
        "PSNR gained over bicubic on made camera motion over photographs never trained on",
        "PSNR gained over bicubic on real recordings",
    ]


def test_panels_show_input_bicubic_networks_and_truth(tmp_path):
    for recipe in ("BICUBIC", "WIDE", "EVESRNET"):
        folder = tmp_path / recipe / "seed0" / "pictures-test"
        folder.mkdir(parents=True)
        for name in ("low", "output", "truth"):
            Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / f"a--pan.{name}.jpg")
    (panel,) = figures.panels(tmp_path)
    assert [picture.caption for picture in panel.pictures] == [
        "input", "bicubic", "one frame (WIDE)", "several frames (EVESRNet)", "truth",
    ]  # fmt: skip


def test_panels_find_input_and_truth_under_any_recipe(tmp_path):
    """`kept.publish` leaves them under the first that it met, by the alphabet BACK_PROJECTION."""
    for recipe in ("BACK_PROJECTION", "BICUBIC", "WIDE"):
        folder = tmp_path / recipe / "seed0" / "pictures-test"
        folder.mkdir(parents=True)
        for name in ("low", "output", "truth") if recipe == "BACK_PROJECTION" else ("output",):
            Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / f"a--pan.{name}.jpg")
    (panel,) = figures.panels(tmp_path)
    assert [picture.caption for picture in panel.pictures] == [
        "input",
        "bicubic",
        "one frame (WIDE)",
        "truth",
    ]


def of_curve(*arms):
    """Runs of arms with both scores, each a decibel worse and a tenth more alike than the last."""
    runs = []
    for place, arm in enumerate(arms or figures.CURVE):
        of_arm = run(arm, {"a": 25.0 - place}, "clips")
        scores = of_arm.items[0].scores | {FEATURES.name: 0.5 - place / 10}
        runs.append(Run(of_arm.result, [replace(of_arm.items[0], scores=scores)]))
    return runs


def test_the_curve_says_what_a_critic_costs_and_buys():
    runs = of_curve()
    figure = figures.trade_off_figure(runs, "real recordings")
    assert " ".join(figure._suptitle.get_text().split()) == (
        "The heaviest critic costs 2.00 dB and the distance of features falls by 0.200, on real recordings"
    )
    assert figures.trade_off_figure(runs[:2], "real recordings") is None


def test_the_start_that_nobody_trained_is_a_hollow_point_where_it_has_the_score():
    without, start = of_curve(), of_curve("SPAN_TWICE")
    with_start = figures.trade_off_figure([*without, *start], "clips").axes[0]
    (hollow,) = [
        line
        for line in with_start.lines
        if line.get_markersize() == 9 and line.get_markerfacecolor() == "white"
    ]
    assert hollow.get_xydata().tolist() == [[25.0, 0.5]]
    told = [text.get_text() for text in with_start.get_legend().get_texts()]
    assert told == [*figures.CURVE, "SPAN_TWICE, the start, not trained"]
    unscored = run("SPAN_TWICE", {"a": 26.0}, "clips")
    lone = figures.trade_off_figure([*without, unscored], "clips").axes[0]
    assert len(lone.lines) == 1 + 2 * len(figures.CURVE)
    assert figures.trade_off_figure([*without[:2], *start], "clips") is None


def test_nothing_to_show_shows_nothing(tmp_path):
    assert list(figures.panels(tmp_path)) == []
    assert figures.tables([])[0].rows == []
