"""Odd formats are read, broken files are named, and a stream is the whole file in windows."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from common.data.audio import (
    MIN_S,
    AudioError,
    decode_audio,
    probe_audio,
    read_audio,
    stream_audio,
)
from common.data.media import MediaError


def tone(rate_hz, duration_s=0.5, hz=440.0):
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * duration_s)) / rate_hz)).astype(
        np.float32
    )


def written(path, samples, rate_hz, **options):
    soundfile.write(path, samples, rate_hz, **options)
    return path


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_any_rate_becomes_the_same_tone(tmp_path, rate_hz):
    path = written(tmp_path / "a.wav", tone(rate_hz), rate_hz, subtype="FLOAT")
    samples = read_audio(path)
    assert len(samples) == 8_000
    np.testing.assert_allclose(samples[800:-800], tone(16_000)[800:-800], atol=3e-3)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_resampling_is_torchaudios(tmp_path, rate_hz):
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 3 * rate_hz).astype(np.float32)
    ours = read_audio(written(tmp_path / "a.wav", noise, rate_hz, subtype="FLOAT"))
    theirs = torchaudio.functional.resample(torch.from_numpy(noise), rate_hz, 16_000).numpy()
    # torchaudio computes the filter of `functional` in single precision, that of `transforms` in double.
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_channels_are_averaged(tmp_path):
    stereo = np.stack([tone(16_000), -0.5 * tone(16_000)], 1)
    path = written(tmp_path / "a.wav", stereo, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path), 0.25 * tone(16_000), atol=1e-7)


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("8-bit.wav", {"subtype": "PCM_U8"}, 1 / 128),
        ("24-bit.wav", {"subtype": "PCM_24"}, 1e-6),
        ("16-bit.flac", {}, 1 / 32768),
        ("ulaw.wav", {"subtype": "ULAW"}, 0.02),
        ("vorbis.ogg", {"format": "OGG", "subtype": "VORBIS"}, 0.05),
    ],
)
def test_formats_of_speech_corpora_are_read(tmp_path, name, options, tolerance):
    path = written(tmp_path / name, tone(16_000), 16_000, **options)
    assert np.abs(read_audio(path) - tone(16_000)).max() < tolerance
    assert probe_audio(path).duration_s == pytest.approx(0.5)


def encoded(path, samples, codec, rate_hz=16_000, picture=False):
    import av

    with av.open(str(path), "w") as container:
        film = container.add_stream("mpeg4", rate=10) if picture else None
        stream = container.add_stream(codec, rate=rate_hz)
        stream.layout = "mono"
        if film:
            film.width = film.height = 32
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux([*film.encode(frame), *film.encode(None)])
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate = rate_hz
        resampler = av.AudioResampler(
            stream.codec_context.format, "mono", rate_hz, frame_size=stream.frame_size
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def test_raw_g722_is_read_when_named(tmp_path):
    path = encoded(tmp_path / "a.g722", tone(16_000), "g722")
    samples = read_audio(path, format="g722")
    assert len(samples) == 8_000
    assert (
        np.corrcoef(samples[22:], tone(16_000)[:-22])[0, 1] > 0.99
    )  # the codec's filters delay by 22 samples


def test_raw_8_bit_samples_name_their_rate():
    content = (128 + 127 * tone(8_000)).astype(np.uint8).tobytes()
    samples = decode_audio(content, name=Path("a.als"), format="u8:8000")
    assert len(samples) == 8_000
    np.testing.assert_allclose(samples[800:-800], tone(16_000)[800:-800], atol=0.02)


def test_the_sound_of_a_video_is_read(tmp_path):
    path = encoded(tmp_path / "a.mkv", tone(16_000), "pcm_s16le", picture=True)
    assert np.abs(read_audio(path) - tone(16_000)).max() < 1e-3


def test_bytes_in_memory_are_as_the_file(tmp_path):
    path = written(tmp_path / "a.wav", tone(11_025), 11_025)
    np.testing.assert_array_equal(decode_audio(path.read_bytes(), name=path), read_audio(path))


def wav_of(tmp_path, change):
    path = written(tmp_path / "a.wav", tone(16_000), 16_000)
    path.write_bytes(change(path.read_bytes()))
    return path


def float_wav(tmp_path, value):
    samples = tone(16_000)
    samples[100] = value
    return written(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")


BROKEN = {
    "empty": (lambda at: wav_of(at, lambda content: b""), r"is empty \(0 bytes\)"),
    "missing": (lambda at: at / "none.wav", "no such file"),
    "folder": (lambda at: at, "is a folder"),
    "truncated": (lambda at: wav_of(at, lambda c: c[:9_044]), "promises 16000 bytes of samples, has 9000"),
    "header cut": (lambda at: wav_of(at, lambda c: c[:20]), "cannot be read as audio"),
    "text": (lambda at: wav_of(at, lambda c: b"it was a dark night\n" * 40), "cannot be read|has no sound"),
    "NaN": (lambda at: float_wav(at, np.nan), "not numbers"),
    "infinite": (lambda at: float_wav(at, np.inf), "not numbers"),
    "integers as floats": (lambda at: float_wav(at, 32_000.0), "got 3.2e"),
    "0.01 s": (
        lambda at: written(at / "a.wav", tone(16_000, 0.01), 16_000),
        "at least 0.025 s, got 0.0100 s",
    ),
    "no samples": (lambda at: written(at / "a.wav", tone(16_000, 0), 16_000), "got 0.0000 s"),
    "flac cut": (
        lambda at: cut(written(at / "a.flac", np.random.default_rng(0).uniform(-1, 1, 48_000), 16_000)),
        "breaks off|cannot be decoded",
    ),
}


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, kind):
    make, says = BROKEN[kind]
    path = make(tmp_path)
    with pytest.raises(AudioError, match=says) as caught:
        read_audio(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert isinstance(caught.value, MediaError)


def test_a_wav_from_a_pipe_promises_too_much_and_is_read(tmp_path):
    path = wav_of(tmp_path, lambda c: c[:40] + struct.pack("<I", 0xFFFF_FFFF) + c[44:])
    assert len(read_audio(path)) == 8_000


def test_a_video_without_sound_is_named(tmp_path):
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        film = container.add_stream("mpeg4", rate=10)
        film.width = film.height = 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux([*film.encode(frame), *film.encode(None)])
    with pytest.raises(AudioError, match="has no sound, only video"):
        read_audio(path)


@pytest.mark.parametrize("rate_hz", [11_025, 16_000, 44_100])
@pytest.mark.parametrize(("window_s", "hop_s"), [(2.0, 1.5), (1.0, 1.0), (60.0, 60.0)])
def test_windows_of_a_stream_are_cut_out_of_the_whole(tmp_path, rate_hz, window_s, hop_s):
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 8 * rate_hz + 77).astype(np.float32)
    path = written(tmp_path / "a.wav", noise, rate_hz, subtype="FLOAT")
    whole, covered = read_audio(path), 0
    for start_s, window in stream_audio(path, window_s=window_s, hop_s=hop_s):
        start = round(start_s * 16_000)
        np.testing.assert_array_equal(window, whole[start : start + len(window)])
        assert start <= covered < start + len(window)
        covered = start + len(window)
    assert covered == len(whole)


def test_streaming_starts_before_the_file_is_read(tmp_path, monkeypatch):
    """One window and one block are held: the first window comes when a tenth of the file was decoded."""
    from common.data import audio

    decoded = []
    blocks = audio._Decoder.blocks
    counted = lambda self: (decoded.append(len(b)) or b for b in blocks(self))  # noqa: E731
    monkeypatch.setattr(audio._Decoder, "blocks", counted)
    path = written(tmp_path / "a.wav", np.zeros(4_000_000, np.float32), 16_000)
    next(stream_audio(path, window_s=1.0, hop_s=1.0))
    assert 16_000 <= sum(decoded) < 400_000


def test_hops_longer_than_windows_would_skip_sound(tmp_path):
    path = written(tmp_path / "a.wav", tone(16_000), 16_000)
    with pytest.raises(ValueError, match=r"hop_s must be in \(0, window_s = 1\], got 2"):
        next(stream_audio(path, window_s=1.0, hop_s=2.0))


def test_a_stream_refuses_what_reading_refuses(tmp_path):
    path = written(tmp_path / "a.wav", tone(16_000, 0.01), 16_000)
    with pytest.raises(AudioError, match=f"at least {MIN_S:g} s"):
        list(stream_audio(path, window_s=1.0, hop_s=1.0))


@pytest.mark.parametrize(("name", "can_seek"), [("a.flac", True), ("a.mp3", True), ("a.m4a", False)])
def test_a_header_tells_rate_length_and_whether_a_place_can_be_sought(tmp_path, name, can_seek):
    path = tmp_path / name
    if name == "a.m4a":
        encoded(path, tone(22_050), "aac", 22_050)
    else:
        written(path, tone(22_050), 22_050)
    info = probe_audio(path)
    assert (info.rate_hz, info.can_seek) == (22_050, can_seek)
    assert info.duration_s == pytest.approx(0.5, abs=0.1)
