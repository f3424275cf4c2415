"""Committed tables follow from committed raw scores."""

from common import papers
from common.report import build


def test_no_committed_table_is_stale():
    assert build.stale_tables(list(papers.papers().values())) == []


def test_published_results_belong_to_recipes_that_still_exist_unchanged():
    from common import results

    for paper in papers.papers().values():
        for scale in papers.SCALES:
            for run in results.read(paper.published(scale)):
                recipe = paper.recipe(run.result.recipe, scale)
                assert paper.as_today(run, recipe) is not None, run.result.name
                assert run.result.dirty is False, run.result.name


def test_the_benchmark_table_follows_from_its_results():
    from benchmarks.__main__ import HERE
    from benchmarks.tables import generated
    from common.report.tables import is_stale

    assert not is_stale((HERE / "README.md").read_text(), "benchmarks", generated())
