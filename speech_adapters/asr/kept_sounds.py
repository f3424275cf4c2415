"""Sounds of test utterances that a scoring run keeps beside its scores, so that people can listen to them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from speech_adapters.model.architecture import SAMPLE_RATE_HZ

MOST_S = 16.0  # kept of one


def save_audio(folder: Path, item_id: str, waveform: Int16[ndarray, " sample"]) -> Path:
    """Writes `ITEM.wav`, 16 kHz, mono, at most its first 16 s; "/" in the id becomes "--"."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file_stem(item_id)}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        # WAV is little-endian whatever the machine.
        file.writeframes(np.ascontiguousarray(waveform[: round(MOST_S * SAMPLE_RATE_HZ)], "<i2").tobytes())
    return path


def file_stem(item_id: str) -> str:
    """Name of an item's file without its ending."""
    return item_id.replace("/", "--")
