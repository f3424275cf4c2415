"""Corpus-level scores and costs of every arm as tables, by language; voices never trained on apart."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence

from common.report.tables import Cell, Table, number
from common.results import Item, Run
from speech_adapters.asr.evidence import (
    CER,
    METHODS,
    NATS,
    WER,
    WER_BEAM,
    language_words,
    parameters,
    parse,
    trained_share,
    utterances,
)

MEASURES = (NATS, CER, WER, WER_BEAM)
SCORES = ("nats/character", "CER (%)", "WER (%)", "WER, n-gram (%)", "blank (%)")
COSTS = ("training (s)", "memory (MB)")
CAPTION = (
    "Sums over all utterances divided once, then the mean over seeds; below it every seed. WER: greedy, and by beam "
    "search with an n-gram of the training texts. Blank: frames whose likeliest symbol it is, mean over utterances. "
    "Memory: the peak."
)


def scores(runs: Sequence[Run]) -> list[Table]:
    """One table of the voices that were trained on, one of the others; those without rows are left out."""
    own, others = [], []
    for recipe_runs in _by_recipe(runs):
        parts = [utterances(run) for run in recipe_runs]
        for place, part in enumerate(dict.fromkeys(name for found in parts for name in found)):
            chosen = [
                (run, found[part]) for run, found in zip(recipe_runs, parts, strict=True) if part in found
            ]
            if place == 0:
                own.append([_who(recipe_runs), _weights(recipe_runs[0]), *_scores(chosen), *_costs(chosen)])
            else:
                others.append([_who(recipe_runs), Cell(part), *_scores(chosen), _count(chosen)])
    columns = ("recipe", "trained (%)", *SCORES, *COSTS, "seeds")
    tables = [
        Table("Scores on the voice that was trained on", columns, own, CAPTION),
        Table("Scores on other voices", ("recipe", "part", *SCORES, "seeds"), others, CAPTION),
    ]
    return [table for table in tables if table.rows]


def backbones(runs: Sequence[Run]) -> list[Table]:
    """How well a pre-trained encoder tells hidden frames apart on held-out speech, beside chance."""
    rows = []
    for run in runs:
        scored: dict[str, list[Item]] = defaultdict(list)
        for item in run.items:
            if "contrastive" in item.scores:
                scored[item.part].append(item)
        for part, items in scored.items():
            nats, right = (
                statistics.fmean(item.scores[key] for item in items) for key in ("contrastive", "accuracy")
            )
            negatives = run.result.settings["num_negatives"]
            chance = f"chance {number(math.log(1 + negatives))}", f"chance {number(100 / (1 + negatives))}"
            cells = [Cell(number(nats), "number", chance[0]), Cell(number(100 * right), "number", chance[1])]
            hours = run.result.wall_s.get("train", math.nan) / 3600
            rows.append(
                [Cell(run.result.recipe, "code"), Cell(part), *cells, Cell(str(len(items)), "number"),
                 Cell(number(hours), "number")]
            )  # fmt: skip
    columns = (
        "recipe",
        "held-out speech",
        "contrastive loss (nats)",
        "told apart (%)",
        "clips",
        "training (hours)",
    )
    caption = "Fixed masks as BASE has them and fixed negatives, one clip at a time; one seed, so no ruling."
    return [Table("The encoder that everything starts from", columns, rows, caption)] if rows else []


def _by_recipe(runs: Sequence[Run]) -> list[list[Run]]:
    """Seeds of a recipe together: by language, then method in the order of `METHODS`, then layers."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.result.seed):
        found[run.result.recipe].append(run)
    known = list(METHODS)

    def rank(recipe: str) -> tuple[str, int, str, int, int, int]:
        name = parse(recipe)
        place = known.index(name.method) if name.method in known else len(known)
        return name.language, place, name.method, name.top or 0, name.layer or 0, name.width or 0

    return [found[recipe] for recipe in sorted(found, key=rank)]


def _who(runs: Sequence[Run]) -> Cell:
    name = parse(runs[0].result.recipe)
    return Cell(runs[0].result.recipe, "code", f"{name.words}, {language_words(name.language)}")


def _weights(run: Run) -> Cell:
    """The same for every seed."""
    trained, at_base = parameters(run).get("trained", math.nan), trained_share(run, "_at_base")
    notes = [f"{trained:,.0f} weights"] * math.isfinite(trained)
    notes += [f"in BASE {number(at_base)} %"] * math.isfinite(at_base)
    return Cell(number(trained_share(run)), "number", "; ".join(notes))


def _scores(chosen: Sequence[tuple[Run, Sequence[Item]]]) -> list[Cell]:
    cells = [_over_seeds([measure.of(items) for _, items in chosen]) for measure in MEASURES]
    blank = [
        100 * statistics.fmean(item.scores.get("blank_share", math.nan) for item in items)
        for _, items in chosen
    ]
    return [*cells, _over_seeds(blank)]


def _costs(chosen: Sequence[tuple[Run, Sequence[Item]]]) -> list[Cell]:
    seconds = [run.result.wall_s.get("train", math.nan) for run, _ in chosen]
    memory = [run.result.peak_memory_bytes / 1e6 for run, _ in chosen]
    return [_over_seeds(seconds), _over_seeds(memory), _count(chosen)]


def _count(chosen: Sequence[tuple[Run, Sequence[Item]]]) -> Cell:
    return Cell(str(len(chosen)), "number", f"{len(chosen[0][1]):,} clips")


def _over_seeds(values: Sequence[float]) -> Cell:
    note = ", ".join(map(number, values)) if len(values) > 1 else ""
    return Cell(number(statistics.fmean(values)), "number", note)
