"""One file of sound, however long: what is wrong with it, and any crop of it without the rest.

Somebody's collection holds everything. What a file is found to be stands in the first word of what is said of it.

    corrupt     cannot be decoded from its first sample to its last
    short       lasts less than `LEAST_S`
    silent      stays below `SILENT_PEAK`
    clipped     has more than `MOST_CLIPPED` of its samples at full scale; from `CLIPPED` on that is told, no fault
    long        lasts more than `LONG_S`; no fault
    cut         ends before its own sizes say; what is there is used, no fault
    unseekable  is of a format whose crops cost decoding all before them; no fault
"""

from __future__ import annotations

from functools import cache
from math import ceil, gcd
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from common.data.audio import ODD, AudioInfo, probe_audio, stream_audio
from common.data.cut_off import missing_sound
from common.data.mono import MonoMix
from common.data.packages import file_sha256
from speech_adapters.data.decoding import LEAST_S
from speech_adapters.model.architecture import SAMPLE_RATE_HZ

SILENT_PEAK = 1e-3  # of full scale: -60 dB
FULL_SCALE = 0.999
CLIPPED, MOST_CLIPPED = 0.01, 0.1  # shares of samples; of a full-scale tone it is 0.03, of clean speech 0
LONG_S = 3600.0
RULES = (1, LEAST_S, SILENT_PEAK, FULL_SCALE, CLIPPED, MOST_CLIPPED, LONG_S)  # raise the first for new code
WINDOW_S = 10.0  # in memory while a file is examined
RUN_UP = 8192  # samples decoded before a crop: an mp3's frames use bits of those before them
LAST_PAGE_S = 10.0  # never jumped into: libsndfile 1.2.2 misses its place in the last page of an ogg
MARGIN_S = 0.01  # on either side of a crop, for the filter that resamples it
MOST_WEIGHTS = 1_000_000  # of a filter kept as a table; from 11127 Hz, say, it would be 180 million


