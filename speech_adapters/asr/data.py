"""Which speech each scale reads: packages at `mini` and `gpu`, the paper's corpora under DATA_ROOT at `paper`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from common.data.manifest import Bad
from speech_adapters.data import prepared
from speech_adapters.data.prepared import PackagedSpeech
from speech_adapters.data.source import Source
from speech_adapters.data.sources import AMAZON_QUEEN, ASTERISK, DRASCULA, LIBRI_LIGHT, TUXPAINT, CommonVoice

# The same prompts in two languages by one professional voice each: trained on and tested, so what comes out is
# speaker-dependent. Voices that are not in training follow as a check.
PROMPTS = {language: ASTERISK[language] for language in ("en", "fr")}
OTHER_VOICES: Mapping[str, PackagedSpeech] = {"en": DRASCULA["en"], "fr": TUXPAINT["fr"]}
CORPORA: Mapping[str, Source] = {"en": LIBRI_LIGHT, "fr": CommonVoice("fr")}
SCORED = tuple(OTHER_VOICES.values())
PACKED = (*PROMPTS.values(), AMAZON_QUEEN)
READ: Mapping[str, tuple[Source, ...]] = {
    "mini": (*PROMPTS.values(), *SCORED),
    "night": (*PROMPTS.values(), *SCORED),
    "gpu": (*PACKED, *SCORED),
    "paper": tuple(CORPORA.values()),
}


def verify(scale: str) -> list[Bad]:
    """Reads and decodes every utterance of a scale once; what is bad, by name."""
    return [fault for source in READ.get(scale, ()) for fault in source.verify()]


def pack(path: Path, scale: str) -> str:
    """Writes what training reads, the backbone's included, into one archive; returns its sha256.

    Other voices are tested on alone and would not fit. They go into a second archive beside it, "-voices" in its name;
    without that, runs of a packed machine are scored elsewhere.
    """
    if scale == "night":
        raise ValueError(
            "asr-adapters at scale night starts from an encoder of 133 MB of packages, more than a pack may hold; "
            "mini, gpu have packs"
        )
    if scale not in ("mini", "gpu"):
        raise ValueError(
            f"asr-adapters at scale {scale} trains on nothing that a pack could hold; mini, gpu do"
        )
    prepared.pack(path.with_stem(f"{path.stem}-voices"), SCORED)
    return prepared.pack(path, PACKED)


def scorable() -> bool:
    """Whether what is scored is here; on a machine that got its data from a pack it is not, but for a second one."""
    return not PROMPTS["en"].from_pack() or all(source.from_pack() for source in SCORED)
