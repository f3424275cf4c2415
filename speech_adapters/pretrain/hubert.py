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
from speech_adapters.pretrain.recipe import Naming

if TYPE_CHECKING:
    from torch import Tensor, nn

    from speech_adapters.data.batches import MaskedBatch
    from speech_adapters.model.masked_prediction import MaskedPrediction
    from speech_adapters.model.wav2vec2 import Wav2Vec2
    from speech_adapters.pretrain.clusters import Clusters


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """What is clustered.

    Args:
        encoder: a name or path that `checkpoints.by_name` knows.
        layer: whose output, 1 is the lowest.
        clusters: how many.
    """

    encoder: str = "small-en"
    layer: int = 3
    clusters: int = 256

    def __post_init__(self) -> None:
        if self.layer < 1 or not 2 <= self.clusters <= 2**16:
            raise ValueError(
                f"layer must be 1 or more and clusters 2 to {2**16}, got {self.layer} and {self.clusters}"
            )

    def encoder_loaded(self) -> Wav2Vec2:
        """The encoder at rest.

        Raises:
            ValueError: it has fewer layers, or is no wav2vec 2.0.
        """
        from speech_adapters.checkpoints import by_name
        from speech_adapters.model.wav2vec2 import Wav2Vec2

        encoder = by_name.load(self.encoder)
        if not isinstance(encoder, Wav2Vec2):
            raise ValueError(
                f"features are clustered of wav2vec 2.0 alone, {self.encoder} is another encoder"
            )
        if self.layer > len(encoder.layers):
            raise ValueError(f"layer must be 1 to {len(encoder.layers)} of {self.encoder}, got {self.layer}")
        return encoder.eval().requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class Iteration(Naming):
    """Trains an encoder to name clusters of a teacher's features at masked frames."""

    teacher: Teacher = field(default_factory=Teacher)
    unmasked_weight: float = 0.0

    @property
    def choices(self) -> int:
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

    def named(self, model: Any, batch: MaskedBatch) -> dict[str, Tensor]:
        from common.sending import sent

        targets = sent(batch.targets, batch.inputs.device)[..., None]
        losses: dict[str, Tensor] = model(batch.inputs, batch.lengths, batch.mask, targets)
        return losses

    def _judged(
        self, model: MaskedPrediction, waveform: Tensor, lengths: Tensor, mask: Tensor
    ) -> dict[str, float]:
        targets = self.clusters().of_sound(waveform[0])[None, :, None].to(waveform.device)
        losses = model(waveform, lengths, mask, targets)
        return {"hidden": losses["masked"].item(), "accuracy": model.metrics["accuracy"].item()}
