"""Parts of files as encoders take them: frames at a fixed rate and mono sound, of exactly the length asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from common.data.audio import SAMPLE_RATE_HZ, AudioError, stream_audio
from common.data.video import frames_at

BEYOND = ("black", "repeat")


def read_clip(
    path: Path, start_s: float, num_frames: int, rate_hz: float, beyond: str = "black"
) -> UInt8[ndarray, "time height width 3"]:
    """Frames on screen at `start_s`, `start_s + 1 / rate_hz`, ...; decodes from the file's beginning to the last.

    Args:
        beyond: what stands behind the file's end: "black", as MIL-NCE's code fills up, or the clip's frames again from
            its first ("repeat"), as MMV's does, up to which of a pair of frames begins anew.

    Raises:
        MediaError: as `common.data.video.frames_at`; also where the file ends before `start_s`.
    """
    if start_s < 0 or num_frames < 1 or not rate_hz > 0:
        raise ValueError(f"needs start_s >= 0, frames and a rate, got {start_s:g}, {num_frames}, {rate_hz:g}")
    if beyond not in BEYOND:
        raise ValueError(f"beyond must be one of {', '.join(BEYOND)}, got {beyond!r}")
    times_s = [start_s + i / rate_hz for i in range(num_frames)]
    found = [frame.rgb() for frame in frames_at(path, times_s)]
    num_found = len(found)
    for i in range(num_found, num_frames):
        found.append(np.zeros_like(found[0]) if beyond == "black" else found[i % num_found])
    return np.stack(found)


def read_sound(
    path: Path, start_s: float, length_s: float, rate_hz: int = SAMPLE_RATE_HZ
) -> Float32[ndarray, " sample"]:
    """Mono samples in [-1, 1] from `start_s`, with silence behind the file's end; stops decoding at the last.

    Raises:
        AudioError: as `common.data.audio.read_audio`; also where the sound ends before `start_s`.
    """
    if start_s < 0 or not length_s > 0:
        raise ValueError(f"needs start_s >= 0 and length_s > 0, got {start_s:g} and {length_s:g}")
    first, length = round(start_s * rate_hz), round(length_s * rate_hz)
    pieces, read = [], 0
    for _, block in stream_audio(path, window_s=1.0, hop_s=1.0, rate_hz=rate_hz):
        pieces.append(block[max(0, first - read) :])
        read += len(block)
        if read >= first + length:
            break
    if read <= first:
        raise AudioError(path, f"ends before {start_s:g} s, lasts {read / rate_hz:.3f} s")
    samples = np.concatenate(pieces)[:length]
    return np.pad(samples, (0, length - len(samples)))
