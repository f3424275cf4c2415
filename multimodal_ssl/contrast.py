"""The recipe behind every arm: clips and captions learn to find each other, by one similarity or another [Wang21]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.recipe import Recipe, Shard
from multimodal_ssl.composed.plan import Composition
from multimodal_ssl.composed.wrong_captions import WrongCaptions
from multimodal_ssl.model.matching import Matching
from multimodal_ssl.model.networks import Network
from multimodal_ssl.model.similarities import Similarity

if TYPE_CHECKING:
    from torch import Tensor, nn

    from common.results import Item
    from multimodal_ssl.composed.batches import ClipBatch
    from multimodal_ssl.composed.clips import ComposedClips
    from multimodal_ssl.model.matcher import Matcher


GUARD_FROM_STEP = 300


@dataclass(frozen=True, kw_only=True)
class PairWeights:
    """Pairs count by how well they fit, see `losses.pair_weights`.

    Args:
        h: temperature; infinity weighs all alike.
        cap: highest weight.
        warm_from: share of the steps before weights begin to act; they are full at twice that.
    """

    h: float = 0.1
    cap: float = 4.0
    warm_from: float = 0.25

    def __post_init__(self) -> None:
        if not (self.h > 0 and self.cap >= 1 and self.warm_from >= 0):
            raise ValueError(
                f"needs h > 0, cap >= 1 and warm_from >= 0, got {self.h}, {self.cap}, {self.warm_from}"
            )

    def warm(self, step: int, steps: int) -> float:
        """From 0, every pair counts alike, to 1."""
        return min(1.0, max(0.0, step / steps / self.warm_from - 1.0)) if self.warm_from else 1.0


@dataclass(frozen=True, kw_only=True)
class ContrastOfPairs(Recipe):
    """Trains encoders of clips and captions to tell pairs that belong together from all others of a batch.

    Args:
        tau: temperature of the loss.
        coarse_share: of the loss, in 0..1, that is of pooled vectors.
        pair_weights: None counts every pair alike.
        chunk: clips scored at a time; None is all at once.
    """

    network: Network
    similarity: Similarity
    tau: float = 0.05
    coarse_share: float = 0.0
    pair_weights: PairWeights | None = None
    chunk: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tau > 0:
            raise ValueError(f"tau must be above 0, got {self.tau}")
        if not 0 <= self.coarse_share <= 1:
            raise ValueError(f"coarse_share must be in 0..1, got {self.coarse_share}")
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"chunk must be 1 or more, got {self.chunk}")

    def not_in_shards(self) -> str:
        return (
            "batch norms see one shard at a time, and with `accumulate` a pair has the negatives of its shard alone; "
            "use one process and accumulate=1"
        )

    def losses(self, model: nn.Module, batch: ClipBatch, step: int) -> dict[str, Tensor]:
        from multimodal_ssl.model.losses import effective_sample_size, pair_weights, symmetric_nce

        fine, pooled = model(batch.video, batch.text)
        network: Any = getattr(model, "module", model)
        weights = None
        if self.pair_weights:
            warm = self.pair_weights.warm(step, self.steps)
            weights = pair_weights(fine.diagonal(), self.pair_weights.h, self.pair_weights.cap, warm)
            network.monitored = {"effective_pairs": effective_sample_size(weights)}
        losses = {"contrast": (1 - self.coarse_share) * symmetric_nce(fine, self.tau, weights)}
        if self.coarse_share:
            losses["coarse"] = self.coarse_share * symmetric_nce(pooled, self.tau, weights)
        return losses

    def monitor(self, model: Matcher) -> dict[str, Tensor]:  # type: ignore[override]
        import math

        import torch

        return {**model.monitored, "chance": torch.tensor(math.log(self.batch_size))}


@dataclass(frozen=True, kw_only=True)
class Contrast(ContrastOfPairs):
    """Trains on composed clips, some of whose captions are wrong.

    Args:
        wrong: captions in training.
        scored_pairs: training clips whose own score is kept, to see whether it tells wrong captions.
    """

    composition: Composition
    wrong: WrongCaptions = field(default_factory=WrongCaptions)
    scored_pairs: int = 960

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scored_pairs < 0:
            raise ValueError(f"scored_pairs must be 0 or more, got {self.scored_pairs}")

    # ---- the network

    @property
    def matching(self) -> Matching:
        """What is left of it once it is trained."""
        clips = self.composition
        return Matching(
            network=self.network, similarity=self.similarity, size_px=clips.size_px, num_frames=clips.num_frames,
            made_up=clips.made_up,
        )  # fmt: skip

    def model(self) -> nn.Module:
        import torch

        from multimodal_ssl.model.matcher import Matcher

        vectors = torch.from_numpy(self._composed().words.vectors)
        return Matcher(self.network, vectors, self.similarity, self.chunk)

    def _composed(self) -> ComposedClips:
        from multimodal_ssl.composed import clips

        return clips.compose(self.composition)

    # ---- training items

    def prepare(self) -> None:
        from multimodal_ssl.composed import clips

        clips.prepare(self.composition)

    def _drawn(self, seed: int, step: int, shard: Shard) -> list[int]:
        from common.data.order import draws

        return [draw.item for draw in draws(self._composed().num_train, self.batch_size, seed, step, shard)]

    def item_ids(self, seed: int, step: int, shard: Shard) -> list[str]:
        scenes = self._composed().scenes("train")
        return [scenes[place].id for place in self._drawn(seed, step, shard)]

    def batch(self, seed: int, step: int, shard: Shard) -> ClipBatch:
        from multimodal_ssl.composed.batches import train_batch

        return train_batch(self._composed(), self._given_captions(seed), self._drawn(seed, step, shard))

    def _given_captions(self, seed: int) -> tuple[Any, Any]:
        return _given_captions(self.composition, seed, self.wrong)

    # ---- learning

    def check(self, values: Mapping[str, float], step: int) -> str | None:
        """Everything alike: the loss is at chance long after the warm-up. A weighted or mixed one says less."""
        plain = not self.pair_weights and not self.coarse_share
        if plain and step >= GUARD_FROM_STEP and values["contrast"] > values["chance"] - 0.02:
            return (
                f"the contrast is {values['contrast']:.2f} nats, where chance is {values['chance']:.2f}; lower peak_lr "
                "or raise tau"
            )
        return None

    # ---- scoring

    def score(self, model: Matcher, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:  # type: ignore[override]
        """Ranks of every query by the model's own similarity and by pooled vectors; then the own scores of pairs."""
        from multimodal_ssl.evaluation import items
        from multimodal_ssl.evaluation.pictures import save

        composed = self._composed()
        save(model, composed, split, pictures)
        yield from items.retrieval_items(model, composed, split)
        yield from items.probe_items(model, composed, split)
        if self.wrong.rate:
            yield from items.pair_items(model, composed, self._given_captions(seed), self.scored_pairs)
        yield items.size_item(model, composed)

    def manifest_sha256(self) -> str:
        from multimodal_ssl.composed import clips

        return clips.manifest_sha256(self.composition)

    def bad_items(self) -> tuple[tuple[str, ...], float]:
        from multimodal_ssl.composed import clips

        bad = tuple(clips.bad(self.composition))
        return bad, len(bad) / max(1, len(bad) + self._composed().num_train)

    def departures(self) -> tuple[str, ...]:
        return (
            "Only the paper's abstract could be read: similarity, attention and every setting are our reading of it.",
            "Clips composed of cut-out pictures that move over photographs, with captions that say so, instead of "
            "narrated videos: no number here compares with the paper's.",
        )


@cache
def _given_captions(composition: Composition, seed: int, wrong: WrongCaptions) -> tuple[Any, Any]:
    from multimodal_ssl.composed import clips

    return clips.compose(composition).given_captions(seed, wrong)
