"""How a recogniser is judged: loss, greedy and beam hypotheses, and how much of it is trained."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from common.metrics.error_rate import char_errors, word_errors
from common.results import Item
from speech_adapters import ctc, language_model
from speech_adapters.adapter import apply, share
from speech_adapters.architecture import BASE, Architecture
from speech_adapters.arm import Arm
from speech_adapters.asr import data
from speech_adapters.checkpoints import without_weights
from speech_adapters.recogniser import Recogniser
from speech_adapters.text import Vocabulary
from speech_adapters.wav2vec2 import Wav2Vec2


@cache
def labels(clip: Any) -> tuple[int, ...]:
    """Numbers of a clip's text."""
    return tuple(Vocabulary.of(clip.language).encode(clip.text))


@cache
def feasible(source: str, split: str, architecture: Architecture) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Clips whose frames can spell their characters, and the others by name with both numbers."""
    kept, refused = [], []
    for clip in data.clips(source, split):
        frames, needed = architecture.num_frames(clip.samples), ctc.feasible_frames(labels(clip))
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
    return ctc.ctc_loss_per_item(
        log_probs, num_frames, padded.to(log_probs.device), lengths.to(log_probs.device)
    )


@dataclass(frozen=True)
class Heard:
    """What a model made of one clip, as counts that add."""

    scores: dict[str, float]
    hypothesis: str


def judge(log_probs: Float[Tensor, "frame symbol"], clip: Any) -> Heard:
    """Loss and greedy errors of one clip against its text."""
    frames = torch.tensor([len(log_probs)], device=log_probs.device)
    hypothesis = ctc.greedy(log_probs, Vocabulary.of(clip.language))
    words, characters = word_errors(clip.text, hypothesis), char_errors(clip.text, hypothesis)
    scores = {
        "ctc_nats": nats(log_probs[None], frames, [labels(clip)]).item(),
        "characters": characters.length,
        "character_errors": characters.errors,
        "words": words.length,
        "word_errors": words.errors,
        "blank_share": (log_probs.argmax(dim=1) == 0).float().mean().item(),
    }
    return Heard(scores, hypothesis)


@dataclass(frozen=True, kw_only=True)
class Search:
    """Settings of the beam search with an n-gram."""

    order: int = 3
    lm_weight: float = 2.0  # of log10 probabilities, as in fairseq's example
    word_score: float = -1.0
    beam: int = 50


def beam_search(texts: Iterable[str], language: str, search: Search) -> ctc.BeamSearch:
    """Words and n-gram of the texts given, which must be those of training."""
    texts = list(texts)
    with tempfile.TemporaryDirectory() as folder:
        arpa = Path(folder) / "words.arpa"
        language_model.estimate(texts, order=search.order).write_arpa(arpa)
        return ctc.BeamSearch(
            Vocabulary.of(language),
            arpa,
            {word for text in texts for word in text.split()},
            lm_weight=search.lm_weight,
            word_score=search.word_score,
            beam=search.beam,
        )


def parameters(model: Recogniser, arm: Arm | None) -> Item:
    """How much is trained, here and by the same arm in BASE with fairseq's 32 symbols and adapters of 256."""
    here = share(model)
    scores = {"trained": here.trained, "total": here.total}
    if arm is not None:
        with without_weights():
            there = Recogniser(Wav2Vec2(BASE), 32)
            apply(replace(arm, bottleneck=256), there.encoder, there.head)
        scores |= {"trained_at_base": share(there).trained, "total_at_base": share(there).total}
    return Item("parameters", "parameters", "parameters", scores)
