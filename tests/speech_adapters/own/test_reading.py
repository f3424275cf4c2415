"""Every layout gives the same recordings, and every malformed line one sentence with its file and line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from common.data.own_files import LeftOut, tell
from speech_adapters.data import any_script
from speech_adapters.model.architecture import BASE
from speech_adapters.own.checking import Checked, checked
from speech_adapters.own.reading import read
from speech_adapters.own.recordings import OwnSpeech, summary

TEXTS = {"a.wav": "one two", "b.wav": "three"}


def sound(path, length_s=1.0, seed=0, rate_hz=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, round(length_s * rate_hz))
    soundfile.write(path, noise, rate_hz, subtype="PCM_16")
    return path


def audiofolder_csv(folder):
    rows = "".join(f'{name},"{text}",ann\n' for name, text in TEXTS.items())
    (folder / "metadata.csv").write_text("file_name,transcription,speaker\n" + rows)


def audiofolder_jsonl(folder):
    rows = [json.dumps({"file_name": name, "text": text, "speaker": "ann"}) for name, text in TEXTS.items()]
    (folder / "metadata.jsonl").write_text("\n".join(rows))


def common_voice(folder):
    rows = "".join(f"ann\t{name}\t{text}\n" for name, text in TEXTS.items())
    (folder / "validated.tsv").write_text("client_id\tpath\tsentence\n" + rows)


def nemo(folder):
    rows = [
        json.dumps({"audio_filepath": name, "duration": 1.0, "text": text, "speaker": "ann"})
        for name, text in TEXTS.items()
    ]
    (folder / "manifest.jsonl").write_text("\n".join(rows))


def kaldi(folder):
    (folder / "wav.scp").write_text("a.wav a.wav\nb.wav\tb.wav\n")
    (folder / "text").write_text("".join(f"{name} {text}\n" for name, text in TEXTS.items()))
    (folder / "utt2spk").write_text("a.wav ann\nb.wav ann\n")


def fairseq_words(folder):
    (folder / "all.tsv").write_text(f"{folder}\na.wav\t16000\nb.wav\t16000\n")
    (folder / "all.wrd").write_text("\n".join(TEXTS.values()) + "\n")


def fairseq_letters(folder):
    (folder / "all.tsv").write_text(".\na.wav\t16000\nb.wav\t16000\n")
    (folder / "all.ltr").write_text("o n e | t w o |\nt h r e e |\n")


def pairs(folder):
    for name, text in TEXTS.items():
        (folder / name).with_suffix(".txt").write_text(text)


LAYOUTS = [
    audiofolder_csv, audiofolder_jsonl, common_voice, nemo, kaldi, fairseq_words, fairseq_letters, pairs
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_told_by_looking(layout, tmp_path):
    for seed, name in enumerate(TEXTS):
        sound(tmp_path / name, seed=seed)
    layout(tmp_path)
    found = list(checked(read(tmp_path), BASE))
    assert [(one.recording.id, one.text) for one in found] == list(TEXTS.items())
    assert all(len(one.samples) == 16_000 for one in found)
    told = {one.recording.speaker for one in found}
    assert told == ({""} if layout in (fairseq_words, fairseq_letters, pairs) else {"ann"})


TOLD = ("audiofolder", "audiofolder", "common-voice", "nemo", "kaldi", "fairseq", "fairseq", "pairs")
NAMES = dict(zip(LAYOUTS, TOLD, strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_that_is_named_is_the_one_that_is_told(layout, tmp_path):
    for seed, name in enumerate(TEXTS):
        sound(tmp_path / name, seed=seed)
    layout(tmp_path)
    assert read(tmp_path, NAMES[layout]) == read(tmp_path)


def test_a_name_decides_where_a_folder_has_two_layouts(tmp_path):
    for name in TEXTS:
        sound(tmp_path / name)
    audiofolder_csv(tmp_path)
    (tmp_path / "a.txt").write_text("another text")
    assert read(tmp_path)[0].text == "one two"
    assert read(tmp_path, "pairs")[0].text == "another text"
    with pytest.raises(ValueError, match=r"has no \*\.jsonl or \*\.json, which layout nemo"):
        read(tmp_path, "nemo")
    with pytest.raises(ValueError, match=r"layout must be one of audiofolder.*got 'mp3s'"):
        read(tmp_path, "mp3s")


def test_a_text_of_fairseq_ends_at_a_line_feed_alone(tmp_path):
    """Unicode's line separator is a character of the text, and bytes that are no UTF-8 are named with their line."""
    fairseq_words(tmp_path)
    (tmp_path / "all.wrd").write_text("one\u2028two\nthree\n", encoding="utf-8")
    assert [one.text for one in read(tmp_path)] == ["one\u2028two", "three"]
    (tmp_path / "all.wrd").write_bytes("one\noù\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"all\.wrd:2: must be UTF-8"):
        read(tmp_path)


def test_parts_that_files_are_named_after_are_kept(tmp_path):
    (tmp_path / "clips").mkdir()
    for part, name in (("train", "a"), ("dev", "b")):
        (tmp_path / f"{part}.tsv").write_text(f"client_id\tpath\tsentence\nann\t{name}.mp3\tone\n")
    found = {one.part: one.path for one in read(tmp_path)}
    assert found == {"train": tmp_path / "clips/a.mp3", "dev": tmp_path / "clips/b.mp3"}


def test_segments_are_cut_out_of_their_recording(tmp_path):
    sound(tmp_path / "long.wav", 3.0)
    (tmp_path / "wav.scp").write_text("long long.wav\n")
    (tmp_path / "segments").write_text("u1 long 0.5 1.5\nu2 long 1.5 3\n")
    (tmp_path / "text").write_text("u1 one\nu2 two\n")
    (tmp_path / "manifest.jsonl").write_text("")
    first, second = checked(read(tmp_path), BASE)
    whole, _ = soundfile.read(tmp_path / "long.wav", dtype="int16")
    assert (len(first.samples), len(second.samples)) == (16_000, 24_000)
    assert np.abs(first.samples.astype(int) - whole[8_000:24_000]).max() <= 1
    (tmp_path / "wav.scp").unlink()
    line = {"audio_filepath": "long.wav", "offset": 1.5, "duration": 1.5, "text": "two"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line))
    (same,) = checked(read(tmp_path), BASE)
    assert same.recording.id == "long.wav@1.5"
    assert np.array_equal(same.samples, second.samples)
    for start in ({"offset": 0}, {"offset": 0.0}, {}):  # the first of a long file's segments
        line = {"audio_filepath": "long.wav", "duration": 1.0, "text": "one", **start}
        (tmp_path / "manifest.jsonl").write_text(json.dumps(line))
        (beginning,) = checked(read(tmp_path), BASE)
        assert len(beginning.samples) == 16_000


