"""What the report shows of recognition: corpus-level rates, a look per method, transcripts that stay text."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from common import results
from common.report.page import Section, render
from common.results import Item, Result, Run
from speech_adapters.asr import figures
from speech_adapters.asr.evidence import FURTHER, Variant, own_utterances, variant, variant_of
from speech_adapters.asr.measures import DEV_CURVE
from speech_adapters.asr.recipes import SCALES
from speech_adapters.ctc.measures import CER, NATS, WER

RECIPES = SCALES["gpu"].recipes
RESULT = Result(
    paper="asr-adapters", recipe="FULL_EN", scale="gpu", seed=0, split="test", settings=RECIPES["FULL_EN"].settings(),
    settings_hash="a", settings_layout=results.SETTINGS_LAYOUT, totals={},
    wall_s={"train": 300.0}, peak_memory_bytes=800_000_000, items_per_s=1.0, commit="c", dirty=False,
    lock_sha256="l", manifest_sha256="m", hardware={}, threads=1, versions={}, test_opened=1,
    finished_at="2026-11-22T00:00:00",
)  # fmt: skip
TRAINED = {"FULL": 950, "ADAPTERS": 80, "HEAD": 4, "RANDOM": 1000}


def utterance(id, part="asterisk-en", nats=10.0, characters=10, errors=1, **texts):
    scores = {
        "ctc_nats": nats, "characters": characters, "character_errors": errors, "words": 2, "word_errors": 1,
        "word_errors/beam": 0, "blank_share": 0.9,
    }  # fmt: skip
    texts = {"reference": "press one", "greedy": "press won", "beam": "press one"} | texts
    return Item(f"{part}/{id}", f"g{id}", part, scores, texts)


def run(recipe, seed=0, nats=10.0, **texts):
    made = RECIPES[recipe]
    own, other = made.source.name, made.other_voices[0].name
    trained = TRAINED.get(recipe.rpartition("_")[0], 50)
    items = [
        utterance("a", own, nats, **texts),
        utterance("b", own, 4 * nats, characters=90, errors=81),
        utterance("c", other, 50.0),
        Item("parameters", "parameters", "parameters", {"trained": trained, "total": 1000}),
    ]
    columns = {"columns": ["step", "wall_s", "dev_ctc_nats_per_character", "dev_cer"]}
    rows = [[50, 10.0, 3.0, 1.0], [100, 20.0, 2.0 + seed, 0.9], [150, 30.0, 1.0 + seed, 0.8]]
    items.append(
        Item(
            DEV_CURVE.name,
            DEV_CURVE.name,
            DEV_CURVE.name,
            {},
            {"curve": json.dumps(columns | {"rows": rows})},
        )
    )
    return Run(replace(RESULT, recipe=recipe, seed=seed, settings=made.settings()), items)


@pytest.fixture
def runs():
    names = [f"{arm}_{language}" for arm in TRAINED for language in ("EN", "FR")]
    return [run(name, seed, 10.0 + seed) for name in names for seed in (0, 1, 2)]


def dots(axes):
    return sorted(
        (x, y) for line in axes.get_lines() if line.get_marker() == "." for x, y in line.get_xydata()
    )


def title(figure):
    return " ".join(figure.get_suptitle().split())


def test_settings_say_method_layers_and_language():
    told = {
        "ADAPTERS_FR": Variant("adapters", "fr"),
        "ADAPTERS_TOP6_EN": Variant("adapters", "en", top=6),
        "FINETUNE_TOP2_EN": Variant("full", "en", top=2),
        "FINETUNE_LAYER12_EN": Variant("full", "en", layer=12),
        "ADAPTER_LAYER1_EN": Variant("adapters", "en", layer=1),
        "ONE_ADAPTER_EN": Variant("one-adapter", "en"),
        "ADAPTERS_WIDTH24_EN": Variant("adapters", "en", width=24),
        "RANDOM_EN": Variant("random", "en"),
        "LORA_EN": Variant("lora", "en"),
    }
    assert {name: variant_of(RECIPES[name]) for name in told} == told
    assert variant(run("HEAD_FR")) == Variant("head", "fr")
    assert [told[name].whole for name in ("LORA_EN", "ADAPTERS_WIDTH24_EN", "FINETUNE_TOP2_EN")] == [
        True,
        False,
        False,
    ]


def test_arms_from_an_encoder_that_learned_on_are_no_whole_arms_and_in_no_figure(runs):
    small = SCALES["mini"]
    further = {name for name, recipe in small.recipes.items() if variant_of(recipe).further}
    assert further == {"FULL_HUBERT_EN", "ADAPTERS_HUBERT_EN"}
    assert set(FURTHER) <= set(small.weights)  # made by a recipe of that scale
    assert not any(variant_of(small.recipes[name]).whole for name in further)
    later = [
        replace(one, result=replace(one.result, settings=small.recipes["FULL_HUBERT_EN"].settings()))
        for one in runs
        if one.result.recipe == "FULL_EN"
    ]
    pairs = zip(figures.figures(runs), figures.figures([*runs, *later]), strict=True)
    assert all(dots(one.axes[0]) == dots(other.axes[0]) for (_, one), (_, other) in pairs)


@pytest.mark.parametrize("scale", SCALES)
def test_no_two_recipes_of_a_scale_are_of_one_variant(scale):
    variants = [variant_of(recipe) for recipe in SCALES[scale].recipes.values()]
    assert len(set(variants)) == len(variants)


def test_a_rate_of_a_corpus_is_sum_over_sum_and_not_a_mean_of_rates():
    items = own_utterances(run("FULL_EN"))
    assert NATS.of(items) == pytest.approx(50 / 100)  # the mean of rates is 0.72
    assert CER.of(items) == pytest.approx(82.0)  # 50
    assert WER.of(items) == pytest.approx(50.0)


def test_a_corpus_without_characters_or_counts_has_no_rate():
    lacking = Item("a", "a", "asterisk-en", {"characters": 3})
    assert [str(NATS.of(items)) for items in ([], [utterance("a"), lacking])] == ["nan", "nan"]


def test_a_method_keeps_its_colour_in_every_language_and_depth():
    colours = {
        figures.STYLES[name].colour
        for name in ("FULL_EN", "FULL_FR", "FINETUNE_TOP4_EN", "FINETUNE_LAYER2_EN")
    }
    assert len(colours) == 1
    methods = [figures.style_of(Variant(method, "en")) for method in figures.METHODS]
    assert len({style.colour for style in methods}) == len(methods)
    assert figures.STYLES["FULL_EN"].marker != figures.STYLES["FULL_FR"].marker


def test_every_seed_is_a_dot_at_the_share_that_it_trained(runs):
    _, figure = next(figures.figures(runs))
    english = figure.axes[0]
    assert english.get_xscale() == "log"
    assert len(dots(english)) == 12
    assert [x for x, _ in dots(english)[:4]] == pytest.approx([0.4, 0.4, 0.4, 8.0])
    assert [y for _, y in dots(english)[:3]] == pytest.approx([0.5, 0.55, 0.6])
    assert title(figure) == (
        "Nats per character, adapters against fine-tuning: 0.550 against 0.550 (English), 0.550 against 0.550 (French)"
    )


def test_both_languages_stand_side_by_side_on_one_scale(runs):
    _, figure = next(figures.figures(runs))
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["English", "French"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_layers_and_depths_have_figures_only_where_they_were_run(runs):
    assert len(list(figures.figures(runs))) == 2
    more = [run(f"{arm}_{what}{n}_EN", 0, 9.0 + n) for n in (1, 2, 3) for arm, what in
            (("ADAPTER", "LAYER"), ("FINETUNE", "LAYER"), ("ADAPTERS", "TOP"), ("FINETUNE", "TOP"))]  # fmt: skip
    _, (_, layers), (_, tops), _ = figures.figures([*runs, *more])
    assert [x for x, _ in dots(layers.axes[0])] == [1, 1, 2, 2, 3, 3]
    assert title(layers) == "Least nats per character: adapters layer 1, fine-tuning layer 1 (English)"
    assert tops.axes[-1].get_xlabel() == "N, layers from the top"


def test_learning_is_drawn_against_steps_and_against_seconds_a_line_per_seed(runs):
    *_, (_, figure) = figures.figures(runs)
    steps, seconds = figure.axes[:2]
    assert len(steps.get_lines()) == len(seconds.get_lines()) == 12
    assert list(steps.get_lines()[0].get_xdata()) == [50, 100, 150]
    assert list(seconds.get_lines()[0].get_xdata()) == [10.0, 20.0, 30.0]
    assert "2.00 against 2.00 after 30.0 s (English)" in title(figure)


def test_equal_time_reads_the_last_look_before_it():
    early, late = run("ADAPTERS_EN"), run("FULL_EN")
    rows = [[50, 21.0, 2.5, 1.0], [100, 42.0, 0.5, 0.9]]
    columns = ["step", "wall_s", "dev_ctc_nats_per_character", "dev_cer"]
    curve = Item(
        DEV_CURVE.name,
        DEV_CURVE.name,
        DEV_CURVE.name,
        {},
        {"curve": json.dumps({"columns": columns, "rows": rows})},
    )
    *_, (_, figure) = figures.figures([early, Run(late.result, [*late.items[:-1], curve])])
    assert title(figure) == "Adapters against fine-tuning on dev: 1.00 against 2.50 after 30.0 s (English)"


@pytest.mark.parametrize("present", ["HEAD_EN", "FULL_FR", "ADAPTERS_TOP2_EN", "LORA_EN"])
def test_missing_arms_leave_a_report_of_the_others(present):
    chosen = [run(present)]
    assert list(figures.figures(chosen))
    own, others = figures.tables(chosen)
    assert len(own.rows) == len(others.rows) == 1


def test_nothing_run_shows_nothing(tmp_path):
    assert list(figures.figures([])) == figures.tables([]) == figures.details([]) == []
    assert list(figures.panels(tmp_path)) == []


def test_tables_give_the_mean_over_seeds_and_the_seeds_below(runs):
    own, others = figures.tables(runs)
    cells = dict(zip(own.columns, own.rows[1], strict=True))
    assert (cells["recipe"].text, cells["recipe"].note) == ("ADAPTERS_EN", "adapters, English")
    assert (cells["trained (%)"].text, cells["trained (%)"].note) == ("8.00", "80 weights")
    assert (cells["nats/character"].text, cells["nats/character"].note) == ("0.550", "0.500, 0.550, 0.600")
    assert (cells["WER (%)"].text, cells["WER, n-gram (%)"].text) == ("50.0", "0")
    assert (cells["seeds"].text, cells["seeds"].note) == ("3", "2 utterances")
    assert {row[1].text for row in others.rows} == {"drascula-en", "tuxpaint-fr"}
    assert others.rows[0][2].text == "5.00"


def test_hypotheses_show_what_differs_of_the_first_seed(runs):
    english, french = figures.details(runs)
    assert len(english.rows) == len(french.rows) == 2 * (1 + len(TRAINED))
    reference, hypotheses = ([cell.text for cell in row] for row in english.rows[:2])
    assert reference == ["reference", "press one", ""]
    assert hypotheses == ["ADAPTERS_EN", "press [one→won]", "press one"]


def test_hypotheses_are_of_a_dozen_utterances_from_the_shortest_to_the_longest():
    items = [utterance(str(n), reference="a" * n) for n in range(1, 101)]
    (table,) = figures.details([Run(RESULT, items)])
    assert [len(row[1].text) for row in table.rows[::2]] == [1, 10, 19, 28, 37, 46, 55, 64, 73, 82, 91, 100]


def test_hostile_transcripts_stay_text():
    chosen = [run("FULL_EN", greedy="<script>alert(1)</script>", beam="</td><b>")]
    section = Section(
        slug="s", title="s", summary="", tables=figures.tables(chosen), details=figures.details(chosen)
    )
    text = render("t", [section])
    assert "[press one→&lt;script&gt;alert(1)&lt;/script&gt;]" in text
    assert "<script" not in text
    assert "<b>" not in text


def test_sounds_stand_beside_the_transcripts_of_every_arm_and_are_few(tmp_path, make_sounds):
    make_sounds(tmp_path, [f"asterisk-en/{letter}" for letter in "abcdefghijkl"], ("ADAPTERS_EN", "FULL_EN"))
    panels = list(figures.panels(tmp_path))
    assert len(panels) == 8
    (sound,), (table,) = panels[0].sounds, panels[0].tables
    assert sound.caption == "reference: press one"
    assert sound.data_uri.startswith("data:audio/wav;base64,")
    assert [row[0].text for row in table.rows] == ["ADAPTERS_EN", "FULL_EN"]


def test_an_utterance_nobody_transcribed_is_not_shown(tmp_path, make_sounds):
    make_sounds(tmp_path, ["asterisk-en/a"], ("FULL_EN",))
    for path in (tmp_path / "results").iterdir():
        path.unlink()
    assert list(figures.panels(tmp_path)) == []


@pytest.fixture
def make_sounds():
    import numpy as np

    from speech_adapters.asr.kept_sounds import save_audio

    def make(folder, ids, recipes):
        for recipe in recipes:
            for id in ids:
                save_audio(folder / recipe / "seed0" / "pictures-test", id, np.zeros(160, np.int16))
            items = [utterance(id.rsplit("/")[-1]) for id in ids]
            results.write(folder / "results", replace(RESULT, recipe=recipe), items)

    return make


def test_judging_needs_no_torch():
    code = "import sys, speech_adapters.asr.figures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
