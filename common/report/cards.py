"""The first screen of the report: a card a paper, with its headline, what came out, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from common.digits import number
from common.report.tables import ClaimRow
from common.verdicts import Verdict

MARGIN = 0.08  # of the axis, left free at both ends


@dataclass(frozen=True)
class IntervalBar:
    """An interval on an axis of 0 to 100, left to right.

    Args:
        low, point, high: of the interval; equal where there is a point alone.
        region: where the claim would be upheld; cut at the ends of the axis.
        bounds: (position, number as text) of the region's finite ends.
        told: the same in words, for who does not see it.
    """

    low: float
    point: float
    high: float
    region: tuple[float, float]
    bounds: tuple[tuple[float, str], ...]
    told: str


@dataclass(frozen=True)
class Card:
    """A paper's headline and what came out.

    Args:
        slug: anchor of the paper's section.
        word: of the verdict; its badge.
        outcome: a plain sentence with its number and interval.
        rests_on: scale, seeds, groups, and whose runs.
        bar: None where no number is asked or none is there.
    """

    slug: str
    paper: str
    says: str
    word: str
    outcome: str
    rests_on: str
    bar: IntervalBar | None


def card(slug: str, paper: str, row: ClaimRow) -> Card:
    """Of your own runs where there are any, else of the published ones."""
    verdict = row.yours or row.published
    paper = f"{paper}; a question of ours, not the paper's" if row.claim.question else paper
    if verdict is None:
        return Card(slug, paper, row.claim.says, "not run", f"{row.command} runs it.", "", None)
    rests_on = [f"scale {row.scale}"]
    if verdict.num_seeds:
        rests_on += [f"{verdict.num_seeds} seeds"]
        rests_on += [f"{verdict.num_groups} groups of test items"] if verdict.num_groups else []
    rests_on += ["your runs" if row.yours else "published runs"]
    rests_on += ["our question" if row.claim.question else "the paper's claim"]
    return Card(
        slug,
        paper,
        row.claim.says,
        verdict.word,
        row.claim.outcome(verdict),
        ", ".join(rests_on),
        interval_bar(row, verdict),
    )


def interval_bar(row: ClaimRow, verdict: Verdict) -> IntervalBar | None:
    """The verdict's interval beside the region in which the claim would be upheld."""
    region = row.claim.kind.region
    if region is None or not math.isfinite(verdict.point):
        return None
    low, high = (end if math.isfinite(end) else verdict.point for end in (verdict.low, verdict.high))
    bounds = [end for end in region if math.isfinite(end)]
    left, right = min(low, *bounds, 0.0), max(high, *bounds, 0.0)
    span = (right - left or 1.0) * (1 + 2 * MARGIN)
    start = left - span * MARGIN / (1 + 2 * MARGIN)

    def at(value: float) -> float:
        return min(100.0, max(0.0, 100 * (value - start) / span))

    unit = row.claim.unit
    ends = " and ".join(f"{number(end)} {unit}" for end in bounds)
    where = (
        f"between {ends}"
        if len(bounds) == 2
        else f"above {ends}"
        if math.isinf(region[1])
        else f"below {ends}"
    )
    return IntervalBar(
        at(low),
        at(verdict.point),
        at(high),
        (at(region[0]), at(region[1])),
        tuple((at(end), number(end)) for end in bounds),
        f"{row.claim.kind.told(verdict, unit)}; upheld {where}",
    )
