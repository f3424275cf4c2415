"""A test set that was looked at stays on record, whatever is published in place of it."""

import pytest
from made_runs import made_run

from common import openings, results
from common.papers import SCALES, papers
from common.report.openings_table import openings_tables
from common.results import Item


def run(recipe="A", commit="first", when="2026-01-01T00:00:00+00:00", parts=("clean",), **changes):
    items = [Item(part, part, part, {"x": 1.0}) for part in parts]
    return made_run(recipe, items, commit=commit, finished_at=when, **changes)


def test_results_published_in_place_of_others_are_counted_beside_them(tmp_path):
    openings.record(tmp_path, [run(), run(seed=1), run("B", parts=("clean", "still"))])
    openings.record(tmp_path, [run(commit="second", when="2026-02-01T00:00:00+00:00")])
    clean, still = openings.opened(openings.read(tmp_path), ("clean", "still", "never"))
    assert (clean.publications, clean.runs, clean.most) == (2, 4, 2)
    assert (clean.first.day, clean.first.commit, clean.last.commit) == ("2026-01-01", "first", "second")
    assert (still.publications, still.runs, still.most) == (1, 1, 1)


def test_the_same_scoring_published_again_is_no_second_look(tmp_path):
    for _ in range(2):
        openings.record(tmp_path, [run(), run(scale="gpu")])
    found = openings.opened(openings.read(tmp_path), ("clean",))
    assert [(one.scale, one.publications, one.runs) for one in found] == [("mini", 1, 1), ("gpu", 1, 1)]


def test_the_table_names_the_first_publication(tmp_path):
    assert openings_tables(openings.opened([], ("clean",))) == []
    openings.record(tmp_path, [run()])
    (table,) = openings_tables(openings.opened(openings.read(tmp_path), ("clean",)))
    assert [cell.text for cell in table.rows[0]] == [
        "clean",
        "mini",
        "1",
        "1",
        "once",
        "2026-01-01",
        "2026-01-01",
    ]
    assert table.rows[0][5].note == "commit first"


@pytest.mark.parametrize("slug", papers())
def test_everything_that_is_published_is_on_record(slug):
    paper = papers()[slug]
    known = {
        (one.scale, name, when) for one in openings.read(paper.folder) for name, when in one.scored.items()
    }
    for scale in SCALES:
        for one in results.read(paper.published(scale)):
            assert (scale, one.result.name, one.result.finished_at) in known
