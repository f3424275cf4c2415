"""How sure a mean over seeds of a margin is, when seeds and test groups both differ: two-way moments.

Three mean squares of the mean: that of seeds, that of groups, and that of what differs by seed and group together.
The first two each hold the third, so their sum less the third counts it once. Groups are left out one by one
(jackknife), which for a mean is the sample variance itself, needs no draws and serves ratios as well. Where every seed
has test groups of its own, groups and the third are one and the same, and what is left is the larger of the first two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray


@dataclass(frozen=True, kw_only=True)
class TwoWay:
    """Mean squares of a mean over seeds, in the margin's unit squared, with the degrees of freedom of each.

    Args:
        seeds: of seeds' margins over their number.
        groups: of the mean over seeds, over test groups.
        both: of what differs by seed and group together.
    """

    seeds: float
    groups: float
    both: float
    df_seeds: int
    df_groups: int
    df_both: int

    @property
    def variance(self) -> float:
        return self.seeds + self.groups - self.once

    @property
    def once(self) -> float:
        """What both of the first two hold; never more than the smaller, and not below 0."""
        return max(0.0, min(self.seeds, self.groups, self.both))

    @property
    def df(self) -> float:
        """Satterthwaite's, of the mean squares that the variance is made of."""
        if self.seeds <= min(self.groups, self.both):
            return float(self.df_groups)
        if self.groups <= self.both * (
            1 + 1e-9
        ):  # equal but for rounding where every seed has groups of its own
            return float(self.df_seeds)
        # Written with shares, so that tiny variances do not underflow.
        shares = [part / self.variance for part in (self.seeds, self.groups, self.once)]
        return 1 / sum(
            share**2 / df
            for share, df in zip(shares, (self.df_seeds, self.df_groups, self.df_both), strict=True)
        )


def seeds_alone(margins: Sequence[float]) -> TwoWay:
    """Of repeats within runs: they share what their run met, so only runs are independent."""
    between = float(np.var(margins, ddof=1)) / len(margins)
    return TwoWay(
        seeds=between, groups=0.0, both=0.0, df_seeds=len(margins) - 1, df_groups=len(margins) - 1, df_both=1
    )


def two_way(
    margins: Sequence[float],
    without: Mapping[int, Float[ndarray, " groups"]],
    strata: Sequence[Sequence[str]],
    cells: int,
) -> TwoWay:
    """Of the margins of seeds, and of the margins without each group in turn, groups in order of their strata.

    Args:
        margins: one a seed, at least two.
        without: seed -> its margin without each group; the margin as it stands where it has no such group.
        strata: groups by the seeds that they were tested with, each of two groups or more.
        cells: pairs of a seed and a group that it was tested on.
    """
    left_out = np.stack(list(without.values()))
    number, num_groups = len(margins), left_out.shape[1]
    groups = float(_jackknife(left_out.mean(0, keepdims=True), strata)[0])
    of_one_seed = float(_jackknife(left_out, strata).mean())
    return TwoWay(
        seeds=float(np.var(margins, ddof=1)) / number,
        groups=groups,
        both=(of_one_seed - groups) / (number - 1),
        df_seeds=number - 1,
        df_groups=num_groups - len(strata),
        df_both=max(num_groups - len(strata), cells - number - num_groups + 1),
    )


def _jackknife(
    left_out: Float[ndarray, "rows groups"], strata: Sequence[Sequence[str]]
) -> Float[ndarray, " rows"]:
    """Σ over strata of (n - 1) / n · Σ of squared distances to the stratum's mean."""
    total = np.zeros(len(left_out))
    start = 0
    for stratum in strata:
        of_stratum = left_out[:, start : start + len(stratum)]
        total += of_stratum.var(1) * (len(stratum) - 1)
        start += len(stratum)
    return total
