"""LibriSpeech [Panayotov15] and the labelled 10 minutes, 1 h and 10 h of Libri-Light [Kahn20].

LibriSpeech/PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt      a line: SPEAKER-CHAPTER-NUMBER THE TEXT
LibriSpeech/PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac
librispeech_finetuning/1h/{0..5}/{clean,other}/SPEAKER/...      the same inside; 10 min is 1h/0
librispeech_finetuning/9h/{clean,other}/SPEAKER/...             10 h is 1h and 9h
"""

import re
from dataclasses import dataclass
from pathlib import Path

from speech_adapters.data.corpora.corpus import Corpus, Reading, inside, opened
from speech_adapters.data.corpora.public import PublicCorpus

PARTS = (
    "train-clean-100",
    "train-clean-360",
    "train-other-500",
    "dev-clean",
    "dev-other",
    "test-clean",
    "test-other",
)
_HOUR = tuple(f"1h/{fold}" for fold in range(6))
LIMITED = {"10min": _HOUR[:1], "1h": _HOUR, "10h": (*_HOUR, "9h")}


@dataclass(frozen=True)
class LibriLight(PublicCorpus):
    """The labelled hours of Libri-Light to train on, with dev-other and both test sets of LibriSpeech."""

    hours: str = "10h"  # of LIMITED
    language = "en"

    @property
    def name(self) -> str:
        return f"libri-light-{self.hours}"

    def read(self, part: str) -> tuple[Corpus, ...]:
        if part == "train":
            return (libri_light(Path("librispeech_finetuning"), self.hours),)
        parts = {"dev": ("dev-other",), "test": ("test-clean", "test-other")}[part]
        return tuple(librispeech(Path("LibriSpeech"), one) for one in parts)


def librispeech(path: Path, part: str, *, sha256: str | None = None) -> Corpus:
    """One part of LibriSpeech; no two parts share a speaker.

    Args:
        path: the folder LibriSpeech, what holds it, the part's own folder, or the part's archive.

    Raises:
        ValueError: an unknown part, or nothing of that layout.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    reading = Reading(f"librispeech-{part}", "en")
    _read_speakers(inside(opened(path, sha256), f"LibriSpeech/{part}", part), reading)
    return reading.corpus("SLR12")


def libri_light(path: Path, hours: str, *, sha256: str | None = None) -> Corpus:
    """The labelled "10min", "1h" or "10h"; the shorter lie in the longer. All is of LibriSpeech's training parts.

    Args:
        path: the folder librispeech_finetuning, what holds it, or its archive.

    Raises:
        ValueError: another number of hours, or one of the folds is missing.
    """
    if hours not in LIMITED:
        raise ValueError(f"hours must be one of {', '.join(LIMITED)}, got {hours!r}")
    root = inside(opened(path, sha256), "librispeech_finetuning")
    folders = [root / fold / sound for fold in LIMITED[hours] for sound in ("clean", "other")]
    if missing := [str(folder.relative_to(root)) for folder in folders if not folder.is_dir()]:
        raise ValueError(f"{hours} of Libri-Light needs {', '.join(missing)} in {root}")
    reading = Reading(f"libri-light-{hours}", "en")
    for folder in folders:
        _read_speakers(folder, reading)
    return reading.corpus("librispeech_finetuning")


def _read_speakers(folder: Path, reading: Reading) -> None:
    for chapter in sorted(folder.glob("*/*")):
        if chapter.is_dir():
            _read_chapter(chapter, reading)


def _read_chapter(chapter: Path, reading: Reading) -> None:
    speaker = chapter.parent.name
    prefix = f"{speaker}-{chapter.name}"
    transcript = chapter / f"{prefix}.trans.txt"
    named = set()
    for where, line in reading.lines(transcript) if transcript.is_file() else ():
        handle, _, text = line.partition(" ")
        if not re.fullmatch(rf"{re.escape(prefix)}-\d+", handle):
            reading.reject(where, transcript, f"must begin with {prefix}-NUMBER, got {line[:80]!r}")
            continue
        named.add(handle)
        # Both numbers are LibriVox's own, so keys meet those of every corpus made from it. The id is the same
        # in LibriSpeech and in Libri-Light: it is the same recording.
        keys = (f"chapter:librivox-{chapter.name}",)
        audio = chapter / f"{handle}.flac"
        reading.add(f"librispeech-{handle}", where, text, audio, f"librivox-{speaker}", keys)
    for audio in sorted(chapter.glob("*.flac")):
        if audio.stem not in named:
            reading.reject(f"librispeech-{audio.stem}", audio, f"no line of {transcript.name} names it")
