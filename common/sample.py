"""What a margin is computed on: the items of one arm and seed as columns, in all bootstrap draws at once.

A draw is how often it holds each group. Whatever sums over items, weighted by those counts, is one matrix product for
all draws; the test set as it stands is the draw that holds every group once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from common.results import Item

Drawn = Float[ndarray, " draws"]  # one value of each draw


def ratio(over: Drawn, under: Drawn) -> Drawn:
    """Quotient of each draw; nan where the divisor is 0."""
    return np.divide(over, under, out=np.full(len(over), np.nan), where=under != 0)


class NotScored(KeyError):
    """A score that no item has: the runs are older than the question."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Items of one arm and seed, with the draws that they are looked at in.

    Every arm of a seed lists the same items in the same order, so columns of two arms may be subtracted.

    Args:
        group: which column of `counts` each item belongs to.
        counts: how often each draw holds each group.
    """

    items: Sequence[Item]
    group: Int[ndarray, " items"]
    counts: Float[ndarray, "draws groups"]

    @classmethod
    def of(cls, items: Sequence[Item]) -> Sample:
        """The items as they stand: one draw, every group once."""
        places = {name: place for place, name in enumerate(sorted({item.group for item in items}))}
        group = np.array([places[item.group] for item in items], dtype=np.int64)
        return cls(items, group, np.ones((1, len(places))))

    def part(self, name: str) -> Sample:
        """The items of one part, in the same draws."""
        kept = [place for place, item in enumerate(self.items) if item.part == name]
        return replace(self, items=[self.items[place] for place in kept], group=self.group[kept])

    def __getitem__(self, score: str) -> Float[ndarray, " items"]:
        """The score of every item, nan where one lacks it.

        Raises:
            NotScored: no item has it.
        """
        if not any(score in item.scores for item in self.items):
            raise NotScored(score)
        return np.array([item.scores.get(score, np.nan) for item in self.items], dtype=float)

    @property
    def weights(self) -> Float[ndarray, "draws items"]:
        """How often each draw holds each item, for what is no sum."""
        return self.counts[:, self.group]

    @property
    def size(self) -> Drawn:
        """Items of each draw."""
        return self.sum(np.ones(len(self.items)))

    def sum(self, values: str | Shaped[ndarray, " items"]) -> Drawn:
        """Σ over items of a score, or of values worked out from scores (numbers, or true as 1)."""
        return self._over_groups(self._of_group(values))

    def mean(self, values: str | Shaped[ndarray, " items"]) -> Drawn:
        """Mean over items; of what is true or false, the share."""
        return ratio(self.sum(values), self.size)

    def rate(self, counted: str, per: str) -> Drawn:
        """Σ of a count / Σ of another, as corpus error rates are."""
        return ratio(self.sum(counted), self.sum(per))

    def group_mean(self, values: str | Shaped[ndarray, " items"]) -> Drawn:
        """Mean over groups of the mean over their items: a group counts once however many items it has."""
        items = self._of_group(np.ones(len(self.items)))
        means = np.divide(self._of_group(values), items, out=np.zeros(len(items)), where=items > 0)
        return ratio(self._over_groups(means), self._over_groups((items > 0).astype(float)))

    def _of_group(self, values: str | Shaped[ndarray, " items"]) -> Float[ndarray, " groups"]:
        column = self[values] if isinstance(values, str) else values
        return np.bincount(self.group, weights=column, minlength=self.counts.shape[1])

    def _over_groups(self, values: Float[ndarray, " groups"]) -> Drawn:
        """Σ count * value; a value that is not finite stays out of draws without its group, where 0 * inf is nan."""
        finite = np.isfinite(values)
        total: Drawn = self.counts[:, finite] @ values[finite]
        for group in np.flatnonzero(~finite):
            total[self.counts[:, group] > 0] += values[group]
        return total
