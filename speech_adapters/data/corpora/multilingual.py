"""Multilingual LibriSpeech [Pratap20], with its labelled 10 minutes, 1 h and 10 h.

mls_french/{train,dev,test}/transcripts.txt                 a line: SPEAKER_BOOK_NUMBER<TAB>the text
mls_french/{train,dev,test}/audio/SPEAKER/BOOK/SPEAKER_BOOK_NUMBER.flac     .opus in mls_french_opus
mls_french/train/limited_supervision/1hr/{0..5}/handles.txt     a handle a line; 10 min is 1hr/0
mls_french/train/limited_supervision/9hr/handles.txt            10 h is 1hr and 9hr
"""

import os
import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from speech_adapters.data.corpora.corpus import Corpus, Reading, inside, opened
from speech_adapters.data.corpora.public import PublicCorpus
from speech_adapters.data.text import check_language

LANGUAGES = {
    "en": "english",
    "de": "german",
    "nl": "dutch",
    "fr": "french",
    "es": "spanish",
    "it": "italian",
    "pt": "portuguese",
    "pl": "polish",
}
SPLITS = ("train", "dev", "test")
_HOUR = tuple(f"1hr/{fold}" for fold in range(6))
LIMITED = {"10min": _HOUR[:1], "1h": _HOUR, "10h": (*_HOUR, "9hr")}


@dataclass(frozen=True)
class MultilingualLibriSpeech(PublicCorpus):
    """Published hours of one language to train on, with its dev and test parts."""

    language: str
    hours: str = "10h"  # of LIMITED

    @property
    def name(self) -> str:
        return f"mls-{self.language}-{self.hours}"

    def read(self, part: str) -> tuple[Corpus, ...]:
        folder = Path(f"mls_{LANGUAGES[self.language]}")
        return (mls(folder, self.language, part, self.hours if part == "train" else None),)


def mls(
    path: Path, language: str, split: str, hours: str | None = None, *, sha256: str | None = None
) -> Corpus:
    """One split, or of "train" the published "10min", "1h" or "10h"; no two splits share a speaker.

    Args:
        path: the folder mls_LANGUAGE (or mls_LANGUAGE_opus), what holds it, or its archive.
        language: two letters, as "fr".

    Raises:
        ValueError: an unknown language, split or number of hours, or nothing of that layout.
    """
    check_language(language, LANGUAGES)
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    if hours not in (None, *LIMITED) or (hours and split != "train"):
        raise ValueError(
            f"hours must be None or, of train, one of {', '.join(LIMITED)}; got {hours!r} of {split}"
        )
    name = f"mls_{LANGUAGES[language]}"
    folder = inside(opened(path, sha256), name, f"{name}_opus") / split
    if not (folder / "transcripts.txt").is_file():
        raise ValueError(f"{folder} must hold transcripts.txt")
    reading = Reading("-".join(filter(None, ("mls", language, split, hours))), language)
    _read_split(folder, reading, None if hours is None else _handles(folder, hours, reading))
    return reading.corpus("SLR94")


def _handles(folder: Path, hours: str, reading: Reading) -> Set[str]:
    lists = [folder / "limited_supervision" / fold / "handles.txt" for fold in LIMITED[hours]]
    if missing := [str(file.relative_to(folder)) for file in lists if not file.is_file()]:
        raise ValueError(f"{hours} of MLS needs {', '.join(missing)} in {folder}")
    return {line.strip() for file in lists for _, line in reading.lines(file) if line.strip()}


def _read_split(folder: Path, reading: Reading, wanted: Set[str] | None) -> None:
    """The lines of `wanted` handles; of all, where it is None, and then files that no line names are bad."""
    transcripts, named = folder / "transcripts.txt", set()
    suffix = next((file.suffix for file in folder.glob("audio/*/*/*")), ".flac")
    for where, line in reading.lines(transcripts):
        handle, tab, text = line.partition("\t")
        parts = re.fullmatch(r"(\d+)_(\d+)_\d+", handle)
        if not parts or not tab:
            reading.reject(where, transcripts, f"must be SPEAKER_BOOK_NUMBER<TAB>text, got {line[:80]!r}")
            continue
        named.add(handle)
        if wanted is not None and handle not in wanted:
            continue
        speaker, book = parts.groups()
        audio = folder / "audio" / speaker / book / f"{handle}{suffix}"
        # Numbers are LibriVox's own: keys meet those of LibriSpeech.
        keys = (f"book:librivox-{book}",)
        reading.add(_id(reading, handle), where, text, audio, f"librivox-{speaker}", keys)
    for handle in sorted((wanted or set()) - named):
        reading.reject(_id(reading, handle), transcripts, "handles.txt names it, transcripts.txt does not")
    if wanted is None:
        _reject_unnamed(folder / "audio", reading, named)


def _reject_unnamed(folder: Path, reading: Reading, named: Set[str]) -> None:
    for base, folders, files in os.walk(folder):
        folders.sort()  # in place: the order in which walk goes on
        for file in sorted(files):
            if Path(file).stem not in named:
                reading.reject(
                    _id(reading, Path(file).stem), Path(base) / file, "no line of transcripts.txt names it"
                )


def _id(reading: Reading, handle: str) -> str:
    return f"mls-{reading.language}-{handle}"
