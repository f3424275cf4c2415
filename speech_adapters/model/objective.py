"""Settings of the contrastive objective; no torch, so that recipes load fast."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class QuantiserSizes:
    """Sizes of the product quantiser and of the space in which similarities are taken [§4.2]."""

    groups: int = 2
    codes: int = 320  # entries in each group's codebook
    code_width: int = 256  # of all groups together
    width: int = 256  # of both projections


@dataclass(frozen=True, kw_only=True)
class ContrastiveObjective:
    """Temperatures, negatives and weights of the terms [§3.2]."""

    num_negatives: int = 100
    temperature: float = 0.1  # of the cosine similarities
    diversity_weight: float = 0.1
    penalty_weight: float = 10.0  # of the mean square of the conv features
    gumbel_start: float = 2.0
    gumbel_end: float = 0.5
    gumbel_factor: float = 0.999995  # a step

    def gumbel(self, step: int) -> float:
        """Gumbel-softmax temperature at a step."""
        return max(self.gumbel_end, self.gumbel_start * self.gumbel_factor**step)

    @property
    def chance(self) -> float:
        """Contrastive loss in nats of uniform similarities."""
        return math.log(1 + self.num_negatives)
