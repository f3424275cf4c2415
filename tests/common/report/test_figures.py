"""Laws of the figures: a title, units, every seed a dot, and a method that keeps its looks."""

import math

import pytest

from common.claims import Claim
from common.kinds import Superior
from common.report import figures
from common.report.styles import method_styles
from common.results import Item, Result, Run
from common.verdicts import Verdict


def claim(id, unit="dB", **changes):
    defaults = {
        "says": id,
        "where": "",
        "paper": "",
        "reads": ("A",),
        "kind": Superior(),
        "scales": ("mini",),
    }
    return Claim(id=id, unit=unit, margin=lambda arms: 0.0, **defaults | changes)


def verdict(id, word="upheld", point=0.5, half=0.2, **changes):
    seeds = {0: point - 0.1, 1: point, 2: point + 0.1}
    defaults = {"low": point - half, "high": point + half, "per_seed": seeds}
    return Verdict(claim=id, scale="mini", word=word, point=point, **defaults | changes)


def run(recipe, seed, values):
    result = Result(
        paper="a", recipe=recipe, scale="mini", seed=seed, split="test", settings={}, settings_hash="h", totals={},
        wall_s={}, peak_memory_bytes=0, items_per_s=0.0, commit="c", dirty=False, lock_sha256="l",
        manifest_sha256="m", hardware={}, threads=1, versions={}, test_opened=1, finished_at="",
    )  # fmt: skip
    return Run(result, [Item(str(i), f"g{i}", "p", {"psnr": value}) for i, value in enumerate(values)])


def title(figure):
    return " ".join(figure.get_suptitle().split())


def test_margins_show_every_seed_the_interval_and_zero():
    figure = figures.margin_figure([claim("one")], [verdict("one")], "Margins")
    (axes,) = figure.axes
    lines = [list(line.get_xdata()) for line in axes.get_lines()]
    assert [0.4, 0.5, 0.6] in lines
    assert [0.3, 0.7] in lines
    assert [0, 0] in lines
    assert axes.get_xlabel() == "margin (dB)"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one\nupheld"]


def test_margins_of_two_units_share_no_axis():
    verdicts = [verdict("one"), verdict("two")]
    figure = figures.margin_figure([claim("one"), claim("two", unit="% WER")], verdicts, "Margins")
    assert [axes.get_xlabel() for axes in figure.axes] == ["margin (dB)", "margin (% WER)"]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_verdict_without_a_point_breaks_no_figure(bad):
    figure = figures.margin_figure([claim("one")], [verdict("one", "undecided", bad)], "Margins")
    assert figures.to_svg(figure).startswith(b"<?xml")


def test_gains_are_paired_by_item_and_seed():
    runs = [
        run("B", 0, [1.0, 2.0]),
        run("B", 1, [5.0, 5.0]),
        run("A", 0, [2.0, 2.0]),
        run("A", 1, [8.0, math.inf]),
    ]
    assert figures.group_gains(runs, "psnr", "B") == {"A": {"g0": 2.0, "g1": 0.0}}


def test_a_baseline_without_results_is_named():
    with pytest.raises(ValueError, match=r"recipes with results \(A\), got B"):
        figures.group_gains([run("A", 0, [1.0])], "psnr", "B")


def test_gains_have_units_a_finding_and_the_looks_of_their_method():
    runs = [run("B", 0, [1.0, 2.0, 3.0]), run("A", 0, [2.0, 1.9, 4.0]), run("C", 0, [1.1, 2.1, 3.1])]
    styles = method_styles("ABCD")
    figure = figures.per_group_figure(runs, "psnr", baseline="B", unit="dB", styles=styles)
    (axes,) = figure.axes
    assert axes.get_ylabel() == "psnr above B (dB)"
    assert title(figure) == "A gains most, and is ahead of B on 2 of 3 pictures"
    points = [line for line in axes.get_lines() if line.get_marker() == styles["C"].marker]
    assert [line.get_color() for line in points] == [styles["C"].colour]


def test_groups_are_sorted_by_gain():
    runs = [run("B", 0, [0.0, 0.0, 0.0]), run("A", 0, [3.0, 1.0, 2.0])]
    (axes,) = figures.per_group_figure(runs, "psnr", baseline="B", unit="dB").axes
    assert list(axes.get_lines()[0].get_ydata()) == [1.0, 2.0, 3.0]


def test_training_curves_have_a_panel_per_measure_and_skip_what_is_not_finite():
    rows = [{"event": "train", "step": i, "time": 9.0, "loss": 1 / (i + 1)} for i in range(5)]
    rows += [{"event": "train", "step": 5, "loss": "nan"}, {"event": "dev", "step": 5, "psnr": 30.0}]
    figure = figures.training_figure({"A": {0: rows, 1: rows}}, title="It learns", units={"psnr": "dB"})
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "psnr (dB)"]
    assert [len(line.get_xdata()) for line in figure.axes[0].get_lines()] == [5, 5]
    assert figure.axes[-1].get_xlabel() == "step"
    assert title(figure) == "It learns"


def test_no_evidence_still_makes_every_figure():
    for figure in (
        figures.margin_figure([], [], "Margins"),
        figures.training_figure({}, title="Nothing yet"),
        figures.per_group_figure([run("B", 0, [1.0])], "psnr", baseline="B", unit="dB"),
    ):
        assert title(figure)
        assert figures.to_svg(figure)


def test_equal_figures_are_equal_bytes():
    one, two = (
        figures.to_svg(figures.margin_figure([claim("one")], [verdict("one")], "Margins")) for _ in range(2)
    )
    assert one == two
