"""UCF101: the lists of three splits, groups that no hold-out parts."""

import pytest

from multimodal_ssl.corpora.ucf101 import ucf101


@pytest.fixture
def layout(root, make):
    lists = {
        "classInd": "1 ApplyEyeMakeup\n2 HandstandPushups\n",
        "trainlist01": "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\n"
        "HandstandPushups/v_HandStandPushups_g09_c02.avi 2\r\n"
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g09_c01.avi 1\n../../x.avi 1\n\n",
        "testlist01": "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\n",
    }
    for name, text in lists.items():
        make.write(root / f"ucfTrainTestlist/{name}.txt", text)
    for name in ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01", "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01"):
        make.films(root / "UCF-101", f"{name}.avi")
    make.films(root / "UCF-101", "HandstandPushups/v_HandStandPushups_g09_c02.avi")
    return root


def test_an_action_is_its_folder_and_a_group_its_film(layout):
    """One action is spelled differently in the names of its files."""
    train, test = (ucf101(layout, 1, part) for part in ("train", "test"))
    assert [(clip.labels, clip.keys) for clip in train.items] == [
        (("ApplyEyeMakeup",), ("group:ucf101-ApplyEyeMakeup-g08",)),
        (("HandstandPushups",), ("group:ucf101-HandstandPushups-g09",)),
    ]
    assert [clip.id for clip in test.items] == ["ucf101-v_ApplyEyeMakeup_g01_c01"]
    assert not train.keys & test.keys


def test_bad_lines_and_missing_files_are_named(layout):
    assert [str(bad) for bad in ucf101(layout, 1, "train").bad] == [
        "ucf101-v_ApplyEyeMakeup_g09_c01 (UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g09_c01.avi): "
        "trainlist01.txt line 3: there is no such file",
        "trainlist01.txt line 4 (ucfTrainTestlist/trainlist01.txt): "
        "must be ACTION/v_ACTION_gGG_cCC.avi, got '../../x.avi 1'",
    ]


def test_what_ucf101_does_not_have_is_said(layout):
    with pytest.raises(ValueError, match="split must be 1, 2 or 3 and part train or test, got 4 and 'train'"):
        ucf101(layout, 4, "train")
    with pytest.raises(ValueError, match=r"lacks ucfTrainTestlist/testlist02.txt"):
        ucf101(layout, 2, "test")
