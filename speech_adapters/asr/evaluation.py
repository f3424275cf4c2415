"""What is scored beside single utterances: beam search, and how much of a recogniser is trained."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from torch import nn

from common.results import Item
from speech_adapters.asr.measures import PARAMETERS, TOTAL, TOTAL_AT_BASE, TRAINED, TRAINED_AT_BASE
from speech_adapters.checkpoints.model_files import without_weights
from speech_adapters.ctc import decoding, ngram
from speech_adapters.ctc.ngram import NgramSearch
from speech_adapters.data.text import Vocabulary
from speech_adapters.model.adapters import apply, share
from speech_adapters.model.architecture import BASE
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import Wav2Vec2


def beam_search(texts: Iterable[str], language: str, search: NgramSearch) -> decoding.BeamSearch:
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


def parameters(model: nn.Module, arm: Arm | None) -> Item:
    """How much is trained, here and by the same arm in BASE with fairseq's 32 symbols and adapters of 256."""
    here = share(model)
    scores = {TRAINED.name: here.trained, TOTAL.name: here.total}
    if arm is not None:
        with without_weights():
            there = CTCModel(Wav2Vec2(BASE), 32)
            apply(replace(arm, bottleneck=256), there.encoder, there.head)
        scores |= {TRAINED_AT_BASE.name: share(there).trained, TOTAL_AT_BASE.name: share(there).total}
    return Item(PARAMETERS.name, PARAMETERS.name, PARAMETERS.name, scores)
