"""The tool in Python, of the command line's parts: `speech_adapters.load("en").transcribe("talk.wav").text`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from common.runtime import find_device
from speech_adapters.checkpoints import by_name
from speech_adapters.inference import encode, recogniser
from speech_adapters.inference.encode import Encoder
from speech_adapters.inference.recogniser import Recogniser
from speech_adapters.inference.transcribe import Transcript, transcribe
from speech_adapters.inference.windows import Failure

__all__ = ["Encoder", "Transcriber", "Transcript", "load", "load_encoder"]


@dataclass(frozen=True, eq=False)
class Transcriber:
    """Hears letters, through one adapter set over an encoder or as a whole recogniser."""

    recogniser: Recogniser

    def transcribe(self, path: str | Path, *, batch_s: float = 60.0) -> Transcript:
        """What is said in a file of any length: its text, words with times and confidences, segments between pauses.

        Args:
            batch_s: seconds of sound that are computed at once.

        Raises:
            ValueError: the file cannot be read to its end.
        """
        (done,) = transcribe([Path(path)], self.recogniser, batch_s=batch_s)
        if isinstance(done, Failure):
            raise ValueError(done.reason)
        (transcript,) = done
        return transcript


def load(adapter: str | None = None, *, model: str | None = None, device: str = "auto") -> Transcriber:
    """A model that transcribes.

    Args:
        adapter: a published set (en, fr) or a set's file; None is English, or nothing where the model is a whole
            recogniser.
        model: an encoder by name or file, or a recogniser's file; None is the encoder of the set.
        device: auto, cpu or cuda.

    Raises:
        ValueError: no such set, model or device, or a set of another encoder.
    """
    model, sets = by_name.chosen([] if adapter is None else [adapter], model)
    return Transcriber(recogniser.load(model, sets, torch.device(find_device(device).kind)))


def load_encoder(model: str = "small-en", *, layer: int | None = None, device: str = "auto") -> Encoder:
    """A model whose `encode(path)` gives features, float32 of shape (frames, width), 50 frames a second.

    Args:
        model: an encoder by name or file, or the encoder of any model.
        layer: 0 is the embedding, n what layer n makes; None is the last.

    Raises:
        ValueError: no such model, layer or device.
    """
    return encode.load(model, layer, torch.device(find_device(device).kind))
