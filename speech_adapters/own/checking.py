"""What of somebody's recordings can be trained on or scored: each is looked at once, what is left out is listed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jaxtyping import Float32, Int16
from numpy import ndarray

from common.data.audio import AudioError, read_audio
from common.data.own_files import LeftOut
from common.data.pcm import PEAK, levelled
from common.progress import tracked
from speech_adapters.ctc.loss import feasible_frames
from speech_adapters.data import any_script
from speech_adapters.data.decoding import LEAST_S
from speech_adapters.data.text import unspoken
from speech_adapters.model.architecture import SAMPLE_RATE_HZ, Architecture
from speech_adapters.own.reading import Recording

MOST_S = 30.0


@dataclass(frozen=True)
class Checked:
    """A recording with its sound, at the level that it has in its file."""

    recording: Recording
    text: str  # normalised
    samples: Int16[ndarray, " sample"]
    sha256: str  # of the samples


def any_script_text(text: str) -> str:
    """The normalised text of a recording, whatever its language."""
    return any_script.normalise(text)


def checked(
    recordings: Sequence[Recording],
    architecture: Architecture,
    *,
    normalise: Callable[[str], str] = any_script_text,
) -> Iterator[Checked | LeftOut]:
    """Each recording, read once, or why it is left out.

    Args:
        architecture: whose frames must be able to spell the text.
    """
    _sound.cache_clear()  # files may have changed since
    texts = [normalise(recording.text) for recording in recordings]
    foreign = any_script.foreign_letters(texts)
    ids: dict[str, Recording] = {}
    sounds: dict[str, Recording] = {}
    items = tracked(zip(recordings, texts, strict=True), "reading recordings", len(recordings), "recording")
    for recording, text in items:
        if (first := ids.setdefault(recording.id, recording)) is not recording:
            yield _left_out(recording, f"is listed twice: first in {first.where}")
        elif reason := _text_fault(recording.text, text, foreign):
            yield _left_out(recording, reason)
        else:
            found = _heard(recording, text, architecture)
            if isinstance(found, Checked):
                first = sounds.setdefault(found.sha256, recording)
                if first is not recording:
                    found = _left_out(recording, f"has the same sound as another: {first.id}")
            yield found


def _left_out(recording: Recording, reason: str, bad: bool = False) -> LeftOut:
    return LeftOut(recording.id, recording.where, reason, bad)


def _text_fault(written: str, text: str, foreign: frozenset[str]) -> str:
    if signs := unspoken(written):
        return f"has digits or signs, whose sound its letters do not tell: {signs}"
    if not text:
        return "has no words"
    if odd := "".join(dict.fromkeys(letter for letter in text if letter in foreign)):
        return f"has letters of a script that is foreign to the other texts: {odd}"
    return ""


def _heard(recording: Recording, text: str, architecture: Architecture) -> Checked | LeftOut:
    try:
        sound = _sound(recording.path)
    except AudioError as error:
        return _left_out(recording, f"cannot be read: {error}", bad=True)
    except OSError as error:
        return _left_out(recording, f"cannot be read: {error}", bad=True)
    begin = round(recording.start_s * SAMPLE_RATE_HZ)
    end = len(sound) if recording.length_s is None else begin + round(recording.length_s * SAMPLE_RATE_HZ)
    if end > len(sound) + SAMPLE_RATE_HZ // 10:
        lasts_s = len(sound) / SAMPLE_RATE_HZ
        return _left_out(
            recording, f"ends after its file does: {end / SAMPLE_RATE_HZ:g} s of {lasts_s:g} s", bad=True
        )
    samples = sound[begin:end]
    lasts_s = len(samples) / SAMPLE_RATE_HZ
    if not LEAST_S <= lasts_s <= MOST_S:
        return _left_out(recording, f"must last {LEAST_S:g} to {MOST_S:g} s: lasts {lasts_s:.3g} s")
    if not samples.any():
        return _left_out(recording, "is silent from beginning to end", bad=True)
    frames, needed = architecture.num_frames(len(samples)), feasible_frames([ord(letter) for letter in text])
    if frames < needed:
        told = f"is too short for its text: {needed} frames are needed to spell it, it has {frames}"
        return _left_out(recording, told)
    kept = levelled(samples, PEAK)  # at its own level
    return Checked(recording, text, kept, hashlib.sha256(kept.tobytes()).hexdigest())


@lru_cache(maxsize=1)  # segments of one file come one after another
def _sound(path: Path) -> Float32[ndarray, " sample"]:
    return read_audio(path)
