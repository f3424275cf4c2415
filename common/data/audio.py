"""Audio of any file to mono samples at one rate, whole or in windows with flat memory.

soundfile reads what it knows (wav, flac, ogg); PyAV reads the rest, the sound of videos included. Channels are
averaged (see `mono`). A sound that begins later than its file, or has a gap, is silent there, so that times of samples
are the file's. Both ways of reading share one decoder and one resampling filter (torchaudio's windowed sinc), so the
windows of a long file are, sample by sample, those of the file read at once.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil, gcd
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from common.data.container import Gaps, main_sound
from common.data.media import MediaError, decoder_words, fault_of, is_utf8
from common.data.mono import MonoMix

SAMPLE_RATE_HZ = 16_000
MIN_S = 0.025  # one frame of a speech encoder sees this much; shorter audio gives no frame
MOST_PEAK = 8.0  # lossy codecs and float files overshoot full scale; integers mistaken for floats by far more
BLOCK_SAMPLES = 1 << 16
UNKNOWN_SIZE = 0x7FFF_F000  # programs that write a wav into a pipe promise about 2 or 4 GiB: size not known


# What decoders raise at sound that they do not expect, beside errors of their own.
ODD = (ValueError, TypeError, RuntimeError)


class AudioError(MediaError):
    """`PATH: reason`, for sound that cannot be used."""


def read_audio(
    path: Path, *, format: str | None = None, rate_hz: int = SAMPLE_RATE_HZ
) -> Float32[ndarray, " sample"]:
    """All samples of a file, mono, in [-1, 1], at `rate_hz`.

    Args:
        format: forces a demuxer of FFmpeg, for files without a header: "g722", "mp3"; raw samples name their
            rate, as "u8:11025".

    Raises:
        AudioError: no such file, empty, no sound in it, undecodable, broken off (with both lengths), samples that
            are not numbers or beyond full scale, or shorter than `MIN_S`.
    """
    _check_file(path)
    return _whole(_Decoder(path, path, format), rate_hz)


def decode_audio(
    content: bytes, *, name: Path, format: str | None = None, rate_hz: int = SAMPLE_RATE_HZ
) -> Float32[ndarray, " sample"]:
    """As `read_audio`, of bytes in memory; errors call them `name`."""
    if not content:
        raise AudioError(name, "is empty (0 bytes)")
    return _whole(_Decoder(name, content, format), rate_hz)


def stream_audio(
    path: Path, *, window_s: float, hop_s: float, rate_hz: int = SAMPLE_RATE_HZ
) -> Iterator[tuple[float, Float32[ndarray, " sample"]]]:
    """(start in seconds, samples) of windows that overlap by `window_s - hop_s`; the last may be shorter.

    Holds one window and one block, however long the file is. Every sample is in some window.

    Raises:
        AudioError: as `read_audio`; what is wrong late in a file is found late.
    """
    if not 0 < hop_s <= window_s:
        raise ValueError(f"hop_s must be in (0, window_s = {window_s:g}], got {hop_s:g}")
    _check_file(path)
    window, hop = round(window_s * rate_hz), round(hop_s * rate_hz)
    if hop < 1:
        raise ValueError(f"hop_s must hold a sample at {rate_hz} Hz, got {hop_s:g}")
    held, start, done = np.zeros(0, np.float32), 0, 0
    for block in _resampled(_Decoder(path, path, None), rate_hz):
        held = np.concatenate([held, block])
        while len(held) >= window:
            yield start / rate_hz, held[:window].copy()
            held, start, done = held[hop:], start + hop, start + window
    if start + len(held) < MIN_S * rate_hz:
        raise AudioError(path, _too_short(start + len(held), rate_hz))
    if start + len(held) > done:
        yield start / rate_hz, held


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a file says of its sound."""

    rate_hz: int
    duration_s: float | None  # None where the header does not say
    can_seek: bool  # libsndfile finds any sample of it without decoding what is before


def probe_audio(path: Path) -> AudioInfo:
    """Reads a file's header.

    Raises:
        AudioError: no such file, empty, or no sound in it.
    """
    _check_file(path)
    return _Decoder(path, path, None).info()


# ---- decoding


def _check_file(path: Path) -> None:
    if fault := fault_of(path):
        raise AudioError(path, fault)


