"""What the report shows of fine-grained matching: ways of scoring apart, findings in titles, gaps left out."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from common.report.page import Section, render
from common.results import Item, Result, Run
from multimodal_ssl.arms import ARMS, condition
from multimodal_ssl.measures import RETRIEVED
from multimodal_ssl.model.losses import pair_weights
from multimodal_ssl.paper import PAPER
from multimodal_ssl.recipes import RECIPES
from multimodal_ssl.report import figures
from multimodal_ssl.report.evidence import chance_at, median_rank, of_run, probed, weights_of

RESULT = Result(
    paper="fine-grained-ssl", recipe="FINE_0", scale="mini", seed=0, split="test", settings={}, settings_hash="a",
    totals={}, wall_s={"train": 100.0}, peak_memory_bytes=800_000_000, items_per_s=1.0, commit="c", dirty=False,
    lock_sha256="l", manifest_sha256="m", hardware={}, threads=1, versions={}, test_opened=1,
    finished_at="2026-11-22T00:00:00",
)  # fmt: skip
MINI = list(RECIPES["mini"])


def query(number, part="clean", rank=1, pooled=9, clips=20, right=1):
    scores = {"rank": rank, "rank/pooled": pooled, "clips": clips, "right": right}
    return Item(f"query/{part}/{number}", f"g{number % 2}", part, scores)


def run(name, seed=0, ranks=(1, 9)):
    """A run of a recipe of `mini`, or of `gpu` where `mini` has none of that name."""
    scale = next(scale for scale in ("mini", "gpu") if name in RECIPES[scale])
    recipe = replace(RECIPES[scale][name], steps=10)
    items = [query(i, part.name, rank) for part in RETRIEVED for i, rank in enumerate(ranks)]
    for i, (true, said) in enumerate([("growing", "growing"), ("growing", "shrinking")]):
        texts = {"true": true, "said": said}
        items.append(Item(f"probe motion/{i}", "g", "probe motion", {"right": float(true == said)}, texts))
    if recipe.wrong.rate:
        scored = [(0.5, 0), (0.4, 0), (0.2, 1), (0.45, 1)]
        items += [
            Item(f"pairs/{i}", "f", "pairs", {"score": s, "wrong": w}) for i, (s, w) in enumerate(scored)
        ]
    items.append(Item("size", "size", "size", {"parameters": 1234, "multiply_adds": 5e6, "seconds": 0.1}))
    result = replace(RESULT, recipe=name, scale=scale, seed=seed, settings=recipe.settings())
    return Run(result, items)


@pytest.fixture
def runs():
    better = {"COARSE": (6, 9), "FINE": (1, 9), "ATTENTION": (1, 5)}
    return [run(name, seed, better[name.partition("_")[0]]) for name in MINI for seed in (0, 1, 2)]


def title(figure):
    return " ".join(figure.get_suptitle().split())


def rows(table, column):
    place = table.columns.index(column)
    return [row[place] for row in table.rows]


# ---- what a run is


def test_settings_say_arm_rate_kind_and_batch():
    usual, near, batch = (of_run(run(name)) for name in ("MAX_MEAN_25", "FINE_50_NEAR", "COARSE_BATCH512"))
    assert usual.words == "fine, best partners (FILIP), 25 % wrong"
    assert near.words == "fine, 50 % wrong (neighbours')"
    assert batch.words == "coarse, 25 % wrong, batch 512"
    assert [is_of.usual for is_of in (usual, near, batch)] == [True, False, False]


@pytest.mark.parametrize(("scale", "name"), [(scale, name) for scale in RECIPES for name in RECIPES[scale]])
def test_a_recipes_name_says_what_its_settings_are(scale, name):
    is_of = condition(RECIPES[scale][name], scale)
    ending = "_NEAR" if is_of.near else ""
    told = f"BATCH{is_of.other_batch}" if is_of.other_batch else f"{is_of.rate_percent}{ending}"
    assert name == f"{is_of.arm.name}_{told}"


def test_a_way_of_matching_that_is_no_arm_is_refused():
    with pytest.raises(ValueError, match="no arm matches by MaxMean"):
        condition(replace(RECIPES["gpu"]["MAX_MEAN_0"], coarse_share=0.3), "gpu")


def test_an_arm_keeps_its_colour_and_comes_first_at_its_lowest_rate():
    styles = PAPER.report.styles
    for scale, of_scale in RECIPES.items():
        for name, recipe in of_scale.items():
            assert styles[name].colour == styles[f"{condition(recipe, scale).arm.name}_0"].colour
    assert len({styles[f"{arm.name}_0"] for arm in ARMS}) == len(ARMS)
    ordered = sorted(RECIPES["gpu"], key=lambda name: condition(RECIPES["gpu"][name], "gpu").order)
    assert ordered[:4] == ["COARSE_0", "COARSE_25", "COARSE_BATCH32", "COARSE_BATCH64"]


def test_chance_is_that_of_drawing_without_putting_back():
    items = [query(0, clips=4, right=2)]
    assert chance_at(items, 1) == pytest.approx(50.0)
    assert chance_at(items, 2) == pytest.approx(100 * (1 - 1 / 6))
    assert chance_at(items, 3) == chance_at(items, 99) == pytest.approx(100.0)
    assert math.isnan(chance_at([], 1))


@pytest.mark.parametrize(("h", "cap"), [(0.1, 4.0), (0.02, 2.0), (0.01, 1.0), (10.0, 4.0)])
def test_weights_drawn_are_those_of_the_loss(h, cap):
    scores = np.random.default_rng(0).normal(0.3, 0.1, 64)
    wanted = pair_weights(torch.from_numpy(scores), h, cap)
    assert weights_of(scores.tolist(), h, cap) == pytest.approx(wanted.tolist(), rel=1e-6, abs=1e-9)


def test_what_a_probe_said_is_read_back_and_missing_ranks_are_nan():
    assert probed(run("FINE_0"), "motion") == [("growing", "growing"), ("growing", "shrinking")]
    assert probed(run("FINE_0"), "object") == []
    assert math.isnan(median_rank([]))


# ---- figures


def test_titles_tell_what_was_found(runs):
    titles = [title(figure) for _, figure in figures.figures(runs)]
    assert titles == [
        "Own similarity, 25 % of captions wrong: R@5 on pairs that training showed is 0 % (coarse), 50.0 % (fine), "
        "100 % (fine + attention)",
        "Pooled vectors, 25 % of captions wrong: R@5 on pairs that training showed is 0 % (coarse), 0 % (fine), "
        "0 % (fine + attention)",
        "Points of R@5 lost from 0 to 25 % wrong captions: 0 (coarse), 0 (fine), 0 (fine + attention)",
        "25 % of captions wrong: half of the queries are answered by rank 7.5 (coarse), 5 (fine), 3 (fine + attention)",
        "AUROC of right above wrong pairs, 25 % wrong: 0.750 (coarse), 0.750 (fine), 0.750 (fine + attention); "
        "0.5 is chance",
        titles[5],
        "The probe names 50.0 % (coarse), 50.0 % (fine), 50.0 % (fine + attention) of motions; chance is 14.3 %",
    ]  # fmt: skip
    assert titles[5].startswith("Mean weight of wrong pairs against right ones: ")


def test_fine_and_pooled_scores_never_share_a_figure_of_parts(runs):
    (_, own), (_, pooled), *_ = figures.figures(runs)
    highest = [
        max(y for line in f.axes[0].get_lines() for y in line.get_ydata() if line.get_marker() != "None")
        for f in (own, pooled)
    ]
    assert highest == [50.0, 0.0]  # R@1


def test_rates_of_every_arm_lie_on_a_line_and_neighbours_on_another(runs):
    near = [run("FINE_25_NEAR", seed, (9, 9)) for seed in (0, 1, 2)]
    *_, (_, figure) = [one for one in figures.figures([*runs, *near]) if "against the rate" in one[0]]
    dashed = [line for line in figure.axes[3].get_lines() if line.get_linestyle() == "--"]
    assert [line.get_xydata().tolist() for line in dashed] == [[[0.0, 50.0], [25.0, 0.0]]]
    assert figure.axes[3].get_xlabel() == "wrong captions (%)"


def test_batches_have_a_figure_where_there_are_several(runs):
    assert not any("batch size" in caption for caption, _ in figures.figures(runs))
    more = [run(f"{arm}_BATCH{size}") for arm in ("COARSE", "FINE") for size in (64, 512)]
    ((_, figure),) = [one for one in figures.figures([*runs, *more]) if "against batch size" in one[0]]
    assert figure.axes[0].get_xscale() == "log"
    assert title(figure) == (
        "R@5 in % in batches of 48: 0 % (coarse), 50.0 % (fine), 100 % (fine + attention); in batches of 512: "
        "50.0 % (coarse), 50.0 % (fine)"
    ).replace(" % (", " (")


@pytest.mark.parametrize(
    "present", ["FINE_0", "ATTENTION_25", "MAX_MEAN_0", "COARSE_BATCH64", "FINE_50_NEAR"]
)
def test_missing_arms_leave_a_report_of_the_others(present):
    chosen = [run(present)]
    for _, figure in figures.figures(chosen):
        assert title(figure)
    assert [len(table.rows) for table in figures.tables(chosen)][:2] == [len(RETRIEVED)] * 2
    section = Section(
        slug="s", title="s", summary="", tables=figures.tables(chosen), details=figures.details(chosen)
    )
    assert present in render("t", [section])


def test_runs_without_queries_pairs_or_probes_show_what_they_have():
    items = [Item("size", "size", "size", {"parameters": 1, "multiply_adds": 1.0, "seconds": 1.0})]
    bare = replace(run("FINE_0"), items=items)
    assert list(figures.figures([bare])) == []
    (costs,) = figures.tables([bare])
    assert rows(costs, "samples seen")[0].text == "480"


def test_nothing_run_shows_nothing():
    assert list(figures.figures([])) == figures.tables([]) == figures.details([]) == []


# ---- tables


def test_tables_give_both_ways_of_scoring_apart_with_chance_and_seeds(runs):
    own, pooled, apart, costs = figures.tables(runs)
    assert (own.title, pooled.title) == (
        "Retrieval by each model's own similarity",
        "Retrieval by one pooled vector a side",
    )
    first = dict(zip(own.columns, own.rows[0], strict=True))
    assert (first["recipe"].text, first["recipe"].note) == ("COARSE_0", "coarse, 0 % wrong")
    assert (first["part"].text, first["part"].note) == ("clean", "2 queries, 20.0 clips, chance 5.00 %")
    assert (first["R@10 (%)"].text, first["median rank"].text, first["median rank"].note) == (
        "100",
        "7.50",
        "7.50, 7.50, 7.50",
    )
    assert {cell.text for cell in rows(pooled, "R@5 (%)")} == {"0"}
    assert [cell.text for cell in rows(apart, "AUROC of pairs")] == ["–", "0.750"] * 3
    assert rows(costs, "operations (10¹²)")[0].text == "0.0144"  # 6 operations of 5 M, 480 samples


def test_other_arms_rates_and_batches_are_details(runs):
    more = [run("MEAN_0"), run("FINE_75"), run("FINE_BATCH64")]
    usual, *_ = figures.tables([*runs, *more])
    assert {cell.text for cell in rows(usual, "recipe")} == set(MINI)
    others, _, by_thing = figures.details([*runs, *more])
    assert {cell.text for cell in rows(others, "recipe")} == {"MEAN_0", "FINE_75", "FINE_BATCH64"}
    assert {cell.text for cell in rows(by_thing, "group")} == {"g0", "g1"}


def test_figures_need_no_torch():
    code = "import sys, multimodal_ssl.report.figures; print({'torch', 'matplotlib'} & sys.modules.keys())"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.strip() == "set()"


def test_scores_are_kept_as_plain_json(runs):
    assert json.dumps([dict(item.scores) for item in runs[0].items])
