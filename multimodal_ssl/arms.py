"""The ways of matching that are compared, as recipes at `mini`; every scale and rate of wrong captions replaces these.

Nothing of the paper's recipe could be read. Arms differ in the similarity, and attention in weights of pairs as well;
everything else is the same but where a clip is averaged, rates and temperatures. Those are each arm's best on dev
(results/tuning-mini.json) of the three that are compared; every other arm takes those of the one that it varies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from common.schedule import Cosine
from multimodal_ssl.contrast import Contrast, PairWeights
from multimodal_ssl.data import COMPOSITIONS
from multimodal_ssl.model.networks import MINI
from multimodal_ssl.model.similarities import (
    AttentionPool,
    LogMeanExp,
    MaxMean,
    Mean,
    MeanAndMax,
    ParametricAttention,
    SoftAttention,
)

# Features are averaged over the clip before the heads and the unit length, as MIL-NCE and MMV have it.
COARSE = Contrast(
    composition=COMPOSITIONS["mini"], network=replace(MINI, pool_video=True), similarity=MeanAndMax(),
    steps=450, batch_size=48, peak_lr=2e-3, tau=0.03, schedule=Cosine(warmup_steps=45, final_ratio=0.02),
    betas=(0.9, 0.98), clip_norm=5.0, log_every=25, cost_s=100.0,
)  # fmt: skip
# Every position is brought to unit length before the mean: what fine similarity pools, pooled at once.
UNIT_COARSE = replace(COARSE, network=MINI, peak_lr=1e-3, tau=0.05)
FINE = replace(UNIT_COARSE, similarity=LogMeanExp(), peak_lr=2e-3, tau=0.02)
ATTENTION = replace(FINE, similarity=SoftAttention(), pair_weights=PairWeights(), tau=0.03)


@dataclass(frozen=True)
class Arm:
    """One way of matching.

    Args:
        name: with which names of its recipes begin.
        words: as figures and tables call it.
    """

    name: str
    words: str
    recipe: Contrast

    def covers(self, recipe: Contrast) -> bool:
        """Whether a recipe matches in this way, whatever its captions, scale and batch."""
        return _matching(recipe) == _matching(self.recipe)


def _matching(recipe: Contrast) -> tuple[object, ...]:
    return recipe.similarity, recipe.pair_weights, recipe.coarse_share, recipe.network.pool_video


COMPARED = (  # at every scale; in the order in which figures and tables show them
    Arm("COARSE", "coarse", COARSE),
    Arm("FINE", "fine", FINE),
    Arm("ATTENTION", "fine + attention", ATTENTION),
)
VARIED = (  # each asks a question of its own
    Arm("UNIT_COARSE", "coarse, unit length before the mean", UNIT_COARSE),
    Arm("MEAN", "coarse, means", replace(COARSE, similarity=Mean())),
    Arm("ATTENTION_POOL", "coarse, pooled by attention", replace(UNIT_COARSE, similarity=AttentionPool())),
    Arm("WEIGHTED_COARSE", "coarse + weights of pairs", replace(COARSE, pair_weights=PairWeights())),
    Arm("MAX_MEAN", "fine, best partners (FILIP)", replace(FINE, similarity=MaxMean())),
    Arm("PARAMETRIC", "fine, learned attention", replace(FINE, similarity=ParametricAttention())),
    Arm("UNWEIGHTED", "attention without weights of pairs", replace(ATTENTION, pair_weights=None)),
    Arm("BOTH", "coarse and fine, half each", replace(FINE, coarse_share=0.5)),
)
ARMS = (*COMPARED, *VARIED)
# Of an arm at a scale; other sizes of a batch are a question of their own.
BATCH_SIZES: Mapping[str, int] = {"smoke": 6, "mini": COARSE.batch_size, "night": 256, "gpu": 128}


@dataclass(frozen=True)
class Condition:
    """What a run is: an arm, with some of its captions wrong, in batches of some size."""

    arm: Arm
    recipe: Contrast
    scale: str

    @property
    def rate_percent(self) -> int:
        """Of training captions that are wrong."""
        return round(100 * self.recipe.wrong.rate)

    @property
    def near(self) -> bool:
        """Whether wrong captions are those of a neighbour in the film."""
        return self.recipe.wrong.near

    @property
    def other_batch(self) -> int | None:
        """Size of the batch where it is not that of its scale."""
        size = self.recipe.batch_size
        return None if size == BATCH_SIZES[self.scale] else size

    @property
    def usual(self) -> bool:
        """Whether it stands for its arm at its rate: captions of any other clip, the batch of its scale."""
        return not self.near and self.other_batch is None

    @property
    def order(self) -> tuple[int, int, bool, int]:
        """Sorts as tables do: by arm, then rate, then batch."""
        return ARMS.index(self.arm), self.rate_percent, self.near, self.other_batch or 0

    @property
    def words(self) -> str:
        told = [self.arm.words, f"{self.rate_percent} % wrong" + " (neighbours')" * self.near]
        return ", ".join(told if self.other_batch is None else [*told, f"batch {self.other_batch}"])


def condition(recipe: Contrast, scale: str) -> Condition:
    """What a recipe of some scale is.

    Raises:
        ValueError: no arm matches as it does.
    """
    found = next((arm for arm in ARMS if arm.covers(recipe)), None)
    if found is None:
        raise ValueError(
            f"no arm matches by {recipe.similarity}, with {recipe.pair_weights}; arms.py lists them"
        )
    return Condition(found, recipe, scale)
