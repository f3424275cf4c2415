"""Which speech each scale reads; how it is fetched, split and packed is `speech_data.py`'s."""

from __future__ import annotations

from pathlib import Path

from common.data.manifest import Bad
from common.data.packages import data_root
from speech_adapters import speech_data

__all__ = ["data_root", "pack", "prepare", "scorable", "verify"]

# The same prompts in two languages by one professional voice each: trained on and tested, so what comes out is
# speaker-dependent. Voices never heard in training follow as a check.
PROMPTS = {"en": "asterisk-en", "fr": "asterisk-fr"}
OTHER_VOICES = {"en": "drascula-en", "fr": "tuxpaint-fr"}
SOURCES = {
    "mini": (*PROMPTS.values(), *OTHER_VOICES.values()),
    "gpu": (*PROMPTS.values(), *OTHER_VOICES.values(), "fotaq-en"),
}


def prepare(scale: str) -> None:
    """Fetches and decodes what the scale reads; at once when that was done."""
    if scale in SOURCES:
        speech_data.prepare(*SOURCES[scale])


def verify() -> list[Bad]:
    """Hashes and decodes every clip once; what is bad, by name."""
    return speech_data.verify(*SOURCES["gpu"])


def pack(path: Path) -> str:
    """Writes what `gpu` reads into one archive; returns its sha256."""
    return speech_data.pack(path, *SOURCES["gpu"])


def scorable() -> bool:
    """Whether what is scored is here: of speech, wherever training data are."""
    return True
