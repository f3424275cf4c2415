"""What a search on dev says of the settings that were run: whether a chosen value lies at an edge of what was tried.

The log is what `tune` writes and what is committed as `results/tuning-SCALE.json`. An arm that was not searched itself
has the settings of its sibling, the arm with the same name up to the last underscore (FINE_25 those of FINE_0).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.results import Run

OF_THE_LOG = {"arm", "dev", "train_s", "steps", "settings", "commit"}  # the rest of a row are settings


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A setting of a recipe beside the values that were tried of it.

    Args:
        searched: the arm whose search it rests on.
        tried: values in ascending order.
        tuned_steps, steps: of the runs of the search, and of the recipe's own.
    """

    recipe: str
    searched: str
    setting: str
    value: float
    tried: tuple[float, ...]
    tuned_steps: int
    steps: int

    @property
    def edge(self) -> str:
        """ "lowest" or "highest" where nothing beyond was tried; "" inside, and where there was no choice."""
        if len(self.tried) < 2 or self.tried[0] < self.value < self.tried[-1]:
            return ""
        return "lowest" if self.value <= self.tried[0] else "highest"


def choices(log: Path, runs: Iterable[Run]) -> list[Chosen]:
    """Every searched setting of every recipe that has runs; none where no search is committed."""
    if not log.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(log.read_bytes())["tried"]
    arms = {row["arm"] for row in rows}
    recipes = {run.result.recipe: run.result.settings for run in runs}
    return [
        chosen
        for recipe, settings in sorted(recipes.items())
        if (searched := _searched(recipe, arms))
        for chosen in _of_recipe(recipe, settings, searched, [row for row in rows if row["arm"] == searched])
    ]


def at_an_edge(found: Iterable[Chosen], recipes: Sequence[str]) -> str:
    """A sentence about those of some recipes that lie at an edge, e.g. "at the edge of its search: WIDE (peak_lr 0.002,
    the highest of 3 tried)"; empty where none does."""
    told: dict[str, list[str]] = {}
    for chosen in found:
        if chosen.edge and chosen.recipe in recipes:
            value = f"{chosen.setting} {chosen.value:g}, the {chosen.edge} of {len(chosen.tried)} tried"
            told.setdefault(value, []).append(chosen.recipe)
    arms = [f"{', '.join(names)} ({value})" for value, names in told.items()]
    return f"at the edge of the search: {'; '.join(arms)}" if arms else ""


def _searched(recipe: str, arms: set[str]) -> str:
    siblings = sorted(arm for arm in arms if "_" in recipe and _stem(arm) == _stem(recipe))
    return recipe if recipe in arms else next(iter(siblings), "")


def _stem(name: str) -> str:
    return name.rpartition("_")[0] or name


def _of_recipe(
    recipe: str, settings: Mapping[str, Any], searched: str, rows: Sequence[Mapping[str, Any]]
) -> Iterable[Chosen]:
    for setting in sorted(rows[0].keys() - OF_THE_LOG):
        value: Any = functools.reduce(lambda part, name: part[name], setting.split("."), settings)
        tried = tuple(sorted({row[setting] for row in rows}))
        yield Chosen(
            recipe=recipe,
            searched=searched,
            setting=setting,
            value=value,
            tried=tried,
            tuned_steps=rows[0]["steps"],
            steps=settings["steps"],
        )
