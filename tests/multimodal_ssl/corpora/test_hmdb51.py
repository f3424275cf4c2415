"""HMDB51: a list per action and split, where 0 means in neither part."""

import pytest

from multimodal_ssl.corpora.hmdb51 import hmdb51

NAME = "April_09_brush_hair_u_nm_np1_ba_goo"


@pytest.fixture
def layout(root, make):
    lists = root / "testTrainMulti_7030_splits"
    make.write(lists / "brush_hair_test_split1.txt", f"{NAME}_0.avi 1 \n{NAME}_1.avi 2 \n{NAME}_2.avi 0 \n")
    make.write(lists / "brush_hair_test_split2.txt", f"{NAME}_0.avi 2 \n{NAME}_1.avi 1 \n")
    make.write(lists / "wave_test_split1.txt", "a b_wave_1.avi 1 \nlost_wave_2.avi 1 \nodd 7\n")
    make.films(root / "brush_hair", *(f"{NAME}_{i}.avi" for i in range(3)))
    make.films(root / "wave", "a b_wave_1.avi")
    return root


def ids(corpus):
    return [clip.id for clip in corpus.items]


def test_splits_are_those_of_the_lists(layout):
    assert ids(hmdb51(layout, 1, "train")) == [f"hmdb51-brush_hair-{NAME}_0", "hmdb51-wave-a b_wave_1"]
    assert ids(hmdb51(layout, 1, "test")) == [f"hmdb51-brush_hair-{NAME}_1"]
    assert ids(hmdb51(layout, 2, "test")) == [f"hmdb51-brush_hair-{NAME}_0"]


def test_a_clip_has_its_action_and_its_film(layout):
    clip = hmdb51(layout, 2, "test").items[0]
    assert (clip.labels, clip.keys) == (("brush_hair",), ("film:hmdb51-April_09",))


def test_bad_lines_and_missing_files_are_named(layout):
    assert [bad.reason for bad in hmdb51(layout, 1, "train").bad] == [
        "wave_test_split1.txt line 2: there is no such file",
        "must be NAME.avi and 0, 1 or 2, got 'odd 7'",
    ]


def test_clips_may_lie_in_the_folder_of_their_archive(layout):
    (layout / "hmdb51_org").mkdir()
    for action in ("brush_hair", "wave"):
        (layout / action).rename(layout / "hmdb51_org" / action)
    assert hmdb51(layout, 1, "test").items[0].path == f"hmdb51_org/brush_hair/{NAME}_1.avi"


def test_what_hmdb51_does_not_have_is_said(layout):
    with pytest.raises(ValueError, match="got 1 and 'dev'"):
        hmdb51(layout, 1, "dev")
    with pytest.raises(ValueError, match="hmdb51-test-3 holds no usable item: its lists are empty"):
        hmdb51(layout, 3, "test")
