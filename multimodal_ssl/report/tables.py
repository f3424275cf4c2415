"""Ranks of every arm as tables, what tells its pairs, things and motions apart, and what it took."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence

from common.measures import Measure, Part
from common.report.tables import Cell, Table, number
from common.results import Item, Run
from multimodal_ssl.measures import CLIPS, MULTIPLY_ADDS, PARAMETERS, PROBED, RETRIEVED
from multimodal_ssl.report.evidence import (
    auroc_of,
    chance_at,
    found_at,
    median_rank,
    named_right,
    of_run,
    pairs,
    queries,
    samples_seen,
    size,
)

DEPTHS = (1, 5, 10)
BACKWARD = 2  # passes that a backward pass costs beside the forward one
RANKS = (
    "Per cent of queries whose best right clip is among the first k, ties losing, and the middle rank; means over "
    "seeds, below them every seed. Under each part: queries, clips, and R@1 of a random order. Another way of scoring "
    "has a table of its own."
)


def retrieval(runs: Sequence[Run], scoring: Measure, which: str = "") -> Table:
    """A row for each recipe and part; `which` says what recipes, where they are not all."""
    rows = []
    for of_recipe in _by_recipe(runs):
        for part in RETRIEVED:
            asked = [found for run in of_recipe if (found := queries(run, (part,)))]
            if asked:
                cells = [_over_seeds([found_at(items, k, scoring) for items in asked]) for k in DEPTHS]
                middle = _over_seeds([median_rank(items, scoring) for items in asked])
                seeds = Cell(str(len(asked)), "number")
                rows.append([_who(of_recipe), _part(part, asked[0]), *cells, middle, seeds])
    columns = ("recipe", "part", *(f"R@{k} (%)" for k in DEPTHS), "median rank", "seeds")
    return Table(f"Retrieval {scoring.words}{which}", columns, rows, RANKS)


def told_apart(runs: Sequence[Run]) -> Table:
    """How well own scores tell wrong training pairs, and how often a probe names things and motions."""
    rows = []
    for of_recipe in _by_recipe(runs):
        noise = [auroc_of(run) for run in of_recipe if all(pairs(run))]
        probes = [
            [right for run in of_recipe if math.isfinite(right := named_right(run, what))] for what in PROBED
        ]
        if noise or any(probes):
            cells = [_over_seeds(values) for values in (noise, *probes)]
            rows.append([_who(of_recipe), *cells, Cell(str(len(of_recipe)), "number")])
    columns = ("recipe", "AUROC of pairs", "things named (%)", "motions named (%)", "seeds")
    caption = (
        "AUROC: how often a right training pair's own score is above a wrong one's; 0.5 is chance, – where no caption "
        "was wrong. Named: by a linear SVM on pooled vectors of clean test clips, C chosen on a training hold-out. A "
        "motion here is no human action."
    )
    return Table("What tells pairs, things and motions apart", columns, rows, caption)


def costs(runs: Sequence[Run]) -> Table:
    """Weights, multiply-adds, samples, operations and seconds: what claims of less compute would be about."""
    rows = []
    for of_recipe in _by_recipe(runs):
        counted = size(of_recipe[0])
        if counted:
            samples, adds = samples_seen(of_recipe[0]), float(counted[MULTIPLY_ADDS.name])
            operations = 2 * (1 + BACKWARD) * adds * samples
            cells = [
                Cell(f"{counted[PARAMETERS.name]:,.0f}", "number"),
                Cell(number(adds / 1e6), "number"),
                Cell(f"{samples:,}", "number"),
                Cell(number(operations / 1e12), "number"),
                _over_seeds([run.result.wall_s.get("train", math.nan) for run in of_recipe]),
                _over_seeds([run.result.peak_memory_bytes / 1e6 for run in of_recipe]),
            ]
            rows.append([_who(of_recipe), *cells])
    columns = ("recipe", "weights", "multiply-adds a clip (M)", "samples seen", "operations (10¹²)", "training (s)",
               "memory (MB)")  # fmt: skip
    caption = (
        "Multiply-adds: one clip through encoder and head. Operations: two for each, three times over for forward and "
        "backward, of all samples seen; similarities and texts are not counted. Memory: the peak."
    )
    return Table("What it took", columns, rows, caption)


def _by_recipe(runs: Sequence[Run]) -> list[list[Run]]:
    """Seeds of a recipe together, in the order of arms."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (of_run(run).order, run.result.seed)):
        found[run.result.recipe].append(run)
    return list(found.values())


def _who(of_recipe: Sequence[Run]) -> Cell:
    return Cell(of_recipe[0].result.recipe, "code", of_run(of_recipe[0]).words)


def _part(part: Part, items: Sequence[Item]) -> Cell:
    clips = number(statistics.fmean(item.scores[CLIPS.name] for item in items))
    return Cell(
        part.name, "", f"{len(items):,} queries, {clips} clips, chance {number(chance_at(items, 1))} %"
    )


def _over_seeds(values: Sequence[float]) -> Cell:
    note = ", ".join(map(number, values)) if len(values) > 1 else ""
    return Cell(number(statistics.fmean(values)) if values else "–", "number", note)
