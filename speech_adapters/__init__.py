"""Adapters in wav2vec 2.0: recognition (`asr`) and continued pre-training (`continual`).

import speech_adapters

print(speech_adapters.load("en").transcribe("talk.wav").text)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speech_adapters.python_api import Encoder, Transcriber, Transcript, load, load_encoder

__all__ = ["Encoder", "Transcriber", "Transcript", "load", "load_encoder"]


def __getattr__(name: str) -> Any:
    """What is asked for is imported then, and torch with it: a bare import of the package is cheap."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from speech_adapters import python_api

    return getattr(python_api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
