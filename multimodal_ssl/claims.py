"""What the paper's abstract says and what we ask beside it, each as a margin over raw ranks.

No number of the paper could be read: rows carry directions. Ranks are turned into recall at the end, so that items add.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from common.claims import Arms, Claim
from common.results import Item

TITLE = "Fine-grained multi-modal self-supervision (arXiv 2112.12182)"
JUDGED = ("mini", "gpu")
ALL = ("smoke", "mini", "gpu", "paper")
NOT_AT_SMOKE = {"smoke": "made-up shapes prove the path from file to verdict and judge nothing"}
NOT_AT_MINI = NOT_AT_SMOKE | {"mini": "its arms are run at gpu"}
FOUND = ("clean", "distractors")  # pairs that training showed, over photographs that it did not
NEW = ("clean, new pair", "distractors, new pair")
CHANCE_AUROC = 0.5
WELL_ABOVE = 5  # times chance


def recall(items: Sequence[Item], k: int, rank: str = "rank") -> float:
    """Per cent of queries whose right clip is among the first k."""
    return 100 * sum(item.scores[rank] <= k for item in items) / len(items)


def chance(items: Sequence[Item], k: int) -> float:
    """Recall at k, in per cent, of an order drawn at random: mean of `1 - C(n - r, k) / C(n, k)`.

    n clips of which r are right. With one right clip it is k / n; where a gallery shows a pair several times, more.
    """
    if not items:
        return math.nan
    missed = []
    for item in items:
        clips, right = int(item.scores["clips"]), int(item.scores["right"])
        missed.append(math.comb(clips - right, k) / math.comb(clips, min(k, clips)))
    return 100 * (1 - math.fsum(missed) / len(missed))


def higher(arm: str, than: str, k: int, rank: str = "rank") -> Callable[[Arms], float]:
    """Margin: points of recall at k."""
    return lambda arms: recall(arms[arm], k, rank) - recall(arms[than], k, rank)


def above_chance(arm: str, k: int) -> Callable[[Arms], float]:
    """Margin: recall at k less five times that of a random order, in points."""

    def margin(arms: Arms) -> float:
        return recall(arms[arm], k) - WELL_ABOVE * chance(arms[arm], k)

    return margin


def lost(arm: str, than: str, k: int, rate: int = 25) -> Callable[[Arms], float]:
    """Margin: by how many points more the second arm's recall falls from no wrong captions to some."""

    def margin(arms: Arms) -> float:
        fall = {
            name: recall(arms[f"{name}_0"], k) - recall(arms[f"{name}_{rate}"], k) for name in (arm, than)
        }
        return fall[than] - fall[arm]

    return margin


def auroc(items: Sequence[Item]) -> float:
    """How often a right pair's score is above a wrong one's; ties count half."""
    right, wrong = (
        sorted(i.scores["score"] for i in items if i.scores["wrong"] == flag) for flag in (0.0, 1.0)
    )
    if not right or not wrong:
        return math.nan
    from bisect import bisect_left, bisect_right

    above = sum((bisect_left(wrong, score) + bisect_right(wrong, score)) / 2 for score in right)
    return above / (len(right) * len(wrong))


_paper = partial(Claim, where="abstract", paper="no number", scales=JUDGED, not_testable=NOT_AT_SMOKE)
_question = partial(
    Claim, where="our question", paper="no number", kind="superior", scales=JUDGED, not_testable=NOT_AT_SMOKE,
    question=True,
)  # fmt: skip
_points = partial(_paper, kind="superior", unit="points of R@5")
_untestable = partial(
    _paper, kind="superior", unit="points", scales=(), reads=("FINE_0",), margin=lambda arms: math.nan
)  # fmt: skip

CLAIMS = (
    _points(
        id="fine-over-coarse",
        says="Similarity between positions and phrases finds clips better than similarity of whole clips and "
        "sentences, with a quarter of the captions wrong.",
        reads=("FINE_25", "COARSE_25"),
        margin=higher("FINE_25", "COARSE_25", 5),
        parts=FOUND,
        headline=True,
    ),
    _points(
        id="fine-over-coarse-clean",
        says="The same with every caption right.",
        reads=("FINE_0", "COARSE_0"),
        margin=higher("FINE_0", "COARSE_0", 5),
        parts=FOUND,
    ),
    _points(
        id="attention-over-coarse",
        says="Attention that lowers the weight of noisy pairs: fine similarity with it beats coarse, with a quarter of "
        "the captions wrong.",
        reads=("ATTENTION_25", "COARSE_25"),
        margin=higher("ATTENTION_25", "COARSE_25", 5),
        parts=FOUND,
    ),
    _points(
        id="attention-over-fine",
        says="Attention and weights of pairs add to fine similarity, with a quarter of the captions wrong.",
        reads=("ATTENTION_25", "FINE_25"),
        margin=higher("ATTENTION_25", "FINE_25", 5),
        parts=FOUND,
    ),
    _points(
        id="noise-hurts-coarse-more",
        says="Noise is what hurts coarse similarity: wrong captions cost it more than the fine one.",
        reads=("FINE_0", "FINE_25", "COARSE_0", "COARSE_25"),
        margin=lost("FINE", "COARSE", 5),
        parts=FOUND,
    ),
    _paper(
        id="attention-detects-noise",
        says="The attention over pairs tells noisy pairs from right ones (its ordering of training pairs, area under "
        "the curve above one half).",
        reads=("ATTENTION_25",),
        kind="superior",
        margin=lambda arms: auroc(arms["ATTENTION_25"]) - CHANCE_AUROC,
        unit="AUROC above 1/2",
        parts=("pairs",),
    ),
    _points(
        id="text-image",
        says="Text-image retrieval works: from a name, stills that show it (our bar: five times chance).",
        reads=("FINE_25",),
        margin=above_chance("FINE_25", 1),
        unit="points of R@1",
        parts=("still",),
        consistent_with=True,
    ),
    _points(
        id="smaller-batch",
        says="Fine similarity needs smaller batches: at 64 it is not below coarse at 512, with equal samples seen.",
        reads=("FINE_BATCH64", "COARSE_BATCH512"),
        margin=higher("FINE_BATCH64", "COARSE_BATCH512", 5),
        parts=FOUND,
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
        parts=FOUND,
    ),
    _question(
        id="new-pairs",
        says="Fine similarity beats coarse on pairs of object and motion that training never showed together.",
        reads=("FINE_0", "COARSE_0"),
        margin=higher("FINE_0", "COARSE_0", 5),
        unit="points of R@5",
        parts=NEW,
    ),
    _question(
        id="global-control",
        says="Where the cue is everywhere, coarse similarity is better (a control: looking at positions should "
        "not help).",
        reads=("COARSE_0", "FINE_0"),
        margin=higher("COARSE_0", "FINE_0", 5),
        unit="points of R@5",
        parts=("global",),
    ),
    _question(
        id="matcher-not-vector",
        says="The gain lies in the matcher: the same fine model loses when it is scored by pooled vectors.",
        reads=("FINE_0",),
        margin=lambda arms: recall(arms["FINE_0"], 5) - recall(arms["FINE_0"], 5, "rank/pooled"),
        unit="points of R@5",
        parts=FOUND,
    ),
)
