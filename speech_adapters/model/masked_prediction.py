"""Predicting a discrete target of masked frames: what BEST-RQ's fixed codes and HuBERT's clusters share."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from torch.nn import functional as F

from speech_adapters.model.contrastive import taken
from speech_adapters.model.wav2vec2 import Wav2Vec2


class MaskedPrediction(nn.Module):
    """An encoder with a linear output head over the entries of one or several codebooks; `metrics` has the accuracy at
    masked frames.

    Args:
        encoder: hears the waveform with spans of its frames masked.
        codebooks, codes: how many, and entries of each.
        unmasked_weight: of the loss at frames that are not masked.
    """

    def __init__(self, encoder: Wav2Vec2, codebooks: int, codes: int, unmasked_weight: float):
        super().__init__()
        self.encoder, self.unmasked_weight = encoder, unmasked_weight
        self.head = nn.Linear(encoder.architecture.width, codebooks * codes)
        self.shape = (codebooks, codes)
        self.metrics: dict[str, Tensor] = {}

    def forward(
        self,
        waveform: Tensor,
        num_samples: Int[Tensor, " batch"],
        mask: Bool[Tensor, "batch frame"],
        indices: Int[Tensor, "batch frame codebook"],
    ) -> dict[str, Tensor]:
        """Cross-entropy in nats a codebook, at masked frames and, weighted, at the others; padding is left out."""
        features, num_frames = self.encoder.extract(waveform, num_samples)
        x = self.encoder.contextualise(self.encoder.embed(features, num_frames, mask), num_frames)
        mask = mask.cpu()  # which frames are taken is known to the host, so that it need not wait for a GPU
        valid = torch.arange(x.shape[1]) < num_frames[:, None].cpu()
        with torch.autocast(waveform.device.type, enabled=False):
            logits = self.head(x.float()).unflatten(2, self.shape)
            losses = {"masked": _cross_entropy(taken(logits, mask), taken(indices, mask))}
            if self.unmasked_weight:
                others = valid & ~mask
                losses["unmasked"] = self.unmasked_weight * _cross_entropy(
                    taken(logits, others), taken(indices, others)
                )
        accuracy = (taken(logits, mask).argmax(dim=2) == taken(indices, mask)).float().mean()
        self.metrics = {"accuracy": accuracy.detach()}
        return losses


def _cross_entropy(logits: Tensor, indices: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), indices.flatten())
