"""The recipe of a further iteration: an encoder learns to name clusters of an earlier one's features [Hsu21].

As in HuBERT's second iteration, targets are k-means clusters of a layer of the encoder before, and the loss is at
masked frames alone. Departures: it goes on from the earlier weights, since two cores cannot afford to begin again, and
the output head is linear instead of a cosine to learned entries.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from common.data.packages import data_root
from common.recipe import Shard
from speech_adapters.data.unlabelled import AudioFolder
from speech_adapters.pretrain.recipe import TargetPrediction
from speech_adapters.pretrain.teacher import Teacher

if TYPE_CHECKING:
    from torch import Tensor, nn

    from speech_adapters.data.batches import MaskedBatch
    from speech_adapters.model.masked_prediction import MaskedPrediction
    from speech_adapters.pretrain.clusters import Clusters


@dataclass(frozen=True, kw_only=True)
class Iteration(TargetPrediction):
    """Trains an encoder to name clusters of a teacher's features at masked frames."""

    teacher: Teacher = field(default_factory=Teacher)
    unmasked_weight: float = 0.0

    @property
    def num_targets(self) -> int:
        return self.teacher.clusters

    def prepare(self) -> None:
        """Also finds the clusters, so that no step waits for them.

        Raises:
            ValueError: a source may lose recordings while it is read, and what replaces one has other clusters.
        """
        if folders := [source.name for source in self.sources if isinstance(source, AudioFolder)]:
            raise ValueError(
                f"clusters are kept of packages and corpora, not of folders: {', '.join(folders)}"
            )
        super().prepare()
        self.clusters()

    def clusters(self) -> Clusters:
        from speech_adapters.pretrain import clusters

        return clusters.of(data_root() / "speech" / "clusters", self.teacher, self.sources)

    def model(self) -> nn.Module:
        from speech_adapters.checkpoints import by_name
        from speech_adapters.model.masked_prediction import MaskedPrediction
        from speech_adapters.model.wav2vec2 import Wav2Vec2

        encoder: Any = (
            by_name.load(self.start_from, self.dropout)
            if self.start_from
            else Wav2Vec2(self.architecture, self.dropout)
        )
        return MaskedPrediction(encoder, 1, self.teacher.clusters, self.unmasked_weight)

    def batch(self, seed: int, step: int, shard: Shard) -> MaskedBatch:
        import torch

        own = self._crops(seed, step)[shard.index :: shard.count]
        targets = torch.stack([self.clusters().of_crop(crop) for crop in own])
        return replace(super().batch(seed, step, shard), targets=targets)

    def target_losses(self, model: Any, batch: MaskedBatch) -> dict[str, Tensor]:
        from common.sending import sent

        assert batch.targets is not None
        targets = sent(batch.targets, batch.inputs.device)[..., None]
        losses: dict[str, Tensor] = model(batch.inputs, batch.lengths, batch.mask, targets)
        return losses

    def _judged(
        self, model: MaskedPrediction, waveform: Tensor, lengths: Tensor, mask: Tensor
    ) -> dict[str, float]:
        targets = self.clusters().of_sound(waveform[0])[None, :, None].to(waveform.device)
        losses = model(waveform, lengths, mask, targets)
        return {"hidden": losses["masked"].item(), "accuracy": model.metrics["accuracy"].item()}
