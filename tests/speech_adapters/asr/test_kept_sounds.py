"""Laws of the test utterances that a scoring run keeps: plain WAV files, bit for bit, at most 16 s."""

import wave

import numpy as np

from speech_adapters.asr.kept_sounds import save_audio


def test_a_saved_utterance_is_the_waveform_bit_for_bit(tmp_path):
    waveform = np.array([0, 1, -1, 32_767, -32_768], np.int16)
    path = save_audio(tmp_path / "new", "asterisk-en/digits/1", waveform)
    assert path.name == "asterisk-en--digits--1.wav"
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert np.array_equal(np.frombuffer(file.readframes(10), "<i2"), waveform)


def test_a_long_utterance_is_cut_at_16_seconds(tmp_path):
    path = save_audio(tmp_path, "long", np.zeros(20 * 16_000, np.int16))
    with wave.open(str(path)) as file:
        assert file.getnframes() == 16 * 16_000