MALFORMED = {
    "a field too few": ("metadata.csv", "file_name,text\na.wav,one\nb.wav\n", "3: must have 2 fields"),
    "an open quote": ("metadata.csv", 'file_name,text\na.wav,"one\n', "2: cannot be read as a table"),
    "no name": ("metadata.csv", "file,text\na.wav,one\n", "2: names no audio file"),
    "no text": ("metadata.csv", "file_name,words\na.wav,one\n", "2: has no text"),
    "no JSON": ("metadata.jsonl", '{"file_name": "a.wav", "text": "one"}\nb.wav', "2: must be one JSON object"),
    "a list": ("metadata.jsonl", '["a.wav"]', "1: must be one JSON object, got list"),
    "a tab too many": ("cv.tsv", "path\tsentence\na.mp3\tone\t\n", "2: must have 2 fields"),
    "no path": ("cv.tsv", "file\tsentence\na.mp3\tone\n", "2: names no audio file"),
    "an offset that is none": ("m.jsonl", '{"audio_filepath": "a.wav", "text": "x", "offset": "1"}',
                               "1: offset must be seconds"),
    "a negative duration": ("m.json", '{"audio_filepath": "a.wav", "text": "x", "duration": -1}',
                            "1: duration must be seconds"),
    "no transcripts": ("all.tsv", ".\na.wav 16000\n", "1: needs its texts in all.wrd"),
    "latin-1": ("metadata.csv", "file_name,text\na.wav,où\n".encode("latin-1"), "2: must be UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_line_is_one_sentence_with_file_and_line(case, tmp_path):
    name, content, sentence = MALFORMED[case]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / name}:{sentence}")) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


KALDI = {
    "a command": ({"wav.scp": "a sox a.wav |\n"}, "wav.scp:1: is a command"),
    "no such recording": ({"text": "a one\nc two\n"}, "text:2: c is not in wav.scp"),
    "twice": ({"text": "a one\na two\n"}, "text:2: a is there already, in line 1"),
    "no times": ({"segments": "u a 1\n"}, "segments:1: must be an utterance"),
    "backwards": ({"segments": "u a 2 1\n"}, "segments:1: must end after it begins"),
    "of nothing": ({"segments": "u b 0 1\n"}, "segments:1: b is not in wav.scp"),
}


@pytest.mark.parametrize("case", KALDI)
def test_a_malformed_line_of_kaldi_is_named(case, tmp_path):
    files, sentence = KALDI[case]
    for name, content in ({"wav.scp": "a a.wav\n", "text": "a one\n"} | files).items():
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path)


