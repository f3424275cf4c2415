"""Laws of the examples that a scoring run keeps: plain WAV files, short, and errors shown where they are."""

import wave

import numpy as np
import pytest

from speech_adapters.asr.kept_sounds import save_audio
from speech_adapters.asr.panels import marked


def test_a_saved_clip_is_the_waveform_bit_for_bit(tmp_path):
    waveform = np.array([0, 1, -1, 32_767, -32_768], np.int16)
    path = save_audio(tmp_path / "new", "asterisk-en/digits/1", waveform)
    assert path.name == "asterisk-en--digits--1.wav"
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert np.array_equal(np.frombuffer(file.readframes(10), "<i2"), waveform)


def test_a_long_clip_is_cut_at_16_seconds(tmp_path):
    path = save_audio(tmp_path, "long", np.zeros(20 * 16_000, np.int16))
    with wave.open(str(path)) as file:
        assert file.getnframes() == 16 * 16_000


@pytest.mark.parametrize(
    ("reference", "hypothesis", "shown"),
    [
        ("press one now", "press one now", "press one now"),
        ("press one now", "press won now", "press [one→won] now"),
        ("press one now", "press now", "press [one→–] now"),
        ("press now", "press one now", "press [–→one] now"),
        ("press one now", "", "[press one now→–]"),
        ("press one now please", "dress won now", "[press one→dress won] now [please→–]"),
    ],
)
def test_errors_are_marked_where_they_are(reference, hypothesis, shown):
    assert marked(reference, hypothesis) == shown
