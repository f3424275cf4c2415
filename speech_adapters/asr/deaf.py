"""The arm that hears nothing, scored as every other: what is worse than it has learned nothing of the sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speech_adapters.asr.finetune import FineTune

if TYPE_CHECKING:
    from torch import Tensor, nn

    from speech_adapters.data.source import Utterance


@dataclass(frozen=True, kw_only=True)
class Deaf(FineTune):
    """One distribution of symbols at every frame, fitted to the texts of training; no steps."""

    steps: int = 0
    dev_every: int = 0

    def model(self) -> nn.Module:
        from speech_adapters.ctc.deaf import DeafModel, fitted
        from speech_adapters.data.text import Vocabulary

        texts = self.utterances("train")
        frames = [self.encoder_architecture().num_frames(one.samples) for one in texts]
        return DeafModel(fitted(texts, frames, len(Vocabulary.of(self.language))))

    def log_probs(self, model: Any, utterance: Utterance) -> Tensor:
        num_frames = self.encoder_architecture().num_frames(utterance.samples)
        rows: Tensor = model.log_probs.expand(num_frames, -1)
        return rows
