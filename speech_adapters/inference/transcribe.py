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
from speech_adapters.inference.listener import Listener, Voice
from speech_adapters.inference.segments import Segments
from speech_adapters.inference.windows import Failure, Stitch, Windows
from speech_adapters.model.wav2vec2 import pad

WINDOW_S, OVERLAP_S = 20.0, 4.0
POOL_S = 240.0  # sound read ahead and sorted by length, so that batches hold little padding


@dataclass(frozen=True)
class Transcript:
    """One file through one voice."""

    path: Path
    voice: Voice
    duration_s: float
    segments: tuple[tuple[Word, ...], ...]  # with pauses between them; none is empty

    @property
    def words(self) -> list[Word]:
        return list(chain.from_iterable(self.segments))

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def windows_of(listener: Listener) -> Windows:
    return Windows(listener.architecture, WINDOW_S, OVERLAP_S)


def count_windows(paths: Sequence[Path], listener: Listener) -> int | None:
    """Windows of all files and voices, where every header tells its length; what cannot be opened has none."""
    total = 0
    for path in paths:
        try:
            length_s = probe_audio(path).duration_s
        except (AudioError, OSError):
            continue
        if length_s is None:
            return None
        total += windows_of(listener).count(length_s) * len(listener.voices)
    return total


def transcribe(
    paths: Sequence[Path],
    listener: Listener,
    *,
    batch_s: float = 60.0,
    advance: Callable[[], object] = lambda: None,
) -> Iterator[tuple[Transcript, ...] | Failure]:
    """Each file in turn: its transcripts, one a voice, or why there are none.

    Args:
        batch_s: seconds of sound, padding included, that are computed at once; one window at least.
        advance: called after each window of each voice.
    """
    for pool in _pools(_windows(paths, listener), POOL_S):
        rows = _recognise(pool, listener, batch_s, advance)
        for number, window in enumerate(pool):
            for voice, track in window.file.tracks.items():
                if (number, voice) in rows:
                    track.add(window.first, rows[number, voice])
            if window.samples is None:
                yield window.file.finish()


class _Track:
    """One voice's log-probabilities of one file on their way to words."""

    def __init__(self, voice: Voice, windows: Windows):
        self._voice, self._frame_s = voice, windows.architecture.frame_s
        self._stitch, self._segments = Stitch(windows), Segments(self._frame_s)
        self.done: list[tuple[Word, ...]] = []

    def add(self, first: int, rows: Float[Tensor, "frame symbol"]) -> None:
        self._write(self._segments.add(self._stitch.add(first, rows)))

    def finish(self) -> None:
        self._write(self._segments.add(self._stitch.rest()))
        self._write(self._segments.rest())

    def _write(self, segments: Iterable[tuple[int, Tensor]]) -> None:
        for first, log_probs in segments:
            words = decoding.align(
                log_probs, self._voice.read(log_probs), self._voice.vocabulary, self._frame_s
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

    def __init__(self, path: Path, listener: Listener):
        self.path, self.duration_s = path, 0.0
        self.fault: Failure | None = None
        self.tracks = {voice: _Track(voice, windows_of(listener)) for voice in listener.voices}

    def finish(self) -> tuple[Transcript, ...] | Failure:
        if self.fault:
            return self.fault
        for track in self.tracks.values():
            track.finish()
        return tuple(
            Transcript(self.path, voice, self.duration_s, tuple(track.done))
            for voice, track in self.tracks.items()
        )


@dataclass(frozen=True)
class _Window:
    file: _File
    first: int  # frame
    samples: np.ndarray | None  # None: the file ended


def _windows(paths: Sequence[Path], listener: Listener) -> Iterator[_Window]:
    windows = windows_of(listener)
    for path in paths:
        file = _File(path, listener)
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
    pool: Sequence[_Window], listener: Listener, batch_s: float, advance: Callable[[], object]
) -> dict[tuple[int, Voice], Tensor]:
    """Log-probabilities by place in the pool and voice; a file known to be faulty is left out."""
    work = [
        (number, voice, window.samples)
        for number, window in enumerate(pool)
        if window.samples is not None and not window.file.fault
        for voice in listener.voices
    ]
    work.sort(key=lambda item: -len(item[2]))
    rows: dict[tuple[int, Voice], Tensor] = {}
    while work:
        count = max(1, int(batch_s * SAMPLE_RATE_HZ) // len(work[0][2]))
        batch, work = work[:count], work[count:]
        waveform, num_samples = pad([torch.from_numpy(samples) for *_, samples in batch])
        outputs = listener.engine.log_probs(
            waveform.to(listener.device),
            num_samples.to(listener.device),
            [voice.name for _, voice, _ in batch],
        )
        for (number, voice, _), output in zip(batch, outputs, strict=True):
            rows[number, voice] = output.cpu()
            advance()
    return rows
