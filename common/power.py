"""How many seeds a claim needs: from the spread of published seeds and test groups, before further ones are run.

The published margin is taken for the true one and its components of variance for the true ones. Of n seeds on the same
test groups, what differs by seed shrinks as 1/n and what differs by test group stays; where each seed has groups of
its own (folds) both shrink, until the folds are used up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri, stdtrit

from common.claims import Claim
from common.kinds import MIN_SEEDS, Equivalent, Superior
from common.variance import TwoWay, seeds_alone
from common.verdicts import LEVEL, Verdict

CHANCE = 0.8  # that a ruling comes about, not corrected for many claims
ROUNDING = 1e-9  # of a variance
MOST = 100  # seeds; beyond that nobody runs them
LEAST = float(ndtri(1 - LEVEL / 2) + ndtri(CHANCE))  # standard deviations to the bar, for a ruling
DROPPED = "dropped on 2026-11-27: no number of seeds that can be run decides it on these test items (docs/evidence.md)"
FOLDS = 5  # of photographs; further seeds would be tested on the same again


@dataclass(frozen=True, kw_only=True)
class Power:
    """What a claim's spread says of further seeds.

    Args:
        distance: of the margin from the nearest bound, in the claim's unit; not below 0.
        seed_spread: standard deviation between seeds.
        group_spread: what is left of the margin's standard deviation with as many seeds as one likes.
        needed: seeds for a ruling with a chance of 80 %, 3 or more; None where no number up to 100 is enough.
        nested: every seed has test groups of its own, and there are five times as many at most.
    """

    claim: Claim
    verdict: Verdict
    distance: float
    seed_spread: float
    group_spread: float
    needed: int | None
    nested: bool

    @property
    def beyond_seeds(self) -> bool:
        """Whether even as many seeds as one likes leave it open, because test groups are too few."""
        return self.needed is None and not self.nested and self.group_spread * LEAST >= self.distance


def power(claim: Claim, verdict: Verdict) -> Power | None:
    """Of a claim that is judged by an interval over seeds and test groups; None of every other."""
    kind = claim.kind
    if not (isinstance(kind, Superior) and math.isfinite(verdict.df)):
        return None
    distance = min(abs(verdict.point - bound) for bound in kind.region)
    one_sided = isinstance(kind, Equivalent) and abs(verdict.point) < kind.bound
    level = LEVEL if one_sided else LEVEL / 2
    nested = not claim.repeats and verdict.num_cells == verdict.num_groups
    asked = range(MIN_SEEDS, (FOLDS if nested else MOST) + 1)
    return Power(
        claim=claim,
        verdict=verdict,
        distance=distance,
        seed_spread=math.sqrt(verdict.between_seed_variance),
        group_spread=math.sqrt(_groups_alone(verdict, nested)),
        needed=next((n for n in asked if _rules(with_seeds(verdict, n, nested), distance, level)), None),
        nested=nested,
    )


def _groups_alone(verdict: Verdict, nested: bool) -> float:
    """Variance of the margin that further seeds leave."""
    if nested or math.isnan(verdict.group_variance):
        return 0.0
    left = verdict.group_variance - verdict.shared_variance
    return 0.0 if left <= ROUNDING * verdict.group_variance else left


def with_seeds(verdict: Verdict, seeds: int, nested: bool) -> TwoWay:
    """The mean squares of a verdict as another number of seeds is expected to have them."""
    times = verdict.num_seeds / seeds
    between = verdict.between_seed_variance / seeds
    if math.isnan(verdict.group_variance):  # repeats within runs
        return TwoWay(**vars(seeds_alone([0.0] * seeds)) | {"seeds": between})
    groups, both = verdict.group_variance, verdict.shared_variance
    if nested:
        of_groups = round(verdict.num_groups / times)
        df_groups = of_groups - seeds
        return TwoWay(
            seeds=between, groups=groups * times, both=both * times,
            df_seeds=seeds - 1, df_groups=df_groups, df_both=df_groups,
        )  # fmt: skip
    df_groups = verdict.num_groups - 1
    return TwoWay(
        seeds=between, groups=groups - both + both * times, both=both * times,
        df_seeds=seeds - 1, df_groups=df_groups, df_both=df_groups * (seeds - 1),
    )  # fmt: skip


def _rules(spread: TwoWay, distance: float, level: float) -> bool:
    """Whether the interval leaves the bound out with the chance that is asked."""
    reach = float(stdtrit(spread.df, 1 - level) + stdtrit(spread.df, CHANCE))
    return distance > reach * math.sqrt(spread.variance)
