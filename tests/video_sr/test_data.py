"""Splits of photographs and recordings: every law that keeps test data out of training and choosing."""

import dataclasses
import tarfile

import pytest

from common.data.splits import SplitLeak
from video_sr import data, sources

SEEDS = range(5)


def ids(split, seed):
    return {source.id for source in data.photographs(split, seed)}


@pytest.mark.parametrize("seed", SEEDS)
def test_train_dev_and_test_are_disjoint_and_together_all_photographs(seed):
    train, dev, test = (ids(split, seed) for split in ("train", "dev", "test"))
    assert not train & dev
    assert not train & test
    assert not dev & test
    assert train | dev | test == {source.id for source in sources.sources("photographs")}


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
    listed = list(sources.sources())
    dev, test = data.photographs("dev", 0)[0], data.photographs("test", 0)[0]
    joined = [dataclasses.replace(s, keys=dev.keys) if s.id == test.id else s for s in listed]
    folds = data._folds()
    monkeypatch.setattr(data, "_folds", lambda: folds)
    monkeypatch.setattr(
        sources, "sources", lambda *parts: tuple(s for s in joined if not parts or s.part in parts)
    )
    with pytest.raises(SplitLeak, match=rf"{dev.id}.*{test.id}|{test.id}.*{dev.id}"):
        data.check_splits(0)


def test_at_least_eight_real_recordings_are_tested_and_all_small_ones_are_for_choosing():
    test = {seq.group for seq in data.sequences("pool", "test", 0) if seq.part == "clips"}
    dev = {seq.group for seq in data.sequences("pool", "dev", 0) if seq.part == "clips"}
    assert len(test) >= 8
    assert len(dev) == 3
    assert not test & dev


def test_nothing_lossless_real_or_animated_is_trained_on():
    assert {source.part for seed in SEEDS for source in data.photographs("train", seed)} == {"photographs"}


def test_the_manifest_hash_moves_with_the_split(monkeypatch):
    before = data.manifest_sha256()
    monkeypatch.setattr(data, "SALT", "another")
    assert data.manifest_sha256.__wrapped__() != before


def test_an_unknown_split_is_named():
    with pytest.raises(ValueError, match="train, dev or test, got 'valid'"):
        data.photographs("valid", 0)


def test_a_missing_corpus_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    with pytest.raises((ValueError, OSError), match=str(tmp_path)):
        data.footage("vid3oc", "train")


def test_a_bad_photograph_is_named_and_neither_trained_on_nor_tested(monkeypatch):
    lost = data.photographs("test", 0)[0].id
    monkeypatch.setattr(data, "bad_sources", lambda: ((lost, "cut short"),))
    assert lost not in ids("test", 0) | ids("train", 1)


@pytest.fixture
def place(monkeypatch, tmp_path):
    """Puts bytes where the first source of a part is expected, and gives that source."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))

    def put(part, content):
        source = sources.sources(part)[0]
        sources.file_of(source).parent.mkdir(parents=True)
        sources.file_of(source).write_bytes(content)
        return source

    return put


@pytest.mark.parametrize("bytes_as_listed", [False, True])
def test_a_damaged_photograph_is_reported_with_its_path_and_reason(
    place, monkeypatch, tmp_path, bytes_as_listed
):
    source = place("photographs", b"\xff\xd8\xff but no picture")
    if bytes_as_listed:  # then it is the decoder that finds out
        monkeypatch.setattr(data, "_altered", lambda source: None)
    bad = data._prepare_photograph(tmp_path, 4, source)
    assert bad is not None
    assert bad.id == source.id
    assert ("sha256 must be" in bad.reason) != bytes_as_listed
    assert not list(tmp_path.glob("*.npy"))


@pytest.mark.corpus
def test_a_pack_holds_photographs_alone_and_fits_40_mb(tmp_path):
    if not sources.file_of(sources.sources("photographs")[0]).exists():
        pytest.skip("photographs are not there; run make data-extreme-vsr")
    digest = data.pack(tmp_path / "pack.tar", "gpu")
    assert digest == data.pack(tmp_path / "again.tar", "gpu")
    with tarfile.open(tmp_path / "pack.tar") as tar:
        names = tar.getnames()
    assert len([name for name in names if name.lower().endswith((".jpg", ".png"))]) == 37
    assert (tmp_path / "pack.tar").stat().st_size <= 40_000_000


def test_a_clip_with_other_bytes_than_the_listed_ones_is_named_and_not_scored(place, monkeypatch):
    source = place("clips", b"another film")
    fault = data._altered(source)
    assert fault is not None
    assert source.sha256 in fault.reason
    monkeypatch.setattr(data, "bad_sources", lambda: ((source.id, fault.reason),))
    assert source.id not in {sequence.id for sequence in data.sequences("pool", "test", 0)}


@pytest.mark.parametrize("name", ["TEST_FRAME", "SCORED_FRAMES", "TEST_SHORT_SIDE"])
def test_the_manifest_hash_moves_with_how_test_clips_are_made(monkeypatch, name):
    before = data.manifest_sha256()
    monkeypatch.setattr(data, name, 7)
    assert data.manifest_sha256.__wrapped__() != before
