"""MSR-VTT: 1,000 pairs in one list, official splits with twenty sentences in another."""

import json

import pytest

from multimodal_ssl.corpora.msrvtt import msrvtt

PAIRS = (
    "key,vid_key,video_id,sentence\n"
    "ret0,msr9770,video9770,a person is connecting something\n"
    "ret1,msr1,video1,gone\n"
)


def test_pairs_of_the_thousand(root, make):
    make.write(
        root / "MSRVTT_JSFUSION_test.csv", PAIRS + 'ret2,msr2,video2,"a ""girl"", jumping"\nret3,msr3\n'
    )
    make.films(root / "videos/all", "video9770.mp4", "video2.mp4")
    corpus = msrvtt(root, "1k-A")
    assert [(clip.id, clip.captions) for clip in corpus.items] == [
        ("msrvtt-video2", ('a "girl", jumping',)),
        ("msrvtt-video9770", ("a person is connecting something",)),
    ]
    assert [str(bad) for bad in corpus.bad] == [
        "msrvtt-video1 (video1.mp4): MSRVTT_JSFUSION_test.csv line 3: there is no such file",
        "MSRVTT_JSFUSION_test.csv line 5 (MSRVTT_JSFUSION_test.csv): must have 4 fields, got 2: 'ret3,msr3'",
    ]


def official(*videos):
    return json.dumps(
        {
            "videos": [
                {"video_id": name, "split": split, "url": f"https://www.youtube.com/watch?v={name}yt&t=3"}
                for name, split in videos
            ],
            "sentences": [
                {"video_id": name, "sen_id": i, "caption": f"{name} {i}"}
                for i in range(2)
                for name, _ in videos
            ],
        }
    )


def test_official_splits_keep_all_sentences_of_a_clip(root, make):
    make.write(
        root / "MSRVTT_data.json", official(("video0", "train"), ("video1", "test"), ("video2", "test"))
    )
    make.films(root, "video0.mp4", "video2.mp4")
    (root / "video1.mp4").touch()
    corpus = msrvtt(root, "test")
    [clip] = corpus.items
    assert clip.captions == ("video2 0", "video2 1")
    assert clip.keys == ("msrvtt:video2", "youtube:video2yt")
    assert [str(bad) for bad in corpus.bad] == [
        "msrvtt-video1 (video1.mp4): MSRVTT_data.json: is empty (0 bytes)"
    ]


def test_lists_as_first_published(root, make):
    make.write(root / "train_val_videodatainfo.json", official(("video0", "train"), ("video1", "validate")))
    make.write(root / "test_videodatainfo.json", official(("video2", "test")))
    make.films(root / "TrainValVideo", "video0.mp4", "video1.mp4")
    make.films(root / "TestVideo", "video2.mp4")
    found = {part: [clip.id for clip in msrvtt(root, part).items] for part in ("train", "validate", "test")}
    assert found == {"train": ["msrvtt-video0"], "validate": ["msrvtt-video1"], "test": ["msrvtt-video2"]}


def test_what_msrvtt_does_not_have_is_said(root, make):
    with pytest.raises(
        ValueError, match="part must be one of 1k-A, train, validate, test, train-9k, train-7k, got '1k-B'"
    ):
        msrvtt(root, "1k-B")
    with pytest.raises(ValueError, match=r"must hold MSRVTT_JSFUSION_test.csv or msrvtt_test.csv"):
        msrvtt(root, "1k-A")
    make.write(root / "MSRVTT_data.json", '{"videos": []}')
    with pytest.raises(ValueError, match="must hold videos and sentences: KeyError"):
        msrvtt(root, "test")


def test_lists_of_clips_to_train_on(root, make):
    """The 9,000 are of the official train, validate and test clips."""
    make.write(
        root / "MSRVTT_data.json", official(("video0", "train"), ("video1", "validate"), ("video2", "test"))
    )
    make.write(root / "MSRVTT_train.9k.csv", "video_id\nvideo2\nvideo0\nvideo7\n")
    make.films(root, "video0.mp4", "video1.mp4", "video2.mp4")
    corpus = msrvtt(root, "train-9k")
    assert [(clip.id, clip.captions) for clip in corpus.items] == [
        ("msrvtt-video0", ("video0 0", "video0 1")),
        ("msrvtt-video2", ("video2 0", "video2 1")),
    ]
    assert [str(bad) for bad in corpus.bad] == ["msrvtt-video7 (MSRVTT_train.9k.csv): no sentence is of it"]
    with pytest.raises(ValueError, match=r"must hold MSRVTT_train\.7k\.csv"):
        msrvtt(root, "train-7k")


def test_a_caption_that_is_no_text_costs_itself_and_is_named(root, make):
    lists = json.loads(official(("video0", "test")))
    lists["sentences"][1]["caption"] = None
    make.write(root / "MSRVTT_data.json", json.dumps(lists))
    make.films(root, "video0.mp4")
    corpus = msrvtt(root, "test")
    assert [clip.captions for clip in corpus.items] == [("video0 0",)]
    assert [str(bad) for bad in corpus.bad] == [
        "msrvtt-video0-1 (MSRVTT_data.json): sentence 1: must be text, got None"
    ]


def test_lists_nested_too_deeply_are_a_fault_of_the_file(root, make):
    make.write(root / "MSRVTT_data.json", "[" * 100_000)
    with pytest.raises(ValueError, match=r"must hold videos and sentences: .*nested too deeply"):
        msrvtt(root, "test")
