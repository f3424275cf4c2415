"""How a run is read for the report: what its recipe's name says, recall and chance by part, scores of pairs."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from common.results import Item, Run
from common.sample import Sample
from multimodal_ssl.claims import FOUND, NEW, auroc, chance, recall

ARMS = {  # in the order in which figures and tables show them
    "COARSE": "coarse",
    "FINE": "fine",
    "ATTENTION": "fine + attention",
    "MEAN": "coarse, means",
    "ATTENTION_POOL": "coarse, pooled by attention",
    "WEIGHTED_COARSE": "coarse + weights of pairs",
    "MAX_MEAN": "fine, best partners (FILIP)",
    "PARAMETRIC": "fine, learned attention",
    "UNWEIGHTED": "attention without weights of pairs",
    "BOTH": "coarse and fine, half each",
}
COMPARED = ("COARSE", "FINE", "ATTENTION")  # the arms of every scale; the others are asked a question each
PATTERN = re.compile(r"(?P<arm>.+?)_(?:(?P<rate>\d+)(?:_(?P<kind>NEAR))?|BATCH(?P<batch>\d+))")
BATCH_RATE = 25  # per cent of wrong captions in arms of another batch size
SIDE_BY_SIDE = (0, 25)  # per cent of wrong captions, at every scale
SCORINGS = {"rank": "by each model's own similarity", "rank/pooled": "by one pooled vector a side"}
TESTED = (*FOUND, *NEW, "still", "global")
GROUPED = {"pairs that training showed": FOUND, "new pairs": NEW, "global cue": ("global",)}
PAIRS = "pairs"


@dataclass(frozen=True)
class Name:
    """FINE_25_NEAR is arm FINE at 25 % wrong captions of neighbours, FINE_BATCH64 the arm at 25 % in batches of 64."""

    arm: str
    rate: int | None = None  # per cent of wrong captions; None where the name says nothing
    near: bool = False
    batch: int | None = None  # where it is not the usual one

    @property
    def words(self) -> str:
        return ARMS.get(self.arm, self.arm)

    @property
    def usual(self) -> bool:
        """Whether it stands for its arm at a rate: random captions, the batch of its scale."""
        return self.rate is not None and not self.near and self.batch is None


def parse(recipe: str) -> Name:
    """A name that follows no pattern is an arm of its own."""
    found = PATTERN.fullmatch(recipe)
    if found is None:
        return Name(recipe)
    if found["batch"]:
        return Name(found["arm"], BATCH_RATE, batch=int(found["batch"]))
    return Name(found["arm"], int(found["rate"]), found["kind"] == "NEAR")


def rank_of_arm(recipe: str) -> tuple[int, str, int, bool, int]:
    """Sorts recipes as tables show them: by arm, then rate, then batch."""
    name, known = parse(recipe), list(ARMS)
    place = known.index(name.arm) if name.arm in known else len(known)
    return place, name.arm, name.rate or 0, name.near, name.batch or 0


def arms_of(runs: Iterable[Run]) -> list[str]:
    return sorted({parse(run.result.recipe).arm for run in runs}, key=lambda arm: rank_of_arm(f"{arm}_0"))


def of_arm(runs: Iterable[Run], arm: str) -> list[Run]:
    return [run for run in runs if parse(run.result.recipe).arm == arm]


def compared(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Runs of the arms that every scale has, and of the others; where there are none of the first, all are."""
    main = [run for run in runs if parse(run.result.recipe).arm in COMPARED]
    return (main, [run for run in runs if run not in main]) if main else (list(runs), [])


def at_rate(runs: Iterable[Run], rate: int) -> list[Run]:
    """Runs of every arm at that rate of random wrong captions, in the usual batch."""
    names = ((run, parse(run.result.recipe)) for run in runs)
    return [run for run, name in names if name.usual and name.rate == rate]


def rates_of(runs: Iterable[Run]) -> list[int]:
    """Rates at which some arm was run as usual, from the lowest."""
    names = (parse(run.result.recipe) for run in runs)
    return sorted({name.rate for name in names if name.usual and name.rate is not None})


def batch_of(run: Run) -> int:
    return parse(run.result.recipe).batch or int(run.result.settings.get("batch_size", 0))


# ---- retrieval


def queries(run: Run, parts: Sequence[str] = TESTED) -> list[Item]:
    return [item for item in run.items if item.part in parts and "rank" in item.scores]


def found_at(items: Sequence[Item], k: int, scoring: str = "rank") -> float:
    """Recall at k in per cent; nan without queries."""
    return recall(Sample.of(items), k, scoring).item() if items else math.nan


def chance_at(items: Sequence[Item], k: int) -> float:
    """Recall at k of an order drawn at random, in per cent; nan without queries."""
    return chance(Sample.of(items), k).item() if items else math.nan


def median_rank(items: Sequence[Item], scoring: str = "rank") -> float:
    return statistics.median(item.scores[scoring] for item in items) if items else math.nan


# ---- pairs, probes, sizes


def pairs(run: Run) -> tuple[list[float], list[float]]:
    """Own scores of right and of wrong training pairs."""
    scored = [item for item in run.items if item.part == PAIRS]
    right, wrong = (
        [float(item.scores["score"]) for item in scored if bool(item.scores["wrong"]) is flag]
        for flag in (False, True)
    )
    return right, wrong


def auroc_of(run: Run) -> float:
    """How often a right pair's score is above a wrong one's; nan where there are not both."""
    scored = [item for item in run.items if item.part == PAIRS]
    return auroc(Sample.of(scored)).item() if scored else math.nan


def weights_of(scores: Sequence[float], h: float, cap: float) -> list[float]:
    """`min(cap, c exp(s / h))` with mean 1: what each pair would count if these were one batch.

    `objectives.pair_weights` without torch: numbers of pairs at the cap are tried from 0 up, the rest share what those
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
    items = (item for item in run.items if item.part == f"probe {what}")
    return [(item.texts["true"], item.texts["said"]) for item in items if "said" in item.texts]


def named_right(run: Run, what: str) -> float:
    """Per cent of test clips that the probe names right; nan where it was not asked."""
    told = probed(run, what)
    return 100 * sum(true == said for true, said in told) / len(told) if told else math.nan


def size(run: Run) -> dict[str, float | int]:
    """parameters, multiply_adds, seconds; empty where they were not counted."""
    return next((dict(item.scores) for item in run.items if item.part == "size"), {})


def samples_seen(run: Run) -> float:
    settings = run.result.settings
    return float(settings.get("steps", math.nan)) * float(settings.get("batch_size", math.nan))
