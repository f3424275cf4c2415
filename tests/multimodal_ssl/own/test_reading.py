"""Every layout of captioned videos is read, and what is not of it is one sentence that names file and line."""

import json
import os
import re

import numpy as np
import odd_films
import odd_videos
import own_films
import pytest

from common.data.own_files import LeftOut, tell
from multimodal_ssl.model.vocabulary import made_up_vectors
from multimodal_ssl.own import checking
from multimodal_ssl.own.checking import Checked
from multimodal_ssl.own.reading import opened, read
from multimodal_ssl.search.windows import Cut

CUT = Cut(num_frames=4, size_px=32)
WORDS = made_up_vectors(own_films.CAPTIONS)


def told(place):
    """(video, start, stop, captions) of every clip, and what is left out."""
    clips, left = read(place)
    return [(one.video, one.start_s, one.stop_s, one.captions) for one in clips], [str(one) for one in left]


# ---- folders


def test_a_folder_of_videos_with_subtitles_of_every_kind(tmp_path):
    clips, left = told(own_films.with_subtitles(tmp_path, 3))
    assert clips == [(f"{i:02d}.mp4", 0.0, 1.2, (own_films.CAPTIONS[i],)) for i in range(3)]
    assert left == []


def test_every_cue_is_a_clip_and_two_at_once_are_captions_of_one(tmp_path):
    odd_videos.film(tmp_path / "deep" / "a.mp4")
    (tmp_path / "deep" / "a.vtt").write_text(
        "WEBVTT\n\n00:00.000 --> 00:01.000\none\n\n00:01.000 --> 00:02.000\ntwo\n\n00:01.000 --> 00:02.000\nthree\n"
    )
    assert told(tmp_path)[0] == [("deep/a.mp4", 0, 1, ("one",)), ("deep/a.mp4", 1, 2, ("two", "three"))]


def test_a_video_without_captions_is_a_clip_that_nothing_is_said_of(tmp_path):
    odd_videos.film(tmp_path / "a.mp4")
    assert told(tmp_path) == ([("a.mp4", 0.0, None, ())], [])


def test_a_faulty_cue_is_told_by_file_and_line_and_costs_itself(tmp_path):
    odd_videos.film(tmp_path / "a.mp4")
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\none\n\n2\n00:00:02 -> 3\ntwo\n")
    clips, (left,) = told(tmp_path)
    assert len(clips) == 1
    assert "a.srt" in left
    assert "line 5: must have times as" in left


# ---- tables


def test_a_table_may_have_times_and_rows_of_one_time_are_captions_of_one_clip(tmp_path):
    rows = [
        ("a.mp4", "one", "", ""),
        ("b.mp4", "two", 0.5, 1),
        ("a.mp4", "three", "", ""),
        ("b.mp4", "x", 1, ""),
    ]
    clips, _ = told(own_films.table(tmp_path / "clips.csv", rows))
    assert clips == [
        ("a.mp4", 0, None, ("one", "three")),
        ("b.mp4", 0.5, 1, ("two",)),
        ("b.mp4", 1, None, ("x",)),
    ]


@pytest.mark.parametrize("header", ["path,caption", "video,sentence", "file_name,text", '"path","caption"'])
def test_a_folder_with_a_table_is_read_by_it(tmp_path, header):
    (tmp_path / "clips.csv").write_text(f"{header}\na.mp4,one\n")
    (tmp_path / "a.csv").write_text("start,end,text\n0,1,no table of clips\n")
    assert told(tmp_path)[0] == [("a.mp4", 0, None, ("one",))]


def test_tables_named_as_parts_are_these(tmp_path):
    for part in ("train", "valid"):
        own_films.table(tmp_path / f"{part}.csv", [(f"{part}.mp4", "one", "", "")])
    assert [(one.video, one.part) for one in read(tmp_path)[0]] == [
        ("train.mp4", "train"),
        ("valid.mp4", "dev"),
    ]


