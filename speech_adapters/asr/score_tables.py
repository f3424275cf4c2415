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
    """How well each stage of the encoder tells masked frames of held-out speech apart, and what it knows of phones."""
    contrasts, phones = [], []
    for run in runs:
        who, hours = Cell(run.result.recipe, "code"), run.result.wall_s.get("train", math.nan) / 3600
        for part, items in _hidden(run).items():
            contrasts.append([who, Cell(part), *_told_apart(run, items), Cell(number(hours), "number")])
        if heard := [item for item in run.items if "right/features" in item.scores]:
            phones.append([who, *_phones(heard)])
    tables = []
    if contrasts:
        columns = ("stage", "held-out speech", "loss (nats)", "right (%)", "pieces", "training (hours)")
        caption = (
            "Masked frames: the first stage names their fixed codes, the second picks its own code among those of "
            "other frames. Masks are BASE's and fixed, as are negatives; one piece at a time; one seed, so no ruling."
        )
        tables.append(Table("The encoder that everything starts from", columns, contrasts, caption))
    if phones:
        depths = ("stage", *(name for name, _ in _depths(phones_of(runs))))
        caption = (
            "Frames (%) of Russian sentences whose phone a linear classifier names, from a log-mel spectrum with its "
            "neighbours and from each depth of the encoder, which never heard Russian."
        )
        tables.append(Table("What its frames know of phones", depths, phones, caption))
    return tables


def _hidden(run: Run) -> dict[str, list[Item]]:
    scored: dict[str, list[Item]] = defaultdict(list)
    for item in run.items:
        if "accuracy" in item.scores:
            scored[item.part].append(item)
    return scored


def _told_apart(run: Run, items: Sequence[Item]) -> list[Cell]:
    settings = run.result.settings
    contrast = "contrastive" in items[0].scores
    choices = 1 + settings["num_negatives"] if contrast else settings["codes"]
    loss = statistics.fmean(item.scores["contrastive" if contrast else "hidden"] for item in items)
    right = statistics.fmean(item.scores["accuracy"] for item in items)
    return [
        Cell(number(loss), "number", f"chance {number(math.log(choices))}"),
        Cell(number(100 * right), "number", f"chance {number(100 / choices)}"),
        Cell(str(len(items)), "number"),
    ]


def phones_of(runs: Sequence[Run]) -> list[Item]:
    """Sentences whose phones were named, of the first run that has some."""
    return next(
        (found for run in runs if (found := [i for i in run.items if "right/features" in i.scores])), []
    )


def _depths(heard: Sequence[Item]) -> list[tuple[str, str]]:
    """(name of a depth, its score), from the spectrum upwards."""
    names = [key.removeprefix("right/") for key in heard[0].scores if key.startswith("right/")]
    return [(name, f"right/{name}") for name in sorted(names, key=_height)]


def _height(depth: str) -> int:
    below = ("spectrum", "features", "embedding")
    return below.index(depth) if depth in below else len(below) + int(depth.removeprefix("layer"))


def _phones(heard: Sequence[Item]) -> list[Cell]:
    frames = math.fsum(item.scores["frames"] for item in heard)
    shares = (math.fsum(item.scores[key] for item in heard) / frames for _, key in _depths(heard))
    return [Cell(number(100 * share), "number") for share in shares]


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
