"""A run is held against the published one: to the bit, as near as stated, or named."""

from dataclasses import replace

import pytest

from common import papers, results
from common.against import compare

PAPER = papers.find("extreme-vsr")
MEASURE = next(iter(PAPER.closeness))


@pytest.fixture
def published():
    return next(run for run in results.read(PAPER.published("mini")) if run.result.recipe == "EVESRNET")


def written(folder, run, **changes):
    return results.write(folder, replace(run.result, **changes), run.items)


def moved(run, by):
    """The same run with every PSNR a little higher, as on another CPU."""
    items = [replace(i, scores=i.scores | {MEASURE: i.scores[MEASURE] + by}) for i in run.items]
    totals = {
        key: value + by * (key.endswith(f"/{MEASURE}/mean")) for key, value in run.result.totals.items()
    }
    return replace(run, items=items, result=replace(run.result, totals=totals))


def test_the_published_run_itself_is_equal_to_the_bit(tmp_path, published):
    written(tmp_path, published)
    (found,) = compare(tmp_path)
    assert (found.told, found.off) == ("every raw score to the bit", False)
    assert found.name == "extreme-vsr mini EVESRNET.seed0"


@pytest.mark.parametrize(("by", "off"), [(0.01, False), (0.1, True)])
def test_a_run_that_differs_is_within_what_was_stated_or_not(tmp_path, published, by, off):
    path = written(tmp_path, moved(published, by), hardware={"cpu": "another", "vector_instructions": "avx2"})
    (found,) = compare(path)
    assert found.off == off
    assert f"differs by {by:.3g}, {'further apart than' if off else 'within'} 0.03" in found.told
    assert "(another, avx2; published: " in found.told


def test_other_settings_and_recipes_that_nobody_published_are_named(tmp_path, published):
    other = {**published.result.settings, "steps": 751}
    (found,) = compare(written(tmp_path, published, settings=other))
    assert (found.told, found.off) == ("other settings or data than the published run", True)
    (found,) = compare(written(tmp_path, published, seed=77))
    assert (found.told, found.off) == ("nothing is published to compare with", False)


def test_a_run_of_today_is_compared_with_one_whose_settings_were_spelled_otherwise(tmp_path, published):
    today = PAPER.as_today(published, PAPER.recipe("EVESRNET", "mini"))
    assert published.result.settings != today.result.settings
    (found,) = compare(written(tmp_path, today))
    assert (found.told, found.off) == ("every raw score to the bit", False)


def test_nothing_to_compare_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="must be a result file or a folder of them"):
        compare(tmp_path)
