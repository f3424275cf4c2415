"""Tables stream and name their bad lines; files that do not decode leave a corpus with their reason."""

import pytest

from common.data.manifest import Bad
from common.data.video import read_frames
from multimodal_ssl.corpora.corpus import (
    AnnotatedClip,
    CorpusPart,
    Files,
    collected,
    corpus_folder,
    lines_of,
    rows_of,
    seconds_of,
    within,
)


def clip(id, *keys, path="a.mp4", **fields):
    return AnnotatedClip(id, path, keys=keys, **fields)


def test_items_are_sorted_and_an_id_counts_once():
    corpus = collected("made", [clip("b"), Bad("c", "c.mp4", "empty"), clip("a"), clip("b")])
    assert [item.id for item in corpus.items] == ["a", "b"]
    assert [bad.reason for bad in corpus.bad] == ["empty", "the same item occurs before"]
    assert corpus.bad_share(0.5) == 0.5
    with pytest.raises(ValueError, match="at most 40 % of items may be bad, got 2 of 4"):
        corpus.bad_share(0.4)


def test_a_corpus_of_bad_items_alone_tells_why():
    with pytest.raises(ValueError, match=r"made holds no usable item: c \(c.mp4\): empty"):
        collected("made", [Bad("c", "c.mp4", "empty")])


def test_what_does_not_decode_is_named_and_the_rest_stays(root, make):
    make.film(root / "good.mp4")
    content = make.film(root / "cut.mp4").read_bytes()
    (root / "cut.mp4").write_bytes(content[: len(content) // 2])
    corpus = collected("made", [clip("good", path="good.mp4"), clip("cut", path="cut.mp4")])
    checked = corpus.checked(lambda item: list(read_frames(item.file)))
    assert [item.id for item in checked.items] == ["good"]
    [bad] = checked.bad
    assert bad.id == "cut"
    assert bad.reason.startswith("MediaError: ")


def test_no_item_of_a_test_set_stays_in_pre_training():
    training = CorpusPart("made", (clip("a", "youtube:1"), clip("b", "youtube:2"), clip("c")), ())
    test = CorpusPart("other", (clip("x", "youtube:2", "film:9"),), ())
    assert [item.id for item in training.without(test.keys).items] == ["a", "c"]


def test_the_hash_is_of_what_is_listed_and_not_of_where_it_lies():
    def of(*items):
        return CorpusPart("made", items, ()).sha256

    assert of(clip("a", path="here/a.mp4")) == of(clip("a", path="there/a.mp4"))
    assert len({of(clip("a")), of(clip("b")), of(clip("a", stop_s=1.0)), of(clip("a", captions=("b",)))}) == 4


def test_rows_stream_and_bad_ones_are_named(root):
    table = root / "list.csv"
    table.write_bytes(b'\xef\xbb\xbfid,text\n1,"a, ""b"" \xe2\x80\xa8"\n2\n\n3,caf\xe9\n4,ok\n')
    first, *rest = rows_of(table, ("id",))
    assert first == ("list.csv line 2", {"id": "1", "text": 'a, "b" \u2028'})
    assert [str(row) for row in rest[:2]] == [
        "list.csv line 3 (list.csv): must have 2 fields, got 1: '2'",
        "list.csv line 5 (list.csv): is not UTF-8",
    ]
    assert rest[2:] == [("list.csv line 6", {"id": "4", "text": "ok"})]
    with pytest.raises(ValueError, match=r"needs the columns video_id, has id, text"):
        next(rows_of(table, ("id", "video_id")))


def test_lines_end_at_newlines_alone(root):
    (root / "list.txt").write_bytes(b"a\xe2\x80\xa8b\r\ncaf\xe9\n")
    first, second = lines_of(root / "list.txt")
    assert first == ("list.txt line 1", "a\u2028b")
    assert second.reason == "is not UTF-8: invalid continuation byte at byte 3"


def test_files_are_found_once_by_stem_and_suffix(root, make):
    make.films(root, "b/x.mp4", "a/x.MKV", "a/x.txt", "y.v2.webm")
    files = Files(root, (".mp4", ".mkv", ".webm"))
    assert files.of("x") == root / "a/x.MKV"
    assert files.of("none", "y.v2") == root / "y.v2.webm"
    assert files.of("none") is None


@pytest.mark.parametrize("name", ["/etc/passwd", "a/../../b", "", "a\0b"])
def test_no_list_leads_out_of_its_folder(root, name):
    assert within(root, name) is None


@pytest.mark.parametrize(
    ("start", "stop", "found"),
    [
        ("1.5", 3, (1.5, 3.0)),
        (3, 3, "must start at 0 s or later and end after its start, got 3 to 3 s"),
        (-1, 3, "must start at 0 s or later and end after its start, got -1 to 3 s"),
        (0, "nan", "must start at 0 s or later and end after its start, got 0 to nan s"),
        (None, 3, "times must be seconds, got None to 3"),
    ],
)
def test_times_are_seconds_in_order(start, stop, found):
    assert seconds_of(start, stop) == found


def test_an_archive_is_unpacked_by_its_owner(root):
    (root / "UCF101.rar").touch()
    with pytest.raises(ValueError, match=r"UCF101.rar is a file; unpack it \(tar, unzip, unrar\)"):
        corpus_folder(root / "UCF101.rar", "")
    with pytest.raises(ValueError, match="is no folder; place the corpus there or set DATA_ROOT"):
        corpus_folder(root / "none", "")
    with pytest.raises(ValueError, match=r"lacks a.csv; it needs lists"):
        corpus_folder(root, "it needs lists", "UCF101.rar", "a.csv")
