"""A folder of videos: captions by name, by language and by luck; nothing in it stops the reading."""

import json

import pytest

from multimodal_ssl.corpora.captions import Caption
from multimodal_ssl.corpora.folder import folder

VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\n{}\n"
SRT = "1\n00:00:01,000 --> 00:00:02,000\n{}\n"


def said(corpus):
    return {film.id: [caption.text for caption in film.captions()[0]] for film in corpus.items}


def test_videos_of_all_folders_with_and_without_captions(root, make):
    make.films(root / "mine", "a.MP4", "b/a.mkv", "b/c.mov", "notes.txt", ".hidden/x.mp4", ".d.mp4")
    make.write(root / "mine/a.vtt", VTT.format("one"))
    make.write(root / "mine/b/a.srt", SRT.format("two"))
    corpus = folder(root / "mine")
    assert said(corpus) == {"a.MP4": ["one"], "b/a.mkv": ["two"], "b/c.mov": []}
    assert corpus.name == "mine"
    assert corpus.bad == ()


def test_json_beside_a_video(root, make):
    make.films(root, "a.mp4")
    make.write(root / "a.json", json.dumps([{"start": 1, "end": 2, "text": "one"}]))
    make.write(root / "a.info.json", json.dumps({"title": "what fetchers write"}))
    corpus = folder(root)
    assert corpus.items[0].captions() == ([Caption(1.0, 2.0, "one")], [])
    assert corpus.bad == ()


def test_the_wanted_language_comes_first(root, make):
    make.films(root, "a.mp4")
    for name in ("a.fr.vtt", "a.en-US.srt", "a.de.vtt"):
        make.write(root / name, (VTT if name.endswith("vtt") else SRT).format(name))
    assert said(folder(root)) == {"a.mp4": ["a.de.vtt"]}
    assert said(folder(root, "fr")) == {"a.mp4": ["a.fr.vtt"]}
    assert said(folder(root, "en-US")) == {"a.mp4": ["a.en-US.srt"]}
    make.write(root / "a.srt", SRT.format("plain"))
    assert said(folder(root)) == {"a.mp4": ["plain"]}


def test_captions_of_a_longer_name_belong_to_it_alone(root, make):
    make.films(root, "a.mp4", "a.en.mp4", "a2.mp4")
    make.write(root / "a.en.vtt", VTT.format("hers"))
    make.write(root / "a2.vtt", VTT.format("its"))
    assert said(folder(root)) == {"a.mp4": [], "a.en.mp4": ["hers"], "a2.mp4": ["its"]}


def test_broken_captions_are_told_and_the_next_are_tried(root, make):
    make.films(root, "a.mp4", "b.mp4")
    make.write(root / "a.vtt", "WEBVTT\n")
    make.write(root / "a.srt", SRT.format("one") + "\n2\n00:00:09,000 --> 00:00:02,000\nback\n")
    (root / "b.json").touch()
    corpus = folder(root)
    assert said(corpus) == {"a.mp4": ["one"], "b.mp4": []}
    told = [(bad.id, bad.path, bad.reason) for bad in corpus.bad]
    assert [path for _, path, _ in told] == ["a.vtt", "a.srt", "b.json"]
    assert all(id in ("captions of a.mp4", "captions of b.mp4") for id, _, _ in told)
    for word, (_, _, reason) in zip(("no caption", "line 6", "0 bytes"), told, strict=True):
        assert word in reason


def test_empty_files_and_links_in_a_circle_do_not_stop_it(root, make):
    make.films(root, "a.mp4")
    (root / "b.mp4").touch()
    (root / "c.mp4").symlink_to(root / "gone.mp4")
    (root / "loop").symlink_to(root, target_is_directory=True)
    corpus = folder(root)
    assert [film.id for film in corpus.items] == ["a.mp4"]
    assert [str(bad) for bad in corpus.bad] == [
        "b.mp4 (b.mp4): is empty (0 bytes)",
        "c.mp4 (c.mp4): there is no such file",
    ]


def test_a_name_that_is_not_utf_8_is_told(root, make):
    make.films(root, "a.mp4")
    with open(bytes(root) + b"/caf\xe9.mp4", "wb") as file:
        file.write(b"not empty")
    corpus = folder(root)
    assert [film.id for film in corpus.items] == ["a.mp4"]
    assert str(corpus.bad[0]).startswith(r"'caf\udce9.mp4' (")
    assert corpus.bad[0].reason == "file names must be UTF-8; rename it"


def test_a_folder_without_videos_says_so(root, make):
    make.write(root / "a.vtt", VTT.format("one"))
    with pytest.raises(ValueError, match="holds no usable item: its lists are empty"):
        folder(root)
