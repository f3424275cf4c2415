"""How a recogniser is judged on one clip: loss and greedy errors, as counts that add."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from common.metrics.error_rate import char_errors, word_errors
from speech_adapters.ctc import decoding
from speech_adapters.ctc.loss import ctc_loss_per_item, feasible_frames
from speech_adapters.data.text import Vocabulary
from speech_adapters.model.architecture import Architecture


@cache
def labels(clip: Any) -> tuple[int, ...]:
    """Numbers of a clip's text."""
    return tuple(Vocabulary.of(clip.language).encode(clip.text))


def feasible(clips: Iterable[Any], architecture: Architecture) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Clips whose frames can spell their characters, and the others by name with both numbers."""
    kept, refused = [], []
    for clip in clips:
        frames, needed = architecture.num_frames(clip.samples), feasible_frames(labels(clip))
        if frames >= max(1, needed):
            kept.append(clip)
        else:
            refused.append(f"{clip.id}: {needed} frames are needed to spell its text, it has {frames}")
    return tuple(kept), tuple(refused)


def nats(
    log_probs: Float[Tensor, "batch frame symbol"],
    num_frames: Int[Tensor, " batch"],
    texts: Sequence[Sequence[int]],
) -> Float[Tensor, " batch"]:
    """CTC loss of each utterance, a sum over its characters."""
    lengths = torch.tensor([len(row) for row in texts])
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in texts], batch_first=True)
    return ctc_loss_per_item(log_probs, num_frames, padded.to(log_probs.device), lengths.to(log_probs.device))


@dataclass(frozen=True)
class ScoredUtterance:
    """What a model made of one clip, as counts that add."""

    scores: dict[str, float]
    hypothesis: str


def score_utterance(log_probs: Float[Tensor, "frame symbol"], clip: Any) -> ScoredUtterance:
    """Loss and greedy errors of one clip against its text."""
    frames = torch.tensor([len(log_probs)], device=log_probs.device)
    hypothesis = decoding.greedy(log_probs, Vocabulary.of(clip.language))
    words, characters = word_errors(clip.text, hypothesis), char_errors(clip.text, hypothesis)
    scores = {
        "ctc_nats": nats(log_probs[None], frames, [labels(clip)]).item(),
        "characters": characters.length,
        "character_errors": characters.errors,
        "words": words.length,
        "word_errors": words.errors,
        "blank_share": (log_probs.argmax(dim=1) == 0).float().mean().item(),
    }
    return ScoredUtterance(scores, hypothesis)
