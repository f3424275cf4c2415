"""Which speech each scale reads: packages at `mini` and `gpu`; at `paper` folders of any audio under DATA_ROOT to
pre-train on, and the public corpora for letters and recognition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from common.data.manifest import Bad
from speech_adapters.data import prepared
from speech_adapters.data.prepared import PackagedSpeech
from speech_adapters.data.source import Source
from speech_adapters.data.sources import (
    AMAZON_QUEEN,
    ASTERISK,
    DRASCULA,
    FESTVOX,
    LIBRI_LIGHT,
    TUXPAINT,
    AudioFolder,
    CommonVoice,
)

LANGUAGES: Mapping[str, tuple[PackagedSpeech, ...]] = {
    "en": (AMAZON_QUEEN,),
    "fr": (ASTERISK["fr"], TUXPAINT["fr"]),
    "es": (ASTERISK["es"], TUXPAINT["es"], DRASCULA["es"]),
    "ru": (FESTVOX, ASTERISK["ru"]),
    "it": (ASTERISK["it"],),
}
# Transcribed speech that letters and recognition are scored on.
TRANSCRIBED: Mapping[str, Source] = {language: ASTERISK[language] for language in ("fr", "es", "ru", "it")}
FOLDERS = {language: (AudioFolder(f"unlabelled/{language}", language),) for language in ("en", "fr", "es")}
CORPORA: Mapping[str, Source] = {"en": LIBRI_LIGHT, "fr": CommonVoice("fr"), "es": CommonVoice("es")}
PACKED = (*LANGUAGES["fr"], *LANGUAGES["es"])
READ: Mapping[str, tuple[Source, ...]] = {
    "mini": (AMAZON_QUEEN, DRASCULA["en"], *LANGUAGES["fr"], *LANGUAGES["es"]),
    "night": (AMAZON_QUEEN, DRASCULA["en"], *LANGUAGES["fr"], *LANGUAGES["es"]),
    "gpu": (DRASCULA["en"], *(source for sources in LANGUAGES.values() for source in sources)),
    "paper": (*(folder for folders in FOLDERS.values() for folder in folders), *CORPORA.values()),
}


def verify(scale: str) -> list[Bad]:
    """Reads and decodes everything of a scale once; what is bad, by name."""
    return [fault for source in READ.get(scale, ()) for fault in source.verify()]


def pack(path: Path, scale: str) -> str:
    """Writes what the French and Spanish arms are trained on into one archive; returns its sha256.

    What English arms are asked about would not fit: runs of a packed machine are scored where it can be had.
    """
    if scale not in ("mini", "night", "gpu"):
        raise ValueError(
            f"continual-pretraining at scale {scale} trains on nothing that a pack could hold; mini, night, gpu do"
        )
    return prepared.pack(path, PACKED)


def scorable() -> bool:
    """Whether what is scored is here; on a machine that got its data from a pack it is not."""
    return not ASTERISK["fr"].from_pack()