def identity(path: Path) -> tuple[int, int]:
    """Bytes and nanoseconds of the last change, cheap enough to ask of every file at every start; 0, 0 of none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def examine(path: Path) -> dict[str, Any]:
    """Decodes all of a file, a window at a time.

    Returns:
        bytes, mtime_ns and sha256 of the file, its rate_hz, how many samples it has at 16 kHz, its peak, its fault
        ("" where it has none) and what else is told of it.
    """
    found = crashed(path)  # unless we come back
    try:
        info = probe_audio(path)
        found["sha256"] = file_sha256(path)
        if info.duration_s is not None and info.duration_s < LEAST_S:
            return found | {"fault": f"short: lasts {info.duration_s:.4f} s, under {LEAST_S:g} s"}
        return found | _decoded(path, info)
    except Exception as error:  # whatever a decoder raises is what the list is for
        return found | {"fault": f"corrupt: {str(error).removeprefix(f'{path}: ')}"}


def crashed(path: Path) -> dict[str, Any]:
    """What `examine` would have said of a file that ended its process."""
    size, mtime_ns = identity(path)
    unknown = {"rate_hz": 0, "samples": 0, "peak": 0.0, "fault": "corrupt: crashes its decoder", "told": []}
    return {"bytes": size, "mtime_ns": mtime_ns, "sha256": "", **unknown}


def _decoded(path: Path, info: AudioInfo) -> dict[str, Any]:
    rate_hz = info.rate_hz
    length, full, peak = 0, 0, 0.0
    for _, window in stream_audio(path, window_s=WINDOW_S, hop_s=WINDOW_S, rate_hz=rate_hz):
        loud = np.abs(window)
        length, peak, full = (
            length + len(window),
            max(peak, float(loud.max())),
            full + int((loud >= FULL_SCALE).sum()),
        )
    lasts_s, share = length / rate_hz, full / length
    clipped = f"clipped: {100 * share:.3g} % of its samples are at full scale"
    fault = ""
    if lasts_s < LEAST_S:
        fault = f"short: lasts {lasts_s:.4f} s, under {LEAST_S:g} s"
    elif peak < SILENT_PEAK:
        fault = f"silent: its peak {peak:.2g} is below {SILENT_PEAK:g} of full scale"
    elif share > MOST_CLIPPED:
        fault = f"{clipped}, over {100 * MOST_CLIPPED:g} %"
    missing = missing_sound(path)
    told = {
        clipped: share > CLIPPED,
        f"long: lasts {lasts_s / 3600:.2f} h": lasts_s > LONG_S,
        f"cut: it {missing}": bool(missing),
        f"unseekable: {path.suffix} is decoded from its beginning for every crop; flac would not be": not info.can_seek,
    }
    samples = length * SAMPLE_RATE_HZ // rate_hz
    said = [] if fault else [sentence for sentence, holds in told.items() if holds]
    return {"rate_hz": rate_hz, "samples": samples, "peak": peak, "fault": fault, "told": said}


# ---- crops


def crop(path: Path, rate_hz: int, begin: int, end: int) -> Float32[ndarray, " sample"]:
    """Samples `begin` to before `end` at 16 kHz, those of the whole file resampled.

    Args:
        rate_hz: the file's own, as `examine` found it.

    Raises:
        ValueError: there is no such sound in the file.
        OSError: there is no such file, or it cannot be read.
    """
    shared = gcd(rate_hz, SAMPLE_RATE_HZ)
    step, made = rate_hz // shared, SAMPLE_RATE_HZ // shared  # so many samples become so many
    margin = ceil(MARGIN_S * rate_hz)
    first, stop = max(0, begin * step // made - margin), ceil(end * step / made) + margin
    if step == made:
        sound = _samples(path, rate_hz, begin, end)
    elif step * made > MOST_WEIGHTS:
        sound = _interpolated(_samples(path, rate_hz, first, stop), first, rate_hz, begin, end)
    else:
        steps = first // step
        held = _resampled(_samples(path, rate_hz, steps * step, stop), rate_hz)
        sound = held[begin - steps * made : end - steps * made]
    if len(sound) != end - begin or not np.isfinite(sound).all():
        raise ValueError(f"has no sound from sample {begin} to {end}")
    return np.clip(sound, -1, 1)


def _samples(path: Path, rate_hz: int, first: int, stop: int) -> Float32[ndarray, " sample"]:
    """Mono samples at the file's own rate; fewer where it ends before."""
    import soundfile

    try:
        # A handle of its own for every crop: libsndfile 1.2.2 jumps back in an ogg to a wrong place.
        with soundfile.SoundFile(str(path)) as sound:
            if sound.seekable():
                begin = max(0, min(first, sound.frames - round(LAST_PAGE_S * rate_hz)) - RUN_UP)
                sound.seek(begin)
                block = sound.read(stop - begin, dtype="float32", always_2d=True)
                return MonoMix().of([block[first - begin :]])[0]
    except (soundfile.SoundFileError, *ODD):
        pass  # not one of its formats
    parts = [np.zeros(0, np.float32)]
    for start_s, window in stream_audio(path, window_s=WINDOW_S, hop_s=WINDOW_S, rate_hz=rate_hz):
        at = round(start_s * rate_hz)
        parts.append(window[max(0, first - at) : max(0, stop - at)])
        if at + len(window) >= stop:
            break
    return np.concatenate(parts)


@cache
def _filter(rate_hz: int) -> Any:
    import torchaudio

    return torchaudio.transforms.Resample(rate_hz, SAMPLE_RATE_HZ)


def _resampled(held: Float32[ndarray, " held"], rate_hz: int) -> Float32[ndarray, " sample"]:
    import torch

    with torch.no_grad():
        sound: ndarray = _filter(rate_hz)(torch.from_numpy(held)).numpy()
    return sound


def _interpolated(
    held: Float32[ndarray, " held"], first: int, rate_hz: int, begin: int, end: int
) -> Float32[ndarray, " sample"]:
    """The same filter, a sinc under a Hann window over 6 zeros to either side, its weights computed where needed.

    Args:
        held: samples from `first` on at the file's own rate; before and after it there is silence.
    """
    zeros, cut_off = 6, 0.99 * min(1.0, SAMPLE_RATE_HZ / rate_hz)  # of half the rate; torchaudio's defaults
    reach = ceil(zeros / cut_off) + 1
    padded, parts = np.pad(held, reach), []
    for part in np.array_split(np.arange(begin, end), ceil((end - begin) / SAMPLE_RATE_HZ)):
        place = part * (rate_hz / SAMPLE_RATE_HZ) - first
        near = np.floor(place).astype(np.int64)[:, None] + np.arange(1 - reach, reach + 1)
        distance = ((near - place[:, None]) * cut_off).clip(-zeros, zeros)
        weights = cut_off * np.sinc(distance) * np.cos(distance * (np.pi / 2 / zeros)) ** 2
        parts.append((weights * padded[(near + reach).clip(0, len(padded) - 1)]).sum(axis=1))
    return np.concatenate(parts).astype(np.float32)
