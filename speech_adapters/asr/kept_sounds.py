"""Sounds of test utterances that a scoring run keeps beside its scores, so that people can listen to them."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from common.report.page import TimedWord
from speech_adapters.model.architecture import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from torch import Tensor

    from speech_adapters.data.text import Vocabulary

WORDS = ".words.json"  # what was heard in a sound, and when
MOST_S = 16.0  # kept of an utterance


def save_audio(folder: Path, item_id: str, waveform: Int16[ndarray, " sample"]) -> Path:
    """Writes `ITEM.wav`, 16 kHz, mono, at most its first 16 s; "/" in the id becomes "--"."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file_stem(item_id)}.wav"
    path.write_bytes(as_wav(waveform))
    return path


def as_wav(waveform: Int16[ndarray, " sample"]) -> bytes:
    """A WAV file, 16 kHz, mono, of at most the first 16 s."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        # WAV is little-endian whatever the machine.
        file.writeframes(np.ascontiguousarray(waveform[: round(MOST_S * SAMPLE_RATE_HZ)], "<i2").tobytes())
    return held.getvalue()


def save_words(folder: Path, item_id: str, log_probs: Tensor, vocabulary: Vocabulary, frame_s: float) -> None:
    """Writes `ITEM.words.json`: [text, from second, to second] of every word of the likeliest path."""
    from speech_adapters.ctc import decoding

    heard = decoding.align_words(log_probs, decoding.greedy_words(log_probs, vocabulary), vocabulary, frame_s)
    rows = [[word.text, round(word.start_s, 3), round(word.stop_s, 3)] for word in heard]
    (folder / f"{file_stem(item_id)}{WORDS}").write_text(json.dumps(rows), encoding="utf-8")


def read_words(sound: Path) -> Sequence[TimedWord]:
    """Of a kept sound, or none where they were not kept."""
    path = sound.with_name(sound.name.removesuffix(".wav") + WORDS)
    return [TimedWord(*row) for row in json.loads(path.read_bytes())] if path.exists() else ()


def file_stem(item_id: str) -> str:
    """Name of an item's file without its ending."""
    return item_id.replace("/", "--")
