"""What is judged beside single clips: which can be spelled, beam search, how much of a recogniser is trained."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from common.results import Item
from speech_adapters.asr import data
from speech_adapters.checkpoints.model_files import without_weights
from speech_adapters.ctc import decoding, ngram, scoring
from speech_adapters.data.text import Vocabulary
from speech_adapters.model.adapters import apply, share
from speech_adapters.model.architecture import BASE, Architecture
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import Wav2Vec2


@cache
def feasible(source: str, split: str, architecture: Architecture) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Clips of a source whose frames can spell their characters, and the others by name."""
    return scoring.feasible(data.clips(source, split), architecture)


@dataclass(frozen=True, kw_only=True)
class Search:
    """Settings of the beam search with an n-gram."""

    order: int = 3
    lm_weight: float = 2.0  # of log10 probabilities, as in fairseq's example
    word_score: float = -1.0
    beam: int = 50


def beam_search(texts: Iterable[str], language: str, search: Search) -> decoding.BeamSearch:
    """Words and n-gram of the texts given, which must be those of training."""
    texts = list(texts)
    with tempfile.TemporaryDirectory() as folder:
        arpa = Path(folder) / "words.arpa"
        ngram.estimate(texts, order=search.order).write_arpa(arpa)
        return decoding.BeamSearch(
            Vocabulary.of(language),
            arpa,
            {word for text in texts for word in text.split()},
            lm_weight=search.lm_weight,
            word_score=search.word_score,
            beam=search.beam,
        )


def parameters(model: CTCModel, arm: Arm | None) -> Item:
    """How much is trained, here and by the same arm in BASE with fairseq's 32 symbols and adapters of 256."""
    here = share(model)
    scores = {"trained": here.trained, "total": here.total}
    if arm is not None:
        with without_weights():
            there = CTCModel(Wav2Vec2(BASE), 32)
            apply(replace(arm, bottleneck=256), there.encoder, there.head)
        scores |= {"trained_at_base": share(there).trained, "total_at_base": share(there).total}
    return Item("parameters", "parameters", "parameters", scores)
