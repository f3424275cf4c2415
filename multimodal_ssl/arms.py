"""The ways of matching that are compared, as recipes at `mini`; every scale and rate of wrong captions replaces these.

Nothing of the paper's recipe could be read. Arms differ in the similarity, and attention in weights of pairs as well;
everything else is the same but rates and temperatures. Those are each arm's best on dev (results/tuning-mini.json) of
the three that are compared; every other arm takes those of the one that it varies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

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

COARSE = Contrast(
    composition=COMPOSITIONS["mini"], network=MINI, similarity=MeanAndMax(), steps=450, batch_size=48,
    peak_lr=1e-3, warmup_steps=45, final_lr_ratio=0.02, betas=(0.9, 0.98), clip_norm=5.0, log_every=25, cost_s=100.0,
)  # fmt: skip
FINE = replace(COARSE, similarity=LogMeanExp(), peak_lr=2e-3, tau=0.03)
ATTENTION = replace(FINE, similarity=SoftAttention(), pair_weights=PairWeights())


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

    def trained(self, recipe: Contrast) -> bool:
        """Whether a recipe matches in this way, whatever its captions, scale and batch."""
        return _matching(recipe) == _matching(self.recipe)


def _matching(recipe: Contrast) -> tuple[object, ...]:
    return recipe.similarity, recipe.pair_weights, recipe.coarse_share


COMPARED = (  # at every scale; in the order in which figures and tables show them
    Arm("COARSE", "coarse", COARSE),
    Arm("FINE", "fine", FINE),
    Arm("ATTENTION", "fine + attention", ATTENTION),
)
VARIED = (  # each asks a question of its own
    Arm("MEAN", "coarse, means", replace(COARSE, similarity=Mean())),
    Arm("ATTENTION_POOL", "coarse, pooled by attention", replace(COARSE, similarity=AttentionPool())),
    Arm("WEIGHTED_COARSE", "coarse + weights of pairs", replace(COARSE, pair_weights=PairWeights())),
    Arm("MAX_MEAN", "fine, best partners (FILIP)", replace(FINE, similarity=MaxMean())),
    Arm("PARAMETRIC", "fine, learned attention", replace(FINE, similarity=ParametricAttention())),
    Arm("UNWEIGHTED", "attention without weights of pairs", replace(ATTENTION, pair_weights=None)),
    Arm("BOTH", "coarse and fine, half each", replace(FINE, coarse_share=0.5)),
)
ARMS = (*COMPARED, *VARIED)
# Of an arm at a scale; other sizes of a batch are a question of their own.
BATCH_SIZES: Mapping[str, int] = {"smoke": 6, "mini": COARSE.batch_size, "gpu": 128}
