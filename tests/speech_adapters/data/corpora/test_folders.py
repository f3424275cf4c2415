"""Plain folders: a stable order without holding it all, and a table of texts."""

import os
from pathlib import Path
from types import GeneratorType

import pytest

from speech_adapters.data.corpora.folders import audio_folder, labelled_folder


def ids(corpus):
    return [utterance.id for utterance in corpus.utterances]


def reasons(corpus):
    return [str(bad) for bad in corpus.bad]


def test_a_folder_of_audio_streams_in_one_order(root, make):
    for name in ("b/2.wav", "b/1.FLAC", "a.ogg", "c/d/e.mp3"):
        make.tone(root / "radio" / name)
    make.write(root / "radio/notes.txt", "no sound")
    (root / "radio/b/round").symlink_to(root / "radio")  # a circle
    found = audio_folder(root / "radio")
    assert isinstance(found, GeneratorType)
    first, *rest = found
    assert [u.id for u in (first, *rest)] == [
        "radio/a.ogg",
        "radio/b/1.FLAC",
        "radio/b/2.wav",
        "radio/c/d/e.mp3",
    ]
    assert (first.path, first.text, first.speaker, first.source) == ("radio/a.ogg", "", "", "radio")


def test_a_folder_without_audio_is_an_error(root):
    (root / "radio").mkdir()
    with pytest.raises(ValueError, match="holds no audio"):
        next(audio_folder(root / "radio"))
    with pytest.raises(ValueError, match="is no folder"):
        audio_folder(root / "nothing")


def test_a_manifest_labels_a_folder(root, make):
    make.tone(root / "mine/a b.ogg")
    make.tone(root / "mine/sub/c.mp3")
    lines = [
        'a b.ogg\t"Hello, you.',
        "sub/c.mp3\tYes",
        "sub/c.mp3\ttoo\tmany",
        "/etc/a.wav\tNo",
        "gone.wav\tNo",
    ]
    make.write(root / "mine/manifest.tsv", "\r\n".join(lines))
    corpus = labelled_folder(root / "mine", "en")
    assert [(u.id, u.text) for u in corpus.utterances] == [
        ("mine/a b.ogg", "hello you"),
        ("mine/sub/c.mp3", "yes"),
    ]
    told = "\n".join(reasons(corpus))
    assert "must be PATH<TAB>TEXT, got 3 fields" in told
    assert "path must lie in the folder, got '/etc/a.wav'" in told
    assert "line 5: there is no audio file" in told
    assert corpus.utterances[0].keys == ("recording:mine/a b.ogg", "text:en:hello you")


def test_an_archive_may_hold_the_labelled_folder(root, make):
    make.tone(root / "made/mine/a.wav")
    make.write(root / "made/mine/manifest.tsv", "a.wav\tYes")
    corpus = labelled_folder(make.packed(root / "given.tar.gz", root / "made"), "en")
    assert (corpus.name, ids(corpus)) == ("mine", ["mine/a.wav"])


def test_a_line_with_letters_of_another_alphabet_is_rejected_as_one_with_digits_is(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    folder = tmp_path / "ru"
    folder.mkdir()
    texts = {"a": "Версия Windows вышла", "b": "версия вышла", "c": "версия 7 вышла"}
    for name in texts:
        (folder / f"{name}.wav").write_bytes(b"sound")
    (folder / "manifest.tsv").write_text("".join(f"{n}.wav\t{text}\n" for n, text in texts.items()), "utf-8")
    corpus = labelled_folder(Path("ru"), "ru")
    assert [utterance.text for utterance in corpus.utterances] == ["версия вышла"]
    assert len(corpus.bad) == 2
    assert "'windos' cannot be written in 'ru', in 'Версия Windows вышла'" in str(corpus.bad[0])


def test_a_name_that_is_not_utf_8_is_named_and_the_others_are_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    (tmp_path / "all").mkdir()
    for name in (b"a.wav", b"caf\xe9.wav", b"z.wav"):
        (tmp_path / "all" / os.fsdecode(name)).write_bytes(b"sound")
    assert [utterance.id for utterance in audio_folder(Path("all"))] == ["all/a.wav", "all/z.wav"]
    assert r"caf\xe9.wav: its name is not UTF-8" in capsys.readouterr().err
