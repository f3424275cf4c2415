"""Laws of the tables: every claim has a row, a difference is said, a stale README is found."""

import math
from dataclasses import replace

import pytest

from common.claims import Claim
from common.kinds import Superior
from common.report import tables
from common.report.page import costs_table, per_group_table, provenance_table
from common.report.tables import Cell, Table, claim_rows
from common.results import Item, Result, Run
from common.verdicts import Verdict

CLAIM = Claim(
    id="more-frames",
    says="More frames | <b>help</b>.",
    where="abstract",
    paper="not readable",
    reads=("A", "B"),
    kind=Superior(),
    margin=lambda arms: 0.0,
    unit="dB",
    scales=("mini", "gpu"),
)
QUESTION = replace(CLAIM, id="ours", says="Do pictures differ?", question=True)
UPHELD = Verdict(
    claim="more-frames", scale="mini", word="upheld", point=0.4, low=0.3, high=0.5, num_seeds=3, num_groups=20
)
RESULT = Result(
    paper="a",
    recipe="A",
    scale="mini",
    seed=0,
    split="test",
    settings={},
    settings_hash="h",
    totals={},
    wall_s={"train": 61.0},
    peak_memory_bytes=5_000_000,
    items_per_s=2.0,
    commit="c0ffee",
    dirty=True,
    lock_sha256="l",
    manifest_sha256="m",
    hardware={"cpu": "a CPU", "gpu": None},
    threads=1,
    versions={"python": "3"},
    test_opened=1,
    finished_at="2024",
    bad_items=("x: cut short",),
    bad_items_share=0.01,
)


def run(recipe, seed, values, part="photographs"):
    items = [Item(str(i), f"g{i}", part, {"psnr": value}) for i, value in enumerate(values)]
    return Run(replace(RESULT, recipe=recipe, seed=seed), items)


def command(scale):
    return f"make reproduce SCALE={scale}"


def rows(published=(UPHELD,), yours=(), claims=(CLAIM,)):
    return claim_rows(claims, command=command, published={"mini": published}, yours={"mini": yours})


def test_a_row_holds_sentence_number_place_and_verdict():
    table = tables.verdict_table(rows(), title="t")
    assert table.columns == ("claim", "the paper's number", "mini")
    (cells,) = table.rows
    assert cells[0].text == CLAIM.says
    assert (cells[1].text, cells[1].note) == ("not readable", "abstract")
    assert cells[2] == Cell("upheld", "upheld", "+0.400 dB [+0.300, +0.500]; 3 seeds, 20 groups")
    assert table.caption == "A column a scale; made by: make reproduce SCALE=mini."


def test_a_claim_is_one_line_with_its_scales_side_by_side():
    gpu = replace(UPHELD, scale="gpu", word="refuted", point=-1.0, low=-2.0, high=-0.5)
    found = claim_rows(
        [CLAIM], command=command, published={"gpu": [gpu], "mini": [UPHELD]}, yours={"gpu": [gpu]}
    )
    table = tables.verdict_table(found, title="t")
    assert table.columns[2:] == ("mini", "gpu", "gpu, yours")
    assert [cell.text for cell in table.rows[0][2:]] == ["upheld", "refuted", "refuted"]
    assert tables.verdict_table(found, title="t", with_yours=False).columns[2:] == ("mini", "gpu")


def test_every_scale_with_evidence_is_shown_and_every_claim_once():
    gpu = replace(UPHELD, scale="gpu", word="refuted", point=-1.0, low=-2.0, high=-0.5)
    absent = replace(UPHELD, scale="paper", word="not run")
    found = claim_rows(
        [CLAIM, QUESTION], command=command, published={"paper": [absent], "gpu": [gpu], "mini": [UPHELD]}
    )
    assert [(row.claim.id, row.scale) for row in found] == [
        ("more-frames", "mini"),
        ("more-frames", "gpu"),
        ("ours", "mini"),
    ]


def test_without_any_run_every_claim_still_has_a_row():
    assert [row.claim.id for row in claim_rows([CLAIM, QUESTION], command=command)] == ["more-frames", "ours"]


