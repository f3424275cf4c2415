"""YouCook2: steps of a subset with their sentences; every fault is one line."""

import json

import pytest

from multimodal_ssl.corpora.youcook2 import ANNOTATIONS, youcook2


def step(id, start, stop, sentence):
    return {"id": id, "segment": [start, stop], "sentence": sentence}


@pytest.fixture
def layout(root, make):
    database = {
        "xHr8X2Wpmno": {
            "subset": "validation",
            "recipe_type": "226",
            "duration": 300.5,
            "annotations": [
                step(0, 47, 60, "pick the ends off"),
                step(1, 89, 67, "back"),
                step(2, 98, 99, " "),
            ],
        },
        "GLd3aX16zBg": {
            "subset": "training",
            "recipe_type": "113",
            "annotations": [step(0, 90, 102, "spread  margarine\n")],
        },
        "vanished": {
            "subset": "validation",
            "recipe_type": "101",
            "annotations": [step(0, 1, 2, "a"), step(1, 3, 4, "b")],
        },
        "broken": 3,
        "testfilm": {"subset": "testing", "recipe_type": "101"},
    }
    make.write(root / ANNOTATIONS, json.dumps({"database": database}))
    make.films(root / "raw_videos", "validation/226/xHr8X2Wpmno.webm", "training/113/GLd3aX16zBg.mp4")
    return root


def test_steps_of_a_subset_are_clips_with_a_sentence(layout):
    [clip] = youcook2(layout, "training").items
    assert (clip.id, clip.start_s, clip.stop_s) == ("youcook2-GLd3aX16zBg-0", 90.0, 102.0)
    assert (clip.captions, clip.labels, clip.keys) == (
        ("spread margarine",),
        ("113",),
        ("youtube:GLd3aX16zBg",),
    )
    assert clip.path == "raw_videos/training/113/GLd3aX16zBg.mp4"


def test_every_fault_of_a_subset_is_listed(layout):
    corpus = youcook2(layout, "validation")
    assert [clip.id for clip in corpus.items] == ["youcook2-xHr8X2Wpmno-0"]
    assert {bad.id: bad.reason.partition(", got")[0] for bad in corpus.bad} == {
        "youcook2-xHr8X2Wpmno-1": "must start at 0 s or later and end after its start",
        "youcook2-xHr8X2Wpmno-2": "the sentence is empty",
        "youcook2-vanished-0": "there is no such file",
        "youcook2-vanished-1": "there is no such file",
        "youcook2-broken": "must be an object",
    }


def test_films_may_lie_beside_the_annotations_as_mil_nce_has_them(layout):
    (layout / "raw_videos/validation").rename(layout / "validation")
    assert youcook2(layout, "validation").items[0].path == "validation/226/xHr8X2Wpmno.webm"


def test_what_youcook2_does_not_have_is_said(root, make, layout):
    with pytest.raises(ValueError, match="training, validation, got 'testing'"):
        youcook2(layout, "testing")
    make.write(root / ANNOTATIONS, '{"database"')
    with pytest.raises(ValueError, match=r'must be \{"database": \{...\}\}'):
        youcook2(root, "training")
    with pytest.raises(ValueError, match=f"lacks {ANNOTATIONS}"):
        youcook2(root / "raw_videos", "training")


def test_annotations_nested_too_deeply_are_a_fault_of_the_file(root, make):
    make.write(root / ANNOTATIONS, "[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        youcook2(root, "training")
