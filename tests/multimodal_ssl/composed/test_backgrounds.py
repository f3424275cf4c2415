"""Photographs are split by picture, and are the listed ones or named."""

import numpy as np
import pytest

from common.data.media import MediaError
from common.data.splits import check_disjoint
from multimodal_ssl.composed import backgrounds


def of(part):
    return [entry for entry in backgrounds.entries() if entry.part == part]


def test_no_photograph_scene_or_file_stands_in_two_splits():
    parts = {part: of(part) for part in ("train", "dev", "test")}
    check_disjoint(**parts)
    assert sum(map(len, parts.values())) == len(backgrounds.photographs()) == 37
    assert min(len(entries) for entries in parts.values()) >= 6


@pytest.mark.parametrize(
    ("size", "expected"), [((640, 1280), (320, 640)), ((900, 640), (450, 320)), ((300, 500), (300, 500))]
)
def test_pictures_are_reduced_by_their_shorter_side_and_never_enlarged(size, expected):
    assert backgrounds.reduced(np.zeros((*size, 3), np.uint8)).shape == (*expected, 3)


@pytest.mark.parametrize(("content", "reason"), [(None, "no such file"), (b"another", "sha256 must be")])
def test_a_missing_or_another_picture_is_named(tmp_path, content, reason):
    picture = backgrounds.photographs()[0]
    path = tmp_path / next(entry for entry in backgrounds.entries() if entry.id == picture.id).path
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    with pytest.raises(MediaError, match=reason):
        backgrounds.load(picture, tmp_path)
