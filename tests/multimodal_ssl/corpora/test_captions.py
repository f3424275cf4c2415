"""Captions of every kind come out as their times and words; a bad cue costs itself and is told by its line."""

import json
from pathlib import Path

import pytest

from multimodal_ssl.corpora.captions import Caption, CaptionError, parse_captions, read_captions


def parse(text, kind):
    return parse_captions(text.encode(), kind, Path(f"film{kind}"))


VTT = """WEBVTT - a title
Kind: captions

STYLE
::cue { color: red }

NOTE 00:00.000 --> 00:01.000
is a comment

00:01.000 --> 00:02.500 align:start position:0%
<v Ann>Cut the <i>onions</i> &amp; leeks

intro
01:00:00.000 --> 01:00:01.000
two
lines
"""


def test_webvtt_loses_its_marks_and_keeps_its_times():
    assert parse(VTT, ".vtt") == (
        [Caption(1.0, 2.5, "Cut the onions & leeks"), Caption(3600.0, 3601.0, "two lines")],
        [],
    )


def test_rolling_captions_say_every_word_once():
    text = (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:02.000\n \nmix<00:00:00.500><c> the</c><00:00:01.000><c> eggs</c>\n\n"
        "00:00:02.000 --> 00:00:02.010\nmix the eggs\n \n\n"
        "00:00:02.010 --> 00:00:04.000\nmix the eggs\nand<00:00:02.500><c> salt</c>\n"
    )
    assert [caption.text for caption in parse(text, ".vtt")[0]] == ["mix the eggs", "and salt"]


def test_repeated_words_stay_where_captions_do_not_roll():
    text = "WEBVTT\n\n00:00.000 --> 00:01.000\nYes.\n\n00:01.000 --> 00:02.000\nYes.\n"
    assert [caption.text for caption in parse(text, ".vtt")[0]] == ["Yes.", "Yes."]


def test_subrip_with_windows_lines_and_a_byte_order_mark():
    text = (
        "1\r\n00:00:01,500 --> 00:00:03,000\r\n{\\an8}<b>Stir</b> well.\r\n  \r\n"
        "2\r\n00:00:04,000 --> 00:00:05,000\r\n\r\n"
    )
    expected = ([Caption(1.5, 3.0, "Stir well.")], [])
    assert parse("\ufeff" + text, ".srt") == expected
    assert parse_captions(text.encode("utf-16"), ".srt", Path("film.srt")) == expected


COLUMNS = {"start": [4, 0.5], "end": [5, 3], "text": ["later", "first"]}
ENTRIES = [{"start": 4, "end": 5, "text": "later"}, {"start": 0.5, "end": 3, "text": "first"}]


@pytest.mark.parametrize("content", [COLUMNS, ENTRIES, {"segments": ENTRIES, "language": "en"}])
def test_every_form_of_json_is_sorted_by_start(content):
    expected = [Caption(0.5, 3.0, "first"), Caption(4.0, 5.0, "later")]
    assert parse(json.dumps(content), ".json") == (expected, [])


def test_csv_as_mil_nce_reads_it():
    text = 'start,end,text\n0.41,3.91,check pic tonight\n3.92,5.9,\n5.91,10.25,"a, b"\n'
    assert parse(text, ".csv") == (
        [Caption(0.41, 3.91, "check pic tonight"), Caption(5.91, 10.25, "a, b")],
        [],
    )


@pytest.mark.parametrize(
    ("kind", "text", "faults"),
    [
        (
            ".srt",
            "1\n00:00:09,000 --> 00:00:02,000\nback\n\nlost\n\n3\n00:00:01,000 --> 00:00:02,000\ngood\n",
            [
                "line 2: must start at 0 s or later and end after its start, got 9 to 2 s",
                "line 5: must have times",
            ],
        ),
        (
            ".json",
            '[{"start": NaN, "end": 2, "text": "a"}, 7, {"start": 1, "end": 2, "text": "good"}]',
            ["entry 0: times must be numbers, got nan", "entry 1: times must be seconds, got None to None"],
        ),
        (
            ".json",
            f'[{{"start": 1{"0" * 400}, "end": 2, "text": "a"}}, {{"start": 1, "end": 2, "text": "good"}}]',
            ["entry 0: times must be seconds, got 1000"],
        ),
        (
            ".csv",
            "start,end,text\none,2,a\n1,2,good\n3\n",
            [
                "line 2: times must be seconds, got 'one' to '2'",
                "line 4: times must be seconds, got '3' to None",
            ],
        ),
    ],
)
def test_a_bad_cue_costs_itself_alone(kind, text, faults):
    found, told = parse(text, kind)
    assert found == [Caption(1.0, 2.0, "good")]
    assert len(told) == len(faults)
    assert all(line.startswith(expected) for line, expected in zip(told, faults, strict=True))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.vtt", b"", "is empty"),
        ("a.vtt", b"WEBVTT\n", "holds no caption"),
        ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\n", "must be UTF-8"),
        ("a.json", b'{"start": [1', "is no JSON"),
        ("a.json", b'{"start": [1], "end": [2, 3], "text": ["a"]}', r"of one length, got \[1, 2, 1\]"),
        ("a.json", b'{"words": 3}', "must be"),
        ("a.csv", b"begin,end,text\n1,2,a\n", "lacks start"),
        ("a.ass", b"[Script Info]", "must end in .vtt, .srt, .json, .csv, got '.ass'"),
    ],
)
def test_a_file_without_captions_says_why(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CaptionError, match=rf"{name}: .*{reason}"):
        read_captions(tmp_path / name)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(CaptionError, match="no such file"):
        read_captions(tmp_path / "none.vtt")


