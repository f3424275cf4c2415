"""Every published row reckoned a second time from its raw scores, by a plain rule with no code of `common/`."""

import math

import plain_margins
import plain_rule
import pytest

from common.papers import SCALES, papers
from common.report.build import rows_of

PUBLISHED = [
    (s, scale) for s, paper in papers().items() for scale in SCALES if paper.published(scale).is_dir()
]


@pytest.mark.parametrize(("slug", "scale"), PUBLISHED)
def test_a_second_reckoning_agrees_with_every_published_row(slug, scale):
    paper = papers()[slug]
    published = {
        row.claim.id: row.published
        for row in rows_of(paper, with_yours=False, scales=(scale,))
        if row.published and row.published.word not in ("not run", "not testable at this scale")
    }
    runs, reckoned = plain_margins.published(paper.published(scale)), {}
    for claim in published.keys() - plain_margins.EXACT.keys():
        parts, recipes, margin, *region = plain_margins.ROWS[claim]
        reckoned[claim] = plain_rule.ruled(runs, parts, recipes.split(), margin, *region)
        if claim in plain_margins.FLOORS and plain_margins.below_the_floor(runs, claim):
            reckoned[claim] = ("undecided", *reckoned[claim][1:4], 1.0)
    alone = {plain_margins.HEADLINES[slug]}
    reckoned = plain_rule.corrected(reckoned, plain_margins.OF_THE_PAPER - alone, "any")
    reckoned = plain_rule.corrected(reckoned, reckoned.keys() - plain_margins.OF_THE_PAPER - alone, "share")
    for claim in published.keys() & plain_margins.EXACT.keys():
        reckoned[claim] = ("upheld" if plain_margins.EXACT[claim](runs) else "refuted", 1.0, *[math.nan] * 3)
    for claim, verdict in published.items():
        word, *numbers = reckoned[claim]
        assert word == ("refuted" if verdict.word == "not seen here" else verdict.word), claim
        found = [verdict.point, verdict.low, verdict.high, verdict.p]
        assert found == pytest.approx(numbers, rel=1e-9, abs=1e-9, nan_ok=True), claim


@pytest.mark.parametrize(
    ("t", "df", "p"), [(0, 5, 0.5), (12.7062047364, 1, 0.025), (2.0859634473, 20, 0.025)]
)
def test_the_plain_students_t_has_the_values_of_printed_tables(t, df, p):
    assert plain_rule.tail(t, df) == pytest.approx(p, abs=1e-11)
    assert plain_rule.quantile(0.025, 2) == pytest.approx(4.30265272975, abs=1e-9)
