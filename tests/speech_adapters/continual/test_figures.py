"""What the report shows of continued pre-training: forgetting against the source, shares of time, letters."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from common import results
from common.report.page import Section, render
from common.results import Item, Result, Run
from speech_adapters.continual import evidence, figures, learning
from speech_adapters.continual.continuing import Continue
from speech_adapters.continual.evidence import Point, Variant, variant_of
from speech_adapters.continual.matrix import matrix_figure
from speech_adapters.continual.measures import ADAPTED, CELLS, LETTERS
from speech_adapters.continual.recipes import SCALES
from speech_adapters.ctc.measures import NATS, WER
from speech_adapters.data.sources import ASTERISK

RECIPES = SCALES["gpu"].recipes
RESULT = Result(
    paper="continual-pretraining", recipe="SOURCE", scale="gpu", seed=0, split="test", settings={}, settings_hash="a",
    settings_layout=results.SETTINGS_LAYOUT, totals={}, wall_s={"train": 40.0},
    peak_memory_bytes=800_000_000, items_per_s=1.0, commit="c", dirty=False,
    lock_sha256="l", manifest_sha256="m", hardware={}, threads=1, versions={}, test_opened=1,
    finished_at="2026-11-22T00:00:00",
)  # fmt: skip
ENGLISH, FRENCH, SPANISH = "fotaq-en", "asterisk-fr", "asterisk-es"
SECONDS = dict(zip(CELLS, (4.0, 3.0, 3.4, 2.0), strict=True))


def contrast(source, nats):
    part = f"contrast {source}"
    return [Item(f"{part}/{i}", f"g{i}", part, {"contrastive": nats, "accuracy": 0.25}) for i in range(2)]


def letters(source, nats, steps=()):
    """Two clips of 10 and 30 characters; on the way half a nat above the end, a second for ten steps."""
    part = f"letters {source}"
    for id_, characters in (("a", 10), ("b", 30)):
        scores = {"ctc_nats": nats * characters, "characters": characters, "character_errors": 2}
        for step in steps:
            scores |= {f"ctc_nats@{step}": (nats + 0.5) * characters, f"train_s@{step}": step / 10}
        yield Item(f"{part}/{id_}", id_, part, scores)


def recognition(nats, said="pressez un", heard="pressez deux"):
    scores = {
        "ctc_nats": nats * 10, "characters": 10, "character_errors": 5, "words": 2, "word_errors": 1, "blank_share": 0.9
    }  # fmt: skip
    texts = {"reference": said, "greedy": heard}
    for kind in ("all", "adapters"):
        yield Item(f"recognition {kind}/a", "a", f"recognition {kind}", scores, texts)


def made(recipe, seed, items):
    """Of 400 steps; recognisers are of French, whatever was learned."""
    of = RECIPES[recipe]
    if isinstance(of, Continue):
        asked = replace(of.evaluation, recognition_on=ASTERISK["fr"])
        of = replace(of, steps=400 if of.steps else 0, evaluation=asked)
    return Run(replace(RESULT, recipe=recipe, seed=seed, settings=of.settings()), list(items))


def arm(recipe, seed=0, english=3.0, french=3.0, probe=2.0, off=0.0, steps=(100, 200)):
    what = variant_of(RECIPES[recipe])
    own = {"es": SPANISH}.get(what.language, FRENCH)
    items = [*contrast(ENGLISH, english + seed / 100), *contrast(FRENCH, french), *recognition(2.0 + seed)]
    items += [*letters(own, probe + seed / 100, steps), *letters(ENGLISH, 2.5)]
    if what.method == "adapters":
        items.append(Item("switched off/a", "a", "switched off", {"off": off, "on": 1.5}))
    return made(recipe, seed, items)


def source(seed=0):
    items = [*contrast(ENGLISH, 3.0), *contrast(FRENCH, 3.2), *recognition(2.2)]
    items += [*letters(FRENCH, 2.6), *letters(SPANISH, 2.7), *letters(ENGLISH, 2.4)]
    return made("SOURCE", seed, items)


def cost(seed=0, cells=tuple(CELLS)):
    items = [
        Item(
            f"{cell.name}/{n}",
            f"repeat {n}",
            cell.name,
            {"update_s": SECONDS[cell] + n, "backward_s": SECONDS[cell] / 2 + n},
        )
        for cell in cells
        for n in (-1, 0, 1)
    ]
    return made("COST", seed, items)


@pytest.fixture(scope="module")
def runs():
    found = [run for seed in (0, 1, 2) for run in (source(seed), cost(seed))]
    for seed in (0, 1, 2):
        found += [arm("FULL_FR", seed, 3.1, 3.0, 2.0), arm("ADAPTERS_FR", seed, 3.02, 3.1, 2.2)]
        found += [arm("FULL_ES", seed, 3.2, 3.3, 2.1), arm("ADAPTERS_ES", seed, 3.03, 3.2, 2.3)]
    return found


def title(figure):
    return " ".join(figure.get_suptitle().split()).replace("pre- ", "pre-")  # where a line ended


def texts(figure):
    return [text.get_text().strip() for axes in figure.axes for text in axes.texts]


@pytest.fixture(scope="module")
def shown(runs):
    """Figures of a whole scale by what they show; nobody changes them."""
    names = ("matrix", "cost", "letters", "recognition")
    return dict(zip(names, (figure for _, figure in figures.figures(runs)), strict=True))


# ---- names and numbers


def test_settings_say_method_language_and_what_came_before():
    told = {
        "SOURCE": Variant("source"),
        "FULL_FR": Variant("full", "fr"),
        "ADAPTERS_IT": Variant("adapters", "it"),
        "FULL_FROZEN_FR": Variant("full-frozen", "fr"),
        "SCRATCH_FR": Variant("scratch", "fr"),
        "JOINT_FR": Variant("joint", "fr"),
        "REPLAY_FR": Variant("replay", "fr"),
        "ANCHORED_FR": Variant("anchored", "fr"),
        "LORA_FR": Variant("lora", "fr"),
        "ADAPTERS_FR_THEN_ES": Variant("adapters", "es", after="fr"),
    }
    assert {name: variant_of(RECIPES[name]) for name in told} == told
    assert [told[name].words for name in ("LORA_FR", "ADAPTERS_FR_THEN_ES", "SOURCE")] == [
        "French: LoRA",
        "French then Spanish: adapters",
        "source model as it is",
    ]


@pytest.mark.parametrize("scale", SCALES)
def test_no_two_arms_of_a_scale_are_of_one_variant(scale):
    arms = [recipe for recipe in SCALES[scale].recipes.values() if isinstance(recipe, Continue)]
    assert len({variant_of(recipe) for recipe in arms}) == len(arms)


def test_the_language_of_what_a_scale_reads_is_known():
    names = ("asterisk-fr", "folder:unlabelled/es", "libri-light-10h", "tones")
    assert [evidence.spoken(name) for name in names] == ["fr", "es", "en", ""]
    assert evidence.speech_words("fotaq-en") == "English (fotaq-en)"


def test_letters_are_sum_over_sum_and_not_a_mean_of_rates():
    items = [
        Item("a", "a", "p", {"ctc_nats": 10, "characters": 2}),
        Item("b", "b", "p", {"ctc_nats": 8, "characters": 8}),
    ]
    assert NATS.of(items) == pytest.approx(1.8)  # the mean of rates is 3
    assert math.isnan(NATS.of([]))
    assert math.isnan(WER.of(items))


def test_a_curve_goes_from_the_source_over_snapshots_to_the_end():
    points = evidence.curve(arm("FULL_FR"), FRENCH, 2.6)
    assert points == [Point(0, 0.0, 2.6), Point(100, 10.0, 2.5), Point(200, 20.0, 2.5), Point(400, 40.0, 2.0)]


def test_a_last_snapshot_is_the_end_and_what_starts_from_nothing_has_no_start():
    points = evidence.curve(arm("SCRATCH_FR", steps=(200, 400)), FRENCH, 2.6)
    assert [point.step for point in points] == [200, 400]


# ---- the matrix


def test_the_matrix_holds_nats_and_their_difference_to_the_source(shown):
    figure = shown["matrix"]
    (picture,) = figure.axes[0].get_images()
    assert picture.get_array().shape == (5, 2)
    assert picture.get_array()[0].tolist() == [0, 0]
    assert picture.get_array()[1].tolist() == pytest.approx([0.11, -0.2])
    assert {"3.11", "+0.110", "seeds +0.100 to +0.120", "−0.200"} <= set(texts(figure))


def test_the_title_of_the_matrix_is_what_became_of_the_first_language(shown):
    assert title(shown["matrix"]) == (
        "English (fotaq-en) against the source, nats: full continued pre-training +0.110 after French, +0.210 after "
        "Spanish; adapters +0.030 after French, +0.040 after Spanish; switched off, the source to the bit"
    )


def test_a_set_that_stays_on_when_switched_off_is_told():
    assert "switched off, outputs differ by up to 0.25" in title(
        matrix_figure([source(), arm("ADAPTERS_FR", off=0.25)])
    )


def test_only_what_an_arm_learned_is_outlined(shown):
    patches = shown["matrix"].axes[0].patches
    assert sorted((round(patch.get_x() + 0.48), round(patch.get_y() + 0.46)) for patch in patches) == [
        (1, 1),
        (1, 2),
    ]


def test_one_arm_from_nothing_cannot_pale_the_others(runs):
    (picture,) = matrix_figure([*runs, arm("SCRATCH_FR", english=9.0)]).axes[0].get_images()
    assert picture.get_clim() == (-0.5, 0.5)


def test_an_arm_that_was_not_asked_says_so(runs):
    only_french = made("LORA_FR", 0, contrast(FRENCH, 3.0))
    assert texts(matrix_figure([*runs, only_french])).count("not scored") == 1


# ---- costs


def test_bars_are_shares_of_everything_trained_with_and_without_the_optimiser(shown):
    axes = shown["cost"].axes[0]
    assert [patch.get_width() for patch in axes.patches] == pytest.approx([100, 100, 75, 75, 85, 85, 50, 50])
    assert axes.get_lines()[-1].get_xdata() == [68, 68]
    assert title(axes.figure) == (
        "Adapters cut an update by 15 % with the extractor trained and 50 % with the extractor frozen; "
        "the paper prints 32 %"
    )


def test_a_cell_without_the_first_one_has_no_share():
    ((_, figure),) = figures.figures([cost(cells=(ADAPTED,))])
    assert not figure.axes[0].patches
    assert title(figure) == "Time of an update"


# ---- letters and recognition


def test_letters_start_at_the_source_a_line_per_seed_at_equal_time_and_updates(shown):
    seconds, steps = shown["letters"].axes[:2]
    lines = [line for line in steps.get_lines() if len(line.get_xdata()) == 4]
    assert len(lines) == 6
    assert [line.get_xydata()[0].tolist() for line in lines] == [pytest.approx([0, 2.6])] * 6
    assert list(seconds.get_lines()[0].get_xdata()) == [0, 10, 20, 40]
    assert title(steps.figure).startswith(
        "Letters, nats per character. French: full continued pre-training 2.01 after 40.0 s, adapters 2.21 "
        "after 40.0 s, source 2.60; Spanish:"
    )


def test_the_language_remembered_has_a_table_and_no_curve(runs):
    assert learning.watched_sources(runs) == [FRENCH, SPANISH]
    assert ENGLISH in evidence.every(runs, LETTERS)


def test_an_arm_from_nothing_is_named_above_the_axis(runs):
    chosen = [*runs, arm("SCRATCH_FR", probe=5.0)]
    axes = learning.letters_figure(chosen, [FRENCH]).axes[1]
    assert axes.get_ylim()[1] < 3
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "French: everything, from nothing (above, ends at 5.00)" in words


def test_recognition_has_a_dot_for_every_seed_and_way_of_fine_tuning(shown):
    nats = shown["recognition"].axes[0]
    dots = [line for line in nats.get_lines() if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in dots] == [3] * 10
    assert list(dots[2].get_xdata()) == pytest.approx([2.0, 3.0, 4.0])


# ---- what is not there


SOME = ["SOURCE", "FULL_FR", "ADAPTERS_ES", "SCRATCH_FR", "ADAPTERS_FR_THEN_ES", "FULL_RU", "JOINT_FR"]


@pytest.mark.parametrize("present", SOME)
def test_one_recipe_alone_leaves_a_report_of_it(present):
    chosen = [source() if present == "SOURCE" else arm(present)]
    assert len(list(figures.figures(chosen))) == (2 if present == "SOURCE" else 3)
    assert [len(table.rows) for table in figures.tables(chosen)] == [1, 3 if present == "SOURCE" else 2, 2]
    assert figures.details(chosen)


def test_nothing_run_shows_nothing(tmp_path):
    assert list(figures.figures([])) == figures.tables([]) == figures.details([]) == []
    assert list(figures.panels(tmp_path)) == []


# ---- tables


def cells(table, row):
    return {
        column: (cell.text, cell.note) for column, cell in zip(table.columns, table.rows[row], strict=True)
    }


def test_tables_give_means_the_difference_to_the_source_and_every_seed(runs):
    forgetting, costs, letters_, recognised = figures.tables(runs)
    adapters = cells(forgetting, 2)
    assert adapters["recipe"] == ("ADAPTERS_FR", "French: adapters")
    assert adapters["English (fotaq-en)"] == (
        "3.03",
        "+0.030 to the source; 25.0 % right; seeds 3.02, 3.03, 3.04",
    )
    assert adapters["switched off"] == ("0", "1.50 switched on")
    assert "Chance is 4.62 nats" in forgetting.caption
    assert [row[2].text for row in costs.rows] == ["–", "25.0", "15.0", "50.0"]
    full = cells(letters_, 1)
    assert (full["nats/character"], full["on the way"][0]) == (
        ("2.01", "2.00, 2.01, 2.02"),
        "100: 2.51, 200: 2.51",
    )
    assert cells(recognised, 1)["nats/character"] == ("3.00", "2.00, 3.00, 4.00")


def test_phones_have_a_table_where_they_were_named():
    scores = {"frames": 50, "right/features": 10, "right/layer1": 25}
    run = made("FULL_RU", 0, [Item("p/a", "a", "phones (Russian)", scores)])
    (table,) = figures.tables([run])
    assert [cell.text for cell in table.rows[0]] == ["FULL_RU", "20.0", "50.0", "1"]


def test_transcripts_are_of_a_dozen_clips_from_the_shortest_to_the_longest():
    items = []
    for n in range(1, 101):
        found = next(recognition(2.0, said="a" * n))
        items.append(replace(found, id=f"{found.part}/{n}"))
    (table,) = figures.details([made("FULL_FR", 0, items)])
    assert [len(row[1].text) for row in table.rows[::2]] == [1, 10, 19, 28, 37, 46, 55, 64, 73, 82, 91, 100]


def test_hostile_transcripts_stay_text():
    chosen = [made("FULL_FR", 0, recognition(2.0, heard="<script>alert(1)</script>"))]
    text = render("t", [Section(slug="s", title="s", summary="", details=figures.details(chosen))])
    assert "&lt;script&gt;" in text
    assert "<script" not in text


# ---- journals and looks


def write_journal(folder, recipe, seed=0):
    path = folder / recipe / f"seed{seed}" / "journal.jsonl"
    path.parent.mkdir(parents=True)
    row = {
        "event": "train",
        "contrastive": 3.0 + seed,
        "accuracy": 0.2,
        "soft_perplexity": 100.0,
        "chance": 4.6,
    }
    rows = [
        {"event": "start", "step": 0},
        *(row | {"step": step} for step in (10, 20)),
        {"event": "end", "step": 20},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_own_journals_show_the_contrast_under_its_chance_and_the_codes_in_use(tmp_path):
    for recipe, seed in (("FULL_FR", 0), ("FULL_FR", 1), ("ADAPTERS_FR", 0), ("FULL_FR-set-1f6a718d93fd", 0)):
        write_journal(tmp_path, recipe, seed)
    journals = learning.read_journals(tmp_path)
    assert {recipe: list(seeds) for recipe, seeds in journals.items()} == {
        "FULL_FR": [0, 1],
        "ADAPTERS_FR": [0],
    }
    figure = learning.journal_figure(journals)
    assert figure.axes[0].get_lines()[-1].get_ydata() == [4.6, 4.6]
    assert title(figure) == (
        "Contrast at the end of training, nats, chance 4.60: French: full continued pre-training 3.50 (100 codes); "
        "French: adapters 3.00 (100 codes)"
    )
    (panel,) = figures.panels(tmp_path)
    assert panel.pictures[0].data_uri.startswith("data:image/svg+xml")


def test_noise_between_rows_is_averaged_and_their_number_kept(tmp_path):
    rows = [{"step": step, "contrastive": 3.0 + step % 2} for step in range(10)]
    smooth = learning._running(rows)
    assert [row["step"] for row in smooth] == list(range(10))
    assert [row["contrastive"] for row in smooth[4:6]] == pytest.approx([3.4, 3.6])


def test_a_method_keeps_its_colour_in_every_language_and_chain():
    names = ("ADAPTERS_FR", "ADAPTERS_ES", "ADAPTERS_FR_THEN_ES")
    assert len({figures.STYLES[name].colour for name in names}) == 1
    assert len({figures.STYLES[name].marker for name in names}) == 3


def test_judging_needs_no_torch():
    code = "import sys, speech_adapters.continual.figures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
