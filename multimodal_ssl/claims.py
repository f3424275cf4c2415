"""What the paper's abstract says and what we ask beside it, each as a margin over raw ranks.

No number of the paper could be read: rows carry directions. Ranks are turned into recall at the end, so that items add.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from common.bootstrap import Arms
from common.claims import Claim
from common.kinds import NotBelow, Superior
from common.measures import Measure
from common.sample import Drawn, Sample, ratio
from common.verdicts import Word
from multimodal_ssl.measures import (
    CLIPS,
    GLOBAL_MOTION,
    NEW,
    PAIRS,
    RANK,
    RANK_FINE,
    RANK_POOLED,
    RIGHT,
    SCORE,
    SHOWN,
    STILL,
    WRONG,
    names,
)  # fmt: skip

TITLE = "Fine-grained multi-modal self-supervision (arXiv 2112.12182)"
JUDGED = ("mini", "night", "gpu")
ALL = ("smoke", "mini", "night", "gpu", "paper")
NOT_AT_SMOKE = {"smoke": "made-up shapes prove the path from file to verdict and judge nothing"}
NOT_AT_MINI = NOT_AT_SMOKE | {"mini": "its arms are run at gpu"}
OUTCOMES: dict[Word, str] = {
    "upheld": "Yes: {told} over whole-clip similarity, on composed clips.",
    "not seen here": "Not at this size: {told} against whole-clip similarity, on composed clips.",
    "undecided": "Cannot be told: {told} against whole-clip similarity, on composed clips.",
}
CONDITIONS = {
    scale: f"composed clips of {things} things that move over photographs, not on narrated video"
    for scale, things in (("mini", "24"), ("night", "195"), ("gpu", "195"))
}
WELL_ABOVE = 5  # times chance
NOT_BELOW = 5.0  # points of R@5


def recall(sample: Sample, k: int, rank: Measure = RANK) -> Drawn:
    """Per cent of queries whose right clip is among the first k."""
    return 100 * sample.mean(sample[rank.name] <= k)


def chance(sample: Sample, k: int) -> Drawn:
    """Recall at k, in per cent, of an order drawn at random: mean of `1 - C(n - r, k) / C(n, k)`.

    n clips of which r are right. With one right clip it is k / n; where a gallery shows a pair several times, more.
    """
    sizes = np.stack([sample[CLIPS.name], sample[RIGHT.name]], axis=1).astype(int)
    kinds, kind = np.unique(sizes, axis=0, return_inverse=True)
    missed = [math.comb(n - r, k) / math.comb(n, min(k, n)) for n, r in kinds.tolist()]
    return 100 * (1 - sample.mean(np.array(missed)[kind.ravel()]))


def higher(arm: str, than: str, k: int) -> Callable[[Arms], Drawn]:
    """Margin: points of recall at k."""
    return lambda arms: recall(arms[arm], k) - recall(arms[than], k)


def above_chance(arm: str, k: int) -> Callable[[Arms], Drawn]:
    """Margin: recall at k less five times that of a random order, in points."""
    return lambda arms: recall(arms[arm], k) - WELL_ABOVE * chance(arms[arm], k)


def lost(arm: str, than: str, k: int, rate: int = 25) -> Callable[[Arms], Drawn]:
    """Margin: by how many points more the second arm's recall falls from no wrong captions to some."""
    falls = {name: higher(f"{name}_0", f"{name}_{rate}", k) for name in (arm, than)}
    return lambda arms: falls[than](arms) - falls[arm](arms)


def auroc(sample: Sample) -> Drawn:
    """How often a right pair's score is above a wrong one's; ties count half; nan where there are not both."""
    order = np.argsort(sample[SCORE.name])
    starts = np.unique(sample[SCORE.name][order], return_index=True)[1]
    right, wrong = (  # how many of each draw have each score, from the lowest
        np.add.reduceat(sample.weights[:, order] * (sample[WRONG.name][order] == flag), starts, axis=1)
        for flag in (0, 1)
    )
    below = wrong.cumsum(axis=1) - wrong / 2
    return ratio((right * below).sum(axis=1), right.sum(axis=1) * wrong.sum(axis=1))


_paper = partial(
    Claim,
    where="abstract",
    paper="no number",
    scales=JUDGED,
    not_testable=NOT_AT_SMOKE,
    conditions=CONDITIONS,
)
_question = partial(
    Claim, where="our question", paper="no number", kind=Superior(), scales=JUDGED, not_testable=NOT_AT_SMOKE,
    question=True,
)  # fmt: skip
_points = partial(_paper, kind=Superior(), unit="points of R@5")
_untestable = partial(
    _paper, kind=Superior(), unit="points", scales=(), reads=("FINE_0",), margin=lambda arms: np.array([math.nan])
)  # fmt: skip