def test_of_several_tables_that_are_no_parts_one_must_be_given(tmp_path):
    for name in ("clips", "dev"):
        own_films.table(tmp_path / f"{name}.csv", [("a.mp4", "one", "", "")])
    with pytest.raises(ValueError, match=r"which of clips\.csv, dev\.csv\? give one of them"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("path,caption\na.mp4,one\nb.mp4\n", "clips.csv, line 3: must have 2 fields, got 1"),
        ("path,caption\n,one\n", "clips.csv, line 2: names no video"),
        ("path,caption\na.mp4,\n", "clips.csv, line 2: names no caption"),
        (
            "path,words\na.mp4,one\n",
            "clips.csv, line 2: names no caption; the column must be named caption or",
        ),
        ("path,caption,start,end\na.mp4,one,2,1\n", "clips.csv, line 2: must start at 0 s or later"),
        ("path,caption,start\na.mp4,one,soon\n", "clips.csv, line 2: times must be seconds, got 'soon'"),
        ("path,caption\na.mp4,\xff\n", "clips.csv, line 2: is not UTF-8"),
        ('path,caption\na.mp4,"one\nb.mp4,two\n', "clips.csv, line 2: is no row: unexpected end of data"),
        ("path,caption\n", "no clips in it; looked for"),
    ],
)
def test_a_line_that_is_none_is_one_sentence_with_file_and_line(tmp_path, content, sentence):
    (tmp_path / "clips.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match="clips") as raised:
        read(tmp_path / "clips.csv")
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


# ---- shards


def test_shards_tell_captions_in_every_way(tmp_path):
    video = odd_videos.film(tmp_path / "film.mp4").read_bytes()
    shard = own_films.shard(
        tmp_path / "data" / "0000.tar",
        {
            "0.mp4": video, "0.txt": b"one\n",
            "1.mp4": video, "1.json": json.dumps({"caption": "two"}).encode(),
            "2.mp4": video, "2.json": json.dumps({"text": ["three", "four"]}).encode(),
            "3.mp4": video, "3.vtt": b"WEBVTT\n\n00:00.000 --> 00:01.000\nfive\n",
            "4.mp4": video, "4.json": json.dumps({"start": [0], "end": [1], "text": ["six"]}).encode(),
            "5.mp4": video,
        },
    )  # fmt: skip
    clips, left = told(shard.parent)
    assert [captions for *_, captions in clips] == [
        ("one",), ("two",), ("three", "four"), ("five",), ("six",), (),
    ]  # fmt: skip
    assert [stop for _, _, stop, _ in clips] == [None, None, None, 1, 1, None]
    assert left == []
    with opened(read(shard)[0][0]) as path:
        assert path.read_bytes() == video
    assert not path.exists()


@pytest.mark.parametrize(
    ("member", "content", "sentence"),
    [
        ("0.txt", b"\xff", "0000.tar, 0.txt): cannot be read: must be UTF-8"),
        ("0.json", b"{", "0000.tar, 0.json): cannot be read: is no JSON"),
        ("0.json", b'{"other": 1}', "0000.tar, 0.json): cannot be read: must be"),
        ("1.txt", b"one", "0000.tar): has no video: .txt"),
    ],
)
def test_a_sample_that_is_none_is_left_out_by_name(tmp_path, member, content, sentence):
    video = odd_videos.film(tmp_path / "film.mp4").read_bytes()
    shard = own_films.shard(tmp_path / "0000.tar", {"0.mp4": video, member: content, "2.mp4": video})
    _, (left,) = told(shard)
    assert sentence in left


def test_a_shard_that_is_cut_off_is_one_sentence(tmp_path):
    shard = own_films.shard(tmp_path / "0000.tar", {"0.mp4": bytes(5000), "0.txt": b"one"})
    shard.write_bytes(shard.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"0000\.tar: is no whole tar file .*; make the shard again"):
        read(shard)


@pytest.mark.parametrize(
    ("name", "sentence"), [("none", "no such file or folder"), ("a.txt", "must be a folder or")]
)
def test_a_place_that_is_none_is_one_sentence(tmp_path, name, sentence):
    (tmp_path / "a.txt").touch()
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path / name)


# ---- pictures


def checked(place):
    return [*checking.checked(read(place)[0], CUT, WORDS)]


def test_a_clip_is_the_windows_that_lie_inside_it(tmp_path):
    odd_videos.film(tmp_path / "a.mp4", num_frames=60)  # 6 s: windows of 1 s, a new one every 0.5 s
    rows = [
        ("a.mp4", "a red ball", 1, 3),
        ("a.mp4", "a red ring", 3.1, 3.4),
        ("a.mp4", "a red cross", "", ""),
    ]
    found = {one.captions[0]: one.windows for one in checked(own_films.table(tmp_path / "a.csv", rows))}
    # The clip's windows start at 1.0, 1.5 and 2.0 s; the first shows frames 10, 12 or 13, 15, 17 or 18.
    assert odd_videos.numbers(found["a red ball"][:, 0]) == [10, 15, 20]
    assert len(found["a red ring"]) == 1  # shorter than a window: the one that shares most with it
    assert len(found["a red cross"]) == 6  # 11 in the film, every other one
    assert found["a red ball"].shape[1:] == (4, 32, 48, 3)


