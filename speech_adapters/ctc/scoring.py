"""Scores of a CTC model on one utterance: loss and greedy errors, as counts that add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from common.data.packages import data_root
from common.metrics.error_rate import char_errors, word_errors
from speech_adapters.ctc import decoding
from speech_adapters.ctc.loss import ctc_loss_per_item, feasible_frames
from speech_adapters.ctc.measures import (
    BLANK_SHARE,
    CHARACTER_ERRORS,
    CHARACTERS,
    CTC_NATS,
    WORD_ERRORS,
    WORDS,
)
from speech_adapters.data.source import Source, Utterance
from speech_adapters.data.text import Vocabulary
from speech_adapters.model.architecture import Architecture


@cache
def labels(utterance: Utterance) -> tuple[int, ...]:
    """Symbol numbers of its text."""
    return tuple(Vocabulary.of(utterance.language).encode(utterance.text))


def feasible(
    source: Source, part: str, architecture: Architecture
) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    """Utterances of a part whose frames can spell their characters, and the others by name with both numbers."""
    return _feasible(source, part, architecture, data_root())


@cache
def _feasible(
    source: Source, part: str, architecture: Architecture, root: Path
) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    kept, refused = [], []
    for one in source.utterances(part):
        frames, needed = architecture.num_frames(one.samples), feasible_frames(labels(one))
        if frames >= max(1, needed):
            kept.append(one)
        else:
            refused.append(f"{one.id}: {needed} frames are needed to spell its text, it has {frames}")
    return tuple(kept), tuple(refused)


def ctc_nats(
    log_probs: Float[Tensor, "batch frame symbol"],
    num_frames: Int[Tensor, " batch"],
    texts: Sequence[Sequence[int]],
) -> Float[Tensor, " batch"]:
    """CTC loss of each utterance, a sum over its characters."""
    lengths = torch.tensor([len(row) for row in texts])
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in texts], batch_first=True)
    return ctc_loss_per_item(log_probs, num_frames, padded, lengths)


@dataclass(frozen=True)
class ScoredUtterance:
    """Counts that add, and what the likeliest path spells."""

    scores: dict[str, float]
    hypothesis: str


def score_utterance(log_probs: Float[Tensor, "frame symbol"], utterance: Utterance) -> ScoredUtterance:
    """Loss and greedy errors of one utterance against its text."""
    frames = torch.tensor([len(log_probs)], device=log_probs.device)
    hypothesis = decoding.greedy(log_probs, Vocabulary.of(utterance.language))
    words, characters = word_errors(utterance.text, hypothesis), char_errors(utterance.text, hypothesis)
    scores = {
        CTC_NATS.name: ctc_nats(log_probs[None], frames, [labels(utterance)]).item(),
        CHARACTERS.name: characters.length,
        CHARACTER_ERRORS.name: characters.errors,
        WORDS.name: words.length,
        WORD_ERRORS.name: words.errors,
        BLANK_SHARE.name: (log_probs.argmax(dim=1) == 0).float().mean().item(),
    }
    return ScoredUtterance(scores, hypothesis)