def test_transcripts_of_fairseq_need_as_many_lines(tmp_path):
    fairseq_words(tmp_path)
    (tmp_path / "all.wrd").write_text("one\n")
    with pytest.raises(ValueError, match=r"all.wrd:1: must have a line for each of 2 recordings, got 1"):
        read(tmp_path)


@pytest.mark.parametrize("files", [(), ("a.wav",), ("one.tsv", "two.tsv")])
def test_a_folder_that_tells_nothing_is_refused_with_what_is_looked_for(files, tmp_path):
    for name in files:
        (tmp_path / name).write_text("path\tsentence\n")
    with pytest.raises(ValueError, match=r"metadata\.csv|which of one\.tsv, two\.tsv"):
        read(tmp_path)


# ---- what is left out


def reason_of(folder, **texts):
    for seed, (name, text) in enumerate(texts.items()):
        if not (folder / f"{name}.wav").exists():
            sound(folder / f"{name}.wav", seed=seed)
        (folder / f"{name}.txt").write_text(text)
    found = checked(read(folder), BASE)
    return {
        Path(one.id).stem: one.reason if isinstance(one, LeftOut) else ""
        for one in ((each if isinstance(each, LeftOut) else each.recording) for each in found)
    }


def test_what_cannot_be_used_is_left_out_with_a_reason(tmp_path):
    good = {f"good{i}": "a sentence of many plain words" for i in range(20)}
    (tmp_path / "broken.wav").write_bytes(b"RIFF and no more")
    sound(tmp_path / "brief.wav", 0.1)
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "twin.wav", *soundfile.read(sound(tmp_path / "atwin.wav", seed=7777)))
    odd = {"broken": "x", "brief": "x", "silent": "x", "twin": "x", "atwin": "x", "digits": "in 1999",
           "empty": "...", "foreign": "wоrd", "spelled": "letters " * 20}  # fmt: skip
    found = reason_of(tmp_path, **good, **odd)
    assert {found[name] for name in good} == {""}
    assert found["atwin"] == ""
    for name, words in {
        "broken": "cannot be read", "brief": "must last 0.3 to 30 s: lasts 0.1 s", "silent": "is silent",
        "twin": "has the same sound as another: atwin.wav", "digits": "has digits or signs", "empty": "has no words",
        "foreign": "foreign to the other texts: о", "spelled": "is too short for its text: ",
    }.items():  # fmt: skip
        assert words in found[name], name


def test_a_recording_that_is_listed_twice_counts_once(tmp_path):
    sound(tmp_path / "a.wav")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.wav,one\na.wav,two\n")
    first, second = checked(read(tmp_path), BASE)
    assert isinstance(first, Checked)
    assert second.reason == f"is listed twice: first in {tmp_path}/metadata.csv:2"


def test_what_is_left_out_is_counted_and_too_much_of_it_refused(tmp_path, capsys):
    (tmp_path / "metadata.csv").write_text("file_name,text\n" + "".join(f"{i}.wav,one\n" for i in range(9)))
    left = [one for one in checked(read(tmp_path), BASE) if isinstance(one, LeftOut)]
    tell(left, 100, tmp_path / "left-out.txt")
    said = capsys.readouterr().err
    assert "left out, cannot be read: 9 of 100" in said
    assert "metadata.csv:4" in said
    assert "metadata.csv:5" not in said
    assert len((tmp_path / "left-out.txt").read_text().splitlines()) == 9
    with pytest.raises(ValueError, match="at most 10 % of items may be bad, got 9 of 80"):
        tell(left, 80)


