"""LibriSpeech and Libri-Light: the right utterances, and every bad line with its reason."""

import pytest

from common.data.splits import SplitLeak
from speech_adapters.data.corpora.corpus import check_apart
from speech_adapters.data.corpora.libri import libri_light, librispeech


def ids(corpus):
    return [utterance.id for utterance in corpus.utterances]


def reasons(corpus):
    return [str(bad) for bad in corpus.bad]


def test_a_librispeech_line_becomes_an_utterance_with_its_chapter_and_speaker(root, make):
    make.chapter(root / "LibriSpeech/dev-clean", "84", "121123", ["GO DO YOU HEAR", "IT'S ALL"])
    corpus = librispeech(root, "dev-clean")
    first, second = corpus.utterances
    assert (corpus.name, corpus.bad) == ("librispeech-dev-clean", ())
    assert (first.id, first.raw_text, first.text) == (
        "librispeech-84-121123-0000",
        "GO DO YOU HEAR",
        "go do you hear",
    )
    assert first.path == "LibriSpeech/dev-clean/84/121123/84-121123-0000.flac"
    assert first.keys == ("speaker:librivox-84", "chapter:librivox-121123", "text:en:go do you hear")
    assert second.text == "it's all"


@pytest.mark.parametrize("given", [".", "LibriSpeech", "LibriSpeech/dev-clean"])
def test_any_folder_on_the_way_to_a_part_serves(root, given, make):
    make.chapter(root / "LibriSpeech/dev-clean", "84", "1", ["YES"])
    make.chapter(root / "LibriSpeech/dev-other", "85", "1", ["NO"])
    assert ids(librispeech(root / given, "dev-clean")) == ["librispeech-84-1-0000"]


def test_every_fault_of_a_chapter_is_listed_with_file_line_and_reason(root, make):
    place = make.chapter(
        root / "LibriSpeech/dev-clean", "84", "1", ["ONE", "TWO", "", "IN 1984", "FIVE", "..."]
    )
    (place / "84-1-0001.flac").unlink()
    (place / "84-1-0004.flac").write_bytes(b"")
    make.tone(place / "84-1-0099.flac")
    with (place / "84-1.trans.txt").open("ab") as file:
        file.write(b"85-1-0000 OF ANOTHER\n84-1-0000 AGAIN\n84-1-0007 \xff\n")
    corpus = librispeech(root, "dev-clean")
    told = "\n".join(reasons(corpus))
    assert ids(corpus) == ["librispeech-84-1-0000"]
    assert len(corpus.bad) == 9
    assert "84-1-0001.flac): 84-1.trans.txt line 2: there is no audio file" in told
    assert "84-1.trans.txt line 3: the text is empty" in told
    assert "84-1.trans.txt line 4: letters do not tell the sound of '1984' in 'IN 1984'" in told
    assert "84-1.trans.txt line 5: the audio file is empty (0 bytes)" in told
    assert "84-1.trans.txt line 6: no letter of 'en' in '...'" in told
    assert "must begin with 84-1-NUMBER, got '85-1-0000 OF ANOTHER'" in told
    assert "84-1.trans.txt line 8: the same utterance occurs before" in told
    assert "84-1.trans.txt line 9 (LibriSpeech/dev-clean/84/1/84-1.trans.txt): is not UTF-8" in told
    assert "84-1-0099.flac): no line of 84-1.trans.txt names it" in told


def test_the_caller_caps_what_is_bad(root, make):
    place = make.chapter(root / "LibriSpeech/dev-clean", "84", "1", ["ONE", "TWO", "THREE", "FOUR"])
    (place / "84-1-0001.flac").unlink()
    corpus = librispeech(root, "dev-clean")
    assert corpus.bad_share(0.25) == 0.25
    with pytest.raises(
        ValueError, match=r"at most 20 % of items may be bad, got 1 of 4:\n  librispeech-84-1-0001"
    ):
        corpus.bad_share(0.2)


def test_a_corpus_without_anything_usable_says_why(root, make):
    make.chapter(root / "LibriSpeech/dev-clean", "84", "1", [""])
    with pytest.raises(ValueError, match=r"no usable utterance: .* the text is empty"):
        librispeech(root, "dev-clean")
    with pytest.raises(ValueError, match="must hold a folder LibriSpeech/test-clean or test-clean"):
        librispeech(root, "test-clean")
    with pytest.raises(ValueError, match="got 'dev'"):
        librispeech(root, "dev")


def test_parts_that_share_a_speaker_leak_and_parts_that_share_a_text_do_not(root, make):
    for part, speaker in (("train-clean-100", "1"), ("dev-clean", "2"), ("test-clean", "1")):
        make.chapter(root / "LibriSpeech" / part, speaker, "7", ["YES"])
    train, dev, test = (librispeech(root, part) for part in ("train-clean-100", "dev-clean", "test-clean"))
    check_apart("speaker", train=train, dev=dev)
    with pytest.raises(SplitLeak, match=r"\(train\) and .* \(test\) share 'speaker:librivox-1'"):
        check_apart("speaker", train=train, dev=dev, test=test)
    with pytest.raises(SplitLeak, match="share 'text:en:yes'"):
        check_apart("text", train=train, dev=dev)


@pytest.fixture
def limited(root, make):
    for number, fold in enumerate([*(f"1h/{i}" for i in range(6)), "9h"]):
        make.chapter(root / "librispeech_finetuning" / fold / "clean", "84", f"{number}", ["YES"])
        make.chapter(root / "librispeech_finetuning" / fold / "other", "85", f"{number}", ["YES"])
    return root


@pytest.mark.parametrize(("hours", "folders"), [("10min", 2), ("1h", 12), ("10h", 14)])
def test_ten_minutes_are_a_fold_of_one_hour_and_ten_hours_are_one_and_nine(limited, hours, folders):
    assert len(libri_light(limited, hours).utterances) == folders


def test_the_shorter_lies_in_the_longer(limited):
    short, middle, long = (set(ids(libri_light(limited, hours))) for hours in ("10min", "1h", "10h"))
    assert short < middle < long


def test_a_missing_fold_is_an_error_and_not_fewer_hours(limited):
    (limited / "librispeech_finetuning/1h/3").rename(limited / "elsewhere")
    with pytest.raises(ValueError, match="1h of Libri-Light needs 1h/3/clean, 1h/3/other"):
        libri_light(limited, "1h")
    with pytest.raises(ValueError, match="one of 10min, 1h, 10h, got '100h'"):
        libri_light(limited, "100h")
