"""ESC-50: five folds as published, none of which shares a recording with another."""

import itertools

import pytest

from multimodal_ssl.corpora.esc50 import FOLDS, esc50


@pytest.fixture
def layout(root, make):
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for fold, take in itertools.product(FOLDS, "AB"):
        lines.append(f"{fold}-10003{fold}-{take}-0.wav,{fold},0,dog,True,10003{fold},{take}")
        make.films(root / "audio", f"{fold}-10003{fold}-{take}-0.wav")
    lines.append("9-1-A-0.wav,9,0,dog,True,1,A")
    lines.append("1-7-A-36.wav,1,36,vacuum_cleaner,False,7,A")
    make.write(root / "meta/esc50.csv", "\n".join(lines) + "\n")
    return root


def test_every_sound_is_tested_once_and_trained_on_four_times(layout):
    tested = [clip.id for fold in FOLDS for clip in esc50(layout, fold, "test").items]
    assert len(tested) == len(set(tested)) == 10
    for fold in FOLDS:
        train, test = (esc50(layout, fold, part) for part in ("train", "test"))
        assert (len(train.items), len(test.items)) == (8, 2)
        assert not train.keys & test.keys


def test_a_sound_has_its_category_and_its_recording(layout):
    clip = esc50(layout, 2, "test").items[0]
    assert (clip.labels, clip.keys, clip.path) == (("dog",), ("freesound:100032",), "audio/2-100032-A-0.wav")


def test_bad_lines_and_missing_files_are_named(layout):
    told = [str(bad) for bad in esc50(layout, 1, "test").bad]
    assert told[0].startswith(
        "esc50.csv line 12 (audio): needs a file in audio and a fold of 1 to 5, got '9-1-A-0.wav,9"
    )
    assert told[1] == "esc50-1-7-A-36 (audio/1-7-A-36.wav): esc50.csv line 13: there is no such file"
    assert len(esc50(layout, 2, "test").bad) == 1  # the missing sound is of another part


def test_what_esc50_does_not_have_is_said(layout):
    with pytest.raises(ValueError, match="fold must be 1 to 5 and part train or test, got 0 and 'train'"):
        esc50(layout, 0, "train")
    with pytest.raises(ValueError, match=r"lacks meta/esc50.csv"):
        esc50(layout / "audio", 1, "train")
