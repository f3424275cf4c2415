"""Corpus-level scores and costs of every arm as tables, by language; voices never trained on apart."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence

from common.measures import Measure
from common.report.tables import Cell, Table, number
from common.results import Item, Run
from speech_adapters.asr.evidence import (
    METHODS,
    is_recogniser,
    language_words,
    parameters,
    trained_share,
    utterances,
    variant,
)
from speech_adapters.asr.measures import ACCURACY, CONTRASTIVE, MASKED_NATS, TRAINED
from speech_adapters.ctc.measures import BEAM_WER, BLANK_SHARE, CER, NATS, WER, ratio
from speech_adapters.pretrain.measures import FRAMES, PHONES, depths

RATES = (NATS, CER, WER, BEAM_WER)
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
    runs = [run for run in runs if not is_recogniser(run)]
    heights = depths(item for run in runs for item in run.items)
    for run in runs:
        who, hours = Cell(run.result.recipe, "code"), run.result.wall_s.get("train", math.nan) / 3600
        for part, items in _masked(run).items():
            contrasts.append([who, Cell(part), *_told_apart(run, items), Cell(number(hours), "number")])
        if sentences := [item for item in run.items if item.part == PHONES.name]:
            phones.append([who, *_phones(sentences, heights)])
    tables = []
    if contrasts:
        columns = ("stage", "held-out speech", "loss (nats)", "right (%)", "crops", "training (hours)")
        caption = (
            "Masked frames: the first stage names their fixed codes, the second picks its own code among those of "
            "other frames, a further iteration names clusters of its own features. Masks are BASE's and fixed, as are "
            "negatives; one crop at a time; one seed, so no ruling."
        )
        tables.append(Table("The encoder that everything starts from", columns, contrasts, caption))
    if phones:
        names = ("stage", *(depth.heading for depth in heights))
        caption = (
            "Frames (%) of Russian sentences whose phone a linear classifier names, from a log-mel spectrum with its "
            "neighbours and from each depth of the encoder, which was never trained on Russian."
        )
        tables.append(Table("What its frames know of phones", names, phones, caption))
    return tables


def _masked(run: Run) -> dict[str, list[Item]]:
    scored: dict[str, list[Item]] = defaultdict(list)
    for item in run.items:
        if ACCURACY.name in item.scores:
            scored[item.part].append(item)
    return scored


def _told_apart(run: Run, items: Sequence[Item]) -> list[Cell]:
    settings = run.result.settings
    contrast = CONTRASTIVE.name in items[0].scores
    if contrast:
        choices = 1 + settings["objective"]["num_negatives"]
    else:
        choices = settings["teacher"]["clusters"] if "teacher" in settings else settings["codes"]
    measure = CONTRASTIVE if contrast else MASKED_NATS
    loss = statistics.fmean(item.scores[measure.name] for item in items)
    right = statistics.fmean(item.scores[ACCURACY.name] for item in items)
    return [
        Cell(number(loss), "number", f"chance {number(math.log(choices))}"),
        Cell(number(100 * right), "number", f"chance {number(100 / choices)}"),
        Cell(str(len(items)), "number"),
    ]


def _phones(items: Sequence[Item], heights: Sequence[Measure]) -> list[Cell]:
    return [Cell(number(100 * ratio(items, depth.name, FRAMES.name)), "number") for depth in heights]


def _by_recipe(runs: Sequence[Run]) -> list[list[Run]]:
    """Seeds of a recipe together: by language, then method in the order of `METHODS`, then layers."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.result.seed):
        if is_recogniser(run):
            found[run.result.recipe].append(run)
    return sorted(found.values(), key=_rank)


def _rank(runs: Sequence[Run]) -> tuple[str, int, int, int, int, float, str]:
    what = variant(runs[0])
    place = list(METHODS).index(what.method)
    numbers = what.top or 0, what.layer or 0, what.width or 0, what.minutes or 0
    return what.language, place, *numbers, what.further


def _who(runs: Sequence[Run]) -> Cell:
    what = variant(runs[0])
    labels = f"{what.minutes:g} min of labels" if what.minutes else ""
    told = [what.words, language_words(what.language), what.encoder, what.further, labels]
    return Cell(runs[0].result.recipe, "code", ", ".join(filter(None, told)))


def _weights(run: Run) -> Cell:
    """The same for every seed."""
    trained, at_base = parameters(run).get(TRAINED.name, math.nan), trained_share(run, at_base=True)
    notes = [f"{trained:,.0f} weights"] * math.isfinite(trained)
    notes += [f"in BASE {number(at_base)} %"] * math.isfinite(at_base)
    return Cell(number(trained_share(run)), "number", "; ".join(notes))


def _scores(chosen: Sequence[tuple[Run, Sequence[Item]]]) -> list[Cell]:
    cells = [_over_seeds([rate.of(items) for _, items in chosen]) for rate in RATES]
    blank = [
        100 * statistics.fmean(item.scores.get(BLANK_SHARE.name, math.nan) for item in items)
        for _, items in chosen
    ]
    return [*cells, _over_seeds(blank)]


def _costs(chosen: Sequence[tuple[Run, Sequence[Item]]]) -> list[Cell]:
    seconds = [run.result.wall_s.get("train", math.nan) for run, _ in chosen]
    memory = [run.result.peak_memory_bytes / 1e6 for run, _ in chosen]
    return [_over_seeds(seconds), _over_seeds(memory), _count(chosen)]


def _count(chosen: Sequence[tuple[Run, Sequence[Item]]]) -> Cell:
    return Cell(str(len(chosen)), "number", f"{len(chosen[0][1]):,} utterances")


def _over_seeds(values: Sequence[float]) -> Cell:
    note = ", ".join(map(number, values)) if len(values) > 1 else ""
    return Cell(number(statistics.fmean(values)), "number", note)
