"""The list of shots says true things, and its readers give what it says."""

import hashlib
import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from common.data.media import MediaError
from common.data.packages import data_root
from common.data.splits import components
from common.data.video_writer import VideoWriter
from video_sr.shots import (
    DISK_BYTES,
    DOWNLOAD_BYTES,
    PARTS,
    file_of,
    is_small,
    listed,
    load_photograph,
    manifest,
    package_of,
    packages,
    read_clip,
    read_gbr16,
    verify,
)


def groups(chosen):
    return {key for shot in chosen for key in shot.keys}


def test_counts_are_those_in_the_docstring():
    assert {part: len(listed(part)) for part in PARTS} == {
        "photographs": 37,
        "lossless": 3,
        "clips": 18,
        "animated": 2,
    }
    clips = listed("clips")
    assert len(groups(c for c in clips if not is_small(c))) == 8
    assert len(groups(c for c in clips if is_small(c))) == 3
    assert len(groups(listed("photographs"))) == 37


def test_sizes_are_the_sums():
    assert sum(package.size_bytes for package in packages()) == DOWNLOAD_BYTES
    assert sum({(s.package, s.path): s.bytes for s in listed()}.values()) == DISK_BYTES


def test_every_shot_names_a_package_that_keeps_its_file_and_a_licence():
    for shot in listed():
        assert shot.path in package_of(shot).files
        assert shot.licence
        assert len(shot.sha256) == 64


def test_shots_of_one_file_never_part():
    together = {id: component.name for component in components(manifest().entries) for id in component.ids}
    by_file = {}
    for shot in listed():
        by_file.setdefault((shot.package, shot.path), set()).add(together[shot.id])
    assert all(len(names) == 1 for names in by_file.values())


def test_shots_do_not_overlap_and_small_means_small():
    shots = sorted((s.package, s.path, s.first_frame, s.stop_frame) for s in listed("clips", "animated"))
    for before, after in itertools.pairwise(shots):
        assert before[:2] != after[:2] or before[3] <= after[2]
    assert {s.id for s in listed("clips") if is_small(s)} == {"speech", "map-portrait", "blue-portrait"}


def test_photographs_are_at_least_720p_in_either_direction():
    assert min(min(s.width, s.height) for s in listed("photographs", "lossless")) >= 1024


def test_an_unknown_part_lists_the_known():
    with pytest.raises(ValueError, match="photographs, lossless, clips, animated, got photos"):
        listed("photos")


def test_planes_are_green_blue_red_and_rounded(tmp_path):
    planes = np.array([[[257 * 7, 128]], [[257 * 8, 129]], [[257 * 9, 65535]]], "<u2")  # G, B, R
    planes.tofile(tmp_path / "a.raw")
    np.testing.assert_array_equal(read_gbr16(tmp_path / "a.raw", 2, 1), [[[9, 7, 8], [255, 0, 1]]])


def test_a_raw_still_of_the_wrong_size_is_refused(tmp_path):
    (tmp_path / "a.raw").write_bytes(b"0" * 11)
    with pytest.raises(MediaError, match="must be 12 bytes, got 11"):
        read_gbr16(tmp_path / "a.raw", 2, 1)


def test_a_missing_file_is_named(tmp_path):
    shot = listed("photographs")[0]
    with pytest.raises(MediaError, match=r"Bridge_by_Sander_Klootwijk\.jpg: no such file"):
        load_photograph(shot, tmp_path)
    bad = verify(tmp_path, "photographs")
    assert len(bad) == 37
    assert {item.reason for item in bad} == {"missing"}


@pytest.fixture
def shot(tmp_path):
    """Frames 2 to 8 of a film whose frame i is grey 20 i, cropped to its lower right."""
    shot = replace(
        listed("clips")[0], width=64, height=48, first_frame=2, stop_frame=8, crop=(16, 32, 32, 32)
    )
    path = file_of(shot, tmp_path)
    path.parent.mkdir(parents=True)
    with VideoWriter(path, width=64, height=48, rate_hz=Fraction(24)) as writer:
        for i in range(10):
            writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    return shot


def test_frames_count_from_the_shots_own_first(shot, tmp_path):
    frames = list(read_clip(shot, tmp_path))
    np.testing.assert_allclose([frame.mean() for frame in frames], [40, 60, 80, 100, 120, 140], atol=3)
    assert frames[0].shape == (32, 32, 3)
    np.testing.assert_array_equal(list(read_clip(shot, tmp_path, 1, 3)), frames[1:3])


def test_frames_beyond_the_shot_are_refused(shot, tmp_path):
    with pytest.raises(ValueError, match=r"frames 0:6, asked for 5:7"):
        list(read_clip(shot, tmp_path, 5, 7))


def test_a_clip_of_another_size_is_refused(shot, tmp_path):
    with pytest.raises(MediaError, match="must be 640x48, got 64x48"):
        list(read_clip(replace(shot, width=640), tmp_path))


@pytest.mark.corpus
def test_every_fetched_file_is_the_one_that_was_looked_at():
    here = [s for s in listed() if file_of(s).is_file()]
    if not here:
        pytest.skip(f"nothing fetched under {data_root()}; run `make data-extreme-vsr`")
    for shot in here:
        assert hashlib.sha256(file_of(shot).read_bytes()).hexdigest() == shot.sha256, shot.id
