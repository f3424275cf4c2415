"""Paired items of several arms and seeds, looked at as they stand, without one group, and in draws of groups.

The groups of a draw are the same for all arms and seeds, so that a margin stays a paired difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from common.results import Item
from common.sample import Drawn, Sample

NUM_DRAWS, DRAW_SEED = 10_000, 20200914

Arms = Mapping[str, Sample]  # recipe -> its items of one seed, the same items in the same order in every arm
Margin = Callable[[Arms], Drawn | Mapping[str, Drawn] | bool]


class Evidence:
    """What one claim is judged on: its margin, asked of every seed as it stands and in every draw.

    Args:
        claim: its id, for errors.
        seeds: seed -> recipe -> items, with at least one item an arm.
        repeats: whether groups are repeats within one run, of which runs alone are independent.

    Raises:
        ValueError: the arms of a seed are not scored on the same items and groups.
    """

    def __init__(
        self,
        claim: str,
        margin: Margin,
        seeds: Mapping[int, Mapping[str, Sequence[Item]]],
        *,
        repeats: bool = False,
    ):
        self.claim, self.repeats, self._margin = claim, repeats, margin
        self._items = {seed: paired(claim, seed, arms) for seed, arms in seeds.items()}
        self._groups = {
            seed: {item.group for item in next(iter(arms.values()))} for seed, arms in self._items.items()
        }
        self.strata = strata(self._groups)
        self._places = {
            group: place for place, group in enumerate(group for stratum in self.strata for group in stratum)
        }

    def asked(self, margin: Margin) -> Evidence:
        """The same evidence for another question."""
        other = copy(self)
        other._margin = margin
        return other

    @property
    def num_groups(self) -> int:
        return len(self._places)

    @property
    def cells(self) -> int:
        """Pairs of a seed and a group that it was tested on."""
        return sum(map(len, self._groups.values()))

    @cached_property
    def _counts(self) -> Float[ndarray, "draws groups"]:
        return draws(tuple(map(len, self.strata)), NUM_DRAWS)

    @cached_property
    def present(self) -> Bool[ndarray, "draws seeds"]:
        """Whether a draw holds some group of a seed; seeds that were tested on different folds may be missed."""
        tested = [[self._places[group] for group in groups] for groups in self._groups.values()]
        return np.stack([self._counts[:, places].any(1) for places in tested], axis=1)

    def as_they_stand(self) -> dict[int, Any]:
        """The margin of each seed, of its items as they are: an array of one value, or what the margin gives."""
        return self._of_seeds(np.ones((1, self.num_groups)))

    def without_each_group(self) -> dict[int, Any]:
        """The margin of each seed without each group in turn, in order of `strata`."""
        return self._of_seeds(1 - np.eye(self.num_groups))

    def drawn(self) -> dict[int, Any]:
        """The margin of each seed in each draw; without meaning where the seed is not `present`."""
        return self._of_seeds(self._counts)

    def _of_seeds(self, counts: Float[ndarray, "draws groups"]) -> dict[int, Any]:
        margins = {}
        for seed, arms in self._items.items():
            first = next(iter(arms.values()))
            group = np.array([self._places[item.group] for item in first])
            margins[seed] = self._margin(
                {recipe: Sample(items, group, counts) for recipe, items in arms.items()}
            )
        return margins


def paired(claim: str, seed: int, arms: Mapping[str, Sequence[Item]]) -> dict[str, list[Item]]:
    """The arms with their items in order of id; an error names the ids that not every arm has."""
    ordered = {recipe: sorted(items, key=lambda item: item.id) for recipe, items in arms.items()}
    keys = [{(item.id, item.group) for item in items} for items in ordered.values()]
    differing = sorted({id for id, _ in set().union(*keys) - keys[0].intersection(*keys)})
    if differing:
        raise ValueError(
            f"{claim}, seed {seed}: arms must be scored on the same items and groups, but {', '.join(arms)} "
            f"differ in {len(differing)}: {', '.join(differing[:10])}; score them again on one manifest"
        )
    if not all(ordered.values()):
        raise ValueError(f"{claim}, seed {seed}: an arm must have items, got none")
    return ordered


def strata(groups_of_seed: Mapping[int, set[str]]) -> list[list[str]]:
    """Groups by the set of seeds that they were tested in: one stratum when seeds share the test set, one
    per fold when each seed has its own. Lone groups share a stratum, because alone they would show no
    variance.
    """
    by_pattern: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for group in sorted(set().union(*groups_of_seed.values())):
        pattern = tuple(seed for seed in sorted(groups_of_seed) if group in groups_of_seed[seed])
        by_pattern[pattern].append(group)
    by_size = sorted(by_pattern.values(), key=len, reverse=True)
    lone = [stratum[0] for stratum in by_size if len(stratum) == 1]
    found = [stratum for stratum in by_size if len(stratum) > 1]
    if len(lone) == 1 and found:
        found[0] += lone
    elif lone:
        found.append(lone)
    return found


@lru_cache(maxsize=16)  # claims of a paper mostly ask the same groups
def draws(sizes: tuple[int, ...], num_draws: int) -> Float[ndarray, "draws groups"]:
    """How often each draw holds each group, groups drawn with replacement within strata of these sizes; read only."""
    generator = np.random.default_rng(DRAW_SEED)
    counts = np.empty((num_draws, sum(sizes)))
    for draw in range(num_draws):
        of_strata = [np.bincount(generator.integers(size, size=size), minlength=size) for size in sizes]
        counts[draw] = np.concatenate(of_strata)
    counts.flags.writeable = False
    return counts
