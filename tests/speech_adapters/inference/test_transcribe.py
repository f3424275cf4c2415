"""Long audio says what one pass over it says; transcripts are valid files."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speech_adapters.ctc import decoding
from speech_adapters.ctc.decoding import Word
from speech_adapters.data.text import BLANK, BOUNDARY, Vocabulary
from speech_adapters.inference.recogniser import Decoder, Recogniser, SingleModel
from speech_adapters.inference.segments import Segments
from speech_adapters.inference.subtitles import (
    WRITERS,
    as_json,
    as_srt,
    as_text,
    as_vtt,
    clock,
    cues,
    targets,
)
from speech_adapters.inference.transcribe import Transcript, count_windows, transcribe, windows_of
from speech_adapters.inference.windows import Failure, Stitch, Windows
from speech_adapters.model.architecture import TINY
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import Wav2Vec2

ENGLISH = Vocabulary.of("en")
PLAIN = Decoder("plain", "plain", "en", ENGLISH)
CAESAR = Decoder("caesar", "caesar", "en", ENGLISH)  # writes b for a, c for b ...
STRIDE, FIELD, STEP = TINY.stride, TINY.receptive_field, 1 / 64


class Levels:
    """A recogniser that is easy to check: the level in the middle of a frame is its symbol, in steps of 1/64."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def log_probs(self, waveform, num_samples, names):
        self.batches.append(tuple(num_samples.tolist()))
        return [self._of(row[:n], name) for row, n, name in zip(waveform, num_samples, names, strict=True)]

    def _of(self, row, name):
        symbols = (row[FIELD // 2 :: STRIDE][: TINY.num_frames(len(row))] / STEP).round().long()
        if name == "caesar":
            symbols = torch.where(symbols > 1, symbols % 27 + 2, symbols)
        scores = torch.nn.functional.one_hot(symbols, len(ENGLISH)).float()
        return (5 * scores).log_softmax(dim=1)


def recogniser(*decoders: Decoder) -> Recogniser:
    return Recogniser(Levels(), TINY, decoders or (PLAIN,))


def write_speech(path: Path, symbols: list[int]) -> Path:
    """Sound whose frames `Levels` reads as these symbols."""
    samples = np.repeat(np.array(symbols) * STEP, STRIDE)
    soundfile.write(path, np.append(samples, np.zeros(FIELD - STRIDE)), 16_000, subtype="PCM_16")
    return path


def babble(num_frames: int, seed: int, pauses: bool = True) -> list[int]:
    """Symbols of random words, letters held for a frame or three, blanks between them, some long pauses."""
    draw, symbols = random.Random(seed), [0] * 7
    while len(symbols) < num_frames:
        for _ in range(draw.randint(1, 6)):
            symbols += [draw.randint(2, 28)] * draw.randint(1, 3) + [0] * draw.randint(1, 4)
        pause = draw.choice([0, 0, 0, 30, 60, 150]) if pauses else 0
        symbols += [0] * (pause // 2) + [1] * draw.randint(1, 2) + [0] * (pause // 2)
    return symbols[:num_frames]


def heard(path: Path, decoder: Decoder = PLAIN) -> tuple[str, list[Word]]:
    """Text and words of one pass over everything."""
    samples, _ = soundfile.read(path, dtype="float32")
    log_probs = Levels()._of(torch.from_numpy(samples), decoder.name)
    text = decoding.greedy(log_probs, ENGLISH)
    return text, decoding.align(log_probs, text, ENGLISH, TINY.frame_s)


def only(results) -> Transcript:
    ((transcript,),) = results
    return transcript


# ---- windows


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("frames", [4800, 999, 1000, 1001, 1799, 1800, 4801])
def test_windows_say_what_one_pass_says(tmp_path, frames, seed):
    path = write_speech(tmp_path / "talk.wav", babble(frames, seed))
    text, words = heard(path)
    found = only(transcribe([path], recogniser()))
    assert len(words) > 10
    assert found.text == text
    for ours, whole in zip(found.words, words, strict=True):
        assert (ours.start_s, ours.stop_s) == pytest.approx((whole.start_s, whole.stop_s), abs=1e-6)
        assert ours.confidence == pytest.approx(whole.confidence, abs=1e-6)


def test_windows_say_what_one_pass_says_where_nobody_ever_pauses(tmp_path):
    path = write_speech(tmp_path / "talk.wav", babble(6000, seed=5, pauses=False))
    found = only(transcribe([path], recogniser()))
    assert found.text == heard(path)[0]
    assert max(s[-1].stop_s - s[0].start_s for s in found.segments) <= 30


def test_a_frame_is_taken_from_the_window_that_sees_most_around_it():
    windows = Windows(TINY, 20.0, 4.0)
    stitch = Stitch(windows)
    starts = [0, windows.hop, 2 * windows.hop]
    rows = [torch.full((999, 1), float(start)) for start in starts]
    pieces = [stitch.add(start, row) for start, row in zip(starts, rows, strict=True)]
    owners = torch.cat([*pieces, stitch.rest()])[:, 0].tolist()
    assert owners == [0.0] * 900 + [800.0] * 800 + [1600.0] * 899  # 4 s are shared: 2 s each


def test_a_file_shorter_than_a_window_is_one_pass(tmp_path):
    path = write_speech(tmp_path / "short.wav", babble(900, seed=1))
    known = recogniser()
    only(transcribe([path], known))
    assert known.acoustic_model.batches == [(900 * STRIDE + FIELD - STRIDE,)]


def test_a_real_network_hears_a_short_file_as_one_pass(tmp_path):
    torch.manual_seed(0)
    recogniser = CTCModel(Wav2Vec2(TINY), len(ENGLISH)).eval()
    with torch.no_grad():
        recogniser.head.weight.mul_(20)  # else all letters are alike
    whole = SingleModel(recogniser, ENGLISH.symbols)
    path, sound = tmp_path / "noise.wav", 0.3 * np.random.default_rng(0).standard_normal(50_000)
    soundfile.write(path, sound, 16_000, subtype="FLOAT")
    with torch.no_grad():
        log_probs, _ = recogniser(torch.from_numpy(soundfile.read(path, dtype="float32")[0])[None].clamp(-1, 1),
                                  torch.tensor([50_000]))  # fmt: skip
    found = only(transcribe([path], Recogniser(whole, TINY, (Decoder("own", "own", "", whole.vocabulary),))))
    assert found.text == decoding.greedy(log_probs[0], ENGLISH) != ""


@pytest.mark.parametrize("length_s", [0.1, 19.99, 20.0, 20.01, 36.0, 36.01, 100.0])
def test_windows_are_as_many_as_counted(tmp_path, length_s):
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.zeros(round(length_s * 16_000)), 16_000)
    windows = windows_of(recogniser())
    assert len(list(windows.cut(path))) == windows.count(length_s)
    assert count_windows([path, tmp_path / "none.wav"], recogniser(PLAIN, CAESAR)) == 2 * windows.count(
        length_s
    )


# ---- several files and decoders


def test_files_and_voices_share_batches_and_keep_apart(tmp_path):
    paths = [write_speech(tmp_path / f"{n}.wav", babble(n, seed=n)) for n in (300, 2500, 40, 1200)]
    known = recogniser(PLAIN, CAESAR)
    results = list(transcribe(paths, known))
    for path, pair in zip(paths, results, strict=True):
        assert [t.path for t in pair] == [path, path]
        assert [t.text for t in pair] == [heard(path, PLAIN)[0], heard(path, CAESAR)[0]]
        assert pair[0].text != pair[1].text
    assert max(map(len, known.acoustic_model.batches)) > 2
    assert all(max(batch) * len(batch) <= 60 * 16_000 for batch in known.acoustic_model.batches)


def test_batches_never_change_a_text(tmp_path):
    paths = [write_speech(tmp_path / f"{n}.wav", babble(n, seed=n)) for n in (300, 2500, 40)]
    texts = {
        tuple(only([result]).text for result in transcribe(paths, recogniser(), batch_s=batch_s))
        for batch_s in (1.0, 25.0, 500.0)
    }
    assert len(texts) == 1


def test_progress_counts_every_window_of_every_voice(tmp_path):
    path, seen = write_speech(tmp_path / "talk.wav", babble(2500, seed=1)), []
    list(transcribe([path], recogniser(PLAIN, CAESAR), advance=lambda: seen.append(1)))
    assert len(seen) == 6


def test_a_file_that_breaks_late_gives_nothing_and_the_others_go_on(tmp_path):
    good = write_speech(tmp_path / "good.wav", babble(500, seed=1))
    late = tmp_path / "late.wav"
    sound = np.zeros(60 * 16_000, np.float32)
    sound[-5] = np.nan
    soundfile.write(late, sound, 16_000, subtype="FLOAT")
    failure, (transcript,) = transcribe([late, good], recogniser())
    assert isinstance(failure, Failure)
    assert str(late) in failure.reason
    assert "NaN" in failure.reason
    assert transcript.text == heard(good)[0]


def test_reading_is_never_far_ahead_of_recognising(tmp_path, monkeypatch):
    """Flat memory: a pool of windows is recognised before the next is read."""
    path, read = write_speech(tmp_path / "long.wav", babble(45_000, seed=3)), []
    cut = Windows.cut

    def noting(self, path):
        for window in cut(self, path):
            read.append(window[0])
            yield window

    monkeypatch.setattr(Windows, "cut", noting)
    known, ahead = recogniser(), []
    list(transcribe([path], known, advance=lambda: ahead.append(len(read) * 20 - len(ahead) * 20)))
    assert len(read) > 50
    assert max(ahead) <= 260  # seconds


# ---- segments


@pytest.mark.parametrize("size", [13, 100, 800])
@pytest.mark.parametrize("pauses", [True, False])
def test_segments_do_not_depend_on_how_the_stream_comes(size, pauses):
    symbols = torch.tensor(babble(3500, seed=11, pauses=pauses))
    rows = (5 * torch.nn.functional.one_hot(symbols, len(ENGLISH)).float()).log_softmax(dim=1)

    def cut(size: int) -> list[tuple[int, int]]:
        segments = Segments(TINY.frame_s)
        found = [s for piece in rows.split(size) for s in segments.add(piece)]
        return [(first, len(part)) for first, part in [*found, *segments.rest()]]

    assert cut(size) == cut(len(rows))
    assert len(cut(size)) > 1


def test_hours_of_silence_are_not_held():
    segments, silence = Segments(TINY.frame_s), torch.eye(29)[torch.zeros(1000, dtype=torch.long)].log()
    for _ in range(200):
        assert segments.add(silence) == []
    assert len(segments._held) < 20
    assert segments.rest() == []


def frames_of(pattern: str) -> torch.Tensor:
    """Log-probabilities of frames as written, `_` the blank."""
    symbols = torch.tensor([ENGLISH.symbols.index(c if c != "_" else BLANK) for c in pattern])
    return torch.nn.functional.one_hot(symbols, len(ENGLISH)).float().mul(5).log_softmax(dim=1)


@pytest.mark.parametrize(
    ("gap", "texts"),
    [
        ("_" * 40, ["ab"]),  # a slow speaker inside a word
        ("_" * 120, ["a", "b"]),  # nobody waits 2 s inside a word
        ("_|_", ["a b"]),
        ("_" * 20 + "|" + "_" * 20, ["a", "b"]),
    ],
)
def test_a_pause_ends_a_segment_and_a_silence_a_word(gap, texts):
    segments = Segments(TINY.frame_s)
    found = segments.add(frames_of(f"__a{gap}b__")) + segments.rest()
    assert [decoding.greedy(log_probs, ENGLISH) for _, log_probs in found] == texts


def test_a_word_without_end_is_cut_all_the_same():
    segments = Segments(TINY.frame_s)
    found = segments.add(frames_of("ab" * 5000)) + segments.rest()
    assert max(len(part) for _, part in found) <= 1500
    assert sum(len(part) for _, part in found) == 10_000


# ---- symbols that are no letters


def test_symbols_that_are_no_letters_are_never_written():
    symbols = (BLANK, BOUNDARY, "a", "b", "<unk>")

    def recogniser(waveform, num_samples):
        return torch.tensor([[[0.0, 0, 1, 0, 9], [0, 0, 0, 2, 1]]]).log_softmax(dim=2), torch.tensor([2])

    module = torch.nn.Module()
    module.forward = recogniser
    whole = SingleModel(module, symbols)
    (rows,) = whole.log_probs(torch.zeros(1, 800), torch.tensor([800]), ["own"])
    assert decoding.greedy(rows, whole.vocabulary) == "ab"
    torch.testing.assert_close(rows.exp().sum(1), torch.ones(2))


def test_symbols_of_several_letters_are_written_whole(tmp_path):
    symbols = (BLANK, BOUNDARY, "a", "ː", "aː", "tʃ", "हि", "<unk>", "[PAD]")
    assert SingleModel(torch.nn.Module(), symbols).vocabulary.symbols == symbols[:7]
    vocabulary = Vocabulary(symbols[:7])
    path = [5, 5, 0, 4, 1, 6, 2, 3, 0]  # tʃ aː | हि a ː
    log_probs = torch.nn.functional.one_hot(torch.tensor(path), 7).float().mul(9).log_softmax(dim=1)
    words = replace(PLAIN, vocabulary=vocabulary).words(log_probs)
    assert words == [[5, 4], [6, 2, 3]]
    first, second = decoding.align_words(log_probs, words, vocabulary, 1.0)
    assert [first.text, second.text] == ["tʃaː", "हिaː"]
    assert [(first.start_s, first.stop_s), (second.start_s, second.stop_s)] == [(0, 4), (5, 8)]
    assert vocabulary.encode("tʃaː हिa") == [5, 4, 1, 6, 2]
    with pytest.raises(ValueError, match=r"no symbols for \['t'\]|no symbols for \['ta'\]"):
        vocabulary.encode("ta")


# ---- files


def transcript(*segments: list[tuple[str, float, float]], path: str = "talk.wav") -> Transcript:
    made = tuple(tuple(Word(text, start, stop, 0.5) for text, start, stop in words) for words in segments)
    return Transcript(Path(path), PLAIN, 10.0, made)


TWO = transcript(
    [("good", 0.5, 0.9), ("morning", 1.0, 1.8)], [("<b>", 3661.25, 3661.5), ("-->&", 3661.6, 3662.5)]
)


def test_srt_is_numbered_with_commas():
    assert as_srt(TWO) == (
        "1\n00:00:00,500 --> 00:00:01,800\ngood morning\n\n2\n01:01:01,250 --> 01:01:02,500\n<b> ->&\n"
    )


def test_vtt_has_its_header_and_escapes():
    assert as_vtt(TWO) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.800\ngood morning\n\n"
        "01:01:01.250 --> 01:01:02.500\n&lt;b&gt; --&gt;&amp;\n"
    )


def test_text_has_a_line_for_each_stretch():
    assert as_text(TWO).splitlines()[0] == "[00:00:00.500 - 00:00:01.800] good morning"
    assert len(as_text(TWO).splitlines()) == 2


def test_json_holds_every_word():
    found = json.loads(as_json(TWO))
    assert found["text"] == "good morning <b> -->&"
    assert (found["language"], found["adapter"], found["duration_s"]) == ("en", "plain", 10.0)
    assert found["segments"][0]["words"][1] == {
        "text": "morning", "start_s": 1.0, "stop_s": 1.8, "confidence": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("suffix", WRITERS)
def test_nothing_said_is_still_a_valid_file(suffix):
    content = WRITERS[suffix](transcript())
    assert {"txt": content == "", "srt": content == "", "vtt": content == "WEBVTT\n",
            "json": suffix == "json" and json.loads(content)["segments"] == []}[suffix]  # fmt: skip


def test_cues_are_short_and_in_order():
    draw = random.Random(0)
    at, segments = 0.0, []
    for _ in range(40):
        words = []
        for _ in range(draw.randint(1, 30)):
            start = at + draw.random() * 0.4
            at = start + draw.random() * 0.9
            words.append((f"w{len(words)}", start, at))
        segments.append(words)
    made = transcript(*segments)
    found = cues(made.segments)
    assert " ".join(cue.text for cue in found) == made.text
    assert max(len(cue.text.split()) for cue in found) == 7
    assert all(0 < cue.stop_s - cue.start_s <= 5 for cue in found)
    assert all(one.stop_s <= two.start_s for one, two in pairwise(found))


def test_a_short_cue_stays_for_a_second_where_there_is_room():
    first, second, last = cues(transcript([("a", 1.0, 1.02)], [("b", 1.6, 1.7)], [("c", 9.0, 9.1)]).segments)
    assert [first.stop_s, second.stop_s, last.stop_s] == pytest.approx([1.6, 2.6, 10.0])


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00:00.000"), (59.9996, "00:01:00.000"), (360_000, "100:00:00.000")]
)
def test_clocks_carry(seconds, text):
    assert clock(seconds) == text


def test_outputs_are_named_by_language_where_there_are_several(tmp_path):
    talk = tmp_path / "talk.wav"
    one = targets([talk], ["en"], ["srt"], None, overwrite=False)
    two = targets([talk], ["en", "fr"], ["srt"], Path("texts"), overwrite=False)
    assert list(one.values()) == [tmp_path / "talk.srt"]
    assert list(two.values()) == [Path("texts/talk.en.srt"), Path("texts/talk.fr.srt")]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.wav", "a.mp3"], "both"),
        (["a.wav", "a.wav"], "both"),
        (["a.txt"], "input"),
        (["old.wav"], "there already"),
    ],
)
def test_outputs_that_would_destroy_something_are_refused(tmp_path, names, words):
    (tmp_path / "old.txt").touch()
    with pytest.raises(ValueError, match=words):
        targets([tmp_path / name for name in names], ["en"], ["txt"], None, overwrite=False)