@pytest.mark.parametrize(
    ("point", "expected"), [(0.41, False), (0.53, False), (0.55, True), (0.2, True), (math.nan, False)]
)
def test_disagreement_is_more_than_the_interval_of_the_difference(point, expected):
    """Two half-widths of 0.1 make sqrt(0.02) = 0.141."""
    yours = replace(UPHELD, point=point, low=point - 0.1, high=point + 0.1)
    (row,) = rows(yours=(yours,))
    assert row.disagrees == expected
    cells = tables.verdict_table([row], title="t").rows[0]
    assert [("differs from published" in cell.note) for cell in cells[2:]] == [False, expected]


def test_one_seed_of_yours_is_compared_with_the_published_interval():
    (row,) = rows(yours=(replace(UPHELD, word="seen once", point=0.6, low=math.nan, high=math.nan),))
    assert row.disagrees


def test_our_questions_stand_apart():
    paper, ours = tables.verdict_tables(rows(claims=(CLAIM, QUESTION)))
    assert [len(paper.rows), len(ours.rows)] == [1, 1]
    assert ours.title == "Our questions"


def test_questions_with_a_heading_of_their_own_stand_under_it_and_only_where_they_are_asked():
    apart = replace(QUESTION, id="apart", about="another encoder", scales=("night",), not_testable={})
    titles = [table.title for table in tables.verdict_tables(rows(claims=(CLAIM, QUESTION, apart)))]
    assert titles == ["What the paper says", "Our questions", "Our questions: another encoder"]
    (row,) = [row for row in rows(claims=(CLAIM, apart)) if row.claim.id == "apart"]
    assert (row.scale, row.published, row.command) == ("night", None, command("night"))
    with pytest.raises(ValueError, match="apart: only questions of ours have a heading"):
        replace(apart, question=False)


def test_by_design_and_consistent_with_are_said():
    claim = replace(CLAIM, by_design=True, consistent_with=True, headline=True)
    cells = tables.verdict_table(rows(claims=(claim,)), title="t").rows[0]
    assert cells[0].note == "headline; consistent with our reading of the paper"
    assert cells[2].text == "by design, verified"


def test_markdown_shows_hostile_text_as_text():
    text = tables.verdict_table_markdown(rows())
    assert "More frames \\| &lt;b&gt;help&lt;/b&gt;." in text
    assert "**upheld**<br>+0.400 dB \\[+0.300, +0.500\\]" in text
    assert {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")} == {4}


README = "# Title\n\n<!-- generated: verdicts -->\nold\n<!-- end -->\n\nMore.\n"


def test_generated_text_is_replaced_and_a_stale_readme_is_found():
    fresh = tables.replace_generated(README, "verdicts", r"new \1")
    assert fresh == "# Title\n\n<!-- generated: verdicts -->\n\nnew \\1\n\n<!-- end -->\n\nMore.\n"
    assert tables.is_stale(README, "verdicts", r"new \1")
    assert not tables.is_stale(fresh, "verdicts", r"new \1")
    assert tables.is_stale(fresh, "verdicts", "newer")


@pytest.mark.parametrize("readme", ["# Title", README + README, README.replace("<!-- end -->", "")])
def test_a_readme_without_its_one_pair_of_markers_is_refused(readme):
    with pytest.raises(ValueError, match="must have one <!-- generated: verdicts -->"):
        tables.replace_generated(readme, "verdicts", "new")


def test_results_show_mean_median_and_a_dot_per_seed():
    runs = [run("A", 0, [1.0, 2.0, 9.0]), run("A", 1, [2.0, 2.0, math.inf]), run("B", 0, [0.0, 0.0, 0.0])]
    a, b = tables.results_table(runs).rows
    assert [cell.text for cell in a[:5]] == ["photographs", "psnr", "A", "3.20", "2.00"]
    assert a[5].text == "4.00, 2.00"
    assert a[5].dots == (1.0, 0.5)
    assert a[6] == Cell("5", "number", "1 not finite, left out")
    assert b[5].dots == (0.0,)


def test_groups_are_averaged_over_items_and_seeds():
    table = per_group_table(
        [run("A", 0, [1.0, 5.0]), run("A", 1, [2.0, 5.0]), run("B", 0, [0.5])], "psnr", "dB"
    )
    assert table.columns == ("part", "group", "A", "B")
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["photographs", "g0", "1.50", "0.500"],
        ["photographs", "g1", "5.00", "–"],
    ]


