"""Speech in files of any length to words with times, in several languages at once, with flat memory.

Windows overlap and are stitched at the middle of the overlap (`windows.py`), windows of all files and adapters share
batches, and what is stitched is cut into segments where nobody speaks, so that hours are never held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from common.data.audio import SAMPLE_RATE_HZ, AudioError, probe_audio
from speech_adapters.ctc import decoding
from speech_adapters.ctc.decoding import Word
from speech_adapters.inference.recogniser import Decoder, Recogniser
from speech_adapters.inference.segments import Segments
from speech_adapters.inference.windows import Failure, Stitch, Windows, cut_off_note
from speech_adapters.model.wav2vec2 import pad

WINDOW_S, OVERLAP_S = 20.0, 4.0
POOL_S = 240.0  # sound read ahead and sorted by length, so that batches hold little padding


@dataclass(frozen=True)
class Transcript:
    """One file through one decoder."""

    path: Path
    decoder: Decoder
    duration_s: float
    segments: tuple[tuple[Word, ...], ...]  # with pauses between them; none is empty
    note: str = ""  # what is odd about the file, which was read all the same

    @property
    def words(self) -> list[Word]:
        return list(chain.from_iterable(self.segments))

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def windows_of(recogniser: Recogniser) -> Windows:
    return Windows(recogniser.architecture, WINDOW_S, OVERLAP_S)


def count_windows(paths: Sequence[Path], recogniser: Recogniser) -> int | None:
    """Windows of all files and decoders, where every header tells its length; what cannot be opened has none."""
    total = 0
    for path in paths:
        try:
            length_s = probe_audio(path).duration_s
        except (AudioError, OSError):
            continue
        if length_s is None:
            return None
        total += windows_of(recogniser).count(length_s) * len(recogniser.decoders)
    return total


def transcribe(
    paths: Sequence[Path],
    recogniser: Recogniser,
    *,
    batch_s: float = 60.0,
    advance: Callable[[], object] = lambda: None,
) -> Iterator[tuple[Transcript, ...] | Failure]:
    """Each file in turn: its transcripts, one a decoder, or why there are none.

    Args:
        batch_s: seconds of sound, padding included, that are computed at once; one window at least.
        advance: called after each window of each decoder.
    """
    for pool in _pools(_windows(paths, recogniser), POOL_S):
        rows = _recognise(pool, recogniser, batch_s, advance)
        for number, window in enumerate(pool):
            for decoder, track in window.file.tracks.items():
                if (number, decoder) in rows:
                    track.add(window.first, rows[number, decoder])
            if window.samples is None:
                yield window.file.finish()


class _DecodedFile:
    """One decoder's log-probabilities of one file on their way to words."""

    def __init__(self, decoder: Decoder, windows: Windows):
        self._decoder, self._frame_s = decoder, windows.architecture.frame_s
        self._stitch, self._segments = Stitch(windows), Segments(self._frame_s)
        self.done: list[tuple[Word, ...]] = []

    def add(self, first: int, rows: Float[Tensor, "frame symbol"]) -> None:
        self._write(self._segments.add(self._stitch.add(first, rows)))

    def finish(self) -> None:
        self._write(self._segments.add(self._stitch.rest()))
        self._write(self._segments.rest())

    def _write(self, segments: Iterable[tuple[int, Tensor]]) -> None:
        for first, log_probs in segments:
            words = decoding.align_words(
                log_probs, self._decoder.words(log_probs), self._decoder.vocabulary, self._frame_s
            )
            shift_s = first * self._frame_s
            if words:
                self.done.append(
                    tuple(
                        replace(word, start_s=word.start_s + shift_s, stop_s=word.stop_s + shift_s)
                        for word in words
                    )
                )


class _File:
    """A file in work."""

    def __init__(self, path: Path, recogniser: Recogniser):
        self.path, self.duration_s = path, 0.0
        self.fault: Failure | None = None
        self.tracks = {
            decoder: _DecodedFile(decoder, windows_of(recogniser)) for decoder in recogniser.decoders
        }

    def finish(self) -> tuple[Transcript, ...] | Failure:
        if self.fault:
            return self.fault
        for track in self.tracks.values():
            track.finish()
        note = cut_off_note(self.path)
        return tuple(
            Transcript(self.path, decoder, self.duration_s, tuple(track.done), note)
            for decoder, track in self.tracks.items()
        )


@dataclass(frozen=True)
class _Window:
    file: _File
    first: int  # frame
    samples: np.ndarray | None  # None: the file ended


def _windows(paths: Sequence[Path], recogniser: Recogniser) -> Iterator[_Window]:
    windows = windows_of(recogniser)
    for path in paths:
        file = _File(path, recogniser)
        try:
            for first, samples in windows.cut(path):
                file.duration_s = first * windows.architecture.frame_s + len(samples) / SAMPLE_RATE_HZ
                yield _Window(file, first, samples)
        except (AudioError, OSError) as error:
            file.fault = Failure.of(path, error)
        yield _Window(file, 0, None)


def _pools(windows: Iterator[_Window], pool_s: float) -> Iterator[list[_Window]]:
    pool: list[_Window] = []
    held = 0
    for window in windows:
        pool.append(window)
        held += 0 if window.samples is None else len(window.samples)
        if held >= pool_s * SAMPLE_RATE_HZ:
            yield pool
            pool, held = [], 0
    if pool:
        yield pool


def _recognise(
    pool: Sequence[_Window], recogniser: Recogniser, batch_s: float, advance: Callable[[], object]
) -> dict[tuple[int, Decoder], Tensor]:
    """Log-probabilities by place in the pool and decoder; a file known to be faulty is left out."""
    work = [
        (number, decoder, window.samples)
        for number, window in enumerate(pool)
        if window.samples is not None and not window.file.fault
        for decoder in recogniser.decoders
    ]
    work.sort(key=lambda item: -len(item[2]))
    rows: dict[tuple[int, Decoder], Tensor] = {}
    while work:
        count = max(1, int(batch_s * SAMPLE_RATE_HZ) // len(work[0][2]))
        batch, work = work[:count], work[count:]
        waveform, num_samples = pad([torch.from_numpy(samples) for *_, samples in batch])
        outputs = recogniser.acoustic_model.log_probs(
            waveform.to(recogniser.device),
            num_samples.to(recogniser.device),
            [decoder.name for _, decoder, _ in batch],
        )
        for (number, decoder, _), output in zip(batch, outputs, strict=True):
            rows[number, decoder] = output.cpu()
            advance()
    return rows
