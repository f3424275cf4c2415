"""Laws of the test utterances that a scoring run keeps: plain WAV files, bit for bit, at most 16 s."""

import wave

import numpy as np

from speech_adapters.asr.kept_sounds import read_words, save_audio, save_words
from speech_adapters.data.text import Vocabulary


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


def test_words_are_kept_with_their_times(tmp_path):
    import torch

    vocabulary = Vocabulary.of("en")
    path = [0, *vocabulary.encode("a"), 0, *vocabulary.encode("b c")]
    log_probs = torch.full((len(path), len(vocabulary.symbols)), -20.0)
    log_probs[range(len(path)), path] = 0.0
    sound = save_audio(tmp_path, "x/1", np.zeros(160, np.int16))
    assert read_words(sound) == ()
    save_words(tmp_path, "x/1", log_probs.log_softmax(1), vocabulary, 0.5)
    assert [word.text for word in read_words(sound)] == ["ab", "c"]
    first, second = read_words(sound)
    assert 0.0 <= first.start_s < first.stop_s <= second.start_s < second.stop_s <= 0.5 * len(path)
