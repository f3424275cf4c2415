"""Compressed speech of packages to prepared samples: decoded, cut free of silence, brought to one peak."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int16
from numpy import ndarray

from common.data.audio import AudioError, decode_audio
from common.data.pcm import PEAK, levelled
from common.data.workers import workers
from speech_adapters.data.raw import RawUtterance
from speech_adapters.data.text import unspoken
from speech_adapters.model.architecture import SAMPLE_RATE_HZ

MOST_S, LEAST_S = 16.0, 0.3  # after trimming
MOST_LETTERS_PER_S = 25.0  # nobody speaks so fast: a text beyond it belongs to another recording
TRIM_DB = 40.0  # below the loudest frame an utterance has not begun, or is over
MARGIN_S, FRAME_S = 0.1, 0.01
SETTINGS = (
    1,
    SAMPLE_RATE_HZ,
    MOST_S,
    LEAST_S,
    TRIM_DB,
    MARGIN_S,
    FRAME_S,
    PEAK,
)  # raise the first for new code
CHUNK = 32  # utterances that a worker decodes at a time


@dataclass(frozen=True)
class Decoded:
    """What became of one utterance: samples, or why there are none."""

    sha256: str  # of its compressed bytes
    size: int  # of those bytes
    samples: Int16[ndarray, " sample"]
    lead: int  # samples at 16 kHz that were cut off in front
    left_out: str = ""  # a rule's reason
    bad: str = ""  # a decoder's words


def refusal(utterance: RawUtterance) -> str:
    """Why an utterance is left out before anything is decoded; "" if it is not."""
    if utterance.flaw:
        return utterance.flaw
    if not utterance.text:
        return "has no words"
    if unspoken(utterance.raw_text):
        return "has digits, signs or brackets in its text"
    return ""


def content(root: Path, utterance: RawUtterance) -> bytes:
    """The compressed bytes of an utterance, cut out of its file."""
    with (root / utterance.path).open("rb") as file:
        file.seek(utterance.offset)
        return file.read(utterance.bytes or -1)


def decode_all(
    utterances: Sequence[RawUtterance], read: Callable[[RawUtterance], bytes]
) -> Iterator[Decoded]:
    """Decodes on every core, in order; `read` goes to other processes, so it must be one that can be pickled."""
    chunks = [utterances[i : i + CHUNK] for i in range(0, len(utterances), CHUNK)]
    if len(chunks) < 2:  # starting processes would take longer
        yield from (decode(utterance, read) for utterance in utterances)
        return
    with workers() as pool:
        for decoded in pool.map(partial(_decode_chunk, read), chunks):
            yield from decoded


def _decode_chunk(read: Callable[[RawUtterance], bytes], chunk: Sequence[RawUtterance]) -> list[Decoded]:
    return [decode(utterance, read) for utterance in chunk]


def decode(utterance: RawUtterance, read: Callable[[RawUtterance], bytes]) -> Decoded:
    """One utterance as it will be kept."""
    nothing = np.zeros(0, np.int16)
    try:
        compressed = read(utterance)
    except OSError as error:
        return Decoded("", 0, nothing, 0, bad=f"cannot be read: {error}")
    known = hashlib.sha256(compressed).hexdigest(), len(compressed)
    try:
        sound = decode_audio(compressed, name=Path(utterance.path), format=utterance.format or None)
        lead, stop = speech_range(sound)
    except AudioError as error:
        return Decoded(*known, nothing, 0, bad=str(error).removeprefix(f"{utterance.path}: "))
    except ValueError as error:
        return Decoded(*known, nothing, 0, bad=str(error))
    duration_s = (stop - lead) / SAMPLE_RATE_HZ
    if not LEAST_S <= duration_s <= MOST_S:
        reason = f"shorter than {LEAST_S:g} s" if duration_s < LEAST_S else f"longer than {MOST_S:g} s"
        return Decoded(*known, nothing, 0, left_out=reason)
    if len(utterance.text) > MOST_LETTERS_PER_S * duration_s:
        return Decoded(*known, nothing, 0, left_out="has more text than its sound can hold")
    return Decoded(*known, levelled(sound[lead:stop]), lead)


def speech_range(sound: Float32[ndarray, " sample"]) -> tuple[int, int]:
    """First and last sample (exclusive) within `TRIM_DB` of the loudest 10 ms, `MARGIN_S` before and after.

    Raises:
        ValueError: nothing but zeros.
    """
    frame, margin = round(FRAME_S * SAMPLE_RATE_HZ), round(MARGIN_S * SAMPLE_RATE_HZ)
    padded = np.pad(sound, (0, -len(sound) % frame)).reshape(-1, frame)
    power = np.square(padded, dtype=np.float64).mean(1)
    if not power.any():
        raise ValueError("is silent from beginning to end")
    loud = np.flatnonzero(power >= power.max() * 10 ** (-TRIM_DB / 10))
    return max(0, int(loud[0]) * frame - margin), min(len(sound), int(loud[-1] + 1) * frame + margin)
