"""What there is to run, as a table for any width of terminal or for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from common import results
from common.papers import Paper
from common.recipe import Recipe
from common.results import Run

Row = Mapping[str, Any]


def rows(papers: Sequence[Paper], scale: str | None) -> list[Row]:
    """A row for every recipe of every paper and scale, with the seeds that you have and those that are published."""
    found = list[Row]()
    for paper in papers:
        for name in (name for name in paper.scales if scale in (None, name)):
            own, published = (
                results.readable(folder) for folder in (paper.own_results(name), paper.published(name))
            )
            for recipe_name, recipe in paper.scales[name].every_recipe.items():
                found.append(
                    {
                        "paper": paper.slug,
                        "scale": name,
                        "recipe": recipe_name,
                        "steps": recipe.steps if isinstance(recipe, Recipe) else 0,
                        "cost_s": recipe.cost_s,
                        "yours": _seeds(own, recipe_name),
                        "published": _seeds(published, recipe_name),
                    }
                )
    return found


def _seeds(runs: Sequence[Run], recipe: str) -> list[int]:
    return [run.result.seed for run in runs if (run.result.recipe, run.result.split) == (recipe, "test")]


def as_json(found: Sequence[Row]) -> str:
    return json.dumps(found, indent=1)


def as_text(found: Sequence[Row]) -> str:
    """A block for every paper and scale; no name is cut, however wide the terminal is."""
    lines = list[str]()
    width = max((len(row["recipe"]) for row in found), default=0)
    for row in found:
        heading = f"{row['paper']} at {row['scale']}"
        if heading not in lines:
            lines += ["", heading] if lines else [heading]
        told = [f"  {row['recipe']:<{width}}  {_cost(row):<22}"]
        told += [f"{key} {_span(row[key])}" for key in ("yours", "published") if row[key]]
        lines.append(" ".join(told).rstrip())
    return "\n".join(lines)


def _cost(row: Row) -> str:
    steps = f"{row['steps']} steps" if row["steps"] else ""
    return ", ".join(filter(None, (steps, f"{row['cost_s']:.0f} s" if row["cost_s"] else "")))


def _span(seeds: Sequence[int]) -> str:
    """As "0-4" or "0 2"."""
    whole = list(range(seeds[0], seeds[-1] + 1)) == list(seeds) and len(seeds) > 1
    return f"{seeds[0]}-{seeds[-1]}" if whole else " ".join(map(str, seeds))
