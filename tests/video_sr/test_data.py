"""Splits of photographs and recordings: every law that keeps test data out of training and choosing."""

import dataclasses
import tarfile

import pytest

from common.data.splits import SplitLeak
from video_sr import data, shots
from video_sr.motion import Motion

SEEDS = range(5)


def ids(split, seed):
    return {shot.id for shot in data.photographs(split, seed)}


@pytest.mark.parametrize("seed", SEEDS)
def test_train_dev_and_test_are_disjoint_and_together_all_photographs(seed):
    train, dev, test = (ids(split, seed) for split in ("train", "dev", "test"))
    assert not train & dev
    assert not train & test
    assert not dev & test
    assert train | dev | test == {shot.id for shot in shots.listed("photographs")}


def test_what_is_tested_by_any_seed_is_never_used_to_choose():
    assert not ids("dev", 0) & set().union(*(ids("test", seed) for seed in SEEDS))
    assert len({frozenset(ids("dev", seed)) for seed in SEEDS}) == 1


def test_every_photograph_but_dev_is_tested_exactly_once_over_five_seeds():
    tested = [id_ for seed in SEEDS for id_ in ids("test", seed)]
    assert len(tested) == len(set(tested)) == 37 - len(ids("dev", 0))


def test_folds_differ_by_at_most_one_photograph():
    sizes = [len(ids("test", seed)) for seed in SEEDS] + [len(ids("dev", 0))]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_no_scene_recording_or_file_stands_on_two_sides(seed):
    data.check_splits(seed)


def test_a_shared_scene_is_a_leak(monkeypatch):
    listed = list(shots.listed())
    dev, test = data.photographs("dev", 0)[0], data.photographs("test", 0)[0]
    joined = [dataclasses.replace(s, keys=dev.keys) if s.id == test.id else s for s in listed]
    folds = data._folds()
    monkeypatch.setattr(data, "_folds", lambda: folds)
    monkeypatch.setattr(
        shots, "listed", lambda *parts: tuple(s for s in joined if not parts or s.part in parts)
    )
    with pytest.raises(SplitLeak, match=rf"{dev.id}.*{test.id}|{test.id}.*{dev.id}"):
        data.check_splits(0)


def test_at_least_eight_real_recordings_are_tested_and_all_small_ones_are_for_choosing():
    test = {seq.group for seq in data.sequences("test", 0) if seq.part == "clips"}
    dev = {seq.group for seq in data.sequences("dev", 0) if seq.part == "clips"}
    assert len(test) >= 8
    assert len(dev) == 3
    assert not test & dev


def test_nothing_lossless_real_or_animated_is_trained_on():
    assert {shot.part for seed in SEEDS for shot in data.photographs("train", seed)} == {"photographs"}


def test_the_manifest_hash_moves_with_the_split(monkeypatch):
    before = data.manifest_sha256()
    monkeypatch.setattr(data, "SALT", "another")
    assert data.manifest_sha256.__wrapped__() != before


def test_layers_have_a_hash_of_their_own_and_leave_that_of_other_clips():
    """The hash is that of every published result of clips over photographs."""
    assert data.manifest_sha256() == data.manifest_sha256(Motion(layered_share=0, nearness=(2.0, 3.0)))
    assert data.manifest_sha256().startswith("1cbe48881fa9")
    layered = [data.manifest_sha256(Motion(layered_share=share)) for share in (0.25, 0.5)]
    assert len({data.manifest_sha256(), *layered}) == 3
    assert data.kept_as(48) == "48"
    assert data.kept_as(48, Motion(layered_share=0.25)) == f"48-{layered[0][:8]}"


def test_an_unknown_split_is_named():
    with pytest.raises(ValueError, match="train, dev or test, got 'valid'"):
        data.photographs("valid", 0)


def test_a_bad_photograph_is_named_and_neither_trained_on_nor_tested(monkeypatch):
    lost = data.photographs("test", 0)[0].id
    monkeypatch.setattr(data, "bad_shots", lambda: ((lost, "cut short"),))
    assert lost not in ids("test", 0) | ids("train", 1)


@pytest.fixture
def place(monkeypatch, tmp_path):
    """Puts bytes where the first shot of a part is expected, and gives that shot."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))

    def put(part, content):
        shot = shots.listed(part)[0]
        shots.file_of(shot).parent.mkdir(parents=True)
        shots.file_of(shot).write_bytes(content)
        return shot

    return put


@pytest.mark.parametrize("bytes_as_listed", [False, True])
def test_a_damaged_photograph_is_reported_with_its_path_and_reason(
    place, monkeypatch, tmp_path, bytes_as_listed
):
    shot = place("photographs", b"\xff\xd8\xff but no picture")
    if bytes_as_listed:  # then it is the decoder that finds out
        monkeypatch.setattr(data, "_altered", lambda shot: None)
    bad = data._prepare_photograph(tmp_path, 4, shot)
    assert bad is not None
    assert bad.id == shot.id
    assert ("sha256 must be" in bad.reason) != bytes_as_listed
    assert not list(tmp_path.glob("*.npy"))


@pytest.mark.corpus
def test_a_pack_holds_photographs_alone_and_fits_40_mb(tmp_path):
    if not shots.file_of(shots.listed("photographs")[0]).exists():
        pytest.skip("photographs are not there; run make data-extreme-vsr")
    digest = data.pack(tmp_path / "pack.tar", "gpu")
    assert digest == data.pack(tmp_path / "again.tar", "gpu")
    with tarfile.open(tmp_path / "pack.tar") as tar:
        names = tar.getnames()
    assert len([name for name in names if name.lower().endswith((".jpg", ".png"))]) == 37
    assert (tmp_path / "pack.tar").stat().st_size <= 40_000_000


def test_a_clip_with_other_bytes_than_the_listed_ones_is_named_and_not_scored(place, monkeypatch):
    shot = place("clips", b"another film")
    fault = data._altered(shot)
    assert fault is not None
    assert shot.sha256 in fault.reason
    monkeypatch.setattr(data, "bad_shots", lambda: ((shot.id, fault.reason),))
    assert shot.id not in {sequence.id for sequence in data.sequences("test", 0)}


@pytest.mark.parametrize("name", ["TEST_FRAME", "SCORED_FRAMES", "TEST_SHORT_SIDE"])
def test_the_manifest_hash_moves_with_how_test_clips_are_made(monkeypatch, name):
    before = data.manifest_sha256()
    monkeypatch.setattr(data, name, 7)
    assert data.manifest_sha256.__wrapped__() != before
