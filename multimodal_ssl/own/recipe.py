"""The recipe behind `train`: clips and captions of somebody's own learn to find each other, by the one trainer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.data.order import Draw, draws
from common.recipe import Shard
from common.schedule import Cosine
from common.settings import free
from multimodal_ssl.contrast import ContrastOfPairs
from multimodal_ssl.model import networks
from multimodal_ssl.model.matching import Matching
from multimodal_ssl.model.similarities import LogMeanExp
from multimodal_ssl.own import kinetics
from multimodal_ssl.own.clips import KeptClip, OwnClips, words_of
from multimodal_ssl.search import weights
from multimodal_ssl.search.weights import Trained

if TYPE_CHECKING:
    from torch import Tensor, nn

    from common.results import Item
    from multimodal_ssl.composed.batches import ClipBatch
    from multimodal_ssl.model.matcher import Matcher
    from multimodal_ssl.model.vocabulary import Vocabulary
    from multimodal_ssl.own.evaluation import Captioned

_S3D = Matching(
    network=replace(networks.MINI, video=networks.S3D()), similarity=LogMeanExp(), size_px=224, num_frames=16
)
_R2PLUS1D = Matching(
    network=replace(networks.MINI, video=networks.R2Plus1D()),
    similarity=LogMeanExp(),
    size_px=112,
    num_frames=16,
)
PICTURES = "pictures"
# Networks whose text side is trained from nothing, with the clips that they were made for.
FRESH = {
    "small": Matching(network=networks.MINI, similarity=LogMeanExp(), size_px=64, num_frames=4),
    PICTURES: Matching(
        network=replace(networks.MINI, video=networks.PictureFeatures()),
        similarity=LogMeanExp(),
        size_px=224,
        num_frames=4,
    ),
    "s3d": _S3D,
    "r2plus1d": _R2PLUS1D,
    "s3d-kinetics": _S3D,
    "r2plus1d-kinetics": _R2PLUS1D,
}
EPOCHS, LEAST_STEPS, MOST_STEPS = 30, 200, 20_000
MOST_BATCH = 48
PEAK_LR, FROM_NOTHING_LR = (
    5e-4,
    2e-3,
)  # the second is what fine-grained-ssl chose on dev; the first is a quarter of it
WARM_UP = 0.1  # share of the steps
MOST_THREADS = 8
DEV_MEDIAN, DEV_RECALL = "dev_median_rank", "dev_recall_at_1"


@dataclass(frozen=True, kw_only=True)
class OwnTraining(ContrastOfPairs):
    """Trains a model of clips and captions, from weights that are there or from nothing."""

    source: OwnClips
    start: str = free("")  # whose weights are hashed with the data
    dev_every: int = free(50)  # steps between scores of the dev part

    # ---- the network

    def model(self) -> nn.Module:
        import torch

        from multimodal_ssl.model.matcher import Matcher

        vectors = torch.from_numpy(self.words().vectors)
        matcher = Matcher(self.network, vectors, self.similarity, self.chunk)
        if tensors := started(self.start).tensors:
            found = matcher.load_state_dict(dict(tensors), strict=self.start not in FRESH)
            if found.unexpected_keys:
                raise ValueError(f"{self.start}: its network has no {', '.join(found.unexpected_keys[:3])}")
        return matcher

    @property
    def matching(self) -> Matching:
        """What is left of it once it is trained."""
        return replace(started(self.start).matching, network=self.network, similarity=self.similarity)

    def words(self) -> Vocabulary:
        """Those that captions use; where vectors are learned, all that the start has."""
        known = vocabulary_of(self.start)
        return known if self.network.text.vectors.trained else words_of(self.source, known)

    # ---- data

    def prepare(self) -> None:
        self.source.prepare(vocabulary_of(self.start))

    def manifest_sha256(self) -> str:
        return hashlib.sha256(
            f"{self.source.content_sha256()} {started(self.start).sha256}".encode()
        ).hexdigest()

    def _drawn(self, seed: int, step: int, shard: Shard) -> list[Draw]:
        return draws(len(self.source.clips("train")), self.batch_size, seed, step, shard)

    def item_ids(self, seed: int, step: int, shard: Shard) -> list[str]:
        clips = self.source.clips("train")
        return [clips[draw.item].id for draw in self._drawn(seed, step, shard)]

    def batch(self, seed: int, step: int, shard: Shard) -> ClipBatch:
        """Of every clip one window and one caption, and of a picture that is no square a square part."""
        import torch

        from multimodal_ssl.composed.batches import ClipBatch

        clips, words = self.source.clips("train"), self._known()
        frames, ids = [], []
        for draw in self._drawn(seed, step, shard):
            random, clip = draw.generator(), clips[draw.item]
            frames.append(_square(clip.windows[random.integers(clip.shape[0])], random))
            ids.append(words.encode(clip.captions[random.integers(len(clip.captions))]))
        return ClipBatch(torch.from_numpy(np.stack(frames)), torch.from_numpy(np.stack(ids)))

    def _known(self) -> Vocabulary:
        return _words(self, self.source.content_sha256())

    # ---- learning

    def losses(self, model: nn.Module, batch: ClipBatch, step: int) -> dict[str, Tensor]:
        network: Any = getattr(model, "module", model)
        network.step = step  # `monitor` is not told
        return super().losses(model, batch, step)

    def monitor(self, model: Matcher) -> dict[str, Tensor]:  # type: ignore[override]
        """Ranks of dev clips, every `dev_every` steps and at the last."""
        import torch

        from multimodal_ssl.evaluation import retrieval
        from multimodal_ssl.own.evaluation import TO_CLIP, ranks_of

        done = int(model.step) + 1  # type: ignore[arg-type]
        told = super().monitor(model)
        if done % self.dev_every and done != self.steps:
            return told
        model.eval()
        ranks = ranks_of(self.score(model, seed=0, split="dev", pictures=Path()), TO_CLIP)
        model.train()
        found = {DEV_MEDIAN: retrieval.median_rank(ranks), DEV_RECALL: retrieval.recall_at(ranks, 1)}
        return told | {name: torch.tensor(value) for name, value in found.items()}

    def score(self, model: Matcher, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:  # type: ignore[override]
        """Ranks of captions and clips among all of the part."""
        from multimodal_ssl.own.evaluation import items

        clips = self.source.clips(split)
        texts = list(dict.fromkeys(text for clip in clips for text in clip.captions))
        yield from items(self._asked(model, clips, texts), texts)

    def _asked(self, model: Matcher, clips: tuple[KeptClip, ...], texts: list[str]) -> list[Captioned]:
        from multimodal_ssl.own import evaluation

        told = evaluation.texts_of(model, self._known(), texts)
        return [
            evaluation.Captioned(
                one.id, one.video, one.captions,
                evaluation.scores_with(model, evaluation.windows_of(model, one.windows), told),
            )
            for one in clips
        ]  # fmt: skip


@lru_cache(maxsize=4)
def _words(recipe: OwnTraining, content_sha256: str) -> Vocabulary:
    return recipe.words()


def _square(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A square part of frames, anywhere along their longer side."""
    height, width = frames.shape[1:3]
    side = min(height, width)
    down, right = int(random.integers(height - side + 1)), int(random.integers(width - side + 1))
    return np.asarray(frames[:, down : down + side, right : right + side])