def test_provenance_and_costs_tell_dirt_and_bad_items():
    runs = [run("A", 0, [1.0])]
    assert Cell("c0ffee", "code", "changed since") in provenance_table(runs).rows[0]
    assert Cell("1 (1 %)", "number", "x: cut short") in costs_table(runs).rows[0]
    assert Cell("61.0", "number") in costs_table(runs).rows[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (-1.5, "−1.50"),
        (31.256, "31.3"),
        (12345, "12,345"),
        (math.inf, "∞"),
        (math.nan, "–"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert tables.number(value) == text


def test_a_row_with_a_missing_cell_is_refused():
    with pytest.raises(ValueError, match="must have 2 cells, got 1"):
        Table("t", ("a", "b"), [[Cell("x")]])


# ---- the first page


SEEN = Verdict(claim="more-frames", scale="mini", word="upheld", point=0.5, low=0.25, high=0.75)


def test_a_headline_is_told_by_the_word_it_got():
    headline = replace(CLAIM, headline=True, outcomes={"upheld": "Yes: {told}.", "refuted": "No: {told}."})
    row = tables.ClaimRow(headline, "mini", SEEN, None, "make")
    (cells,) = tables.headline_table([(Cell("A paper"), row)]).rows
    assert (cells[0].text, cells[3].text, cells[3].note) == ("A paper", "upheld", "at mini")
    assert cells[0].note == ""
    ours = replace(row, claim=replace(headline, question=True))
    assert tables.headline_table([(Cell("A paper"), ours)]).rows[0][0].note == "our question"
    assert cells[2].text == f"Yes: +0.500 {CLAIM.unit} [+0.250, +0.750]."
    (cells,) = tables.headline_table([(Cell("A paper"), replace(row, published=None))]).rows
    assert (cells[2].text, cells[3].text) == ("–", "not run")


def test_below_the_headlines_stands_what_was_run_and_has_a_sentence():
    told = replace(QUESTION, outcomes={"upheld": "So too: {told} ({reason})."})
    row = tables.ClaimRow(told, "mini", replace(SEEN, reason="and *so* on"), None, "make")
    silent = replace(row, claim=QUESTION)
    not_run = replace(row, published=replace(SEEN, word="not run"))
    headline = replace(row, claim=replace(CLAIM, headline=True, outcomes=told.outcomes))
    assert tables.below_headlines([silent, not_run, replace(row, published=None), headline]) == ""
    sentence = rf"So too: +0.500 {CLAIM.unit} \[+0.250, +0.750\] (and \*so\* on)."
    assert tables.below_headlines([headline, row, row]) == f"{sentence}\n\n{sentence}"


def test_a_headline_that_got_another_word_at_another_scale_is_told():
    headline = replace(CLAIM, headline=True, outcomes={"refuted": "No: {told}."})
    here = tables.ClaimRow(headline, "mini", SEEN, None, "make")
    as_here, not_run = replace(here, scale="night"), replace(here, scale="gpu", published=None)
    otherwise = replace(here, scale="gpu", published=replace(SEEN, word="refuted", point=-0.5))
    shown = [(Cell("a paper"), here)]
    assert tables.headlines_elsewhere(shown, [here, as_here, not_run]) == ""
    assert tables.headlines_elsewhere(shown, [here, otherwise, replace(otherwise, claim=QUESTION)]) == (
        rf"At `gpu` the headline of a paper is refuted. No: −0.500 {CLAIM.unit} \[+0.250, +0.750\]."
    )


def test_headlines_of_papers_and_questions_of_ours_are_counted_apart():
    row = tables.ClaimRow(CLAIM, "mini", SEEN, None, "make")
    ours = replace(row, claim=QUESTION, published=replace(SEEN, word="refuted"))
    told = tables.tally([row, replace(row, published=None), row, ours])
    assert told.startswith("Headlines of the papers: 2 upheld, 1 not run; questions of ours: 1 refuted. ")


def test_a_word_without_a_sentence_is_told_as_it_is():
    once = replace(SEEN, word="seen once", low=math.nan, high=math.nan)
    assert CLAIM.outcome(once) == f"Seen once: +0.500 {CLAIM.unit}."
