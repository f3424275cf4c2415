"""How a run is read for the report: what its settings say it is, recall and chance by part, scores of pairs."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from functools import cache

from common.measures import Measure, Part
from common.results import Item, Run
from common.sample import Sample
from common.settings import decode
from multimodal_ssl.arms import ARMS, COMPARED, Arm, Condition, condition
from multimodal_ssl.claims import auroc, chance, recall
from multimodal_ssl.contrast import Contrast
from multimodal_ssl.measures import (
    GLOBAL,
    NEW,
    PAIRS,
    PROBED,
    RANK,
    RETRIEVED,
    SCORE,
    SHOWN,
    SIZE,
    WRONG,
    names,
)

BATCH_RATE = 25  # per cent of wrong captions in arms of another batch size
SIDE_BY_SIDE = (0, 25)  # per cent of wrong captions, at every scale
GROUPED = {"pairs that training showed": SHOWN, "new pairs": NEW, "global cue": (GLOBAL,)}


def of_run(run: Run) -> Condition:
    """The arm, rate of wrong captions and batch that its settings say."""
    return _condition(json.dumps(run.result.settings, sort_keys=True), run.result.scale)


@cache
def _condition(settings: str, scale: str) -> Condition:
    return condition(decode(Contrast, json.loads(settings)), scale)


def arms_of(runs: Iterable[Run]) -> list[Arm]:
    """In the order of tables."""
    there = {of_run(run).arm for run in runs}
    return [arm for arm in ARMS if arm in there]


def of_arm(runs: Iterable[Run], arm: Arm) -> list[Run]:
    return [run for run in runs if of_run(run).arm == arm]


def compared(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Runs of the arms that every scale has, and of the others; where there are none of the first, all are."""
    main = [run for run in runs if of_run(run).arm in COMPARED]
    return (main, [run for run in runs if run not in main]) if main else (list(runs), [])


def at_rate(runs: Iterable[Run], rate_percent: int) -> list[Run]:
    """Runs of every arm at that rate of wrong captions of any clip, in the usual batch."""
    told = ((run, of_run(run)) for run in runs)
    return [run for run, is_of in told if is_of.usual and is_of.rate_percent == rate_percent]


def rates_of(runs: Iterable[Run]) -> list[int]:
    """Rates, in per cent, at which some arm was run as usual, from the lowest."""
    return sorted({is_of.rate_percent for is_of in map(of_run, runs) if is_of.usual})


# ---- retrieval


def queries(run: Run, parts: tuple[Part, ...] = RETRIEVED) -> list[Item]:
    return [item for item in run.items if item.part in names(parts)]


def found_at(items: Sequence[Item], k: int, scoring: Measure = RANK) -> float:
    """Recall at k in per cent; nan without queries."""
    return recall(Sample.of(items), k, scoring).item() if items else math.nan


def chance_at(items: Sequence[Item], k: int) -> float:
    """Recall at k of an order drawn at random, in per cent; nan without queries."""
    return chance(Sample.of(items), k).item() if items else math.nan


def median_rank(items: Sequence[Item], scoring: Measure = RANK) -> float:
    return statistics.median(item.scores[scoring.name] for item in items) if items else math.nan


# ---- pairs, probes, sizes


def pairs(run: Run) -> tuple[list[float], list[float]]:
    """Own scores of right and of wrong training pairs."""
    scored = [item for item in run.items if item.part == PAIRS.name]
    right, wrong = (
        [float(item.scores[SCORE.name]) for item in scored if bool(item.scores[WRONG.name]) is flag]
        for flag in (False, True)
    )
    return right, wrong


def auroc_of(run: Run) -> float:
    """How often a right pair's score is above a wrong one's; nan where there are not both."""
    scored = [item for item in run.items if item.part == PAIRS.name]
    return auroc(Sample.of(scored)).item() if scored else math.nan


def weights_of(scores: Sequence[float], h: float, cap: float) -> list[float]:
    """`min(cap, c exp(s / h))` with mean 1: what each pair would count if these were one batch.

    `losses.pair_weights` without torch: numbers of pairs at the cap are tried from 0 up, the rest share what those
    leave.
    """
    if not scores:
        return []
    top = max(scores)
    shares = [math.exp((score - top) / h) for score in scores]
    ordered = sorted(shares, reverse=True)
    rest = math.fsum(ordered)
    for capped, largest in enumerate(ordered):
        scale = (len(scores) - capped * cap) / rest
        if scale * largest <= cap + 1e-9:
            return [min(cap, scale * share) for share in shares]
        rest = math.fsum(ordered[capped + 1 :])
    return [cap] * len(scores)


def probed(run: Run, what: str) -> list[tuple[str, str]]:
    """(what a test clip shows, what the probe said) of "object" or "motion"."""
    items = (item for item in run.items if item.part == PROBED[what].name)
    return [(item.texts["true"], item.texts["said"]) for item in items if "said" in item.texts]


def named_right(run: Run, what: str) -> float:
    """Per cent of test clips that the probe names right; nan where it was not asked."""
    told = probed(run, what)
    return 100 * sum(true == said for true, said in told) / len(told) if told else math.nan


def size(run: Run) -> dict[str, float | int]:
    """parameters, multiply_adds, seconds; empty where they were not counted."""
    return next((dict(item.scores) for item in run.items if item.part == SIZE.name), {})


def samples_seen(run: Run) -> int:
    """In training, clips that come again counted again."""
    recipe = of_run(run).recipe
    return recipe.steps * recipe.batch_size