def test_what_cannot_be_used_is_left_out_with_its_reason(tmp_path):
    odd_videos.film(tmp_path / "a.mp4")
    odd_videos.cut_off(tmp_path / "cut.mp4")
    (tmp_path / "b.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    rows = [
        ("a.mp4", "a red ball", "", ""), ("none.mp4", "a red ball", "", ""), ("cut.mp4", "a red ball", "", ""),
        ("a.mp4", "xyzzy", 0, 1), ("a.mp4", "a ring", 9, 10), ("b.mp4", "a ring", "", ""),
        ("a.mp4", "and a", 0, 2),
    ]  # fmt: skip
    found = checked(own_films.table(tmp_path / "clips.csv", rows))
    left = {(one.id, one.where.rpartition(", ")[2]): one.reason for one in found if isinstance(one, LeftOut)}
    assert [one.clip.id for one in found if isinstance(one, Checked)] == ["a.mp4"]
    assert "no such file" in left["none.mp4", "line 3"]
    assert left["cut.mp4", "line 4"].startswith("cannot be read: ")
    assert left["a.mp4@0-1", "line 5"] == "has no word with a vector: xyzzy"
    assert left["a.mp4@9-10", "line 6"] == "begins after its video ends: at 9 s of 2 s"
    assert left["b.mp4", "line 7"] == "shows the same as another: a.mp4"
    assert left["a.mp4@0-2", "line 8"] == "names nothing that can be seen: and a"
    bad = [one for one in found if isinstance(one, LeftOut) and one.bad]
    assert len(bad) == 3
    with pytest.raises(ValueError, match=r"at most 10 % of items may be bad, got 3 of 7"):
        tell(bad, 7)


def test_clips_before_and_after_a_damaged_stretch_are_used(tmp_path):
    """Recordings made one by `cat`: packets at the seam, at 2 s, are damaged."""
    for part, level in (("0.ts", 0), ("1.ts", 100)):  # brighter from frame to frame
        brighter = [np.full_like(odd_films.grey(0), level + 2 * i) for i in range(50)]
        odd_films.film(tmp_path / part, odd_films.regular(50), sounds=({},), pixels=brighter.__getitem__)
    (tmp_path / "joined.ts").write_bytes((tmp_path / "0.ts").read_bytes() + (tmp_path / "1.ts").read_bytes())
    rows = [("joined.ts", own_films.CAPTIONS[i], i, i + 1) for i in range(4)]
    found = checked(own_films.table(tmp_path / "clips.csv", rows))
    used = [one.clip.start_s for one in found if isinstance(one, Checked)]
    (left,) = (one for one in found if isinstance(one, LeftOut))
    assert used == [0, 2, 3]
    assert re.search(r"cannot be read: .*joined\.ts: 1\.[89]\d to 1\.9\d s: is damaged", left.reason)


def test_no_clip_is_lost_without_a_word(tmp_path):
    """Pictures begin a second after the sound, and nothing is shown before."""
    odd_films.film(tmp_path / "late.mkv", odd_films.regular(50, first_s=1.0), sounds=({},), seconds=3.0)
    rows = [("late.mkv", own_films.CAPTIONS[0], 0, 0.5), ("late.mkv", own_films.CAPTIONS[1], 1, 2.5)]
    left, used = checked(own_films.table(tmp_path / "clips.csv", rows))
    assert left.reason == "has no pictures in its time: from 0 to 0.5 s"
    assert used.clip.start_s == 1


def test_json_of_a_shard_that_is_nested_too_deeply_costs_its_sample(tmp_path):
    film = odd_videos.film(tmp_path / "a.mp4", num_frames=4).read_bytes()
    own_films.shard(
        tmp_path / "s.tar",
        {"a.mp4": film, "a.json": b"[" * 100_000, "b.mp4": film, "b.json": b'{"caption": "a dog"}'},
    )
    clips, (left,) = told(tmp_path / "s.tar")
    assert clips == [("s.tar/b.mp4", 0, None, ("a dog",))]
    assert left.endswith("cannot be read: is no JSON: is nested too deeply: line 1 column 1 (char 0)")


@pytest.mark.parametrize("name", ["clips.csv", "s.tar", "a.mp4", "b.vtt"])
def test_a_pipe_among_the_files_is_not_waited_on(tmp_path, name):
    odd_videos.film(tmp_path / "b.mp4", num_frames=4)
    os.mkfifo(tmp_path / name)
    clips, left = told(tmp_path)
    assert [video for video, *_ in clips] == ["b.mp4"]
    assert all("is no file but a pipe or device" in one for one in left)
    assert len(left) == (name in ("a.mp4", "b.vtt"))
    if name in ("clips.csv", "s.tar"):
        with pytest.raises(ValueError, match="is no file but a pipe or device"):
            read(tmp_path / name)
