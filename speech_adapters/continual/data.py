"""Which speech each scale reads: packages at `mini` and `gpu`, folders of any audio under DATA_ROOT at `paper`."""

from __future__ import annotations

from pathlib import Path

from common.data.manifest import Bad

LANGUAGES = {
    "en": ("fotaq-en",),
    "fr": ("asterisk-fr", "tuxpaint-fr"),
    "es": ("asterisk-es", "tuxpaint-es", "drascula-es"),
    "ru": ("festvox-ru", "asterisk-ru"),
    "it": ("asterisk-it",),
}
SPELLED = {language: f"asterisk-{language}" for language in ("fr", "es", "ru", "it")}
FOLDERS = {language: (f"folder:unlabelled/{language}",) for language in ("en", "fr", "es")}
SOURCES = {
    "mini": ("fotaq-en", "drascula-en", *LANGUAGES["fr"], *LANGUAGES["es"]),
    "gpu": ("drascula-en", *(source for sources in LANGUAGES.values() for source in sources)),
}
PACKED = (*LANGUAGES["fr"], *LANGUAGES["es"])


def verify(scale: str) -> list[Bad]:
    """Hashes and decodes every clip of a scale once; what is bad, by name."""
    from speech_adapters.data import prepared

    return prepared.verify(*SOURCES.get(scale, ()))


def pack(path: Path, scale: str) -> str:
    """Writes what the French and Spanish arms are trained on into one archive; returns its sha256.

    What English arms are asked about would not fit: runs of a packed machine are scored where it can be had.
    """
    from speech_adapters.data import prepared

    if scale not in SOURCES:
        raise ValueError(
            f"continual-pretraining at scale {scale} trains on nothing that a pack could hold; "
            f"{', '.join(SOURCES)} do"
        )
    return prepared.pack(path, *PACKED)


def scorable() -> bool:
    """Whether what is scored is here; on a machine that got its data from a pack it is not."""
    from speech_adapters.data import prepared

    return not prepared.packed(SPELLED["fr"])