TOUCHING = """1
00:00:01,000 --> 00:00:02,000
one
2
00:00:03,000 --> 00:00:04,000
two
00:00:05,000 --> 00:00:06,000
three 3
"""


@pytest.mark.parametrize("kind", [".srt", ".vtt"])
def test_times_without_a_blank_line_before_them_begin_a_cue_and_are_no_text(kind):
    text = TOUCHING if kind == ".srt" else "WEBVTT\n\n" + TOUCHING.replace(",", ".")
    found, faults = parse(text, kind)
    assert found == [Caption(1.0, 2.0, "one"), Caption(3.0, 4.0, "two"), Caption(5.0, 6.0, "three 3")]
    assert faults == []


@pytest.mark.parametrize("times", ["00:00:03 --> 00:00:04", "00:00:03,000 -> 00:00:04,000", "3:00 --> ?"])
def test_times_that_are_ill_written_are_nobodys_words(times):
    found, faults = parse(TOUCHING.replace("00:00:03,000 --> 00:00:04,000", times), ".srt")
    assert found == [Caption(1.0, 2.0, "one"), Caption(5.0, 6.0, "three 3")]
    assert len(faults) == 1
    assert "must have times as" in faults[0]


def test_an_arrow_that_is_said_stays():
    found, faults = parse("00:00:01,000 --> 00:00:02,000\nA --> B,\n5 -> 6\n", ".srt")
    assert (found, faults) == ([Caption(1.0, 2.0, "A --> B, 5 -> 6")], [])


def test_a_number_that_is_said_is_no_name_of_a_cue():
    found, _ = parse("00:00:01,000 --> 00:00:02,000\n42\n\n00:00:03,000 --> 00:00:04,000\ntwo\n", ".srt")
    assert [caption.text for caption in found] == ["42", "two"]


CODE = "if a < b and c > d"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (".srt", f"00:00:01,000 --> 00:00:02,000\n<i>{CODE}</i>\n"),
        (".vtt", f"WEBVTT\n\n00:01.000 --> 00:02.000\n<c.loud.red>{CODE}</c>\n"),
        (".vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>if a &lt; b and c &gt; d\n"),
        (".json", json.dumps([{"start": 1, "end": 2, "text": CODE}])),
        (".csv", f"start,end,text\n1,2,{CODE}\n"),
    ],
)
def test_only_tags_that_a_format_has_are_dropped(kind, text):
    assert parse(text, kind) == ([Caption(1.0, 2.0, CODE)], [])


@pytest.mark.parametrize("text", ["<i>said</i>", "&amp;", "{\\an8}"])
def test_formats_without_tags_keep_what_looks_like_one(text):
    found, _ = parse(json.dumps([{"start": 1, "end": 2, "text": text}]), ".json")
    assert [caption.text for caption in found] == [text]


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        (
            "a.srt",
            b"00:00:01,000 --> 00:00:02,000\ncaf\xe9\n\n00:00:03,000 --> 00:00:04,000\ngood\n",
            "line 1",
        ),
        (
            "a.json",
            b'[{"start": 1, "end": 2, "text": "caf\xe9"}, {"start": 3, "end": 4, "text": "good"}]',
            "entry 0",
        ),
        ("a.csv", b"start,end,text\n1,2,caf\xe9\n3,4,good\n", "line 2"),
    ],
)
def test_one_byte_that_is_no_utf_8_costs_its_own_cue(tmp_path, name, content, place):
    (tmp_path / name).write_bytes(content)
    found, faults = read_captions(tmp_path / name)
    assert found == [Caption(3.0, 4.0, "good")]
    assert faults == [f"{place}: must be UTF-8, has 0xe9; convert the file, as with iconv"]


def test_json_nested_too_deeply_is_a_fault_of_the_file():
    with pytest.raises(CaptionError, match="is no JSON: is nested too deeply"):
        parse("[" * 100_000, ".json")