# ---- parts


def source_of(folder, out, **more):
    return OwnSpeech("xx", BASE, folder=str(folder), kept=str(out / "recordings"), **more)


def test_dev_is_divided_by_speaker_where_there_are_enough(tmp_path):
    rows = "file_name,text,speaker\n"
    for i in range(20):
        sound(tmp_path / f"{i}.wav", seed=i)
        rows += f"{i}.wav,word,voice{i % 5}\n"
    (tmp_path / "metadata.csv").write_text(rows)
    source = source_of(tmp_path, tmp_path / "out")
    source.prepare()
    voices = {part: {one.speaker for one in source.utterances(part)} for part in ("train", "dev")}
    assert len(voices["dev"]) == 1
    assert len(voices["train"]) == 4
    assert not voices["dev"] & voices["train"]
    assert "dev part: by speaker; 4 letters: dorw" in summary(source)
    before = source.content_sha256(), source.utterances("train")
    source.prepare()
    assert before == (source.content_sha256(), source.utterances("train"))
    whole, _ = soundfile.read(tmp_path / f"{source.utterances('dev')[0].id}", dtype="int16")
    assert np.abs(source.utterances("dev")[0].waveform().astype(int) - whole).max() <= 1


def test_else_by_text_and_no_text_stands_in_two_parts(tmp_path):
    for i in range(20):
        sound(tmp_path / f"{i}.wav", seed=i)
        (tmp_path / f"{i}.txt").write_text(f"word {'abcdefghij'[i // 2]}")
    source = source_of(tmp_path, tmp_path / "out")
    source.prepare()
    texts = {part: {one.text for one in source.utterances(part)} for part in ("train", "dev")}
    assert texts["dev"]
    assert not texts["dev"] & texts["train"]
    assert len(source.utterances("dev")) == 2


def test_a_dev_folder_loses_what_is_trained_on(tmp_path, capsys):
    for i in range(6):
        folder = tmp_path / ("train" if i < 4 else "dev")
        (sound(folder / f"{i}.wav", seed=3 if i == 5 else i)).with_suffix(".txt").write_text("word")
    source = source_of(tmp_path / "train", tmp_path / "out", dev_folder=str(tmp_path / "dev"))
    source.prepare()
    assert [one.id for one in source.utterances("dev")] == ["dev/4.wav"]
    assert "is in the training data too: 1, such as 5.wav" in capsys.readouterr().err


# ---- letters of any script


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("Où est l’été ?", "où est l'été"),
        ("'Tis \"quoted'' don't", "tis quoted don't"),
        ("Ёлка — это", "ёлка это"),
        ("हिन्दी, भाषा।", "हिन्दी भाषा"),
        ("e\u0301", "é"),
        ("日本語。", "日本語"),
    ],
)
def test_letters_of_any_script_stay(written, text):
    assert any_script.normalise(written) == text == any_script.normalise(text)


def test_an_alphabet_is_what_the_texts_hold():
    assert any_script.vocabulary(["ça va", "là"]).symbols == ("<blank>", "|", "a", "l", "v", "à", "ç")
    with pytest.raises(ValueError, match="hold letters"):
        any_script.vocabulary(["", " "])


def test_a_script_is_foreign_only_where_it_is_rare():
    latin = ["a sentence of latin letters"] * 20
    assert any_script.foreign_letters([*latin, "wоrd"]) == {"о"}
    assert not any_script.foreign_letters([*latin[:1], "слово"])


def test_dev_voices_that_are_trained_on_are_told(tmp_path):
    for part, names in (("train", "ab"), ("dev", "cd")):
        rows = ""
        for name in names:
            sound(tmp_path / f"{name}.wav", seed=ord(name))
            rows += f"{'ann' if name in 'ac' else name}\t{name}.wav\tword {name}\n"
        (tmp_path / f"{part}.tsv").write_text("client_id\tpath\tsentence\n" + rows)
    source = OwnSpeech("en", BASE, folder=str(tmp_path), kept=str(tmp_path / "kept"))
    source.prepare()
    assert "1 of 2 dev speakers are trained on too: other voices do worse than dev says" in summary(source)
    assert len(source.heard()) == 16  # two recordings