# ---- what a training starts from


@lru_cache(maxsize=4)
def started(name: str) -> Trained:
    """A model that is there, or one of `FRESH`, which has no tensors yet or those of its trunk.

    Raises:
        ValueError: no such model, with those there are.
    """
    if name in FRESH:
        return Trained(name, FRESH[name], _trunk(name), None)
    try:
        return weights.load(name)
    except ValueError as error:
        raise ValueError(f"{error}; or start with {', '.join(FRESH)}") from error


def _trunk(name: str) -> dict[str, Tensor]:
    if name in kinetics.FILES:
        return kinetics.trunk(name)
    video = FRESH[name].network.video
    return {f"encoders.video.{key}": tensor for key, tensor in video.fetched().items()}


@lru_cache(maxsize=4)
def vocabulary_of(name: str) -> Vocabulary:
    """Words that captions can be read with."""
    from common.progress import say

    words, notice = started(name).vocabulary()
    if notice:
        say(f"note: {notice}")
    return words


def _learned(held: Trained) -> bool:
    """Whether what is trained has learned before; what is frozen is not trained."""
    return bool(held.tensors) and not isinstance(held.matching.network.video, networks.PictureFeatures)


def planned(source: OwnClips, start: str, steps: int | None) -> OwnTraining:
    """Settings that suit the clips and what the training starts from.

    Raises:
        ValueError: no such start.
    """
    held, num = started(start), len(source.clips("train"))
    batch_size = min(MOST_BATCH, num)
    if steps is None:
        steps = min(MOST_STEPS, max(LEAST_STEPS, EPOCHS * num // batch_size))
    return OwnTraining(
        source=source, start=start, network=held.matching.network, similarity=held.matching.similarity, tau=0.03,
        steps=steps, batch_size=batch_size, peak_lr=PEAK_LR if _learned(held) else FROM_NOTHING_LR,
        schedule=Cosine(warmup_steps=round(WARM_UP * steps), final_ratio=0.02), betas=(0.9, 0.98), clip_norm=5.0,
        dev_every=max(1, steps // 10), threads=min(MOST_THREADS, os.cpu_count() or 1),
    )  # fmt: skip
