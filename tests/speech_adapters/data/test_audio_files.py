"""Crops of sound files are slices of the whole, however they are stored."""

import tracemalloc

import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from radio_files import RATE, SOURCE, as_m4a, everything, noise, record

from common.data.audio import read_audio
from speech_adapters.data import audio_files, crops

# ---- crops


def at_once(path):
    """All of a file. `read_audio` reads in blocks, after each of which soundfile jumps: an mp3 then has a click."""
    if path.suffix == ".m4a":
        return read_audio(path)
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return torchaudio.functional.resample(torch.from_numpy(samples.mean(1)), rate_hz, RATE).numpy()


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels"),
    [
        ("a.wav", 16_000, 1), ("a.wav", 8_000, 1), ("a.flac", 44_100, 2), ("a.ogg", 22_050, 1), ("a.mp3", 22_050, 1),
        ("a.mp3", 44_100, 2), ("a.aiff", 48_000, 1), ("a.m4a", 44_100, 1), ("a.m4a", 16_000, 1),
    ],
)  # fmt: skip
def test_a_crop_is_that_slice_of_the_whole_recording(radio, name, rate_hz, channels):
    radio.mkdir()
    if name.endswith("m4a"):
        as_m4a(radio / name, 24.0, rate_hz)
    else:
        record(radio / name, 24.0, rate_hz, channels)
    SOURCE.prepare()
    recording, whole = everything()[name], at_once(radio / name)
    assert 0 <= len(whole) - recording.samples <= 1
    level = 0.9 * 32767 / recording.peak
    rng = np.random.default_rng(0)
    begins = [
        0,
        1,
        159,
        160,
        recording.samples - 4000,
        *rng.integers(0, recording.samples - 4000, 12).tolist(),
    ]
    for begin in begins:
        got, expected = recording.waveform(begin, begin + 4000), whole[begin : begin + 4000] * level
        assert np.abs(got - expected).max() <= 1.5  # rounded, of 32767


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_the_end_of_an_ogg_is_where_it_is(radio, rate_hz):
    """Its last page, here of seconds, is one that libsndfile jumps past or short of."""
    radio.mkdir()
    soundfile.write(radio / "a.ogg", 0.3 * np.sin(0.001 * np.arange(11 * rate_hz) ** 1.2), rate_hz)
    whole = at_once(radio / "a.ogg")
    for begin in range(len(whole) - 40_000, len(whole) - 4_000, 3_000):
        crop = audio_files.crop(radio / "a.ogg", rate_hz, begin, begin + 4_000)
        np.testing.assert_allclose(crop, whole[begin : begin + 4_000], atol=1e-5)


def test_a_crop_of_an_mp3_has_what_earlier_frames_keep_for_it(radio):
    """White noise fills them to the last bit."""
    radio.mkdir()
    soundfile.write(radio / "a.mp3", np.random.default_rng(0).normal(0, 0.1, 24 * 22_050), 22_050)
    whole = at_once(radio / "a.mp3")
    for begin in range(20_000, 200_000, 3_001):
        crop = audio_files.crop(radio / "a.mp3", 22_050, begin, begin + 4_000)
        np.testing.assert_allclose(crop, whole[begin : begin + 4_000], atol=1e-5)


def test_weights_computed_where_needed_are_those_of_the_table(radio, monkeypatch):
    for rate_hz in (8_000, 22_050, 44_100):
        record(radio / "a.wav", 1.0, rate_hz)
        for begin, end in ((0, 900), (5_000, 9_000), (15_000, 16_000)):
            table = audio_files.crop(radio / "a.wav", rate_hz, begin, end)
            with monkeypatch.context() as patch:
                patch.setattr(audio_files, "MOST_WEIGHTS", 0)
                computed = audio_files.crop(radio / "a.wav", rate_hz, begin, end)
            np.testing.assert_allclose(computed, table, atol=2e-5)


def test_a_tone_of_an_odd_rate_stays_that_tone(radio):
    """A table of weights from 11127 Hz to 16 kHz would hold 180 million."""
    radio.mkdir()
    soundfile.write(radio / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * 11_127) / 11_127), 11_127)
    crop = audio_files.crop(radio / "a.wav", 11_127, 20_000, 40_000)
    np.testing.assert_allclose(
        crop, 0.5 * np.sin(2 * np.pi * 440 * np.arange(20_000, 40_000) / RATE), atol=2e-3
    )


def test_a_recording_is_brought_to_the_peak_of_all_sources(radio):
    radio.mkdir()
    for name, loud in (("quiet.wav", 0.005), ("loud.wav", 0.2)):
        soundfile.write(radio / name, noise(0.5, loud=loud), RATE, subtype="FLOAT")
    SOURCE.prepare()
    for recording in everything().values():
        assert np.abs(recording.waveform(0, recording.samples)).max() == pytest.approx(0.9 * 32767, abs=1)


def test_an_hour_is_never_in_memory(radio):
    """As floats at 16 kHz it takes 230 MB."""
    radio.mkdir()
    with soundfile.SoundFile(radio / "long.wav", "w", 8000, 1, "PCM_U8") as file:
        for minute in range(61):
            file.write(noise(60, 8000, seed=minute))
    tracemalloc.start()
    found = audio_files.examine(radio / "long.wav")
    crop = audio_files.crop(radio / "long.wav", 8000, 50_000_000, 50_000_000 + 8 * RATE)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found["samples"], found["fault"]) == (61 * 60 * RATE, "")
    assert found["told"] == ["long: lasts 1.02 h"]
    assert len(crop) == 8 * RATE
    assert peak_bytes < 16e6


def test_a_long_recording_is_cut_in_crops_that_cover_it_once(radio):
    record(radio / "a.flac", 10.0, 44_100)
    SOURCE.prepare()
    (recording,) = everything().values()
    drawn = list(crops.consecutive(SOURCE, recording.part, 3 * RATE))
    assert [crop.end - crop.begin for crop in drawn] == [3 * RATE] * 3 + [RATE]
    joined = np.concatenate([crop.waveform() for crop in drawn])
    np.testing.assert_array_equal(joined, recording.waveform(0, 10 * RATE))