def _too_short(samples: int, rate_hz: int) -> str:
    return f"must last at least {MIN_S:g} s, got {samples / rate_hz:.4f} s"


def _whole(decoder: _Decoder, rate_hz: int) -> Float32[ndarray, " sample"]:
    samples = np.concatenate([np.zeros(0, np.float32), *_resampled(decoder, rate_hz)])
    if len(samples) < MIN_S * rate_hz:
        raise AudioError(decoder.name, _too_short(len(samples), rate_hz))
    return samples


class _Decoder:
    """Mono blocks of one source at its own rate; every fault of a decoder becomes an AudioError."""

    def __init__(self, name: Path, source: Path | bytes, format: str | None):
        self.name, self.source, self.format = name, source, format
        self.rate_hz = 0  # known once the first block is out
        self.can_seek = False  # until libsndfile says so

    def _source(self) -> Any:
        """As both decoders take it; afresh, so that one may try after the other."""
        # Of a relative name such as "http:a.mp3" FFmpeg would take the beginning for a protocol.
        if isinstance(self.source, bytes):
            return io.BytesIO(self.source)
        # Neither takes a name that is no text.
        return str(self.source.absolute()) if is_utf8(self.source) else open(self.source, "rb")

    def _file(self) -> Any:
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else open(self.source, "rb")

    def blocks(self) -> Iterator[Float32[ndarray, " sample"]]:
        yield from MonoMix().all_of(self._channels())

    def _channels(self) -> Iterator[Float32[ndarray, "sample channel"]]:
        sound = None if self.format else self._opened_by_soundfile()
        for block in self._by_soundfile(sound) if sound else self._by_pyav():
            if not np.isfinite(block).all():
                raise AudioError(self.name, "holds samples that are not numbers (NaN or infinity)")
            peak = float(np.abs(block).max(initial=0))
            if peak > MOST_PEAK:
                raise AudioError(self.name, f"samples must lie in [-1, 1], got {peak:.4g}; scale the file")
            yield block

    def info(self) -> AudioInfo:
        sound = self._opened_by_soundfile()
        if sound:
            with sound:
                return AudioInfo(sound.samplerate, float(sound.frames / sound.samplerate), self.can_seek)
        with self._opened_by_pyav() as container:
            lasts_s, stream = None, _sound_of(container)
            if stream.duration:
                lasts_s = float(((stream.start_time or 0) + stream.duration) * stream.time_base)
                lasts_s -= (container.start_time or 0) / 1_000_000
            elif container.duration:
                lasts_s = container.duration / 1_000_000
            return AudioInfo(stream.rate, lasts_s, self.can_seek)

    def _opened_by_soundfile(self) -> Any:
        import soundfile

        self._check_wav()
        try:
            sound = soundfile.SoundFile(self._source())
            self.can_seek = sound.seekable()
            if sound.format != "MP3":
                return sound
            sound.close()  # it seeks between blocks, and an mp3 then has some hundred wrong samples at each
            return None
        except (soundfile.SoundFileError, *ODD):  # not one of its formats; PyAV has the last word
            return None

    def _by_soundfile(self, sound: Any) -> Iterator[ndarray]:
        import soundfile

        with sound:
            self.rate_hz, read = sound.samplerate, 0
            try:
                # Its own `blocks` refuses GSM and other kinds in which it finds no place.
                while len(block := sound.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
                    read += len(block)
                    yield block
            except (soundfile.SoundFileError, *ODD) as error:
                raise AudioError(self.name, f"cannot be decoded after {read} samples: {error}") from error
            if read < sound.frames:
                raise AudioError(self.name, f"breaks off: promises {sound.frames} samples, has {read}")

    def _check_wav(self) -> None:
        """Decoders read a wav that breaks off without a word, so its chunks are walked first."""
        with self._file() as file:
            content = file.read(12)
            size = file.seek(0, io.SEEK_END)
            at = 12
            while content[:4] == b"RIFF" and content[8:] == b"WAVE" and at + 8 <= size:
                file.seek(at)
                kind, promised = struct.unpack("<4sI", file.read(8))
                if kind == b"data" and promised < UNKNOWN_SIZE and promised > size - at - 8:
                    raise AudioError(
                        self.name, f"breaks off: promises {promised} bytes of samples, has {size - at - 8}"
                    )
                at += 8 + promised + promised % 2

    def _opened_by_pyav(self) -> Any:
        import av

        demuxer, _, raw_rate = (self.format or "").partition(":")
        options = {"sample_rate": raw_rate} if raw_rate else {}
        try:
            container = av.open(self._source(), format=demuxer or None, options=options)
        except (av.FFmpegError, *ODD) as error:
            raise AudioError(self.name, f"cannot be read as audio: {decoder_words(error)}") from error
        if not container.streams.audio:
            kinds = ", ".join(stream.type for stream in container.streams) or "nothing"
            container.close()
            raise AudioError(self.name, f"has no sound, only {kinds}")
        return container

    def _by_pyav(self) -> Iterator[ndarray]:
        import av

        with self._opened_by_pyav() as container:
            stream, read, gaps = _sound_of(container), 0, Gaps(container)
            as_floats, made_for = None, None
            try:
                for packet in container.demux(stream):
                    if packet.is_corrupt:
                        raise AudioError(self.name, f"breaks off or is damaged after {read} samples")
                    for frame in packet.decode():
                        self.rate_hz = self.rate_hz or frame.sample_rate
                        for silence in gaps.before(frame, read, self.rate_hz):
                            read += len(silence)
                            yield silence
                        kind = frame.format.name, frame.layout.name, frame.sample_rate
                        if kind != made_for:  # some streams change on their way; the first rate stays
                            yield from _floats(as_floats, None)
                            as_floats = av.AudioResampler("fltp", frame.layout, self.rate_hz)
                            made_for = kind
                        for piece in _floats(as_floats, frame):
                            read += len(piece)
                            yield piece
                yield from _floats(as_floats, None)
            except AudioError:
                raise
            except (av.FFmpegError, *ODD) as error:
                raise AudioError(
                    self.name, f"cannot be decoded after {read} samples: {decoder_words(error)}"
                ) from error


def _sound_of(container: Any) -> Any:
    stream = main_sound(container)
    assert stream is not None
    return stream


def _floats(resampler: Any, frame: Any) -> Iterator[Float32[ndarray, "sample channel"]]:
    """What a resampler makes of a frame; of None, what it held back."""
    for piece in resampler.resample(frame) if resampler else ():
        yield piece.to_ndarray().T


# ---- resampling


@cache
def _filter(from_hz: int, to_hz: int) -> Any:
    import torchaudio

    return torchaudio.transforms.Resample(from_hz, to_hz)  # as functional.resample, its kernel kept


def _resampled(decoder: _Decoder, rate_hz: int) -> Iterator[Float32[ndarray, " sample"]]:
    """Blocks at `rate_hz`, equal to those of the whole signal resampled at once.

    The filter turns every `step` samples into `made` and looks `reach` steps to either side; blocks are cut at
    whole steps and resampled with their neighbourhood.
    """
    held, before = np.zeros(0, np.float32), 0  # samples not passed on, after `before` steps of the past
    for block in decoder.blocks():
        if decoder.rate_hz == rate_hz:
            yield np.clip(block, -1, 1)
            continue
        held = np.concatenate([held, block])
        step, reach = _step_and_reach(decoder.rate_hz, rate_hz)
        ready = len(held) // step - reach - before
        if ready * step >= BLOCK_SAMPLES:
            yield _cut(held, before, ready, decoder.rate_hz, rate_hz)
            kept = max(0, before + ready - reach)
            held, before = held[kept * step :], before + ready - kept
    if len(held):
        yield _cut(held, before, None, decoder.rate_hz, rate_hz)


def _step_and_reach(from_hz: int, to_hz: int) -> tuple[int, int]:
    step = from_hz // gcd(from_hz, to_hz)
    return step, ceil(_filter(from_hz, to_hz).width / step)


def _cut(
    held: Float32[ndarray, " sample"], before: int, ready: int | None, from_hz: int, to_hz: int
) -> Float32[ndarray, " resampled"]:
    """Resamples `held` and cuts out `ready` steps (None: all) after the first `before`."""
    import torch  # here, because judging reads hashes of recordings and needs none

    made = to_hz // gcd(from_hz, to_hz)
    with torch.no_grad():
        samples = _filter(from_hz, to_hz)(torch.from_numpy(np.ascontiguousarray(held))).numpy()
    stop = None if ready is None else (before + ready) * made
    return np.clip(samples[before * made : stop], -1, 1)
