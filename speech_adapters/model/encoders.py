"""The encoder that an architecture describes, of whichever family."""

from __future__ import annotations

from speech_adapters.model.architecture import NO_DROPOUT, Architecture, Dropout, WhisperArchitecture
from speech_adapters.model.encoder import SpeechEncoder
from speech_adapters.model.wav2vec2 import Wav2Vec2
from speech_adapters.model.whisper import Whisper


def build(architecture: Architecture, dropout: Dropout = NO_DROPOUT) -> SpeechEncoder:
    """With new weights."""
    if isinstance(architecture, WhisperArchitecture):
        return Whisper(architecture, dropout)
    return Wav2Vec2(architecture, dropout)
