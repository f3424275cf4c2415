"""AudioSet: labels by name, pieces under the names that fetchers give them, streamed."""

import itertools

import pytest

from multimodal_ssl.corpora.audioset import audioset, pieces

HEAD = (
    "# Segments csv created Sun Mar  5 10:54:25 2017\n"
    "# num_ytids=5\n"
    "# YTID, start_seconds, end_seconds, positive_labels\n"
)


@pytest.fixture
def layout(root, make):
    make.write(
        root / "class_labels_indices.csv",
        'index,mid,display_name\n0,/m/09x0r,"Speech"\n1,/m/05zppz,"Male speech, man speaking"\n',
    )
    rows = [
        '--4gqARaEJE, 0.000, 10.000, "/m/09x0r,/m/05zppz"',
        'seconds, 30.000, 40.000, "/m/09x0r"',
        'plain, 30.000, 40.000, "/m/09x0r"',
        'prefixed, 30.000, 38.500, "/m/09x0r"',
        'vanished, 30.000, 40.000, "/m/09x0r"',
        'unknown, 30.000, 40.000, "/m/0000"',
        'backwards, 40.000, 30.000, "/m/09x0r"',
        "short, 1.0",
    ]
    make.write(root / "eval_segments.csv", HEAD + "\n".join(rows) + "\n")
    make.films(
        root / "eval", "--4gqARaEJE_0_10000.wav", "seconds_30_40.mp4", "plain.flac", "00/Yprefixed.wav"
    )
    return root


def test_pieces_are_found_by_all_names(layout):
    found = {clip.id: (clip.path, clip.stop_s) for clip in audioset(layout, "eval").items}
    assert found == {
        "audioset---4gqARaEJE-0": ("eval/--4gqARaEJE_0_10000.wav", 10.0),
        "audioset-seconds-30000": ("eval/seconds_30_40.mp4", 10.0),
        "audioset-plain-30000": ("eval/plain.flac", 10.0),
        "audioset-prefixed-30000": ("eval/00/Yprefixed.wav", 8.5),
    }


def test_labels_have_their_names(layout):
    clip = audioset(layout, "eval").items[0]
    assert (clip.labels, clip.keys) == (("Speech", "Male speech, man speaking"), ("youtube:--4gqARaEJE",))


def test_every_fault_is_named(layout):
    assert [str(bad).partition(": ")[2].partition(": ")[0] for bad in audioset(layout, "eval").bad] == [
        "there is no such file",
        "labels must stand in class_labels_indices.csv, got /m/0000",
        "must start at 0 s or later and end after its start, got 40 to 30 s",
        "must have 4 fields, got 2",
    ]


def test_a_part_streams(layout, make):
    """The first piece is there before the table's end is looked at."""
    with (layout / "eval_segments.csv").open("ab") as table:
        table.write(b"\xff\xfe broken\n" * 3)
    assert [item.id for item in itertools.islice(pieces(layout, "eval"), 1)] == ["audioset---4gqARaEJE-0"]
    assert sum("is not UTF-8" in bad.reason for bad in audioset(layout, "eval").bad) == 3


def test_what_audioset_does_not_have_is_said(layout):
    with pytest.raises(
        ValueError, match="part must be one of balanced_train, unbalanced_train, eval, got 'test'"
    ):
        audioset(layout, "test")
    with pytest.raises(ValueError, match=r"lacks balanced_train_segments.csv"):
        audioset(layout, "balanced_train")
