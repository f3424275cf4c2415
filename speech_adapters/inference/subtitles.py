"""Transcripts as text, JSON, SRT and WebVTT."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import MappingProxyType

from common.data.media import shown
from common.files import check_folder
from speech_adapters.ctc.decoding import Word
from speech_adapters.inference.transcribe import Transcript

CUE_WORDS, CUE_S = 7, 5.0  # most in a cue; one word alone may last longer
SHOWN_S = 1.0  # a cue stays at least so long where the next leaves room: words of CTC come out too short


@dataclass(frozen=True)
class Cue:
    """What a subtitle shows at once."""

    start_s: float
    stop_s: float
    text: str


def cues(segments: Iterable[tuple[Word, ...]]) -> list[Cue]:
    """Words in groups that people can read: at most `CUE_WORDS` and `CUE_S`, none across a pause."""
    cut = [group for words in segments for group in _groups(words)]
    nexts = [*(group[0].start_s for group in cut), float("inf")][1:]
    found = []
    for group, later in zip(cut, nexts, strict=True):
        start_s, stop_s = group[0].start_s, group[-1].stop_s
        shown_until_s = max(stop_s, min(start_s + SHOWN_S, later))
        found.append(Cue(start_s, shown_until_s, " ".join(word.text for word in group)))
    return found


def _groups(words: tuple[Word, ...]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and (len(group) == CUE_WORDS or word.stop_s - group[0].start_s > CUE_S):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def clock(seconds: float, mark: str = ".") -> str:
    """hh:mm:ss and milliseconds after the mark; hours grow beyond two digits."""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{mark}{ms % 1000:03}"


def as_text(transcript: Transcript) -> str:
    """A line for each stretch between pauses, with its times."""
    return "".join(
        f"[{clock(words[0].start_s)} - {clock(words[-1].stop_s)}] {' '.join(word.text for word in words)}\n"
        for words in transcript.segments
    )


def as_json(transcript: Transcript) -> str:
    """Everything: times in seconds, confidences in 0..1 (see `ctc.Word`)."""
    content = {
        "file": shown(transcript.path),
        "adapter": transcript.decoder.label,
        "language": transcript.decoder.language or None,
        "duration_s": round(transcript.duration_s, 3),
        "text": transcript.text,
        "segments": [
            {
                "start_s": round(words[0].start_s, 3),
                "stop_s": round(words[-1].stop_s, 3),
                "text": " ".join(word.text for word in words),
                "words": [
                    {
                        "text": word.text,
                        "start_s": round(word.start_s, 3),
                        "stop_s": round(word.stop_s, 3),
                        "confidence": round(word.confidence, 4),
                    }
                    for word in words
                ],
            }
            for words in transcript.segments
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def as_srt(transcript: Transcript) -> str:
    """SubRip: numbered from 1, comma before the milliseconds. It has no escapes, so `-->` loses a dash."""
    return "\n".join(
        f"{number}\n{clock(cue.start_s, ',')} --> {clock(cue.stop_s, ',')}\n{cue.text.replace('-->', '->')}\n"
        for number, cue in enumerate(cues(transcript.segments), start=1)
    )


def as_vtt(transcript: Transcript) -> str:
    """WebVTT, with `&`, `<` and `>` escaped, and so `-->`."""
    blocks = [
        f"{clock(cue.start_s)} --> {clock(cue.stop_s)}\n{_escaped(cue.text)}\n"
        for cue in cues(transcript.segments)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


WRITERS: Mapping[str, Callable[[Transcript], str]] = MappingProxyType(
    {"txt": as_text, "json": as_json, "srt": as_srt, "vtt": as_vtt}
)


def targets(
    paths: Sequence[Path], labels: Sequence[str], formats: Sequence[str], out: Path | None, *, overwrite: bool
) -> dict[tuple[Path, str, str], Path]:
    """Files to write, by input, label and format: `talk.srt`, or of several labels `talk.en.srt`.

    Args:
        out: the folder; None is each input's own.

    Raises:
        ValueError: `out` is no folder, two would be one file, one is an input, or is there already and `overwrite`
            is off.
    """
    if out is not None:
        check_folder(out)
    found: dict[tuple[Path, str, str], Path] = {}
    taken: dict[Path, Path] = {}
    for path in paths:
        for label, suffix in product(labels, formats):
            name = f"{path.stem}.{label}.{suffix}" if len(labels) > 1 else f"{path.stem}.{suffix}"
            target = (out or path.parent) / name
            if target in taken:
                raise ValueError(f"{target} would hold both {taken[target]} and {path}; give them one by one")
            if target in paths:
                raise ValueError(f"{target} is an input and an output; choose another folder with --out")
            if target.exists() and not overwrite:
                raise ValueError(
                    f"{target} is there already; choose another folder with --out, or --overwrite"
                )
            found[path, label, suffix] = target
        taken |= {target: path for key, target in found.items() if key[0] == path}
    return found
