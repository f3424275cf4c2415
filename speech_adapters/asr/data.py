"""Which speech each scale reads, from packages or from a corpus under `DATA_ROOT`; both come as the same clips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.data.manifest import Bad, check_bad_share
from common.data.packages import data_root
from common.files import write_atomically
from common.progress import tracked

if TYPE_CHECKING:
    from speech_adapters.data.corpora.corpus import Corpus

# The same prompts in two languages by one professional voice each: trained on and tested, so what comes out is
# speaker-dependent. Voices never heard in training follow as a check.
PROMPTS = {"en": "asterisk-en", "fr": "asterisk-fr"}
OTHER_VOICES = {"en": "drascula-en", "fr": "tuxpaint-fr"}
SOURCES = {
    "mini": (*PROMPTS.values(), *OTHER_VOICES.values()),
    "gpu": (*PROMPTS.values(), *OTHER_VOICES.values(), "fotaq-en"),
}
# Of the paper, as they lie under DATA_ROOT; what is drawn by seed is a list of ids with a hash.
PACKED = (*PROMPTS.values(), "fotaq-en")
SCORED = tuple(OTHER_VOICES.values())
CORPORA = {"en": "libri-light-10h", "fr": "common-voice-10h"}
DRAWN_HOURS, DRAW_SEED = 10.0, 0
MOST_BAD = 0.05


def prepare(source: str, probes: Sequence[str]) -> None:
    """Fetches and decodes what is trained on and, where it can be scored here, tested on; at once when that was done.

    A corpus under `DATA_ROOT` is read where it lies.
    """
    from speech_adapters.data import prepared

    wanted = (source, *(probes if scorable() else ()))
    prepared.prepare(*(name for name in wanted if name not in CORPORA.values()))


def verify(scale: str) -> list[Bad]:
    """Hashes and decodes every clip of a scale once; what is bad, by name."""
    from speech_adapters.data import prepared

    return prepared.verify(*SOURCES.get(scale, ()))


def pack(path: Path, scale: str) -> str:
    """Writes what training reads, the backbone's included, into one archive; returns its sha256.

    Other voices are tested on alone and would not fit. They go into a second archive beside it, "-voices" in its name;
    without that, runs of a packed machine are scored elsewhere.
    """
    from speech_adapters.data import prepared

    if scale not in SOURCES:
        raise ValueError(
            f"asr-adapters at scale {scale} trains on nothing that a pack could hold; {', '.join(SOURCES)} do"
        )
    prepared.pack(path.with_stem(f"{path.stem}-voices"), *SCORED)
    return prepared.pack(path, *PACKED)


def scorable() -> bool:
    """Whether what is scored is here; on a machine that got its data from a pack it is not, but for a second one."""
    from speech_adapters.data import prepared

    return not prepared.packed(PROMPTS["en"]) or prepared.packed(*SCORED)


# ---- clips


@dataclass(frozen=True)
class Recording:
    """An utterance of a public corpus, read from its file when asked for; of the form of `data.prepared.Clip`."""

    id: str
    source: str
    language: str
    text: str
    group: str  # speaker
    path: Path
    samples: int  # at 16 kHz

    def waveform(self) -> Any:
        from common.data.audio import read_audio

        return read_audio(self.path)


def clips(source: str, split: str) -> Sequence[Any]:
    """Utterances of "train", "dev" or "test", by id.

    Raises:
        ValueError: an unknown source, or a corpus of which more than a twentieth is bad.
        FileNotFoundError: a corpus that is not under `DATA_ROOT`.
    """
    if source in CORPORA.values():
        return _recordings(source, split, data_root())
    from speech_adapters.data import prepared

    return prepared.clips(source, split)


@cache
def _recordings(source: str, split: str, root: Path) -> tuple[Recording, ...]:
    found = []
    for corpus in _corpora(source, split, root):
        name = source if split == "train" else corpus.name
        lengths = _lengths(corpus, root)
        found += [
            Recording(u.id, name, u.language, u.text, u.speaker, root / u.path, length)
            for u in corpus.utterances
            if isinstance(length := lengths[u.id], int)
        ]
    return tuple(sorted(found, key=lambda clip: clip.id))


def _lengths(corpus: Corpus, root: Path) -> dict[str, int | str]:
    """Samples of each recording at 16 kHz, or why it cannot be read: all are decoded once, and that is kept.

    So a broken file is named before training, and cannot end a run half-way.

    Raises:
        ValueError: more than a twentieth of the corpus is bad; what is bad is listed.
    """
    path = root / "speech" / "corpora" / f"{corpus.name}-{corpus.sha256[:16]}.json"
    if not path.exists():
        with ThreadPoolExecutor() as pool:
            read = pool.map(lambda utterance: _length(root / utterance.path), corpus.utterances)
            told = tracked(read, f"decoding {corpus.name}, once", len(corpus.utterances), "recording")
            kept = dict(zip((u.id for u in corpus.utterances), told, strict=True))
        write_atomically(path, json.dumps(kept).encode())
    lengths: dict[str, int | str] = json.loads(path.read_text())
    paths = {utterance.id: utterance.path for utterance in corpus.utterances}
    faults = [Bad(id_, paths[id_], told) for id_, told in lengths.items() if isinstance(told, str)]
    check_bad_share([*corpus.bad, *faults], len(corpus.bad) + len(lengths), MOST_BAD)
    return lengths


def _length(path: Path) -> int | str:
    from common.data.audio import AudioError, read_audio

    try:
        return len(read_audio(path))
    except AudioError as error:
        return str(error)


@cache
def _corpora(source: str, split: str, root: Path) -> tuple[Corpus, ...]:
    """Libri-Light's ten hours with LibriSpeech's dev-other and both test sets; ten drawn hours of Common Voice."""
    from speech_adapters.data.corpora.commonvoice import common_voice
    from speech_adapters.data.corpora.hours import draw_hours
    from speech_adapters.data.corpora.libri import libri_light, librispeech

    if source == CORPORA["en"]:
        if split == "train":
            return (libri_light(root / "librispeech_finetuning", "10h"),)
        parts = {"dev": ("dev-other",), "test": ("test-clean", "test-other")}[split]
        return tuple(librispeech(root / "LibriSpeech", part) for part in parts)
    whole = common_voice(root / "CommonVoice", "fr", split)
    return (draw_hours(whole, DRAWN_HOURS, DRAW_SEED).of(whole),) if split == "train" else (whole,)


@cache
def manifest_sha256(*sources: str) -> str:
    """Hash of what the sources hold."""
    from speech_adapters.data import prepared

    packaged = [source for source in sources if source not in CORPORA.values()]
    hashes = [prepared.manifest_sha256(*packaged)] if packaged else []
    for source in sources:
        if source in CORPORA.values():
            splits = ("train", "dev", "test")
            hashes += [c.sha256 for split in splits for c in _corpora(source, split, data_root())]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def bad(*sources: str) -> list[str]:
    """ "id: reason" of what could not be used."""
    from speech_adapters.data import prepared

    packaged = [source for source in sources if source not in CORPORA.values()]
    told = [str(fault) for fault in prepared.bad(*packaged)]
    for source in sources:
        if source in CORPORA.values():
            splits = ("train", "dev", "test")
            for corpus in (c for split in splits for c in _corpora(source, split, data_root())):
                told += [str(fault) for fault in corpus.bad]
                lengths = _lengths(corpus, data_root())
                told += [f"{id_}: {reason}" for id_, reason in lengths.items() if isinstance(reason, str)]
    return told