CLAIMS = (
    _points(
        id="fine-over-coarse",
        says="Similarity between positions and phrases finds clips better than similarity of whole clips (features "
        "averaged first, as MIL-NCE does) and sentences, with a quarter of the captions wrong.",
        reads=("FINE_25", "COARSE_25"),
        margin=higher("FINE_25", "COARSE_25", 5),
        parts=names(SHOWN),
        headline=True,
        outcomes=OUTCOMES,
    ),
    _points(
        id="fine-over-coarse-clean",
        says="The same with every caption right.",
        reads=("FINE_0", "COARSE_0"),
        margin=higher("FINE_0", "COARSE_0", 5),
        parts=names(SHOWN),
    ),
    _points(
        id="attention-over-coarse",
        says="Attention that lowers the weight of noisy pairs: fine similarity with it beats coarse, with a quarter of "
        "the captions wrong.",
        reads=("ATTENTION_25", "COARSE_25"),
        margin=higher("ATTENTION_25", "COARSE_25", 5),
        parts=names(SHOWN),
    ),
    _points(
        id="attention-over-fine",
        says="Attention and weights of pairs add to fine similarity, with a quarter of the captions wrong.",
        reads=("ATTENTION_25", "FINE_25"),
        margin=higher("ATTENTION_25", "FINE_25", 5),
        parts=names(SHOWN),
    ),
    _points(
        id="noise-hurts-coarse-more",
        says="Noise is what hurts coarse similarity: wrong captions cost it more than the fine one.",
        reads=("FINE_0", "FINE_25", "COARSE_0", "COARSE_25"),
        margin=lost("FINE", "COARSE", 5),
        parts=names(SHOWN),
    ),
    _paper(
        id="attention-detects-noise",
        says="Attention tells noisy pairs from right ones better than fine similarity without it does (area under the "
        "curve of the order of training pairs).",
        reads=("ATTENTION_25", "FINE_25"),
        kind=Superior(),
        margin=lambda arms: auroc(arms["ATTENTION_25"]) - auroc(arms["FINE_25"]),
        unit="AUROC",
        parts=names((PAIRS,)),
    ),
    _points(
        id="text-image",
        says="Text-image retrieval works: from a name, stills that show it (our bar: five times chance"
        ", set 2026-11-22, before the first run).",
        reads=("FINE_25",),
        margin=above_chance("FINE_25", 1),
        unit="points of R@1",
        parts=names((STILL,)),
        consistent_with=True,
    ),
    _paper(
        id="smaller-batch",
        says="Fine similarity needs smaller batches: at 64 it is not below coarse at 512, with equal samples seen.",
        kind=NotBelow(NOT_BELOW, "2026-11-28, before any run of it"),
        reads=("FINE_BATCH64", "COARSE_BATCH512"),
        margin=higher("FINE_BATCH64", "COARSE_BATCH512", 5),
        unit="points of R@5",
        parts=names(SHOWN),
        scales=("gpu",),
        not_testable=NOT_AT_MINI,
    ),
    _untestable(
        id="smaller-models",
        says="Smaller models suffice.",
        not_testable=dict.fromkeys(
            ALL, "needs the paper's networks and corpora, of which nothing could be read"
        ),
    ),
    _untestable(
        id="less-compute",
        says="Much less compute suffices.",
        not_testable=dict.fromkeys(
            ALL, "the paper's compute and its rivals' on its corpora could not be read"
        ),
    ),
    _untestable(
        id="action-recognition",
        says="Comparable to the state of the art on action recognition.",
        not_testable=dict.fromkeys(
            ALL, "no filmed actions come as packages; a probe of composed motions is not action recognition"
        ),
    ),
    _question(
        id="learned",
        says="Every arm learns: the weakest, coarse, finds clips five times as often as chance (R@5, captions right).",
        reads=("COARSE_0",),
        margin=above_chance("COARSE_0", 5),
        unit="points of R@5",
        parts=names(SHOWN),
    ),
    _question(
        id="new-pairs",
        says="Fine similarity beats coarse on pairs of object and motion that training never showed together.",
        reads=("FINE_0", "COARSE_0"),
        margin=higher("FINE_0", "COARSE_0", 5),
        unit="points of R@5",
        parts=names(NEW),
    ),
    # Among all whole scenes the tint alone gives 71 % of R@5, so motion is asked for among scenes of one tint.
    *(
        _question(
            id="global-motion" + "-noisy" * bool(rate),
            says=told,
            reads=(f"COARSE_{rate}", f"FINE_{rate}"),
            margin=higher(f"COARSE_{rate}", f"FINE_{rate}", 1),
            unit="points of R@1",
            parts=names((GLOBAL_MOTION,)),
        )
        for rate, told in (
            (
                0,
                "Where the motion of the whole picture has to be read, coarse similarity is better (a control: looking "
                "at single places should not help).",
            ),
            (25, "The same with a quarter of the captions wrong."),
        )
    ),
    _question(
        id="matcher-not-vector",
        says="The gain lies in the matcher: the same fine model loses when it is scored by pooled vectors (which were "
        "never trained to be compared).",
        reads=("FINE_0",),
        margin=lambda arms: recall(arms["FINE_0"], 5) - recall(arms["FINE_0"], 5, RANK_POOLED),
        unit="points of R@5",
        parts=names(SHOWN),
    ),
    _question(
        id="matcher-on-coarse-weights",
        says="The gain lies in the matcher alone: coarse weights, untouched, gain when they are scored "
        "by the fine one (for which they were never trained).",
        reads=("COARSE_0",),
        margin=lambda arms: recall(arms["COARSE_0"], 5, RANK_FINE) - recall(arms["COARSE_0"], 5),
        unit="points of R@5",
        parts=names(SHOWN),
    ),
)
