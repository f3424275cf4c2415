"""Which similarity a model is trained with, as a setting; `similarity.py` defines them. No torch is imported here.

A further one is a class here, its function there, and a constant that names it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from common.settings import later

if TYPE_CHECKING:
    from multimodal_ssl.model.similarity import Compare


class Similarity(ABC):
    """How the units of a clip and of a sentence become one score.

    Attributes:
        name: as people are told.
    """

    name: ClassVar[str]

    @abstractmethod
    def build(self, width: int) -> Compare:
        """The function of units of that many channels; a module with fresh weights where it learns."""


@dataclass(frozen=True)
class Soft(Similarity):
    """A fine similarity whose maximum over positions is soft.

    Args:
        g: 0 is the maximum, infinity the mean.
    """

    g: float = 0.1

    def __post_init__(self) -> None:
        if not self.g > 0:
            raise ValueError(f"g must be above 0, got {self.g:g}")


# ---- coarse: pool, then compare


@dataclass(frozen=True)
class Mean(Similarity):
    """Cosine of both sides' means  [Alayrac20 MMV]."""

    name = "mean"

    def build(self, width: int) -> Compare:
        from multimodal_ssl.model.similarity import mean_pooled

        return mean_pooled


@dataclass(frozen=True)
class Max(Similarity):
    """Cosine of both sides' maxima, channel by channel."""

    name = "max"

    def build(self, width: int) -> Compare:
        from multimodal_ssl.model.similarity import max_pooled

        return max_pooled


@dataclass(frozen=True)
class MeanAndMax(Similarity):
    """Positions averaged, words pooled by their maximum  [Miech20 MIL-NCE]."""

    name = "mean-and-max"

    def build(self, width: int) -> Compare:
        from multimodal_ssl.model.similarity import mean_and_max_pooled

        return mean_and_max_pooled


@dataclass(frozen=True)
class AttentionPool(Similarity):
    """Each side pooled by attention to a learned query."""

    name = "attention-pool"

    def build(self, width: int) -> Compare:
        from multimodal_ssl.model.similarity import AttentionPooled

        return AttentionPooled(width)


# ---- fine: compare, then pool


@dataclass(frozen=True)
class LogMeanExp(Soft):
    """Each phrase finds its positions by a soft maximum.

    Args:
        fused: in less memory and time, equal but for rounding.
    """

    fused: bool = later(False)

    name = "log-mean-exp"

    def build(self, width: int) -> Compare:
        from multimodal_ssl.model.similarity import log_mean_exp

        return partial(log_mean_exp, g=self.g, fused=self.fused)


@dataclass(frozen=True)
class LogSumExp(Soft):
    """Both sides as bags of pairs  [Akbari21 VATT]."""

    name = "log-sum-exp"

    def build(self, width: int) -> Compare:
        from multimodal_ssl.model.similarity import log_sum_exp

        return partial(log_sum_exp, g=self.g)


@dataclass(frozen=True)
class MaxMean(Similarity):
    """Every unit with its best partner  [Yao21 FILIP]."""

    name = "max-mean"

    def build(self, width: int) -> Compare:
        from multimodal_ssl.model.similarity import max_mean

        return max_mean


@dataclass(frozen=True)
class SoftAttention(Soft):
    """Attention made of the similarities themselves.

    Args:
        stop_gradient: of the attention, so that positions learn to agree but not to be attended to.
    """

    stop_gradient: bool = False

    name = "soft-attention"

    def build(self, width: int) -> Compare:
        from multimodal_ssl.model.similarity import soft_attention

        return partial(soft_attention, g=self.g, stop_gradient=self.stop_gradient)


@dataclass(frozen=True)
class ParametricAttention(Similarity):
    """Both attentions learned, each asked by the mean of the other side."""

    name = "parametric-attention"

    def build(self, width: int) -> Compare:
        from multimodal_ssl.model.similarity import LearnedAttention

        return LearnedAttention(width)
